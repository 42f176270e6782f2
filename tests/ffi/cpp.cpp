/* The promises of heartwire.hpp, against an echoing server, and one with TLS: cpp URL [WSS-URL AUTHORITY.pem]. */

#undef NDEBUG
#include <heartwire.hpp>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <stdexcept>

using namespace std::chrono_literals;

#define CHECK(what)                                                          \
    do {                                                                     \
        if (!(what)) {                                                       \
            std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what); \
            std::exit(1);                                                    \
        }                                                                    \
    } while (0)

static_assert(!std::is_copy_constructible<heartwire::Client>::value, "one owner");
static_assert(std::is_nothrow_move_constructible<heartwire::Client>::value, "moves");
static_assert(std::is_nothrow_move_assignable<heartwire::Client>::value, "moves");
static_assert(std::is_nothrow_move_constructible<heartwire::Event>::value, "moves");
static_assert(!std::is_copy_constructible<heartwire::EventLoop>::value, "one owner");
static_assert(std::is_nothrow_move_constructible<heartwire::EventLoop>::value, "moves");
static_assert(std::is_trivially_copyable<heartwire::ClientRef>::value, "a number");

/* Counts how many of its copies live, inside of what a callback has captured. */
struct Counted {
    explicit Counted(std::atomic<int> &alive) : alive(&alive) { ++*this->alive; }
    Counted(const Counted &other) : alive(other.alive) { ++*alive; }
    Counted &operator=(const Counted &) = delete;
    ~Counted() { --*alive; }
    std::atomic<int> *alive;
};

static void speaks(const std::string &url) {
    std::promise<std::string> answer;
    std::atomic<int> opens{0}, closes{0};
    heartwire::Client client(url);
    client.on_open([&](heartwire::ClientRef, heartwire::EventView event) { opens += event.is_first(); }).value();
    client.on_close([&](heartwire::ClientRef, heartwire::EventView event) { closes += event.code() == 1000; }).value();
    client
        .on_message([&](heartwire::ClientRef self, std::string_view data, heartwire::Kind kind) {
            CHECK(kind == heartwire::Kind::text && self.is_valid());
            answer.set_value(std::string(data));
        })
        .value();
    client.connect().value();
    client.wait_open(10s).value();
    CHECK(client.state() == heartwire::State::open && client.ready_state() == heartwire::ReadyState::open);
    CHECK(client.send_text(std::string_view("hello!", 5)).value() == 1);
    CHECK(answer.get_future().get() == "hello");
    CHECK(client.response_header("X-Test") == std::string("yes"));
    CHECK(!client.response_header("X-Other"));
    CHECK(client.explain().find(": open since ") < client.explain().find('\n'));
    CHECK(client.explain().find("connecting -> open: attempt 1 (") != std::string::npos);
    client.flush(10s).value();
    const heartwire::Stats stats = client.stats().value();
    CHECK(stats.messages_sent == 1 && stats.messages_received == 1 && stats.sessions == 1 && stats.since_received);
    client.close(1000, "done").value();
    client.wait_closed(10s).value();
    CHECK(opens == 1 && closes == 1);
    CHECK(client.send_text("late").status() == heartwire::Status::closed);
    CHECK(client.explain().back() == '\n' && client.explain().find(": closed since ") != std::string::npos);
    CHECK(heartwire::ClientRef(heartwire_client HEARTWIRE_CLIENT_INIT).explain().empty());
}

