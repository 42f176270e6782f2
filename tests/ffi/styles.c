/*
 * Both styles against an echo server that chooses the subprotocol "chat" and sends the header "X-Test: yes":
 * callbacks, and heartwire_next_event() with and without a descriptor to poll. What events carry, what is not UTF-8,
 * and destructors.
 */
#define _POSIX_C_SOURCE 200809L
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "events.h"

struct seen {
    atomic_int opens, messages, closes, states, outcomes, ends, freed;
    uint64_t listener;
};

static void freed(void *user_data) {
    struct seen *seen = user_data;
    atomic_fetch_add(&seen->freed, 1);
}

static void on_open(heartwire_client client, const heartwire_event *event, void *user_data) {
    struct seen *seen = user_data;
    char value[8];
    size_t len = sizeof value;
    CHECK(heartwire_event_kind(event) == HEARTWIRE_EVENT_OPEN);
    CHECK(heartwire_event_attempt(event) == 1 && heartwire_event_is_first(event));
    CHECK(strcmp(heartwire_event_subprotocol(event), "chat") == 0);
    OK(heartwire_event_header(event, "x-test", value, &len));
    CHECK(len == 3 && strcmp(value, "yes") == 0);
    CHECK(heartwire_event_peer_certificate(event, &len) == NULL && len == 0);
    CHECK(heartwire_wait_closed(client, 1000) == HEARTWIRE_ERR_WOULD_DEADLOCK);
    atomic_fetch_add(&seen->opens, 1);
    OK(heartwire_send_text(client, "hello", 5, NULL));
}

static void on_message(heartwire_client client, const void *data, size_t len, int32_t kind, void *user_data) {
    struct seen *seen = user_data;
    CHECK(kind == HEARTWIRE_TEXT && len == 5 && memcmp(data, "hello", 5) == 0);
    atomic_fetch_add(&seen->messages, 1);
    OK(heartwire_close(client, 1000, "done"));
}

static void on_close(heartwire_client client, const heartwire_event *event, void *user_data) {
    struct seen *seen = user_data;
    heartwire_error_info error;
    (void)client;
    error.size = sizeof error;
    CHECK(heartwire_event_kind(event) == HEARTWIRE_EVENT_CLOSE && heartwire_event_code(event) == 1000);
    CHECK(strcmp(heartwire_event_reason(event), "") == 0); /* the server's answer has none */
    CHECK(heartwire_event_is_clean(event) && heartwire_event_initiator(event) == HEARTWIRE_BY_USER);
    CHECK(heartwire_event_retry_ms(event) == -1);
    CHECK(heartwire_event_error(event, &error) == HEARTWIRE_ERR_NOT_FOUND);
    atomic_fetch_add(&seen->closes, 1);
}

static void on_state(heartwire_client client, const heartwire_event *event, void *user_data) {
    struct seen *seen = user_data;
    CHECK(heartwire_event_kind(event) == HEARTWIRE_EVENT_STATE);
    CHECK(heartwire_event_state(event) == heartwire_state(client));
    if (heartwire_event_state(event) == HEARTWIRE_STATE_CONNECTING) {
        CHECK(heartwire_event_phase(event) != HEARTWIRE_PHASE_NONE);
    }
    atomic_fetch_add(&seen->states, 1);
}

static void on_outcome(heartwire_client client, const heartwire_event *event, void *user_data) {
    struct seen *seen = user_data;
    heartwire_outcome_info outcome;
    (void)client;
    outcome.size = sizeof outcome;
    OK(heartwire_event_outcome(event, &outcome));
    CHECK(outcome.first == 1 && outcome.last == 1 && outcome.fate == HEARTWIRE_FATE_COMPLETED);
    CHECK(outcome.level == HEARTWIRE_LEVEL_WRITTEN && outcome.dropped == HEARTWIRE_DROPPED_NOT);
    atomic_fetch_add(&seen->outcomes, 1);
}

static void on_closed_for_good(heartwire_client client, const heartwire_event *event, void *user_data) {
    struct seen *seen = user_data;
    CHECK(heartwire_event_kind(event) == HEARTWIRE_EVENT_CLOSED_FOR_GOOD);
    CHECK(heartwire_event_end(event) == HEARTWIRE_END_CLOSED);
    atomic_fetch_add(&seen->ends, 1);
    OK(heartwire_remove_listener(client, seen->listener));
    CHECK(heartwire_remove_listener(client, seen->listener) == HEARTWIRE_ERR_NOT_FOUND);
}

