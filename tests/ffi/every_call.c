/*
 * Every function with handles that are of no client, with NULL in every place, and in every callback: with a client
 * that lives, that closes, and that was destroyed.
 *
 * Arguments: the URL of a server that obeys "close CODE REASON" and echoes the rest, and one where nobody listens.
 * "generated.h" is made by header.rs from the header: no function is forgotten.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdatomic.h>
#include <string.h>

#include "check.h"

static heartwire_log_level logger_level = HEARTWIRE_LOG_OFF;
static heartwire_log_fn logger_call;
static void *logger_data;
static heartwire_thread_fn hook_start, hook_stop;
static void *hook_data;

static void quiet_event(heartwire_client client, const heartwire_event *event, void *user_data) {
    (void)client, (void)event, (void)user_data;
}

static void quiet_message(heartwire_client client, const void *data, size_t len, int32_t kind, void *user_data) {
    (void)client, (void)data, (void)len, (void)kind, (void)user_data;
}

static void quiet_fragment(heartwire_client client, const void *data, size_t len, int32_t kind, uint64_t offset,
                           int32_t place, void *user_data) {
    (void)client, (void)data, (void)len, (void)kind, (void)offset, (void)place, (void)user_data;
}

static uint32_t quiet_delay(heartwire_client client, uint32_t failures, void *user_data) {
    (void)client, (void)failures, (void)user_data;
    return 1;
}

static void quiet_greeting(heartwire_client client, uint32_t attempt, heartwire_greeting *greeting, void *user_data) {
    (void)client, (void)attempt, (void)greeting, (void)user_data;
}

static void quiet_before_connect(heartwire_client client, heartwire_attempt *attempt, void *user_data) {
    (void)client, (void)attempt, (void)user_data;
}

static int quiet_dial(heartwire_client client, const char *host, uint16_t port, void *user_data) {
    (void)client, (void)host, (void)port, (void)user_data;
    return -1;
}

#define PREPARE                                                                                               \
    heartwire_options *options = heartwire_options_new();                                                     \
    heartwire_loop *event_loop = heartwire_loop_new();                                                        \
    heartwire_client made = HEARTWIRE_CLIENT_INIT;                                                            \
    heartwire_stream stream = HEARTWIRE_STREAM_INIT;                                                          \
    heartwire_event *taken = NULL;                                                                            \
    heartwire_send_options send_options = {sizeof send_options, HEARTWIRE_TEXT, 0};                           \
    heartwire_stats_info stats;                                                                               \
    heartwire_error_info error;                                                                               \
    heartwire_outcome_info outcome;                                                                           \
    uint32_t delays[] = {1, 2};                                                                               \
    uint64_t number = 0;                                                                                      \
    char buffer[HEARTWIRE_EXPLAIN_SIZE];                                                                      \
    size_t length = 0;                                                                                        \
    int fd = -1;                                                                                              \
    stats.size = sizeof stats, error.size = sizeof error, outcome.size = sizeof outcome;                      \
    OK(heartwire_options_set_heartbeat_text(options, "beat"));                                                \
    (void)made, (void)stream, (void)number, (void)delays, (void)fd, (void)send_options;

#define TIDY                                                                                                  \
    heartwire_options_free(options);                                                                          \
    heartwire_event_free(taken);                                                                              \
    OK(heartwire_loop_free(event_loop));

#define room() (length = sizeof buffer, &length)

#include "generated.h"

/* ---- handles of no client ------------------------------------------------------------------------------- */

