/*
 * What becomes of messages, from C: levels in outcomes and for flush, what goes again and its stamp, priority, and
 * programs that were compiled before there was any of it.
 *
 * Arguments: the URLs of a server that obeys "close CODE REASON" and sends the rest back, and of one that answers no
 * ping. A server that is told to close does so before it answers a ping, so that nothing is proven of the message.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdatomic.h>
#include <string.h>

#include "events.h"

enum { FIRST_SIZE = offsetof(heartwire_send_options, level) };

static heartwire_options *options_for_outcomes(void) {
    heartwire_options *options = heartwire_options_new();
    OK(heartwire_options_set_report_outcomes(options, true));
    OK(heartwire_options_set_reconnect_fixed(options, 1));
    OK(heartwire_options_set_close_timeout(options, 200));
    return options;
}

static heartwire_client created(const char *url, heartwire_options *options) {
    heartwire_client client;
    OK(heartwire_create(url, options, &client));
    heartwire_options_free(options);
    return client;
}

static void expect_message(heartwire_client client, const char *expected, heartwire_message_kind kind) {
    heartwire_event *event = next(client, HEARTWIRE_EVENT_MESSAGE);
    size_t len;
    const uint8_t *data = heartwire_event_data(event, &len);
    CHECK(heartwire_event_message_kind(event) == kind);
    CHECK(len == strlen(expected) && memcmp(data, expected, len) == 0);
    heartwire_event_free(event);
}

static void send_with(heartwire_client client, const char *text, heartwire_level level, heartwire_delivery delivery,
                      heartwire_priority priority) {
    heartwire_send_options with = {.size = sizeof with, .kind = HEARTWIRE_TEXT};
    with.level = level, with.delivery = delivery, with.priority = priority;
    OK(heartwire_send(client, text, strlen(text), &with, NULL));
}

static heartwire_stats_info stats_of(heartwire_client client) {
    heartwire_stats_info stats;
    stats.size = sizeof stats;
    OK(heartwire_stats(client, &stats));
    return stats;
}

/* Each message completes at the level that was asked for it, or else for the client. */
static void levels(const char *url) {
    static const heartwire_level asked[] = {HEARTWIRE_LEVEL_WRITTEN, HEARTWIRE_LEVEL_ACKED, HEARTWIRE_LEVEL_PROCESSED};
    size_t client_level, level;
    for (client_level = 0; client_level < 3; client_level++) {
        heartwire_options *options = options_for_outcomes();
        heartwire_client client;
        heartwire_outcome_info told;
        OK(heartwire_options_set_complete_at(options, asked[client_level]));
        client = created(url, options);
        OK(heartwire_connect(client));
        OK(heartwire_send_text(client, "hello", 5, NULL));
        told = next_outcome(client);
        CHECK(told.first == 1 && told.last == 1 && told.fate == HEARTWIRE_FATE_COMPLETED);
        CHECK(told.level == asked[client_level] && told.dropped == HEARTWIRE_DROPPED_NOT);
        for (level = 0; level < 3; level++) {
            send_with(client, "hello", asked[level], 0, HEARTWIRE_PRIORITY_NORMAL);
            told = next_outcome(client);
            CHECK(told.first == level + 2 && told.fate == HEARTWIRE_FATE_COMPLETED && told.level == asked[level]);
        }
        /* One that has to arrive is not complete when it is written, but for the one that says so. */
        send_with(client, "hello", HEARTWIRE_LEVEL_WRITTEN, HEARTWIRE_DELIVERY_AT_LEAST_ONCE, 0);
        CHECK(next_outcome(client).level == HEARTWIRE_LEVEL_PROCESSED);
        send_with(client, "hello", HEARTWIRE_LEVEL_ACKED, HEARTWIRE_DELIVERY_AT_LEAST_ONCE, 0);
        CHECK(next_outcome(client).level == HEARTWIRE_LEVEL_ACKED);
        for (level = 0; level < 3; level++) {
            OK(heartwire_send_text(client, "hello", 5, NULL));
            OK(heartwire_flush(client, asked[level], SOON_MS));
        }
        OK(heartwire_flush(client, HEARTWIRE_LEVEL_PROCESSED, SOON_MS));
        CHECK(stats_of(client).unconfirmed == 0 && stats_of(client).messages_sent == 9);
        OK(heartwire_destroy(client));
    }
}

