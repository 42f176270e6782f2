/*
 * heartwire for C++17: a WebSocket client that stays connected. Header-only, over heartwire.h; link libheartwire.
 *
 *     #include <heartwire.hpp>
 *     #include <iostream>
 *
 *     int main() try {
 *         using namespace std::chrono_literals;
 *         heartwire::Client client("wss://example.com/feed");
 *         client.on_message([](heartwire::ClientRef client, std::string_view data, heartwire::Kind) {
 *             std::cout << data << '\n';
 *             client.close(1000, "done").ignore();
 *         }).value();
 *         client.connect().value();
 *         client.send_text("hello").value();
 *         client.wait_closed(60s).value();
 *     } catch (const heartwire::Error &error) {
 *         std::cerr << error.what() << '\n';
 *         return 1;
 *     }
 *
 * heartwire.h is the reference: each function here does what the C function of that name does. Here is what differs.
 *
 * Errors. What can fail returns a Result, to be looked at: `if (auto sent = client.send_text("hello")) use(*sent);
 * else log(sent.text());`. Whoever prefers exceptions ends the call with `.value()`, which throws heartwire::Error, and
 * makes clients by the constructor instead of by Client::create(). `.ignore()` says that it does not matter. With
 * -fno-exceptions the constructor does not exist and a `.value()` that has none ends the program.
 *
 * Lifetimes. A Client owns: its destructor destroys the client, and outside of callbacks waits for one that runs. A
 * ClientRef does not: it is a number to copy and to keep, and after the client's end its calls answer Status::handle.
 * Callbacks get one; capture that, not the Client, which may be moved. An Event of next_event() owns; an EventView is
 * valid during the callback that gets it. Every std::string_view belongs to the event it came from.
 *
 * An EventLoop outlives its clients: declare it before them. If it does not, they stay as they are, and so does the C
 * object.
 *
 * Callbacks. Lambdas, functions, std::function. Each is destroyed exactly once, after its last call, also if the call
 * that should have kept it fails. What its destructor does must not throw.
 *
 * Exceptions in callbacks. They do not cross the border: they are caught right behind the callback. Then the logger of
 * set_logger(), if any, gets a line, and the function of set_exception_hook() gets the exception. Without such a
 * function the client is closed with code 1011, since nobody else would know that a message was not dealt with.
 *
 * Times. Lengths of time are std::chrono::milliseconds, to which seconds and minutes convert by themselves; round-trip
 * times are microseconds.
 *
 * Enumerations. They may hold numbers without a name here, from a later version of the library: give switches a
 * default.
 */

#ifndef HEARTWIRE_HPP
#define HEARTWIRE_HPP

#include "heartwire.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
#define HEARTWIRE_HAS_EXCEPTIONS 1
#else
#define HEARTWIRE_HAS_EXCEPTIONS 0
#endif

namespace heartwire {

/* What a call answers. */
enum class Status : heartwire_status {
    ok = HEARTWIRE_OK,
    argument = HEARTWIRE_ERR_ARGUMENT,
    handle = HEARTWIRE_ERR_HANDLE,
    utf8 = HEARTWIRE_ERR_UTF8,
    config = HEARTWIRE_ERR_CONFIG,
    full = HEARTWIRE_ERR_FULL,
    closed = HEARTWIRE_ERR_CLOSED,
    timeout = HEARTWIRE_ERR_TIMEOUT,
    would_deadlock = HEARTWIRE_ERR_WOULD_DEADLOCK,
    already_connected = HEARTWIRE_ERR_ALREADY_CONNECTED,
    too_big = HEARTWIRE_ERR_TOO_BIG,
    not_open = HEARTWIRE_ERR_NOT_OPEN,
    taken = HEARTWIRE_ERR_TAKEN,
    not_found = HEARTWIRE_ERR_NOT_FOUND,
    buffer = HEARTWIRE_ERR_BUFFER,
    system = HEARTWIRE_ERR_SYSTEM,
    unsupported = HEARTWIRE_ERR_UNSUPPORTED,
    panic = HEARTWIRE_ERR_PANIC,
    busy = HEARTWIRE_ERR_BUSY,
    dropped = HEARTWIRE_ERR_DROPPED,
};

/* How a payload is to be read. */
enum class Kind : heartwire_message_kind { text = HEARTWIRE_TEXT, binary = HEARTWIRE_BINARY };

/* What an event tells. */
enum class EventKind : heartwire_event_type {
    none = HEARTWIRE_EVENT_NONE,
    open = HEARTWIRE_EVENT_OPEN,
    message = HEARTWIRE_EVENT_MESSAGE,
    close = HEARTWIRE_EVENT_CLOSE,
    connect_failed = HEARTWIRE_EVENT_CONNECT_FAILED,
    error = HEARTWIRE_EVENT_ERROR,
    heartbeat = HEARTWIRE_EVENT_HEARTBEAT,
    writable = HEARTWIRE_EVENT_WRITABLE,
    outcome = HEARTWIRE_EVENT_OUTCOME,
    state = HEARTWIRE_EVENT_STATE,
    closed_for_good = HEARTWIRE_EVENT_CLOSED_FOR_GOOD,
    fragment = HEARTWIRE_EVENT_FRAGMENT,
};

/* Where a client stands. */
enum class State : heartwire_client_state {
    none = HEARTWIRE_STATE_NONE,
    idle = HEARTWIRE_STATE_IDLE,
    connecting = HEARTWIRE_STATE_CONNECTING,
    open = HEARTWIRE_STATE_OPEN,
    waiting = HEARTWIRE_STATE_WAITING,
    closing = HEARTWIRE_STATE_CLOSING,
    closed = HEARTWIRE_STATE_CLOSED,
};

/* The browser's readyState. */
enum class ReadyState : heartwire_ready {
    none = HEARTWIRE_READY_NONE,
    connecting = HEARTWIRE_READY_CONNECTING,
    open = HEARTWIRE_READY_OPEN,
    closing = HEARTWIRE_READY_CLOSING,
    closed = HEARTWIRE_READY_CLOSED,
};

/* A step of a connection. */
enum class Phase : heartwire_phase {
    none = HEARTWIRE_PHASE_NONE,
    resolve = HEARTWIRE_PHASE_RESOLVE,
    connect = HEARTWIRE_PHASE_CONNECT,
    proxy = HEARTWIRE_PHASE_PROXY,
    tls = HEARTWIRE_PHASE_TLS,
    upgrade = HEARTWIRE_PHASE_UPGRADE,
    open = HEARTWIRE_PHASE_OPEN,
    close = HEARTWIRE_PHASE_CLOSE,
    prepare = HEARTWIRE_PHASE_PREPARE,
};

/* What went wrong in a phase. */
enum class Cause : heartwire_cause {
    timed_out = HEARTWIRE_CAUSE_TIMED_OUT,
    io = HEARTWIRE_CAUSE_IO,
    tls = HEARTWIRE_CAUSE_TLS,
    refused = HEARTWIRE_CAUSE_REFUSED,
    bad_upgrade = HEARTWIRE_CAUSE_BAD_UPGRADE,
    protocol = HEARTWIRE_CAUSE_PROTOCOL,
    end_of_stream = HEARTWIRE_CAUSE_END_OF_STREAM,
    closed = HEARTWIRE_CAUSE_CLOSED,
    silent = HEARTWIRE_CAUSE_SILENT,
    proxy = HEARTWIRE_CAUSE_PROXY,
    bad_redirect = HEARTWIRE_CAUSE_BAD_REDIRECT,
    before_connect = HEARTWIRE_CAUSE_BEFORE_CONNECT,
    abandoned = HEARTWIRE_CAUSE_ABANDONED,
};

/* Why a redirect was not followed. */
enum class RedirectFault : heartwire_redirect_fault {
    none = HEARTWIRE_REDIRECT_FAULT_NONE,
    location = HEARTWIRE_REDIRECT_FAULT_LOCATION,
    downgrade = HEARTWIRE_REDIRECT_FAULT_DOWNGRADE,
    loop = HEARTWIRE_REDIRECT_FAULT_LOOP,
    too_many = HEARTWIRE_REDIRECT_FAULT_TOO_MANY,
};

/* What TLS objected to. */
enum class TlsFault : heartwire_tls_fault {
    none = HEARTWIRE_TLS_FAULT_NONE,
    certificate = HEARTWIRE_TLS_FAULT_CERTIFICATE,
    host_name = HEARTWIRE_TLS_FAULT_HOST_NAME,
    protocol = HEARTWIRE_TLS_FAULT_PROTOCOL,
    truncated = HEARTWIRE_TLS_FAULT_TRUNCATED,
    refused = HEARTWIRE_TLS_FAULT_REFUSED,
    other = HEARTWIRE_TLS_FAULT_OTHER,
    pin = HEARTWIRE_TLS_FAULT_PIN,
};

/* What was wrong with a proxy's answer, or why a SOCKS proxy refused. */
enum class ProxyFault : heartwire_proxy_fault {
    none = HEARTWIRE_PROXY_FAULT_NONE,
    not_http = HEARTWIRE_PROXY_FAULT_NOT_HTTP,
    too_long = HEARTWIRE_PROXY_FAULT_TOO_LONG,
    not_socks = HEARTWIRE_PROXY_FAULT_NOT_SOCKS,
    method = HEARTWIRE_PROXY_FAULT_METHOD,
    credentials = HEARTWIRE_PROXY_FAULT_CREDENTIALS,
    socks = HEARTWIRE_PROXY_FAULT_SOCKS,
    unasked = HEARTWIRE_PROXY_FAULT_UNASKED,
};

/* Which addresses are connected to. */
enum class IpVersion : heartwire_ip_version {
    any = HEARTWIRE_IP_ANY,
    v4 = HEARTWIRE_IP_V4,
    v6 = HEARTWIRE_IP_V6,
};

/* Who began the end of a session. */
enum class Initiator : heartwire_initiator {
    nobody = HEARTWIRE_BY_NOBODY,
    user = HEARTWIRE_BY_USER,
    library = HEARTWIRE_BY_LIBRARY,
    server = HEARTWIRE_BY_SERVER,
    network = HEARTWIRE_BY_NETWORK,
};

/* How far a message got. */
enum class Level : heartwire_level { none = HEARTWIRE_LEVEL_NONE, written = HEARTWIRE_LEVEL_WRITTEN };

/* What became of a message. */
enum class Fate : heartwire_fate {
    completed = HEARTWIRE_FATE_COMPLETED,
    dropped = HEARTWIRE_FATE_DROPPED,
    unknown = HEARTWIRE_FATE_UNKNOWN,
};

/* Why a message was dropped. */
enum class DropReason : heartwire_drop_reason {
    not_dropped = HEARTWIRE_DROPPED_NOT,
    expired = HEARTWIRE_DROPPED_EXPIRED,
    evicted = HEARTWIRE_DROPPED_EVICTED,
    closed = HEARTWIRE_DROPPED_CLOSED,
    interrupted = HEARTWIRE_DROPPED_INTERRUPTED,
    abandoned = HEARTWIRE_DROPPED_ABANDONED,
};

/* Why a client has ended. */
enum class End : heartwire_end {
    not_ended = HEARTWIRE_END_NOT,
    closed = HEARTWIRE_END_CLOSED,
    gave_up = HEARTWIRE_END_GAVE_UP,
    fatal = HEARTWIRE_END_FATAL,
    callback_panicked = HEARTWIRE_END_CALLBACK_PANICKED,
    loop_failed = HEARTWIRE_END_LOOP_FAILED,
    stopped = HEARTWIRE_END_STOPPED,
};

/* Where callbacks run. */
enum class Dispatch : heartwire_dispatch { loop = HEARTWIRE_DISPATCH_LOOP, thread = HEARTWIRE_DISPATCH_THREAD };

/* A version of TLS. */
enum class TlsVersion : heartwire_tls_version {
    tls_1_0 = HEARTWIRE_TLS_1_0,
    tls_1_1 = HEARTWIRE_TLS_1_1,
    tls_1_2 = HEARTWIRE_TLS_1_2,
    tls_1_3 = HEARTWIRE_TLS_1_3,
};

/* How much is logged. */
enum class LogLevel : heartwire_log_level {
    off = HEARTWIRE_LOG_OFF,
    error = HEARTWIRE_LOG_ERROR,
    warn = HEARTWIRE_LOG_WARN,
    info = HEARTWIRE_LOG_INFO,
    debug = HEARTWIRE_LOG_DEBUG,
    trace = HEARTWIRE_LOG_TRACE,
};

/* A registered callback, for remove_listener(). */
enum class Listener : std::uint64_t {};

/* A message's number: 1 for the client's first, then 2, and so on. */
using MessageId = std::uint64_t;

/* What a Result's value() throws. */
class Error : public std::runtime_error {
public:
    Error(Status status, const std::string &text) : std::runtime_error(text), status_(status) {}

