/*
 * Pins of a TLS server, and the certificate that it has shown, from C.
 *
 * Arguments: the URL of an echoing server, a file with its authority in PEM, the SHA-256 of its key as curl writes it, that
 * of its certificate in hexadecimal digits, and the length of its certificate in DER.
 */
#define _POSIX_C_SOURCE 200809L
#include <string.h>

#include "events.h"

static const char *nobodys = "0000000000000000000000000000000000000000000000000000000000000000";

static void what_is_no_hash_is_refused(void) {
    heartwire_options *options = heartwire_options_new();
    CHECK(heartwire_options_add_tls_pin_public_key(options, "server.pem") == HEARTWIRE_ERR_CONFIG);
    CHECK(strstr(heartwire_last_error(), "pin_public_key") != NULL);
    CHECK(heartwire_options_add_tls_pin_certificate(options, "") == HEARTWIRE_ERR_CONFIG);
    CHECK(strstr(heartwire_last_error(), "pin_certificate") != NULL);
    CHECK(heartwire_options_add_tls_pin_public_key(options, "\xff") == HEARTWIRE_ERR_UTF8);
    heartwire_options_free(options);
}

static void where_there_is_no_tls_there_is_no_pin(void) {
    heartwire_options *options = heartwire_options_new();
    heartwire_client client = HEARTWIRE_CLIENT_INIT;
    OK(heartwire_options_add_tls_pin_certificate(options, nobodys));
    CHECK(heartwire_create("ws://127.0.0.1:1/", options, &client) == HEARTWIRE_ERR_CONFIG);
    CHECK(strstr(heartwire_last_error(), "pin_certificate") != NULL && client.id == 0);
    heartwire_options_free(options);
    OK(heartwire_create("ws://127.0.0.1:1/", NULL, &client));
    {
        size_t len = 7;
        CHECK(heartwire_peer_certificate(client, NULL, &len) == HEARTWIRE_ERR_NOT_FOUND && len == 7);
    }
    OK(heartwire_destroy(client));
}

/* One pin that fits is enough; then the certificate is told. */
static void pinned(const char *url, const char *authority, const char *key, const char *certificate, size_t length) {
    heartwire_options *options = heartwire_options_new();
    heartwire_client client;
    heartwire_event *event;
    const uint8_t *der;
    uint8_t copy[8192];
    size_t len = 0, told = 0;
    OK(heartwire_options_add_tls_ca_file(options, authority));
    OK(heartwire_options_add_tls_pin_public_key(options, key));
    OK(heartwire_options_add_tls_pin_certificate(options, certificate));
    OK(heartwire_create(url, options, &client));
    heartwire_options_free(options);
    OK(heartwire_connect(client));
    event = next(client, HEARTWIRE_EVENT_OPEN);
    der = heartwire_event_peer_certificate(event, &len);
    CHECK(der != NULL && len == length && der[0] == 0x30);
    CHECK(heartwire_event_peer_certificate(event, NULL) == der);
    OK(heartwire_peer_certificate(client, NULL, &told));
    CHECK(told == len && len < sizeof copy);
    /* Not a byte more than it needs, and not one less. */
    memset(copy, 0x55, sizeof copy);
    told = len - 1;
    CHECK(heartwire_peer_certificate(client, copy, &told) == HEARTWIRE_ERR_BUFFER);
    CHECK(told == len - 1 && copy[0] == 0x55);
    told = len;
    OK(heartwire_peer_certificate(client, copy, &told));
    CHECK(told == len && memcmp(copy, der, len) == 0 && copy[len] == 0x55);
    heartwire_event_free(event);
    OK(heartwire_close(client, 1000, NULL));
    event = next(client, HEARTWIRE_EVENT_CLOSE);
    len = 7;
    CHECK(heartwire_event_peer_certificate(event, &len) == NULL && len == 0);
    heartwire_event_free(event);
    OK(heartwire_destroy(client));
}

static void refused(const char *url, const char *authority, const char *key) {
    heartwire_options *options = heartwire_options_new();
    heartwire_client client;
    heartwire_event *event;
    heartwire_error_info error;
    error.size = sizeof error;
    OK(heartwire_options_add_tls_ca_file(options, authority));
    OK(heartwire_options_add_tls_pin_public_key(options, nobodys));
    OK(heartwire_create(url, options, &client));
    heartwire_options_free(options);
    OK(heartwire_connect(client));
    event = next(client, HEARTWIRE_EVENT_CONNECT_FAILED);
    OK(heartwire_event_error(event, &error));
    CHECK(error.phase == HEARTWIRE_PHASE_TLS && error.kind == HEARTWIRE_CAUSE_TLS);
    CHECK(error.tls_fault == HEARTWIRE_TLS_FAULT_PIN && error.will_retry == 1);
    CHECK(strstr(error.text, key) != NULL);
    heartwire_event_free(event);
    OK(heartwire_destroy(client));
}

int main(int argc, char **argv) {
    CHECK(argc == 6);
    what_is_no_hash_is_refused();
    where_there_is_no_tls_there_is_no_pin();
    pinned(argv[1], argv[2], argv[3], nobodys, strtoul(argv[5], NULL, 10));
    pinned(argv[1], argv[2], nobodys, argv[4], strtoul(argv[5], NULL, 10));
    refused(argv[1], argv[2], argv[3]);
    return 0;
}
