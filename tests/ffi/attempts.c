/*
 * Where attempts go, from C: the program asked ahead of each, redirects, several URLs.
 *
 * Arguments: the URLs of a server that echoes, of one that refuses its first connection with 401 and a cookie, and echoes
 * after it, of one that redirects to the first, of one that redirects to itself, and of one that redirects to the first by
 * the name localhost; and the URL of a proxy.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "events.h"

static heartwire_client connected(const char *url, heartwire_options *options) {
    heartwire_client client;
    OK(heartwire_options_set_reconnect_fixed(options, 1));
    OK(heartwire_create(url, options, &client));
    heartwire_options_free(options);
    OK(heartwire_connect(client));
    return client;
}

static void freed(void *user_data) {
    atomic_fetch_add((atomic_int *)user_data, 1);
}

/* The second attempt has a token. */
static void with_token(heartwire_client client, heartwire_attempt *attempt, void *user_data) {
    heartwire_error_info error;
    heartwire_status known;
    error.size = sizeof error;
    CHECK(heartwire_is_valid(client) && user_data != NULL);
    known = heartwire_attempt_error(attempt, &error);
    if (heartwire_attempt_number(attempt) == 1) {
        CHECK(known == HEARTWIRE_ERR_NOT_FOUND);
        return;
    }
    CHECK(known == HEARTWIRE_OK && error.http_status == 401);
    OK(heartwire_attempt_set_header(attempt, "Authorization", "Bearer fresh"));
    OK(heartwire_attempt_add_greeting(attempt, "login", 5, HEARTWIRE_TEXT));
}

static void a_refusal_asks_for_a_fresh_token(const char *url) {
    heartwire_options *options = heartwire_options_new();
    heartwire_client client;
    heartwire_event *event;
    atomic_int frees = 0;
    size_t len;
    OK(heartwire_options_set_before_connect(options, with_token, &frees, freed));
    OK(heartwire_options_set_cookies(options, true));
    client = connected(url, options);
    heartwire_event_free(next(client, HEARTWIRE_EVENT_CONNECT_FAILED));
    event = next(client, HEARTWIRE_EVENT_OPEN);
    CHECK(heartwire_event_attempt(event) == 2 && strcmp(heartwire_event_url(event), url) == 0);
    heartwire_event_free(event);
    event = next(client, HEARTWIRE_EVENT_MESSAGE);
    CHECK(memcmp(heartwire_event_data(event, &len), "login", 5) == 0 && len == 5);
    heartwire_event_free(event);
    CHECK(atomic_load(&frees) == 0);
    OK(heartwire_destroy(client));
    CHECK(atomic_load(&frees) == 1);
}

static void fails_then_stops(heartwire_client client, heartwire_attempt *attempt, void *user_data) {
    (void)client, (void)user_data;
    if (heartwire_attempt_number(attempt) == 1) {
        OK(heartwire_attempt_fail(attempt));
    } else {
        OK(heartwire_attempt_stop(attempt));
    }
}

static void an_attempt_may_fail_and_the_client_be_stopped(const char *url) {
    heartwire_options *options = heartwire_options_new();
    heartwire_client client;
    heartwire_event *event;
    heartwire_error_info error;
    error.size = sizeof error;
    OK(heartwire_options_set_before_connect(options, fails_then_stops, NULL, NULL));
    client = connected(url, options);
    event = next(client, HEARTWIRE_EVENT_CONNECT_FAILED);
    OK(heartwire_event_error(event, &error));
    CHECK(error.phase == HEARTWIRE_PHASE_PREPARE && error.kind == HEARTWIRE_CAUSE_BEFORE_CONNECT);
    heartwire_event_free(event);
    event = next(client, HEARTWIRE_EVENT_CLOSED_FOR_GOOD);
    CHECK(heartwire_event_end(event) == HEARTWIRE_END_STOPPED);
    CHECK(heartwire_event_url(event) == NULL && heartwire_event_url_index(event) == -1);
    heartwire_event_free(event);
    OK(heartwire_destroy(client));
}

/* Each attempt elsewhere, and later. */
static void elsewhere_and_later(heartwire_client client, heartwire_attempt *attempt, void *url) {
    (void)client;
    CHECK(heartwire_attempt_set_url(attempt, "http://h/") == HEARTWIRE_ERR_CONFIG);
    OK(heartwire_attempt_set_url(attempt, url));
    CHECK(strcmp(heartwire_attempt_url(attempt), url) == 0);
    OK(heartwire_attempt_set_delay(attempt, 3600 * 1000));
}

static void an_attempt_may_go_elsewhere_and_be_put_off(char *echo) {
    heartwire_options *options = heartwire_options_new();
    heartwire_client client;
    heartwire_event *event;
    OK(heartwire_options_set_before_connect(options, elsewhere_and_later, echo, NULL));
    client = connected("ws://127.0.0.1:1/", options);
    EVENTUALLY(heartwire_state(client) == HEARTWIRE_STATE_WAITING);
    OK(heartwire_reconnect_now(client));
    event = next(client, HEARTWIRE_EVENT_OPEN);
    CHECK(heartwire_event_attempt(event) == 1 && strcmp(heartwire_event_url(event), echo) == 0);
    heartwire_event_free(event);
    OK(heartwire_destroy(client));
}

static heartwire_options *of_the_environment(void) {
    heartwire_options *options = heartwire_options_new();
    OK(heartwire_options_set_proxy_from_environment(options));
    OK(heartwire_options_set_reconnect_never(options));
    return options;
}

