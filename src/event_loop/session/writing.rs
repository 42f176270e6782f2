//! The writing half of a session's turn: what the link and the users want on the wire, in its order.

use std::io;
use std::time::Instant;

use mio::Registry;

use super::{BUDGET, Session};
use crate::entry::Kind;
use crate::event_loop::member::Member;
use crate::link::{Beat, Input, STAND_IN};
use crate::net::stream::Stream;
use crate::net::tap::Direction;
use crate::session::wire::{Flush, Wire};

impl Session {
    /// The pong goes out before the message behind the ping is handed on: its receiver may answer it. If the
    /// wire is out or blocked, the pong waits, and a newer one takes its place (RFC 6455 section 5.5.3).
    pub(super) fn answer_ping(&mut self, member: &mut Member, registry: &Registry, now: Instant) {
        self.write_wanted = true;
        if let Some(mut wire) = member.core.mailbox.take_wire() {
            self.write(&mut wire, member, now);
            self.rewatch(&mut wire, registry);
            // A failure is judged where the stream is read, too; TLS may fail without an event of the socket's.
            let failed = wire.error.is_some();
            self.write_wanted |= self.park(&member.core, wire, !self.no_more_data, None, now) || failed;
        }
    }

    pub(super) fn write(&mut self, wire: &mut Wire<Stream>, member: &mut Member, now: Instant) {
        self.write_wanted = false;
        let mailbox = &member.core.mailbox;
        if let Some(pong) = self.pong.take() {
            wire.owe_pong(&pong);
        }
        if let Some(beat) = self.beat.take() {
            match beat {
                Beat::Ping(payload) => wire.ping(&payload),
                // Between the fragments of a message only control frames may go.
                Beat::Text(_) if wire.is_mid_message() => wire.ping(STAND_IN),
                Beat::Text(text) => wire.prologue(Kind::Text, text.as_bytes()),
            }
            wire.mark_beat();
        }
        if let Some((code, reason)) = self.close.take() {
            self.no_more_data = true;
            self.closing = true;
            wire.close_now(code, &reason);
        }
        let mut budget = BUDGET;
        let flush = loop {
            let more = !self.no_more_data && !self.over && mailbox.load(wire, now);
            let flush = wire.flush();
            budget -= 1;
            if flush != Flush::Done || !more {
                self.write_wanted |= flush == Flush::Paused;
                break flush;
            }
            if budget == 0 {
                self.write_wanted = true;
                break flush;
            }
        };
        if wire.beat_written() {
            let accepted = wire.stream.sent();
            let acknowledged = wire.stream.acknowledged();
            member.link.handle(Input::BeatWritten { accepted, acknowledged }, now);
        }
        if flush == Flush::Done {
            if self.closing {
                self.closing = false;
                member.link.handle(Input::CloseWritten, now);
            }
            if self.draining && mailbox.is_drained(wire) {
                self.draining = false;
                member.link.handle(Input::Drained, now);
            }
        }
        self.write_blocked = flush == Flush::Blocked;
        if self.shut_down && !self.write_blocked {
            match wire.stream.close_write() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.write_blocked = true,
                _ => self.shut_down = false,
            }
        }
        self.needs_writable[0] = self.write_blocked && wire.stream.blocked() == Some(Direction::Write);
    }

    /// Watches for writability while something waits for it, and only then: an idle socket is always writable.
    #[inline]
    pub(super) fn rewatch(&mut self, wire: &mut Wire<Stream>, registry: &Registry) {
        let needed = self.needs_writable.contains(&true);
        if needed == self.write_watched {
            return;
        }
        match Session::watch(&mut wire.stream, registry, self.token, needed) {
            Ok(()) => self.write_watched = needed,
            Err(error) => {
                wire.error.get_or_insert(error);
            }
        }
    }
}