static void never(heartwire_client client, const heartwire_event *event, void *user_data) {
    (void)client, (void)event, (void)user_data;
    CHECK(!"called");
}

static heartwire_client create(const char *url, heartwire_options *options) {
    heartwire_client client;
    heartwire_options *own = options == NULL ? heartwire_options_new() : NULL;
    options = options == NULL ? own : options;
    OK(heartwire_options_add_subprotocol(options, "chat"));
    OK(heartwire_create(url, options, &client));
    heartwire_options_free(own);
    return client;
}

static void callbacks(const char *url) {
    struct seen seen = {0};
    heartwire_client client = create(url, NULL);
    heartwire_event *event = NULL;
    uint64_t other;
    int fd = -1;
    char value[4];
    size_t len = 0;
    OK(heartwire_on_open(client, on_open, &seen, freed, NULL));
    OK(heartwire_on_message(client, on_message, &seen, freed, NULL));
    OK(heartwire_on_close(client, on_close, &seen, freed, NULL));
    OK(heartwire_on_state(client, on_state, &seen, freed, NULL));
    OK(heartwire_on_outcome(client, on_outcome, &seen, freed, NULL));
    OK(heartwire_on_closed_for_good(client, on_closed_for_good, &seen, freed, &seen.listener));
    CHECK(seen.listener != 0);
    OK(heartwire_on_open(client, never, &seen, freed, &other));
    OK(heartwire_remove_listener(client, other));
    CHECK(atomic_load(&seen.freed) == 1);
    CHECK(heartwire_next_event(client, 0, &event) == HEARTWIRE_ERR_TAKEN && event == NULL);
    CHECK(heartwire_events_fd(client, &fd) == HEARTWIRE_ERR_TAKEN && fd == -1);
    CHECK(heartwire_response_header(client, "X-Test", NULL, &len) == HEARTWIRE_ERR_NOT_FOUND);
    OK(heartwire_connect(client));
    OK(heartwire_wait_closed(client, SOON_MS));
    CHECK(seen.opens == 1 && seen.messages == 1 && seen.closes == 1 && seen.outcomes == 1 && seen.ends == 1);
    CHECK(seen.states >= 4);
    OK(heartwire_response_header(client, "X-Test", NULL, &len));
    CHECK(len == 3);
    CHECK(heartwire_response_header(client, "X-Test", value, &len) == HEARTWIRE_ERR_BUFFER && len == 3);
    len = 4;
    OK(heartwire_response_header(client, "X-Test", value, &len));
    CHECK(strcmp(value, "yes") == 0);
    OK(heartwire_destroy(client));
    CHECK(seen.freed == 7);
}

