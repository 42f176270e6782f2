/*
 * Shared event loops: loops URL, of a server at a literal address that echoes.
 *
 * Each part has its name from what it promises.
 */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "check.h"

static const char *url;

struct seen {
    heartwire_loop *event_loop;
    heartwire_client client;
    pthread_t turner;
    atomic_int opens, messages, ends, freed;
};

static void freed(void *user_data) { atomic_fetch_add(&((struct seen *)user_data)->freed, 1); }

static void on_open(heartwire_client client, const heartwire_event *event, void *user_data) {
    struct seen *seen = user_data;
    (void)event;
    CHECK(client.id == seen->client.id);
    atomic_fetch_add(&seen->opens, 1);
}

static void on_message(heartwire_client client, const void *data, size_t len, int32_t kind, void *user_data) {
    struct seen *seen = user_data;
    (void)client, (void)kind;
    CHECK(len == 5 && memcmp(data, "hello", 5) == 0);
    atomic_fetch_add(&seen->messages, 1);
}

static void on_end(heartwire_client client, const heartwire_event *event, void *user_data) {
    struct seen *seen = user_data;
    (void)client;
    CHECK(heartwire_event_end(event) == HEARTWIRE_END_CLOSED);
    atomic_fetch_add(&seen->ends, 1);
}

static heartwire_options *options_on(heartwire_loop *event_loop) {
    heartwire_options *options = heartwire_options_new();
    CHECK(options != NULL);
    OK(heartwire_options_set_loop(options, event_loop));
    return options;
}

static heartwire_client client_on(heartwire_loop *event_loop) {
    heartwire_options *options = options_on(event_loop);
    heartwire_client client = HEARTWIRE_CLIENT_INIT;
    OK(heartwire_create(url, options, &client));
    heartwire_options_free(options);
    return client;
}

static void connect(struct seen *seen, heartwire_loop *event_loop) {
    memset(seen, 0, sizeof *seen);
    seen->event_loop = event_loop;
    seen->client = client_on(event_loop);
    OK(heartwire_on_open(seen->client, on_open, seen, freed, NULL));
    OK(heartwire_on_message(seen->client, on_message, seen, freed, NULL));
    OK(heartwire_on_closed_for_good(seen->client, on_end, seen, freed, NULL));
    OK(heartwire_connect(seen->client));
}

/* -1 where it cannot be told. */
static int threads(void) {
    int count = 0;
    struct dirent *entry;
    DIR *folder = opendir("/proc/self/task");
    if (folder == NULL) {
        return -1;
    }
    while ((entry = readdir(folder)) != NULL) {
        count += entry->d_name[0] != '.';
    }
    closedir(folder);
    return count;
}

static bool readable(int fd, int timeout_ms) {
    struct pollfd polled = {fd, POLLIN, 0};
    return poll(&polled, 1, timeout_ms) == 1;
}

#define TURN_UNTIL(event_loop, condition)                                                                     \
    while (!(condition)) {                                                                                    \
        OK(heartwire_loop_turn(event_loop, SOON_MS));                                                         \
    }

/* Two clients, and no thread but this one. */
static void main_turns_two_clients(void) {
    heartwire_loop *event_loop = heartwire_loop_new();
    struct seen one, two;
    int before = threads();
    CHECK(event_loop != NULL);
    connect(&one, event_loop);
    connect(&two, event_loop);
    TURN_UNTIL(event_loop, one.opens == 1 && two.opens == 1);
    CHECK(threads() == before);
    OK(heartwire_send_text(one.client, "hello", 5, NULL));
    OK(heartwire_send_text(two.client, "hello", 5, NULL));
    TURN_UNTIL(event_loop, one.messages == 1 && two.messages == 1);
    OK(heartwire_close(one.client, 1000, NULL));
    TURN_UNTIL(event_loop, one.ends == 1);
    CHECK(two.ends == 0 && heartwire_state(two.client) == HEARTWIRE_STATE_OPEN);
    CHECK(heartwire_loop_free(event_loop) == HEARTWIRE_ERR_BUSY);
    CHECK(strstr(heartwire_last_error(), "2") != NULL);
    OK(heartwire_destroy(one.client));
    CHECK(one.freed == 3);
    CHECK(heartwire_loop_free(event_loop) == HEARTWIRE_ERR_BUSY);
    OK(heartwire_loop_turn(event_loop, 0));
    OK(heartwire_destroy(two.client));
    CHECK(two.freed == 3);
    CHECK(threads() == before);
    OK(heartwire_loop_free(event_loop));
}