static void misuse(void) {
    heartwire_client zero = HEARTWIRE_CLIENT_INIT, stale, twice, made_up;
    int i;
    check_handles(zero);
    OK(heartwire_create("ws://127.0.0.1:1/", NULL, &stale));
    made_up = stale;
    made_up.id ^= (uint64_t)1 << 40;
    check_handles(made_up);
    made_up.id = stale.id ^ 1;
    check_handles(made_up);
    for (i = 0; i < 64; i++) {
        made_up.id = (uint64_t)1 << i;
        if (made_up.id != stale.id) {
            check_handles(made_up);
        }
    }
    made_up.id = UINT64_MAX;
    check_handles(made_up);
    CHECK(heartwire_is_valid(stale));
    OK(heartwire_destroy(stale));
    CHECK(!heartwire_is_valid(stale));
    CHECK(heartwire_destroy(stale) == HEARTWIRE_ERR_HANDLE);
    check_handles(stale);
    OK(heartwire_create("ws://127.0.0.1:1/", NULL, &twice));
    CHECK(twice.id != stale.id);
    OK(heartwire_release(twice));
    CHECK(heartwire_release(twice) == HEARTWIRE_ERR_HANDLE);
    CHECK(heartwire_destroy(twice) == HEARTWIRE_ERR_HANDLE);
    check_handles(twice);
    heartwire_options_free(NULL);
    heartwire_event_free(NULL);
    OK(heartwire_loop_free(NULL));
    CHECK(heartwire_loop_fd(NULL) == -1 && heartwire_loop_next_timeout_ms(NULL) == -1);
}

static void nulls(void) {
    heartwire_client client;
    heartwire_event *event;
    OK(heartwire_create("ws://127.0.0.1:1/", NULL, &client));
    CHECK(heartwire_next_event(client, 0, &event) == HEARTWIRE_ERR_TIMEOUT);
    OK(heartwire_close(client, 1000, NULL));
    OK(heartwire_next_event(client, SOON_MS, &event));
    check_nulls(client, event);
    heartwire_event_free(event);
    OK(heartwire_destroy(client));
}

/* ---- every call in every callback ----------------------------------------------------------------------- */

enum place { OPEN, MESSAGE, FRAGMENT, CLOSE, CONNECT_FAILED, ERROR_, STATE, HEARTBEAT, WRITABLE, OUTCOME, FOR_GOOD, GREETING, DELAY, BEFORE_CONNECT, LOGGER, HOOK, PLACES };
enum act { LIVE, CLOSING, DESTROYED, RELEASED, ACTS };
/* Where callbacks run: on the client's own thread, on one of its own for callbacks, on a shared loop's, on this one. */
enum home { OWN, DISPATCHED, SHARED, TURNED, HOMES };

static const char *place_names[] = {"open", "message", "fragment", "close", "connect_failed", "error", "state", "heartbeat",
                                    "writable", "outcome", "closed_for_good", "greeting", "delay", "before_connect", "logger", "hook"};

struct run {
    struct run *kept_before;
    heartwire_client client;
    enum act act;
    atomic_int entered, done, freed;
};

/* Those that a thread of an earlier run may still use. */
static struct run *kept;

static void freed(void *user_data) {
    struct run *run = user_data;
    atomic_fetch_add(&run->freed, 1);
}

/* The first few calls only: what they send comes back. */
static void everything(struct run *run, heartwire_client client, const heartwire_event *event) {
    int nth = atomic_fetch_add(&run->entered, 1);
    if (nth < 3) {
        call_all(client, event);
        if (run->act == CLOSING) {
            heartwire_close(client, 1000, "in a callback");
            call_all(client, event);
        } else if (run->act == DESTROYED) {
            heartwire_destroy(client);
            check_handles(client);
            call_all(client, event);
        } else if (run->act == RELEASED) {
            heartwire_release(client);
            check_handles(client);
        }
        atomic_fetch_add(&run->done, 1);
    }
}

static void in_event(heartwire_client client, const heartwire_event *event, void *user_data) {
    everything(user_data, client, event);
}

static void in_message(heartwire_client client, const void *data, size_t len, int32_t kind, void *user_data) {
    CHECK(data != NULL && (kind == HEARTWIRE_TEXT || kind == HEARTWIRE_BINARY));
    (void)len;
    everything(user_data, client, NULL);
}

static void in_fragment(heartwire_client client, const void *data, size_t len, int32_t kind, uint64_t offset,
                        int32_t place, void *user_data) {
    CHECK(data != NULL && (kind == HEARTWIRE_TEXT || kind == HEARTWIRE_BINARY));
    CHECK((offset == 0) == ((place & HEARTWIRE_FRAGMENT_FIRST) != 0));
    (void)len;
    everything(user_data, client, NULL);
}