static void pulled(const char *url) {
    heartwire_options *options = heartwire_options_new();
    heartwire_stats_info stats;
    heartwire_send_options with = {.size = sizeof with, .kind = HEARTWIRE_BINARY, .time_to_live_ms = 5000};
    heartwire_event *event = NULL;
    heartwire_client client;
    size_t len = 7;
    uint64_t id = 0;
    OK(heartwire_options_set_report_outcomes(options, true));
    OK(heartwire_options_add_greeting(options, "login", 5, HEARTWIRE_TEXT));
    client = create(url, options);
    heartwire_options_free(options);
    CHECK(heartwire_next_event(client, 0, &event) == HEARTWIRE_ERR_TIMEOUT && event == NULL);
    CHECK(heartwire_next_event(client, -2, &event) == HEARTWIRE_ERR_ARGUMENT);
    CHECK(heartwire_on_open(client, never, NULL, freed, NULL) == HEARTWIRE_ERR_TAKEN);
    CHECK(heartwire_connect_with(client, "\xff", 1, HEARTWIRE_TEXT) == HEARTWIRE_ERR_UTF8);
    OK(heartwire_connect_with(client, "first", 5, HEARTWIRE_TEXT));
    heartwire_event_free(next(client, HEARTWIRE_EVENT_OPEN));
    event = next(client, HEARTWIRE_EVENT_MESSAGE);
    CHECK(memcmp(heartwire_event_data(event, &len), "login", 5) == 0 && len == 5);
    heartwire_event_free(event);
    event = next(client, HEARTWIRE_EVENT_MESSAGE);
    CHECK(memcmp(heartwire_event_data(event, NULL), "first", 5) == 0);
    CHECK(heartwire_event_message_kind(event) == HEARTWIRE_TEXT);
    CHECK(strstr(heartwire_event_text(event), "first") == NULL);
    CHECK(heartwire_event_code(event) == 0 && heartwire_event_subprotocol(event) == NULL);
    heartwire_event_free(event);

    /* Not UTF-8: an error, and nothing goes out. */
    CHECK(heartwire_send_text(client, "caf\xe9", 4, &id) == HEARTWIRE_ERR_UTF8 && id == 0);
    with.kind = HEARTWIRE_TEXT;
    CHECK(heartwire_send(client, "\xc3", 1, &with, &id) == HEARTWIRE_ERR_UTF8 && id == 0);
    CHECK(heartwire_close(client, 1000, "\xff") == HEARTWIRE_ERR_UTF8);
    CHECK(strstr(heartwire_last_error(), "UTF-8") != NULL);

    with.kind = HEARTWIRE_BINARY;
    OK(heartwire_send(client, "a\0b", 3, &with, &id));
    CHECK(id == 2);
    OK(heartwire_send_binary(client, NULL, 0, &id));
    CHECK(id == 3);
    OK(heartwire_ping(client, "?", 1));
    CHECK(heartwire_ping(client, heartwire_version(), 126) == HEARTWIRE_ERR_TOO_BIG);
    OK(heartwire_flush(client, HEARTWIRE_LEVEL_WRITTEN, SOON_MS));
    event = next(client, HEARTWIRE_EVENT_MESSAGE);
    CHECK(memcmp(heartwire_event_data(event, &len), "a\0b", 3) == 0 && len == 3);
    heartwire_event_free(event);
    event = next(client, HEARTWIRE_EVENT_MESSAGE);
    CHECK(heartwire_event_data(event, &len) != NULL && len == 0);
    CHECK(heartwire_event_message_kind(event) == HEARTWIRE_BINARY);
    heartwire_event_free(event);
    memset(&stats, 0xff, sizeof stats);
    stats.size = sizeof stats;
    OK(heartwire_stats(client, &stats));
    CHECK(stats.accepted == 3 && stats.messages_sent == 3 && stats.messages_received == 4 && stats.sessions == 1);
    CHECK(stats.queued_bytes == 0 && stats.last_rtt_us == -1 && stats.size == sizeof stats);
    OK(heartwire_close(client, 4001, NULL));
    event = next(client, HEARTWIRE_EVENT_CLOSED_FOR_GOOD);
    CHECK(heartwire_event_end(event) == HEARTWIRE_END_CLOSED);
    CHECK(heartwire_next_event(client, -1, &event) == HEARTWIRE_ERR_CLOSED);
    OK(heartwire_destroy(client));
    CHECK(heartwire_event_end(event) == HEARTWIRE_END_CLOSED); /* events outlive their client */
    heartwire_event_free(event);
}

static bool readable(int fd, int timeout_ms) {
    struct pollfd polled = {fd, POLLIN, 0};
    return poll(&polled, 1, timeout_ms) == 1;
}

/* A main loop of the program's own: poll, then take all there is. */
static void polled(const char *url) {
    heartwire_client client = create(url, NULL);
    int fd = -1, again = -1;
    bool ended = false, sent = false, echoed = false;
    OK(heartwire_events_fd(client, &fd));
    OK(heartwire_events_fd(client, &again));
    CHECK(fd >= 0 && fd == again && !readable(fd, 0));
    OK(heartwire_connect(client));
    while (!ended) {
        heartwire_event *event = NULL;
        heartwire_status status;
        CHECK(readable(fd, SOON_MS));
        while ((status = heartwire_next_event(client, 0, &event)) == HEARTWIRE_OK) {
            switch (heartwire_event_kind(event)) {
            case HEARTWIRE_EVENT_OPEN: OK(heartwire_send_text(client, "hello", 5, NULL)); sent = true; break;
            case HEARTWIRE_EVENT_MESSAGE: OK(heartwire_close(client, 1000, NULL)); echoed = true; break;
            default: break;
            }
            heartwire_event_free(event);
        }
        ended = status == HEARTWIRE_ERR_CLOSED;
        CHECK(ended || status == HEARTWIRE_ERR_TIMEOUT);
    }
    CHECK(sent && echoed && readable(fd, 0));
    OK(heartwire_destroy(client));
}