    Status status() const noexcept { return status_; }

private:
    Status status_;
};

/* Why a call failed. */
struct Failure {
    Status status;
    std::string text;
};

/* A value, or why there is none. */
template <typename T>
class [[nodiscard]] Result {
public:
    Result(T value) : is_(std::in_place_index<0>, std::move(value)) {}
    Result(Failure failure) : is_(std::in_place_index<1>, std::move(failure)) {}

    explicit operator bool() const noexcept { return is_.index() == 0; }

    Status status() const noexcept { return *this ? Status::ok : std::get_if<1>(&is_)->status; }

    /* What was wrong, in words; empty if nothing was. */
    std::string text() const { return *this ? std::string() : std::get_if<1>(&is_)->text; }

    /* The value; throws Error if there is none. */
    T &value() & {
        demand();
        return *std::get_if<0>(&is_);
    }
    const T &value() const & {
        demand();
        return *std::get_if<0>(&is_);
    }
    T value() && {
        demand();
        return std::move(*std::get_if<0>(&is_));
    }

    T value_or(T other) && { return *this ? std::move(*std::get_if<0>(&is_)) : std::move(other); }

    /* As value(). */
    T &operator*() & { return value(); }
    const T &operator*() const & { return value(); }
    T operator*() && { return std::move(*this).value(); }
    T *operator->() { return &value(); }
    const T *operator->() const { return &value(); }

    /* Says that a failure does not matter here. */
    void ignore() const noexcept {}

private:
    void demand() const {
        if (*this) return;
#if HEARTWIRE_HAS_EXCEPTIONS
        throw Error(std::get_if<1>(&is_)->status, std::get_if<1>(&is_)->text);
#else
        std::abort();
#endif
    }

    std::variant<T, Failure> is_;
};

/* Done, or why not. */
template <>
class [[nodiscard]] Result<void> {
public:
    Result() = default;
    Result(Failure failure) : failure_(std::move(failure)) {}

    explicit operator bool() const noexcept { return !failure_; }

    Status status() const noexcept { return failure_ ? failure_->status : Status::ok; }

    /* What was wrong, in words; empty if nothing was. */
    std::string text() const { return failure_ ? failure_->text : std::string(); }

    /* Throws Error if it was not done. */
    void value() const {
        if (!failure_) return;
#if HEARTWIRE_HAS_EXCEPTIONS
        throw Error(failure_->status, failure_->text);
#else
        std::abort();
#endif
    }

