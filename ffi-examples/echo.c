/*
 * The shortest whole program: connects, sends one text, prints the answer, closes.
 *
 *     echo URL TEXT        echo ws://127.0.0.1:9001/ hello
 *
 * Shows: callbacks, and that a message can be sent before the link is up. Leaves out: settings (reconnect.c, tls.c),
 * and events in a loop of one's own (talk.c). It tries for 10 s, since a client does not give up unless told to.
 *
 * Exit status: 0 if the answer came, 1 if not, 2 for wrong arguments.
 */

#include <heartwire.h>
#include <stdio.h>
#include <string.h>

/* Runs on the client's thread. `user_data` is main's `answered`. */
static void on_message(heartwire_client client, const void *data, size_t len, int32_t kind, void *user_data) {
    if (kind == HEARTWIRE_TEXT) printf("%.*s\n", (int)len, (const char *)data);
    *(int *)user_data = 1;
    heartwire_close(client, 1000, "done");
}

int main(int argc, char **argv) {
    heartwire_client client = HEARTWIRE_CLIENT_INIT;
    heartwire_status status;
    int answered = 0;

    if (argc != 3) {
        fprintf(stderr, "usage: echo URL TEXT\n");
        return 2;
    }
    status = heartwire_create(argv[1], NULL, &client);
    if (status == HEARTWIRE_OK) status = heartwire_on_message(client, on_message, &answered, NULL, NULL);
    if (status == HEARTWIRE_OK) status = heartwire_connect(client);
    if (status == HEARTWIRE_OK) status = heartwire_send_text(client, argv[2], strlen(argv[2]), NULL);
    if (status == HEARTWIRE_OK) status = heartwire_wait_closed(client, 10000);
    if (status != HEARTWIRE_OK) fprintf(stderr, "%s\n", heartwire_last_error());

    /* A handle that is still zero does no harm. After this, no callback runs: `answered` may go. */
    heartwire_destroy(client);
    return answered ? 0 : 1;
}