static void *say_hello(void *client) {
    OK(heartwire_send_text(*(heartwire_client *)client, "hello", 5, NULL));
    return NULL;
}

static void *wake(void *event_loop) {
    OK(heartwire_loop_wake(event_loop));
    return NULL;
}

static void on_other_thread(void *(*run)(void *), void *argument) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, run, argument) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

/* As a program with a poll() of its own does it. */
static void poll_once(heartwire_loop *event_loop) {
    int timeout_ms = heartwire_loop_next_timeout_ms(event_loop);
    CHECK(timeout_ms >= -1);
    (void)readable(heartwire_loop_fd(event_loop), timeout_ms < 0 || timeout_ms > SOON_MS ? SOON_MS : timeout_ms);
    OK(heartwire_loop_turn(event_loop, 0));
}

static void the_descriptor_and_the_timeout_are_all_that_poll_needs(void) {
    heartwire_loop *event_loop = heartwire_loop_new();
    int fd = heartwire_loop_fd(event_loop), timeout_ms;
    struct seen seen;
    CHECK(fd >= 0);
    OK(heartwire_loop_turn(event_loop, 0));
    CHECK(heartwire_loop_next_timeout_ms(event_loop) == -1 && !readable(fd, 0));
    connect(&seen, event_loop);
    CHECK(heartwire_loop_next_timeout_ms(event_loop) == 0 && readable(fd, 0));
    while (seen.opens == 0) {
        poll_once(event_loop);
    }
    /* Open and idle: the heartbeat is due some time, and nothing before. */
    while (readable(fd, 50)) {
        OK(heartwire_loop_turn(event_loop, 0));
    }
    timeout_ms = heartwire_loop_next_timeout_ms(event_loop);
    CHECK(timeout_ms > 10000 && timeout_ms <= 20000);
    /* A send of another thread comes back without this one's doing anything but polling. */
    on_other_thread(say_hello, &seen.client);
    CHECK(readable(fd, SOON_MS));
    while (seen.messages == 0) {
        poll_once(event_loop);
    }
    while (readable(fd, 50)) {
        OK(heartwire_loop_turn(event_loop, 0));
    }
    on_other_thread(wake, event_loop);
    CHECK(readable(fd, SOON_MS) && heartwire_loop_next_timeout_ms(event_loop) == 0);
    OK(heartwire_loop_turn(event_loop, -1));
    CHECK(!readable(fd, 0));
    OK(heartwire_destroy(seen.client));
    OK(heartwire_loop_free(event_loop));
}

/* More than a send writes by itself: what is queued by another thread makes the descriptor readable. */
static void *say_much(void *client) {
    int i;
    for (i = 0; i < 100; i++) {
        OK(heartwire_send_text(*(heartwire_client *)client, "hello", 5, NULL));
    }
    return NULL;
}

static void what_other_threads_queue_is_written_by_this_one(void) {
    heartwire_loop *event_loop = heartwire_loop_new();
    struct seen seen;
    connect(&seen, event_loop);
    /* Before the session is open all of it waits. */
    on_other_thread(say_much, &seen.client);
    CHECK(readable(heartwire_loop_fd(event_loop), 0));
    while (seen.messages < 100) {
        poll_once(event_loop);
    }
    on_other_thread(say_much, &seen.client);
    while (seen.messages < 200) {
        poll_once(event_loop);
    }
    OK(heartwire_destroy(seen.client));
    OK(heartwire_loop_free(event_loop));
}

static void on_message_misuse_the_loop(heartwire_client client, const heartwire_event *event, void *user_data) {
    struct seen *seen = user_data;
    heartwire_event *next = NULL;
    (void)event;
    CHECK(pthread_equal(pthread_self(), seen->turner));
    CHECK(heartwire_loop_turn(seen->event_loop, 0) == HEARTWIRE_ERR_WOULD_DEADLOCK);
    CHECK(heartwire_loop_turn(seen->event_loop, -2) == HEARTWIRE_ERR_ARGUMENT);
    CHECK(heartwire_loop_start(seen->event_loop) == HEARTWIRE_ERR_BUSY);
    CHECK(heartwire_loop_free(seen->event_loop) == HEARTWIRE_ERR_BUSY);
    CHECK(heartwire_loop_next_timeout_ms(seen->event_loop) == -1);
    CHECK(heartwire_loop_fd(seen->event_loop) >= 0);
    CHECK(heartwire_wait_closed(client, SOON_MS) == HEARTWIRE_ERR_WOULD_DEADLOCK);
    CHECK(heartwire_next_event(client, -1, &next) == HEARTWIRE_ERR_TAKEN);
    OK(heartwire_destroy(client));
    /* It has no client left, but this turn is not over. */
    CHECK(heartwire_loop_free(seen->event_loop) == HEARTWIRE_ERR_BUSY);
    OK(heartwire_loop_wake(seen->event_loop));
    atomic_fetch_add(&seen->opens, 1);
}

