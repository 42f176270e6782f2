/*
 * A game's frame loop with its clients inside: 60 frames a second, one thread, no locks.
 *
 *     frame_loop URL FRAMES  frame_loop ws://127.0.0.1:9001/ 120
 *
 * Two ships move, and each tells the server where it is, ten times a second, by a client of its own; the server has to
 * echo. The program ends after FRAMES frames, when all positions have come back.
 *
 * Shows: a loop of the program's own, whose turns are the waits between the frames: handlers run there, so that what
 * came in is part of the next frame, and no frame is ever held up by the network. Leaves out: a screen, and a server that
 * tells each ship of the other one.
 *
 * Exit status: 0 if all positions came back, 1 if not, 2 for wrong arguments.
 */

#include <heartwire.hpp>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>
#include <string_view>

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr int FRAMES_PER_SECOND = 60;
constexpr auto FRAME = std::chrono::duration_cast<Clock::duration>(1s) / FRAMES_PER_SECOND;
constexpr int FRAMES_BETWEEN_POSITIONS = 6;

/* Drawn and moved by frames, changed by handlers: the same thread, one after the other. */
class Ship {
public:
    Ship(const std::string &name, double speed, const std::string &url, const heartwire::EventLoop &loop)
        : name_(name), speed_(speed), client_(url, heartwire::Options().name(name).loop(loop)) {
        client_.on_open([this](heartwire::ClientRef, heartwire::EventView) { online_ = true; }).value();
        client_.on_close([this](heartwire::ClientRef, heartwire::EventView) { online_ = false; }).value();
        client_.on_message([this](heartwire::ClientRef, std::string_view data, heartwire::Kind) { heard(data); })
            .value();
        client_.connect().value();
    }

    // The handlers hold `this`.
    Ship(const Ship &) = delete;
    Ship &operator=(const Ship &) = delete;

    void move(int frame) {
        x_ += speed_ / FRAMES_PER_SECOND;
        // Nobody wants to know tomorrow where it was today: nothing is queued while the link is down.
        if (!online_ || frame % FRAMES_BETWEEN_POSITIONS != 0) return;
        if (auto sent = client_.send_text(name_ + " " + std::to_string(x_)); sent) sent_++;
    }

    void draw(int frame) const {
        std::printf("frame %d: %s at %.1f, known at %s\n", frame, name_.c_str(), x_, known_.c_str());
    }

    bool all_came_back() const { return sent_ > 0 && came_back_ == sent_; }

    void leave() { client_.close(1000, "game over").ignore(); }
    bool has_left() const { return client_.state() == heartwire::State::closed; }

private:
    void heard(std::string_view data) {
        came_back_++;
        known_ = data.substr(data.find(' ') + 1);
    }

    std::string name_;
    double speed_;
    double x_ = 0;
    bool online_ = false;
    int sent_ = 0;
    int came_back_ = 0;
    std::string known_ = "nowhere";
    // The last member, so that it is destroyed first.
    heartwire::Client client_;
};

/* Turns the loop until then: handlers run as their messages come, and the rest of the time it sleeps. Once at least: a
 * game that is late goes on listening. */
static void wait_until(heartwire::EventLoop &loop, Clock::time_point then) {
    do {
        loop.turn(std::chrono::ceil<std::chrono::milliseconds>(then - Clock::now())).value();
    } while (Clock::now() < then);
}

template <typename Condition>
static bool turn_until(heartwire::EventLoop &loop, Clock::duration timeout, const Condition &condition) {
    const auto end = Clock::now() + timeout;
    while (!condition() && Clock::now() < end) loop.turn(100ms).value();
    return condition();
}

static bool play(const std::string &url, int frames) {
    // Before the ships, since it has to outlive their clients.
    heartwire::EventLoop loop;
    Ship red("red", 20, url, loop), blue("blue", 30, url, loop);

    auto next = Clock::now();
    for (int frame = 1; frame <= frames; frame++) {
        for (Ship *ship : {&red, &blue}) {
            ship->move(frame);
            if (frame % FRAMES_PER_SECOND == 0) ship->draw(frame);
        }
        wait_until(loop, next += FRAME);
    }

    const bool all = turn_until(loop, 5s, [&] { return red.all_came_back() && blue.all_came_back(); });
    red.leave();
    blue.leave();
    return turn_until(loop, 10s, [&] { return red.has_left() && blue.has_left(); }) && all;
}

int main(int argc, char **argv) {
    const int frames = argc == 3 ? std::atoi(argv[2]) : 0;
    if (frames < 1) {
        std::cerr << "usage: frame_loop URL FRAMES\n";
        return 2;
    }
    try {
        return play(argv[1], frames) ? 0 : 1;
    } catch (const std::exception &error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}
