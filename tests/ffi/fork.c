/*
 * A program that forks: in the child the parent's handles and loops are refused and nothing of the parent is disturbed;
 * clients that the child makes work; the parent goes on as if nothing had happened. Arguments: an echo server's URL, and
 * the same with a host name instead of the address.
 */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { FORKS = 10, MANY = 100, DRAWN_BEFORE = 64 };

static const char *url, *url_by_name;

struct seen {
    atomic_int opens, messages, closes, freed;
};

static void on_open(heartwire_client client, const heartwire_event *event, void *user_data) {
    struct seen *seen = user_data;
    (void)client, (void)event;
    atomic_fetch_add(&seen->opens, 1);
}

static void on_message(heartwire_client client, const void *data, size_t len, int32_t kind, void *user_data) {
    struct seen *seen = user_data;
    (void)client, (void)data, (void)len, (void)kind;
    atomic_fetch_add(&seen->messages, 1);
}

static void on_close(heartwire_client client, const heartwire_event *event, void *user_data) {
    struct seen *seen = user_data;
    (void)client;
    CHECK(heartwire_event_is_clean(event) && heartwire_event_code(event) == 1000);
    atomic_fetch_add(&seen->closes, 1);
}

static void freed(void *user_data) {
    struct seen *seen = user_data;
    atomic_fetch_add(&seen->freed, 1);
}

static heartwire_client connected(const char *where, heartwire_loop *event_loop, struct seen *seen) {
    heartwire_client client = HEARTWIRE_CLIENT_INIT;
    heartwire_options *options = heartwire_options_new();
    OK(heartwire_options_set_loop(options, event_loop));
    OK(heartwire_create(where, options, &client));
    heartwire_options_free(options);
    OK(heartwire_on_open(client, on_open, seen, freed, NULL));
    OK(heartwire_on_message(client, on_message, seen, freed, NULL));
    OK(heartwire_on_close(client, on_close, seen, freed, NULL));
    OK(heartwire_connect(client));
    OK(heartwire_wait_open(client, SOON_MS));
    return client;
}

static void sends_and_hears(heartwire_client client, struct seen *seen) {
    int before = atomic_load(&seen->messages);
    OK(heartwire_send_text(client, "hello", 5, NULL));
    EVENTUALLY(atomic_load(&seen->messages) > before);
}

static void closes(heartwire_client client, struct seen *seen) {
    OK(heartwire_close(client, 1000, "done"));
    OK(heartwire_wait_closed(client, SOON_MS));
    CHECK(atomic_load(&seen->closes) == 1);
    OK(heartwire_destroy(client));
}

#define REFUSED(call) CHECK((call) == HEARTWIRE_ERR_HANDLE)

/* Nothing of the parent's can be used, and nothing waits, or is freed. */
static void a_parents_client_is_refused(heartwire_client client, struct seen *seen) {
    heartwire_stats_info stats = {.size = sizeof stats};
    heartwire_send_options options = {.size = sizeof options, .kind = HEARTWIRE_TEXT};
    heartwire_event *event = NULL;
    char buf[8];
    size_t len = sizeof buf;
    int fd = -1;
    int before = atomic_load(&seen->freed);
    CHECK(!heartwire_is_valid(client));
    CHECK(heartwire_state(client) == HEARTWIRE_STATE_NONE);
    CHECK(heartwire_ready_state(client) == HEARTWIRE_READY_NONE);
    CHECK(heartwire_buffered_amount(client) == 0);
    REFUSED(heartwire_connect(client));
    REFUSED(heartwire_connect_with(client, "x", 1, HEARTWIRE_TEXT));
    REFUSED(heartwire_wait_open(client, SOON_MS));
    REFUSED(heartwire_wait_closed(client, SOON_MS));
    REFUSED(heartwire_flush(client, HEARTWIRE_LEVEL_WRITTEN, SOON_MS));
    REFUSED(heartwire_send_text(client, "x", 1, NULL));
    REFUSED(heartwire_send_binary(client, "x", 1, NULL));
    REFUSED(heartwire_send(client, "x", 1, &options, NULL));
    REFUSED(heartwire_ping(client, "x", 1));
    REFUSED(heartwire_pause_reading(client));
    REFUSED(heartwire_resume_reading(client));
    REFUSED(heartwire_reconnect_now(client));
    REFUSED(heartwire_on_message(client, on_message, seen, freed, NULL));
    REFUSED(heartwire_remove_listener(client, 1));
    REFUSED(heartwire_next_event(client, -1, &event));
    REFUSED(heartwire_events_fd(client, &fd));
    REFUSED(heartwire_stats(client, &stats));
    REFUSED(heartwire_response_header(client, "x", buf, &len));
    REFUSED(heartwire_explain(client, buf, &len));
    REFUSED(heartwire_close(client, 1000, ""));
    REFUSED(heartwire_release(client));
    REFUSED(heartwire_destroy(client));
    /* What was passed to heartwire_on_message() above stays the program's; nothing else was freed either. */
    CHECK(event == NULL && fd == -1 && atomic_load(&seen->freed) == before);
}

