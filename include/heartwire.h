/*
 * heartwire: a WebSocket client that stays connected.
 *
 * You create a client, connect it once, and from then on it is the library's work that the link is up: it keeps a
 * heartbeat, notices a dead link, dials again, sends first what has to be sent first, and tells truthfully what became
 * of every message. The shortest whole program:
 *
 *     #include <heartwire.h>
 *     #include <stdio.h>
 *
 *     static void on_message(heartwire_client client, const void *data, size_t len, int32_t kind, void *user_data) {
 *         (void)kind, (void)user_data;
 *         printf("%.*s\n", (int)len, (const char *)data);
 *         heartwire_close(client, 1000, "done");
 *     }
 *
 *     int main(void) {
 *         heartwire_client client = HEARTWIRE_CLIENT_INIT;
 *         heartwire_status status = heartwire_create("wss://example.com/feed", NULL, &client);
 *         if (status == HEARTWIRE_OK) status = heartwire_on_message(client, on_message, NULL, NULL, NULL);
 *         if (status == HEARTWIRE_OK) status = heartwire_connect(client);
 *         if (status == HEARTWIRE_OK) status = heartwire_send_text(client, "hello", 5, NULL);
 *         if (status == HEARTWIRE_OK) status = heartwire_wait_closed(client, 60000);
 *         if (status != HEARTWIRE_OK) fprintf(stderr, "%s\n", heartwire_last_error());
 *         heartwire_destroy(client);
 *         return status;
 *     }
 *
 * Handles. A heartwire_client is a value; copy it as you like. It is valid from heartwire_create() to
 * heartwire_destroy() or heartwire_release(); and so is a heartwire_stream, from heartwire_stream_begin() to
 * heartwire_stream_finish() or heartwire_stream_abort(). A handle that is zero, foreign, made up or of a destroyed
 * client or a message that is done gets HEARTWIRE_ERR_HANDLE, never a crash. Options, events and loops are pointers to
 * opaque objects, freed once, by the function that is named where they are made; freeing NULL does nothing.
 *
 * Strings. Settings are NUL-terminated UTF-8; payloads have an explicit length and no NUL behind them. Text that is not
 * UTF-8 gets HEARTWIRE_ERR_UTF8, and nothing is sent or set. Whatever is passed in is copied. What is handed out
 * belongs to the object that the function was asked about, and lives as long as that.
 *
 * Times. Lengths of time, as "_ms" says, are in milliseconds; round-trip times, "_us", in microseconds.
 *
 * Threads. Every call is legal from every thread, in every state and inside every callback, heartwire_destroy()
 * included. Calls that wait (heartwire_wait_open(), heartwire_wait_closed(), heartwire_flush(), heartwire_next_event(),
 * heartwire_stream_append(), a send that blocks on a full outbox) answer HEARTWIRE_ERR_WOULD_DEADLOCK inside a turn of
 * an event loop, where most callbacks run. Options, and an event, are used by one thread at a time; an event may be
 * read by several.
 *
 * Event loops. Each client has one on a thread of its own, unless a heartwire_loop is set in its options, which many
 * can share. That is turned in one of three ways: by a thread of the library's (heartwire_loop_start()), by the
 * program's own loop (heartwire_loop_turn(), with heartwire_loop_fd() and heartwire_loop_next_timeout_ms() for epoll
 * and its like), or, where nobody else does, by the calls that wait, while they wait.
 *
 * Callbacks and events. A program either registers callbacks (heartwire_on_message() and its like) or takes events
 * (heartwire_next_event()); the first one used decides for that client. Callbacks come one at a time for one client,
 * and their data is valid during the call. Each takes a `user_data`, and an optional function that frees it: exactly
 * once, after the last call. A C++ exception or a longjmp must not leave a callback: the process would be aborted.
 *
 * Errors. Every function returns a heartwire_status, or a value that cannot fail. Outputs are written only on success.
 * heartwire_last_error() tells this thread's last failure in words. Numbers that the header does not name get
 * HEARTWIRE_ERR_ARGUMENT. What goes wrong later, on the network, is told by events.
 *
 * Versions. Numbers are never reused. Structs that a later version may extend begin with `size_t size`: set it to
 * sizeof the struct, and the rest, where it is read, to zeros; a program that was compiled with an older header keeps
 * working. Later versions may add kinds of events and of causes: ignore those you do not know.
 *
 * Fork. The child of a fork has the clients' memory, but not their threads: there every call with a client or a loop of
 * the parent's answers HEARTWIRE_ERR_HANDLE (or what stands for no client, where no status is returned), at once and
 * with no effect on the parent; what they hold is not freed. Clients and loops that the child creates itself work; but
 * as with malloc() and its like, a fork while other threads create or connect clients, or log, may leave it a lock for
 * ever. A child that was forked inside a callback must not return from it. Sockets are close-on-exec: a child that
 * lives on without exec keeps the parent's connections half alive after the parent's end.
 *
 * The library touches no signal disposition, environment, exit or fork handler, raises no SIGPIPE and prints nothing.
 *
 * Generated from src/ffi; do not edit. To refresh it: HEARTWIRE_UPDATE_HEADER=1 cargo build
 */


#ifndef HEARTWIRE_H
#define HEARTWIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The version of this header; heartwire_version() is the one of the library. */
#define HEARTWIRE_VERSION "0.1.0"
#define HEARTWIRE_VERSION_MAJOR 0
#define HEARTWIRE_VERSION_MINOR 1
#define HEARTWIRE_VERSION_PATCH 0

/* The handle that is no client. */
#define HEARTWIRE_CLIENT_INIT {0}
/* The handle that is no message. */
#define HEARTWIRE_STREAM_INIT {0}

/**
 * It was done.
 */
#define HEARTWIRE_OK 0

/**
 * A pointer is NULL, a number is unknown, or a value is out of its range; heartwire_last_error() tells which.
 */
#define HEARTWIRE_ERR_ARGUMENT 1

/**
 * The handle is zero, foreign, made up, or of a destroyed client or a message that is done; or the client, or the
 * loop, is of the process that forked this one.
 */
#define HEARTWIRE_ERR_HANDLE 2

/**
 * Text is not UTF-8. Nothing was sent or set.
 */
#define HEARTWIRE_ERR_UTF8 3

/**
 * A setting cannot be; heartwire_last_error() tells which and why.
 */
#define HEARTWIRE_ERR_CONFIG 4

/**
 * The outbox is at its limit: wait for the event "writable", or drop something.
 */
#define HEARTWIRE_ERR_FULL 5

/**
 * The client was closed or has ended, so that it can no longer happen.
 */
#define HEARTWIRE_ERR_CLOSED 6

/**
 * The time was up. Nothing is lost by asking again.
 */
#define HEARTWIRE_ERR_TIMEOUT 7

/**
 * This thread is inside a turn of an event loop, of this client or of another: waiting here would stop it.
 */
#define HEARTWIRE_ERR_WOULD_DEADLOCK 8

/**
 * heartwire_connect() was called before on this client.
 */
#define HEARTWIRE_ERR_ALREADY_CONNECTED 9

/**
 * The message is longer than the outbox may ever hold, or a ping is longer than 125 bytes.
 */
#define HEARTWIRE_ERR_TOO_BIG 10

/**
 * A ping was asked for while no session is open.
 */
#define HEARTWIRE_ERR_NOT_OPEN 11

/**
 * Callbacks and heartwire_next_event() exclude each other; the first one used decides. Or: the program has a logger.
 */
#define HEARTWIRE_ERR_TAKEN 12

/**
 * There is no such header, listener or detail.
 */
#define HEARTWIRE_ERR_NOT_FOUND 13

/**
 * The buffer is too small; call without one to learn the length.
 */
#define HEARTWIRE_ERR_BUFFER 14

/**
 * The operating system had no thread, no descriptor or the like.
 */
#define HEARTWIRE_ERR_SYSTEM 15

/**
 * This platform, or this build of the library, does not have it.
 */
#define HEARTWIRE_ERR_UNSUPPORTED 16

/**
 * A bug in heartwire was caught at the border; please report it with heartwire_last_error().
 */
#define HEARTWIRE_ERR_PANIC 17

/**
 * The event loop is in use: another thread turns it, or its clients are not destroyed. Or: another thread is at the
 * message.
 */
#define HEARTWIRE_ERR_BUSY 18

/**
 * A message that is sent in pieces has ended early: the session ended in the middle, or it was too old. Begin a new
 * one.
 */
#define HEARTWIRE_ERR_DROPPED 19

/**
 * A session died, and nobody can tell how far the messages got.
 */
#define HEARTWIRE_ERR_UNKNOWN 20

/**
 * Text, always valid UTF-8.
 */
#define HEARTWIRE_TEXT 1

/**
 * Any bytes.
 */
#define HEARTWIRE_BINARY 2

/**
 * No event: what heartwire_event_kind() answers for NULL.
 */
#define HEARTWIRE_EVENT_NONE 0

/**
 * A session has opened.
 */
#define HEARTWIRE_EVENT_OPEN 1

/**
 * A message has come.
 */
#define HEARTWIRE_EVENT_MESSAGE 2

/**
 * A session has ended; exactly one for each HEARTWIRE_EVENT_OPEN.
 */
#define HEARTWIRE_EVENT_CLOSE 3

/**
 * An attempt to connect has failed.
 */
#define HEARTWIRE_EVENT_CONNECT_FAILED 4

/**
 * A session failed; its HEARTWIRE_EVENT_CLOSE follows.
 */
#define HEARTWIRE_EVENT_ERROR 5

/**
 * A heartbeat was answered.
 */
#define HEARTWIRE_EVENT_HEARTBEAT 6

/**
 * The outbox was full and is half empty again.
 */
#define HEARTWIRE_EVENT_WRITABLE 7

/**
 * What became of messages.
 */
#define HEARTWIRE_EVENT_OUTCOME 8

/**
 * The state has changed.
 */
#define HEARTWIRE_EVENT_STATE 9

/**
 * The very last event: there will be no attempt and no event any more.
 */
#define HEARTWIRE_EVENT_CLOSED_FOR_GOOD 10

/**
 * A part of a message has come, or no more will come of it.
 */
#define HEARTWIRE_EVENT_FRAGMENT 11

/**
 * The message begins with it.
 */
#define HEARTWIRE_FRAGMENT_FIRST 1

/**
 * The message is whole with it.
 */
#define HEARTWIRE_FRAGMENT_LAST 2

/**
 * There is no such part: the message was cut off here.
 */
#define HEARTWIRE_FRAGMENT_ABORTED 4

/**
 * Not a client, or one that was destroyed.
 */
#define HEARTWIRE_STATE_NONE -1

/**
 * Created; heartwire_connect() was not called yet.
 */
#define HEARTWIRE_STATE_IDLE 0

/**
 * An attempt is under way.
 */
#define HEARTWIRE_STATE_CONNECTING 1

/**
 * A session is open.
 */
#define HEARTWIRE_STATE_OPEN 2

/**
 * Between two attempts.
 */
#define HEARTWIRE_STATE_WAITING 3

/**
 * The session is being closed, by either side.
 */
#define HEARTWIRE_STATE_CLOSING 4

/**
 * Closed for good.
 */
#define HEARTWIRE_STATE_CLOSED 5

/**
 * Not a client, or one that was destroyed.
 */
#define HEARTWIRE_READY_NONE -1

/**
 * Connecting, or waiting to dial again.
 */
#define HEARTWIRE_READY_CONNECTING 0

/**
 * A session is open.
 */
#define HEARTWIRE_READY_OPEN 1

/**
 * The session is being closed.
 */
#define HEARTWIRE_READY_CLOSING 2

/**
 * Closed for good, or not connected yet.
 */
#define HEARTWIRE_READY_CLOSED 3

/**
 * None: no attempt is under way.
 */
#define HEARTWIRE_PHASE_NONE 0

/**
 * Looking the host's name up.
 */
#define HEARTWIRE_PHASE_RESOLVE 1

/**
 * Connecting: TCP, a Unix socket, or what the program dials.
 */
#define HEARTWIRE_PHASE_CONNECT 2

/**
 * The TLS handshake, and every TLS failure after it.
 */
#define HEARTWIRE_PHASE_TLS 3

/**
 * The HTTP upgrade.
 */
#define HEARTWIRE_PHASE_UPGRADE 4

/**
 * Messages flow.
 */
#define HEARTWIRE_PHASE_OPEN 5

/**
 * The closing handshake.
 */
#define HEARTWIRE_PHASE_CLOSE 6

/**
 * All that a proxy has a part in before the way through it is open: its name, TCP and TLS with it, its answer.
 */
#define HEARTWIRE_PHASE_PROXY 7

/**
 * Asking the program, by heartwire_options_set_before_connect(); comes ahead of all others.
 */
#define HEARTWIRE_PHASE_PREPARE 8

/**
 * The step took longer than its deadline.
 */
#define HEARTWIRE_CAUSE_TIMED_OUT 1

/**
 * The operating system reported a failure; name lookups that fail are here, too.
 */
#define HEARTWIRE_CAUSE_IO 2

/**
 * TLS refused the server, or the server refused us.
 */
#define HEARTWIRE_CAUSE_TLS 3

/**
 * The server answered the upgrade with a status other than 101; in HEARTWIRE_PHASE_PROXY the proxy refused.
 */
#define HEARTWIRE_CAUSE_REFUSED 4

/**
 * The server's 101 breaks RFC 6455.
 */
#define HEARTWIRE_CAUSE_BAD_UPGRADE 5

/**
 * The server broke the protocol.
 */
#define HEARTWIRE_CAUSE_PROTOCOL 6

/**
 * The stream ended without a Close frame.
 */
#define HEARTWIRE_CAUSE_END_OF_STREAM 7

/**
 * The server closed.
 */
#define HEARTWIRE_CAUSE_CLOSED 8

/**
 * No answer to the heartbeats: the link is dead although TCP has not noticed.
 */
#define HEARTWIRE_CAUSE_SILENT 9

/**
 * The proxy's answer is wrong, or a SOCKS proxy's refusal.
 */
#define HEARTWIRE_CAUSE_PROXY 10

/**
 * The server redirected the upgrade to where it is not followed.
 */
#define HEARTWIRE_CAUSE_BAD_REDIRECT 11

/**
 * The program's heartwire_before_connect_fn let the attempt fail.
 */
#define HEARTWIRE_CAUSE_BEFORE_CONNECT 12

/**
 * The program gave up a message of which fragments were written; we closed with 1001.
 */
#define HEARTWIRE_CAUSE_ABANDONED 13

/**
 * No such failure.
 */
#define HEARTWIRE_REDIRECT_FAULT_NONE 0

/**
 * Location is no URL that a WebSocket can be opened to.
 */
#define HEARTWIRE_REDIRECT_FAULT_LOCATION 1

/**
 * It leads from "wss:" to "ws:".
 */
#define HEARTWIRE_REDIRECT_FAULT_DOWNGRADE 2

/**
 * It leads to where the attempt has been.
 */
#define HEARTWIRE_REDIRECT_FAULT_LOOP 3

/**
 * There were as many as heartwire_options_set_redirects() allows.
 */
#define HEARTWIRE_REDIRECT_FAULT_TOO_MANY 4

/**
 * No TLS failure.
 */
#define HEARTWIRE_TLS_FAULT_NONE 0

/**
 * The certificate is expired, not yet valid, self-signed, or of an unknown issuer.
 */
#define HEARTWIRE_TLS_FAULT_CERTIFICATE 1

/**
 * The certificate is for another name.
 */
#define HEARTWIRE_TLS_FAULT_HOST_NAME 2

/**
 * No protocol version or cipher in common, or the other side does not speak TLS, or not HTTP/1.1 behind it (ALPN).
 */
#define HEARTWIRE_TLS_FAULT_PROTOCOL 3

/**
 * The stream ended in the middle of TLS.
 */
#define HEARTWIRE_TLS_FAULT_TRUNCATED 4

/**
 * The server refused us, most often for want of a client certificate.
 */
#define HEARTWIRE_TLS_FAULT_REFUSED 5

/**
 * Something else; read the text.
 */
#define HEARTWIRE_TLS_FAULT_OTHER 6

/**
 * No pin fits the certificate or its key; the text has the hashes of both.
 */
#define HEARTWIRE_TLS_FAULT_PIN 7

