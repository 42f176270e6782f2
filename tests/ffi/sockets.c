/*
 * Unix sockets, descriptors that the program brings or makes, and the settings of TCP sockets, from C.
 *
 * Arguments: the port of a server on 127.0.0.1 that echoes, the path of a Unix socket that leads to it, and a path where
 * there is nothing.
 */
#define _POSIX_C_SOURCE 200809L
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "events.h"

static const char NOWHERE[] = "ws://127.0.0.1:1/feed";

static heartwire_client created(const char *url, heartwire_options *options) {
    heartwire_client client;
    OK(heartwire_options_set_reconnect_fixed(options, 1));
    OK(heartwire_create(url, options, &client));
    heartwire_options_free(options);
    return client;
}

static void echoes(heartwire_client client) {
    heartwire_event *event;
    size_t len;
    OK(heartwire_send_text(client, "hello", 5, NULL));
    event = next(client, HEARTWIRE_EVENT_MESSAGE);
    CHECK(memcmp(heartwire_event_data(event, &len), "hello", 5) == 0 && len == 5);
    heartwire_event_free(event);
}

static int dialled(uint16_t port) {
    struct sockaddr_in address = {0};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(fd >= 0);
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

static bool is_open(int fd) {
    return fcntl(fd, F_GETFD) != -1;
}

/* One session over a descriptor, which is closed with it. */
static void a_descriptor_is_taken_over(uint16_t port) {
    heartwire_client client = created(NOWHERE, heartwire_options_new());
    heartwire_event *event;
    heartwire_error_info error;
    int fd = dialled(port);
    OK(heartwire_connect_over(client, fd));
    heartwire_event_free(next(client, HEARTWIRE_EVENT_OPEN));
    CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) && (fcntl(fd, F_GETFL) & O_NONBLOCK));
    echoes(client);
    OK(heartwire_send_text(client, "close 1000 enough", 17, NULL));
    event = next(client, HEARTWIRE_EVENT_CLOSED_FOR_GOOD);
    CHECK(heartwire_event_end(event) == HEARTWIRE_END_GAVE_UP);
    error.size = sizeof error;
    OK(heartwire_event_error(event, &error));
    CHECK(error.kind == HEARTWIRE_CAUSE_CLOSED && error.close_code == 1000);
    heartwire_event_free(event);
    OK(heartwire_destroy(client));
    CHECK(!is_open(fd));
}

/* What cannot be taken stays as it was. */
static void what_is_refused_stays_the_programs(uint16_t port, const char *path) {
    heartwire_options *options = heartwire_options_new();
    heartwire_client client = created(NOWHERE, heartwire_options_new());
    heartwire_client other;
    int pair[2], datagrams[2], loose = socket(AF_INET, SOCK_STREAM, 0), fd = dialled(port);
    CHECK(pipe(pair) == 0 && socketpair(AF_UNIX, SOCK_DGRAM, 0, datagrams) == 0);
    CHECK(heartwire_connect_over(client, -1) == HEARTWIRE_ERR_ARGUMENT);
    CHECK(heartwire_connect_over(client, 1000000) == HEARTWIRE_ERR_ARGUMENT);
    CHECK(heartwire_connect_over(client, pair[0]) == HEARTWIRE_ERR_ARGUMENT);
    CHECK(strstr(heartwire_last_error(), "no socket") != NULL);
    CHECK(heartwire_connect_over(client, datagrams[0]) == HEARTWIRE_ERR_ARGUMENT);
    CHECK(heartwire_connect_over(client, loose) == HEARTWIRE_ERR_ARGUMENT);
    CHECK(strstr(heartwire_last_error(), "not connected") != NULL);
    CHECK(is_open(pair[0]) && is_open(datagrams[0]) && is_open(loose));
    close(pair[0]), close(pair[1]), close(datagrams[0]), close(datagrams[1]), close(loose);

    OK(heartwire_options_set_unix_socket(options, path));
    OK(heartwire_create(NOWHERE, options, &other));
    CHECK(heartwire_connect_over(other, fd) == HEARTWIRE_ERR_CONFIG);
    CHECK(strstr(heartwire_last_error(), "connect_over") != NULL);
    OK(heartwire_destroy(other));
    OK(heartwire_close(client, 1000, NULL));
    CHECK(heartwire_connect_over(client, fd) == HEARTWIRE_ERR_CLOSED);
    OK(heartwire_destroy(client));
    CHECK(heartwire_connect_over(client, fd) == HEARTWIRE_ERR_HANDLE);
    CHECK(is_open(fd) && !(fcntl(fd, F_GETFL) & O_NONBLOCK));
    close(fd);
    heartwire_options_free(options);
}