static void a_parents_loop_is_refused(heartwire_loop *event_loop) {
    heartwire_client client = HEARTWIRE_CLIENT_INIT;
    heartwire_options *options = heartwire_options_new();
    REFUSED(heartwire_loop_start(event_loop));
    REFUSED(heartwire_loop_turn(event_loop, -1));
    REFUSED(heartwire_loop_wake(event_loop));
    REFUSED(heartwire_loop_free(event_loop));
    CHECK(heartwire_loop_fd(event_loop) == -1);
    CHECK(heartwire_loop_next_timeout_ms(event_loop) == -1);
    OK(heartwire_options_set_loop(options, event_loop));
    CHECK(heartwire_create(url, options, &client) == HEARTWIRE_ERR_CONFIG && client.id == 0);
    heartwire_options_free(options);
}

/* A client of this process's own, on each kind of loop, with a name to look up. */
static void own_clients_work(void) {
    struct seen seen[3] = {{0}};
    heartwire_loop *event_loop = heartwire_loop_new();
    heartwire_client client;
    CHECK(event_loop != NULL);
    client = connected(url_by_name, NULL, &seen[0]);
    sends_and_hears(client, &seen[0]);
    closes(client, &seen[0]);
    client = connected(url, event_loop, &seen[1]);
    OK(heartwire_send_text(client, "hello", 5, NULL));
    while (atomic_load(&seen[1].messages) == 0) {
        OK(heartwire_loop_turn(event_loop, SOON_MS));
    }
    OK(heartwire_destroy(client));
    OK(heartwire_loop_start(event_loop));
    client = connected(url, event_loop, &seen[2]);
    sends_and_hears(client, &seen[2]);
    closes(client, &seen[2]);
    OK(heartwire_loop_free(event_loop));
    for (int i = 0; i < 3; i++) {
        CHECK(atomic_load(&seen[i].freed) == 3);
    }
}

/* The numbers of many new clients, drawn at random for those in new slots: not the same in parent and child. */
static void draw(uint64_t ids[MANY]) {
    for (int i = 0; i < MANY; i++) {
        heartwire_client client = HEARTWIRE_CLIENT_INIT;
        OK(heartwire_create(url, NULL, &client));
        ids[i] = client.id;
    }
    for (int i = 0; i < MANY; i++) {
        heartwire_client client = {ids[i]};
        OK(heartwire_destroy(client));
    }
}

/*
 * Keeps a client's locks and a loop's descriptors busy while the program forks. No more are on their way than come back
 * soon: a server that never gets to the end of them would take the processor from the children.
 */
static atomic_bool stop;

enum { ON_THEIR_WAY = 500 };

struct busy {
    heartwire_client client;
    struct seen *seen;
};

static void *keep_busy(void *argument) {
    struct busy *busy = argument;
    for (int sent = 1; !atomic_load(&stop); sent++) {
        OK(heartwire_send_text(busy->client, "busy", 4, NULL));
        if (sent % ON_THEIR_WAY == 0) {
            EVENTUALLY(atomic_load(&busy->seen->messages) >= sent);
        }
    }
    return NULL;
}