/**
 * No failure of a proxy's, or an HTTP proxy's refusal: that has a status.
 */
#define HEARTWIRE_PROXY_FAULT_NONE 0

/**
 * The answer to CONNECT is not HTTP/1.
 */
#define HEARTWIRE_PROXY_FAULT_NOT_HTTP 1

/**
 * The head of the answer to CONNECT is too long.
 */
#define HEARTWIRE_PROXY_FAULT_TOO_LONG 2

/**
 * The answer is not SOCKS version 5.
 */
#define HEARTWIRE_PROXY_FAULT_NOT_SOCKS 3

/**
 * The SOCKS proxy wants a user name and password, and none are set; or it wants another kind of login.
 */
#define HEARTWIRE_PROXY_FAULT_METHOD 4

/**
 * The SOCKS proxy refused the user name and password.
 */
#define HEARTWIRE_PROXY_FAULT_CREDENTIALS 5

/**
 * The SOCKS proxy did not connect us: see `socks_reply`.
 */
#define HEARTWIRE_PROXY_FAULT_SOCKS 6

/**
 * It sent bytes that nobody had asked for.
 */
#define HEARTWIRE_PROXY_FAULT_UNASKED 7

/**
 * Not the end of a session.
 */
#define HEARTWIRE_BY_NOBODY 0

/**
 * The program, by heartwire_close().
 */
#define HEARTWIRE_BY_USER 1

/**
 * This library: a protocol fault, or a dead link.
 */
#define HEARTWIRE_BY_LIBRARY 2

/**
 * The server, by a Close frame.
 */
#define HEARTWIRE_BY_SERVER 3

/**
 * The network: the stream broke.
 */
#define HEARTWIRE_BY_NETWORK 4

/**
 * No level was reached.
 */
#define HEARTWIRE_LEVEL_NONE 0

/**
 * All its bytes were accepted by the socket.
 */
#define HEARTWIRE_LEVEL_WRITTEN 1

/**
 * The next TCP endpoint, a proxy perhaps, has acknowledged all its bytes. Not everywhere can the kernel tell.
 */
#define HEARTWIRE_LEVEL_ACKED 2

/**
 * The server's WebSocket endpoint has read it: the pong of a ping came back that was written after it.
 */
#define HEARTWIRE_LEVEL_PROCESSED 3

/**
 * It reached the level that was asked for.
 */
#define HEARTWIRE_FATE_COMPLETED 1

/**
 * It was never written whole; the server cannot have seen it, but a part of it if it was sent in pieces.
 */
#define HEARTWIRE_FATE_DROPPED 2

/**
 * It was written to a connection that died before the level was reached that was asked for. The level with it is the
 * one that it reached for certain.
 */
#define HEARTWIRE_FATE_UNKNOWN 3

/**
 * It was not dropped.
 */
#define HEARTWIRE_DROPPED_NOT 0

/**
 * Its time to live ran out in the outbox.
 */
#define HEARTWIRE_DROPPED_EXPIRED 1

/**
 * It made room for a newer one.
 */
#define HEARTWIRE_DROPPED_EVICTED 2

/**
 * The client ended before it could be written.
 */
#define HEARTWIRE_DROPPED_CLOSED 3

/**
 * It was sent in pieces, and the session ended before the last one was written.
 */
#define HEARTWIRE_DROPPED_INTERRUPTED 4

/**
 * It was sent in pieces, and given up before it was finished.
 */
#define HEARTWIRE_DROPPED_ABANDONED 5

/**
 * It has not.
 */
#define HEARTWIRE_END_NOT 0

/**
 * The program closed it.
 */
#define HEARTWIRE_END_CLOSED 1

/**
 * The limit of attempts or of time was reached.
 */
#define HEARTWIRE_END_GAVE_UP 2

/**
 * Trying again cannot help, by the settings.
 */
#define HEARTWIRE_END_FATAL 3

/**
 * A callback panicked; C callbacks cannot.
 */
#define HEARTWIRE_END_CALLBACK_PANICKED 4

/**
 * The event loop failed; nothing of the client runs any more.
 */
#define HEARTWIRE_END_LOOP_FAILED 5

/**
 * The program's heartwire_before_connect_fn said so.
 */
#define HEARTWIRE_END_STOPPED 6

/**
 * On the thread that turns the client's event loop: the fastest way. A callback that takes long delays the
 * heartbeat, and on a shared loop other clients, too.
 */
#define HEARTWIRE_DISPATCH_LOOP 1

/**
 * On a further thread of the client, behind a bounded queue: callbacks may take their time.
 */
#define HEARTWIRE_DISPATCH_THREAD 2

/**
 * It fails with HEARTWIRE_ERR_FULL. The default.
 */
#define HEARTWIRE_WHEN_FULL_REJECT 1

/**
 * The oldest waiting messages make room; each is reported as dropped.
 */
#define HEARTWIRE_WHEN_FULL_EVICT_OLDEST 2

/**
 * It waits for room, and fails with HEARTWIRE_ERR_FULL after a time.
 */
#define HEARTWIRE_WHEN_FULL_BLOCK 3

/**
 * Only what was not written whole goes again on the next session. What was written and not proven to have arrived ends
 * as HEARTWIRE_FATE_UNKNOWN. The default.
 */
#define HEARTWIRE_DELIVERY_AT_MOST_ONCE 1

/**
 * What has not reached its level goes again on the next session, in its order, and before all of its priority that
 * waits. The level is HEARTWIRE_LEVEL_PROCESSED, unless HEARTWIRE_LEVEL_ACKED is asked for: that suffices where
 * nothing stands between client and server (no proxy, no load balancer) and the server's program cannot die before it
 * has read what its kernel holds. A copy of the payload is kept until then, and counts against the outbox's limits. Of
 * a message in pieces none is: it goes once at most, whatever is set.
 */
#define HEARTWIRE_DELIVERY_AT_LEAST_ONCE 2

/**
 * In the order of sending. The default.
 */
#define HEARTWIRE_PRIORITY_NORMAL 0

/**
 * Before all normal messages that wait, in the order of sending among themselves. One that is on its way already, and
 * what is about to be written (64 KiB), is not overtaken, nor is a message in pieces that has begun to go out. While
 * high ones wait, no normal one goes out.
 */
#define HEARTWIRE_PRIORITY_HIGH 1

/**
 * All that a name has, raced as RFC 8305 says.
 */
#define HEARTWIRE_IP_ANY 0

/**
 * IPv4 only.
 */
#define HEARTWIRE_IP_V4 4

/**
 * IPv6 only.
 */
#define HEARTWIRE_IP_V6 6

/**
 * TLS 1.0, withdrawn by RFC 8996. Most platforms refuse it by their own policy, whatever is set here.
 */
#define HEARTWIRE_TLS_1_0 10

/**
 * TLS 1.1, withdrawn by RFC 8996. Most platforms refuse it by their own policy, whatever is set here.
 */
#define HEARTWIRE_TLS_1_1 11

/**
 * TLS 1.2.
 */
#define HEARTWIRE_TLS_1_2 12

/**
 * TLS 1.3. On Apple's systems it cannot be demanded: heartwire_create() fails there.
 */
#define HEARTWIRE_TLS_1_3 13

/**
 * Bytes that every text of heartwire_explain() fits into, with its final NUL.
 */
#define HEARTWIRE_EXPLAIN_SIZE 16384

/**
 * Nothing.
 */
#define HEARTWIRE_LOG_OFF 0

/**
 * What needs somebody's attention.
 */
#define HEARTWIRE_LOG_ERROR 1

/**
 * Failures that the library deals with: a lost session, a failed attempt.
 */
#define HEARTWIRE_LOG_WARN 2

/**
 * Sessions that open, clients that end.
 */
#define HEARTWIRE_LOG_INFO 3

/**
 * Every step.
 */
#define HEARTWIRE_LOG_DEBUG 4

/**
 * Everything there is.
 */
#define HEARTWIRE_LOG_TRACE 5

/**
 * An attempt that is about to be made, for a heartwire_before_connect_fn to look at and to change; valid during that
 * call only. It begins with what the client was created with; what is changed counts for this attempt only.
 */
typedef struct heartwire_attempt heartwire_attempt;

/**
 * Something that a client tells, from heartwire_next_event() or in a callback. The accessors may be asked of every
 * event: what it does not have is zero, empty, NULL or -1, as each says.
 *
 * What they return belongs to the event: until heartwire_event_free(), or until the callback returns.
 */
typedef struct heartwire_event heartwire_event;

/**
 * Where a heartwire_greeting_fn puts its message; valid during that call only.
 */
typedef struct heartwire_greeting heartwire_greeting;

/**
 * An event loop that clients share, instead of a thread each. Give it to them with heartwire_options_set_loop(), and
 * choose one of three ways to turn it:
 *
 * A thread of the library's: heartwire_loop_start(). Many clients cost one thread.
 *
 * The program's own loop: heartwire_loop_turn(), once for each frame, or whenever heartwire_loop_fd() is readable or
 * the time that heartwire_loop_next_timeout_ms() told has passed. No thread of the library's exists then, but where it
 * is asked for: the first host name that is not a literal address starts those that look it up; a
 * heartwire_before_connect_fn, a heartwire_dial_fn and the target of a redirect may need one of a small pool; and
 * HEARTWIRE_DISPATCH_THREAD has one for each client.
 *
 * The calls that wait: where nobody else turns the loop, heartwire_next_event(), heartwire_wait_open(),
 * heartwire_wait_closed(), heartwire_flush(), and a send or heartwire_stream_append() that waits for room turn it
 * while they wait. It is the fastest way for request and reply, since no second thread takes part; but between such
 * calls nothing happens: no heartbeat is answered and no link is mended.
 *
 * Callbacks of all its clients run on the thread that turns it. After heartwire_loop_turn() that is the thread which
 * called it last; calls that wait on other threads wait for that one. A callback that takes long delays all
 * clients of the loop: give such clients HEARTWIRE_DISPATCH_THREAD.
 */
typedef struct heartwire_loop heartwire_loop;

/**
 * The settings of clients to be created. heartwire_create() copies them: change, reuse or free them afterwards.
 *
 * A new object holds the defaults. Every setter checks at once, and changes nothing when it fails. One thread at a
 * time may use an object.
 */
typedef struct heartwire_options heartwire_options;

/**
 * Where a heartwire_replay_fn puts what is written instead; valid during that call only.
 */
typedef struct heartwire_replay heartwire_replay;

/**
 * What a call answers: HEARTWIRE_OK or one of HEARTWIRE_ERR_…; numbers are never reused.
 */
typedef int32_t heartwire_status;

/**
 * Where callbacks run: one of HEARTWIRE_DISPATCH_…
 */
typedef int32_t heartwire_dispatch;

/**
 * A client: a value to copy and to pass around, checked on every call. A handle that is zero, foreign, made up, or
 * of a destroyed client gets HEARTWIRE_ERR_HANDLE and never crashes.
 */
typedef struct heartwire_client {
    /**
     * Not to be made or changed by the program; zero is never a client.
     */
    uint64_t id;
} heartwire_client;

/**
 * Answers how many milliseconds to wait after so many failures in a row, counted from 1. Called on the event loop's
 * thread; it must not block.
 */
typedef uint32_t (*heartwire_delay_fn)(struct heartwire_client client, uint32_t failures, void *user_data);

/**
 * Frees what a `user_data` points to; called exactly once, after the last call that gets it.
 */
typedef void (*heartwire_free_fn)(void *user_data);

/**
 * What a send does when the outbox is full: one of HEARTWIRE_WHEN_FULL_…
 */
typedef int32_t heartwire_when_full;

/**
 * How far a message got: one of HEARTWIRE_LEVEL_…
 */
typedef int32_t heartwire_level;

/**
 * How often a message may arrive, when sessions die under it: one of HEARTWIRE_DELIVERY_…
 */
typedef int32_t heartwire_delivery;

/**
 * How a payload is to be read: HEARTWIRE_TEXT or HEARTWIRE_BINARY.
 */
typedef int32_t heartwire_message_kind;

/**
 * Sees a message that is about to be written once more, and may have another payload written by
 * heartwire_replay_replace(), to mark it as a possible duplicate. `number` is 1 for the first repetition, then 2, and
 * so on; `data` is what was written the last time, valid during the call. Called on the thread that turns the event
 * loop, before the session is open; it must not block.
 */
typedef void (*heartwire_replay_fn)(struct heartwire_client client,
                                    uint64_t id,
                                    uint32_t number,
                                    const void *data,
                                    size_t len,
                                    heartwire_message_kind kind,
                                    struct heartwire_replay *replay,
                                    void *user_data);

/**
 * Which addresses are connected to: one of HEARTWIRE_IP_…
 */
typedef int32_t heartwire_ip_version;

/**
 * Makes a connected stream socket to this host (an IPv6 address without brackets) and port, which are the URL's, or of
 * a redirect; it belongs to the library from then on, unless it is no such socket, which fails the attempt. -1: there
 * is none; below that: minus an error number of errno.h, -ECONNREFUSED for example. Called on a thread of the
 * library's, where it may block. A C++ exception or a longjmp must not leave it.
 */
typedef int (*heartwire_dial_fn)(struct heartwire_client client,
                                 const char *host,
                                 uint16_t port,
                                 void *user_data);

/**
 * A version of TLS: one of HEARTWIRE_TLS_…
 */
typedef int32_t heartwire_tls_version;

/**
 * Makes a greeting by heartwire_greeting_set(); nothing is sent without that. `attempt` is the number of the attempt
 * in a row that succeeded, from 1. Called on the thread that turns the event loop; it must not block.
 */
typedef void (*heartwire_greeting_fn)(struct heartwire_client client,
                                      uint32_t attempt,
                                      struct heartwire_greeting *greeting,
                                      void *user_data);

/**
 * Prepares an attempt, by the functions whose names begin with heartwire_attempt. Called on a thread of the library's,
 * where it may take its time, to fetch a token for example. A C++ exception or a longjmp must not leave it.
 */
typedef void (*heartwire_before_connect_fn)(struct heartwire_client client,
                                            struct heartwire_attempt *attempt,
                                            void *user_data);

/**
 * A step of a connection: one of HEARTWIRE_PHASE_…
 */
typedef int32_t heartwire_phase;

/**
 * What went wrong in a phase: one of HEARTWIRE_CAUSE_…; a later version may have more.
 */
typedef int32_t heartwire_cause;

/**
 * What TLS objected to: one of HEARTWIRE_TLS_FAULT_…
 */
typedef int32_t heartwire_tls_fault;

/**
 * What was wrong with a proxy's answer, or why a SOCKS proxy refused: one of HEARTWIRE_PROXY_FAULT_…; a later version
 * may have more.
 */
typedef int32_t heartwire_proxy_fault;

/**
 * Why a link is down.
 */
typedef struct heartwire_error_info {
    /**
     * sizeof(heartwire_error_info), set by the caller.
     */
    size_t size;
    /**
     * The step that failed: one of HEARTWIRE_PHASE_…
     */
    heartwire_phase phase;
    /**
     * What went wrong in it: one of HEARTWIRE_CAUSE_…
     */
    heartwire_cause kind;
    /**
     * The operating system's error number; 0 if there is none.
     */
    int32_t os_error;
    /**
     * The HTTP status with which the server refused the upgrade, or the proxy the way to it; 0 if they did not.
     */
    int32_t http_status;
    /**
     * What TLS objected to: one of HEARTWIRE_TLS_FAULT_…
     */
    heartwire_tls_fault tls_fault;
    /**
     * The code with which the server closed, or with which we answered its breach of the protocol; 0 if neither.
     */
    int32_t close_code;
    /**
     * 1 if another attempt follows, 0 if none does, -1 if that is not known yet: the HEARTWIRE_EVENT_CLOSE tells.
     */
    int32_t will_retry;
    /**
     * The heartbeats that stayed without an answer, if the link is down for that; else 0.
     */
    uint32_t missed_beats;
    /**
     * How long until the next attempt, in milliseconds; -1 if there is none, or it is not known yet.
     */
    int64_t delay_ms;
    /**
     * All of it in words. Belongs to the event.
     */
    const char *text;
    /**
     * What was wrong with a proxy's answer, or why a SOCKS proxy refused: one of HEARTWIRE_PROXY_FAULT_…
     */
    heartwire_proxy_fault proxy_fault;
    /**
     * A SOCKS proxy's reply (RFC 1928 section 6) that did not connect us; else 0.
     */
    int32_t socks_reply;
} heartwire_error_info;

