/*
 * Long messages in parts, against an echo server: callbacks, events, pausing, a close in the middle, and settings that
 * cannot be together.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "check.h"

#define LENGTH 300000

static char message[LENGTH];

static heartwire_client create(const char *url) {
    heartwire_options *options = heartwire_options_new();
    heartwire_client client;
    OK(heartwire_options_set_fragments_above(options, 1000));
    OK(heartwire_options_set_close_timeout(options, 500));
    OK(heartwire_create(url, options, &client));
    heartwire_options_free(options);
    return client;
}

struct heard {
    atomic_int parts, allowed, lasts, aborted, messages, freed;
    uint64_t came;
    bool pauses, closes;
};

static void freed(void *user_data) {
    struct heard *heard = user_data;
    atomic_fetch_add(&heard->freed, 1);
}

static void on_message(heartwire_client client, const void *data, size_t len, int32_t kind, void *user_data) {
    struct heard *heard = user_data;
    (void)client, (void)kind;
    CHECK(len == 5 && memcmp(data, "short", 5) == 0);
    atomic_fetch_add(&heard->messages, 1);
}

static void on_fragment(heartwire_client client, const void *data, size_t len, int32_t kind, uint64_t offset,
                        int32_t place, void *user_data) {
    struct heard *heard = user_data;
    CHECK(kind == HEARTWIRE_TEXT && offset == heard->came && offset + len <= LENGTH);
    CHECK(((place & HEARTWIRE_FRAGMENT_FIRST) != 0) == (offset == 0));
    if (place & HEARTWIRE_FRAGMENT_ABORTED) {
        CHECK(data != NULL && len == 0 && offset > 0 && place == HEARTWIRE_FRAGMENT_ABORTED);
        atomic_fetch_add(&heard->aborted, 1);
        return;
    }
    CHECK(memcmp(data, message + offset, len) == 0);
    heard->came += len;
    if (place & HEARTWIRE_FRAGMENT_LAST) {
        CHECK(heard->came == LENGTH);
        atomic_fetch_add(&heard->lasts, 1);
    }
    if (heard->pauses) {
        OK(heartwire_pause_reading(client));
        CHECK(atomic_fetch_add(&heard->parts, 1) == atomic_load(&heard->allowed));
    }
    if (heard->closes) {
        OK(heartwire_close(client, 1000, "enough"));
    }
}

static void callbacks(const char *url, bool pauses, bool closes) {
    struct heard heard = {0};
    heartwire_client client = create(url);
    heartwire_stats_info stats;
    heard.pauses = pauses, heard.closes = closes;
    stats.size = sizeof stats;
    OK(heartwire_on_message(client, on_message, &heard, freed, NULL));
    OK(heartwire_on_fragment(client, on_fragment, &heard, freed, NULL));
    OK(heartwire_send_text(client, "short", 5, NULL));
    OK(heartwire_send_text(client, message, LENGTH, NULL));
    OK(heartwire_connect(client));
    while (pauses && atomic_load(&heard.lasts) == 0) {
        EVENTUALLY(atomic_load(&heard.parts) > atomic_load(&heard.allowed));
        if (atomic_load(&heard.lasts) == 0) {
            atomic_fetch_add(&heard.allowed, 1);
            OK(heartwire_resume_reading(client));
        }
    }
    if (closes) {
        EVENTUALLY(atomic_load(&heard.aborted) == 1);
        OK(heartwire_wait_closed(client, SOON_MS));
        CHECK(atomic_load(&heard.lasts) == 0 && heard.came < LENGTH);
    } else {
        EVENTUALLY(atomic_load(&heard.lasts) == 1);
        CHECK(atomic_load(&heard.aborted) == 0 && atomic_load(&heard.messages) == 1);
        OK(heartwire_stats(client, &stats));
        CHECK(stats.messages_received == 2 && stats.bytes_received == LENGTH + 5);
    }
    OK(heartwire_destroy(client));
    CHECK(atomic_load(&heard.freed) == 2);
}

static void events(const char *url) {
    heartwire_client client = create(url);
    uint64_t came = 0;
    bool last = false;
    OK(heartwire_send_text(client, message, LENGTH, NULL));
    OK(heartwire_connect(client));
    while (!last) {
        heartwire_event *event;
        OK(heartwire_next_event(client, SOON_MS, &event));
        if (heartwire_event_kind(event) == HEARTWIRE_EVENT_FRAGMENT) {
            size_t len;
            const uint8_t *data = heartwire_event_data(event, &len);
            heartwire_fragment_place place = heartwire_event_fragment_place(event);
            CHECK(heartwire_event_message_kind(event) == HEARTWIRE_TEXT);
            CHECK(heartwire_event_fragment_offset(event) == (int64_t)came);
            CHECK(came + len <= LENGTH && memcmp(data, message + came, len) == 0);
            CHECK(((place & HEARTWIRE_FRAGMENT_FIRST) != 0) == (came == 0));
            CHECK(strstr(heartwire_event_text(event), "text message at ") != NULL);
            came += len;
            last = (place & HEARTWIRE_FRAGMENT_LAST) != 0;
        } else {
            CHECK(heartwire_event_fragment_offset(event) == -1 && heartwire_event_fragment_place(event) == 0);
        }
        heartwire_event_free(event);
    }
    CHECK(came == LENGTH);
    OK(heartwire_destroy(client));
}

static void settings(const char *url) {
    heartwire_options *options = heartwire_options_new();
    heartwire_client client;
    OK(heartwire_create(url, NULL, &client));
    CHECK(heartwire_on_fragment(client, on_fragment, NULL, NULL, NULL) == HEARTWIRE_ERR_CONFIG);
    CHECK(strstr(heartwire_last_error(), "fragments_above") != NULL);
    OK(heartwire_destroy(client));

    OK(heartwire_options_set_fragments_above(options, 1000));
    OK(heartwire_options_set_max_message_size(options, 1000));
    CHECK(heartwire_create(url, options, &client) == HEARTWIRE_ERR_CONFIG);
    CHECK(strstr(heartwire_last_error(), "max_message_size") != NULL);
    OK(heartwire_options_set_fragments_above(options, SIZE_MAX));
    OK(heartwire_create(url, options, &client));
    OK(heartwire_destroy(client));
    heartwire_options_free(options);
    CHECK(heartwire_options_set_fragments_above(NULL, 1) == HEARTWIRE_ERR_ARGUMENT);
}

int main(int argc, char **argv) {
    size_t i;
    CHECK(argc == 2);
    for (i = 0; i < LENGTH; i++) {
        message[i] = (char)('a' + i * 7 / 3 % 26);
    }
    callbacks(argv[1], false, false);
    callbacks(argv[1], true, false);
    callbacks(argv[1], false, true);
    events(argv[1]);
    settings(argv[1]);
    return 0;
}
