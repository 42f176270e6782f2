/*
 * Two clients inside a program's own epoll loop, beside a timer and standard input. Linux.
 *
 *     epoll URL            epoll ws://127.0.0.1:9001/         (cargo run --example server prints such a URL)
 *
 * Lines that are typed go out by one client; a tick every 200 ms by the other. What comes back is printed. "quit", or
 * the end of the input, closes both, and the program ends when they have.
 *
 * Shows: a loop of the program's own: it waits for the loop's descriptor, or its next timeout, and turns it; callbacks
 * then run on this very thread, so that they need no locks. With a URL that has no host name to look up, the process has
 * one thread. Leaves out: what to do when the outbox is full, and Ctrl-C (talk.c has both); lines of more than 4 KiB,
 * which are sent in pieces; input from a file, for which epoll has no readiness: `cat file | epoll URL`.
 *
 * Exit status: 0 after "quit" or the end of the input, 1 if a link ended by itself, 2 for wrong arguments.
 */

/* For CLOCK_MONOTONIC, under -std=c99 or c11. */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <heartwire.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* One client. Its callbacks and main() share it without a lock: they are on the same thread. */
struct feed {
    const char *name;
    heartwire_client client;
    bool ended;
    heartwire_end end;
};

static struct feed lines = {"lines", HEARTWIRE_CLIENT_INIT, false, HEARTWIRE_END_NOT};
static struct feed ticks = {"ticks", HEARTWIRE_CLIENT_INIT, false, HEARTWIRE_END_NOT};

/* What was typed and has no end yet. */
static char typed[4096];
static size_t typed_len;

static void on_message(heartwire_client client, const void *data, size_t len, int32_t kind, void *user_data) {
    const struct feed *feed = user_data;
    (void)client, (void)kind;
    printf("%s: %.*s\n", feed->name, (int)len, (const char *)data);
    fflush(stdout);
}

static void on_lifecycle(heartwire_client client, const heartwire_event *event, void *user_data) {
    struct feed *feed = user_data;
    (void)client;
    fprintf(stderr, "%s: %s\n", feed->name, heartwire_event_text(event));
    if (heartwire_event_kind(event) == HEARTWIRE_EVENT_CLOSED_FOR_GOOD) {
        feed->ended = true;
        feed->end = heartwire_event_end(event);
    }
}

/* Nothing goes out before the loop is turned for the first time. */
static heartwire_status start(struct feed *feed, const char *url, const heartwire_options *options) {
    heartwire_status status = heartwire_create(url, options, &feed->client);
    if (status == HEARTWIRE_OK) status = heartwire_on_message(feed->client, on_message, feed, NULL, NULL);
    if (status == HEARTWIRE_OK) status = heartwire_on_open(feed->client, on_lifecycle, feed, NULL, NULL);
    if (status == HEARTWIRE_OK) status = heartwire_on_close(feed->client, on_lifecycle, feed, NULL, NULL);
    if (status == HEARTWIRE_OK) status = heartwire_on_connect_failed(feed->client, on_lifecycle, feed, NULL, NULL);
    if (status == HEARTWIRE_OK) status = heartwire_on_closed_for_good(feed->client, on_lifecycle, feed, NULL, NULL);
    if (status == HEARTWIRE_OK) status = heartwire_connect(feed->client);
    return status;
}

static void send_text(struct feed *feed, const char *text, size_t len) {
    if (heartwire_send_text(feed->client, text, len, NULL) != HEARTWIRE_OK) {
        fprintf(stderr, "%s: not sent: %s\n", feed->name, heartwire_last_error());
    }
}

/* Sends the lines that are whole; all of it when `all`. False after "quit". */
static bool send_lines(bool all) {
    size_t begin = 0;
    while (begin < typed_len) {
        const char *line = typed + begin;
        const char *end = memchr(line, '\n', typed_len - begin);
        size_t len = end ? (size_t)(end - line) : typed_len - begin;
        if (!end && !all && len < sizeof typed) break;
        if (len == 4 && memcmp(line, "quit", 4) == 0) return false;
        send_text(&lines, line, len);
        begin += len + (end ? 1 : 0);
    }
    typed_len -= begin;
    memmove(typed, typed + begin, typed_len);
    return true;
}

