/* What the header says is what the library does: versions, status numbers, states, ready states. */
#define _POSIX_C_SOURCE 200809L
#include <string.h>

#include "check.h"

static void versions(void) {
    char numbers[64];
    CHECK(strcmp(heartwire_version(), HEARTWIRE_VERSION) == 0);
    snprintf(numbers, sizeof numbers, "%d.%d.%d", HEARTWIRE_VERSION_MAJOR, HEARTWIRE_VERSION_MINOR,
             HEARTWIRE_VERSION_PATCH);
    CHECK(strncmp(heartwire_version(), numbers, strlen(numbers)) == 0);
}

/* Each status with its words: a number that drifted would have others. */
static void statuses(void) {
    static const struct {
        heartwire_status status;
        const char *words;
    } all[] = {
        {HEARTWIRE_OK, "ok"},
        {HEARTWIRE_ERR_ARGUMENT, "an argument cannot be"},
        {HEARTWIRE_ERR_HANDLE, "not a client, or one that was destroyed"},
        {HEARTWIRE_ERR_UTF8, "text that is not UTF-8"},
        {HEARTWIRE_ERR_CONFIG, "a setting cannot be"},
        {HEARTWIRE_ERR_FULL, "the outbox is full"},
        {HEARTWIRE_ERR_CLOSED, "the client is closed"},
        {HEARTWIRE_ERR_TIMEOUT, "timed out"},
        {HEARTWIRE_ERR_WOULD_DEADLOCK, "waiting here would stop the event loop"},
        {HEARTWIRE_ERR_ALREADY_CONNECTED, "connect was called before"},
        {HEARTWIRE_ERR_TOO_BIG, "too long"},
        {HEARTWIRE_ERR_NOT_OPEN, "no session is open"},
        {HEARTWIRE_ERR_TAKEN, "taken by another"},
        {HEARTWIRE_ERR_NOT_FOUND, "there is none"},
        {HEARTWIRE_ERR_BUFFER, "the buffer is too small"},
        {HEARTWIRE_ERR_SYSTEM, "the operating system refused"},
        {HEARTWIRE_ERR_UNSUPPORTED, "not supported here"},
        {HEARTWIRE_ERR_PANIC, "a bug in heartwire"},
        {HEARTWIRE_ERR_BUSY, "in use"},
        {HEARTWIRE_ERR_DROPPED, "the message has ended early"},
        {HEARTWIRE_ERR_UNKNOWN, "how far the messages got is unknown"},
    };
    size_t i, count = sizeof all / sizeof *all;
    for (i = 0; i < count; i++) {
        CHECK(all[i].status == (heartwire_status)i);
        CHECK(strcmp(heartwire_status_text(all[i].status), all[i].words) == 0);
    }
    CHECK(strcmp(heartwire_status_text((heartwire_status)count), "unknown status") == 0);
    CHECK(strcmp(heartwire_status_text(-1), "unknown status") == 0);
}

/* Numbers without a name are refused where they are given. */
static void unknown_numbers(void) {
    heartwire_options *options = heartwire_options_new();
    heartwire_client client;
    heartwire_send_options with = {.size = sizeof with, .kind = 99};
    CHECK(heartwire_options_set_dispatch(options, 99) == HEARTWIRE_ERR_ARGUMENT);
    CHECK(heartwire_options_set_dispatch(options, 0) == HEARTWIRE_ERR_ARGUMENT);
    CHECK(heartwire_options_set_outbox_when_full(options, -1, 1) == HEARTWIRE_ERR_ARGUMENT);
    CHECK(heartwire_options_set_tls_min_version(options, 1) == HEARTWIRE_ERR_ARGUMENT);
    CHECK(heartwire_options_add_greeting(options, "x", 1, 99) == HEARTWIRE_ERR_ARGUMENT);
    CHECK(heartwire_set_logger(99, NULL, NULL) == HEARTWIRE_ERR_ARGUMENT);
    OK(heartwire_create("ws://127.0.0.1:1/", options, &client));
    CHECK(heartwire_connect_with(client, "x", 1, 0) == HEARTWIRE_ERR_ARGUMENT);
    CHECK(heartwire_flush(client, 99, 1) == HEARTWIRE_ERR_ARGUMENT);
    CHECK(heartwire_send(client, "x", 1, &with, NULL) == HEARTWIRE_ERR_ARGUMENT);
    with.kind = HEARTWIRE_TEXT, with.size = 1;
    CHECK(heartwire_send(client, "x", 1, &with, NULL) == HEARTWIRE_ERR_ARGUMENT);
    CHECK(heartwire_close(client, 1005, NULL) == HEARTWIRE_ERR_ARGUMENT);
    CHECK(strstr(heartwire_last_error(), "1005") != NULL);
    CHECK(heartwire_buffered_amount(client) == 0);
    OK(heartwire_destroy(client));
    heartwire_options_free(options);
}