    /* Says that a failure does not matter here. */
    void ignore() const noexcept {}

private:
    std::optional<Failure> failure_;
};

class ClientRef;

/* What does not concern users of this header. */
namespace detail {

inline Failure failure(heartwire_status status) {
    return Failure{static_cast<Status>(status), heartwire_last_error()};
}

inline Result<void> done(heartwire_status status) {
    if (status == HEARTWIRE_OK) return {};
    return failure(status);
}

/* A length of time to wait: below zero is not at all, above what 32 bits hold is 49 days. */
inline std::uint32_t wait_ms(std::chrono::milliseconds time) noexcept {
    constexpr std::uint32_t most = std::numeric_limits<std::uint32_t>::max();
    if (time.count() < 0) return 0;
    return time.count() > static_cast<std::int64_t>(most) ? most : static_cast<std::uint32_t>(time.count());
}

/* The same where C takes a signed number, below which is a meaning of its own. */
inline std::int32_t poll_ms(std::chrono::milliseconds time) noexcept {
    constexpr std::int32_t most = std::numeric_limits<std::int32_t>::max();
    const std::int64_t ms = time.count();
    return ms < 0 ? 0 : ms > most ? most : static_cast<std::int32_t>(ms);
}

/* An empty view may have no address, but C wants one. */
inline const char *address(std::string_view bytes) noexcept { return bytes.data() ? bytes.data() : ""; }

inline std::string_view view(const char *text) noexcept { return text ? std::string_view(text) : std::string_view(); }

inline std::optional<std::chrono::milliseconds> milliseconds(std::int64_t count) {
    if (count < 0) return std::nullopt;
    return std::chrono::milliseconds(count);
}

inline std::optional<std::chrono::microseconds> microseconds(std::int64_t count) {
    if (count < 0) return std::nullopt;
    return std::chrono::microseconds(count);
}

/* C takes settings up to the first NUL; what is behind one must not vanish in silence. */
inline bool has_nul(const std::string &text) noexcept { return text.find('\0') != std::string::npos; }

inline Failure nul() { return Failure{Status::argument, "a text has a NUL inside"}; }

/* Asks for a header, or a certificate, twice: for its length, and for itself; again if it has changed in between. */
template <typename Ask>
std::optional<std::string> header(const Ask &ask) {
    std::size_t len = 0;
    if (ask(nullptr, &len) != HEARTWIRE_OK) return std::nullopt;
    for (;;) {
        std::string text(len + 1, '\0');
        std::size_t size = text.size();
        const heartwire_status status = ask(&text[0], &size);
        if (status == HEARTWIRE_OK) {
            text.resize(size);
            return text;
        }
        if (status != HEARTWIRE_ERR_BUFFER || ask(nullptr, &len) != HEARTWIRE_OK) return std::nullopt;
    }
}

using LogHandler = std::function<void(LogLevel, std::string_view)>;
using ExceptionHook = std::function<void(ClientRef, std::exception_ptr)>;
using ThreadHook = std::function<void()>;

/* What is set for the whole process. Never freed: threads of the library may outlive main(). */
struct Process {
    std::mutex mutex;
    std::shared_ptr<const LogHandler> log;
    std::shared_ptr<const ExceptionHook> hook;
    /* Kept for good, since threads call the pair that was set when they started. */
    std::vector<std::unique_ptr<std::pair<ThreadHook, ThreadHook>>> thread_hooks;
};

inline Process &process() {
    static Process *const it = new Process;
    return *it;
}

inline void exchange_log(std::shared_ptr<const LogHandler> &other) {
    const std::lock_guard<std::mutex> lock(process().mutex);
    std::swap(process().log, other);
}

inline void log(LogLevel level, std::string_view line) noexcept {
#if HEARTWIRE_HAS_EXCEPTIONS
    try {
#endif
        std::shared_ptr<const LogHandler> handler;
        {
            const std::lock_guard<std::mutex> lock(process().mutex);
            handler = process().log;
        }
        if (handler) (*handler)(level, line);
#if HEARTWIRE_HAS_EXCEPTIONS
    } catch (...) {
        // There is nobody left to tell.
    }
#endif
}

inline void log_line(heartwire_log_level level, const char *line, void *) {
    log(static_cast<LogLevel>(level), view(line));
}

inline void caught(heartwire_client client) noexcept;

/* Runs what may throw, on behalf of C, which must not see it. */
template <typename Body>
void guard(heartwire_client client, const Body &body) noexcept {
#if HEARTWIRE_HAS_EXCEPTIONS
    try {
        body();
    } catch (...) {
        caught(client);
    }
#else
    static_cast<void>(client);
    body();
#endif
}

template <typename Function>
void free_function(void *user_data) {
    delete static_cast<Function *>(user_data);
}

}  // namespace detail

/* Why a link is down. */
struct LinkError {
    Phase phase;
    Cause cause;
    /* The operating system's error number; 0 if there is none. */
    int os_error;
    /* The HTTP status with which the server refused the upgrade, or the proxy the way to it; 0 if they did not. */
    int http_status;
    TlsFault tls_fault;
    /* The code with which the server closed, or with which we answered its breach of the protocol; 0 if neither. */
    int close_code;
    /* Whether another attempt follows; nothing if that is not known yet. */
    std::optional<bool> will_retry;
    std::uint32_t missed_beats;
    /* How long until the next attempt; nothing if there is none, or it is not known yet. */
    std::optional<std::chrono::milliseconds> delay;
    /* All of it in words. */
    std::string_view text;
    ProxyFault proxy_fault;
    /* A SOCKS proxy's reply that did not connect us; else 0. */
    int socks_reply;
};

namespace detail {

inline LinkError link_error(const heartwire_error_info &info) {
    std::optional<bool> will_retry;
    if (info.will_retry >= 0) will_retry = info.will_retry != 0;
    return LinkError{static_cast<Phase>(info.phase),
                     static_cast<Cause>(info.kind),
                     info.os_error,
                     info.http_status,
                     static_cast<TlsFault>(info.tls_fault),
                     info.close_code,
                     will_retry,
                     info.missed_beats,
                     milliseconds(info.delay_ms),
                     view(info.text),
                     static_cast<ProxyFault>(info.proxy_fault),
                     info.socks_reply};
}

}  // namespace detail

/* The same fate for a range of consecutive messages, `last` included. */
struct Outcome {
    MessageId first;
    MessageId last;
    Fate fate;
    Level level;
    DropReason dropped;
};

/* What a client has done so far; heartwire_stats_info explains each. */
struct Stats {
    std::uint64_t accepted;
    std::uint64_t messages_sent;
    std::uint64_t bytes_sent;
    std::uint64_t messages_received;
    std::uint64_t bytes_received;
    std::uint64_t queued_messages;
    std::uint64_t queued_bytes;
    std::uint64_t expired;
    std::uint64_t evicted;
    std::uint64_t dropped_on_close;
    std::uint64_t unknown;
    std::uint64_t events_discarded;
    std::uint64_t sessions;
    std::uint64_t attempts;
    std::optional<std::chrono::microseconds> last_rtt;
    std::optional<std::chrono::microseconds> smoothed_rtt;
    std::optional<std::chrono::milliseconds> since_received;
    std::uint64_t interrupted;
};

/* What applies to one message only. */
struct SendOptions {
    Kind kind = Kind::text;
    /* Drops the message, and says so, when it could not be written for this time. 0: as the outbox is set. */
    std::chrono::milliseconds time_to_live{0};
};

/*
 * A part of a message, of a callback or of an event. The last one may be empty; one that is aborted is, and nothing
 * follows it.
 */
struct Fragment {
    /* Belongs to the call, or to the event. That of a text is valid UTF-8. */
    std::string_view data;
    Kind kind;
    /* How many bytes of the message came before. */
    std::uint64_t offset;
    bool is_first;
    bool is_last;
    /* The session ended or failed, or the client is being closed, in the middle of the message. */
    bool is_aborted;
};

namespace detail {
inline Fragment fragment(std::string_view data, Kind kind, std::uint64_t offset, heartwire_fragment_place place) {
    const auto has = [place](heartwire_fragment_place what) { return (place & what) != 0; };
    return Fragment{data, kind, offset, has(HEARTWIRE_FRAGMENT_FIRST), has(HEARTWIRE_FRAGMENT_LAST),
                    has(HEARTWIRE_FRAGMENT_ABORTED)};
}
}  // namespace detail

/*
 * An event to look at, while it lives. May be asked everything: what an event does not have is empty, zero or nothing.
 */
class EventView {
public:
    explicit EventView(const heartwire_event *event) noexcept : event_(event) {}

    EventKind kind() const noexcept { return static_cast<EventKind>(heartwire_event_kind(event_)); }

    /* The payload of a message, or of a part of one. */
    std::string_view data() const noexcept {
        std::size_t len = 0;
        const std::uint8_t *bytes = heartwire_event_data(event_, &len);
        return bytes ? std::string_view(reinterpret_cast<const char *>(bytes), len) : std::string_view();
    }

    bool is_text() const noexcept { return heartwire_event_message_kind(event_) == HEARTWIRE_TEXT; }
    bool is_binary() const noexcept { return heartwire_event_message_kind(event_) == HEARTWIRE_BINARY; }

    /* The event in words, for logs: of a message the kind and the length only. */
    std::string_view text() const noexcept { return detail::view(heartwire_event_text(event_)); }

    /* Why the link is down. */
    std::optional<LinkError> error() const {
        heartwire_error_info info{};
        info.size = sizeof info;
        if (heartwire_event_error(event_, &info) != HEARTWIRE_OK) return std::nullopt;
        return detail::link_error(info);
    }

    /* The first bytes of the body with which the server refused the upgrade. */
    std::string_view refusal_body() const noexcept {
        std::size_t len = 0;
        const std::uint8_t *bytes = heartwire_event_refusal_body(event_, &len);
        return bytes ? std::string_view(reinterpret_cast<const char *>(bytes), len) : std::string_view();
    }

    /* A header of the server's answer to the upgrade. */
    std::optional<std::string> header(const std::string &name) const {
        return detail::header([this, &name](char *buf, std::size_t *len) {
            return heartwire_event_header(event_, name.c_str(), buf, len);
        });
    }

    std::uint32_t attempt() const noexcept { return heartwire_event_attempt(event_); }

    /* The URL that the session is with, or that failed, without user name, password and query. */
    std::string_view url() const noexcept { return detail::view(heartwire_event_url(event_)); }

    /* Which of the client's URLs it was; 0 is the one that it was created with, -1 none. */
    std::int32_t url_index() const noexcept { return heartwire_event_url_index(event_); }

    /* The URLs that redirected the attempt, in order. */
    std::vector<std::string_view> redirects() const {
        std::vector<std::string_view> urls(heartwire_event_redirects(event_));
        for (std::size_t i = 0; i < urls.size(); i++) {
            urls[i] = detail::view(heartwire_event_redirect(event_, static_cast<std::uint32_t>(i)));
        }
        return urls;
    }

    RedirectFault redirect_fault() const noexcept {
        return static_cast<RedirectFault>(heartwire_event_redirect_fault(event_));
    }

    bool is_first() const noexcept { return heartwire_event_is_first(event_); }
    std::string_view subprotocol() const noexcept { return detail::view(heartwire_event_subprotocol(event_)); }

    /* The certificate that the server has shown as its own, in DER; empty without TLS. */
    std::string_view peer_certificate() const noexcept {
        std::size_t len = 0;
        const std::uint8_t *bytes = heartwire_event_peer_certificate(event_, &len);
        return bytes ? std::string_view(reinterpret_cast<const char *>(bytes), len) : std::string_view();
    }

    std::uint16_t code() const noexcept { return heartwire_event_code(event_); }
    std::string_view reason() const noexcept { return detail::view(heartwire_event_reason(event_)); }
    bool is_clean() const noexcept { return heartwire_event_is_clean(event_); }
    Initiator initiator() const noexcept { return static_cast<Initiator>(heartwire_event_initiator(event_)); }

    /* How long until the next attempt; nothing if there will be none. */
    std::optional<std::chrono::milliseconds> retry_after() const {
        return detail::milliseconds(heartwire_event_retry_ms(event_));
    }

    std::optional<std::chrono::microseconds> round_trip() const {
        return detail::microseconds(heartwire_event_round_trip_us(event_));
    }

    std::optional<Outcome> outcome() const {
        heartwire_outcome_info info{};
        info.size = sizeof info;
        if (heartwire_event_outcome(event_, &info) != HEARTWIRE_OK) return std::nullopt;
        return Outcome{info.first, info.last, static_cast<Fate>(info.fate), static_cast<Level>(info.level),
                       static_cast<DropReason>(info.dropped)};
    }