static void *wait_for_ever(void *client) {
    heartwire_event *event = NULL;
    heartwire_status status;
    while ((status = heartwire_next_event(*(heartwire_client *)client, -1, &event)) == HEARTWIRE_OK) {
        heartwire_event_free(event);
    }
    CHECK(status == HEARTWIRE_ERR_CLOSED || status == HEARTWIRE_ERR_HANDLE);
    return NULL;
}

/* Waits of other threads end when the client is destroyed. */
static void destroyed_under_a_wait(const char *url) {
    heartwire_client client = create(url, NULL);
    pthread_t thread;
    OK(heartwire_connect(client));
    CHECK(pthread_create(&thread, NULL, wait_for_ever, &client) == 0);
    OK(heartwire_wait_open(client, SOON_MS));
    OK(heartwire_destroy(client));
    CHECK(pthread_join(thread, NULL) == 0);
}

static atomic_int lines, starts, stops;

static void on_line(heartwire_log_level level, const char *line, void *user_data) {
    CHECK(user_data == &lines && level <= HEARTWIRE_LOG_INFO && strchr(line, '\n') == NULL);
    atomic_fetch_add(&lines, 1);
}

static void count(void *user_data) {
    (void)user_data;
    atomic_fetch_add(&starts, 1);
}

static void count_stop(void *user_data) {
    (void)user_data;
    atomic_fetch_add(&stops, 1);
}

static void logged_and_hooked(const char *url) {
    heartwire_client client;
    int before;
    OK(heartwire_set_thread_hooks(count, count_stop, NULL));
    OK(heartwire_set_logger(HEARTWIRE_LOG_INFO, on_line, &lines));
    client = create(url, NULL);
    OK(heartwire_connect(client));
    OK(heartwire_wait_open(client, SOON_MS));
    OK(heartwire_close(client, 1000, NULL));
    OK(heartwire_wait_closed(client, SOON_MS));
    OK(heartwire_destroy(client));
    OK(heartwire_set_logger(HEARTWIRE_LOG_OFF, NULL, NULL));
    OK(heartwire_set_thread_hooks(NULL, NULL, NULL));
    before = atomic_load(&lines);
    CHECK(before >= 2 && atomic_load(&starts) == 1 && atomic_load(&stops) == 1);
    client = create(url, NULL);
    OK(heartwire_connect(client));
    OK(heartwire_wait_open(client, SOON_MS));
    OK(heartwire_release(client));
    CHECK(atomic_load(&lines) == before && atomic_load(&starts) == 1);
}

/* Two clients of one options object share its user_data; the last of the three frees it. */
static uint32_t soon(heartwire_client client, uint32_t failures, void *user_data) {
    (void)client, (void)failures, (void)user_data;
    return 1;
}

static void shared_user_data(void) {
    struct seen seen = {0};
    heartwire_options *options = heartwire_options_new();
    heartwire_client first, second;
    OK(heartwire_options_set_reconnect_custom(options, soon, &seen, freed));
    OK(heartwire_create("ws://127.0.0.1:1/", options, &first));
    OK(heartwire_create("ws://127.0.0.1:1/", options, &second));
    heartwire_options_free(options);
    OK(heartwire_destroy(first));
    CHECK(seen.freed == 0);
    OK(heartwire_destroy(second));
    CHECK(seen.freed == 1);
    options = heartwire_options_new();
    OK(heartwire_options_set_reconnect_custom(options, soon, &seen, freed));
    CHECK(heartwire_options_set_reconnect_custom(options, NULL, &seen, freed) == HEARTWIRE_ERR_ARGUMENT);
    CHECK(seen.freed == 1);
    OK(heartwire_options_set_reconnect_never(options));
    CHECK(seen.freed == 2);
    heartwire_options_free(options);
    CHECK(seen.freed == 2);
}

