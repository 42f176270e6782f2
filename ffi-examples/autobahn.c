/*
 * The agent that the Autobahn suite's fuzzing server examines: echoes every message of every case.
 *
 *     autobahn URL AGENT        autobahn ws://127.0.0.1:9001 heartwire
 *
 * Shows: one client after the other with the same options, and messages of any size. `.ci/autobahn` does it all;
 * examples/autobahn.rs is the same in Rust.
 *
 * Exit status: 0 if every case was run, whatever its result; 1 if not; 2 for wrong arguments.
 */

#include <heartwire.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The longest case sends 1000 messages of 64 KiB, or one of 16 MiB in small pieces. */
#define PATIENCE_MS 120000
#define LARGEST (64u << 20)

static void echo(heartwire_client client, const void *data, size_t len, int32_t kind, void *user_data) {
    heartwire_status status = kind == HEARTWIRE_TEXT ? heartwire_send_text(client, data, len, NULL)
                                                     : heartwire_send_binary(client, data, len, NULL);
    (void)user_data;
    if (status != HEARTWIRE_OK) fprintf(stderr, "echo: %s\n", heartwire_last_error());
}

/* `user_data` is main's `count`. */
static void read_count(heartwire_client client, const void *data, size_t len, int32_t kind, void *user_data) {
    char digits[16] = {0};
    (void)client, (void)kind;
    memcpy(digits, data, len < sizeof digits - 1 ? len : sizeof digits - 1);
    *(unsigned *)user_data = (unsigned)strtoul(digits, NULL, 10);
}

/* One session, to its end. */
static heartwire_status run(const heartwire_options *options, const char *url, heartwire_message_fn on_message,
                            void *user_data) {
    heartwire_client client = HEARTWIRE_CLIENT_INIT;
    heartwire_status status = heartwire_create(url, options, &client);
    if (status == HEARTWIRE_OK) status = heartwire_on_message(client, on_message, user_data, NULL, NULL);
    if (status == HEARTWIRE_OK) status = heartwire_connect(client);
    if (status == HEARTWIRE_OK) status = heartwire_wait_closed(client, PATIENCE_MS);
    if (status != HEARTWIRE_OK) fprintf(stderr, "%s: %s\n", url, heartwire_last_error());
    heartwire_destroy(client);
    return status;
}

static heartwire_status examine(const heartwire_options *options, const char *server, const char *agent) {
    char url[512];
    unsigned count = 0, number;
    heartwire_status status;

    snprintf(url, sizeof url, "%s/getCaseCount", server);
    status = run(options, url, read_count, &count);
    for (number = 1; number <= count && status == HEARTWIRE_OK; number++) {
        snprintf(url, sizeof url, "%s/runCase?case=%u&agent=%s", server, number, agent);
        status = run(options, url, echo, NULL);
    }
    if (status == HEARTWIRE_OK) {
        snprintf(url, sizeof url, "%s/updateReports?agent=%s", server, agent);
        status = run(options, url, echo, NULL);
        printf("%u cases run\n", count);
    }
    return status;
}

int main(int argc, char **argv) {
    heartwire_options *options = heartwire_options_new();
    heartwire_status status;

    if (argc != 3) {
        fprintf(stderr, "usage: autobahn URL AGENT\n");
        heartwire_options_free(options);
        return 2;
    }
    status = heartwire_options_set_reconnect_never(options);
    if (status == HEARTWIRE_OK) status = heartwire_options_set_max_message_size(options, LARGEST);
    if (status == HEARTWIRE_OK) status = heartwire_options_set_outbox(options, 4096, LARGEST);
    /* A library that was built without compression is examined without. */
    if (status == HEARTWIRE_OK && heartwire_options_set_deflate(options, true) != HEARTWIRE_ERR_UNSUPPORTED) {
        status = heartwire_options_set_deflate_threshold(options, 0);
    }
    if (status != HEARTWIRE_OK) fprintf(stderr, "%s\n", heartwire_last_error());
    if (status == HEARTWIRE_OK) status = examine(options, argv[1], argv[2]);
    heartwire_options_free(options);
    return status == HEARTWIRE_OK ? 0 : 1;
}