static uint32_t soon(heartwire_client client, uint32_t failures, void *user_data) {
    (void)client, (void)failures, (void)user_data;
    return 1;
}

/* The options' user_data goes with the client; what frees it is inside the turn, too. */
static void freed_in_the_turn(void *user_data) {
    struct seen *seen = user_data;
    heartwire_client other = client_on(seen->event_loop);
    CHECK(heartwire_wait_open(other, SOON_MS) == HEARTWIRE_ERR_WOULD_DEADLOCK);
    OK(heartwire_destroy(other));
    freed(seen);
}

static void a_callback_cannot_turn_or_free_its_loop(void) {
    struct seen seen = {0};
    heartwire_options *options;
    seen.event_loop = heartwire_loop_new();
    seen.turner = pthread_self();
    options = options_on(seen.event_loop);
    OK(heartwire_options_set_reconnect_custom(options, soon, &seen, freed_in_the_turn));
    OK(heartwire_create(url, options, &seen.client));
    heartwire_options_free(options);
    OK(heartwire_on_open(seen.client, on_message_misuse_the_loop, &seen, freed, NULL));
    OK(heartwire_connect(seen.client));
    TURN_UNTIL(seen.event_loop, seen.opens == 1);
    CHECK(seen.freed == 2);
    OK(heartwire_loop_free(seen.event_loop));
}

static void *turn_for_long(void *user_data) {
    struct seen *seen = user_data;
    heartwire_status status;
    atomic_store(&seen->opens, 1);
    /* This thread, too, may find the other one turning. */
    do {
        status = heartwire_loop_turn(seen->event_loop, SOON_MS);
    } while (status == HEARTWIRE_ERR_BUSY);
    CHECK(status == HEARTWIRE_OK);
    return NULL;
}

static void only_one_thread_turns_it(void) {
    struct seen seen = {0};
    pthread_t thread;
    seen.event_loop = heartwire_loop_new();
    CHECK(pthread_create(&thread, NULL, turn_for_long, &seen) == 0);
    EVENTUALLY(atomic_load(&seen.opens) == 1);
    EVENTUALLY(heartwire_loop_turn(seen.event_loop, 0) == HEARTWIRE_ERR_BUSY);
    CHECK(heartwire_loop_start(seen.event_loop) == HEARTWIRE_ERR_BUSY);
    CHECK(heartwire_loop_free(seen.event_loop) == HEARTWIRE_ERR_BUSY);
    CHECK(strstr(heartwire_last_error(), "turned") != NULL);
    OK(heartwire_loop_wake(seen.event_loop));
    /* Freed while the other thread is on its way out of the turn. */
    free_loop_soon(seen.event_loop);
    CHECK(pthread_join(thread, NULL) == 0);
}

static void a_started_loop_serves_two_clients(void) {
    heartwire_loop *event_loop = heartwire_loop_new();
    struct seen one, two;
    int before = threads();
    OK(heartwire_loop_start(event_loop));
    CHECK(heartwire_loop_start(event_loop) == HEARTWIRE_ERR_BUSY);
    CHECK(heartwire_loop_turn(event_loop, 0) == HEARTWIRE_ERR_BUSY);
    CHECK(heartwire_loop_next_timeout_ms(event_loop) == -1);
    connect(&one, event_loop);
    connect(&two, event_loop);
    OK(heartwire_wait_open(one.client, SOON_MS));
    OK(heartwire_wait_open(two.client, SOON_MS));
    CHECK(before == -1 || threads() == before + 1);
    OK(heartwire_send_text(one.client, "hello", 5, NULL));
    OK(heartwire_send_text(two.client, "hello", 5, NULL));
    EVENTUALLY(atomic_load(&one.messages) == 1 && atomic_load(&two.messages) == 1);
    CHECK(heartwire_loop_free(event_loop) == HEARTWIRE_ERR_BUSY);
    OK(heartwire_close(one.client, 1000, NULL));
    OK(heartwire_wait_closed(one.client, SOON_MS));
    CHECK(atomic_load(&one.ends) == 1);
    OK(heartwire_destroy(one.client));
    OK(heartwire_destroy(two.client));
    CHECK(atomic_load(&one.freed) == 3 && atomic_load(&two.freed) == 3);
    OK(heartwire_loop_free(event_loop));
    CHECK(threads() == before);
}

