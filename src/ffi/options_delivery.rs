//! What completes a message, whether it goes again, and what the program does to one that does.

use std::ffi::c_void;
use std::sync::Arc;

use crate::config::builder::Builder;
use crate::config::delivery::{Delivery, Priority};
use crate::event::Message;
use crate::ffi::greeting::message;
use crate::ffi::guard::{Failure, Result, borrow_mut, bytes, guard};
use crate::ffi::heartwire_client;
use crate::ffi::numbers::{heartwire_level, heartwire_message_kind, level_of, message_kind};
use crate::ffi::options::heartwire_options;
use crate::ffi::status::heartwire_status;
use crate::ffi::user_data::{UserData, heartwire_free_fn};

/// How often a message may arrive, when sessions die under it: one of HEARTWIRE_DELIVERY_…
pub type heartwire_delivery = i32;
/// Only what was not written whole goes again on the next session. What was written and not proven to have arrived ends
/// as HEARTWIRE_FATE_UNKNOWN. The default.
pub const HEARTWIRE_DELIVERY_AT_MOST_ONCE: i32 = 1;
/// What has not reached its level goes again on the next session, in its order, and before all of its priority that
/// waits. The level is HEARTWIRE_LEVEL_PROCESSED, unless HEARTWIRE_LEVEL_ACKED is asked for: that suffices where
/// nothing stands between client and server (no proxy, no load balancer) and the server's program cannot die before it
/// has read what its kernel holds. A copy of the payload is kept until then, and counts against the outbox's limits. Of
/// a message in pieces none is: it goes once at most, whatever is set.
pub const HEARTWIRE_DELIVERY_AT_LEAST_ONCE: i32 = 2;

/// Which messages go first: one of HEARTWIRE_PRIORITY_…
pub type heartwire_priority = i32;
/// In the order of sending. The default.
pub const HEARTWIRE_PRIORITY_NORMAL: i32 = 0;
/// Before all normal messages that wait, in the order of sending among themselves. One that is on its way already, and
/// what is about to be written (64 KiB), is not overtaken, nor is a message in pieces that has begun to go out. While
/// high ones wait, no normal one goes out.
pub const HEARTWIRE_PRIORITY_HIGH: i32 = 1;

pub(super) fn delivery_of(number: heartwire_delivery) -> Result<Delivery> {
    match number {
        HEARTWIRE_DELIVERY_AT_MOST_ONCE => Ok(Delivery::AtMostOnce),
        HEARTWIRE_DELIVERY_AT_LEAST_ONCE => Ok(Delivery::AtLeastOnce),
        other => Err(Failure::unknown("delivery", other)),
    }
}

pub(super) fn priority_of(number: heartwire_priority) -> Result<Priority> {
    match number {
        HEARTWIRE_PRIORITY_NORMAL => Ok(Priority::Normal),
        HEARTWIRE_PRIORITY_HIGH => Ok(Priority::High),
        other => Err(Failure::unknown("priority", other)),
    }
}

/// Where a heartwire_replay_fn puts what is written instead; valid during that call only.
pub struct heartwire_replay {
    instead: Option<Message>,
}

/// Sees a message that is about to be written once more, and may have another payload written by
/// heartwire_replay_replace(), to mark it as a possible duplicate. `number` is 1 for the first repetition, then 2, and
/// so on; `data` is what was written the last time, valid during the call. Called on the thread that turns the event
/// loop, before the session is open; it must not block.
pub type heartwire_replay_fn = Option<
    unsafe extern "C" fn(
        client: heartwire_client,
        id: u64,
        number: u32,
        data: *const c_void,
        len: usize,
        kind: heartwire_message_kind,
        replay: *mut heartwire_replay,
        user_data: *mut c_void,
    ),
>;

type Call = unsafe extern "C" fn(
    heartwire_client,
    u64,
    u32,
    *const c_void,
    usize,
    heartwire_message_kind,
    *mut heartwire_replay,
    *mut c_void,
);

/// The callback of an options object, to be made into a client's own.
#[derive(Clone)]
pub(super) struct OnReplay {
    call: Call,
    user_data: Arc<UserData>,
}

impl OnReplay {
    pub(super) fn apply(&self, builder: Builder, client: heartwire_client) -> Builder {
        let OnReplay { call, user_data } = self.clone();
        builder.on_replay(move |replay| {
            let (id, number) = (replay.id().get(), replay.number());
            let (data, kind) = (replay.message().as_bytes(), message_kind(replay.message().is_text()));
            // What was written stays as it is while the program reads it.
            let mut place = heartwire_replay { instead: None };
            let (start, len) = (data.as_ptr().cast(), data.len());
            // SAFETY: the program gave this function for calls with this pointer; the payload outlives the call.
            unsafe { call(client, id, number, start, len, kind, &mut place, user_data.get()) };
            if let Some(instead) = place.instead {
                replay.replace(instead);
            }
        })
    }
}