    /* A part of a message. */
    std::optional<Fragment> fragment() const noexcept {
        const heartwire_fragment_place place = heartwire_event_fragment_place(event_);
        const std::int64_t offset = heartwire_event_fragment_offset(event_);
        if (offset < 0) return std::nullopt;
        return detail::fragment(data(), static_cast<Kind>(heartwire_event_message_kind(event_)),
                                static_cast<std::uint64_t>(offset), place);
    }

    State state() const noexcept { return static_cast<State>(heartwire_event_state(event_)); }
    Phase phase() const noexcept { return static_cast<Phase>(heartwire_event_phase(event_)); }
    End end() const noexcept { return static_cast<End>(heartwire_event_end(event_)); }

    /* The C object, for functions of heartwire.h. */
    const heartwire_event *get() const noexcept { return event_; }

private:
    const heartwire_event *event_;
};

/* An event that next_event() gave; frees it. */
class Event {
public:
    /* Takes over what heartwire_next_event() gave. */
    explicit Event(heartwire_event *event) noexcept : event_(event) {}

    EventView view() const noexcept { return EventView(event_.get()); }

    EventKind kind() const noexcept { return view().kind(); }
    std::string_view data() const noexcept { return view().data(); }
    bool is_text() const noexcept { return view().is_text(); }
    bool is_binary() const noexcept { return view().is_binary(); }
    std::string_view text() const noexcept { return view().text(); }
    std::optional<LinkError> error() const { return view().error(); }
    std::string_view refusal_body() const noexcept { return view().refusal_body(); }
    std::optional<std::string> header(const std::string &name) const { return view().header(name); }
    std::uint32_t attempt() const noexcept { return view().attempt(); }
    std::string_view url() const noexcept { return view().url(); }
    std::int32_t url_index() const noexcept { return view().url_index(); }
    std::vector<std::string_view> redirects() const { return view().redirects(); }
    RedirectFault redirect_fault() const noexcept { return view().redirect_fault(); }
    bool is_first() const noexcept { return view().is_first(); }
    std::string_view subprotocol() const noexcept { return view().subprotocol(); }
    std::string_view peer_certificate() const noexcept { return view().peer_certificate(); }
    std::uint16_t code() const noexcept { return view().code(); }
    std::string_view reason() const noexcept { return view().reason(); }
    bool is_clean() const noexcept { return view().is_clean(); }
    Initiator initiator() const noexcept { return view().initiator(); }
    std::optional<std::chrono::milliseconds> retry_after() const { return view().retry_after(); }
    std::optional<std::chrono::microseconds> round_trip() const { return view().round_trip(); }
    std::optional<Outcome> outcome() const { return view().outcome(); }
    std::optional<Fragment> fragment() const noexcept { return view().fragment(); }
    State state() const noexcept { return view().state(); }
    Phase phase() const noexcept { return view().phase(); }
    End end() const noexcept { return view().end(); }

private:
    struct Free {
        void operator()(heartwire_event *event) const noexcept { heartwire_event_free(event); }
    };

    std::unique_ptr<heartwire_event, Free> event_;
};

/* An attempt that is about to be made, for a BeforeConnectHandler to look at and to change, during that call only. */
class Attempt {
public:
    explicit Attempt(heartwire_attempt *attempt) noexcept : attempt_(attempt) {}

    /* Which attempt in a row it is, from 1. */
    std::uint32_t number() const noexcept { return heartwire_attempt_number(attempt_); }

    /* The URL to connect to, whole; until this is asked again. */
    std::string_view url() const noexcept { return detail::view(heartwire_attempt_url(attempt_)); }

    /* Why the attempt or the session before failed; nothing ahead of the very first attempt. */
    std::optional<LinkError> last_error() const {
        heartwire_error_info info{};
        info.size = sizeof info;
        if (heartwire_attempt_error(attempt_, &info) != HEARTWIRE_OK) return std::nullopt;
        return detail::link_error(info);
    }

    Result<void> set_url(const std::string &url) {
        if (detail::has_nul(url)) return detail::nul();
        return detail::done(heartwire_attempt_set_url(attempt_, url.c_str()));
    }
    Result<void> set_header(const std::string &name, const std::string &value) {
        if (detail::has_nul(name) || detail::has_nul(value)) return detail::nul();
        return detail::done(heartwire_attempt_set_header(attempt_, name.c_str(), value.c_str()));
    }
    Result<void> remove_header(const std::string &name) {
        if (detail::has_nul(name)) return detail::nul();
        return detail::done(heartwire_attempt_remove_header(attempt_, name.c_str()));
    }
    Result<void> add_subprotocol(const std::string &name) {
        if (detail::has_nul(name)) return detail::nul();
        return detail::done(heartwire_attempt_add_subprotocol(attempt_, name.c_str()));
    }
    Result<void> clear_subprotocols() { return detail::done(heartwire_attempt_clear_subprotocols(attempt_)); }
    Result<void> add_greeting(std::string_view data, Kind kind = Kind::text) {
        return detail::done(heartwire_attempt_add_greeting(attempt_, detail::address(data), data.size(),
                                                           static_cast<heartwire_message_kind>(kind)));
    }
    Result<void> clear_greetings() { return detail::done(heartwire_attempt_clear_greetings(attempt_)); }

    /* Puts the attempt off, as prepared. */
    Result<void> set_delay(std::chrono::milliseconds delay) {
        return detail::done(heartwire_attempt_set_delay(attempt_, detail::wait_ms(delay)));
    }

    /* Lets the attempt fail; the next one comes after the usual delay. */
    Result<void> fail() { return detail::done(heartwire_attempt_fail(attempt_)); }

    /* Ends the client. */
    Result<void> stop() { return detail::done(heartwire_attempt_stop(attempt_)); }

    /* The C object, for functions of heartwire.h. */
    heartwire_attempt *get() const noexcept { return attempt_; }

private:
    heartwire_attempt *attempt_;
};

using EventHandler = std::function<void(ClientRef, EventView)>;
using MessageHandler = std::function<void(ClientRef, std::string_view, Kind)>;
using FragmentHandler = std::function<void(ClientRef, const Fragment &)>;
/* Answers how long to wait after so many failures in a row; if it throws, 30 s. */
using DelayHandler = std::function<std::chrono::milliseconds(ClientRef, std::uint32_t failures)>;
/* Makes a greeting; nothing is sent if it gives none, or throws. */
using GreetingHandler = std::function<std::optional<std::string>(ClientRef, std::uint32_t attempt)>;
/* Prepares an attempt, on a thread of the library's where it may take its time; if it throws, the attempt fails. */
using BeforeConnectHandler = std::function<void(ClientRef, Attempt)>;
/* Makes a connected stream socket, which is the library's then, on a thread of the library's where it may block; -1 or
 * below, as heartwire_dial_fn says, or an exception fails the attempt. */
using DialHandler = std::function<int(ClientRef, std::string_view host, std::uint16_t port)>;
/* Gets the library's log lines, on any thread, perhaps on several at once. */
using LogHandler = detail::LogHandler;
/* Gets what a callback has thrown, on the thread of that callback. */
using ExceptionHook = detail::ExceptionHook;
/* Runs on a thread of the library's own. */
using ThreadHook = detail::ThreadHook;

/*
 * A message that is handed over in pieces, so that it never lies in memory as a whole. What is sent after it was begun
 * waits until it is finished. Destroyed before that, it is given up: if a part of it has gone out, the session is
 * closed with 1001 and the client connects again. One thread at a time; heartwire_stream_begin() tells more.
 */
class MessageStream {
public:
    /* No message. */
    MessageStream() noexcept = default;

    /* Takes over what heartwire_stream_begin() made. */
    MessageStream(heartwire_stream stream, MessageId id) noexcept : stream_(stream), id_(id) {}

    MessageStream(MessageStream &&other) noexcept
        : stream_(std::exchange(other.stream_, heartwire_stream{0})), id_(other.id_) {}

    MessageStream &operator=(MessageStream &&other) noexcept {
        if (this != &other) {
            abort().ignore();
            stream_ = std::exchange(other.stream_, heartwire_stream{0});
            id_ = other.id_;
        }
        return *this;
    }

    MessageStream(const MessageStream &) = delete;
    MessageStream &operator=(const MessageStream &) = delete;

    ~MessageStream() { abort().ignore(); }

    /* The message's number, with which its outcome will be told. */
    MessageId id() const noexcept { return id_; }

    /*
     * Appends a piece, waits for room up to the timeout, 0 not at all, and tells how many bytes were taken: less than
     * all if the time was up, or this thread may not wait.
     */
    Result<std::size_t> append(std::string_view piece, std::chrono::milliseconds timeout) {
        return append(piece.data(), piece.size(), timeout);
    }

    Result<std::size_t> append(const void *piece, std::size_t len, std::chrono::milliseconds timeout) {
        std::size_t taken = 0;
        const heartwire_status status =
            heartwire_stream_append(stream_, piece ? piece : "", len, detail::wait_ms(timeout), &taken);
        if (status != HEARTWIRE_OK) return detail::failure(status);
        return taken;
    }

    /* Ends the message, which goes out with what was appended; it is done with then, also if that fails. */
    Result<void> finish() { return given_back(heartwire_stream_finish(stream_)); }

    /* Gives the message up, as its destruction does. */
    Result<void> abort() {
        if (stream_.id == 0) return {};
        return given_back(heartwire_stream_abort(stream_));
    }

private:
    Result<void> given_back(heartwire_status status) {
        if (status != HEARTWIRE_ERR_BUSY) stream_ = heartwire_stream{0};
        return detail::done(status);
    }

