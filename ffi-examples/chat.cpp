/*
 * Two users who talk through a relay server, in messages of JSON.
 *
 *     chat URL             chat ws://127.0.0.1:9001/chat      (cargo run --example server prints such a URL)
 *
 * A message has a type, and says from whom it is and for whom: {"type":"say","from":"ann","to":"bob","text":"hello"}.
 * The relay hands it to the user it is for. It knows who is who by the first message of a session,
 * {"type":"login","from":"ann"}, which is a greeting here, so that it goes first again after each reconnect.
 *
 * Shows: lambdas as callbacks, dispatch by the message's name to handlers, results instead of exceptions at the calls,
 * and where an exception from a callback goes (JSON that is none). Leaves out: a program for each user, and what to do
 * about messages that were lost on the way: an answer from the other user is the only proof that one was not.
 *
 * Exit status: 0 if both heard all they should, 1 if not, 2 for wrong arguments.
 */

#include <heartwire.hpp>
#include <nlohmann/json.hpp>

#include <atomic>
#include <functional>
#include <iostream>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

using namespace std::chrono_literals;
using nlohmann::json;

/* Both users speak on threads of their own; lines must not mix. */
static void say_aloud(const std::string &line) {
    static std::mutex mutex;
    const std::lock_guard<std::mutex> lock(mutex);
    std::cout << line << '\n';
}

/* One user: a client, and a handler for each type of message. */
class User {
public:
    using Handler = std::function<void(User &self, const json &message)>;

    User(const std::string &name, const std::string &peer) : name_(name), peer_(peer) {}

    const std::string &name() const { return name_; }

    /* All handlers before start(): afterwards the client's thread reads them. */
    User &on(const std::string &type, Handler handler) {
        handlers_[type] = std::move(handler);
        return *this;
    }

    heartwire::Result<void> start(const std::string &url) {
        heartwire::Options options;
        options.name(name_)
            .greeting(json{{"type", "login"}, {"from", name_}}.dump())
            .heartbeat_after_silence(15s)
            .reconnect_exponential(100ms, 500ms, 2.0, 10s);
        auto client = heartwire::Client::create(url, options);
        if (!client) return heartwire::Failure{client.status(), client.text()};
        client_ = std::move(*client);
        auto heard = client_.on_message([this](heartwire::ClientRef, std::string_view data, heartwire::Kind) {
            hear(json::parse(data));
        });
        if (!heard) return heartwire::Failure{heard.status(), heard.text()};
        return client_.connect();
    }

    /* Legal on every thread, in handlers too. */
    void send(const std::string &type, const std::string &text) {
        const json message{{"type", type}, {"from", name_}, {"to", peer_}, {"text", text}};
        if (auto sent = client_.send_text(message.dump()); !sent) say_aloud(name_ + ": not sent: " + sent.text());
    }

    void leave() { client_.close(1000, "bye").ignore(); }

    bool wait(std::chrono::milliseconds timeout) { return bool(client_.wait_closed(timeout)); }

private:
    void hear(const json &message) {
        const auto handler = handlers_.find(message.at("type").get<std::string>());
        if (handler == handlers_.end()) {
            say_aloud(name_ + " does not understand " + message.dump());
        } else {
            handler->second(*this, message);
        }
    }

    std::string name_;
    std::string peer_;
    std::map<std::string, Handler> handlers_;
    // The last member, so that it is destroyed first: its destructor waits for a callback that runs.
    heartwire::Client client_;
};

static void show(const User &self, const json &message) {
    say_aloud(self.name() + " hears " + message.at("from").get<std::string>() + ": " +
              message.at("text").get<std::string>());
}

static bool talk(const std::string &url) {
    User ann("ann", "bob"), bob("bob", "ann");
    std::atomic<int> heard{0};

    ann.on("welcome", [](User &self, const json &) { self.send("say", "hello, are you there?"); })
        .on("absent", [](User &self, const json &) { say_aloud(self.name() + ": nobody is there"); })
        .on("say",
            [&heard](User &self, const json &message) {
                show(self, message);
                heard++;
                self.send("bye", "see you, \u732b");
            })
        .on("bye", [&heard](User &self, const json &message) {
            show(self, message);
            heard++;
            self.leave();
        });
    bob.on("welcome",
           [&ann, &url, called = false](User &, const json &) mutable {
               // Ann comes when Bob is there; not once more after a reconnect of his.
               if (std::exchange(called, true)) return;
               if (auto started = ann.start(url); !started) say_aloud(started.text());
           })
        .on("say",
            [&heard](User &self, const json &message) {
                show(self, message);
                heard++;
                self.send("say", "I am");
            })
        .on("bye", [&heard](User &self, const json &message) {
            show(self, message);
            heard++;
            self.send("bye", message.at("text"));
            self.leave();
        });

    if (auto started = bob.start(url); !started) {
        std::cerr << started.text() << '\n';
        return false;
    }
    const bool both_left = bob.wait(20s) && ann.wait(20s);
    return both_left && heard == 4;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        std::cerr << "usage: chat URL\n";
        return 2;
    }
    // What a callback throws, such as json::exception, comes here; the client goes on with the next message.
    heartwire::set_exception_hook([](heartwire::ClientRef, std::exception_ptr exception) {
        try {
            std::rethrow_exception(exception);
        } catch (const std::exception &error) {
            say_aloud(std::string("not understood: ") + error.what());
        }
    });
    return talk(argv[1]) ? 0 : 1;
}
