/*
 * Talks to a server: what is typed is sent, line by line; what comes is printed.
 *
 *     talk URL             talk wss://echo.example.com/
 *
 * Shows: events in the program's own poll() loop, together with standard input and Ctrl-C; what to do when the outbox
 * is full; a close that sends first what waits. Leaves out: settings (reconnect.c, tls.c), lines of more than 64 KiB,
 * which are sent in pieces, and Windows, which has no poll() for standard input.
 *
 * Exit status: 0 after the end of the input or Ctrl-C, 1 if the link ended by itself, 2 for wrong arguments.
 */

/* For poll() and sigaction(), under -std=c99 or c11. */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <heartwire.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What was typed and not yet accepted by the client. */
static char typed[65536];
static size_t typed_len;
/* The outbox is full: nothing is read before the event "writable". */
static bool full;

/* The signal handler writes to it, poll() sees it. */
static int signal_pipe[2] = {-1, -1};

static void on_signal(int number) {
    const char byte = 0;
    int kept = errno;
    ssize_t written = write(signal_pipe[1], &byte, 1);
    (void)number, (void)written;
    errno = kept;
}

/* The second Ctrl-C ends the program at once: SA_RESETHAND. */
static bool catch_signals(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = (int)SA_RESETHAND;
    return pipe(signal_pipe) == 0 && sigaction(SIGINT, &action, NULL) == 0 && sigaction(SIGTERM, &action, NULL) == 0;
}

/* Sends the lines that are whole, and a last one without an end if `all`. */
static heartwire_status send_lines(heartwire_client client, bool all) {
    size_t begin = 0;
    heartwire_status status = HEARTWIRE_OK;
    while (begin < typed_len) {
        const char *line = typed + begin;
        const char *end = memchr(line, '\n', typed_len - begin);
        size_t len = end ? (size_t)(end - line) : typed_len - begin;
        if (!end && !all && len < sizeof typed) break;
        status = heartwire_send_text(client, line, len, NULL);
        if (status == HEARTWIRE_ERR_UTF8 || status == HEARTWIRE_ERR_TOO_BIG) {
            fprintf(stderr, "not sent: %s\n", heartwire_last_error());
            status = HEARTWIRE_OK;
        }
        if (status != HEARTWIRE_OK) break;
        begin += len + (end ? 1 : 0);
    }
    typed_len -= begin;
    memmove(typed, typed + begin, typed_len);
    full = status == HEARTWIRE_ERR_FULL;
    return full ? HEARTWIRE_OK : status;
}

/* Reads what is there. False at the end of the input. */
static bool read_input(void) {
    ssize_t got = read(STDIN_FILENO, typed + typed_len, sizeof typed - typed_len);
    if (got > 0) typed_len += (size_t)got;
    return got > 0 || (got < 0 && (errno == EINTR || errno == EAGAIN));
}

/* Prints an event. Returns whether it was the very last one, and then in `end` why. */
static bool show(const heartwire_event *event, heartwire_end *end) {
    size_t len = 0;
    const uint8_t *data;
    switch (heartwire_event_kind(event)) {
    case HEARTWIRE_EVENT_MESSAGE:
        data = heartwire_event_data(event, &len);
        if (heartwire_event_message_kind(event) == HEARTWIRE_TEXT) {
            fwrite(data, 1, len, stdout);
            putchar('\n');
        } else {
            printf("(%lu bytes)\n", (unsigned long)len);
        }
        fflush(stdout);
        return false;
    case HEARTWIRE_EVENT_OPEN:
    case HEARTWIRE_EVENT_CLOSE:
    case HEARTWIRE_EVENT_CONNECT_FAILED:
        fprintf(stderr, "%s\n", heartwire_event_text(event));
        return false;
    case HEARTWIRE_EVENT_WRITABLE:
        full = false;
        return false;
    case HEARTWIRE_EVENT_CLOSED_FOR_GOOD:
        fprintf(stderr, "%s\n", heartwire_event_text(event));
        *end = heartwire_event_end(event);
        return true;
    default:
        return false;
    }
}

/* Takes all events that wait. `*over` after the very last one. */
static heartwire_status take_events(heartwire_client client, bool *over, heartwire_end *end) {
    for (;;) {
        heartwire_event *event = NULL;
        heartwire_status status = heartwire_next_event(client, 0, &event);
        if (status == HEARTWIRE_ERR_TIMEOUT) return HEARTWIRE_OK;
        if (status != HEARTWIRE_OK) return status;
        *over = show(event, end);
        heartwire_event_free(event);
        if (*over) return HEARTWIRE_OK;
    }
}

static heartwire_status talk(heartwire_client client, int events_fd, heartwire_end *end) {
    bool over = false, reading = true;
    heartwire_status status = HEARTWIRE_OK;
    while (status == HEARTWIRE_OK && !over) {
        struct pollfd fds[3];
        memset(fds, 0, sizeof fds);
        fds[0].fd = events_fd;
        fds[1].fd = signal_pipe[0];
        /* poll() leaves out what is negative. */
        fds[2].fd = reading && !full ? STDIN_FILENO : -1;
        fds[0].events = fds[1].events = fds[2].events = POLLIN;
        if (poll(fds, 3, -1) < 0) {
            if (errno == EINTR) continue;
            perror("poll");
            return HEARTWIRE_ERR_SYSTEM;
        }
        if (fds[0].revents) {
            bool was_full = full;
            status = take_events(client, &over, end);
            if (status == HEARTWIRE_OK && !over && was_full && !full) status = send_lines(client, !reading);
        }
        if (fds[1].revents) {
            char byte;
            if (read(signal_pipe[0], &byte, 1) == 1) status = heartwire_close(client, 1000, "interrupted");
            /* What is typed from here on could not be sent any more. */
            reading = false, typed_len = 0;
        } else if (fds[2].revents && !over && status == HEARTWIRE_OK) {
            reading = read_input();
            status = send_lines(client, !reading);
        }
        /* The end of the input; and everything was accepted. */
        if (status == HEARTWIRE_OK && !reading && typed_len == 0 && !over) {
            status = heartwire_close(client, 1000, "");
        }
        /* The link may end for good while a line is sent: the event that says so is on its way. */
        if (status == HEARTWIRE_ERR_CLOSED) status = HEARTWIRE_OK, reading = false, typed_len = 0;
    }
    return status;
}

int main(int argc, char **argv) {
    heartwire_client client = HEARTWIRE_CLIENT_INIT;
    heartwire_status status;
    heartwire_end end = HEARTWIRE_END_NOT;
    int events_fd = -1;

    if (argc != 2) {
        fprintf(stderr, "usage: talk URL\n");
        return 2;
    }
    if (!catch_signals()) {
        perror("talk");
        return 1;
    }
    status = heartwire_create(argv[1], NULL, &client);
    if (status == HEARTWIRE_OK) status = heartwire_events_fd(client, &events_fd);
    if (status == HEARTWIRE_OK) status = heartwire_connect(client);
    if (status == HEARTWIRE_OK) status = talk(client, events_fd, &end);
    if (status != HEARTWIRE_OK) fprintf(stderr, "%s\n", heartwire_last_error());

    heartwire_destroy(client);
    close(signal_pipe[0]);
    close(signal_pipe[1]);
    return status == HEARTWIRE_OK && end == HEARTWIRE_END_CLOSED ? 0 : 1;
}