/// Sets the level that completes a message, unless heartwire_send_options say otherwise. Default:
/// HEARTWIRE_LEVEL_WRITTEN.
///
/// For HEARTWIRE_LEVEL_ACKED the kernel is asked while something is not acknowledged: after each turn of the loop that
/// did something for the client, and else after a round trip (10 ms if none is known), doubling to 250 ms. For
/// HEARTWIRE_LEVEL_PROCESSED a ping goes after what was written, one for all of it, and the next when its pong is back.
/// Other levels cost nothing.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, or HEARTWIRE_ERR_ARGUMENT, also for an unknown number and HEARTWIRE_LEVEL_NONE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_complete_at(
    options: *mut heartwire_options,
    level: heartwire_level,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        options.complete_at = level_of(level)?;
        Ok(())
    })
}

/// Sets whether messages go again when a session dies under them, unless heartwire_send_options say otherwise. Default:
/// HEARTWIRE_DELIVERY_AT_MOST_ONCE.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, or HEARTWIRE_ERR_ARGUMENT, also for an unknown number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_delivery(
    options: *mut heartwire_options,
    delivery: heartwire_delivery,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        options.delivery = delivery_of(delivery)?;
        Ok(())
    })
}

/// Sets what heartwire_close() waits for, within its deadline, before it says Close: that all messages have reached
/// this level. Default: HEARTWIRE_LEVEL_WRITTEN. A message for which a higher level was asked has to reach that one in
/// any case.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, or HEARTWIRE_ERR_ARGUMENT, also for an unknown number and HEARTWIRE_LEVEL_NONE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_drain_to(
    options: *mut heartwire_options,
    level: heartwire_level,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        options.drain_to = level_of(level)?;
        Ok(())
    })
}

/// Sets what sees, and may change, each message that is about to go again under HEARTWIRE_DELIVERY_AT_LEAST_ONCE. NULL,
/// the default, for none: then it goes as it was.
///
/// A longer payload counts against the outbox's limits, and is taken even if it is above them.
///
/// Clients that are created with these options share `user_data` and may call from several threads at once.
///
/// Ownership: `user_data` is kept until these options and all clients created with them are gone; then
/// `free_user_data`, which may be NULL, gets it; heartwire_destroy() says when. When the call fails nothing was kept.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_on_replay(
    options: *mut heartwire_options,
    call: heartwire_replay_fn,
    user_data: *mut c_void,
    free_user_data: heartwire_free_fn,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        let kept = |call| OnReplay { call, user_data: Arc::new(UserData::new(user_data, free_user_data)) };
        options.on_replay = call.map(kept);
        Ok(())
    })
}

/// Writes this instead, now and at further repetitions, inside a heartwire_replay_fn; the last one counts. It may be
/// longer than the outbox has room for; then nothing more is accepted until there is room again.
///
/// Ownership: the bytes are copied.
/// Threads:   the thread of the callback that got `replay`.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_UTF8 for a text that is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_replay_replace(
    replay: *mut heartwire_replay,
    data: *const c_void,
    len: usize,
    kind: heartwire_message_kind,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for the callback's replay and `len` readable bytes.
        let (replay, data) = unsafe { (borrow_mut("replay", replay)?, bytes("data", data, len)?) };
        replay.instead = Some(message(data, kind)?);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Fate, Level};
    use crate::ffi::numbers;

    #[test]
    fn each_level_is_the_headers_number_both_ways_and_with_both_fates() {
        let all = [Level::Written, Level::Acked, Level::Processed];
        for (number, level) in (1..).zip(all) {
            assert_eq!(level_of(number).unwrap(), level);
            assert_eq!(numbers::level(level), number);
            let completed = (numbers::HEARTWIRE_FATE_COMPLETED, number, numbers::HEARTWIRE_DROPPED_NOT);
            assert_eq!(numbers::fate(Fate::Completed(level)), completed);
            let unknown = (numbers::HEARTWIRE_FATE_UNKNOWN, number, numbers::HEARTWIRE_DROPPED_NOT);
            assert_eq!(numbers::fate(Fate::Unknown(level)), unknown);
        }
        let names = [
            numbers::HEARTWIRE_LEVEL_WRITTEN,
            numbers::HEARTWIRE_LEVEL_ACKED,
            numbers::HEARTWIRE_LEVEL_PROCESSED,
        ];
        assert_eq!(names, [1, 2, 3]);
    }

    #[test]
    fn deliveries_and_priorities_are_the_headers_numbers_and_others_are_refused() {
        assert_eq!(delivery_of(1).unwrap(), Delivery::AtMostOnce);
        assert_eq!(delivery_of(2).unwrap(), Delivery::AtLeastOnce);
        assert_eq!(priority_of(0).unwrap(), Priority::Normal);
        assert_eq!(priority_of(1).unwrap(), Priority::High);
        for (refused, name) in [
            (level_of(0).err(), "level 0"),
            (level_of(4).err(), "level 4"),
            (delivery_of(0).err(), "delivery 0"),
            (delivery_of(3).err(), "delivery 3"),
            (priority_of(2).err(), "priority 2"),
            (priority_of(-1).err(), "priority -1"),
        ] {
            let refused = refused.expect("a number without a name");
            assert_eq!(refused.status, crate::ffi::status::HEARTWIRE_ERR_ARGUMENT);
            assert_eq!(refused.text, format!("{name} is unknown"));
        }
    }
}
