/*
 * What is the matter with a client, from C: in every state, in a callback, with a buffer of any size, and with a handle
 * of no client.
 *
 * Arguments: the URL of an echoing server with a password and a token in it, and one where nobody listens.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdatomic.h>
#include <string.h>

#include "events.h"

static char text[HEARTWIRE_EXPLAIN_SIZE];

/* The text of now; what it is of stands in the first line. */
static const char *explained(heartwire_client client, const char *words) {
    static const char begins[] = "heartwire " HEARTWIRE_VERSION " client ";
    const char *found, *end;
    size_t len = sizeof text;
    OK(heartwire_explain(client, text, &len));
    CHECK(len == strlen(text) && len < sizeof text && text[len - 1] == '\n');
    end = strchr(text, '\n');
    found = strstr(text, words);
    CHECK(strncmp(text, begins, sizeof begins - 1) == 0);
    CHECK(found != NULL && found < end);
    CHECK(strstr(text, "secret") == NULL);
    return text;
}

static void buffers(heartwire_client client) {
    char small[8] = "as it is";
    size_t len = 0, told;
    OK(heartwire_explain(client, NULL, &len));
    CHECK(len > 200 && len < HEARTWIRE_EXPLAIN_SIZE);
    told = sizeof small;
    CHECK(heartwire_explain(client, small, &told) == HEARTWIRE_ERR_BUFFER);
    CHECK(told == sizeof small && memcmp(small, "as it is", sizeof small) == 0);
    CHECK(strstr(heartwire_last_error(), "the buffer needs ") != NULL);
    CHECK(heartwire_explain(client, text, NULL) == HEARTWIRE_ERR_ARGUMENT);
    CHECK(heartwire_explain(client, NULL, NULL) == HEARTWIRE_ERR_ARGUMENT);
}

static void on_message(heartwire_client client, const void *data, size_t len, int32_t kind, void *user_data) {
    (void)data, (void)len, (void)kind;
    explained(client, ": open since ");
    atomic_fetch_add((atomic_int *)user_data, 1);
    OK(heartwire_close(client, 1000, "secret"));
}

static void a_life(const char *url) {
    heartwire_client client, zero = HEARTWIRE_CLIENT_INIT;
    atomic_int calls;
    size_t len = sizeof text;
    atomic_init(&calls, 0);
    OK(heartwire_create(url, NULL, &client));
    explained(client, ": idle; connect was not called");
    buffers(client);
    OK(heartwire_on_message(client, on_message, &calls, NULL, NULL));
    OK(heartwire_connect(client));
    OK(heartwire_send_text(client, "secret", 6, NULL));
    OK(heartwire_wait_closed(client, SOON_MS));
    CHECK(atomic_load(&calls) == 1);
    explained(client, ": closed since ");
    CHECK(strstr(text, "connecting -> open: attempt 1 (") != NULL);
    CHECK(strstr(text, "sent 1 messages (6 bytes), received 1 (6 bytes)") != NULL);
    printf("%s", text);
    OK(heartwire_destroy(client));
    strcpy(text, "as it is");
    CHECK(heartwire_explain(client, text, &len) == HEARTWIRE_ERR_HANDLE);
    CHECK(heartwire_explain(zero, text, &len) == HEARTWIRE_ERR_HANDLE);
    CHECK(len == sizeof text && strcmp(text, "as it is") == 0);
}

static void a_failure(const char *url) {
    heartwire_options *options = heartwire_options_new();
    heartwire_client client;
    OK(heartwire_options_set_name(options, "feed"));
    OK(heartwire_options_set_reconnect_fixed(options, 3600 * 1000));
    OK(heartwire_create(url, options, &client));
    heartwire_options_free(options);
    OK(heartwire_connect(client));
    heartwire_event_free(next(client, HEARTWIRE_EVENT_CONNECT_FAILED));
    explained(client, " for attempt 2, due in 59 min ");
    explained(client, "client \"feed\" to ws://");
    explained(client, " s: attempt 1 failed: connect failed: ");
    OK(heartwire_destroy(client));
}

int main(int argc, char **argv) {
    CHECK(argc == 3);
    a_life(argv[1]);
    a_failure(argv[2]);
    return 0;
}
