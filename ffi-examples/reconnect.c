/*
 * Stays connected, and says how: a login first on every open, a text heartbeat, a fixed delay between attempts, and
 * what became of each message.
 *
 *     reconnect URL OPENS  reconnect ws://127.0.0.1:9001/ 2
 *
 * It sends one message on each open and ends when OPENS sessions were open and the last one's message was answered:
 * pull the cable, or restart the server, in between. The server has to answer "ping" by "pong", and to echo the rest.
 *
 * Shows: settings, events taken on the main thread, outcomes. Leaves out: callbacks (echo.c), TLS (tls.c), and what a
 * program would do with a message of unknown fate, which depends on whether twice is worse than never.
 *
 * Exit status: 0 if all that happened, 1 if not within a minute, 2 for wrong arguments.
 */

#include <heartwire.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char LOGIN[] = "{\"op\":\"login\"}";

static heartwire_status settings(heartwire_options *options) {
    heartwire_status status = heartwire_options_add_greeting(options, LOGIN, sizeof LOGIN - 1, HEARTWIRE_TEXT);
    if (status == HEARTWIRE_OK) status = heartwire_options_set_heartbeat_text(options, "ping");
    if (status == HEARTWIRE_OK) status = heartwire_options_set_heartbeat_reply(options, "pong");
    if (status == HEARTWIRE_OK) status = heartwire_options_set_heartbeat_every(options, 1000);
    if (status == HEARTWIRE_OK) status = heartwire_options_set_heartbeat_timeout(options, 3000);
    if (status == HEARTWIRE_OK) status = heartwire_options_set_reconnect_fixed(options, 200);
    if (status == HEARTWIRE_OK) status = heartwire_options_set_report_outcomes(options, true);
    return status;
}

static const char *fate_name(heartwire_fate fate) {
    switch (fate) {
    case HEARTWIRE_FATE_COMPLETED: return "written";
    case HEARTWIRE_FATE_DROPPED: return "dropped";
    case HEARTWIRE_FATE_UNKNOWN: return "of unknown fate";
    default: return "something new";
    }
}

static void show_outcome(const heartwire_event *event) {
    heartwire_outcome_info outcome;
    memset(&outcome, 0, sizeof outcome);
    outcome.size = sizeof outcome;
    if (heartwire_event_outcome(event, &outcome) == HEARTWIRE_OK) {
        printf("messages %lu to %lu: %s\n", (unsigned long)outcome.first, (unsigned long)outcome.last,
               fate_name(outcome.fate));
    }
}

/* The text of the message that is sent when the session of this number opens. */
static int hello(char *buffer, size_t size, long number) { return snprintf(buffer, size, "hello %ld", number); }

static heartwire_status send_hello(heartwire_client client, long number) {
    char text[32];
    uint64_t id = 0;
    int len = hello(text, sizeof text, number);
    heartwire_status status = heartwire_send_text(client, text, (size_t)len, &id);
    if (status == HEARTWIRE_OK) printf("message %lu: %s\n", (unsigned long)id, text);
    return status;
}

/* Whether the event is the echo of that session's message. */
static bool is_answer(const heartwire_event *event, long number) {
    char text[32];
    size_t len = 0;
    const uint8_t *data = heartwire_event_data(event, &len);
    return (size_t)hello(text, sizeof text, number) == len && memcmp(data, text, len) == 0;
}

/* Takes events to the very last one. `*done` if the program's task was done. */
static heartwire_status run(heartwire_client client, long opens, bool *done) {
    long opened = 0;
    for (;;) {
        heartwire_event *event = NULL;
        heartwire_status status = heartwire_next_event(client, 60000, &event);
        if (status == HEARTWIRE_ERR_CLOSED) return HEARTWIRE_OK;
        if (status != HEARTWIRE_OK) return status;
        switch (heartwire_event_kind(event)) {
        case HEARTWIRE_EVENT_OPEN:
            printf("%s\n", heartwire_event_text(event));
            status = send_hello(client, ++opened);
            break;
        case HEARTWIRE_EVENT_MESSAGE:
            if (opened >= opens && is_answer(event, opened)) {
                *done = true;
                status = heartwire_close(client, 1000, "done");
            }
            break;
        case HEARTWIRE_EVENT_OUTCOME:
            show_outcome(event);
            break;
        case HEARTWIRE_EVENT_HEARTBEAT:
            printf("heartbeat: %ld us\n", (long)heartwire_event_round_trip_us(event));
            break;
        case HEARTWIRE_EVENT_CLOSE:
        case HEARTWIRE_EVENT_CONNECT_FAILED:
        case HEARTWIRE_EVENT_CLOSED_FOR_GOOD:
            printf("%s\n", heartwire_event_text(event));
            break;
        default:
            break;
        }
        fflush(stdout);
        heartwire_event_free(event);
        if (status != HEARTWIRE_OK) return status;
    }
}

int main(int argc, char **argv) {
    heartwire_client client = HEARTWIRE_CLIENT_INIT;
    heartwire_options *options = NULL;
    heartwire_event *none = NULL;
    heartwire_status status = HEARTWIRE_ERR_PANIC;
    bool done = false;

    if (argc != 3 || atol(argv[2]) < 1) {
        fprintf(stderr, "usage: reconnect URL OPENS\n");
        return 2;
    }
    options = heartwire_options_new();
    if (options) status = settings(options);
    if (status == HEARTWIRE_OK) status = heartwire_create(argv[1], options, &client);
    /* Says that events are taken, before there are any. */
    if (status == HEARTWIRE_OK && heartwire_next_event(client, 0, &none) == HEARTWIRE_OK) heartwire_event_free(none);
    if (status == HEARTWIRE_OK) status = heartwire_connect(client);
    if (status == HEARTWIRE_OK) status = run(client, atol(argv[2]), &done);
    if (status != HEARTWIRE_OK) fprintf(stderr, "%s\n", heartwire_last_error());

    heartwire_options_free(options);
    heartwire_destroy(client);
    return status == HEARTWIRE_OK && done ? 0 : 1;
}