static void a_unix_socket_is_reached(const char *path, const char *nothing) {
    heartwire_options *options = heartwire_options_new();
    heartwire_client client;
    heartwire_event *event;
    heartwire_error_info error;
    char url[300], longer[300];
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = 0;
    CHECK(heartwire_options_set_unix_socket(options, "") == HEARTWIRE_ERR_CONFIG);
    CHECK(heartwire_options_set_unix_socket(options, longer) == HEARTWIRE_ERR_CONFIG);
    CHECK(strstr(heartwire_last_error(), "299 bytes") != NULL);
    OK(heartwire_options_set_unix_socket(options, path));
    OK(heartwire_options_set_tcp_buffers(options, 65536, 0));
    CHECK(heartwire_create(NOWHERE, options, &client) == HEARTWIRE_ERR_CONFIG);
    CHECK(strstr(heartwire_last_error(), "settings of TCP") != NULL);
    OK(heartwire_options_set_tcp_buffers(options, 0, 0));
    client = created(NOWHERE, options);
    OK(heartwire_connect(client));
    heartwire_event_free(next(client, HEARTWIRE_EVENT_OPEN));
    echoes(client);
    OK(heartwire_destroy(client));

    snprintf(url, sizeof url, "ws+unix://%s:/feed", path);
    client = created(url, heartwire_options_new());
    OK(heartwire_connect(client));
    event = next(client, HEARTWIRE_EVENT_OPEN);
    CHECK(strcmp(heartwire_event_url(event), url) == 0);
    heartwire_event_free(event);
    echoes(client);
    OK(heartwire_destroy(client));

    snprintf(url, sizeof url, "ws+unix://%s", nothing);
    client = created(url, heartwire_options_new());
    OK(heartwire_connect(client));
    event = next(client, HEARTWIRE_EVENT_CONNECT_FAILED);
    error.size = sizeof error;
    OK(heartwire_event_error(event, &error));
    CHECK(error.phase == HEARTWIRE_PHASE_CONNECT && error.os_error == ENOENT && error.will_retry == 1);
    CHECK(strstr(error.text, nothing) != NULL);
    heartwire_event_free(event);
    OK(heartwire_destroy(client));
}

struct made {
    uint16_t port;
    atomic_int calls, frees;
};

/* Two failures, then a stream. */
static int dial(heartwire_client client, const char *host, uint16_t port, void *user_data) {
    struct made *made = user_data;
    CHECK(heartwire_is_valid(client) && strcmp(host, "::1") == 0 && port == 1);
    switch (atomic_fetch_add(&made->calls, 1)) {
    case 0: return -ECONNREFUSED;
    case 1: return -1;
    case 2: return 1000000;
    default: return dialled(made->port);
    }
}

static void freed(void *user_data) {
    atomic_fetch_add(&((struct made *)user_data)->frees, 1);
}

static void a_function_makes_the_streams(uint16_t port) {
    struct made made = {0};
    heartwire_options *options = heartwire_options_new();
    heartwire_client client;
    int attempt;
    made.port = port;
    OK(heartwire_options_set_dial(options, dial, &made, freed));
    client = created("ws://[::1]:1/", options);
    OK(heartwire_connect(client));
    for (attempt = 0; attempt < 3; attempt++) {
        heartwire_event *event = next(client, HEARTWIRE_EVENT_CONNECT_FAILED);
        heartwire_error_info error;
        error.size = sizeof error;
        OK(heartwire_event_error(event, &error));
        CHECK(error.phase == HEARTWIRE_PHASE_CONNECT && error.kind == HEARTWIRE_CAUSE_IO);
        CHECK(error.os_error == (attempt == 0 ? ECONNREFUSED : 0));
        heartwire_event_free(event);
    }
    heartwire_event_free(next(client, HEARTWIRE_EVENT_OPEN));
    echoes(client);
    CHECK(atomic_load(&made.calls) == 4 && atomic_load(&made.frees) == 0);
    OK(heartwire_destroy(client));
    CHECK(atomic_load(&made.frees) == 1);
}

static void tcp_is_set(uint16_t port) {
    heartwire_options *options = heartwire_options_new();
    heartwire_client client = HEARTWIRE_CLIENT_INIT;
    char url[64];
    CHECK(heartwire_options_set_tcp_keepalive(options, 1500, 1000, 3) == HEARTWIRE_ERR_CONFIG);
    CHECK(heartwire_options_set_tcp_keepalive(options, 1000, 1000, 0) == HEARTWIRE_ERR_CONFIG);
    OK(heartwire_options_set_tcp_keepalive(options, 60000, 10000, 6));
    CHECK(heartwire_options_set_tcp_buffers(options, (size_t)1 << 31, 0) == HEARTWIRE_ERR_CONFIG);
    OK(heartwire_options_set_tcp_buffers(options, 65536, 65536));
    CHECK(heartwire_options_set_interface(options, "no such name") == HEARTWIRE_ERR_CONFIG);
    OK(heartwire_options_set_interface(options, NULL));
    CHECK(heartwire_options_set_ip_version(options, 5) == HEARTWIRE_ERR_ARGUMENT);
    OK(heartwire_options_set_ip_version(options, HEARTWIRE_IP_V6));
    snprintf(url, sizeof url, "ws://127.0.0.1:%u/", (unsigned)port);
    CHECK(heartwire_create(url, options, &client) == HEARTWIRE_ERR_CONFIG);
    CHECK(strstr(heartwire_last_error(), "ip_version") != NULL);
    OK(heartwire_options_set_ip_version(options, HEARTWIRE_IP_V4));
    client = created(url, options);
    OK(heartwire_connect(client));
    heartwire_event_free(next(client, HEARTWIRE_EVENT_OPEN));
    echoes(client);
    OK(heartwire_destroy(client));
}

int main(int argc, char **argv) {
    uint16_t port;
    CHECK(argc == 4);
    port = (uint16_t)atoi(argv[1]);
    a_descriptor_is_taken_over(port);
    what_is_refused_stays_the_programs(port, argv[2]);
    a_unix_socket_is_reached(argv[2], argv[3]);
    a_function_makes_the_streams(port);
    tcp_is_set(port);
    return 0;
}