/* Setters check at once, and say what is wrong. */
/* TLS with a proxy, and no proxy, or one without TLS. */
static void proxys_tls(void) {
    heartwire_options *options = heartwire_options_new();
    heartwire_client client = HEARTWIRE_CLIENT_INIT;
    if (heartwire_options_set_proxy_tls(options, options) != HEARTWIRE_ERR_UNSUPPORTED) {
        CHECK(heartwire_create("ws://h/", options, &client) == HEARTWIRE_ERR_CONFIG && client.id == 0);
        CHECK(strstr(heartwire_last_error(), "no proxy is") != NULL);
        OK(heartwire_options_set_proxy(options, "http://h", NULL, NULL));
        CHECK(heartwire_create("ws://h/", options, &client) == HEARTWIRE_ERR_CONFIG && client.id == 0);
        OK(heartwire_options_set_proxy(options, "https://h", NULL, NULL));
        OK(heartwire_create("ws://h/", options, &client));
        OK(heartwire_destroy(client));
    }
    heartwire_options_free(options);
}

static void settings(void) {
    heartwire_options *options = heartwire_options_new();
    heartwire_client client = HEARTWIRE_CLIENT_INIT;
    CHECK(heartwire_options_add_header(options, "X Y", "1") == HEARTWIRE_ERR_CONFIG);
    CHECK(strstr(heartwire_last_error(), "header") != NULL);
    CHECK(heartwire_options_add_header(options, "Host", "h") == HEARTWIRE_ERR_CONFIG);
    CHECK(heartwire_options_add_header(options, "X", "\xff") == HEARTWIRE_ERR_UTF8);
    OK(heartwire_options_add_subprotocol(options, "chat"));
    CHECK(heartwire_options_add_subprotocol(options, "chat") == HEARTWIRE_ERR_CONFIG);
    CHECK(heartwire_options_set_local_address(options, "here") == HEARTWIRE_ERR_CONFIG);
    CHECK(heartwire_options_set_proxy(options, "ftp://h", NULL, NULL) == HEARTWIRE_ERR_CONFIG);
    CHECK(strstr(heartwire_last_error(), "scheme ftp") != NULL);
    CHECK(heartwire_options_set_proxy(options, "http://h", "a", "secret\r\nX: y") == HEARTWIRE_ERR_CONFIG);
    CHECK(strstr(heartwire_last_error(), "secret") == NULL);
    CHECK(heartwire_options_set_proxy(options, "http://a:b@h", "a", NULL) == HEARTWIRE_ERR_CONFIG);
    CHECK(heartwire_options_set_proxy(options, "http://h", NULL, "b") == HEARTWIRE_ERR_ARGUMENT);
    CHECK(heartwire_options_set_proxy(options, "\xff", NULL, NULL) == HEARTWIRE_ERR_UTF8);
    OK(heartwire_options_set_proxy(options, "socks5h://127.0.0.1", "a", "b"));
    OK(heartwire_options_set_proxy_from_environment(options));
    proxys_tls();
    CHECK(heartwire_options_set_connect_timeout(options, 0) == HEARTWIRE_ERR_CONFIG);
    CHECK(heartwire_options_set_close_timeout(options, 8u * 24 * 3600 * 1000) == HEARTWIRE_ERR_CONFIG);
    CHECK(heartwire_options_set_heartbeat_reply(options, "pong") == HEARTWIRE_ERR_ARGUMENT);
    CHECK(heartwire_options_set_heartbeat_max_missed(options, 0) == HEARTWIRE_ERR_CONFIG);
    CHECK(heartwire_options_set_reconnect_exponential(options, 1, 1, 0.5, 1) == HEARTWIRE_ERR_CONFIG);
    CHECK(heartwire_options_set_reconnect_delays(options, NULL, 0) == HEARTWIRE_ERR_ARGUMENT);
    CHECK(heartwire_options_set_reconnect_retry_status(options, 99, true) == HEARTWIRE_ERR_CONFIG);
    CHECK(heartwire_options_set_outbox(options, 0, 1) == HEARTWIRE_ERR_CONFIG);
    if (heartwire_options_set_deflate(options, true) == HEARTWIRE_ERR_UNSUPPORTED) {
        CHECK(heartwire_options_set_deflate_level(options, 6) == HEARTWIRE_ERR_UNSUPPORTED);
        CHECK(heartwire_options_set_deflate_threshold(options, 0) == HEARTWIRE_ERR_UNSUPPORTED);
        CHECK(heartwire_options_set_deflate_no_context_takeover(options, true, true) == HEARTWIRE_ERR_UNSUPPORTED);
        CHECK(heartwire_options_set_deflate_max_window_bits(options, 8, 15) == HEARTWIRE_ERR_UNSUPPORTED);
    } else {
        OK(heartwire_options_set_deflate_level(options, 9));
        CHECK(heartwire_options_set_deflate_level(options, 0) == HEARTWIRE_ERR_CONFIG);
        CHECK(heartwire_options_set_deflate_level(options, 10) == HEARTWIRE_ERR_CONFIG);
        OK(heartwire_options_set_deflate_threshold(options, 0));
        OK(heartwire_options_set_deflate_no_context_takeover(options, true, true));
        OK(heartwire_options_set_deflate_max_window_bits(options, 8, 15));
        CHECK(heartwire_options_set_deflate_max_window_bits(options, 7, 15) == HEARTWIRE_ERR_CONFIG);
        CHECK(heartwire_options_set_deflate_max_window_bits(options, 15, 16) == HEARTWIRE_ERR_CONFIG);
    }
    CHECK(heartwire_options_set_deflate(NULL, true) == HEARTWIRE_ERR_ARGUMENT);
    CHECK(heartwire_create("http://h/", options, &client) == HEARTWIRE_ERR_CONFIG);
    CHECK(strstr(heartwire_last_error(), "url") != NULL);
    CHECK(client.id == 0);
    CHECK(heartwire_create("ws://\xff/", options, &client) == HEARTWIRE_ERR_UTF8);
    OK(heartwire_create("ws://127.0.0.1:1/", options, &client));
    OK(heartwire_destroy(client));
    heartwire_options_free(options);
}