static void pulls(const std::string &url) {
    heartwire::Options options;
    options.report_outcomes().greeting("login").greeting_callback(
        [](heartwire::ClientRef, std::uint32_t attempt) { return "attempt " + std::to_string(attempt); });
    heartwire::Client client(url, options);
    CHECK(client.events_fd().value() >= 0);
    client.connect_with("first").value();
    client.send("last", heartwire::SendOptions{heartwire::Kind::binary, 5s}).value();
    std::vector<std::string> messages;
    int outcomes = 0, others = 0;
    heartwire::End end = heartwire::End::not_ended;
    while (auto event = client.next_event()) {
        switch (event->kind()) {
        case heartwire::EventKind::open:
            CHECK(event->attempt() == 1 && event->header("x-test") == std::string("yes"));
            break;
        case heartwire::EventKind::message:
            messages.emplace_back(event->data());
            if (event->is_binary()) client.close().value();
            break;
        case heartwire::EventKind::outcome:
            outcomes += event->outcome()->fate == heartwire::Fate::completed;
            break;
        case heartwire::EventKind::close:
            CHECK(event->is_clean() && event->initiator() == heartwire::Initiator::user && !event->retry_after());
            break;
        case heartwire::EventKind::closed_for_good: end = event->end(); break;
        default: others++; break;
        }
    }
    CHECK((messages == std::vector<std::string>{"login", "attempt 1", "first", "last"}));
    CHECK(outcomes >= 1 && others > 0 && end == heartwire::End::closed);
    CHECK(client.next_event(0ms).status() == heartwire::Status::closed);
    CHECK(client.on_open([](heartwire::ClientRef, heartwire::EventView) {}).status() == heartwire::Status::taken);
}

static void parts(const std::string &url) {
    heartwire::Options options;
    options.fragments_above(1000).close_timeout(500ms);
    const std::string message(300000, 'm');
    {
        std::promise<std::string> whole;
        std::string came;
        heartwire::Client client(url, options);
        client
            .on_fragment([&](heartwire::ClientRef, const heartwire::Fragment &part) {
                CHECK(part.kind == heartwire::Kind::binary && part.offset == came.size() && !part.is_aborted);
                CHECK(part.is_first == came.empty());
                came += part.data;
                if (part.is_last) whole.set_value(came);
            })
            .value();
        client.connect().value();
        client.send_binary(message).value();
        CHECK(whole.get_future().get() == message);
    }
    {
        std::promise<std::uint64_t> aborted;
        heartwire::Client client(url, options);
        client
            .on_fragment([&](heartwire::ClientRef self, const heartwire::Fragment &part) {
                if (part.is_aborted) aborted.set_value(part.offset);
                self.close(1000, "enough").ignore();
            })
            .value();
        client.connect().value();
        client.send_binary(message).value();
        const std::uint64_t came = aborted.get_future().get();
        CHECK(came > 0 && came < message.size());
    }
    heartwire::Client client(url, options);
    client.connect().value();
    client.send_binary(message).value();
    std::string came;
    for (bool last = false; !last;) {
        const heartwire::Event event = client.next_event(10s).value();
        const auto part = event.fragment();
        CHECK(part.has_value() == (event.kind() == heartwire::EventKind::fragment));
        if (part) came += part->data;
        last = part && part->is_last;
    }
    CHECK(came == message);
    heartwire::Client whole(url);
    const auto refused = whole.on_fragment([](heartwire::ClientRef, const heartwire::Fragment &) {});
    CHECK(refused.status() == heartwire::Status::config);
}

/* Why the first attempt with these settings fails; nobody listens on the port 1. */
static heartwire::LinkError fails(heartwire::Options &options) {
    options.reconnect_never();
    heartwire::Client client("ws://127.0.0.1:1/", options);
    client.connect().value();
    for (;;) {
        const heartwire::Event event = client.next_event(10s).value();
        if (event.kind() == heartwire::EventKind::connect_failed) {
            auto error = event.error().value();
            error.text = {};
            return error;
        }
    }
}