/* Holds the loop's thread until it is let go. */
struct slow {
    atomic_int entered, let_go, left;
};

static void on_open_slow(heartwire_client client, const heartwire_event *event, void *user_data) {
    struct slow *slow = user_data;
    (void)client, (void)event;
    atomic_store(&slow->entered, 1);
    EVENTUALLY(atomic_load(&slow->let_go) == 1);
    atomic_store(&slow->left, 1);
}

static void *destroy(void *client) {
    OK(heartwire_destroy(*(heartwire_client *)client));
    return NULL;
}

static void destroy_waits_for_its_own_callback_and_for_no_other(void) {
    heartwire_loop *event_loop = heartwire_loop_new();
    heartwire_client slow_one, other;
    struct slow slow = {0};
    pthread_t thread;
    OK(heartwire_loop_start(event_loop));
    other = client_on(event_loop);
    OK(heartwire_connect(other));
    OK(heartwire_wait_open(other, SOON_MS));
    slow_one = client_on(event_loop);
    OK(heartwire_on_open(slow_one, on_open_slow, &slow, NULL, NULL));
    OK(heartwire_connect(slow_one));
    EVENTUALLY(atomic_load(&slow.entered) == 1);
    OK(heartwire_destroy(other));
    CHECK(atomic_load(&slow.left) == 0);
    CHECK(pthread_create(&thread, NULL, destroy, &slow_one) == 0);
    EVENTUALLY(!heartwire_is_valid(slow_one));
    atomic_store(&slow.let_go, 1);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(atomic_load(&slow.left) == 1);
    OK(heartwire_loop_free(event_loop));
}

/* No call but those that wait: request and reply on one thread. */
static void the_calls_that_wait_turn_it(void) {
    heartwire_loop *event_loop = heartwire_loop_new();
    heartwire_client client = client_on(event_loop);
    heartwire_event *event = NULL;
    heartwire_event_type kind = HEARTWIRE_EVENT_NONE;
    int before = threads(), i;
    CHECK(heartwire_next_event(client, 0, &event) == HEARTWIRE_ERR_TIMEOUT);
    OK(heartwire_connect(client));
    OK(heartwire_wait_open(client, SOON_MS));
    for (i = 0; i < 20; i++) {
        OK(heartwire_send_text(client, "hello", 5, NULL));
        do {
            OK(heartwire_next_event(client, i % 2 ? -1 : SOON_MS, &event));
            kind = heartwire_event_kind(event);
            heartwire_event_free(event);
        } while (kind != HEARTWIRE_EVENT_MESSAGE);
    }
    OK(heartwire_flush(client, HEARTWIRE_LEVEL_WRITTEN, SOON_MS));
    CHECK(heartwire_next_event(client, 20, &event) == HEARTWIRE_ERR_TIMEOUT);
    CHECK(threads() == before);
    OK(heartwire_close(client, 1000, NULL));
    while (heartwire_next_event(client, SOON_MS, &event) == HEARTWIRE_OK) {
        kind = heartwire_event_kind(event);
        heartwire_event_free(event);
    }
    CHECK(kind == HEARTWIRE_EVENT_CLOSED_FOR_GOOD);
    OK(heartwire_wait_closed(client, SOON_MS));
    OK(heartwire_destroy(client));
    OK(heartwire_loop_free(event_loop));
}

static void wait_closed_turns_it_for_callbacks(void) {
    heartwire_loop *event_loop = heartwire_loop_new();
    struct seen seen;
    connect(&seen, event_loop);
    OK(heartwire_wait_open(seen.client, SOON_MS));
    CHECK(seen.opens == 1);
    OK(heartwire_close(seen.client, 1000, NULL));
    OK(heartwire_wait_closed(seen.client, SOON_MS));
    CHECK(seen.ends == 1);
    OK(heartwire_destroy(seen.client));
    OK(heartwire_loop_free(event_loop));
}

