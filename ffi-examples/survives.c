/*
 * A test as a user of the library writes it for a program of one's own: the program's settings against a server that
 * refuses, cuts, stalls, and only then behaves.
 *
 *     survives CHAOS       survives target/release/examples/heartwire-chaos
 *
 * CHAOS is the program that `cargo build --release --example heartwire-chaos` makes; its --help lists what it can do. It is
 * started here with a script of four connections and says where it listens, and later what it has seen. The program under
 * test sends a message on each open, and closes when one sent over the last connection was answered.
 *
 * Shows: a server that fails on demand, events taken on the main thread, the client's own opinion of what went wrong.
 * Leaves out: TLS (--tls), and commands while it runs (popen has no way in; a pipe to its input has).
 *
 * Exit status: 0 if all went as the script has it, 1 if not, 2 for wrong arguments.
 */

/* popen */
#define _POSIX_C_SOURCE 200809L

#include <heartwire.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char SCRIPT[] = "--script refuse:503,cut-after:1msg,stall,ok --connections 4";
/* The first is refused, so three of the four open. */
enum { REFUSED = 1, OPENS = 3 };

/* What the client made of it. */
struct seen {
    int refused, opens, reset, silent, answers;
};

/* The settings that are tried: the program's own, but quick. */
static heartwire_status settings(heartwire_options *options) {
    heartwire_status status = heartwire_options_set_heartbeat_ping(options);
    if (status == HEARTWIRE_OK) status = heartwire_options_set_heartbeat_after_silence(options, 300);
    if (status == HEARTWIRE_OK) status = heartwire_options_set_heartbeat_timeout(options, 200);
    if (status == HEARTWIRE_OK) status = heartwire_options_set_reconnect_fixed(options, 50);
    return status;
}

static void count_failure(const heartwire_event *event, struct seen *seen) {
    heartwire_error_info error;
    memset(&error, 0, sizeof error);
    error.size = sizeof error;
    if (heartwire_event_error(event, &error) != HEARTWIRE_OK) return;
    if (error.kind == HEARTWIRE_CAUSE_REFUSED && error.http_status == 503) seen->refused++;
    if (error.kind == HEARTWIRE_CAUSE_IO) seen->reset++;
    if (error.kind == HEARTWIRE_CAUSE_SILENT) seen->silent++;
}

/* Takes events to the very last one. */
static heartwire_status run(heartwire_client client, struct seen *seen) {
    for (;;) {
        heartwire_event *event = NULL;
        heartwire_status status = heartwire_next_event(client, 10000, &event);
        if (status == HEARTWIRE_ERR_CLOSED) return HEARTWIRE_OK;
        if (status != HEARTWIRE_OK) return status;
        switch (heartwire_event_kind(event)) {
        case HEARTWIRE_EVENT_OPEN:
            seen->opens++;
            status = heartwire_send_text(client, "hello", 5, NULL);
            break;
        case HEARTWIRE_EVENT_MESSAGE:
            /* Over the second one the answer may come before the cut. */
            if (seen->opens == OPENS && seen->answers++ == 0) status = heartwire_close(client, 1000, "done");
            break;
        case HEARTWIRE_EVENT_CLOSE:
        case HEARTWIRE_EVENT_CONNECT_FAILED:
            count_failure(event, seen);
            break;
        default:
            break;
        }
        printf("client: %s\n", heartwire_event_text(event));
        heartwire_event_free(event);
        if (status != HEARTWIRE_OK) return status;
    }
}

/* A line without its end; false after the last one. */
static bool next_line(FILE *from, char *line, int size) {
    if (!fgets(line, size, from)) return false;
    line[strcspn(line, "\r\n")] = '\0';
    return true;
}

static heartwire_status play(const char *url, struct seen *seen) {
    heartwire_client client = HEARTWIRE_CLIENT_INIT;
    heartwire_options *options = heartwire_options_new();
    heartwire_event *none = NULL;
    heartwire_status status = options ? settings(options) : HEARTWIRE_ERR_PANIC;
    if (status == HEARTWIRE_OK) status = heartwire_create(url, options, &client);
    /* Says that events are taken, before there are any. */
    if (status == HEARTWIRE_OK && heartwire_next_event(client, 0, &none) == HEARTWIRE_OK) heartwire_event_free(none);
    if (status == HEARTWIRE_OK) status = heartwire_connect(client);
    if (status == HEARTWIRE_OK) status = run(client, seen);
    if (status != HEARTWIRE_OK) fprintf(stderr, "%s\n", heartwire_last_error());
    heartwire_options_free(options);
    heartwire_destroy(client);
    return status;
}

int main(int argc, char **argv) {
    char command[1024], line[1024];
    struct seen seen = {0, 0, 0, 0, 0};
    heartwire_status status;
    FILE *chaos;

    if (argc != 2 || strlen(argv[1]) > 900) {
        fprintf(stderr, "usage: survives CHAOS\n");
        return 2;
    }
    sprintf(command, "'%s' %s </dev/null", argv[1], SCRIPT);
    chaos = popen(command, "r");
    if (!chaos || !next_line(chaos, line, sizeof line)) {
        fprintf(stderr, "survives: %s does not start\n", argv[1]);
        return 1;
    }
    status = play(line, &seen);
    /* What it has seen, to the end, which comes with that of the fourth connection. */
    while (status == HEARTWIRE_OK && next_line(chaos, line, sizeof line)) printf("server: %s\n", line);
    /* Its status says whether each step of the script had its connection. */
    if (pclose(chaos) != 0) status = HEARTWIRE_ERR_CLOSED;
    printf("%d refused, %d opened, %d reset, %d silent, %d answered\n", seen.refused, seen.opens, seen.reset, seen.silent,
           seen.answers);
    return status == HEARTWIRE_OK && seen.refused == REFUSED && seen.opens == OPENS && seen.reset == 1 && seen.silent == 1
                   && seen.answers > 0
               ? 0
               : 1;
}
