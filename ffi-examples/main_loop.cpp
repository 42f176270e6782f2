/*
 * Pulls events into the program's own main loop, so that all of its code runs on one thread.
 *
 *     main_loop URL COUNT  main_loop ws://127.0.0.1:9001/ 3
 *
 * The loop here is a small one with timers and descriptors. Where a program has one already, the three lines of
 * Feed::Feed() become: in Qt, a QSocketNotifier on the descriptor, of type Read, whose activated() calls take(); with
 * GLib, g_unix_fd_add(); with libuv, uv_poll_start(); with Asio, posix::stream_descriptor::async_wait().
 *
 * A timer sends a number every 50 ms; the program ends when COUNT answers have come.
 *
 * Shows: events_fd(), next_event(), exceptions as the way to hear of errors. Leaves out: callbacks (chat.cpp), settings,
 * and Windows, where events_fd() does not exist; there, a thread calls next_event() and posts to the loop.
 *
 * Exit status: 0 if all answers came, 1 if not, 2 for wrong arguments.
 */

#include <heartwire.hpp>

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

using namespace std::chrono_literals;

/* Stands for QCoreApplication, GMainLoop and their like. */
class MainLoop {
public:
    using Clock = std::chrono::steady_clock;

    void watch(int fd, std::function<void()> readable) { watches_.push_back({fd, std::move(readable)}); }

    void every(std::chrono::milliseconds pace, std::function<void()> tick) {
        timers_.push_back({Clock::now() + pace, pace, std::move(tick)});
    }

    void quit(int status) {
        status_ = status;
        running_ = false;
    }

    /* Runs until quit(), whose status it returns. */
    int run() {
        while (running_) {
            std::vector<pollfd> fds;
            for (const Watch &watch : watches_) fds.push_back({watch.fd, POLLIN, 0});
            if (poll(fds.data(), fds.size(), wait_ms()) < 0 && errno != EINTR) {
                throw std::system_error(errno, std::generic_category(), "poll");
            }
            for (std::size_t i = 0; i < fds.size() && running_; i++) {
                if (fds[i].revents != 0) watches_[i].readable();
            }
            tick();
        }
        return status_;
    }

private:
    struct Watch {
        int fd;
        std::function<void()> readable;
    };

    struct Timer {
        Clock::time_point due;
        std::chrono::milliseconds pace;
        std::function<void()> tick;
    };

    int wait_ms() const {
        int wait = -1;
        for (const Timer &timer : timers_) {
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(timer.due - Clock::now());
            const int ms = static_cast<int>(std::max<std::int64_t>(left.count(), 0));
            wait = wait < 0 ? ms : std::min(wait, ms);
        }
        return wait;
    }

    void tick() {
        for (std::size_t i = 0; i < timers_.size() && running_; i++) {
            if (timers_[i].due > Clock::now()) continue;
            timers_[i].due += timers_[i].pace;
            timers_[i].tick();
        }
    }

    std::vector<Watch> watches_;
    std::vector<Timer> timers_;
    bool running_ = true;
    int status_ = 0;
};

/* A part of the program that lives on its main loop: no locks, since no other thread ever enters it. */
class Feed {
public:
    Feed(MainLoop &loop, const std::string &url, int count) : loop_(loop), client_(url), count_(count) {
        // The descriptor first: from then on events wait for next_event(), and none is missed.
        loop_.watch(client_.events_fd().value(), [this] { take(); });
        loop_.every(50ms, [this] { send(); });
        client_.connect().value();
    }

private:
    /* Takes all that is there, since the descriptor stays readable until then. */
    void take() {
        while (auto event = client_.next_event(0ms)) show(*event);
    }

    void show(const heartwire::Event &event) {
        switch (event.kind()) {
        case heartwire::EventKind::message:
            std::cout << event.data() << '\n';
            if (++answers_ == count_) client_.close(1000, "done").value();
            break;
        case heartwire::EventKind::open:
        case heartwire::EventKind::close:
        case heartwire::EventKind::connect_failed:
            std::cerr << event.text() << '\n';
            break;
        case heartwire::EventKind::closed_for_good:
            std::cerr << event.text() << '\n';
            loop_.quit(answers_ >= count_ ? 0 : 1);
            break;
        default:
            break;
        }
    }

    void send() {
        if (client_.state() != heartwire::State::open || sent_ == count_) return;
        client_.send_text("number " + std::to_string(++sent_)).value();
    }

    MainLoop &loop_;
    heartwire::Client client_;
    int count_;
    int sent_ = 0;
    int answers_ = 0;
};

int main(int argc, char **argv) {
    const int count = argc == 3 ? std::atoi(argv[2]) : 0;
    if (count < 1) {
        std::cerr << "usage: main_loop URL COUNT\n";
        return 2;
    }
    try {
        MainLoop loop;
        Feed feed(loop, argv[1], count);
        return loop.run();
    } catch (const std::exception &error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}
