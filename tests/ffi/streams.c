/*
 * Messages that are sent in pieces, from C, and fragments of large ones.
 *
 * Argument: the URL of a server that echoes, and takes frames apart by the rules.
 */
#define _POSIX_C_SOURCE 200809L
#include <string.h>

#include "events.h"

enum { WHOLE = 1000000, BUFFER = 256 * 1024 };

static char whole[WHOLE];

static void expect_message(heartwire_client client, const void *expected, size_t len) {
    heartwire_event *event = next(client, HEARTWIRE_EVENT_MESSAGE);
    size_t got;
    const uint8_t *data = heartwire_event_data(event, &got);
    CHECK(got == len && memcmp(data, expected, len) == 0);
    heartwire_event_free(event);
}

static heartwire_client created(const char *url) {
    heartwire_options *options = heartwire_options_new();
    heartwire_client client;
    OK(heartwire_options_set_report_outcomes(options, true));
    OK(heartwire_options_set_reconnect_fixed(options, 1));
    CHECK(heartwire_options_set_fragment_size(options, 127) == HEARTWIRE_ERR_CONFIG);
    CHECK(strstr(heartwire_last_error(), "fragment_size") != NULL);
    OK(heartwire_options_set_fragment_size(options, 0));
    OK(heartwire_options_set_fragment_size(options, 1000));
    OK(heartwire_create(url, options, &client));
    heartwire_options_free(options);
    return client;
}

/* Every byte in some number of calls; each says how many it took. */
static void append_all(heartwire_stream stream, const char *data, size_t len, size_t piece) {
    while (len > 0) {
        size_t taken = 0, now = len < piece ? len : piece;
        OK(heartwire_stream_append(stream, data, now, SOON_MS, &taken));
        CHECK(taken == now);
        data += taken, len -= taken;
    }
}

static void stale(heartwire_stream stream) {
    size_t taken = 77;
    CHECK(heartwire_stream_append(stream, "x", 1, 0, &taken) == HEARTWIRE_ERR_HANDLE);
    CHECK(heartwire_stream_finish(stream) == HEARTWIRE_ERR_HANDLE);
    CHECK(heartwire_stream_abort(stream) == HEARTWIRE_ERR_HANDLE);
    CHECK(taken == 77);
}

static void one_message(const char *url) {
    heartwire_client client = created(url);
    heartwire_stream stream = HEARTWIRE_STREAM_INIT;
    uint64_t id = 0;
    stale(stream);
    OK(heartwire_connect(client));
    OK(heartwire_stream_begin(client, HEARTWIRE_BINARY, &stream, &id));
    CHECK(id == 1 && stream.id != 0);
    OK(heartwire_send_text(client, "behind", 6, NULL));
    append_all(stream, whole, WHOLE, 77777);
    OK(heartwire_stream_finish(stream));
    stale(stream);
    expect_message(client, whole, WHOLE);
    expect_message(client, "behind", 6);

    OK(heartwire_stream_begin(client, HEARTWIRE_TEXT, &stream, NULL));
    append_all(stream, "h\xc3\xa9llo", 6, 1);
    {
        size_t taken;
        CHECK(heartwire_stream_append(stream, "\xff", 1, 0, &taken) == HEARTWIRE_ERR_UTF8);
        OK(heartwire_stream_append(stream, NULL, 0, 0, &taken));
        CHECK(taken == 0);
    }
    OK(heartwire_stream_finish(stream));
    expect_message(client, "h\xc3\xa9llo", 6);
    OK(heartwire_destroy(client));
}