/* The environment's proxy is the one that it named when the client was created, for the targets of redirects, too. */
static void the_environments_proxy(const char *echo, const char *away, const char *by_name, const char *proxy) {
    static const char *const names[] = {"https_proxy", "HTTPS_PROXY", "HTTP_PROXY",    "all_proxy",
                                        "ALL_PROXY",   "no_proxy",    "REQUEST_METHOD"};
    static const char wrong[] = "socks4://user:secret@h";
    heartwire_options *options;
    heartwire_client client = HEARTWIRE_CLIENT_INIT;
    heartwire_event *event;
    heartwire_error_info error;
    size_t i;
    error.size = sizeof error;
    for (i = 0; i < sizeof names / sizeof *names; i++) {
        CHECK(unsetenv(names[i]) == 0);
    }

    CHECK(setenv("http_proxy", wrong, 1) == 0);
    options = of_the_environment();
    CHECK(heartwire_create(echo, options, &client) == HEARTWIRE_ERR_CONFIG && client.id == 0);
    CHECK(strstr(heartwire_last_error(), "http_proxy") != NULL && strstr(heartwire_last_error(), "secret") == NULL);
    heartwire_options_free(options);

    /* The first server is reached without it, the one that it redirects to would not be. */
    CHECK(setenv("NO_PROXY", "127.0.0.0/8", 1) == 0);
    client = connected(by_name, of_the_environment());
    event = next(client, HEARTWIRE_EVENT_CONNECT_FAILED);
    OK(heartwire_event_error(event, &error));
    CHECK(error.phase == HEARTWIRE_PHASE_PROXY && strstr(error.text, "http_proxy") != NULL);
    CHECK(strstr(error.text, "secret") == NULL);
    CHECK(strcmp(heartwire_event_url(event), by_name) == 0 && heartwire_event_redirects(event) == 0);
    heartwire_event_free(event);
    OK(heartwire_destroy(client));

    CHECK(setenv("http_proxy", proxy, 1) == 0 && unsetenv("NO_PROXY") == 0);
    options = of_the_environment();
    OK(heartwire_create(away, options, &client));
    heartwire_options_free(options);
    CHECK(setenv("http_proxy", wrong, 1) == 0);
    OK(heartwire_connect(client));
    event = next(client, HEARTWIRE_EVENT_OPEN);
    CHECK(strcmp(heartwire_event_url(event), echo) == 0 && heartwire_event_redirects(event) == 1);
    heartwire_event_free(event);
    OK(heartwire_destroy(client));
}

static void redirects(const char *echo, const char *away, const char *circle) {
    heartwire_client client = connected(away, heartwire_options_new());
    heartwire_event *event = next(client, HEARTWIRE_EVENT_OPEN);
    heartwire_options *options = heartwire_options_new();
    heartwire_error_info error;
    error.size = sizeof error;
    CHECK(strcmp(heartwire_event_url(event), echo) == 0 && heartwire_event_url_index(event) == 0);
    CHECK(heartwire_event_redirects(event) == 1 && strcmp(heartwire_event_redirect(event, 0), away) == 0);
    CHECK(heartwire_event_redirect(event, 1) == NULL);
    CHECK(heartwire_event_redirect_fault(event) == HEARTWIRE_REDIRECT_FAULT_NONE);
    heartwire_event_free(event);
    OK(heartwire_destroy(client));

    client = connected(circle, heartwire_options_new());
    event = next(client, HEARTWIRE_EVENT_CONNECT_FAILED);
    OK(heartwire_event_error(event, &error));
    CHECK(error.kind == HEARTWIRE_CAUSE_BAD_REDIRECT && error.http_status == 302);
    CHECK(heartwire_event_redirect_fault(event) == HEARTWIRE_REDIRECT_FAULT_LOOP);
    heartwire_event_free(event);
    OK(heartwire_destroy(client));

    CHECK(heartwire_options_set_redirects(options, 21) == HEARTWIRE_ERR_CONFIG);
    OK(heartwire_options_set_redirects(options, 0));
    client = connected(away, options);
    event = next(client, HEARTWIRE_EVENT_CONNECT_FAILED);
    OK(heartwire_event_error(event, &error));
    CHECK(error.kind == HEARTWIRE_CAUSE_REFUSED && error.http_status == 302 && error.will_retry == 0);
    heartwire_event_free(event);
    OK(heartwire_destroy(client));
}

static void urls_take_turns(const char *echo) {
    heartwire_options *options = heartwire_options_new();
    heartwire_client client;
    heartwire_event *event;
    CHECK(heartwire_options_add_url(options, "http://h/") == HEARTWIRE_ERR_CONFIG);
    OK(heartwire_options_add_url(options, echo));
    CHECK(heartwire_options_add_url(options, echo) == HEARTWIRE_ERR_CONFIG);
    OK(heartwire_options_set_url_penalty(options, 1000));
    client = connected("ws://127.0.0.1:1/", options);
    event = next(client, HEARTWIRE_EVENT_CONNECT_FAILED);
    CHECK(heartwire_event_url_index(event) == 0 && strcmp(heartwire_event_url(event), "ws://127.0.0.1:1/") == 0);
    heartwire_event_free(event);
    event = next(client, HEARTWIRE_EVENT_OPEN);
    CHECK(heartwire_event_url_index(event) == 1 && strcmp(heartwire_event_url(event), echo) == 0);
    heartwire_event_free(event);
    OK(heartwire_destroy(client));
}

int main(int argc, char **argv) {
    CHECK(argc == 7);
    a_refusal_asks_for_a_fresh_token(argv[2]);
    an_attempt_may_fail_and_the_client_be_stopped(argv[1]);
    an_attempt_may_go_elsewhere_and_be_put_off(argv[1]);
    the_environments_proxy(argv[1], argv[3], argv[5], argv[6]);
    redirects(argv[1], argv[3], argv[4]);
    urls_take_turns(argv[1]);
    return 0;
}