static void errors_are_results_or_exceptions() {
    auto none = heartwire::Client::create("http://no.websocket/");
    CHECK(!none && none.status() == heartwire::Status::config && !none.text().empty());
    bool thrown = false;
    try {
        heartwire::Client client("http://no.websocket/");
    } catch (const heartwire::Error &error) {
        thrown = error.status() == heartwire::Status::config && none.text() == error.what();
    }
    CHECK(thrown);

    heartwire::Options options;
    options.heartbeat_timeout(-1s).name("fine").connect_timeout(0ms);
    CHECK(options.check().status() == heartwire::Status::config);
    CHECK(heartwire::Client::create("ws://127.0.0.1/", options).text() == options.check().text());
    heartwire::Options nul;
    nul.name(std::string("a\0b", 3));
    CHECK(nul.check().status() == heartwire::Status::argument);
    CHECK(heartwire::Options().proxy("ftp://h").check().status() == heartwire::Status::config);
    CHECK(heartwire::Options().proxy("http://h", "user", "pass\nword").check().status() == heartwire::Status::config);
    heartwire::Options proxied;
    CHECK(proxied.proxy_from_environment().proxy("socks5h://127.0.0.1:1", "user", "pass").check());
    const auto error = fails(proxied);
    CHECK(error.phase == heartwire::Phase::proxy && error.cause == heartwire::Cause::io && error.os_error != 0);
    CHECK(error.proxy_fault == heartwire::ProxyFault::none && error.socks_reply == 0);

    heartwire::ClientRef nobody;
    CHECK(!nobody.is_valid() && nobody.connect().status() == heartwire::Status::handle);
    CHECK(nobody.state() == heartwire::State::none);
    heartwire::Client client("ws://127.0.0.1:1/");
    CHECK(client.on_open(nullptr).status() == heartwire::Status::argument);
    CHECK(client.send_text("\xff").status() == heartwire::Status::utf8);
    CHECK(client.close(1000, std::string("a\0b", 3)).status() == heartwire::Status::argument);
    const heartwire::ClientRef old = client.ref();
    heartwire::Client other = std::move(client);
    CHECK(!client.is_valid() && other.is_valid() && other == old);
    client = std::move(other);
    CHECK(client == old);
    client = heartwire::Client();
    CHECK(!old.is_valid());
}

static void what_callbacks_hold_is_freed_once(const std::string &url) {
    std::atomic<int> alive{0};
    {
        heartwire::Options options;
        options.reconnect_custom([held = Counted(alive)](heartwire::ClientRef, std::uint32_t) { return 1s; });
        heartwire::Client client(url, options);
        CHECK(alive == 1);
        auto on = [held = Counted(alive)](heartwire::ClientRef, heartwire::EventView) {};
        auto listener = client.on_open(on).value();
        client.on_error(on).value();
        CHECK(alive == 4);
        client.remove_listener(listener).value();
        CHECK(alive == 3);
        CHECK(client.remove_listener(listener).status() == heartwire::Status::not_found);
        heartwire::Client pulled(url);
        CHECK(pulled.next_event(0ms).status() == heartwire::Status::timeout);
        CHECK(pulled.on_open(on).status() == heartwire::Status::taken);
        CHECK(alive == 3);
        client.connect().value();
        client.wait_open(10s).value();
    }
    CHECK(alive == 0);
}

/* The logger has a line, the hook the exception; without a hook the client closes with 1011. */
static void exceptions_end_at_the_border(const std::string &url) {
    std::mutex mutex;
    std::string lines;
    heartwire::set_logger(heartwire::LogLevel::error, [&](heartwire::LogLevel, std::string_view line) {
        const std::lock_guard<std::mutex> lock(mutex);
        lines += std::string(line) + "\n";
        throw 7;
    }).value();
    const auto thrower = [](heartwire::ClientRef, std::string_view data, heartwire::Kind) {
        if (data != "go on") throw std::runtime_error("no sense in it");
    };
    {
        heartwire::Client client(url);
        client.on_message(thrower).value();
        client.connect_with("what").value();
        client.wait_closed(10s).value();
        const std::lock_guard<std::mutex> lock(mutex);
        CHECK(lines.find("no sense in it") != std::string::npos);
    }
    std::atomic<int> told{0};
    heartwire::set_exception_hook([&told](heartwire::ClientRef client, std::exception_ptr exception) {
        try {
            std::rethrow_exception(exception);
        } catch (const std::runtime_error &error) {
            told += std::string(error.what()) == "no sense in it" && client.is_valid();
        }
    });
    {
        std::promise<void> went_on;
        heartwire::Client client(url);
        client.on_message(thrower).value();
        client
            .on_message([&went_on](heartwire::ClientRef, std::string_view data, heartwire::Kind) {
                if (data == "go on") went_on.set_value();
            })
            .value();
        client.connect_with("what").value();
        client.send_text("go on").value();
        CHECK(went_on.get_future().wait_for(10s) == std::future_status::ready);
        CHECK(told == 1);
    }
    heartwire::set_exception_hook(nullptr);
    heartwire::set_logger(heartwire::LogLevel::off, nullptr).value();
}