/**
 * Which messages go first: one of HEARTWIRE_PRIORITY_…
 */
typedef int32_t heartwire_priority;

/**
 * What applies to one message only. Set it to zeros, then `size`, then what is needed.
 */
typedef struct heartwire_send_options {
    /**
     * sizeof(heartwire_send_options).
     */
    size_t size;
    /**
     * HEARTWIRE_TEXT or HEARTWIRE_BINARY; has to be set.
     */
    heartwire_message_kind kind;
    /**
     * Drops the message, and says so, when it could not be written for this time. One that was written and waits to go
     * again ends then, too, as HEARTWIRE_FATE_UNKNOWN. 0: as the outbox is set.
     */
    uint32_t time_to_live_ms;
    /**
     * The level that completes it: one of HEARTWIRE_LEVEL_…; 0: as heartwire_options_set_complete_at() says.
     */
    heartwire_level level;
    /**
     * Whether it goes again when a session dies under it: one of HEARTWIRE_DELIVERY_…; 0: as
     * heartwire_options_set_delivery() says.
     */
    heartwire_delivery delivery;
    /**
     * Whether it goes before normal ones that wait: one of HEARTWIRE_PRIORITY_…
     */
    heartwire_priority priority;
    /**
     * Has to be 0.
     */
    int32_t reserved;
} heartwire_send_options;

/**
 * A message that is sent in pieces: a value to copy and to pass around, checked on every call. A handle that is zero,
 * foreign, made up, or of a message that was finished or aborted gets HEARTWIRE_ERR_HANDLE and never crashes.
 */
typedef struct heartwire_stream {
    /**
     * Not to be made or changed by the program; zero is never a message.
     */
    uint64_t id;
} heartwire_stream;

/**
 * Where a client stands: one of HEARTWIRE_STATE_…
 */
typedef int32_t heartwire_client_state;

/**
 * The browser's readyState: one of HEARTWIRE_READY_…
 */
typedef int32_t heartwire_ready;

/**
 * What a client has done so far. Times that are not known are -1.
 */
typedef struct heartwire_stats_info {
    /**
     * sizeof(heartwire_stats_info), set by the caller.
     */
    size_t size;
    /**
     * Messages accepted so far. Each ends as sent, expired, evicted, dropped on close, interrupted or
     * unknown, or is still queued or unconfirmed.
     */
    uint64_t accepted;
    /**
     * Messages written whole to a socket that have reached the level that was asked for.
     */
    uint64_t messages_sent;
    /**
     * Payload bytes written to sockets: of whole messages, whatever became of them and each time that they went, and
     * of pieces.
     */
    uint64_t bytes_sent;
    /**
     * Messages received whole, replies to text heartbeats included.
     */
    uint64_t messages_received;
    /**
     * The payload bytes of these.
     */
    uint64_t bytes_received;
    /**
     * Messages accepted and not yet written.
     */
    uint64_t queued_messages;
    /**
     * The payload bytes of these.
     */
    uint64_t queued_bytes;
    /**
     * Messages dropped because their time to live ran out.
     */
    uint64_t expired;
    /**
     * Messages dropped to make room for newer ones.
     */
    uint64_t evicted;
    /**
     * Messages dropped because the client ended.
     */
    uint64_t dropped_on_close;
    /**
     * Messages of unknown fate.
     */
    uint64_t unknown;
    /**
     * Events that were discarded because nobody had asked for any yet.
     */
    uint64_t events_discarded;
    /**
     * Sessions that were opened.
     */
    uint64_t sessions;
    /**
     * Attempts to connect that were begun.
     */
    uint64_t attempts;
    /**
     * The last heartbeat's round-trip time, in microseconds.
     */
    int64_t last_rtt_us;
    /**
     * The round-trip time smoothed as TCP does it, in microseconds.
     */
    int64_t smoothed_rtt_us;
    /**
     * How long ago the last byte was received, of whichever session, in milliseconds.
     */
    int64_t since_received_ms;
    /**
     * Messages in pieces that ended before the last one: the session ended, or they were given up.
     */
    uint64_t interrupted;
    /**
     * Messages written whole that have not reached the level that was asked for yet.
     */
    uint64_t unconfirmed;
    /**
     * How often a message was written whole once more, because the session before had died under it.
     */
    uint64_t replayed;
} heartwire_stats_info;

/**
 * What an event tells: one of HEARTWIRE_EVENT_…; a later version may have more.
 */
typedef int32_t heartwire_event_type;

/**
 * Who began the end of a session: one of HEARTWIRE_BY_…
 */
typedef int32_t heartwire_initiator;

/**
 * What became of a message: one of HEARTWIRE_FATE_…
 */
typedef int32_t heartwire_fate;

/**
 * Why a message was dropped: one of HEARTWIRE_DROPPED_…
 */
typedef int32_t heartwire_drop_reason;

/**
 * The same fate for a range of consecutive messages.
 */
typedef struct heartwire_outcome_info {
    /**
     * sizeof(heartwire_outcome_info), set by the caller.
     */
    size_t size;
    /**
     * The first message of the range.
     */
    uint64_t first;
    /**
     * The last message of the range, the first itself included.
     */
    uint64_t last;
    /**
     * What became of them: one of HEARTWIRE_FATE_…
     */
    heartwire_fate fate;
    /**
     * The level that was reached, of HEARTWIRE_FATE_UNKNOWN the one that was reached for certain: one of
     * HEARTWIRE_LEVEL_…
     */
    heartwire_level level;
    /**
     * Why they were dropped: one of HEARTWIRE_DROPPED_…
     */
    heartwire_drop_reason dropped;
    /**
     * Always 0.
     */
    int32_t reserved;
} heartwire_outcome_info;

/**
 * Why a client has ended: one of HEARTWIRE_END_…
 */
typedef int32_t heartwire_end;

/**
 * Why a redirect was not followed: one of HEARTWIRE_REDIRECT_FAULT_…
 */
typedef int32_t heartwire_redirect_fault;

/**
 * Gets an event, which is valid during the call. A C++ exception or a longjmp must not leave it.
 */
typedef void (*heartwire_event_fn)(struct heartwire_client client,
                                   const struct heartwire_event *event,
                                   void *user_data);

/**
 * Gets a message: `data` is not NULL, has no NUL behind it, and is valid during the call; text is valid UTF-8. A C++
 * exception or a longjmp must not leave it.
 */
typedef void (*heartwire_message_fn)(struct heartwire_client client,
                                     const void *data,
                                     size_t len,
                                     heartwire_message_kind kind,
                                     void *user_data);

/**
 * Where in its message a part stands: a sum of HEARTWIRE_FRAGMENT_…
 */
typedef int32_t heartwire_fragment_place;

/**
 * Gets a part of a message: `data` is not NULL, has no NUL behind it, and is valid during the call; that of a text is
 * valid UTF-8, no character is cut. `offset` says how many bytes of the message came before, `place` is a sum of
 * HEARTWIRE_FRAGMENT_… A C++ exception or a longjmp must not leave it.
 */
typedef void (*heartwire_fragment_fn)(struct heartwire_client client,
                                      const void *data,
                                      size_t len,
                                      heartwire_message_kind kind,
                                      uint64_t offset,
                                      heartwire_fragment_place place,
                                      void *user_data);

/**
 * How much is logged: one of HEARTWIRE_LOG_…
 */
typedef int32_t heartwire_log_level;

/**
 * Gets a line without a line break, valid during the call. Lines have no payloads, no query strings and no
 * credentials. Lines that it causes itself, by calling the library, are not handed to it.
 */
typedef void (*heartwire_log_fn)(heartwire_log_level level, const char *line, void *user_data);

/**
 * Called on a thread of the library's own, first of all or last of all.
 */
typedef void (*heartwire_thread_fn)(void *user_data);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The version of the library that the program runs with; HEARTWIRE_VERSION is the one it was compiled with.
 *
 * Ownership: the text is static.
 * Threads:   any thread, in any callback.
 *
 * Returns a text like "0.1.0"; never NULL.
 */
const char *heartwire_version(void);

/**
 * What a status means, in words.
 *
 * Ownership: the text is static.
 * Threads:   any thread, in any callback.
 *
 * Returns the words, also for numbers that are unknown; never NULL.
 */
const char *heartwire_status_text(heartwire_status status);

/**
 * What was wrong with the last call that failed on this thread, in words; a success does not change it.
 *
 * Ownership: the text belongs to the library and is valid until the next failing call on this thread.
 * Threads:   any thread, in any callback; each thread has its own.
 *
 * Returns the words, empty if no call has failed yet; never NULL.
 */
const char *heartwire_last_error(void);

/**
 * Makes an options object that holds the defaults.
 *
 * Ownership: the caller frees it with heartwire_options_free().
 * Threads:   any thread, in any callback.
 *
 * Returns the object; NULL only after a bug in heartwire, see heartwire_last_error().
 */
struct heartwire_options *heartwire_options_new(void);

/**
 * Frees an options object. Clients that were created with it are not affected.
 *
 * Ownership: `options` is gone; NULL does nothing.
 * Threads:   any thread, in any callback.
 *
 * Returns nothing.
 */
void heartwire_options_free(struct heartwire_options *options);

/**
 * Sets the name in the client's log lines and thread names. Default: the URL's host, and its port unless it is the
 * scheme's own.
 *
 * Ownership: `name` is copied.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_UTF8, or HEARTWIRE_ERR_CONFIG if the name is empty or
 * has a control character.
 */
heartwire_status heartwire_options_set_name(struct heartwire_options *options,
                                            const char *name);

/**
 * Adds a header to the upgrade request, Authorization for example; may be called repeatedly.
 *
 * The headers of the handshake itself (Host, Upgrade, Connection, Sec-WebSocket-…) are set by the library and
 * refused here.
 *
 * Ownership: both texts are copied.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_UTF8, or HEARTWIRE_ERR_CONFIG for a header that would
 * break the request.
 */
heartwire_status heartwire_options_add_header(struct heartwire_options *options,
                                              const char *name,
                                              const char *value);

/**
 * Sets the header Origin, which some servers demand; the last one counts. Default: none.
 *
 * Ownership: `origin` is copied.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns as heartwire_options_add_header() does.
 */
heartwire_status heartwire_options_set_origin(struct heartwire_options *options, const char *origin);

/**
 * Sets the header User-Agent; the last one counts. Default: "heartwire/" and the version.
 *
 * Ownership: `agent` is copied.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns as heartwire_options_add_header() does.
 */
heartwire_status heartwire_options_set_user_agent(struct heartwire_options *options, const char *agent);

/**
 * Asks for a subprotocol; call it repeatedly, the preferred one first. Default: none.
 *
 * The server may choose one of them or none: see heartwire_event_subprotocol().
 *
 * Ownership: `name` is copied.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_UTF8, or HEARTWIRE_ERR_CONFIG if the name is no token of
 * RFC 9110, or is there already.
 */
heartwire_status heartwire_options_add_subprotocol(struct heartwire_options *options,
                                                   const char *name);

/**
 * Sets the deadline of a whole attempt to connect, from heartwire_options_set_before_connect(), or else the name
 * lookup, to the upgrade's answer, redirects and a proxy's answer included. Default: 15 s.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for a time that is not from 1 ms to a week.
 */
heartwire_status heartwire_options_set_connect_timeout(struct heartwire_options *options,
                                                       uint32_t timeout_ms);

/**
 * Sets the deadline of the name lookup alone. Default: 5 s.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns as heartwire_options_set_connect_timeout() does.
 */
heartwire_status heartwire_options_set_resolve_timeout(struct heartwire_options *options,
                                                       uint32_t timeout_ms);

/**
 * Sets the deadline of a close: sending what waits and the closing handshake together. Default: 5 s.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns as heartwire_options_set_connect_timeout() does.
 */
heartwire_status heartwire_options_set_close_timeout(struct heartwire_options *options, uint32_t timeout_ms);

/**
 * Sets the longest message that is received, whole or in parts. Default: 16 MiB, or none where
 * heartwire_options_set_fragments_above() is set. A longer one is answered with close code 1009.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for zero.
 */
heartwire_status heartwire_options_set_max_message_size(struct heartwire_options *options, size_t bytes);

/**
 * Sets where callbacks run: HEARTWIRE_DISPATCH_LOOP (the default) or HEARTWIRE_DISPATCH_THREAD.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, or HEARTWIRE_ERR_ARGUMENT for an unknown number.
 */
heartwire_status heartwire_options_set_dispatch(struct heartwire_options *options,
                                                heartwire_dispatch dispatch);

/**
 * Sets how many events, and bytes of messages in them, wait for heartwire_next_event() or for
 * HEARTWIRE_DISPATCH_THREAD. Default: 256 and 1 MiB. When either is reached, reading pauses and TCP slows the server.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for a zero.
 */
heartwire_status heartwire_options_set_inbound_queue(struct heartwire_options *options,
                                                     size_t events,
                                                     size_t bytes);

/**
 * Sets whether heartwire_next_event() gives HEARTWIRE_EVENT_OUTCOME, too. Default: no; heartwire_on_outcome() asks by
 * itself.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT.
 */
heartwire_status heartwire_options_set_report_outcomes(struct heartwire_options *options,
                                                       bool yes);

/**
 * Sets the stack of the client's event loop thread, for callbacks that need more. Default: 1 MiB. It means nothing
 * on a shared loop.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for less than 64 KiB.
 */
heartwire_status heartwire_options_set_stack_size(struct heartwire_options *options,
                                                  size_t bytes);

/**
 * Beats with protocol pings, which every server answers. The default; times and misses stay as they were set.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT.
 */
heartwire_status heartwire_options_set_heartbeat_ping(struct heartwire_options *options);

/**
 * Beats with a text message of the application's own; times and misses stay as they were set. Any message counts as
 * the reply until heartwire_options_set_heartbeat_reply() or its like says otherwise.
 *
 * Ownership: `beat` is copied.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT or HEARTWIRE_ERR_UTF8.
 */
heartwire_status heartwire_options_set_heartbeat_text(struct heartwire_options *options,
                                                      const char *beat);

/**
 * Switches the heartbeat off: a link that dies in silence stays undetected until TCP gives up, often after 15 minutes.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT.
 */
heartwire_status heartwire_options_set_heartbeat_off(struct heartwire_options *options);

/**
 * The reply to a text heartbeat is exactly this text. It is not delivered as a message.
 *
 * Ownership: `reply` is copied.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT (also if the heartbeat is not a text) or HEARTWIRE_ERR_UTF8.
 */
heartwire_status heartwire_options_set_heartbeat_reply(struct heartwire_options *options, const char *reply);

/**
 * The reply to a text heartbeat is any text that begins like this. It is not delivered as a message.
 *
 * Ownership: `prefix` is copied.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT (also if the heartbeat is not a text), HEARTWIRE_ERR_UTF8, or
 * HEARTWIRE_ERR_CONFIG for an empty prefix.
 */
heartwire_status heartwire_options_set_heartbeat_reply_prefix(struct heartwire_options *options,
                                                              const char *prefix);

/**
 * Any message is a reply to a text heartbeat; it is delivered all the same.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, or HEARTWIRE_ERR_ARGUMENT (also if the heartbeat is not a text).
 */
heartwire_status heartwire_options_set_heartbeat_any_reply(struct heartwire_options *options);

/**
 * Sets whether replies that are recognised by text or prefix are also delivered as messages. Default: no.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, or HEARTWIRE_ERR_ARGUMENT (also if the heartbeat is not a text).
 */
heartwire_status heartwire_options_set_heartbeat_deliver_replies(struct heartwire_options *options, bool yes);

/**
 * A beat goes out after this time without a received byte. The default, with 20 s.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for a time that is not from 1 ms to a week.
 */
heartwire_status heartwire_options_set_heartbeat_after_silence(struct heartwire_options *options,
                                                               uint32_t time_ms);

/**
 * A beat goes out at this pace, whatever else happens: for servers whose idle timers watch what we send.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for a time that is not from 1 ms to a week.
 */
heartwire_status heartwire_options_set_heartbeat_every(struct heartwire_options *options,
                                                       uint32_t time_ms);