    heartwire_stream stream_{0};
    MessageId id_ = 0;
};

/*
 * A client that belongs to someone else: a number to copy, to compare and to keep. All its calls are legal on every
 * thread and in every callback, and answer Status::handle when the client is no more.
 */
class ClientRef {
public:
    ClientRef() noexcept : client_{0} {}
    explicit ClientRef(heartwire_client client) noexcept : client_(client) {}

    bool is_valid() const noexcept { return heartwire_is_valid(client_); }

    /* Connects, and stays connected from then on; returns at once. */
    Result<void> connect() { return detail::done(heartwire_connect(client_)); }

    /* Connects, and sends this once, on the first open, after the greetings. */
    Result<void> connect_with(std::string_view first, Kind kind = Kind::text) {
        return detail::done(heartwire_connect_with(client_, detail::address(first), first.size(),
                                                   static_cast<heartwire_message_kind>(kind)));
    }

    /* Connects over this connected stream socket, for one session; it is the library's if this is done. */
    Result<void> connect_over(int fd) { return detail::done(heartwire_connect_over(client_, fd)); }

    Result<void> wait_open(std::chrono::milliseconds timeout) {
        return detail::done(heartwire_wait_open(client_, detail::wait_ms(timeout)));
    }

    Result<void> wait_closed(std::chrono::milliseconds timeout) {
        return detail::done(heartwire_wait_closed(client_, detail::wait_ms(timeout)));
    }

    /* Closes for good; begins and returns at once. */
    Result<void> close(std::uint16_t code = 1000, const std::string &reason = std::string()) {
        if (detail::has_nul(reason)) return detail::nul();
        return detail::done(heartwire_close(client_, code, reason.c_str()));
    }

    Result<void> reconnect_now() { return detail::done(heartwire_reconnect_now(client_)); }
    Result<void> pause_reading() { return detail::done(heartwire_pause_reading(client_)); }
    Result<void> resume_reading() { return detail::done(heartwire_resume_reading(client_)); }

    /* Sends a text; it never waits for the network, unless the outbox is full and set to block. */
    Result<MessageId> send_text(std::string_view text) {
        MessageId id = 0;
        return sent(heartwire_send_text(client_, detail::address(text), text.size(), &id), id);
    }

    Result<MessageId> send_binary(std::string_view bytes) { return send_binary(bytes.data(), bytes.size()); }

    Result<MessageId> send_binary(const void *bytes, std::size_t len) {
        MessageId id = 0;
        return sent(heartwire_send_binary(client_, bytes ? bytes : "", len, &id), id);
    }

    /* Sends a message with settings of its own. */
    Result<MessageId> send(std::string_view bytes, const SendOptions &options) {
        if (options.time_to_live.count() < 0) return Failure{Status::argument, "the time to live is below zero"};
        heartwire_send_options c{};
        c.size = sizeof c;
        c.kind = static_cast<heartwire_message_kind>(options.kind);
        c.time_to_live_ms = detail::wait_ms(options.time_to_live);
        MessageId id = 0;
        return sent(heartwire_send(client_, detail::address(bytes), bytes.size(), &c, &id), id);
    }

    /* Begins a message that is handed over in pieces. It does not keep the client alive. */
    Result<MessageStream> stream(Kind kind) {
        heartwire_stream stream{0};
        MessageId id = 0;
        const heartwire_status status =
            heartwire_stream_begin(client_, static_cast<heartwire_message_kind>(kind), &stream, &id);
        if (status != HEARTWIRE_OK) return detail::failure(status);
        return MessageStream(stream, id);
    }

    Result<void> ping(std::string_view payload = std::string_view()) {
        return detail::done(heartwire_ping(client_, detail::address(payload), payload.size()));
    }

    /* Waits until every message accepted before has reached the level, or was dropped. */
    Result<void> flush(std::chrono::milliseconds timeout, Level level = Level::written) {
        return detail::done(
            heartwire_flush(client_, static_cast<heartwire_level>(level), detail::wait_ms(timeout)));
    }

    State state() const noexcept { return static_cast<State>(heartwire_state(client_)); }
    ReadyState ready_state() const noexcept { return static_cast<ReadyState>(heartwire_ready_state(client_)); }
    std::size_t buffered_amount() const noexcept { return heartwire_buffered_amount(client_); }

    Result<Stats> stats() const {
        heartwire_stats_info info{};
        info.size = sizeof info;
        const heartwire_status status = heartwire_stats(client_, &info);
        if (status != HEARTWIRE_OK) return detail::failure(status);
        return Stats{info.accepted,
                     info.messages_sent,
                     info.bytes_sent,
                     info.messages_received,
                     info.bytes_received,
                     info.queued_messages,
                     info.queued_bytes,
                     info.expired,
                     info.evicted,
                     info.dropped_on_close,
                     info.unknown,
                     info.events_discarded,
                     info.sessions,
                     info.attempts,
                     detail::microseconds(info.last_rtt_us),
                     detail::microseconds(info.smoothed_rtt_us),
                     detail::milliseconds(info.since_received_ms),
                     info.interrupted};
    }

    /* What is the matter with the client, to paste into a bug report: where it stands and why, when the next attempt is
     * due, settings, counters and the last transitions; without secrets. Empty once the client was destroyed. */
    std::string explain() const {
        std::string text(HEARTWIRE_EXPLAIN_SIZE, '\0');
        std::size_t len = text.size();
        text.resize(heartwire_explain(client_, &text[0], &len) == HEARTWIRE_OK ? len : 0);
        return text;
    }

    /* A header of the answer with which the last session opened. */
    std::optional<std::string> response_header(const std::string &name) const {
        return detail::header([this, &name](char *buf, std::size_t *len) {
            return heartwire_response_header(client_, name.c_str(), buf, len);
        });
    }

    /* The certificate that the server showed as its own when the last session opened, in DER; nothing without TLS. */
    std::optional<std::string> peer_certificate() const {
        return detail::header([this](char *buf, std::size_t *len) {
            return heartwire_peer_certificate(client_, reinterpret_cast<std::uint8_t *>(buf), len);
        });
    }

    /* Waits for the next event. Status::closed after the very last one. Excludes callbacks. */
    Result<Event> next_event() { return take(-1); }

    /* Waits so long for the next event, 0 not at all; Status::timeout if none came. */
    Result<Event> next_event(std::chrono::milliseconds timeout) { return take(detail::poll_ms(timeout)); }

    /* A descriptor that is readable while next_event() has something to give. It stays the client's. */
    Result<int> events_fd() {
        int fd = -1;
        const heartwire_status status = heartwire_events_fd(client_, &fd);
        if (status != HEARTWIRE_OK) return detail::failure(status);
        return fd;
    }

    /* Each registers one more callback; before connect(), so that nothing is missed. Excludes next_event(). */
    Result<Listener> on_message(MessageHandler handler) {
        return listen(heartwire_on_message, &call_message, std::move(handler));
    }
    /* For messages that are longer than Options::fragments_above(). */
    Result<Listener> on_fragment(FragmentHandler handler) {
        return listen(heartwire_on_fragment, &call_fragment, std::move(handler));
    }
    Result<Listener> on_open(EventHandler handler) { return listen(heartwire_on_open, std::move(handler)); }
    Result<Listener> on_close(EventHandler handler) { return listen(heartwire_on_close, std::move(handler)); }
    Result<Listener> on_connect_failed(EventHandler handler) {
        return listen(heartwire_on_connect_failed, std::move(handler));
    }
    Result<Listener> on_error(EventHandler handler) { return listen(heartwire_on_error, std::move(handler)); }
    Result<Listener> on_state(EventHandler handler) { return listen(heartwire_on_state, std::move(handler)); }
    Result<Listener> on_heartbeat(EventHandler handler) {
        return listen(heartwire_on_heartbeat, std::move(handler));
    }
    Result<Listener> on_writable(EventHandler handler) { return listen(heartwire_on_writable, std::move(handler)); }
    Result<Listener> on_outcome(EventHandler handler) { return listen(heartwire_on_outcome, std::move(handler)); }
    Result<Listener> on_closed_for_good(EventHandler handler) {
        return listen(heartwire_on_closed_for_good, std::move(handler));
    }

    Result<void> remove_listener(Listener listener) {
        return detail::done(heartwire_remove_listener(client_, static_cast<std::uint64_t>(listener)));
    }

    /* The C handle, for functions of heartwire.h. */
    heartwire_client get() const noexcept { return client_; }

    friend bool operator==(ClientRef a, ClientRef b) noexcept { return a.client_.id == b.client_.id; }
    friend bool operator!=(ClientRef a, ClientRef b) noexcept { return !(a == b); }

protected:
    heartwire_client client_;

private:
    static Result<MessageId> sent(heartwire_status status, const MessageId &id) {
        if (status != HEARTWIRE_OK) return detail::failure(status);
        return id;
    }

    Result<Event> take(std::int32_t timeout_ms) {
        heartwire_event *event = nullptr;
        const heartwire_status status = heartwire_next_event(client_, timeout_ms, &event);
        if (status != HEARTWIRE_OK) return detail::failure(status);
        return Event(event);
    }

    template <typename Register>
    Result<Listener> listen(Register enter, EventHandler handler) {
        return listen(enter, &call_event, std::move(handler));
    }

