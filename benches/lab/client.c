/*
 * This library as a contender of the lab, through its C functions: `heartwire_lab_c MODE URL N SIZE`, one JSON line.
 *
 * Callbacks on the client's own thread; the main thread sends, and waits on a condition variable.
 */

#include <heartwire.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Larger than any message of the lab. */
#define LARGE ((size_t)64 << 20)
#define SOON_MS 60000

struct run {
    const char *mode, *url;
    size_t n, size;
    unsigned char *payload;
    heartwire_client client;

    /* The callback's own. */
    uint64_t *laps;
    size_t lapped;
    uint64_t lap_began, bytes, first_bytes, ended;
    size_t received;

    /* What it leaves for the main thread. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t told, taken;
    char answer[64];
};

static void fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, heartwire_last_error());
    exit(2);
}

static void check(heartwire_status status, const char *what) {
    if (status != HEARTWIRE_OK) fail(what);
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int by_size(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void print_laps(const struct run *run, uint64_t wall_ns) {
    uint64_t sum = 0;
    for (size_t i = 0; i < run->n; i++) sum += run->laps[i];
    qsort(run->laps, run->n, sizeof *run->laps, by_size);
    printf("{\"mode\":\"%s\",\"n\":%zu,\"p50_us\":%.3f,\"p99_us\":%.3f,\"mean_us\":%.3f,\"max_us\":%.3f,\"wall_s\":%.6f}\n",
           run->mode, run->n, (double)run->laps[(run->n - 1) / 2] / 1e3,
           (double)run->laps[(size_t)((double)(run->n - 1) * 0.99)] / 1e3, (double)sum / (double)run->n / 1e3,
           (double)run->laps[run->n - 1] / 1e3, (double)wall_ns / 1e9);
}

static void print_rate(const struct run *run, size_t n, uint64_t bytes, uint64_t wall_ns) {
    printf("{\"mode\":\"%s\",\"n\":%zu,\"bytes\":%llu,\"wall_s\":%.6f}\n", run->mode, n, (unsigned long long)bytes,
           (double)wall_ns / 1e9);
}

static void tell(struct run *run) {
    pthread_mutex_lock(&run->lock);
    run->told++;
    pthread_mutex_unlock(&run->lock);
    pthread_cond_signal(&run->changed);
}

static void wait_told(struct run *run) {
    pthread_mutex_lock(&run->lock);
    while (run->told == run->taken) pthread_cond_wait(&run->changed, &run->lock);
    run->taken++;
    pthread_mutex_unlock(&run->lock);
}

static void send_payload(struct run *run) {
    check(heartwire_send_binary(run->client, run->payload, run->size, NULL), "send");
}

static void expect_echo(const struct run *run, const unsigned char *data, size_t len) {
    if (len != run->size || (len > 0 && (data[0] != run->payload[0] || data[len - 1] != run->payload[len - 1]))) {
        fprintf(stderr, "that is not what was sent\n");
        exit(2);
    }
}

static void on_echo(heartwire_client client, const void *data, size_t len, int32_t kind, void *user_data) {
    struct run *run = user_data;
    (void)client, (void)kind;
    expect_echo(run, data, len);
    tell(run);
}

static void on_echo_send_next(heartwire_client client, const void *data, size_t len, int32_t kind, void *user_data) {
    struct run *run = user_data;
    (void)client, (void)kind;
    expect_echo(run, data, len);
    /* The first round trip began on another thread. */
    if (run->lap_began != 0) run->laps[run->lapped++] = now_ns() - run->lap_began;
    if (run->lapped == run->n) {
        tell(run);
        return;
    }
    run->lap_began = now_ns();
    send_payload(run);
}

static void on_answer(heartwire_client client, const void *data, size_t len, int32_t kind, void *user_data) {
    struct run *run = user_data;
    (void)client, (void)kind;
    if (len >= sizeof run->answer) len = sizeof run->answer - 1;
    memcpy(run->answer, data, len);
    tell(run);
}

static void on_flood(heartwire_client client, const void *data, size_t len, int32_t kind, void *user_data) {
    struct run *run = user_data;
    (void)client, (void)kind;
    run->received++;
    run->bytes += len;
    run->first_bytes += *(const unsigned char *)data;
    if (run->received == run->n) {
        run->ended = now_ns();
        tell(run);
    }
}

static void on_nothing(heartwire_client client, const void *data, size_t len, int32_t kind, void *user_data) {
    (void)client, (void)data, (void)len, (void)kind, (void)user_data;
}