/**
 * Sets whether only the reply to a beat is a sign of life. Default: no, any byte is.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT.
 */
heartwire_status heartwire_options_set_heartbeat_reply_only(struct heartwire_options *options, bool yes);

/**
 * Sets how long a beat may stay unanswered before it is missed. Default: 10 s.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for a time that is not from 1 ms to a week.
 */
heartwire_status heartwire_options_set_heartbeat_timeout(struct heartwire_options *options,
                                                         uint32_t timeout_ms);

/**
 * Sets how many missed beats in a row mean that the link is dead. Default: 2.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for a number that is not from 1 to 1000.
 */
heartwire_status heartwire_options_set_heartbeat_max_missed(struct heartwire_options *options,
                                                            uint32_t beats);

/**
 * Delays that grow: `floor_ms` plus a random part of up to `base_ms` after the first failure, which grows by `factor`
 * with each further one, up to `max_ms`. The default, with 250 ms, 500 ms, 2 and 30 s.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for a time above a week, a base or maximum of
 * zero, or a factor that is not from 1 to 100.
 */
heartwire_status heartwire_options_set_reconnect_exponential(struct heartwire_options *options,
                                                             uint32_t floor_ms,
                                                             uint32_t base_ms,
                                                             double factor,
                                                             uint32_t max_ms);

/**
 * The same delay before every attempt, without a random part.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for a time that is not from 1 ms to a week.
 */
heartwire_status heartwire_options_set_reconnect_fixed(struct heartwire_options *options,
                                                       uint32_t delay_ms);

/**
 * These delays one after the other; the last one repeats.
 *
 * Ownership: the delays are copied.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for an empty list or a time that is not from 1
 * ms to a week.
 */
heartwire_status heartwire_options_set_reconnect_delays(struct heartwire_options *options,
                                                        const uint32_t *delays_ms,
                                                        size_t count);

/**
 * Delays of the program's own: `call` answers each of them.
 *
 * Clients that are created with these options share `user_data` and may call from several threads at once.
 *
 * Ownership: `user_data` is kept until these options and all clients created with them are gone; then
 * `free_user_data`, which may be NULL, gets it; heartwire_destroy() says when. When the call fails nothing was kept.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT.
 */
heartwire_status heartwire_options_set_reconnect_custom(struct heartwire_options *options,
                                                        heartwire_delay_fn call,
                                                        void *user_data,
                                                        heartwire_free_fn free_user_data);

/**
 * One session only: the client ends when it ends, or when the first attempt fails.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT.
 */
heartwire_status heartwire_options_set_reconnect_never(struct heartwire_options *options);

/**
 * Gives up after this many attempts since the last stable session; one that opened but was not stable counts, too.
 * Default: 0, never.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT.
 */
heartwire_status heartwire_options_set_reconnect_max_attempts(struct heartwire_options *options,
                                                              uint32_t attempts);

/**
 * Gives up when no session could be opened for this time. Default: 0, never.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for more than a week.
 */
heartwire_status heartwire_options_set_reconnect_give_up_after(struct heartwire_options *options,
                                                               uint32_t time_ms);

/**
 * A session counts as a success, and the delays begin anew, only when it was open this long. Default: 30 s.
 *
 * A server that accepts and closes at once is not hammered thanks to it.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for more than a week.
 */
heartwire_status heartwire_options_set_reconnect_stable_after(struct heartwire_options *options,
                                                              uint32_t time_ms);

/**
 * Sets whether the very first connect is retried, too. Default: yes.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT.
 */
heartwire_status heartwire_options_set_reconnect_retry_first_connect(struct heartwire_options *options,
                                                                     bool yes);

/**
 * Sets whether to dial again after the server closed with this code.
 *
 * Default: no for 1002, 1003, 1007, 1008, 1009 and 1010, yes for all others. With
 * heartwire_options_set_before_connect(), 1008 asks that once before it is final.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for a code that is not from 1000 to 4999.
 */
heartwire_status heartwire_options_set_reconnect_retry_close_code(struct heartwire_options *options,
                                                                  uint16_t code,
                                                                  bool yes);

/**
 * Sets whether to dial again after the server refused the upgrade with this HTTP status.
 *
 * Default: yes for 408, 425, 429 and 5xx (Retry-After counts up to 5 minutes, plus a random part of up to half of it),
 * no for all others. With heartwire_options_set_before_connect(), 401, 403 and 407 ask that once before they are
 * final. A redirect that can be followed is, whatever is set here.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for a status that is not from 300 to 599.
 */
heartwire_status heartwire_options_set_reconnect_retry_status(struct heartwire_options *options,
                                                              uint16_t status,
                                                              bool yes);

/**
 * Sets whether to dial again after a TLS failure. Default: yes, after 30.25 to 45.25 s with the default delays:
 * clocks are wrong at boot.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT.
 */
heartwire_status heartwire_options_set_reconnect_retry_tls(struct heartwire_options *options,
                                                           bool yes);

/**
 * Sets whether to dial again after failures of the network and of name lookups. Default: yes.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT.
 */
heartwire_status heartwire_options_set_reconnect_retry_network(struct heartwire_options *options, bool yes);

/**
 * Sets how many messages, and bytes of payload in them, may wait to be sent. Default: 4096 and 8 MiB.
 *
 * No single message can be longer than `bytes`.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for a zero.
 */
heartwire_status heartwire_options_set_outbox(struct heartwire_options *options,
                                              size_t messages,
                                              size_t bytes);

/**
 * Sets what a send does when the outbox is full; `timeout_ms` counts for HEARTWIRE_WHEN_FULL_BLOCK only.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT for an unknown number, or HEARTWIRE_ERR_CONFIG for a time to block that
 * is not from 1 ms to a week.
 */
heartwire_status heartwire_options_set_outbox_when_full(struct heartwire_options *options,
                                                        heartwire_when_full when_full,
                                                        uint32_t timeout_ms);

/**
 * Drops, and reports, a message that could not be written for this time. Default: 0, never.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for more than a week.
 */
heartwire_status heartwire_options_set_outbox_time_to_live(struct heartwire_options *options,
                                                           uint32_t time_ms);

/**
 * Sets the level that completes a message, unless heartwire_send_options say otherwise. Default:
 * HEARTWIRE_LEVEL_WRITTEN.
 *
 * For HEARTWIRE_LEVEL_ACKED the kernel is asked while something is not acknowledged: after each turn of the loop that
 * did something for the client, and else after a round trip (10 ms if none is known), doubling to 250 ms. For
 * HEARTWIRE_LEVEL_PROCESSED a ping goes after what was written, one for all of it, and the next when its pong is back.
 * Other levels cost nothing.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, or HEARTWIRE_ERR_ARGUMENT, also for an unknown number and HEARTWIRE_LEVEL_NONE.
 */
heartwire_status heartwire_options_set_complete_at(struct heartwire_options *options,
                                                   heartwire_level level);

/**
 * Sets whether messages go again when a session dies under them, unless heartwire_send_options say otherwise. Default:
 * HEARTWIRE_DELIVERY_AT_MOST_ONCE.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, or HEARTWIRE_ERR_ARGUMENT, also for an unknown number.
 */
heartwire_status heartwire_options_set_delivery(struct heartwire_options *options,
                                                heartwire_delivery delivery);

/**
 * Sets what heartwire_close() waits for, within its deadline, before it says Close: that all messages have reached
 * this level. Default: HEARTWIRE_LEVEL_WRITTEN. A message for which a higher level was asked has to reach that one in
 * any case.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, or HEARTWIRE_ERR_ARGUMENT, also for an unknown number and HEARTWIRE_LEVEL_NONE.
 */
heartwire_status heartwire_options_set_drain_to(struct heartwire_options *options,
                                                heartwire_level level);

/**
 * Sets what sees, and may change, each message that is about to go again under HEARTWIRE_DELIVERY_AT_LEAST_ONCE. NULL,
 * the default, for none: then it goes as it was.
 *
 * A longer payload counts against the outbox's limits, and is taken even if it is above them.
 *
 * Clients that are created with these options share `user_data` and may call from several threads at once.
 *
 * Ownership: `user_data` is kept until these options and all clients created with them are gone; then
 * `free_user_data`, which may be NULL, gets it; heartwire_destroy() says when. When the call fails nothing was kept.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT.
 */
heartwire_status heartwire_options_set_on_replay(struct heartwire_options *options,
                                                 heartwire_replay_fn call,
                                                 void *user_data,
                                                 heartwire_free_fn free_user_data);

/**
 * Writes this instead, now and at further repetitions, inside a heartwire_replay_fn; the last one counts. It may be
 * longer than the outbox has room for; then nothing more is accepted until there is room again.
 *
 * Ownership: the bytes are copied.
 * Threads:   the thread of the callback that got `replay`.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_UTF8 for a text that is none.
 */
heartwire_status heartwire_replay_replace(struct heartwire_replay *replay,
                                          const void *data,
                                          size_t len,
                                          heartwire_message_kind kind);

/**
 * Connects through this proxy. Default: none, whatever the environment says.
 *
 * "http://host:3128" is an HTTP proxy, asked by CONNECT for ws: and wss: alike; "https://host" the same with TLS to
 * the proxy; "socks5://host" a SOCKS 5 proxy that is given addresses, and "socks5h://host" one that looks the server's
 * name up. The default ports are 80, 443 and 1080. User name and password may be in the URL, escaped, or beside it, as
 * they are; the proxy gets them unasked.
 *
 * The last one of heartwire_options_set_proxy() and heartwire_options_set_proxy_from_environment() counts.
 *
 * Ownership: the texts are copied. `user` and `password` may be NULL.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT (a password without a user, too), HEARTWIRE_ERR_UTF8, or
 * HEARTWIRE_ERR_CONFIG for a URL that cannot be, a scheme that is unknown, or a line break in a user name or password.
 */
heartwire_status heartwire_options_set_proxy(struct heartwire_options *options,
                                             const char *url,
                                             const char *user,
                                             const char *password);

/**
 * Connects through the proxy that the environment names for the client's URL, if it names one; heartwire_create()
 * reads it, and for the URLs of redirects and of heartwire_attempt_set_url(), too.
 *
 * For wss: that is HTTPS_PROXY, for ws: HTTP_PROXY, else ALL_PROXY; in lower case first. HTTP_PROXY in upper case does
 * not count where REQUEST_METHOD is set. NO_PROXY lists the hosts to reach without, separated by commas: names with
 * their subdomains, addresses, networks like 192.0.2.0/24, each with a port or without; or * for all.
 *
 * The last one of heartwire_options_set_proxy() and heartwire_options_set_proxy_from_environment() counts.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object. While heartwire_create() reads it no thread may change the
 * environment, as with getenv().
 *
 * Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT. What is wrong in the environment is told by heartwire_create().
 */
heartwire_status heartwire_options_set_proxy_from_environment(struct heartwire_options *options);

/**
 * Sets TLS with an https:// proxy: as the TLS settings of `tls` say, another options object, of which nothing else
 * counts. Default: the system's roots, TLS 1.2 or newer. The TLS settings of `options` itself concern the server
 * alone.
 *
 * Ownership: the settings are copied; `tls` may be freed at once.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_UNSUPPORTED in a build without TLS. Where no proxy is
 * set, or the URL of one without TLS, heartwire_create() answers HEARTWIRE_ERR_CONFIG.
 */
heartwire_status heartwire_options_set_proxy_tls(struct heartwire_options *options,
                                                 const struct heartwire_options *tls);

/**
 * Sets TCP's own probes (SO_KEEPALIVE): the first one after `idle_ms` without a sign of the peer, then one each
 * `interval_ms`; after `count` of them without an answer the connection is dead. Default: off, since the heartbeat
 * finds more.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for times that are not whole seconds from 1000
 * to 32767000 ms, or a count that is not from 1 to 127.
 */
heartwire_status heartwire_options_set_tcp_keepalive(struct heartwire_options *options,
                                                     uint32_t idle_ms,
                                                     uint32_t interval_ms,
                                                     uint32_t count);

/**
 * Sets the kernel's buffers of the socket, in bytes, before it is connected (SO_SNDBUF and SO_RCVBUF). 0, the default,
 * lets the system choose. The system may double a size, raise it to its least and, in silence, lower it to its most.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for 2 GiB or more.
 */
heartwire_status heartwire_options_set_tcp_buffers(struct heartwire_options *options,
                                                   size_t send,
                                                   size_t receive);

/**
 * Goes through this network interface alone, "eth0" for example (SO_BINDTODEVICE); Linux and Android. NULL, the
 * default: as the routes say.
 *
 * Whether there is such an interface, and whether the program may choose it (before Linux 5.7 it takes CAP_NET_RAW),
 * shows at each attempt: one that cannot use it fails in HEARTWIRE_PHASE_CONNECT.
 *
 * Ownership: `name` is copied.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_UTF8, or HEARTWIRE_ERR_CONFIG for what is no interface's
 * name, and on other systems.
 */
heartwire_status heartwire_options_set_interface(struct heartwire_options *options,
                                                 const char *name);

/**
 * Sets which addresses are connected to: HEARTWIRE_IP_ANY (the default), HEARTWIRE_IP_V4 or HEARTWIRE_IP_V6, whatever
 * else a name has. With a proxy it concerns the proxy's address, and the server's where it is looked up here.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, or HEARTWIRE_ERR_ARGUMENT for an unknown number. Where the URL or
 * heartwire_options_set_local_address() has an address of the other version, heartwire_create() answers
 * HEARTWIRE_ERR_CONFIG.
 */
heartwire_status heartwire_options_set_ip_version(struct heartwire_options *options,
                                                  heartwire_ip_version version);

/**
 * Sets the local address to connect from, "192.0.2.1" or "2001:db8::1". Default: the system chooses.
 *
 * Ownership: `address` is copied.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_UTF8, or HEARTWIRE_ERR_CONFIG if it is no IP address.
 */
heartwire_status heartwire_options_set_local_address(struct heartwire_options *options,
                                                     const char *address);

/**
 * Connects to the Unix socket at this path, for every URL and for redirects, too. NULL, the default: TCP.
 *
 * The URL goes on to say what is asked for there: "ws://" or, for TLS over the socket, "wss://"; its host is the Host
 * header and the name that the certificate must be for, and is not looked up. Without this setting
 * "ws+unix:///run/feed.sock:/feed" is a URL that names a socket, too: a path from the root, then a colon and the
 * resource, or neither.
 *
 * An absent socket, or one that refuses, fails the attempt in HEARTWIRE_PHASE_CONNECT, and the next one comes after
 * the usual delay; so does one whose queue is full.
 *
 * Ownership: `path` is copied.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_UTF8, or HEARTWIRE_ERR_CONFIG for a path that is empty
 * or longer than an address takes (107 bytes on Linux), and on systems that are not Unix. Where a proxy or settings of
 * TCP contradict it heartwire_create() answers HEARTWIRE_ERR_CONFIG.
 */
heartwire_status heartwire_options_set_unix_socket(struct heartwire_options *options,
                                                   const char *path);

/**
 * Sets what is asked for a connected stream at every attempt, instead of connecting TCP: a tunnel, or another kind of
 * socket. NULL, the default, for TCP.
 *
 * It runs on a thread of a small pool, within heartwire_options_set_connect_timeout(): an attempt whose time is up
 * fails, and the next one waits for the call that still runs. It is never called twice at once for one client, and
 * heartwire_close() does not wait for it. Of these and of heartwire_before_connect_fn together eight run at once in a
 * process. A failure of it is one of HEARTWIRE_PHASE_CONNECT, and retried as one of the network is. For "wss:" URLs
 * TLS runs over the stream.
 *
 * Clients that are created with these options share `user_data` and may call from several threads at once. For a
 * stream that there is only once see heartwire_connect_over().
 *
 * Ownership: `user_data` is kept until these options and all clients created with them are gone; then
 * `free_user_data`, which may be NULL, gets it. Outside of callbacks heartwire_destroy() waits for a call that runs.
 * When this fails nothing was kept.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_UNSUPPORTED on Windows. Where a proxy, a Unix socket
 * or settings of TCP contradict it heartwire_create() answers HEARTWIRE_ERR_CONFIG.
 */
heartwire_status heartwire_options_set_dial(struct heartwire_options *options,
                                            heartwire_dial_fn call,
                                            void *user_data,
                                            heartwire_free_fn free_user_data);