    template <typename Register, typename Call, typename Handler>
    Result<Listener> listen(Register enter, Call call, Handler handler) {
        if (!handler) return Failure{Status::argument, "the callback is empty"};
        auto kept = std::make_unique<Handler>(std::move(handler));
        std::uint64_t listener = 0;
        const heartwire_status status =
            enter(client_, call, kept.get(), &detail::free_function<Handler>, &listener);
        if (status != HEARTWIRE_OK) return detail::failure(status);
        // From here on it is the library's; it may be freed already.
        static_cast<void>(kept.release());
        return static_cast<Listener>(listener);
    }

    static void call_event(heartwire_client client, const heartwire_event *event, void *user_data) {
        detail::guard(client, [&] {
            (*static_cast<EventHandler *>(user_data))(ClientRef(client), EventView(event));
        });
    }

    static void call_message(heartwire_client client, const void *data, std::size_t len, heartwire_message_kind kind,
                             void *user_data) {
        detail::guard(client, [&] {
            (*static_cast<MessageHandler *>(user_data))(
                ClientRef(client), std::string_view(static_cast<const char *>(data), len), static_cast<Kind>(kind));
        });
    }

    static void call_fragment(heartwire_client client, const void *data, std::size_t len, heartwire_message_kind kind,
                              std::uint64_t offset, heartwire_fragment_place place, void *user_data) {
        detail::guard(client, [&] {
            const std::string_view bytes(static_cast<const char *>(data), len);
            const Fragment fragment = detail::fragment(bytes, static_cast<Kind>(kind), offset, place);
            (*static_cast<FragmentHandler *>(user_data))(ClientRef(client), fragment);
        });
    }
};

/*
 * An event loop that clients share, instead of a thread each. heartwire_loop says how it can be turned: by a thread of
 * the library's, by the program, or by the calls that wait.
 *
 *     heartwire::EventLoop loop;
 *     heartwire::Client client(url, heartwire::Options().loop(loop));
 *     client.connect().value();
 *     while (running) loop.turn(16ms).value();
 *
 * It can be moved, not copied. It has to outlive its clients; a destructor that finds it in use leaves it as it is, for
 * good. free() tells.
 */
class EventLoop {
public:
#if HEARTWIRE_HAS_EXCEPTIONS
    /* Makes a loop as create() does; throws Error if that fails. */
    EventLoop() : EventLoop(create().value()) {}
#endif

    /* Takes over what heartwire_loop_new() made. */
    explicit EventLoop(heartwire_loop *loop) noexcept : loop_(loop) {}

    /* Makes a loop without clients, which nobody turns yet. */
    static Result<EventLoop> create() {
        EventLoop made(heartwire_loop_new());
        if (!made.loop_) return detail::failure(HEARTWIRE_ERR_SYSTEM);
        return made;
    }

    /* Gives it a thread of the library's. */
    Result<void> start() { return detail::done(heartwire_loop_start(get())); }

    /* Waits for something to do, for as long as it takes, and does it. */
    Result<void> turn() { return detail::done(heartwire_loop_turn(get(), -1)); }

    /* Waits for something to do, so long at most, 0 not at all, and does it. */
    Result<void> turn(std::chrono::milliseconds timeout) {
        return detail::done(heartwire_loop_turn(get(), detail::poll_ms(timeout)));
    }

    /* A descriptor that is readable while turn() has something to do; -1 where there is none. It stays the loop's. */
    int fd() const noexcept { return heartwire_loop_fd(get()); }

    /* How long turn() may be put off while the descriptor is not readable; nothing if for ever. */
    std::optional<std::chrono::milliseconds> next_timeout() const {
        return detail::milliseconds(heartwire_loop_next_timeout_ms(get()));
    }

    /* Makes a turn() that waits return, or else the next one. */
    Result<void> wake() { return detail::done(heartwire_loop_wake(get())); }

    /* Frees it now; Status::busy while it has clients, or is turned. Again, it does nothing. */
    Result<void> free() {
        const heartwire_status status = heartwire_loop_free(get());
        if (status != HEARTWIRE_OK) return detail::failure(status);
        static_cast<void>(loop_.release());
        return {};
    }

    /* The C object, for functions of heartwire.h. */
    heartwire_loop *get() const noexcept { return loop_.get(); }

private:
    struct Free {
        void operator()(heartwire_loop *loop) const noexcept { static_cast<void>(heartwire_loop_free(loop)); }
    };

    std::unique_ptr<heartwire_loop, Free> loop_;
};

/*
 * The settings of clients to be created; heartwire.h says what each does, and its default.
 *
 *     heartwire::Options options;
 *     options.header("Authorization", "Bearer abc").heartbeat_text("ping").heartbeat_reply("pong");
 *     auto client = heartwire::Client::create(url, options);
 *
 * A setter that fails changes nothing; the first failure is kept, and create() answers it. check() tells it earlier.
 */
class Options {
public:
    Options() : options_(heartwire_options_new()) {
        if (!options_) failure_ = detail::failure(HEARTWIRE_ERR_PANIC);
    }

    /* The first failure of a setter, if any. */
    Result<void> check() const {
        if (failure_) return *failure_;
        return {};
    }

    Options &name(const std::string &name) { return text(heartwire_options_set_name, name); }
    Options &header(const std::string &name, const std::string &value) {
        if (detail::has_nul(name) || detail::has_nul(value)) return keep(detail::nul());
        return keep(heartwire_options_add_header(get(), name.c_str(), value.c_str()));
    }
    Options &origin(const std::string &origin) { return text(heartwire_options_set_origin, origin); }
    Options &user_agent(const std::string &agent) { return text(heartwire_options_set_user_agent, agent); }
    Options &subprotocol(const std::string &name) { return text(heartwire_options_add_subprotocol, name); }
    /* "http://user:password@host:3128", "https://…", "socks5://…" or "socks5h://…". */
    Options &proxy(const std::string &url) {
        if (detail::has_nul(url)) return keep(detail::nul());
        return keep(heartwire_options_set_proxy(get(), url.c_str(), nullptr, nullptr));
    }
    Options &proxy(const std::string &url, const std::string &user, const std::string &password) {
        if (detail::has_nul(url) || detail::has_nul(user) || detail::has_nul(password)) return keep(detail::nul());
        return keep(heartwire_options_set_proxy(get(), url.c_str(), user.c_str(), password.c_str()));
    }
    Options &proxy_from_environment() { return keep(heartwire_options_set_proxy_from_environment(get())); }
    /* TLS with an https:// proxy, as the TLS settings of `tls` say. */
    Options &proxy_tls(const Options &tls) { return keep(heartwire_options_set_proxy_tls(get(), tls.get())); }
    Options &local_address(const std::string &address) {
        return text(heartwire_options_set_local_address, address);
    }
    /* TCP's own probes, in whole seconds; off by default. */
    Options &tcp_keepalive(std::chrono::milliseconds idle, std::chrono::milliseconds interval, std::uint32_t count) {
        std::uint32_t idle_ms = 0, interval_ms = 0;
        if (!fits(idle, idle_ms) || !fits(interval, interval_ms)) return *this;
        return keep(heartwire_options_set_tcp_keepalive(get(), idle_ms, interval_ms, count));
    }
    /* The kernel's buffers, in bytes; 0 lets the system choose. */
    Options &tcp_buffers(std::size_t send, std::size_t receive) {
        return keep(heartwire_options_set_tcp_buffers(get(), send, receive));
    }
    Options &network_interface(const std::string &name) { return text(heartwire_options_set_interface, name); }
    Options &ip_version(IpVersion version) {
        return keep(heartwire_options_set_ip_version(get(), static_cast<heartwire_ip_version>(version)));
    }
    /* Connects to the Unix socket at this path, whatever the host of the URL. */
    Options &unix_socket(const std::string &path) { return text(heartwire_options_set_unix_socket, path); }
    /* Asked for a connected stream socket at every attempt, instead of TCP. */
    Options &dial(DialHandler handler) {
        return function(heartwire_options_set_dial, &call_dial, std::move(handler));
    }

    Options &connect_timeout(std::chrono::milliseconds timeout) {
        return time(heartwire_options_set_connect_timeout, timeout);
    }
    Options &resolve_timeout(std::chrono::milliseconds timeout) {
        return time(heartwire_options_set_resolve_timeout, timeout);
    }
    Options &close_timeout(std::chrono::milliseconds timeout) {
        return time(heartwire_options_set_close_timeout, timeout);
    }

    Options &max_message_size(std::size_t bytes) {
        return keep(heartwire_options_set_max_message_size(get(), bytes));
    }
    /* What is longer than this many bytes goes out in several frames of at most this size; 0 is no limit. */
    Options &fragment_size(std::size_t bytes) {
        return keep(heartwire_options_set_fragment_size(get(), bytes));
    }
    /* Longer messages come in parts, to on_fragment() or as EventKind::fragment. */
    Options &fragments_above(std::size_t bytes) {
        return keep(heartwire_options_set_fragments_above(get(), bytes));
    }
    Options &dispatch(Dispatch dispatch) {
        return keep(heartwire_options_set_dispatch(get(), static_cast<heartwire_dispatch>(dispatch)));
    }
    Options &inbound_queue(std::size_t events, std::size_t bytes) {
        return keep(heartwire_options_set_inbound_queue(get(), events, bytes));
    }
    Options &report_outcomes(bool yes = true) { return keep(heartwire_options_set_report_outcomes(get(), yes)); }
    Options &stack_size(std::size_t bytes) { return keep(heartwire_options_set_stack_size(get(), bytes)); }