static uint32_t in_delay(heartwire_client client, uint32_t failures, void *user_data) {
    CHECK(failures > 0);
    everything(user_data, client, NULL);
    return 1;
}

static void in_greeting(heartwire_client client, uint32_t attempt, heartwire_greeting *greeting, void *user_data) {
    CHECK(attempt > 0);
    OK(heartwire_greeting_set(greeting, "hello", 5, HEARTWIRE_TEXT));
    everything(user_data, client, NULL);
}

static void in_before_connect(heartwire_client client, heartwire_attempt *attempt, void *user_data) {
    heartwire_error_info error;
    error.size = sizeof error;
    CHECK(heartwire_attempt_number(attempt) > 0 && strncmp(heartwire_attempt_url(attempt), "ws://", 5) == 0);
    if (heartwire_attempt_error(attempt, &error) == HEARTWIRE_OK) {
        CHECK(error.text != NULL && error.phase != HEARTWIRE_PHASE_NONE);
    }
    OK(heartwire_attempt_set_header(attempt, "Authorization", "Bearer abc"));
    CHECK(heartwire_attempt_set_header(attempt, "X", "\r\n") == HEARTWIRE_ERR_CONFIG);
    OK(heartwire_attempt_remove_header(attempt, "Authorization"));
    CHECK(heartwire_attempt_set_url(attempt, "http://h/") == HEARTWIRE_ERR_CONFIG);
    OK(heartwire_attempt_set_url(attempt, heartwire_attempt_url(attempt)));
    OK(heartwire_attempt_add_subprotocol(attempt, "a"));
    CHECK(heartwire_attempt_add_subprotocol(attempt, "a") == HEARTWIRE_ERR_CONFIG);
    OK(heartwire_attempt_clear_subprotocols(attempt));
    OK(heartwire_attempt_add_greeting(attempt, "hello", 5, HEARTWIRE_TEXT));
    OK(heartwire_attempt_clear_greetings(attempt));
    OK(heartwire_attempt_set_delay(attempt, 1));
    everything(user_data, client, NULL);
}

static void in_logger(heartwire_log_level level, const char *line, void *user_data) {
    struct run *run = user_data;
    CHECK(level >= HEARTWIRE_LOG_ERROR && level <= HEARTWIRE_LOG_TRACE && line != NULL);
    everything(run, run->client, NULL);
}

static void in_hook(void *user_data) {
    struct run *run = user_data;
    everything(run, run->client, NULL);
}