/**
 * Trusts the certificates in this PEM file too; may be called repeatedly. heartwire_create() reads it. Default: none.
 *
 * Ownership: `path` is copied.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_UTF8, or HEARTWIRE_ERR_UNSUPPORTED in a build without
 * TLS.
 */
heartwire_status heartwire_options_add_tls_ca_file(struct heartwire_options *options,
                                                   const char *path);

/**
 * Trusts these certificates too, one or several in PEM; may be called repeatedly. Default: none.
 *
 * Ownership: the bytes are copied.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_UNSUPPORTED in a build without TLS.
 */
heartwire_status heartwire_options_add_tls_ca_pem(struct heartwire_options *options,
                                                  const void *pem,
                                                  size_t len);

/**
 * Sets whether the system's certificate authorities are trusted. Default: yes.
 *
 * Without them only those added here count, and one of them is required.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_UNSUPPORTED in a build without TLS.
 */
heartwire_status heartwire_options_set_tls_system_roots(struct heartwire_options *options, bool yes);

/**
 * Shows this certificate to servers that ask, from a PKCS#12 archive (.p12, .pfx). Default: none.
 *
 * Ownership: archive and password are copied.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_UTF8, or HEARTWIRE_ERR_UNSUPPORTED in a build without
 * TLS. What is wrong in the archive is told by heartwire_create().
 */
heartwire_status heartwire_options_set_tls_client_pkcs12(struct heartwire_options *options,
                                                         const void *archive,
                                                         size_t len,
                                                         const char *password);

/**
 * Shows this certificate (followed by its intermediates) to servers that ask, from PEM. Default: none.
 *
 * The key may be PKCS#8, PKCS#1 or SEC1 and must not be encrypted. Windows takes RSA keys only.
 *
 * Ownership: certificates and key are copied.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_UNSUPPORTED in a build without TLS.
 * What is wrong in them is told by heartwire_create().
 */
heartwire_status heartwire_options_set_tls_client_pem(struct heartwire_options *options,
                                                      const void *certificates,
                                                      size_t certificates_len,
                                                      const void *key,
                                                      size_t key_len);

/**
 * Sets the oldest version of TLS to accept. Default: HEARTWIRE_TLS_1_2.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT for an unknown number, or HEARTWIRE_ERR_UNSUPPORTED in a build without
 * TLS.
 */
heartwire_status heartwire_options_set_tls_min_version(struct heartwire_options *options,
                                                       heartwire_tls_version version);

/**
 * Sets whether the host's name is sent in the clear, so that a server of many names can choose. Default: yes.
 *
 * On Apple's systems it cannot be switched off alone: heartwire_create() fails there.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_UNSUPPORTED in a build without TLS.
 */
heartwire_status heartwire_options_set_tls_sni(struct heartwire_options *options, bool yes);

/**
 * Adds a pin: only a server with this public key is spoken with, or one that another pin fits; may be called
 * repeatedly. Default: none, any key.
 *
 * `sha256` is the SHA-256 of the SubjectPublicKeyInfo in the certificate that is the server's own; it stays the same
 * when the certificate is renewed with the same key. Written as 64 hexadecimal digits, with colons between the bytes
 * or without, or as curl does: "sha256//" and base64 ("sha256/", too).
 *
 * A server that none fits is refused after the handshake and before a byte of the upgrade is sent, with
 * HEARTWIRE_TLS_FAULT_PIN, and the hashes that it should have been in the error's text. It is tried again as after
 * every other refused certificate. A client certificate was shown to it by then.
 *
 * Pins come on top of the usual verification. With heartwire_options_set_tls_danger_accept_invalid_certificates() they
 * are all that is left of it, and enough: so a server with a certificate of its own making is safe to speak with.
 *
 * They hold for each of the client's URLs, through proxies, and where the program or a redirect leads, to whichever
 * host. With a ws: URL beside them heartwire_create() answers HEARTWIRE_ERR_CONFIG. An https: proxy is no server in
 * this sense: heartwire_options_set_proxy_tls() has its settings, which may have pins.
 *
 * Ownership: `sha256` is copied.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_UTF8, HEARTWIRE_ERR_CONFIG if it is no SHA-256, or
 * HEARTWIRE_ERR_UNSUPPORTED in a build without TLS.
 */
heartwire_status heartwire_options_add_tls_pin_public_key(struct heartwire_options *options,
                                                          const char *sha256);

/**
 * Adds a pin: only a server with this certificate is spoken with, or one that another pin fits; may be called
 * repeatedly. Default: none, any certificate.
 *
 * `sha256` is the SHA-256 of the server's own certificate, whole in DER: what
 * `openssl x509 -noout -fingerprint -sha256` tells. A renewed certificate has another one. For all the rest see
 * heartwire_options_add_tls_pin_public_key().
 *
 * Ownership: `sha256` is copied.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_UTF8, HEARTWIRE_ERR_CONFIG if it is no SHA-256, or
 * HEARTWIRE_ERR_UNSUPPORTED in a build without TLS.
 */
heartwire_status heartwire_options_add_tls_pin_certificate(struct heartwire_options *options,
                                                           const char *sha256);

/**
 * Accepts every certificate, of whomever and for whatever. Default: no.
 *
 * Anyone between client and server can then read and change everything, unless the server is pinned by
 * heartwire_options_add_tls_pin_public_key(). Without a pin for a test bench only; for a server with a certificate of
 * its own making use that, or heartwire_options_add_tls_ca_pem().
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_UNSUPPORTED in a build without TLS.
 */
heartwire_status heartwire_options_set_tls_danger_accept_invalid_certificates(struct heartwire_options *options,
                                                                              bool yes);

/**
 * Accepts a valid certificate that is for another name. Default: no.
 *
 * Anyone with a valid certificate for any name at all can then pose as the server, unless that is pinned.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_UNSUPPORTED in a build without TLS.
 */
heartwire_status heartwire_options_set_tls_danger_accept_invalid_hostnames(struct heartwire_options *options,
                                                                           bool yes);

/**
 * Adds a further URL of the same service, beside the one of heartwire_create(); may be called repeatedly, for up to 64
 * in all.
 *
 * They are of equal rank and take turns: one that works is kept, and after a failed attempt, or a session that was
 * not stable, the next one is tried. Delays and limits count over all of them, but a failure that is not worth another
 * attempt, a TLS failure and a server's Retry-After concern the one URL only as long as there is another to try.
 * heartwire_event_url() tells which one it is.
 *
 * Ownership: `url` is copied.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_UTF8, or HEARTWIRE_ERR_CONFIG if the URL cannot be, or
 * is there already.
 */
heartwire_status heartwire_options_add_url(struct heartwire_options *options,
                                           const char *url);

/**
 * Sets how long a URL that failed comes after those that have not. Default: 60 s.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for more than a week.
 */
heartwire_status heartwire_options_set_url_penalty(struct heartwire_options *options, uint32_t time_ms);

/**
 * Sets how many redirects (301, 302, 303, 307, 308) an attempt follows, up to 20; 0 follows none. Default: 5.
 *
 * "http:" and "https:" stand for "ws:" and "wss:". None is followed from "wss:" to "ws:", nor in a circle. Where the
 * origin changes (scheme, host or port), Authorization, Cookie and the URL's user name and password are left out; all
 * other headers, the subprotocols and the greetings go along. The next attempt begins with the client's URL again.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for more than 20.
 */
heartwire_status heartwire_options_set_redirects(struct heartwire_options *options,
                                                 uint32_t most);

/**
 * Sets whether the cookies that servers set with their answer to the upgrade, be it a 101, a refusal or a redirect,
 * are kept and sent back with the next one. Default: no.
 *
 * As browsers do (RFC 6265): to the host that set them, or below its Domain, within their Path, with Secure over wss:
 * only, and until they expire. They live as long as the client, in memory alone; 180 of up to 4 KiB are kept. Their
 * values are never logged. A Cookie header that the program sets goes out, too, in one header with those that are
 * kept: its pairs come first, and count where a kept one has the same name.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT.
 */
heartwire_status heartwire_options_set_cookies(struct heartwire_options *options,
                                               bool keep);

/**
 * Sets whether compression of messages (permessage-deflate, RFC 7692) is offered to the server. Default: no.
 *
 * The server may decline; heartwire_response_header() tells what was agreed under "Sec-WebSocket-Extensions". A
 * session holds 372 KiB from the first message that it compresses and 47 KiB from the first one that it inflates. Do
 * not compress what a stranger may choose together with a secret in one session: the length tells of it.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_UNSUPPORTED in a build without compression.
 */
heartwire_status heartwire_options_set_deflate(struct heartwire_options *options,
                                               bool yes);

/**
 * Sets how hard compression tries: from 1, the fastest, to 9, the smallest. Default: 6.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns as heartwire_options_set_deflate() does, and HEARTWIRE_ERR_CONFIG for another level.
 */
heartwire_status heartwire_options_set_deflate_level(struct heartwire_options *options, uint32_t level);

/**
 * Sets from how many bytes on a message is compressed; shorter ones are sent as they are. Default: 1024.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns as heartwire_options_set_deflate() does.
 */
heartwire_status heartwire_options_set_deflate_threshold(struct heartwire_options *options, size_t bytes);

/**
 * Sets whether the server, and the client, compress each message on its own, so that an idle client keeps no memory
 * for it. Default: neither. A server that does not promise its part is refused.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns as heartwire_options_set_deflate() does.
 */
heartwire_status heartwire_options_set_deflate_no_context_takeover(struct heartwire_options *options,
                                                                   bool server,
                                                                   bool client);

/**
 * Sets the largest windows, as powers of two from 8 to 15, that the server and the client compress with. Default: 15,
 * which is no limit. A server that does not promise its part is refused.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns as heartwire_options_set_deflate() does, and HEARTWIRE_ERR_CONFIG for other numbers.
 */
heartwire_status heartwire_options_set_deflate_max_window_bits(struct heartwire_options *options,
                                                               uint8_t server,
                                                               uint8_t client);

/**
 * Adds a message that is sent first on every open, before anything that waits: a login, a subscription. May be
 * called repeatedly.
 *
 * Ownership: the bytes are copied.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_UTF8 for a text that is none.
 */
heartwire_status heartwire_options_add_greeting(struct heartwire_options *options,
                                                const void *data,
                                                size_t len,
                                                heartwire_message_kind kind);

/**
 * Adds a greeting that the program makes anew for every open, for tokens that expire or positions to resume from.
 *
 * Clients that are created with these options share `user_data` and may call from several threads at once.
 *
 * Ownership: `user_data` is kept until these options and all clients created with them are gone; then
 * `free_user_data`, which may be NULL, gets it; heartwire_destroy() says when. When the call fails nothing was kept.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT.
 */
heartwire_status heartwire_options_add_greeting_callback(struct heartwire_options *options,
                                                         heartwire_greeting_fn call,
                                                         void *user_data,
                                                         heartwire_free_fn free_user_data);

/**
 * Sets the greeting's message, inside a heartwire_greeting_fn; the last one counts.
 *
 * Ownership: the bytes are copied.
 * Threads:   the thread of the callback that got `greeting`.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_UTF8 for a text that is none.
 */
heartwire_status heartwire_greeting_set(struct heartwire_greeting *greeting,
                                        const void *data,
                                        size_t len,
                                        heartwire_message_kind kind);

/**
 * Sets what is asked ahead of every attempt, which it may change: a fresh token in a header or in the URL, other
 * subprotocols and greetings; it may put the attempt off, let it fail, or stop the client for good. NULL, the default,
 * for none.
 *
 * It runs on a thread of a small pool, within heartwire_options_set_connect_timeout(): an attempt whose time is up
 * fails, and the next one waits for the call that still runs. It is never called twice at once for one client, and
 * heartwire_close() does not wait for it. Eight run at once in a process.
 *
 * With it the HTTP statuses 401, 403 and 407, what a SOCKS proxy says instead of the last two, and the close code
 * 1008, are not fatal at once: it gets one chance to do something about them. They are when they come again, a status
 * before a session has opened, the close code before one was stable.
 *
 * Clients that are created with these options share `user_data` and may call from several threads at once.
 *
 * Ownership: `user_data` is kept until these options and all clients created with them are gone; then
 * `free_user_data`, which may be NULL, gets it. Outside of callbacks heartwire_destroy() waits for a call that runs.
 * When this fails nothing was kept.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT.
 */
heartwire_status heartwire_options_set_before_connect(struct heartwire_options *options,
                                                      heartwire_before_connect_fn call,
                                                      void *user_data,
                                                      heartwire_free_fn free_user_data);

/**
 * Tells which attempt in a row it is, from 1.
 *
 * Ownership: nothing changes hands.
 * Threads:   the thread of the callback that got `attempt`.
 *
 * Returns the number; 0 for NULL.
 */
uint32_t heartwire_attempt_number(struct heartwire_attempt *attempt);

/**
 * Tells the URL to connect to, whole: the one whose turn it is, unless it was set.
 *
 * Ownership: the text belongs to the attempt, until this is asked again.
 * Threads:   the thread of the callback that got `attempt`.
 *
 * Returns the URL; NULL for NULL.
 */
const char *heartwire_attempt_url(struct heartwire_attempt *attempt);

/**
 * Tells why the attempt or the session before failed. Set `out->size` first.
 *
 * Ownership: `out` is the caller's; `out->text` belongs to the attempt.
 * Threads:   the thread of the callback that got `attempt`.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT for a NULL or a size that was not set, or HEARTWIRE_ERR_NOT_FOUND ahead
 * of the very first attempt.
 */
heartwire_status heartwire_attempt_error(struct heartwire_attempt *attempt,
                                         struct heartwire_error_info *out);

/**
 * Connects to another URL this time.
 *
 * Ownership: `url` is copied.
 * Threads:   the thread of the callback that got `attempt`.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_UTF8, or HEARTWIRE_ERR_CONFIG if the URL cannot be; then
 * it stays as it was.
 */
heartwire_status heartwire_attempt_set_url(struct heartwire_attempt *attempt,
                                           const char *url);

/**
 * Sets a header of the upgrade request, in the place of all of this name. Authorization takes the place of the URL's
 * user name and password, too.
 *
 * Ownership: both texts are copied.
 * Threads:   the thread of the callback that got `attempt`.
 *
 * Returns as heartwire_options_add_header() does.
 */
heartwire_status heartwire_attempt_set_header(struct heartwire_attempt *attempt,
                                              const char *name,
                                              const char *value);

/**
 * Leaves all headers of this name out.
 *
 * Ownership: nothing changes hands.
 * Threads:   the thread of the callback that got `attempt`.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT or HEARTWIRE_ERR_UTF8.
 */
heartwire_status heartwire_attempt_remove_header(struct heartwire_attempt *attempt, const char *name);

/**
 * Asks for a further subprotocol, after those that are there. See heartwire_attempt_clear_subprotocols().
 *
 * Ownership: `name` is copied.
 * Threads:   the thread of the callback that got `attempt`.
 *
 * Returns as heartwire_options_add_subprotocol() does.
 */
heartwire_status heartwire_attempt_add_subprotocol(struct heartwire_attempt *attempt, const char *name);

/**
 * Asks for no subprotocol, or only for those that are added after this.
 *
 * Ownership: nothing changes hands.
 * Threads:   the thread of the callback that got `attempt`.
 *
 * Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT.
 */
heartwire_status heartwire_attempt_clear_subprotocols(struct heartwire_attempt *attempt);

/**
 * Adds a greeting, which is sent first when this attempt opens. The first call of this takes the place of all the
 * client's greetings.
 *
 * Ownership: the bytes are copied.
 * Threads:   the thread of the callback that got `attempt`.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_UTF8 for a text that is none.
 */
heartwire_status heartwire_attempt_add_greeting(struct heartwire_attempt *attempt,
                                                const void *data,
                                                size_t len,
                                                heartwire_message_kind kind);

/**
 * Sends no greeting when this attempt opens, or only those that are added after this.
 *
 * Ownership: nothing changes hands.
 * Threads:   the thread of the callback that got `attempt`.
 *
 * Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT.
 */
heartwire_status heartwire_attempt_clear_greetings(struct heartwire_attempt *attempt);

/**
 * Puts the attempt off for this time, as prepared: it is not asked about again. Its deadline begins anew then;
 * heartwire_reconnect_now() skips the wait.
 *
 * Ownership: nothing changes hands.
 * Threads:   the thread of the callback that got `attempt`.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for more than a week.
 */