    /* The event loop of clients to be created; it has to outlive them. */
    Options &loop(const EventLoop &loop) {
        if (!loop.get()) return keep(Failure{Status::argument, "the event loop was moved, or freed"});
        return keep(heartwire_options_set_loop(get(), loop.get()));
    }
    /* Gives each client a loop and a thread of its own: the default. */
    Options &own_loop() { return keep(heartwire_options_set_loop(get(), nullptr)); }

    Options &heartbeat_ping() { return keep(heartwire_options_set_heartbeat_ping(get())); }
    Options &heartbeat_text(const std::string &beat) { return text(heartwire_options_set_heartbeat_text, beat); }
    Options &heartbeat_off() { return keep(heartwire_options_set_heartbeat_off(get())); }
    Options &heartbeat_reply(const std::string &reply) {
        return text(heartwire_options_set_heartbeat_reply, reply);
    }
    Options &heartbeat_reply_prefix(const std::string &prefix) {
        return text(heartwire_options_set_heartbeat_reply_prefix, prefix);
    }
    Options &heartbeat_any_reply() { return keep(heartwire_options_set_heartbeat_any_reply(get())); }
    Options &heartbeat_deliver_replies(bool yes = true) {
        return keep(heartwire_options_set_heartbeat_deliver_replies(get(), yes));
    }
    Options &heartbeat_after_silence(std::chrono::milliseconds silence) {
        return time(heartwire_options_set_heartbeat_after_silence, silence);
    }
    Options &heartbeat_every(std::chrono::milliseconds pace) {
        return time(heartwire_options_set_heartbeat_every, pace);
    }
    Options &heartbeat_reply_only(bool yes = true) {
        return keep(heartwire_options_set_heartbeat_reply_only(get(), yes));
    }
    Options &heartbeat_timeout(std::chrono::milliseconds timeout) {
        return time(heartwire_options_set_heartbeat_timeout, timeout);
    }
    Options &heartbeat_max_missed(std::uint32_t beats) {
        return keep(heartwire_options_set_heartbeat_max_missed(get(), beats));
    }

    Options &reconnect_exponential(std::chrono::milliseconds floor, std::chrono::milliseconds base, double factor,
                                   std::chrono::milliseconds max) {
        std::uint32_t floor_ms = 0, base_ms = 0, max_ms = 0;
        if (!fits(floor, floor_ms) || !fits(base, base_ms) || !fits(max, max_ms)) return *this;
        return keep(heartwire_options_set_reconnect_exponential(get(), floor_ms, base_ms, factor, max_ms));
    }
    Options &reconnect_fixed(std::chrono::milliseconds delay) {
        return time(heartwire_options_set_reconnect_fixed, delay);
    }
    Options &reconnect_delays(const std::vector<std::chrono::milliseconds> &delays) {
        std::vector<std::uint32_t> ms(delays.size());
        for (std::size_t i = 0; i < delays.size(); i++) {
            if (!fits(delays[i], ms[i])) return *this;
        }
        // An empty vector may have no address; zero of them is what is wrong with it.
        const std::uint32_t none = 0;
        return keep(heartwire_options_set_reconnect_delays(get(), ms.empty() ? &none : ms.data(), ms.size()));
    }
    Options &reconnect_custom(DelayHandler handler) {
        return function(heartwire_options_set_reconnect_custom, &call_delay, std::move(handler));
    }
    Options &reconnect_never() { return keep(heartwire_options_set_reconnect_never(get())); }
    Options &reconnect_max_attempts(std::uint32_t attempts) {
        return keep(heartwire_options_set_reconnect_max_attempts(get(), attempts));
    }
    Options &reconnect_give_up_after(std::chrono::milliseconds after) {
        return time(heartwire_options_set_reconnect_give_up_after, after);
    }
    Options &reconnect_stable_after(std::chrono::milliseconds after) {
        return time(heartwire_options_set_reconnect_stable_after, after);
    }
    Options &reconnect_retry_first_connect(bool yes) {
        return keep(heartwire_options_set_reconnect_retry_first_connect(get(), yes));
    }
    Options &reconnect_retry_close_code(std::uint16_t code, bool yes) {
        return keep(heartwire_options_set_reconnect_retry_close_code(get(), code, yes));
    }
    Options &reconnect_retry_status(std::uint16_t status, bool yes) {
        return keep(heartwire_options_set_reconnect_retry_status(get(), status, yes));
    }
    Options &reconnect_retry_tls(bool yes) { return keep(heartwire_options_set_reconnect_retry_tls(get(), yes)); }
    Options &reconnect_retry_network(bool yes) {
        return keep(heartwire_options_set_reconnect_retry_network(get(), yes));
    }

    Options &outbox(std::size_t messages, std::size_t bytes) {
        return keep(heartwire_options_set_outbox(get(), messages, bytes));
    }
    Options &outbox_reject() {
        return keep(heartwire_options_set_outbox_when_full(get(), HEARTWIRE_WHEN_FULL_REJECT, 0));
    }
    Options &outbox_evict_oldest() {
        return keep(heartwire_options_set_outbox_when_full(get(), HEARTWIRE_WHEN_FULL_EVICT_OLDEST, 0));
    }
    Options &outbox_block(std::chrono::milliseconds timeout) {
        std::uint32_t ms = 0;
        if (!fits(timeout, ms)) return *this;
        return keep(heartwire_options_set_outbox_when_full(get(), HEARTWIRE_WHEN_FULL_BLOCK, ms));
    }
    Options &outbox_time_to_live(std::chrono::milliseconds time_to_live) {
        return time(heartwire_options_set_outbox_time_to_live, time_to_live);
    }

    Options &tls_ca_file(const std::string &path) { return text(heartwire_options_add_tls_ca_file, path); }
    Options &tls_ca_pem(std::string_view pem) {
        return keep(heartwire_options_add_tls_ca_pem(get(), detail::address(pem), pem.size()));
    }
    Options &tls_system_roots(bool yes) { return keep(heartwire_options_set_tls_system_roots(get(), yes)); }
    Options &tls_client_pkcs12(std::string_view archive, const std::string &password) {
        if (detail::has_nul(password)) return keep(detail::nul());
        return keep(heartwire_options_set_tls_client_pkcs12(get(), detail::address(archive), archive.size(),
                                                            password.c_str()));
    }
    Options &tls_client_pem(std::string_view certificates, std::string_view key) {
        return keep(heartwire_options_set_tls_client_pem(get(), detail::address(certificates), certificates.size(),
                                                         detail::address(key), key.size()));
    }
    Options &tls_min_version(TlsVersion version) {
        return keep(heartwire_options_set_tls_min_version(get(), static_cast<heartwire_tls_version>(version)));
    }
    Options &tls_sni(bool yes) { return keep(heartwire_options_set_tls_sni(get(), yes)); }
    /* Only a server with this public key, or one that another pin fits; see heartwire.h for all that this means. */
    Options &tls_pin_public_key(const std::string &sha256) {
        return text(heartwire_options_add_tls_pin_public_key, sha256);
    }
    /* Only a server with this certificate, or one that another pin fits. */
    Options &tls_pin_certificate(const std::string &sha256) {
        return text(heartwire_options_add_tls_pin_certificate, sha256);
    }
    Options &tls_danger_accept_invalid_certificates(bool yes) {
        return keep(heartwire_options_set_tls_danger_accept_invalid_certificates(get(), yes));
    }
    Options &tls_danger_accept_invalid_hostnames(bool yes) {
        return keep(heartwire_options_set_tls_danger_accept_invalid_hostnames(get(), yes));
    }

    Options &deflate(bool yes) { return keep(heartwire_options_set_deflate(get(), yes)); }
    Options &deflate_level(std::uint32_t level) { return keep(heartwire_options_set_deflate_level(get(), level)); }
    Options &deflate_threshold(std::size_t bytes) {
        return keep(heartwire_options_set_deflate_threshold(get(), bytes));
    }
    Options &deflate_no_context_takeover(bool server, bool client) {
        return keep(heartwire_options_set_deflate_no_context_takeover(get(), server, client));
    }
    Options &deflate_max_window_bits(std::uint8_t server, std::uint8_t client) {
        return keep(heartwire_options_set_deflate_max_window_bits(get(), server, client));
    }

    /* A message that is sent first on every open. */
    Options &greeting(std::string_view data, Kind kind = Kind::text) {
        return keep(heartwire_options_add_greeting(get(), detail::address(data), data.size(),
                                                   static_cast<heartwire_message_kind>(kind)));
    }
    /* A text that is made anew for every open. */
    Options &greeting_callback(GreetingHandler handler) {
        return function(heartwire_options_add_greeting_callback, &call_greeting, std::move(handler));
    }

    /* A further URL of the same service; they take turns after a failure. */
    Options &add_url(const std::string &url) { return text(heartwire_options_add_url, url); }
    Options &url_penalty(std::chrono::milliseconds penalty) {
        return time(heartwire_options_set_url_penalty, penalty);
    }
    /* Whether the cookies that servers set are kept and sent back. */
    Options &cookies(bool keep_them) { return keep(heartwire_options_set_cookies(get(), keep_them)); }