static void a_client_may_end_in_its_own_callback(const std::string &url) {
    std::promise<void> gone;
    auto client = std::make_unique<heartwire::Client>(url);
    std::promise<void> ready;
    client
        ->on_message([&](heartwire::ClientRef self, std::string_view, heartwire::Kind) {
            ready.get_future().wait();
            client.reset();
            if (!self.is_valid()) gone.set_value();
        })
        .value();
    client->connect_with("hello").value();
    ready.set_value();
    CHECK(gone.get_future().wait_for(10s) == std::future_status::ready);
}

/* Turned by this thread: no lock for what callbacks share with it. */
static void a_loop_of_ones_own(const std::string &url) {
    heartwire::EventLoop loop;
    CHECK(loop.fd() >= 0 && !loop.next_timeout());
    std::vector<std::string> heard;
    {
        heartwire::Options options;
        options.loop(loop);
        heartwire::Client one(url, options), two(url, options);
        for (heartwire::Client *client : {&one, &two}) {
            client
                ->on_message([&](heartwire::ClientRef, std::string_view data, heartwire::Kind) {
                    heard.emplace_back(data);
                    CHECK(loop.turn(0ms).status() == heartwire::Status::would_deadlock);
                    CHECK(loop.free().status() == heartwire::Status::busy);
                })
                .value();
            client->connect_with("hello").value();
        }
        CHECK(loop.next_timeout() == 0ms);
        while (heard.size() < 2) loop.turn().value();
        while (loop.next_timeout() == 0ms) loop.turn(0ms).value();
        CHECK(loop.next_timeout() > 0ms); /* the heartbeat */
        loop.wake().value();
        loop.turn(1h).value();
        loop.turn(-1s).value();
        CHECK(loop.free().status() == heartwire::Status::busy && loop.get());
        heartwire::EventLoop moved = std::move(loop);
        CHECK(loop.turn(0ms).status() == heartwire::Status::argument && loop.fd() == -1);
        CHECK(heartwire::Options().loop(loop).check().status() == heartwire::Status::argument);
        loop = std::move(moved);
    }
    heartwire::Options options;
    options.loop(loop);
    loop.free().value();
    loop.free().value();
    CHECK(!loop.get());
    CHECK(heartwire::Client::create(url, options).status() == heartwire::Status::config);
    CHECK(heartwire::Client::create(url, options.own_loop()));
}

/* A thread of the library's; and calls that wait, without any. */
static void loops_that_others_turn(const std::string &url) {
    heartwire::EventLoop started = heartwire::EventLoop::create().value();
    started.start().value();
    CHECK(started.start().status() == heartwire::Status::busy);
    std::promise<std::string> answer;
    heartwire::Client on_thread(url, heartwire::Options().loop(started));
    on_thread
        .on_message([&](heartwire::ClientRef, std::string_view data, heartwire::Kind) {
            answer.set_value(std::string(data));
        })
        .value();
    on_thread.connect_with("hello").value();
    CHECK(answer.get_future().get() == "hello");

    heartwire::EventLoop idle;
    heartwire::Client blocking(url, heartwire::Options().loop(idle));
    blocking.connect_with("again").value();
    std::string heard;
    while (heard.empty()) heard = blocking.next_event(10s).value().data();
    CHECK(heard == "again");
    blocking.close().value();
    blocking.wait_closed(10s).value();
}