heartwire_status heartwire_attempt_set_delay(struct heartwire_attempt *attempt,
                                             uint32_t delay_ms);

/**
 * Lets the attempt fail, with HEARTWIRE_CAUSE_BEFORE_CONNECT; the next one comes after the usual delay. For a token
 * that could not be fetched.
 *
 * Ownership: nothing changes hands.
 * Threads:   the thread of the callback that got `attempt`.
 *
 * Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT.
 */
heartwire_status heartwire_attempt_fail(struct heartwire_attempt *attempt);

/**
 * Makes no attempt, neither this one nor another: the client ends with HEARTWIRE_END_STOPPED.
 *
 * Ownership: nothing changes hands.
 * Threads:   the thread of the callback that got `attempt`.
 *
 * Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT.
 */
heartwire_status heartwire_attempt_stop(struct heartwire_attempt *attempt);

/**
 * Creates a client for this "ws:", "wss:" or "ws+unix:" URL. No thread is started and no socket opened before
 * heartwire_connect(); the first use of TLS in a process reads the system's certificates (about 40 ms).
 *
 * `options` may be NULL: then the defaults count.
 *
 * Ownership: URL and options are copied. The client lives until heartwire_destroy() or heartwire_release().
 * Threads:   any thread, in any callback.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_UTF8, or HEARTWIRE_ERR_CONFIG if the URL or a setting
 * cannot be, or the event loop was freed. On failure `out` is untouched.
 */
heartwire_status heartwire_create(const char *url,
                                  const struct heartwire_options *options,
                                  struct heartwire_client *out);

/**
 * Destroys a client: says Close 1001 if the socket takes it at once, then frees threads, sockets and callbacks.
 *
 * Nothing is told after it began; use heartwire_close() and heartwire_wait_closed() to get the last events. Outside of
 * callbacks it waits for a callback of this client that runs, a heartwire_before_connect_fn or a heartwire_dial_fn
 * included, and the free_user_data of every heartwire_on_…() was called when it returns. Inside any callback it never
 * waits: then a callback that runs, this one perhaps, is freed when it has returned.
 *
 * What the options own, heartwire_options_add_greeting_callback() and its like, is freed
 * with the last of the options object and the clients created with it: before this returns, too, unless a thread
 * turns a loop that the client shares just then; that thread frees it, as soon as no callback holds it up.
 *
 * Ownership: the handle is stale from now on, and every call with it fails; on other threads, waits end.
 * Threads:   any thread, in any callback.
 *
 * Returns HEARTWIRE_OK or HEARTWIRE_ERR_HANDLE.
 */
heartwire_status heartwire_destroy(struct heartwire_client client);

/**
 * Destroys a client without waiting for a callback that runs; everything else is as with heartwire_destroy().
 *
 * Ownership: the handle is stale from now on. That a callback is done for good is told by its free_user_data.
 * Threads:   any thread, in any callback.
 *
 * Returns HEARTWIRE_OK or HEARTWIRE_ERR_HANDLE.
 */
heartwire_status heartwire_release(struct heartwire_client client);

/**
 * Tells whether the handle is of a client that lives.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread, in any callback. Another thread may destroy the client right after the answer.
 *
 * Returns true or false; heartwire_last_error() stays as it is.
 */
bool heartwire_is_valid(struct heartwire_client client);

/**
 * Connects, and stays connected from then on; returns at once. Register callbacks before it, so that no event is
 * missed. What fails on the network is told by events.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread, in any callback.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ALREADY_CONNECTED, HEARTWIRE_ERR_CLOSED, or
 * HEARTWIRE_ERR_SYSTEM if there was no thread to be had, or its event loop has failed.
 */
heartwire_status heartwire_connect(struct heartwire_client client);

/**
 * Connects, and sends this message once, on the first open, after the greetings; returns at once.
 *
 * Ownership: the bytes are copied.
 * Threads:   any thread, in any callback.
 *
 * Returns as heartwire_connect() does, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_UTF8 for a text that is none, or
 * HEARTWIRE_ERR_FULL or HEARTWIRE_ERR_TOO_BIG if the outbox cannot take the message; then it did not connect.
 */
heartwire_status heartwire_connect_with(struct heartwire_client client,
                                        const void *first,
                                        size_t len,
                                        heartwire_message_kind kind);

/**
 * Connects over this connected stream socket, for one attempt and one session; returns at once.
 *
 * The URL says what is asked for: host and path of the upgrade, and with "wss:" that TLS runs over the socket, for the
 * certificate of that host. When the attempt fails, or the session is over, the client ends with HEARTWIRE_END_GAVE_UP
 * (or HEARTWIRE_END_FATAL), since there is no second stream; redirects are not followed. To go on over another stream
 * create another client, or set heartwire_options_set_dial().
 *
 * Ownership: with HEARTWIRE_OK `fd` belongs to the library, which sets it to non-blocking and close-on-exec and closes
 * it with the session; otherwise it stays the caller's, as it is. The other side sees the end only if there is no
 * duplicate of it.
 * Threads:   any thread, in any callback.
 *
 * Returns as heartwire_connect() does, HEARTWIRE_ERR_ARGUMENT for what is no connected stream socket,
 * HEARTWIRE_ERR_CONFIG together with further URLs, a Unix socket, a proxy that is not the environment's, settings of
 * TCP or heartwire_options_set_dial(), or HEARTWIRE_ERR_UNSUPPORTED on Windows.
 */
heartwire_status heartwire_connect_over(struct heartwire_client client,
                                        int fd);

/**
 * Waits until a session is open; returns at once if one is.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread, but not inside a turn of an event loop, where most callbacks run.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_TIMEOUT, HEARTWIRE_ERR_CLOSED if the client has ended, or
 * HEARTWIRE_ERR_WOULD_DEADLOCK.
 */
heartwire_status heartwire_wait_open(struct heartwire_client client,
                                     uint32_t timeout_ms);

/**
 * Waits until the client has ended and its last event was handed on.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread, but not inside a turn of an event loop, where most callbacks run.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_TIMEOUT or HEARTWIRE_ERR_WOULD_DEADLOCK.
 */
heartwire_status heartwire_wait_closed(struct heartwire_client client, uint32_t timeout_ms);

/**
 * Closes for good: sends what waits, then the Close frame, then waits for the server's; returns at once.
 *
 * Before the Close it waits for what is to be proven of messages, by the level that was asked for each and by
 * heartwire_options_set_drain_to(). All of it has the time of heartwire_options_set_close_timeout(). No attempt to
 * connect is begun after this, no message is accepted and none is delivered. The first call counts; later ones do
 * nothing.
 *
 * Ownership: `reason` is copied; NULL is the empty one.
 * Threads:   any thread, in any callback.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_UTF8, or HEARTWIRE_ERR_ARGUMENT for a code other than
 * 1000, 1001, 1003, 1007 to 1014 and 3000 to 4999, or a reason longer than 123 bytes; then the client goes on as
 * before.
 */
heartwire_status heartwire_close(struct heartwire_client client,
                                 uint16_t code,
                                 const char *reason);

/**
 * Skips the wait before the next attempt to connect; does nothing unless the client waits for one.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread, in any callback.
 *
 * Returns HEARTWIRE_OK or HEARTWIRE_ERR_HANDLE.
 */
heartwire_status heartwire_reconnect_now(struct heartwire_client client);

/**
 * Stops reading: messages stay with the server once the buffers are full. Does not wait.
 *
 * In a callback on the loop's thread it holds back the very next message, or the next part of this one. What waits for
 * HEARTWIRE_DISPATCH_THREAD or for heartwire_next_event() still comes: at most what
 * heartwire_options_set_inbound_queue() allows.
 *
 * Heartbeats go out meanwhile, but a missing answer is no verdict. A close is noticed only after
 * heartwire_resume_reading().
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread, in any callback.
 *
 * Returns HEARTWIRE_OK or HEARTWIRE_ERR_HANDLE.
 */
heartwire_status heartwire_pause_reading(struct heartwire_client client);

/**
 * Reads again after heartwire_pause_reading(). Does not wait.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread, in any callback.
 *
 * Returns HEARTWIRE_OK or HEARTWIRE_ERR_HANDLE.
 */
heartwire_status heartwire_resume_reading(struct heartwire_client client);

/**
 * Sends a text message: at once on this thread if the session is free, else from the outbox. It never waits for the
 * network, unless the outbox is full and set to block.
 *
 * While the link is down the message waits in the outbox and goes out after the next reconnect, oldest first. OK
 * therefore means accepted; what became of the message is told by HEARTWIRE_EVENT_OUTCOME.
 *
 * Ownership: the text is copied; the caller may reuse it on return. `id`, which may be NULL, gets the message's
 * number: 1 for the client's first message, then 2, and so on.
 * Threads:   any thread, in any callback.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_UTF8, HEARTWIRE_ERR_FULL,
 * HEARTWIRE_ERR_TOO_BIG, HEARTWIRE_ERR_CLOSED, or HEARTWIRE_ERR_WOULD_DEADLOCK if the outbox is set to block and this
 * thread empties it. On failure nothing was queued and `id` is untouched.
 */
heartwire_status heartwire_send_text(struct heartwire_client client,
                                     const char *text,
                                     size_t len,
                                     uint64_t *id);

/**
 * Sends a binary message; everything else is as with heartwire_send_text().
 *
 * Ownership: the bytes are copied; the caller may reuse them on return. `id` may be NULL.
 * Threads:   any thread, in any callback.
 *
 * Returns as heartwire_send_text() does.
 */
heartwire_status heartwire_send_binary(struct heartwire_client client,
                                       const void *data,
                                       size_t len,
                                       uint64_t *id);

/**
 * Sends a message with settings of its own; everything else is as with heartwire_send_text().
 *
 * Ownership: bytes and options are copied; the caller may reuse them on return. `id` may be NULL.
 * Threads:   any thread, in any callback.
 *
 * Returns as heartwire_send_text() does; HEARTWIRE_ERR_ARGUMENT also for options that are NULL, whose size or kind was
 * not set, or that have an unknown number.
 */
heartwire_status heartwire_send(struct heartwire_client client,
                                const void *data,
                                size_t len,
                                const struct heartwire_send_options *options,
                                uint64_t *id);

/**
 * Sends a ping of the program's own, of at most 125 bytes; it is not queued and has no outcome. Does not wait.
 *
 * Ownership: the bytes are copied.
 * Threads:   any thread, in any callback.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_TOO_BIG, HEARTWIRE_ERR_NOT_OPEN,
 * HEARTWIRE_ERR_FULL while 16 others wait, or HEARTWIRE_ERR_CLOSED.
 */
heartwire_status heartwire_ping(struct heartwire_client client,
                                const void *payload,
                                size_t len);

/**
 * Waits until every message that was accepted before this call has reached the level, or was dropped, whatever level
 * completes it.
 *
 * While it waits it costs what heartwire_options_set_complete_at() says. Messages that were complete when their
 * session ended, before this call, are not asked about: nothing can be found out of them any more.
 * HEARTWIRE_LEVEL_ACKED is never reached by itself where the kernel does not tell.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread, but not inside a turn of an event loop, where most callbacks run.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ARGUMENT for an unknown level or HEARTWIRE_LEVEL_NONE,
 * HEARTWIRE_ERR_TIMEOUT if some have not got there yet, HEARTWIRE_ERR_CLOSED if the client ended with some of them
 * unwritten, HEARTWIRE_ERR_UNKNOWN if a session died under some of them, which do not go again, and how far they got
 * nobody can tell, or HEARTWIRE_ERR_WOULD_DEADLOCK.
 */
heartwire_status heartwire_flush(struct heartwire_client client,
                                 heartwire_level level,
                                 uint32_t timeout_ms);

/**
 * Begins a message that is handed over in pieces, so that it never lies in memory as a whole; does not wait for the
 * network, unless the outbox is full and set to block. It may be begun while the link is down.
 *
 * To the server it is one message, in fragments (RFC 6455 section 5.4) of at most 64 KiB, not compressed. It has one
 * number and one outcome. What is sent after it was begun, by whatever thread, waits in the outbox until it is
 * finished; pings, pongs and Close go between its fragments. Up to 256 KiB of it wait, beside the limits of the
 * outbox.
 *
 * If the session ends in the middle, the message is dropped (HEARTWIRE_DROPPED_INTERRUPTED), since what was written
 * cannot be sent again; heartwire_close() drops all that are not finished. The handle is to be given back in any case,
 * by heartwire_stream_finish() or heartwire_stream_abort().
 *
 * Ownership: the message lives until then; it does not keep the client alive. `id`, which may be NULL, gets the
 * message's number.
 * Threads:   any thread, in any callback.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_FULL, HEARTWIRE_ERR_CLOSED, or
 * HEARTWIRE_ERR_WOULD_DEADLOCK if the outbox is set to block and this thread empties it. On failure `out` and `id` are
 * untouched.
 */
heartwire_status heartwire_stream_begin(struct heartwire_client client,
                                        heartwire_message_kind kind,
                                        struct heartwire_stream *out,
                                        uint64_t *id);

/**
 * Appends a piece to the message, and waits for room up to `timeout_ms`; 0 does not wait. A text may be cut anywhere,
 * also in the middle of a character.
 *
 * Like write() it may take less than all: `taken` tells how many bytes, at least one unless `len` is 0. Less than
 * `len` means that the time was up, or that this thread may not wait, in a turn of an event loop: append the rest
 * later.
 *
 * Ownership: the bytes are copied. `taken` is the caller's.
 * Threads:   any thread, in any callback; one at a time for one message.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_UTF8 if a text cannot go on so,
 * HEARTWIRE_ERR_BUSY if another thread is at the message, HEARTWIRE_ERR_FULL if `timeout_ms` is 0 and there is no
 * room, HEARTWIRE_ERR_TIMEOUT, HEARTWIRE_ERR_WOULD_DEADLOCK, HEARTWIRE_ERR_CLOSED, or HEARTWIRE_ERR_DROPPED if the
 * message has ended early. On failure nothing was taken, or there is no use for what was.
 */
heartwire_status heartwire_stream_append(struct heartwire_stream stream,
                                         const void *data,
                                         size_t len,
                                         uint32_t timeout_ms,
                                         size_t *taken);

/**
 * Ends the message, which goes out with what was appended; does not wait.
 *
 * Ownership: the handle is stale from now on, whatever is returned but HEARTWIRE_ERR_BUSY.
 * Threads:   any thread, in any callback; one at a time for one message.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_BUSY if another thread is at the message,
 * HEARTWIRE_ERR_UTF8 if a text ends in the middle of a character, which is as heartwire_stream_abort();
 * HEARTWIRE_ERR_CLOSED, or HEARTWIRE_ERR_DROPPED if it had ended early.
 */
heartwire_status heartwire_stream_finish(struct heartwire_stream stream);

/**
 * Gives the message up; does not wait. Its outcome is HEARTWIRE_DROPPED_ABANDONED.
 *
 * If nothing of it has gone out, it is as if it had never been. Else WebSocket has no way to take it back: the session
 * is closed with 1001 (HEARTWIRE_CAUSE_ABANDONED), and the client connects again.
 *
 * Ownership: the handle is stale from now on, whatever is returned but HEARTWIRE_ERR_BUSY.
 * Threads:   any thread, in any callback; one at a time for one message.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, or HEARTWIRE_ERR_BUSY if another thread is at the message.
 */
heartwire_status heartwire_stream_abort(struct heartwire_stream stream);

/**
 * Sets that what is longer than this many bytes goes out in several frames of at most this size (RFC 6455 section
 * 5.4), so that pings, pongs and Close wait for one frame at most. Default: 0, one frame for each message.
 *
 * 65536 costs next to nothing. Some servers pass fragments on one by one, or refuse them.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for less than 128, but for 0.
 */
heartwire_status heartwire_options_set_fragment_size(struct heartwire_options *options,
                                                     size_t bytes);

/**
 * Tells where the client stands just now: one of HEARTWIRE_STATE_…
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread, in any callback.
 *
 * Returns the state, or HEARTWIRE_STATE_NONE for a handle that is of no client.
 */
heartwire_client_state heartwire_state(struct heartwire_client client);