/* Without a session 256 KiB wait, and no more. */
static void bounded(const char *url) {
    heartwire_client client = created(url);
    heartwire_stream stream;
    heartwire_stats_info stats;
    size_t taken = 0;
    OK(heartwire_stream_begin(client, HEARTWIRE_BINARY, &stream, NULL));
    OK(heartwire_stream_append(stream, whole, WHOLE, 1, &taken));
    CHECK(taken == BUFFER && heartwire_buffered_amount(client) == BUFFER);
    CHECK(heartwire_stream_append(stream, whole, 1, 0, &taken) == HEARTWIRE_ERR_FULL);
    CHECK(heartwire_stream_append(stream, whole, 1, 1, &taken) == HEARTWIRE_ERR_TIMEOUT);
    OK(heartwire_stream_abort(stream));
    stale(stream);
    CHECK(heartwire_buffered_amount(client) == 0);
    stats.size = sizeof stats;
    OK(heartwire_stats(client, &stats));
    CHECK(stats.interrupted == 1 && stats.accepted == 1);
    /* A program that was compiled before there was `interrupted`. */
    stats.size = offsetof(heartwire_stats_info, interrupted), stats.interrupted = 99;
    OK(heartwire_stats(client, &stats));
    CHECK(stats.interrupted == 99);

    OK(heartwire_stream_begin(client, HEARTWIRE_TEXT, &stream, NULL));
    OK(heartwire_stream_append(stream, "\xc3", 1, 0, &taken));
    CHECK(heartwire_stream_finish(stream) == HEARTWIRE_ERR_UTF8);
    stale(stream);
    OK(heartwire_stream_begin(client, HEARTWIRE_TEXT, &stream, NULL));
    OK(heartwire_destroy(client));
    CHECK(heartwire_stream_append(stream, "x", 1, SOON_MS, &taken) == HEARTWIRE_ERR_CLOSED);
    CHECK(heartwire_stream_finish(stream) == HEARTWIRE_ERR_CLOSED);
    stale(stream);
}

/* The session is closed, says why, and the next one takes what is behind. */
static void aborted(const char *url) {
    heartwire_client client = created(url);
    heartwire_stream stream;
    heartwire_event *event;
    heartwire_error_info error;
    heartwire_outcome_info told;
    heartwire_stats_info stats;
    size_t taken = 0;
    uint64_t id = 0;
    OK(heartwire_connect(client));
    heartwire_event_free(next(client, HEARTWIRE_EVENT_OPEN));
    OK(heartwire_stream_begin(client, HEARTWIRE_BINARY, &stream, &id));
    OK(heartwire_stream_append(stream, whole, 1000, 0, &taken));
    stats.size = sizeof stats, stats.bytes_sent = 0;
    EVENTUALLY((heartwire_stats(client, &stats), stats.bytes_sent == 1000));
    OK(heartwire_send_text(client, "behind", 6, NULL));
    OK(heartwire_stream_abort(stream));
    event = next(client, HEARTWIRE_EVENT_CLOSE);
    error.size = sizeof error;
    OK(heartwire_event_error(event, &error));
    CHECK(error.kind == HEARTWIRE_CAUSE_ABANDONED && error.close_code == 1001 && error.will_retry == 1);
    heartwire_event_free(event);
    told = next_outcome(client);
    CHECK(told.first == id && told.fate == HEARTWIRE_FATE_DROPPED && told.dropped == HEARTWIRE_DROPPED_ABANDONED);
    expect_message(client, "behind", 6);

    OK(heartwire_stream_begin(client, HEARTWIRE_BINARY, &stream, &id));
    OK(heartwire_stream_append(stream, whole, 1000, 0, &taken));
    OK(heartwire_send_text(client, "close 4000", 10, NULL));
    OK(heartwire_close(client, 1000, NULL));
    CHECK(heartwire_stream_append(stream, whole, 1, SOON_MS, &taken) == HEARTWIRE_ERR_CLOSED);
    CHECK(heartwire_stream_finish(stream) == HEARTWIRE_ERR_CLOSED);
    CHECK(heartwire_stream_begin(client, HEARTWIRE_BINARY, &stream, &id) == HEARTWIRE_ERR_CLOSED);
    OK(heartwire_wait_closed(client, SOON_MS));
    OK(heartwire_destroy(client));
}

int main(int argc, char **argv) {
    size_t i;
    CHECK(argc == 2);
    for (i = 0; i < WHOLE; i++) {
        whole[i] = (char)(i % 251);
    }
    one_message(argv[1]);
    bounded(argv[1]);
    aborted(argv[1]);
    return 0;
}