/* A server that proves nothing leaves what was written unconfirmed, and a close without an answer leaves it unknown. */
static void unproven(const char *url) {
    heartwire_options *options = options_for_outcomes();
    heartwire_client client;
    heartwire_outcome_info told;
    OK(heartwire_options_set_complete_at(options, HEARTWIRE_LEVEL_PROCESSED));
    OK(heartwire_options_set_heartbeat_off(options));
    client = created(url, options);
    OK(heartwire_connect(client));
    OK(heartwire_send_text(client, "hello", 5, NULL));
    OK(heartwire_flush(client, HEARTWIRE_LEVEL_ACKED, SOON_MS));
    CHECK(heartwire_flush(client, HEARTWIRE_LEVEL_PROCESSED, 1) == HEARTWIRE_ERR_TIMEOUT);
    CHECK(stats_of(client).unconfirmed == 1 && stats_of(client).queued_messages == 0);
    CHECK(stats_of(client).messages_sent == 0);
    OK(heartwire_close(client, 1000, NULL));
    told = next_outcome(client);
    CHECK(told.first == 1 && told.fate == HEARTWIRE_FATE_UNKNOWN && told.level == HEARTWIRE_LEVEL_ACKED);
    OK(heartwire_wait_closed(client, SOON_MS));
    CHECK(stats_of(client).unconfirmed == 0 && stats_of(client).unknown == 1);
    OK(heartwire_destroy(client));
}

/* The same where the session dies. Nothing happens between two calls: they turn the loop. */
static void lost(const char *url) {
    heartwire_options *options = options_for_outcomes();
    heartwire_loop *event_loop = heartwire_loop_new();
    heartwire_client client;
    heartwire_outcome_info told;
    OK(heartwire_options_set_loop(options, event_loop));
    client = created(url, options);
    OK(heartwire_connect(client));
    send_with(client, "close 4000 bye", HEARTWIRE_LEVEL_PROCESSED, 0, 0);
    CHECK(heartwire_flush(client, HEARTWIRE_LEVEL_PROCESSED, SOON_MS) == HEARTWIRE_ERR_UNKNOWN);
    CHECK(strstr(heartwire_last_error(), "session") != NULL);
    told = next_outcome(client);
    CHECK(told.first == 1 && told.fate == HEARTWIRE_FATE_UNKNOWN);
    CHECK(told.level == HEARTWIRE_LEVEL_WRITTEN || told.level == HEARTWIRE_LEVEL_ACKED);
    OK(heartwire_send_text(client, "hello", 5, NULL));
    OK(heartwire_flush(client, HEARTWIRE_LEVEL_PROCESSED, SOON_MS));
    OK(heartwire_destroy(client));
    OK(heartwire_loop_free(event_loop));
}

struct replays {
    atomic_uint calls;
    atomic_int freed;
};

static void freed(void *user_data) {
    struct replays *replays = user_data;
    atomic_fetch_add(&replays->freed, 1);
}