static void states(const char *url) {
    heartwire_client client, none = HEARTWIRE_CLIENT_INIT;
    CHECK(heartwire_state(none) == HEARTWIRE_STATE_NONE && heartwire_ready_state(none) == HEARTWIRE_READY_NONE);
    OK(heartwire_create(url, NULL, &client));
    CHECK(heartwire_state(client) == HEARTWIRE_STATE_IDLE);
    CHECK(heartwire_ready_state(client) == HEARTWIRE_READY_CLOSED && HEARTWIRE_READY_CLOSED == 3);
    CHECK(heartwire_ping(client, NULL, 0) == HEARTWIRE_ERR_NOT_OPEN);
    CHECK(heartwire_wait_open(client, 0) == HEARTWIRE_ERR_TIMEOUT);
    OK(heartwire_connect(client));
    CHECK(heartwire_connect(client) == HEARTWIRE_ERR_ALREADY_CONNECTED);
    OK(heartwire_wait_open(client, SOON_MS));
    CHECK(heartwire_state(client) == HEARTWIRE_STATE_OPEN);
    CHECK(heartwire_ready_state(client) == HEARTWIRE_READY_OPEN && HEARTWIRE_READY_OPEN == 1);
    OK(heartwire_close(client, 1000, "done"));
    OK(heartwire_wait_closed(client, SOON_MS));
    CHECK(heartwire_state(client) == HEARTWIRE_STATE_CLOSED);
    CHECK(heartwire_send_text(client, "x", 1, NULL) == HEARTWIRE_ERR_CLOSED);
    CHECK(heartwire_wait_open(client, SOON_MS) == HEARTWIRE_ERR_CLOSED);
    OK(heartwire_destroy(client));
}

int main(int argc, char **argv) {
    CHECK(argc == 2);
    CHECK(strcmp(heartwire_last_error(), "") == 0);
    versions();
    statuses();
    unknown_numbers();
    settings();
    states(argv[1]);
    return 0;
}
