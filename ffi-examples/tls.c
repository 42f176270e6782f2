/*
 * Speaks with a server whose certificate is of an authority of one's own, and shows it a client certificate.
 *
 *     tls URL CA.pem CLIENT.pem CLIENT.key
 *
 * It sends "hello" and ends when something has come back. A failure is explained and not tried again.
 *
 * Shows: TLS settings, reading what went wrong. Leaves out: PKCS#12 (heartwire_options_set_tls_client_pkcs12()), and
 * encrypted keys, which the library does not take: decrypt them by `openssl pkey`.
 *
 * Exit status: 0 if an answer came, 3 if TLS failed, 1 for any other failure, 2 for wrong arguments.
 */

#include <heartwire.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the callbacks, on the client's thread, leave for main(), which reads it after their end. */
struct result {
    bool answered;
    bool tls_failed;
};

struct text {
    char *data;
    size_t len;
};

static bool read_file(const char *path, struct text *text) {
    enum { MOST = 1 << 20 };
    FILE *file = fopen(path, "rb");
    if (file) text->data = malloc(MOST);
    if (text->data) text->len = fread(text->data, 1, MOST, file);
    if (!file || text->len == 0) fprintf(stderr, "%s cannot be read\n", path);
    if (file) fclose(file);
    return text->len > 0;
}

static void on_message(heartwire_client client, const void *data, size_t len, int32_t kind, void *user_data) {
    (void)kind;
    printf("%.*s\n", (int)len, (const char *)data);
    ((struct result *)user_data)->answered = true;
    heartwire_close(client, 1000, "done");
}

/* A connect that fails, or a session: under TLS 1.3 a server refuses a client certificate after the handshake. */
static void on_failure(heartwire_client client, const heartwire_event *event, void *user_data) {
    heartwire_error_info error;
    (void)client;
    memset(&error, 0, sizeof error);
    error.size = sizeof error;
    if (heartwire_event_error(event, &error) != HEARTWIRE_OK) return;
    fprintf(stderr, "%s\n", error.text);
    if (error.kind != HEARTWIRE_CAUSE_TLS) return;
    ((struct result *)user_data)->tls_failed = true;
    switch (error.tls_fault) {
    case HEARTWIRE_TLS_FAULT_CERTIFICATE: fprintf(stderr, "Is this the CA that signed the server's?\n"); break;
    case HEARTWIRE_TLS_FAULT_HOST_NAME: fprintf(stderr, "Is the name in the URL right?\n"); break;
    case HEARTWIRE_TLS_FAULT_REFUSED: fprintf(stderr, "Does the server know the client's CA?\n"); break;
    default: break;
    }
}

static heartwire_status settings(heartwire_options *options, const char *ca, const struct text *certificate,
                                 const struct text *key) {
    heartwire_status status = heartwire_options_add_tls_ca_file(options, ca);
    /* Nobody else's word counts. */
    if (status == HEARTWIRE_OK) status = heartwire_options_set_tls_system_roots(options, false);
    if (status == HEARTWIRE_OK) {
        status = heartwire_options_set_tls_client_pem(options, certificate->data, certificate->len, key->data, key->len);
    }
    if (status == HEARTWIRE_OK) status = heartwire_options_set_reconnect_never(options);
    return status;
}

int main(int argc, char **argv) {
    heartwire_client client = HEARTWIRE_CLIENT_INIT;
    heartwire_options *options = NULL;
    heartwire_status status = HEARTWIRE_ERR_ARGUMENT;
    struct result result = {false, false};
    struct text certificate = {NULL, 0}, key = {NULL, 0};

    if (argc != 5) {
        fprintf(stderr, "usage: tls URL CA.pem CLIENT.pem CLIENT.key\n");
        return 2;
    }
    if (read_file(argv[3], &certificate) && read_file(argv[4], &key)) {
        options = heartwire_options_new();
        status = settings(options, argv[2], &certificate, &key);
        if (status == HEARTWIRE_OK) status = heartwire_create(argv[1], options, &client);
        if (status == HEARTWIRE_OK) status = heartwire_on_message(client, on_message, &result, NULL, NULL);
        if (status == HEARTWIRE_OK) status = heartwire_on_connect_failed(client, on_failure, &result, NULL, NULL);
        if (status == HEARTWIRE_OK) status = heartwire_on_error(client, on_failure, &result, NULL, NULL);
        if (status == HEARTWIRE_OK) status = heartwire_connect_with(client, "hello", 5, HEARTWIRE_TEXT);
        if (status == HEARTWIRE_OK) status = heartwire_wait_closed(client, 30000);
        if (status != HEARTWIRE_OK) fprintf(stderr, "%s\n", heartwire_last_error());
    }

    heartwire_options_free(options);
    heartwire_destroy(client);
    free(certificate.data);
    free(key.data);
    return result.answered ? 0 : result.tls_failed ? 3 : 1;
}