static void one_run(const char *url, enum place place, enum act act, enum home home) {
    struct run *run = calloc(1, sizeof *run);
    heartwire_options *options = heartwire_options_new();
    heartwire_loop *event_loop = home == SHARED || home == TURNED ? heartwire_loop_new() : NULL;
    heartwire_client client;
    int has_destructor = place != LOGGER && place != HOOK;
    CHECK(run != NULL && options != NULL);
    run->act = act;
    OK(heartwire_options_set_dispatch(options, home == DISPATCHED ? HEARTWIRE_DISPATCH_THREAD : HEARTWIRE_DISPATCH_LOOP));
    OK(heartwire_options_set_loop(options, event_loop));
    OK(heartwire_options_set_reconnect_fixed(options, 1));
    OK(heartwire_options_set_outbox(options, 2, 1 << 20));
    OK(heartwire_options_set_max_message_size(options, 1000));
    if (place == FRAGMENT) {
        OK(heartwire_options_set_fragments_above(options, 3));
    }
    if (place == HEARTBEAT) {
        OK(heartwire_options_set_heartbeat_every(options, 2));
    }
    if (place == DELAY) {
        OK(heartwire_options_set_reconnect_custom(options, in_delay, run, freed));
    }
    if (place == BEFORE_CONNECT) {
        OK(heartwire_options_set_before_connect(options, in_before_connect, run, freed));
    }
    if (place == GREETING) {
        OK(heartwire_options_add_greeting_callback(options, in_greeting, run, freed));
    }
    OK(heartwire_create(url, options, &client));
    heartwire_options_free(options);
    run->client = client;
    switch (place) {
    case OPEN: OK(heartwire_on_open(client, in_event, run, freed, NULL)); break;
    case MESSAGE: OK(heartwire_on_message(client, in_message, run, freed, NULL)); break;
    case FRAGMENT: OK(heartwire_on_fragment(client, in_fragment, run, freed, NULL)); break;
    case CLOSE: OK(heartwire_on_close(client, in_event, run, freed, NULL)); break;
    case CONNECT_FAILED: OK(heartwire_on_connect_failed(client, in_event, run, freed, NULL)); break;
    case ERROR_: OK(heartwire_on_error(client, in_event, run, freed, NULL)); break;
    case STATE: OK(heartwire_on_state(client, in_event, run, freed, NULL)); break;
    case HEARTBEAT: OK(heartwire_on_heartbeat(client, in_event, run, freed, NULL)); break;
    case WRITABLE: OK(heartwire_on_writable(client, in_event, run, freed, NULL)); break;
    case OUTCOME: OK(heartwire_on_outcome(client, in_event, run, freed, NULL)); break;
    case FOR_GOOD: OK(heartwire_on_closed_for_good(client, in_event, run, freed, NULL)); break;
    case LOGGER: logger_level = HEARTWIRE_LOG_TRACE, logger_call = in_logger, logger_data = run; break;
    case HOOK: hook_start = hook_stop = in_hook, hook_data = run; break;
    default: break;
    }
    OK(heartwire_set_thread_hooks(hook_start, hook_stop, hook_data));
    OK(heartwire_set_logger(logger_level, logger_call, logger_data));
    if (home == SHARED) {
        OK(heartwire_loop_start(event_loop));
    }
    if (place == WRITABLE) {
        OK(heartwire_send_text(client, "one", 3, NULL));
        OK(heartwire_send_text(client, "two", 3, NULL));
        CHECK(heartwire_send_text(client, "three", 5, NULL) == HEARTWIRE_ERR_FULL);
    } else if (place == MESSAGE || place == FRAGMENT || place == OUTCOME) {
        OK(heartwire_send_text(client, "echo", 4, NULL));
    } else if (place == CLOSE) {
        OK(heartwire_send_text(client, "close 4000 bye", 14, NULL));
    } else if (place == ERROR_) {
        static char big[2000];
        OK(heartwire_send_binary(client, big, sizeof big, NULL));
    }
    (void)heartwire_connect(client); /* the logger, or a hook, may have destroyed the client before */
    if (place == FOR_GOOD) {
        OK(heartwire_close(client, 1000, NULL));
    }
    while (home == TURNED && atomic_load(&run->done) == 0) {
        OK(heartwire_loop_turn(event_loop, SOON_MS));
    }
    EVENTUALLY(atomic_load(&run->done) > 0);
    (void)heartwire_destroy(client);
    check_handles(client);
    /* A callback that destroyed the client may not be through with it. */
    free_loop_soon(event_loop);
    logger_level = HEARTWIRE_LOG_OFF, logger_call = NULL, hook_start = hook_stop = NULL;
    OK(heartwire_set_logger(HEARTWIRE_LOG_OFF, NULL, NULL));
    OK(heartwire_set_thread_hooks(NULL, NULL, NULL));
    if (has_destructor) {
        int calls;
        EVENTUALLY(atomic_load(&run->freed) > 0);
        calls = atomic_load(&run->entered);
        CHECK(atomic_load(&run->freed) == 1);
        CHECK(atomic_load(&run->entered) == calls);
        CHECK(atomic_load(&run->done) <= calls);
        free(run);
    } else {
        run->kept_before = kept, kept = run;
    }
}

int main(int argc, char **argv) {
    int place, act, home;
    CHECK(argc == 3 && FUNCTIONS > 100);
    misuse();
    nulls();
    for (place = 0; place < PLACES; place++) {
        const char *url = place == CONNECT_FAILED || place == DELAY ? argv[2] : argv[1];
        for (act = 0; act < ACTS; act++) {
            for (home = 0; home < HOMES; home++) {
                if (place == HOOK && home == TURNED) {
                    continue; /* there is no thread that it could be called on */
                }
                printf("%s, act %d, home %d\n", place_names[place], act, home);
                fflush(stdout);
                one_run(url, (enum place)place, (enum act)act, (enum home)home);
            }
        }
    }
    return 0;
}