static void child_ends_well(pid_t child) {
    int status = 0;
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(int argc, char **argv) {
    struct seen own = {0}, on_thread = {0}, in_turns = {0};
    heartwire_loop *with_thread, *turned;
    heartwire_client clients[3];
    heartwire_stats_info stats = {.size = sizeof stats};
    struct busy flood;
    pthread_t busy;
    int ids_of_child[2], compared = 0;
    uint64_t here[MANY], there[MANY];
    CHECK(argc == 3);
    url = argv[1];
    url_by_name = argv[2];
    alarm(100); /* a child that hangs is not the watchdog's */

    with_thread = heartwire_loop_new();
    turned = heartwire_loop_new();
    CHECK(with_thread != NULL && turned != NULL);
    OK(heartwire_loop_start(with_thread));
    clients[0] = connected(url_by_name, NULL, &own);
    clients[1] = connected(url, with_thread, &on_thread);
    clients[2] = connected(url, turned, &in_turns);
    flood = (struct busy){clients[1], &on_thread};
    CHECK(pthread_create(&busy, NULL, keep_busy, &flood) == 0);

    for (int i = 0; i < FORKS; i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(60);
            a_parents_client_is_refused(clients[0], &own);
            a_parents_client_is_refused(clients[1], &on_thread);
            a_parents_client_is_refused(clients[2], &in_turns);
            a_parents_loop_is_refused(with_thread);
            a_parents_loop_is_refused(turned);
            own_clients_work();
            exit(0); /* not _exit: what runs at a program's end is harmless, too */
        }
        sends_and_hears(clients[0], &own);
        child_ends_well(child);
    }

    /* A child whose only call is a destroy, and a grandchild of one that has clients. */
    pid_t child = fork();
    if (child == 0) {
        heartwire_client of_child;
        struct seen seen = {0};
        alarm(60);
        REFUSED(heartwire_destroy(clients[0]));
        of_child = connected(url, NULL, &seen);
        pid_t grandchild = fork();
        if (grandchild == 0) {
            alarm(60);
            a_parents_client_is_refused(clients[0], &own);
            a_parents_client_is_refused(of_child, &seen);
            own_clients_work();
            exit(0);
        }
        child_ends_well(grandchild);
        sends_and_hears(of_child, &seen);
        closes(of_child, &seen);
        exit(0);
    }
    child_ends_well(child);

    CHECK(pipe(ids_of_child) == 0);
    child = fork();
    if (child == 0) {
        draw(there);
        CHECK(write(ids_of_child[1], there, sizeof there) == (ssize_t)sizeof there);
        _exit(0);
    }
    draw(here);
    CHECK(read(ids_of_child[0], there, sizeof there) == (ssize_t)sizeof there);
    child_ends_well(child);
    for (int i = 0; i < MANY; i++) {
        for (int j = 0; j < MANY; j++) {
            bool same_place = (uint32_t)here[i] == (uint32_t)there[j];
            if (same_place && (uint32_t)here[i] >= DRAWN_BEFORE) {
                CHECK(here[i] != there[j]);
                compared++;
            }
        }
    }
    CHECK(compared > 10);

    /* The parent has noticed nothing: the same sessions, every call, and a clean end. */
    atomic_store(&stop, true);
    CHECK(pthread_join(busy, NULL) == 0);
    for (int i = 0; i < 3; i++) {
        OK(heartwire_stats(clients[i], &stats));
        CHECK(stats.sessions == 1);
    }
    sends_and_hears(clients[0], &own);
    OK(heartwire_flush(clients[1], HEARTWIRE_LEVEL_WRITTEN, SOON_MS));
    OK(heartwire_send_text(clients[2], "hello", 5, NULL));
    while (atomic_load(&in_turns.messages) == 0) {
        OK(heartwire_loop_turn(turned, SOON_MS));
    }
    closes(clients[0], &own);
    closes(clients[1], &on_thread);
    closes(clients[2], &in_turns);
    OK(heartwire_loop_free(with_thread));
    OK(heartwire_loop_free(turned));
    own_clients_work();
    return 0;
}
