/* No descriptor is free: what needs one says so, writes no output, and works when there are some again. */
#define _POSIX_C_SOURCE 200809L
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "check.h"

static rlim_t before;

/* What is open stays open; what is closed cannot be opened again. */
static void descriptors(bool any) {
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    if (!any) {
        before = limit.rlim_cur;
    }
    limit.rlim_cur = any ? before : 3;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    int fd = open("/dev/null", O_RDONLY);
    CHECK(any == (fd >= 0));
    if (any) {
        CHECK(close(fd) == 0);
    }
}

int main(int argc, char **argv) {
    heartwire_client client = HEARTWIRE_CLIENT_INIT, other = HEARTWIRE_CLIENT_INIT;
    heartwire_event *event = NULL;
    heartwire_loop *event_loop;
    int fd = -7;
    CHECK(argc == 2);
    OK(heartwire_create(argv[1], NULL, &client));
    OK(heartwire_create(argv[1], NULL, &other));

    descriptors(false);
    CHECK(heartwire_events_fd(client, &fd) == HEARTWIRE_ERR_SYSTEM && fd == -7);
    CHECK(strlen(heartwire_last_error()) > 0);
    CHECK(heartwire_loop_new() == NULL && strlen(heartwire_last_error()) > 0);
    CHECK(heartwire_connect(other) == HEARTWIRE_ERR_SYSTEM);
    CHECK(heartwire_wait_open(other, SOON_MS) == HEARTWIRE_ERR_CLOSED);
    OK(heartwire_wait_closed(other, 0));
    CHECK(heartwire_send_text(other, "x", 1, NULL) == HEARTWIRE_ERR_CLOSED);
    OK(heartwire_destroy(other));
    descriptors(true);

    OK(heartwire_events_fd(client, &fd));
    CHECK(fd >= 0);
    OK(heartwire_connect(client));
    struct pollfd polled = {fd, POLLIN, 0};
    CHECK(poll(&polled, 1, SOON_MS) == 1);
    OK(heartwire_next_event(client, 0, &event));
    heartwire_event_free(event);
    OK(heartwire_wait_open(client, SOON_MS));
    OK(heartwire_destroy(client));
    event_loop = heartwire_loop_new();
    CHECK(event_loop != NULL);
    OK(heartwire_loop_free(event_loop));
    return 0;
}