/* Reads what was typed. False when no more is to come. */
static bool on_input(void) {
    ssize_t got = read(STDIN_FILENO, typed + typed_len, sizeof typed - typed_len);
    if (got < 0) return errno == EINTR || errno == EAGAIN;
    typed_len += (size_t)got;
    return send_lines(got == 0) && got > 0;
}

static void on_timer(int timer) {
    static unsigned long count;
    uint64_t expired;
    char text[32];
    if (read(timer, &expired, sizeof expired) != (ssize_t)sizeof expired) return;
    send_text(&ticks, text, (size_t)snprintf(text, sizeof text, "tick %lu", ++count));
}

static bool watch(int epoll, int fd) {
    struct epoll_event wanted;
    memset(&wanted, 0, sizeof wanted);
    wanted.events = EPOLLIN;
    wanted.data.fd = fd;
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &wanted) == 0;
}

static heartwire_status run(heartwire_loop *loop, int epoll, int timer) {
    bool leaving = false, closing = false;
    while (!lines.ended || !ticks.ended) {
        struct epoll_event ready[3];
        heartwire_status status;
        int i, count = epoll_wait(epoll, ready, 3, heartwire_loop_next_timeout_ms(loop));
        if (count < 0 && errno != EINTR) {
            perror("epoll_wait");
            return HEARTWIRE_ERR_SYSTEM;
        }
        for (i = 0; i < count; i++) {
            if (ready[i].data.fd == timer) on_timer(timer);
            if (ready[i].data.fd == STDIN_FILENO && !on_input()) {
                epoll_ctl(epoll, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
                leaving = true;
            }
        }
        /* Whichever it was, the descriptor or the timeout: where there is nothing to do it costs little. */
        status = heartwire_loop_turn(loop, 0);
        if (status != HEARTWIRE_OK) return status;
        /* A close sends what waits if a session is open, and drops it otherwise: the first one may be about to open. */
        if (leaving && heartwire_state(lines.client) == HEARTWIRE_STATE_CONNECTING) continue;
        if ((leaving || lines.ended || ticks.ended) && !closing) {
            closing = true;
            epoll_ctl(epoll, EPOLL_CTL_DEL, timer, NULL);
            heartwire_close(lines.client, 1000, "done");
            heartwire_close(ticks.client, 1000, "done");
        }
    }
    return HEARTWIRE_OK;
}

int main(int argc, char **argv) {
    heartwire_loop *loop = NULL;
    heartwire_options *options = NULL;
    heartwire_status status = HEARTWIRE_ERR_SYSTEM;
    struct itimerspec pace = {{0, 200000000}, {0, 200000000}};
    int epoll, timer;

    if (argc != 2) {
        fprintf(stderr, "usage: epoll URL\n");
        return 2;
    }
    epoll = epoll_create1(EPOLL_CLOEXEC);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    if (epoll < 0 || timer < 0 || timerfd_settime(timer, 0, &pace, NULL) != 0) {
        perror("epoll");
        return 1;
    }
    loop = heartwire_loop_new();
    if (loop && (!watch(epoll, heartwire_loop_fd(loop)) || !watch(epoll, timer) || !watch(epoll, STDIN_FILENO))) {
        perror("epoll_ctl");
        heartwire_loop_free(loop);
        return 1;
    }
    options = heartwire_options_new();
    if (loop && options) status = heartwire_options_set_loop(options, loop);
    if (status == HEARTWIRE_OK) status = start(&lines, argv[1], options);
    if (status == HEARTWIRE_OK) status = start(&ticks, argv[1], options);
    heartwire_options_free(options);
    if (status == HEARTWIRE_OK) status = run(loop, epoll, timer);
    if (status != HEARTWIRE_OK) fprintf(stderr, "%s\n", heartwire_last_error());

    /* The clients first: the loop is busy as long as it has some. */
    heartwire_destroy(lines.client);
    heartwire_destroy(ticks.client);
    heartwire_loop_free(loop);
    close(timer);
    close(epoll);
    return status == HEARTWIRE_OK && lines.end == HEARTWIRE_END_CLOSED && ticks.end == HEARTWIRE_END_CLOSED ? 0 : 1;
}