    /* How many redirects an attempt follows; 0 for none. */
    Options &redirects(std::uint32_t most) { return keep(heartwire_options_set_redirects(get(), most)); }
    /* Asked ahead of every attempt, which it may change: a fresh token. */
    Options &before_connect(BeforeConnectHandler handler) {
        return function(heartwire_options_set_before_connect, &call_before_connect, std::move(handler));
    }

    /* The C object, for functions of heartwire.h. */
    heartwire_options *get() const noexcept { return options_.get(); }

private:
    Options &keep(heartwire_status status) {
        if (status != HEARTWIRE_OK && !failure_) failure_ = detail::failure(status);
        return *this;
    }

    Options &keep(Failure failure) {
        if (!failure_) failure_ = std::move(failure);
        return *this;
    }

    template <typename Set>
    Options &text(Set set, const std::string &text) {
        return detail::has_nul(text) ? keep(detail::nul()) : keep(set(get(), text.c_str()));
    }

    template <typename Set>
    Options &time(Set set, std::chrono::milliseconds time) {
        std::uint32_t ms = 0;
        return fits(time, ms) ? keep(set(get(), ms)) : *this;
    }

    bool fits(std::chrono::milliseconds time, std::uint32_t &ms) {
        const bool yes = time.count() >= 0 && time.count() <= std::int64_t{std::numeric_limits<std::uint32_t>::max()};
        if (yes) {
            ms = static_cast<std::uint32_t>(time.count());
        } else {
            keep(Failure{Status::config, "a length of time is below zero, or more than a week"});
        }
        return yes;
    }

    template <typename Set, typename Call, typename Handler>
    Options &function(Set set, Call call, Handler handler) {
        if (!handler) return keep(Failure{Status::argument, "the callback is empty"});
        auto kept = std::make_unique<Handler>(std::move(handler));
        const heartwire_status status = set(get(), call, kept.get(), &detail::free_function<Handler>);
        if (status == HEARTWIRE_OK) static_cast<void>(kept.release());
        return keep(status);
    }

    static std::uint32_t call_delay(heartwire_client client, std::uint32_t failures, void *user_data) {
        std::uint32_t ms = 30000;
        detail::guard(client, [&] {
            ms = detail::wait_ms((*static_cast<DelayHandler *>(user_data))(ClientRef(client), failures));
        });
        return ms;
    }

    static int call_dial(heartwire_client client, const char *host, std::uint16_t port, void *user_data) {
        int fd = -1;
        detail::guard(client, [&] {
            fd = (*static_cast<DialHandler *>(user_data))(ClientRef(client), detail::view(host), port);
        });
        return fd;
    }

    static void call_before_connect(heartwire_client client, heartwire_attempt *attempt, void *user_data) {
        bool returned = false;
        detail::guard(client, [&] {
            (*static_cast<BeforeConnectHandler *>(user_data))(ClientRef(client), Attempt(attempt));
            returned = true;
        });
        if (!returned) static_cast<void>(heartwire_attempt_fail(attempt));
    }

    static void call_greeting(heartwire_client client, std::uint32_t attempt, heartwire_greeting *greeting,
                              void *user_data) {
        detail::guard(client, [&] {
            const std::optional<std::string> text =
                (*static_cast<GreetingHandler *>(user_data))(ClientRef(client), attempt);
            if (!text) return;
            const heartwire_status status = heartwire_greeting_set(greeting, text->data(), text->size(), HEARTWIRE_TEXT);
            if (status != HEARTWIRE_OK) detail::log(LogLevel::error, heartwire_last_error());
        });
    }

    struct Free {
        void operator()(heartwire_options *options) const noexcept { heartwire_options_free(options); }
    };

    std::unique_ptr<heartwire_options, Free> options_;
    std::optional<Failure> failure_;
};

/* A client that is destroyed with this object. It can be moved, not copied; ref() is what to hand around. */
class Client : public ClientRef {
public:
    /* No client. */
    Client() noexcept = default;

#if HEARTWIRE_HAS_EXCEPTIONS
    /* Creates a client as create() does; throws Error if that fails. */
    explicit Client(const std::string &url) : Client(create(url).value()) {}
    Client(const std::string &url, const Options &options) : Client(create(url, options).value()) {}
#endif

    /* Takes over what heartwire_create() made. */
    explicit Client(heartwire_client client) noexcept : ClientRef(client) {}

    /* Creates a client for this "ws:", "wss:" or "ws+unix:" URL; no thread and no socket before connect(). */
    static Result<Client> create(const std::string &url) {
        if (detail::has_nul(url)) return detail::nul();
        return made(url, nullptr);
    }
    static Result<Client> create(const std::string &url, const Options &options) {
        if (auto checked = options.check(); !checked) return Failure{checked.status(), checked.text()};
        if (detail::has_nul(url)) return detail::nul();
        return made(url, options.get());
    }

    Client(Client &&other) noexcept : ClientRef(other.client_) { other.client_ = heartwire_client{0}; }

    Client &operator=(Client &&other) noexcept {
        if (this != &other) {
            destroy();
            std::swap(client_, other.client_);
        }
        return *this;
    }

    Client(const Client &) = delete;
    Client &operator=(const Client &) = delete;

    ~Client() { destroy(); }

    ClientRef ref() const noexcept { return ClientRef(client_); }

    /* Destroys the client now; outside of callbacks it waits for one that runs. Again, it does nothing. */
    void destroy() noexcept {
        const heartwire_client client = std::exchange(client_, heartwire_client{0});
        if (client.id != 0) heartwire_destroy(client);
    }

    /* Destroys the client without waiting for a callback that runs. */
    void release() noexcept {
        const heartwire_client client = std::exchange(client_, heartwire_client{0});
        if (client.id != 0) heartwire_release(client);
    }

private:
    static Result<Client> made(const std::string &url, const heartwire_options *options) {
        heartwire_client client = HEARTWIRE_CLIENT_INIT;
        const heartwire_status status = heartwire_create(url.c_str(), options, &client);
        if (status != HEARTWIRE_OK) return detail::failure(status);
        return Client(client);
    }
};

/* The version of the library that the program runs with. */
inline std::string_view version() noexcept { return detail::view(heartwire_version()); }

/* What a status means, in words. */
inline std::string_view status_text(Status status) noexcept {
    return detail::view(heartwire_status_text(static_cast<heartwire_status>(status)));
}

/*
 * Hands log lines up to this level to a function, for the whole process; an empty one ends it. Outside of callbacks the
 * one set before runs nowhere any more when this returns. What it throws is lost.
 */
inline Result<void> set_logger(LogLevel level, LogHandler handler) {
    const bool off = !handler || level == LogLevel::off;
    auto other = off ? nullptr : std::make_shared<const LogHandler>(std::move(handler));
    // First the handler, then the C function, which waits for the calls of the one before.
    detail::exchange_log(other);
    const heartwire_status status =
        heartwire_set_logger(static_cast<heartwire_log_level>(level), off ? nullptr : &detail::log_line, nullptr);
    if (status == HEARTWIRE_OK) return {};
    Failure failure = detail::failure(status);
    detail::exchange_log(other);
    return failure;
}

/* Gets, for the whole process, what callbacks throw; an empty function ends it. See the top of this file. */
inline void set_exception_hook(ExceptionHook hook) {
    auto kept = hook ? std::make_shared<const ExceptionHook>(std::move(hook)) : nullptr;
    const std::lock_guard<std::mutex> lock(detail::process().mutex);
    std::swap(detail::process().hook, kept);
}

/* Runs these first and last on each thread that the library starts from now on; either may be empty. They are kept for
 * the rest of the process. What they throw is lost. */
inline Result<void> set_thread_hooks(ThreadHook start, ThreadHook stop) {
    using Pair = std::pair<ThreadHook, ThreadHook>;
    struct Call {
        static void run(const ThreadHook &hook) noexcept {
#if HEARTWIRE_HAS_EXCEPTIONS
            try {
                if (hook) hook();
            } catch (...) {
                detail::log(LogLevel::error, "a thread hook threw an exception");
            }
#else
            if (hook) hook();
#endif
        }
        static void start(void *pair) { run(static_cast<Pair *>(pair)->first); }
        static void stop(void *pair) { run(static_cast<Pair *>(pair)->second); }
    };
    auto pair = std::make_unique<Pair>(std::move(start), std::move(stop));
    Pair *const kept = pair.get();
    {
        const std::lock_guard<std::mutex> lock(detail::process().mutex);
        detail::process().thread_hooks.push_back(std::move(pair));
    }
    return detail::done(heartwire_set_thread_hooks(&Call::start, &Call::stop, kept));
}

#if HEARTWIRE_HAS_EXCEPTIONS
inline void detail::caught(heartwire_client client) noexcept {
    try {
        const std::exception_ptr exception = std::current_exception();
        std::string line = "a callback threw ";
        try {
            throw;
        } catch (const std::exception &known) {
            line += known.what();
        } catch (...) {
            line += "something that is no std::exception";
        }
        log(LogLevel::error, line);
        std::shared_ptr<const ExceptionHook> hook;
        {
            const std::lock_guard<std::mutex> lock(process().mutex);
            hook = process().hook;
        }
        if (hook) {
            (*hook)(ClientRef(client), exception);
            return;
        }
    } catch (...) {
        // No memory for the line, or the hook itself threw: as if there were none.
    }
    heartwire_close(client, 1011, "exception in a callback");
}
#endif

}  // namespace heartwire

#endif  /* HEARTWIRE_HPP */