/**
 * Tells the browser's readyState: 0 connecting (also while waiting to dial again), 1 open, 2 closing, 3 closed (also
 * before heartwire_connect()).
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread, in any callback.
 *
 * Returns one of HEARTWIRE_READY_…; HEARTWIRE_READY_NONE for a handle that is of no client.
 */
heartwire_ready heartwire_ready_state(struct heartwire_client client);

/**
 * Tells how many bytes of messages were accepted and are not yet written.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread, in any callback.
 *
 * Returns the bytes; 0 for a handle that is of no client.
 */
size_t heartwire_buffered_amount(struct heartwire_client client);

/**
 * Tells what the client has done so far. Set `out->size` first.
 *
 * Ownership: `out` is the caller's.
 * Threads:   any thread, in any callback.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, or HEARTWIRE_ERR_ARGUMENT for a NULL or a size that was not set.
 */
heartwire_status heartwire_stats(struct heartwire_client client,
                                 struct heartwire_stats_info *out);

/**
 * Copies a text that tells what is the matter with the client, to paste into a bug report. Does not wait.
 *
 * The first line is of use alone: the name, the URL, the library's version, where the client stands, since when and
 * why, and when the next attempt is due. Then come settings, counters, and the last 32 transitions from one state to
 * another, oldest first, with their times and causes. For people; its form may change with any version. It has no more
 * secrets than the log: no user name, password and query of a URL, and nothing of headers, cookies, subprotocols and
 * messages. Lines end with a newline, and have no other control character in them.
 *
 * A buffer of HEARTWIRE_EXPLAIN_SIZE bytes is always large enough. With `buf` NULL it tells the length without the
 * final NUL as it is just now; the next text may be longer.
 *
 * Ownership: `buf` is the caller's; `*len` is its size before, and the text's length after.
 * Threads:   any thread, in any callback.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_BUFFER if the buffer is too
 * small; then nothing was written.
 */
heartwire_status heartwire_explain(struct heartwire_client client,
                                   char *buf,
                                   size_t *len);

/**
 * Copies a header of the answer with which the last session opened, the first of this name in whatever case.
 *
 * Call it with `buf` NULL to learn the length without the final NUL; then with a buffer of `*len` bytes, at least one
 * more than that.
 *
 * Ownership: `buf` is the caller's; `*len` is its size before, and the text's length after.
 * Threads:   any thread, in any callback.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_UTF8, HEARTWIRE_ERR_NOT_FOUND
 * (also while no session was open yet), or HEARTWIRE_ERR_BUFFER if the buffer is too small; then nothing was written.
 */
heartwire_status heartwire_response_header(struct heartwire_client client,
                                           const char *name,
                                           char *buf,
                                           size_t *len);

/**
 * Tells what the event is about.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread that may use the event.
 *
 * Returns one of HEARTWIRE_EVENT_…; HEARTWIRE_EVENT_NONE for NULL.
 */
heartwire_event_type heartwire_event_kind(const struct heartwire_event *event);

/**
 * Tells the payload of a message, or of a part of one. It has no NUL behind it.
 *
 * Ownership: the bytes belong to the event. `len`, which may be NULL, gets their number; 0 if it is no message.
 * Threads:   any thread that may use the event.
 *
 * Returns the bytes, not NULL for an empty message; NULL if it is no message.
 */
const uint8_t *heartwire_event_data(const struct heartwire_event *event,
                                    size_t *len);

/**
 * Tells whether a message, whole or in parts, is text or binary.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread that may use the event.
 *
 * Returns HEARTWIRE_TEXT or HEARTWIRE_BINARY; 0 if it is no message.
 */
heartwire_message_kind heartwire_event_message_kind(const struct heartwire_event *event);

/**
 * Tells the event in words, for logs: of a message the kind and the length only.
 *
 * Ownership: the text belongs to the event.
 * Threads:   any thread that may use the event.
 *
 * Returns the text; empty for NULL, never NULL.
 */
const char *heartwire_event_text(const struct heartwire_event *event);

/**
 * Tells why the link is down, of HEARTWIRE_EVENT_CONNECT_FAILED, HEARTWIRE_EVENT_ERROR, HEARTWIRE_EVENT_CLOSE and
 * HEARTWIRE_EVENT_CLOSED_FOR_GOOD. Set `out->size` first.
 *
 * Ownership: `out` is the caller's; `out->text` belongs to the event.
 * Threads:   any thread that may use the event.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT for a NULL or a size that was not set, or HEARTWIRE_ERR_NOT_FOUND if
 * the event carries no failure.
 */
heartwire_status heartwire_event_error(const struct heartwire_event *event,
                                       struct heartwire_error_info *out);

/**
 * Tells the first bytes of the body with which the server refused the upgrade, at most 4 KiB.
 *
 * Ownership: the bytes belong to the event. `len`, which may be NULL, gets their number.
 * Threads:   any thread that may use the event.
 *
 * Returns the bytes; NULL if the event is of no refusal.
 */
const uint8_t *heartwire_event_refusal_body(const struct heartwire_event *event, size_t *len);

/**
 * Copies a header of the server's answer to the upgrade, the first of this name in whatever case: of
 * HEARTWIRE_EVENT_OPEN, and of failures with an HTTP status. `buf` and `len` are as with heartwire_response_header().
 *
 * Ownership: `buf` is the caller's; `*len` is its size before, and the text's length after.
 * Threads:   any thread that may use the event.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_UTF8, HEARTWIRE_ERR_NOT_FOUND, or HEARTWIRE_ERR_BUFFER
 * if the buffer is too small; then nothing was written.
 */
heartwire_status heartwire_event_header(const struct heartwire_event *event,
                                        const char *name,
                                        char *buf,
                                        size_t *len);

/**
 * Tells which attempt in a row it was, from 1, of HEARTWIRE_EVENT_OPEN and HEARTWIRE_EVENT_CONNECT_FAILED; of
 * HEARTWIRE_STATE_WAITING which comes next.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread that may use the event.
 *
 * Returns the number; 0 for other events.
 */
uint32_t heartwire_event_attempt(const struct heartwire_event *event);

/**
 * Tells whether HEARTWIRE_EVENT_OPEN is of the client's first session.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread that may use the event.
 *
 * Returns true or false; false for other events.
 */
bool heartwire_event_is_first(const struct heartwire_event *event);

/**
 * Tells the subprotocol that the server chose, of HEARTWIRE_EVENT_OPEN; always one of those asked for.
 *
 * Ownership: the text belongs to the event.
 * Threads:   any thread that may use the event.
 *
 * Returns the name; NULL if there is none.
 */
const char *heartwire_event_subprotocol(const struct heartwire_event *event);

/**
 * Tells the code of a HEARTWIRE_EVENT_CLOSE: the server's (1005 if its Close had none); ours if the server sent no
 * Close, or if the library closed for the server's fault; 1006 without any Close frame.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread that may use the event.
 *
 * Returns the code; 0 for other events.
 */
uint16_t heartwire_event_code(const struct heartwire_event *event);

/**
 * Tells the reason that came with that code, of HEARTWIRE_EVENT_CLOSE; often empty, as in most answers to our own
 * Close.
 *
 * Ownership: the text belongs to the event.
 * Threads:   any thread that may use the event.
 *
 * Returns the reason; empty for other events, never NULL.
 */
const char *heartwire_event_reason(const struct heartwire_event *event);

/**
 * Tells whether both sides had sent a Close frame before HEARTWIRE_EVENT_CLOSE.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread that may use the event.
 *
 * Returns true or false; false for other events.
 */
bool heartwire_event_is_clean(const struct heartwire_event *event);

/**
 * Tells who began the end of a session, of HEARTWIRE_EVENT_CLOSE.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread that may use the event.
 *
 * Returns one of HEARTWIRE_BY_…; HEARTWIRE_BY_NOBODY for other events.
 */
heartwire_initiator heartwire_event_initiator(const struct heartwire_event *event);

/**
 * Tells how long until the next attempt, of HEARTWIRE_EVENT_CLOSE, HEARTWIRE_EVENT_CONNECT_FAILED and
 * HEARTWIRE_STATE_WAITING.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread that may use the event.
 *
 * Returns milliseconds; -1 if there will be no attempt, and for other events.
 */
int64_t heartwire_event_retry_ms(const struct heartwire_event *event);

/**
 * Tells after how long the heartbeat was answered, of HEARTWIRE_EVENT_HEARTBEAT.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread that may use the event.
 *
 * Returns microseconds; -1 for other events.
 */
int64_t heartwire_event_round_trip_us(const struct heartwire_event *event);

/**
 * Tells what became of messages, of HEARTWIRE_EVENT_OUTCOME. Set `out->size` first.
 *
 * Ownership: `out` is the caller's.
 * Threads:   any thread that may use the event.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT for a NULL or a size that was not set, or HEARTWIRE_ERR_NOT_FOUND for
 * other events.
 */
heartwire_status heartwire_event_outcome(const struct heartwire_event *event,
                                         struct heartwire_outcome_info *out);

/**
 * Tells the new state, of HEARTWIRE_EVENT_STATE.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread that may use the event.
 *
 * Returns one of HEARTWIRE_STATE_…; HEARTWIRE_STATE_NONE for other events.
 */
heartwire_client_state heartwire_event_state(const struct heartwire_event *event);

/**
 * Tells the step that an attempt is at, of HEARTWIRE_EVENT_STATE with HEARTWIRE_STATE_CONNECTING.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread that may use the event.
 *
 * Returns one of HEARTWIRE_PHASE_…; HEARTWIRE_PHASE_NONE for other events.
 */
heartwire_phase heartwire_event_phase(const struct heartwire_event *event);

/**
 * Tells why the client has ended, of HEARTWIRE_EVENT_CLOSED_FOR_GOOD.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread that may use the event.
 *
 * Returns one of HEARTWIRE_END_…; HEARTWIRE_END_NOT for other events.
 */
heartwire_end heartwire_event_end(const struct heartwire_event *event);

/**
 * Tells the URL that the session is with, or that failed, without user name, password and query: of
 * HEARTWIRE_EVENT_OPEN and HEARTWIRE_EVENT_CONNECT_FAILED. After redirects it is the last one.
 *
 * Ownership: the text belongs to the event.
 * Threads:   any thread that may use the event.
 *
 * Returns the URL; NULL for other events.
 */
const char *heartwire_event_url(const struct heartwire_event *event);

/**
 * Tells which of the client's URLs it was, of HEARTWIRE_EVENT_OPEN and HEARTWIRE_EVENT_CONNECT_FAILED: 0 is the one of
 * heartwire_create(), 1 the first of heartwire_options_add_url(), and so on.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread that may use the event.
 *
 * Returns the number; -1 for other events.
 */
int32_t heartwire_event_url_index(const struct heartwire_event *event);

/**
 * Tells how many redirects the attempt has followed, of HEARTWIRE_EVENT_OPEN and HEARTWIRE_EVENT_CONNECT_FAILED.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread that may use the event.
 *
 * Returns the number; 0 for other events.
 */
uint32_t heartwire_event_redirects(const struct heartwire_event *event);

/**
 * Tells a URL that redirected the attempt, without user name, password and query; `index` counts from 0.
 *
 * Ownership: the text belongs to the event.
 * Threads:   any thread that may use the event.
 *
 * Returns the URL; NULL if there is none.
 */
const char *heartwire_event_redirect(const struct heartwire_event *event, uint32_t index);

/**
 * Tells why a redirect was not followed, of failures with HEARTWIRE_CAUSE_BAD_REDIRECT. Where it leads to is told by
 * heartwire_event_header(): Location.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread that may use the event.
 *
 * Returns one of HEARTWIRE_REDIRECT_FAULT_…; HEARTWIRE_REDIRECT_FAULT_NONE for other events.
 */
heartwire_redirect_fault heartwire_event_redirect_fault(const struct heartwire_event *event);

/**
 * Tells the certificate that the server has shown as its own, in DER, of HEARTWIRE_EVENT_OPEN. Its chain, and the
 * certificate of an https: proxy on the way, are not kept.
 *
 * Ownership: the bytes belong to the event. `len`, which may be NULL, gets their number.
 * Threads:   any thread that may use the event.
 *
 * Returns the bytes; NULL for a ws: URL, and for other events.
 */
const uint8_t *heartwire_event_peer_certificate(const struct heartwire_event *event,
                                                size_t *len);

/**
 * Copies the certificate that the server has shown as its own, in DER, of the last session that opened.
 *
 * `*len` is the size of `buf` before, and the certificate's length after; with `buf` NULL only its length is told. No
 * NUL is put behind it.
 *
 * Ownership: `buf` is the caller's.
 * Threads:   any thread, in any callback.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_NOT_FOUND if no session has opened
 * yet or the last one was without TLS, or HEARTWIRE_ERR_BUFFER if the buffer is too small; then nothing was written.
 */
heartwire_status heartwire_peer_certificate(struct heartwire_client client,
                                            uint8_t *buf,
                                            size_t *len);

/**
 * Takes the next event, and waits for it: `timeout_ms` milliseconds, -1 for as long as it takes, 0 not at all (then it
 * turns no loop either; that is what heartwire_loop_turn() is for).
 *
 * Callbacks and this function exclude each other; the first one used decides. Call it, with 0 perhaps, before
 * heartwire_connect(): events that come before the first call may be discarded, the oldest first.
 *
 * Ownership: the caller frees `*out` with heartwire_event_free().
 * Threads:   any thread; inside a turn of an event loop, where most callbacks run, with 0 only.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ARGUMENT for a NULL or a time below -1,
 * HEARTWIRE_ERR_TIMEOUT, HEARTWIRE_ERR_CLOSED after the very last event, HEARTWIRE_ERR_TAKEN if events go to
 * callbacks, or HEARTWIRE_ERR_WOULD_DEADLOCK. On failure `*out` is untouched.
 */
heartwire_status heartwire_next_event(struct heartwire_client client,
                                      int32_t timeout_ms,
                                      struct heartwire_event **out);

/**
 * Frees an event of heartwire_next_event(); never one that a callback got.
 *
 * Ownership: `event` and all that its accessors returned is gone; NULL does nothing.
 * Threads:   any thread, in any callback; also after the client was destroyed.
 *
 * Returns nothing.
 */
void heartwire_event_free(struct heartwire_event *event);

/**
 * Gives a descriptor that is readable while heartwire_next_event() has something to give, for poll, epoll, Qt, libuv
 * and the like. It stays readable after the very last event, when heartwire_next_event() answers HEARTWIRE_ERR_CLOSED.
 *
 * When it is readable, call heartwire_next_event() with 0 until that answers HEARTWIRE_ERR_TIMEOUT. As with that
 * function, events then no longer go to callbacks; call it before heartwire_connect().
 *
 * Ownership: the descriptor is the client's: do not read, write or close it, and forget it before heartwire_destroy().
 * Threads:   any thread, in any callback.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_TAKEN if events go to callbacks,
 * HEARTWIRE_ERR_SYSTEM if there is no descriptor to be had, or HEARTWIRE_ERR_UNSUPPORTED on Windows.
 */
heartwire_status heartwire_events_fd(struct heartwire_client client,
                                     int *fd);

/**
 * Calls this for each session that opens: HEARTWIRE_EVENT_OPEN. Register callbacks before heartwire_connect(), so that
 * no open is missed.
 *
 * Callbacks run one at a time for one client, in the order of their registration, on the client's own thread or on
 * the one that turns its loop (see heartwire_options_set_dispatch() and heartwire_loop), and should not take long.
 *
 * Ownership: `user_data` is kept until the callback can run no more; then `free_user_data`, which may be NULL, gets
 * it, once. `listener`, which may be NULL, gets a number for heartwire_remove_listener(). When the call fails nothing
 * was kept.
 * Threads:   any thread, in any callback.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ARGUMENT if `call` is NULL, or HEARTWIRE_ERR_TAKEN if
 * events are taken by heartwire_next_event().
 */
heartwire_status heartwire_on_open(struct heartwire_client client,
                                   heartwire_event_fn call,
                                   void *user_data,
                                   heartwire_free_fn free_user_data,
                                   uint64_t *listener);