/* The failure of an attempt, in all its parts. */
static void refused(const char *url) {
    heartwire_options *options = heartwire_options_new();
    heartwire_client client;
    heartwire_event *event;
    heartwire_error_info error;
    char value[8];
    size_t len = sizeof value;
    OK(heartwire_options_set_reconnect_never(options));
    OK(heartwire_create(url, options, &client));
    heartwire_options_free(options);
    OK(heartwire_connect(client));
    event = next(client, HEARTWIRE_EVENT_CONNECT_FAILED);
    error.size = 1;
    CHECK(heartwire_event_error(event, &error) == HEARTWIRE_ERR_ARGUMENT);
    error.size = sizeof error;
    OK(heartwire_event_error(event, &error));
    CHECK(error.phase == HEARTWIRE_PHASE_UPGRADE && error.kind == HEARTWIRE_CAUSE_REFUSED);
    CHECK(error.http_status == 403 && error.os_error == 0 && error.will_retry == 0 && error.delay_ms == -1);
    CHECK(error.tls_fault == HEARTWIRE_TLS_FAULT_NONE && strstr(error.text, "403") != NULL);
    CHECK(heartwire_event_attempt(event) == 1 && heartwire_event_retry_ms(event) == -1);
    OK(heartwire_event_header(event, "X-Why", value, &len));
    CHECK(strcmp(value, "because") == 0);
    CHECK(heartwire_event_refusal_body(event, &len) != NULL && len <= 4);
    heartwire_event_free(event);
    event = next(client, HEARTWIRE_EVENT_CLOSED_FOR_GOOD);
    CHECK(heartwire_event_end(event) != HEARTWIRE_END_NOT && heartwire_event_end(event) != HEARTWIRE_END_CLOSED);
    OK(heartwire_event_error(event, &error));
    CHECK(error.http_status == 403);
    heartwire_event_free(event);
    OK(heartwire_destroy(client));
}

/* The failure of a proxy, in all its parts; and a struct of the first version, which ended before them. */
static void proxied(const char *url, const char *proxy, heartwire_proxy_fault fault, int reply, int http_status) {
    heartwire_options *options = heartwire_options_new();
    heartwire_client client;
    heartwire_event *event;
    heartwire_error_info error;
    OK(heartwire_options_set_reconnect_never(options));
    OK(heartwire_options_add_subprotocol(options, "chat"));
    OK(heartwire_options_set_proxy(options, proxy, "user", "pass"));
    OK(heartwire_create(url, options, &client));
    heartwire_options_free(options);
    OK(heartwire_connect(client));
    if (fault == HEARTWIRE_PROXY_FAULT_NONE && http_status == 0) {
        heartwire_event_free(next(client, HEARTWIRE_EVENT_OPEN));
        OK(heartwire_destroy(client));
        return;
    }
    event = next(client, HEARTWIRE_EVENT_CONNECT_FAILED);
    error.size = sizeof error;
    OK(heartwire_event_error(event, &error));
    CHECK(error.phase == HEARTWIRE_PHASE_PROXY && error.http_status == http_status);
    CHECK(error.kind == (http_status ? HEARTWIRE_CAUSE_REFUSED : HEARTWIRE_CAUSE_PROXY));
    CHECK(error.proxy_fault == fault && error.socks_reply == reply);
    CHECK(strstr(error.text, "proxy") != NULL && strstr(error.text, "pass") == NULL);
    memset(&error, 0x55, sizeof error);
    error.size = offsetof(heartwire_error_info, proxy_fault);
    OK(heartwire_event_error(event, &error));
    CHECK(error.phase == HEARTWIRE_PHASE_PROXY && error.proxy_fault == 0x55555555);
    heartwire_event_free(event);
    OK(heartwire_destroy(client));
}

int main(int argc, char **argv) {
    CHECK(argc == 7);
    callbacks(argv[1]);
    pulled(argv[1]);
    polled(argv[1]);
    destroyed_under_a_wait(argv[1]);
    logged_and_hooked(argv[1]);
    shared_user_data();
    refused(argv[2]);
    proxied(argv[1], argv[3], HEARTWIRE_PROXY_FAULT_NONE, 0, 0);
    proxied(argv[1], argv[4], HEARTWIRE_PROXY_FAULT_NONE, 0, 407);
    proxied(argv[1], argv[5], HEARTWIRE_PROXY_FAULT_NOT_HTTP, 0, 0);
    /* Nobody is there. */
    proxied("ws://127.0.0.1:1/", argv[6], HEARTWIRE_PROXY_FAULT_SOCKS, 5, 0);
    return 0;
}