static void on_replay(heartwire_client client, uint64_t id, uint32_t number, const void *data, size_t len,
                      heartwire_message_kind kind, heartwire_replay *replay, void *user_data) {
    static const char *written[] = {"close 4000 bye", "close 4001 bye", "close 4002 bye"};
    struct replays *replays = user_data;
    CHECK(heartwire_is_valid(client) && id == 1 && kind == HEARTWIRE_TEXT);
    CHECK(number == atomic_fetch_add(&replays->calls, 1) + 1 && number <= 3);
    CHECK(len == 14 && memcmp(data, written[number - 1], len) == 0);
    if (number < 3) {
        OK(heartwire_replay_replace(replay, "of no use", 9, HEARTWIRE_BINARY));
        OK(heartwire_replay_replace(replay, written[number], 14, HEARTWIRE_TEXT));
        CHECK(memcmp(data, written[number - 1], len) == 0);
        CHECK(heartwire_replay_replace(replay, "\xff", 1, HEARTWIRE_TEXT) == HEARTWIRE_ERR_UTF8);
        CHECK(heartwire_replay_replace(replay, "x", 1, 0) == HEARTWIRE_ERR_ARGUMENT);
        CHECK(heartwire_replay_replace(replay, NULL, 1, HEARTWIRE_TEXT) == HEARTWIRE_ERR_ARGUMENT);
    } else {
        OK(heartwire_replay_replace(replay, "for the fourth time", 19, HEARTWIRE_BINARY));
    }
}

/* What was not processed goes again, stamped, ahead of what is behind it, until it is. */
static void replay(const char *url) {
    heartwire_options *options = options_for_outcomes();
    struct replays replays = {0}, never = {0};
    heartwire_client client;
    heartwire_outcome_info told;
    OK(heartwire_options_set_delivery(options, HEARTWIRE_DELIVERY_AT_LEAST_ONCE));
    OK(heartwire_options_set_on_replay(options, on_replay, &never, freed));
    OK(heartwire_options_set_on_replay(options, NULL, NULL, NULL));
    CHECK(atomic_load(&never.freed) == 1);
    OK(heartwire_options_set_on_replay(options, on_replay, &replays, freed));
    client = created(url, options);
    OK(heartwire_send_text(client, "close 4000 bye", 14, NULL));
    OK(heartwire_connect(client));
    expect_message(client, "for the fourth time", HEARTWIRE_BINARY);
    OK(heartwire_flush(client, HEARTWIRE_LEVEL_PROCESSED, SOON_MS));
    told = next_outcome(client);
    CHECK(told.first == 1 && told.fate == HEARTWIRE_FATE_COMPLETED && told.level == HEARTWIRE_LEVEL_PROCESSED);
    CHECK(atomic_load(&replays.calls) == 3 && stats_of(client).replayed == 3 && stats_of(client).sessions == 4);
    CHECK(stats_of(client).accepted == 1 && stats_of(client).messages_sent == 1);
    CHECK(atomic_load(&replays.freed) == 0);
    OK(heartwire_destroy(client));
    CHECK(atomic_load(&replays.freed) == 1 && atomic_load(&never.freed) == 1 && atomic_load(&never.calls) == 0);
}

static void priority(const char *url) {
    heartwire_client client = created(url, options_for_outcomes());
    OK(heartwire_send_text(client, "two", 3, NULL));
    send_with(client, "three", 0, 0, HEARTWIRE_PRIORITY_NORMAL);
    send_with(client, "zero", 0, 0, HEARTWIRE_PRIORITY_HIGH);
    send_with(client, "one", 0, 0, HEARTWIRE_PRIORITY_HIGH);
    OK(heartwire_connect(client));
    expect_message(client, "zero", HEARTWIRE_TEXT);
    expect_message(client, "one", HEARTWIRE_TEXT);
    expect_message(client, "two", HEARTWIRE_TEXT);
    expect_message(client, "three", HEARTWIRE_TEXT);
    OK(heartwire_destroy(client));
}

/* A close that waits until all is processed. The server's log has the ping ahead of the Close. */
static void drain(const char *url) {
    heartwire_options *options = options_for_outcomes();
    heartwire_client client;
    OK(heartwire_options_set_drain_to(options, HEARTWIRE_LEVEL_PROCESSED));
    OK(heartwire_options_set_close_timeout(options, SOON_MS));
    client = created(url, options);
    OK(heartwire_connect(client));
    OK(heartwire_send_text(client, "last words", 10, NULL));
    OK(heartwire_wait_open(client, SOON_MS));
    OK(heartwire_close(client, 4321, "drained"));
    OK(heartwire_wait_closed(client, SOON_MS));
    OK(heartwire_destroy(client));
}

