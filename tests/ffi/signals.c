/*
 * What belongs to the program stays the program's: no SIGPIPE is raised, whoever writes when the connection breaks, and
 * no disposition, no signal mask, no environment variable and no exit or fork handler is changed. Arguments: a file with
 * the authority to trust, then URLs of servers that reset every connection after a while.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

enum { SESSIONS = 5, SIGNALS = 65 };

static const char *authority;
static atomic_int pipes, handlers_added;

static void on_pipe(int signal) {
    (void)signal;
    atomic_fetch_add(&pipes, 1);
}

/* ---- what a library could leave behind in the process ---- */

/* These take the place of the C library's: every exit or fork handler comes through here. */
int __cxa_atexit(void (*call)(void *), void *argument, void *object);
int __cxa_atexit(void (*call)(void *), void *argument, void *object) {
    int (*real)(void (*)(void *), void *, void *);
    *(void **)&real = dlsym(RTLD_NEXT, "__cxa_atexit");
    atomic_fetch_add(&handlers_added, 1);
    return real(call, argument, object);
}

int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *object);
int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *object) {
    int (*real)(void (*)(void), void (*)(void), void (*)(void), void *);
    *(void **)&real = dlsym(RTLD_NEXT, "__register_atfork");
    atomic_fetch_add(&handlers_added, 1);
    return real(prepare, parent, child, object);
}

extern char **environ;

struct process {
    struct sigaction actions[SIGNALS];
    sigset_t blocked;
    char masks[4][64];
    char **environment;
    char variables[16384];
    int handlers;
};

static void look(struct process *process) {
    char line[256];
    size_t used = 0;
    int masks = 0;
    FILE *status = fopen("/proc/self/status", "r");
    memset(process, 0, sizeof *process);
    for (int signal = 1; signal < SIGNALS; signal++) {
        (void)sigaction(signal, NULL, &process->actions[signal]); /* 32 and 33 are the C library's own */
    }
    CHECK(pthread_sigmask(SIG_BLOCK, NULL, &process->blocked) == 0);
    CHECK(status != NULL);
    while (fgets(line, sizeof line, status) != NULL) {
        if (strncmp(line, "SigBlk", 6) == 0 || strncmp(line, "SigIgn", 6) == 0 || strncmp(line, "SigCgt", 6) == 0) {
            strncpy(process->masks[masks++], line, sizeof process->masks[0] - 1);
        }
    }
    CHECK(masks == 3);
    fclose(status);
    process->environment = environ;
    for (char **variable = environ; *variable != NULL; variable++) {
        size_t len = strlen(*variable) + 1;
        CHECK(used + len < sizeof process->variables);
        memcpy(process->variables + used, *variable, len);
        used += len;
    }
    process->handlers = atomic_load(&handlers_added);
}

static void is_as_before(const struct process *before) {
    static struct process now;
    look(&now);
    for (int signal = 1; signal < SIGNALS; signal++) {
        const struct sigaction *is = &now.actions[signal], *was = &before->actions[signal];
        if (is->sa_handler != was->sa_handler || is->sa_flags != was->sa_flags) {
            fprintf(stderr, "the disposition of signal %d was changed\n", signal);
            abort();
        }
        CHECK(memcmp(&is->sa_mask, &was->sa_mask, sizeof(uint64_t)) == 0);
    }
    CHECK(memcmp(&now.blocked, &before->blocked, sizeof now.blocked) == 0);
    CHECK(memcmp(now.masks, before->masks, sizeof now.masks) == 0);
    CHECK(now.environment == before->environment);
    CHECK(memcmp(now.variables, before->variables, sizeof now.variables) == 0);
    CHECK(now.handlers == before->handlers);
    CHECK(atomic_load(&pipes) == 0);
}

/* ---- every way to write ---- */

static heartwire_client client(const char *url, heartwire_loop *event_loop, bool own_dispatch) {
    heartwire_client client = HEARTWIRE_CLIENT_INIT;
    heartwire_options *options = heartwire_options_new();
    OK(heartwire_options_set_reconnect_fixed(options, 1));
    OK(heartwire_options_set_loop(options, event_loop));
    OK(heartwire_options_set_heartbeat_ping(options));
    OK(heartwire_options_set_heartbeat_every(options, 10)); /* written by the loop */
    if (strncmp(url, "wss", 3) == 0) {
        OK(heartwire_options_add_tls_ca_file(options, authority));
    }
    if (own_dispatch) {
        OK(heartwire_options_set_dispatch(options, HEARTWIRE_DISPATCH_THREAD));
    }
    OK(heartwire_create(url, options, &client));
    heartwire_options_free(options);
    return client;
}