static heartwire_client open_client(struct run *run, heartwire_message_fn on_message) {
    heartwire_client client = HEARTWIRE_CLIENT_INIT;
    heartwire_options *options = heartwire_options_new();
    /* Settings are checked even where they are not used, and that loads the system's roots. */
    if (strncmp(run->url, "wss:", 4) == 0) {
        check(heartwire_options_set_tls_danger_accept_invalid_certificates(options, true), "options");
        check(heartwire_options_set_tls_danger_accept_invalid_hostnames(options, true), "options");
    }
    check(heartwire_options_set_max_message_size(options, LARGE), "options");
    check(heartwire_options_set_outbox(options, 4096, LARGE), "options");
    check(heartwire_options_set_outbox_when_full(options, HEARTWIRE_WHEN_FULL_BLOCK, SOON_MS), "options");
    check(heartwire_options_set_reconnect_never(options), "options");
    check(heartwire_create(run->url, options, &client), "create");
    heartwire_options_free(options);
    check(heartwire_on_message(client, on_message, run, NULL, NULL), "on_message");
    check(heartwire_connect(client), "connect");
    check(heartwire_wait_open(client, SOON_MS), "wait_open");
    return client;
}

static void round_trips(struct run *run) {
    run->client = open_client(run, on_echo);
    const uint64_t began = now_ns();
    for (size_t i = 0; i < run->n; i++) {
        const uint64_t lap = now_ns();
        send_payload(run);
        wait_told(run);
        run->laps[i] = now_ns() - lap;
    }
    print_laps(run, now_ns() - began);
}

static void round_trips_in_the_callback(struct run *run) {
    run->client = open_client(run, on_echo_send_next);
    const uint64_t began = now_ns();
    send_payload(run);
    wait_told(run);
    print_laps(run, now_ns() - began);
}

static void flood(struct run *run) {
    unsigned long long n = 0, bytes = 0;
    run->client = open_client(run, on_answer);
    const uint64_t began = now_ns();
    for (size_t i = 0; i < run->n; i++) send_payload(run);
    wait_told(run);
    const uint64_t wall = now_ns() - began;
    /* "COUNT BYTES" */
    if (sscanf(run->answer, "%llu %llu", &n, &bytes) != 2) fail("the answer");
    print_rate(run, (size_t)n, bytes, wall);
}

static void receive(struct run *run) {
    run->client = open_client(run, on_flood);
    const uint64_t began = now_ns();
    check(heartwire_send_binary(run->client, "go", 2, NULL), "send");
    wait_told(run);
    if (run->first_bytes == 0) fprintf(stderr, "the flood is all zeros\n");
    print_rate(run, run->received, run->bytes, run->ended - began);
}

static void large(struct run *run) {
    run->client = open_client(run, on_echo);
    const uint64_t began = now_ns();
    for (size_t i = 0; i < run->n; i++) {
        send_payload(run);
        wait_told(run);
    }
    print_rate(run, run->n, (uint64_t)run->n * run->size, now_ns() - began);
}

static void connect_and_close(struct run *run) {
    const uint64_t began = now_ns();
    for (size_t i = 0; i < run->n; i++) {
        const uint64_t lap = now_ns();
        const heartwire_client client = open_client(run, on_nothing);
        run->laps[i] = now_ns() - lap;
        check(heartwire_close(client, 1000, ""), "close");
        check(heartwire_wait_closed(client, SOON_MS), "wait_closed");
        check(heartwire_destroy(client), "destroy");
    }
    print_laps(run, now_ns() - began);
}

/* Says where we are, and waits for the driver's line. */
static void phase(const char *name) {
    char line[64];
    printf("{\"mode\":\"idle\",\"phase\":\"%s\"}\n", name);
    fflush(stdout);
    if (fgets(line, sizeof line, stdin) == NULL) exit(0);
}

static void idle(struct run *run) {
    phase("base");
    for (size_t i = 0; i < run->n; i++) open_client(run, on_nothing);
    phase("open");
    exit(0);
}

int main(int argc, char **argv) {
    static const struct {
        const char *mode;
        void (*run)(struct run *);
    } MODES[] = {
        {"rtt", round_trips},   {"rtt_cb", round_trips_in_the_callback}, {"send", flood}, {"recv", receive}, {"big", large},
        {"connect", connect_and_close}, {"idle", idle},
    };
    struct run run = {0};
    if (argc != 5) {
        fprintf(stderr, "usage: heartwire_lab_c MODE URL N SIZE\n");
        return 2;
    }
    run.mode = argv[1];
    run.url = argv[2];
    run.n = strtoull(argv[3], NULL, 10);
    run.size = strtoull(argv[4], NULL, 10);
    run.payload = malloc(run.size + 1);
    run.laps = calloc(run.n + 1, sizeof *run.laps);
    if (run.payload == NULL || run.laps == NULL) return 2;
    for (size_t i = 0; i < run.size; i++) run.payload[i] = (unsigned char)(i * 31 + 7);
    pthread_mutex_init(&run.lock, NULL);
    pthread_cond_init(&run.changed, NULL);
    for (size_t i = 0; i < sizeof MODES / sizeof *MODES; i++) {
        if (strcmp(MODES[i].mode, run.mode) == 0) {
            MODES[i].run(&run);
            heartwire_destroy(run.client);
            free(run.payload);
            free(run.laps);
            return 0;
        }
    }
    printf("{\"mode\":\"%s\",\"unsupported\":true}\n", run.mode);
    return 0;
}