/**
 * Calls this for each message that comes whole: every one, unless heartwire_options_set_fragments_above() says
 * otherwise. See heartwire_on_open().
 *
 * Ownership: `user_data` is kept until the callback can run no more; then `free_user_data`, which may be NULL, gets
 * it, once. `listener`, which may be NULL, gets a number for heartwire_remove_listener(). When the call fails nothing
 * was kept.
 * Threads:   any thread, in any callback.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ARGUMENT if `call` is NULL, or HEARTWIRE_ERR_TAKEN if
 * events are taken by heartwire_next_event().
 */
heartwire_status heartwire_on_message(struct heartwire_client client,
                                      heartwire_message_fn call,
                                      void *user_data,
                                      heartwire_free_fn free_user_data,
                                      uint64_t *listener);

/**
 * Calls this at the end of each session: HEARTWIRE_EVENT_CLOSE. See heartwire_on_open().
 *
 * Ownership: `user_data` is kept until the callback can run no more; then `free_user_data`, which may be NULL, gets
 * it, once. `listener`, which may be NULL, gets a number for heartwire_remove_listener(). When the call fails nothing
 * was kept.
 * Threads:   any thread, in any callback.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ARGUMENT if `call` is NULL, or HEARTWIRE_ERR_TAKEN if
 * events are taken by heartwire_next_event().
 */
heartwire_status heartwire_on_close(struct heartwire_client client,
                                    heartwire_event_fn call,
                                    void *user_data,
                                    heartwire_free_fn free_user_data,
                                    uint64_t *listener);

/**
 * Calls this for each failed attempt to connect: HEARTWIRE_EVENT_CONNECT_FAILED. See heartwire_on_open().
 *
 * Ownership: `user_data` is kept until the callback can run no more; then `free_user_data`, which may be NULL, gets
 * it, once. `listener`, which may be NULL, gets a number for heartwire_remove_listener(). When the call fails nothing
 * was kept.
 * Threads:   any thread, in any callback.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ARGUMENT if `call` is NULL, or HEARTWIRE_ERR_TAKEN if
 * events are taken by heartwire_next_event().
 */
heartwire_status heartwire_on_connect_failed(struct heartwire_client client,
                                             heartwire_event_fn call,
                                             void *user_data,
                                             heartwire_free_fn free_user_data,
                                             uint64_t *listener);

/**
 * Calls this when a session fails, ahead of its close: HEARTWIRE_EVENT_ERROR. See heartwire_on_open().
 *
 * Ownership: `user_data` is kept until the callback can run no more; then `free_user_data`, which may be NULL, gets
 * it, once. `listener`, which may be NULL, gets a number for heartwire_remove_listener(). When the call fails nothing
 * was kept.
 * Threads:   any thread, in any callback.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ARGUMENT if `call` is NULL, or HEARTWIRE_ERR_TAKEN if
 * events are taken by heartwire_next_event().
 */
heartwire_status heartwire_on_error(struct heartwire_client client,
                                    heartwire_event_fn call,
                                    void *user_data,
                                    heartwire_free_fn free_user_data,
                                    uint64_t *listener);

/**
 * Calls this for each change of the state: HEARTWIRE_EVENT_STATE. See heartwire_on_open().
 *
 * Ownership: `user_data` is kept until the callback can run no more; then `free_user_data`, which may be NULL, gets
 * it, once. `listener`, which may be NULL, gets a number for heartwire_remove_listener(). When the call fails nothing
 * was kept.
 * Threads:   any thread, in any callback.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ARGUMENT if `call` is NULL, or HEARTWIRE_ERR_TAKEN if
 * events are taken by heartwire_next_event().
 */
heartwire_status heartwire_on_state(struct heartwire_client client,
                                    heartwire_event_fn call,
                                    void *user_data,
                                    heartwire_free_fn free_user_data,
                                    uint64_t *listener);

/**
 * Calls this for each answered heartbeat: HEARTWIRE_EVENT_HEARTBEAT. See heartwire_on_open().
 *
 * Ownership: `user_data` is kept until the callback can run no more; then `free_user_data`, which may be NULL, gets
 * it, once. `listener`, which may be NULL, gets a number for heartwire_remove_listener(). When the call fails nothing
 * was kept.
 * Threads:   any thread, in any callback.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ARGUMENT if `call` is NULL, or HEARTWIRE_ERR_TAKEN if
 * events are taken by heartwire_next_event().
 */
heartwire_status heartwire_on_heartbeat(struct heartwire_client client,
                                        heartwire_event_fn call,
                                        void *user_data,
                                        heartwire_free_fn free_user_data,
                                        uint64_t *listener);

/**
 * Calls this when the outbox was full and is half empty again: HEARTWIRE_EVENT_WRITABLE. See heartwire_on_open().
 *
 * Ownership: `user_data` is kept until the callback can run no more; then `free_user_data`, which may be NULL, gets
 * it, once. `listener`, which may be NULL, gets a number for heartwire_remove_listener(). When the call fails nothing
 * was kept.
 * Threads:   any thread, in any callback.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ARGUMENT if `call` is NULL, or HEARTWIRE_ERR_TAKEN if
 * events are taken by heartwire_next_event().
 */
heartwire_status heartwire_on_writable(struct heartwire_client client,
                                       heartwire_event_fn call,
                                       void *user_data,
                                       heartwire_free_fn free_user_data,
                                       uint64_t *listener);

/**
 * Calls this with what became of messages: HEARTWIRE_EVENT_OUTCOME. Only those who ask cause the work. See
 * heartwire_on_open().
 *
 * An outcome may come before the send has returned the message's number.
 *
 * Ownership: `user_data` is kept until the callback can run no more; then `free_user_data`, which may be NULL, gets
 * it, once. `listener`, which may be NULL, gets a number for heartwire_remove_listener(). When the call fails nothing
 * was kept.
 * Threads:   any thread, in any callback.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ARGUMENT if `call` is NULL, or HEARTWIRE_ERR_TAKEN if
 * events are taken by heartwire_next_event().
 */
heartwire_status heartwire_on_outcome(struct heartwire_client client,
                                      heartwire_event_fn call,
                                      void *user_data,
                                      heartwire_free_fn free_user_data,
                                      uint64_t *listener);

/**
 * Calls this once, as the very last event: HEARTWIRE_EVENT_CLOSED_FOR_GOOD. See heartwire_on_open().
 *
 * Ownership: `user_data` is kept until the callback can run no more; then `free_user_data`, which may be NULL, gets
 * it, once. `listener`, which may be NULL, gets a number for heartwire_remove_listener(). When the call fails nothing
 * was kept.
 * Threads:   any thread, in any callback.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ARGUMENT if `call` is NULL, or HEARTWIRE_ERR_TAKEN if
 * events are taken by heartwire_next_event().
 */
heartwire_status heartwire_on_closed_for_good(struct heartwire_client client,
                                              heartwire_event_fn call,
                                              void *user_data,
                                              heartwire_free_fn free_user_data,
                                              uint64_t *listener);

/**
 * Removes a callback. A call of it that runs on another thread goes on.
 *
 * Ownership: its free_user_data is called when no call of it can run any more: before this returns, or later on the
 * thread that runs it, with the client's destruction at the latest.
 * Threads:   any thread, in any callback, its own included.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, or HEARTWIRE_ERR_NOT_FOUND if there is no such callback of this client.
 */
heartwire_status heartwire_remove_listener(struct heartwire_client client,
                                           uint64_t listener);

/**
 * Delivers messages of more than so many bytes in parts as they arrive, to heartwire_on_fragment() or as
 * HEARTWIRE_EVENT_FRAGMENT; all others come whole, as ever. 0 leaves only empty ones whole. Default: SIZE_MAX, every
 * message comes whole.
 *
 * A message of any length then costs about as much memory as the larger one of this and 64 KiB, which is also about
 * the longest part, and as much again where it is compressed; besides, parts wait in the queue of
 * heartwire_options_set_inbound_queue() where events do. The limit of heartwire_options_set_max_message_size() holds
 * if it was set; without it there is none. heartwire_create() answers HEARTWIRE_ERR_CONFIG where that limit is not
 * larger than this, or where the reply to a heartbeat is longer: it is looked for in whole messages only.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT.
 */
heartwire_status heartwire_options_set_fragments_above(struct heartwire_options *options,
                                                       size_t bytes);

/**
 * Calls this for each part of a message that is longer than heartwire_options_set_fragments_above() allows, as it
 * arrives. See heartwire_on_open().
 *
 * A message's parts come in their order, those of another message never in between. The first one has
 * HEARTWIRE_FRAGMENT_FIRST and the offset 0; the last one has HEARTWIRE_FRAGMENT_LAST, and may be empty. Or else an
 * empty one comes that has HEARTWIRE_FRAGMENT_ABORTED: the session has ended or failed, or the client is being closed,
 * in the middle of the message, and nothing more will come of it. What came of it may be wrong then.
 *
 * A callback that is registered in the middle of a message hears of the next one. On the loop's thread
 * heartwire_pause_reading() in the callback holds back the very next part.
 *
 * Ownership: `user_data` is kept until the callback can run no more; then `free_user_data`, which may be NULL, gets
 * it, once. `listener`, which may be NULL, gets a number for heartwire_remove_listener(). When the call fails nothing
 * was kept.
 * Threads:   any thread, in any callback.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ARGUMENT if `call` is NULL, HEARTWIRE_ERR_CONFIG if
 * heartwire_options_set_fragments_above() was not set for the client, or HEARTWIRE_ERR_TAKEN if events are taken by
 * heartwire_next_event().
 */
heartwire_status heartwire_on_fragment(struct heartwire_client client,
                                       heartwire_fragment_fn call,
                                       void *user_data,
                                       heartwire_free_fn free_user_data,
                                       uint64_t *listener);

/**
 * Tells where in its message a part stands, of HEARTWIRE_EVENT_FRAGMENT. heartwire_on_fragment() says what it means.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread that may use the event.
 *
 * Returns a sum of HEARTWIRE_FRAGMENT_…; 0 for a part in the middle, and for other events.
 */
heartwire_fragment_place heartwire_event_fragment_place(const struct heartwire_event *event);

/**
 * Tells how many bytes of the message came before a part, of HEARTWIRE_EVENT_FRAGMENT.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread that may use the event.
 *
 * Returns the number; -1 for other events.
 */
int64_t heartwire_event_fragment_offset(const struct heartwire_event *event);

/**
 * Makes an event loop without clients, which nobody turns yet. Does not wait.
 *
 * Ownership: the caller frees it with heartwire_loop_free(), after its clients.
 * Threads:   any thread, in any callback.
 *
 * Returns the loop; NULL if there was no descriptor to be had (it needs three), see heartwire_last_error().
 */
struct heartwire_loop *heartwire_loop_new(void);

/**
 * Gives the loop a thread of the library's, which turns it from now on. Does not wait.
 *
 * Ownership: nothing changes hands; the thread ends with heartwire_loop_free().
 * Threads:   any thread, in any callback.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_BUSY if it has a thread already or somebody turns it
 * just now (inside a callback that runs on it, for example), or HEARTWIRE_ERR_SYSTEM if there was no thread to be had,
 * or the loop has failed.
 */
heartwire_status heartwire_loop_start(struct heartwire_loop *event_loop);

/**
 * Waits for something to do, `timeout_ms` milliseconds at most (-1: for as long as it takes, 0: not at all), and does
 * it: a bounded amount for each client, callbacks included. It may return early, and with nothing done.
 *
 * Ownership: nothing changes hands. The calling thread becomes the one that turns this loop.
 * Threads:   any thread, one at a time; not inside a callback that runs on an event loop.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT for NULL or a time below -1, HEARTWIRE_ERR_WOULD_DEADLOCK inside a turn
 * of this loop or of another, HEARTWIRE_ERR_BUSY if it has a thread of its own or another thread turns it just now, or
 * HEARTWIRE_ERR_SYSTEM if the system refused to wait: then every client of the loop has ended, and none can be
 * created.
 */
heartwire_status heartwire_loop_turn(struct heartwire_loop *event_loop,
                                     int32_t timeout_ms);

/**
 * The descriptor to wait for, with epoll, poll, select, libuv, GLib, Qt and the like: it is readable while
 * heartwire_loop_turn() has something to do. Wait for heartwire_loop_next_timeout_ms() at most.
 *
 * Ownership: the descriptor is the loop's: do not read, write or close it, and forget it before heartwire_loop_free().
 * Threads:   any thread, in any callback.
 *
 * Returns the descriptor; -1 for NULL, and on Windows, where there is none.
 */
int heartwire_loop_fd(const struct heartwire_loop *event_loop);

/**
 * How long heartwire_loop_turn() may be put off while heartwire_loop_fd() is not readable, rounded up to whole
 * milliseconds; as poll() and epoll_wait() want it.
 *
 * Every turn may change it: ask after each. So may every call to a client, which makes the descriptor readable.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread, in any callback.
 *
 * Returns the time; 0: turn at once; -1: there is no such time, or the loop is turned by a thread just now, or it is
 * NULL.
 */
int32_t heartwire_loop_next_timeout_ms(const struct heartwire_loop *event_loop);

/**
 * Makes the heartwire_loop_turn() that waits return, or else the next one not wait. Does not wait itself.
 *
 * There is no need for it after calls to a client: they wake the loop where it has something to do.
 *
 * Ownership: nothing changes hands.
 * Threads:   any thread, in any callback.
 *
 * Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT.
 */
heartwire_status heartwire_loop_wake(struct heartwire_loop *event_loop);

/**
 * Frees an event loop, if it has no clients any more: destroy them first. Outside of callbacks it waits for the loop's
 * own thread, and so for a callback that runs there; inside of one that thread ends by itself.
 *
 * Ownership: `event_loop` is gone if HEARTWIRE_OK is returned, and stays as it was otherwise; NULL does nothing.
 * Options that name it may be freed later; no client can be created with them.
 * Threads:   any thread, in any callback; no other thread may begin to use the loop any more.
 *
 * Returns HEARTWIRE_OK, or HEARTWIRE_ERR_BUSY while clients that were created on it are not destroyed, or while
 * somebody turns it: inside a callback, for example, which heartwire_loop_turn() has called.
 */
heartwire_status heartwire_loop_free(struct heartwire_loop *event_loop);

/**
 * Sets the event loop of clients to be created; NULL, the default, gives each a loop and a thread of its own.
 *
 * Ownership: the loop stays the caller's, and has to outlive the clients, which heartwire_loop_free() checks. It need
 * not outlive the options: heartwire_create() answers HEARTWIRE_ERR_CONFIG once it was freed.
 * Threads:   any thread; one at a time for one object.
 *
 * Returns HEARTWIRE_OK, or HEARTWIRE_ERR_ARGUMENT if `options` is NULL.
 */
heartwire_status heartwire_options_set_loop(struct heartwire_options *options,
                                            const struct heartwire_loop *event_loop);

/**
 * Hands the library's log lines up to this level to a C function, for the whole process. The library prints nothing by
 * itself; without this call its lines go nowhere.
 *
 * NULL, or HEARTWIRE_LOG_OFF, ends it. Outside of callbacks the call waits until the function that was set before has
 * returned everywhere, so that its `user_data` can then be freed; inside of a callback it does not wait.
 *
 * Ownership: `user_data` stays the caller's, and has to live until another function, or none, was set.
 * Threads:   any thread, in any callback. The function is called on any thread, perhaps on several at once, and may
 * call everything.
 *
 * Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT for an unknown level, or HEARTWIRE_ERR_TAKEN if the program is written
 * in Rust and has a logger of its own.
 */
heartwire_status heartwire_set_logger(heartwire_log_level level,
                                      heartwire_log_fn call,
                                      void *user_data);

/**
 * Calls `start` first of all and `stop` last of all on each thread that the library starts from now on: to set a name
 * or a priority, or to attach the thread to a virtual machine. Either may be NULL.
 *
 * A thread calls the `stop` of the pair that was set when it was started. The library has a thread for each connected
 * client without a loop that is shared, one for each heartwire_loop_start(), one more for a client with
 * HEARTWIRE_DISPATCH_THREAD, and up to 4 for name lookups, which end when idle for 10 s.
 *
 * Ownership: `user_data` stays the caller's, and has to live as long as threads that began with it; best make it
 * static.
 * Threads:   any thread, in any callback. The functions may call everything.
 *
 * Returns HEARTWIRE_OK.
 */
heartwire_status heartwire_set_thread_hooks(heartwire_thread_fn start,
                                            heartwire_thread_fn stop,
                                            void *user_data);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* HEARTWIRE_H */