static uint64_t sessions(heartwire_client client) {
    heartwire_stats_info stats = {.size = sizeof stats};
    OK(heartwire_stats(client, &stats));
    return stats.sessions;
}

static char payload[40000];

static void send_some(heartwire_client client) {
    for (int i = 0; i < 8; i++) {
        (void)heartwire_send_text(client, "small", 5, NULL); /* at once on this thread, then by the loop */
        (void)heartwire_send_binary(client, payload, sizeof payload, NULL);
        (void)heartwire_ping(client, "x", 1);
    }
}

static void on_message(heartwire_client client, const void *data, size_t len, int32_t kind, void *user_data) {
    (void)data, (void)len, (void)kind, (void)user_data;
    (void)heartwire_send_text(client, "from a callback", 15, NULL);
}

static void until_cut_often(heartwire_client client, heartwire_loop *turned) {
    while (sessions(client) < SESSIONS) {
        send_some(client);
        if (turned != NULL) {
            OK(heartwire_loop_turn(turned, 10));
        } else {
            (void)heartwire_flush(client, HEARTWIRE_LEVEL_WRITTEN, 10);
        }
    }
}

static void on_a_thread(const char *url, bool own_dispatch) {
    heartwire_client it = client(url, NULL, own_dispatch);
    OK(heartwire_on_message(it, on_message, NULL, NULL, NULL));
    OK(heartwire_connect(it));
    until_cut_often(it, NULL);
    OK(heartwire_destroy(it)); /* says goodbye, perhaps into a broken connection */
}

static void in_turns(const char *url) {
    heartwire_loop *event_loop = heartwire_loop_new();
    CHECK(event_loop != NULL);
    heartwire_client it = client(url, event_loop, false);
    OK(heartwire_on_message(it, on_message, NULL, NULL, NULL));
    OK(heartwire_connect(it));
    until_cut_often(it, event_loop);
    OK(heartwire_destroy(it));
    OK(heartwire_loop_free(event_loop));
}

/* Events are pulled, and the descriptor to poll was shut down by the program, against the rules. */
static void pulled(const char *url) {
    heartwire_client it = client(url, NULL, false);
    heartwire_event *event = NULL;
    int fd = -1;
    OK(heartwire_events_fd(it, &fd));
    OK(heartwire_connect(it));
    CHECK(shutdown(fd, SHUT_RDWR) == 0);
    while (sessions(it) < SESSIONS) {
        send_some(it);
        if (heartwire_next_event(it, 10, &event) == HEARTWIRE_OK) {
            heartwire_event_free(event);
        }
    }
    OK(heartwire_close(it, 1000, ""));
    OK(heartwire_destroy(it));
}

static void every_way(const char *url) {
    on_a_thread(url, false);
    on_a_thread(url, true);
    in_turns(url);
    pulled(url);
}

static void *nothing(void *argument) {
    return argument;
}

int main(int argc, char **argv) {
    static struct process before;
    struct sigaction action = {0}, previous;
    pthread_t first;
    void *interposed = dlsym(RTLD_DEFAULT, "__cxa_atexit");
    int (*ours)(void (*)(void *), void *, void *) = __cxa_atexit;
    CHECK(argc > 2);
    CHECK(memcmp(&interposed, &ours, sizeof ours) == 0); /* else nothing would be counted */
    authority = argv[1];

    action.sa_handler = on_pipe;
    CHECK(sigaction(SIGPIPE, &action, NULL) == 0);
    /* With its first thread the C library catches a signal of its own (33). */
    CHECK(pthread_create(&first, NULL, nothing, NULL) == 0 && pthread_join(first, NULL) == 0);
    look(&before);
    for (int i = 2; i < argc; i++) {
        every_way(argv[i]);
        is_as_before(&before);
    }

    /* The handler works: a signal that is raised is counted. */
    int ends[2];
    CHECK(pipe(ends) == 0 && close(ends[0]) == 0 && write(ends[1], "x", 1) == -1);
    CHECK(atomic_load(&pipes) == 1);
    atomic_store(&pipes, 0);

    /* What a program most often has, and a process begins with, stays as well. */
    for (int i = 0; i < 2; i++) {
        action.sa_handler = i == 0 ? SIG_IGN : SIG_DFL;
        CHECK(sigaction(SIGPIPE, &action, NULL) == 0);
        on_a_thread(argv[2], false);
        CHECK(sigaction(SIGPIPE, NULL, &previous) == 0 && previous.sa_handler == action.sa_handler);
    }
    return 0;
}