/* The program is asked ahead of each attempt, of which the second one is with another URL. */
static void asks_before_it_connects(const std::string &url) {
    std::atomic<int> alive{0};
    heartwire::Options options;
    options.add_url(url).url_penalty(1s).redirects(3).cookies(true).reconnect_fixed(1ms).before_connect(
        [held = Counted(alive), url](heartwire::ClientRef self, heartwire::Attempt attempt) {
            CHECK(self.is_valid() && attempt.number() >= 1);
            CHECK(attempt.set_url("nonsense").status() == heartwire::Status::config);
            attempt.set_header("Authorization", "Bearer abc").value();
            attempt.add_greeting("login").value();
            if (attempt.number() == 1) throw std::runtime_error("no token");
            if (attempt.number() == 2) CHECK(attempt.last_error()->cause == heartwire::Cause::before_connect);
            /* The turn of the other URL comes when this one was tried. */
            CHECK((attempt.url() == url) == (attempt.number() > 2));
        });
    std::atomic<int> thrown{0};
    heartwire::set_exception_hook([&thrown](heartwire::ClientRef, std::exception_ptr) { thrown++; });
    {
        heartwire::Client client("ws://127.0.0.1:1/", options);
        client.connect().value();
        for (;;) {
            const heartwire::Event event = client.next_event(10s).value();
            if (event.kind() == heartwire::EventKind::connect_failed) {
                CHECK((event.error()->phase == heartwire::Phase::prepare) == (event.attempt() == 1));
                CHECK(event.url_index() == 0);
            }
            if (event.kind() != heartwire::EventKind::open) continue;
            CHECK(event.url() == url && event.url_index() == 1 && event.redirects().empty());
            CHECK(event.redirect_fault() == heartwire::RedirectFault::none);
            break;
        }
        std::string heard;
        while (heard.empty()) heard = client.next_event(10s).value().data();
        CHECK(heard == "login" && thrown == 1);
    }
    options = heartwire::Options();
    CHECK(alive == 0);
    heartwire::set_exception_hook(nullptr);
}

/* Streams that the program makes; the settings of sockets, checked one by one. */
static void makes_its_own_streams(const std::string &url) {
    heartwire::Options options;
    options.ip_version(heartwire::IpVersion::v4).tcp_keepalive(60s, 10s, 6).tcp_buffers(1 << 16, 0);
    CHECK(options.check());
    CHECK(heartwire::Options().tcp_keepalive(1500ms, 1s, 1).check().status() == heartwire::Status::config);
    CHECK(heartwire::Options().network_interface("a b").check().status() == heartwire::Status::config);
    CHECK(heartwire::Options().unix_socket("").check().status() == heartwire::Status::config);
    CHECK(heartwire::Client::create(url, options.unix_socket("/x")).status() == heartwire::Status::config);

    heartwire::Client over(url);
    CHECK(over.connect_over(-1).status() == heartwire::Status::argument);

    std::atomic<int> alive{0}, thrown{0};
    heartwire::set_exception_hook([&thrown](heartwire::ClientRef, std::exception_ptr) { thrown++; });
    heartwire::Options dialling;
    dialling.reconnect_fixed(1ms).dial(
        [held = Counted(alive)](heartwire::ClientRef self, std::string_view host, std::uint16_t port) -> int {
            CHECK(self.is_valid() && host == "127.0.0.1" && port == 1);
            throw std::runtime_error("no stream");
        });
    heartwire::Client client("ws://127.0.0.1:1/", dialling);
    dialling = heartwire::Options();
    client.connect().value();
    for (;;) {
        const heartwire::Event event = client.next_event(10s).value();
        if (event.kind() != heartwire::EventKind::connect_failed) continue;
        CHECK(event.error()->phase == heartwire::Phase::connect && event.error()->os_error == 0);
        break;
    }
    client = heartwire::Client();
    CHECK(alive == 0 && thrown >= 1);
    heartwire::set_exception_hook(nullptr);
}