static void refused(heartwire_client client, const heartwire_send_options *with, const char *words) {
    CHECK(heartwire_send(client, "x", 1, with, NULL) == HEARTWIRE_ERR_ARGUMENT);
    CHECK(strstr(heartwire_last_error(), words) != NULL);
}

static void numbers(void) {
    const heartwire_send_options right = {.size = sizeof right, .kind = HEARTWIRE_TEXT};
    heartwire_send_options with = right;
    heartwire_options *options = heartwire_options_new();
    heartwire_client client;
    int32_t bad[] = {-1, 3, 4, 99};
    size_t i;
    OK(heartwire_create("ws://127.0.0.1:1/", NULL, &client));
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (bad[i] != HEARTWIRE_LEVEL_PROCESSED) {
            with = right, with.level = bad[i];
            refused(client, &with, "level");
            CHECK(heartwire_flush(client, bad[i], 0) == HEARTWIRE_ERR_ARGUMENT);
            CHECK(heartwire_options_set_complete_at(options, bad[i]) == HEARTWIRE_ERR_ARGUMENT);
            CHECK(heartwire_options_set_drain_to(options, bad[i]) == HEARTWIRE_ERR_ARGUMENT);
        }
        with = right, with.delivery = bad[i];
        refused(client, &with, "delivery");
        CHECK(heartwire_options_set_delivery(options, bad[i]) == HEARTWIRE_ERR_ARGUMENT);
        with = right, with.priority = bad[i];
        refused(client, &with, "priority");
        with = right, with.reserved = bad[i];
        refused(client, &with, "reserved");
    }
    CHECK(heartwire_flush(client, HEARTWIRE_LEVEL_NONE, 0) == HEARTWIRE_ERR_ARGUMENT);
    CHECK(heartwire_options_set_complete_at(options, HEARTWIRE_LEVEL_NONE) == HEARTWIRE_ERR_ARGUMENT);
    CHECK(heartwire_options_set_drain_to(options, HEARTWIRE_LEVEL_NONE) == HEARTWIRE_ERR_ARGUMENT);
    CHECK(heartwire_options_set_delivery(options, 0) == HEARTWIRE_ERR_ARGUMENT);
    CHECK(stats_of(client).accepted == 0);
    OK(heartwire_send(client, "x", 1, &right, NULL));
    OK(heartwire_destroy(client));
    heartwire_options_free(options);
}

/* A program that was compiled before there were levels: what is behind its struct is not looked at, nor written to. */
static void old_programs(void) {
    heartwire_send_options with;
    heartwire_stats_info stats;
    heartwire_client client;
    OK(heartwire_create("ws://127.0.0.1:1/", NULL, &client));
    memset(&with, 0x7f, sizeof with);
    with.size = FIRST_SIZE, with.kind = HEARTWIRE_TEXT, with.time_to_live_ms = 0;
    OK(heartwire_send(client, "x", 1, &with, NULL));
    with.size = FIRST_SIZE - 1;
    refused(client, &with, "size");
    with.size = FIRST_SIZE + sizeof with.level;
    refused(client, &with, "level");
    with.level = HEARTWIRE_LEVEL_ACKED;
    OK(heartwire_send(client, "x", 1, &with, NULL));

    stats.size = offsetof(heartwire_stats_info, unconfirmed), stats.unconfirmed = stats.replayed = 99;
    OK(heartwire_stats(client, &stats));
    CHECK(stats.accepted == 2 && stats.unconfirmed == 99 && stats.replayed == 99);
    OK(heartwire_destroy(client));
}

int main(int argc, char **argv) {
    CHECK(argc == 3);
    levels(argv[1]);
    unproven(argv[2]);
    lost(argv[1]);
    replay(argv[1]);
    priority(argv[1]);
    numbers();
    old_programs();
    drain(argv[1]);
    return 0;
}