static void options_may_outlive_the_loop(void) {
    heartwire_loop *event_loop = heartwire_loop_new();
    heartwire_options *options = options_on(event_loop);
    heartwire_client client = HEARTWIRE_CLIENT_INIT;
    int fd = heartwire_loop_fd(event_loop);
    OK(heartwire_loop_free(event_loop));
    CHECK(fcntl(fd, F_GETFD) == -1); /* the options do not hold it */
    CHECK(heartwire_create(url, options, &client) == HEARTWIRE_ERR_CONFIG && client.id == 0);
    CHECK(strstr(heartwire_last_error(), "event_loop") != NULL);
    OK(heartwire_options_set_loop(options, NULL));
    OK(heartwire_create(url, options, &client));
    OK(heartwire_connect(client));
    OK(heartwire_wait_open(client, SOON_MS));
    OK(heartwire_destroy(client));
    heartwire_options_free(options);
}

/* What options own is freed with the last client, at once where nobody turns the loop. */
static void options_user_data_goes_with_the_client(void) {
    struct seen seen = {0};
    heartwire_loop *event_loop = heartwire_loop_new();
    heartwire_options *options = options_on(event_loop);
    heartwire_client client;
    OK(heartwire_options_set_reconnect_custom(options, soon, &seen, freed));
    OK(heartwire_create(url, options, &client));
    heartwire_options_free(options);
    OK(heartwire_connect(client));
    OK(heartwire_wait_open(client, SOON_MS));
    CHECK(seen.freed == 0);
    OK(heartwire_destroy(client));
    CHECK(seen.freed == 1);
    OK(heartwire_loop_free(event_loop));
}

/* A thread that waits in one of the ways; it ends with the client, however that ends. */
static void *wait_for_events(void *user_data) {
    heartwire_client client = *(heartwire_client *)user_data;
    heartwire_event *event;
    heartwire_status status;
    while ((status = heartwire_next_event(client, -1, &event)) == HEARTWIRE_OK) heartwire_event_free(event);
    CHECK(status == HEARTWIRE_ERR_CLOSED || status == HEARTWIRE_ERR_HANDLE);
    return NULL;
}

static void *wait_for_the_end(void *user_data) {
    heartwire_status status = heartwire_wait_closed(*(heartwire_client *)user_data, 4000000);
    CHECK(status == HEARTWIRE_OK || status == HEARTWIRE_ERR_CLOSED || status == HEARTWIRE_ERR_HANDLE);
    return NULL;
}

/* Whoever runs these tests ends them where a join does not. */
static void destroy_ends_the_waits_of_other_threads(void) {
    void *(*const waits[])(void *) = {wait_for_events, wait_for_the_end};
    int round;
    for (round = 0; round < 400; round++) {
        heartwire_loop *event_loop = heartwire_loop_new();
        heartwire_client client = client_on(event_loop);
        struct timespec moment = {0, round % 40 * 10000L};
        pthread_t thread;
        OK(heartwire_connect(client));
        /* Turned by this thread, or by nobody but the call that waits. */
        if (round % 4 < 2) OK(heartwire_loop_turn(event_loop, 0));
        CHECK(pthread_create(&thread, NULL, waits[round % 2], &client) == 0);
        nanosleep(&moment, NULL);
        OK(heartwire_destroy(client));
        CHECK(pthread_join(thread, NULL) == 0);
        OK(heartwire_loop_free(event_loop));
    }
}

int main(int argc, char **argv) {
    CHECK(argc == 2);
    url = argv[1];
    CHECK(threads() == 1 || threads() == -1);
    main_turns_two_clients();
    the_descriptor_and_the_timeout_are_all_that_poll_needs();
    what_other_threads_queue_is_written_by_this_one();
    a_callback_cannot_turn_or_free_its_loop();
    only_one_thread_turns_it();
    the_calls_that_wait_turn_it();
    wait_closed_turns_it_for_callbacks();
    destroy_ends_the_waits_of_other_threads();
    options_user_data_goes_with_the_client();
    CHECK(threads() == 1 || threads() == -1);
    a_started_loop_serves_two_clients();
    destroy_waits_for_its_own_callback_and_for_no_other();
    options_may_outlive_the_loop();
    return 0;
}