/* A message in pieces belongs to one owner, and is given up with it. */
static void streams(const std::string &url) {
    static_assert(!std::is_copy_constructible<heartwire::MessageStream>::value, "one owner");
    static_assert(std::is_nothrow_move_constructible<heartwire::MessageStream>::value, "moves");
    heartwire::Options options;
    options.fragment_size(1000);
    CHECK(heartwire::Options().fragment_size(1).check().status() == heartwire::Status::config);
    heartwire::Client client(url, options);
    {
        heartwire::MessageStream unused = client.stream(heartwire::Kind::text).value();
        heartwire::MessageStream moved = std::move(unused);
        CHECK(unused.append("x", 0ms).status() == heartwire::Status::handle && moved.id() == 1);
        CHECK(moved.append("nothing of it", 0ms).value() == 13);
        unused = std::move(moved);
        unused.abort().value();
        unused.abort().value();
        CHECK(unused.finish().status() == heartwire::Status::handle);
    }
    CHECK(client.stats().value().interrupted == 1);
    client.connect().value();
    heartwire::MessageStream stream = client.stream(heartwire::Kind::binary).value();
    const std::string piece(100000, 'x');
    std::size_t taken = 0;
    while (taken < 10 * piece.size()) taken += stream.append(piece, 10s).value();
    CHECK(taken == 10 * piece.size());
    stream.finish().value();
    std::string heard;
    while (heard.empty()) heard = client.next_event(10s).value().data();
    CHECK(heard == std::string(taken, 'x'));
    client.close().value();
    client.wait_closed(10s).value();
    CHECK(client.stream(heartwire::Kind::text).status() == heartwire::Status::closed);
}

/* One pin that fits is enough; what fits none is told apart from other failures, with what would have fitted. */
static void pins(const std::string &url, const std::string &authority) {
    const std::string nobodys(64, '0');
    CHECK(heartwire::Options().tls_pin_public_key("server.pem").check().status() == heartwire::Status::config);
    CHECK(heartwire::Options().tls_pin_certificate(nobodys + "00").check().status() == heartwire::Status::config);
    heartwire::Options options;
    options.tls_ca_file(authority).tls_pin_public_key(nobodys).tls_pin_certificate(nobodys);
    std::string right;
    {
        heartwire::Client client(url, options);
        client.connect().value();
        heartwire::Event event = client.next_event(10s).value();
        while (event.kind() != heartwire::EventKind::connect_failed) event = client.next_event(10s).value();
        const auto error = event.error().value();
        CHECK(error.cause == heartwire::Cause::tls && error.tls_fault == heartwire::TlsFault::pin);
        const std::size_t at = error.text.find("sha256//");
        CHECK(at != std::string_view::npos);
        right = std::string(error.text.substr(at, 8 + 44));
    }
    heartwire::Client client(url, options.tls_pin_public_key(right));
    CHECK(!client.peer_certificate());
    client.connect().value();
    heartwire::Event event = client.next_event(10s).value();
    while (event.kind() != heartwire::EventKind::open) event = client.next_event(10s).value();
    CHECK(event.peer_certificate().size() > 300 && event.peer_certificate()[0] == '\x30');
    CHECK(client.peer_certificate() == std::string(event.peer_certificate()));
}

int main(int argc, char **argv) {
    if (argc != 2 && argc != 4) return 2;
    CHECK(heartwire::version() == HEARTWIRE_VERSION);
    CHECK(!heartwire::status_text(heartwire::Status::full).empty());
    std::atomic<int> threads{0};
    heartwire::set_thread_hooks([&threads] { threads++; }, nullptr).value();
    speaks(argv[1]);
    CHECK(threads > 0);
    pulls(argv[1]);
    parts(argv[1]);
    errors_are_results_or_exceptions();
    what_callbacks_hold_is_freed_once(argv[1]);
    exceptions_end_at_the_border(argv[1]);
    a_client_may_end_in_its_own_callback(argv[1]);
    a_loop_of_ones_own(argv[1]);
    loops_that_others_turn(argv[1]);
    asks_before_it_connects(argv[1]);
    makes_its_own_streams(argv[1]);
    streams(argv[1]);
    if (argc == 4) pins(argv[2], argv[3]);
    heartwire::set_thread_hooks(nullptr, nullptr).value();
    return 0;
}
