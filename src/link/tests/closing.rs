//! Closes: the user's, the server's, and those that follow a fault.

use super::*;

const CLOSE: Input<'static> = Input::Close { code: 1000, reason: "done" };

#[test]
fn the_users_close_drains_first_then_shakes_hands() {
    let mut bench = Bench::open(rules());
    assert_eq!(bench.after(CLOSE), "closing, drain");
    assert_eq!(bench.after(Input::Drained), "write close 1000");
    assert_eq!(bench.after(Input::Drained), "");
    assert_eq!(bench.after(Input::CloseWritten), "");
    assert_eq!(bench.after(Input::PeerClose { code: 1000, reason: "" }), "shutdown");
    let end = "end, closed, close 1000 clean by User final, the end: closed";
    assert_eq!(bench.after(Input::StreamEnded), end);
}

#[test]
fn a_close_has_one_deadline_even_if_the_server_never_reads() {
    let mut bench = Bench::open(rules());
    bench.after(CLOSE);
    bench.now += 3 * SEC;
    assert_eq!(bench.due(), Some(2 * SEC));
    assert_eq!(bench.pass(2 * SEC), "end, closed, close 1006 unclean by User final, the end: closed");
}

#[test]
fn a_close_that_is_not_answered_is_told_with_our_code_and_unclean() {
    let mut bench = Bench::open(rules());
    bench.after(CLOSE);
    bench.after(Input::Drained);
    bench.after(Input::CloseWritten);
    assert_eq!(bench.at_deadline(), "end, closed, close 1000 unclean by User final, the end: closed");
}

#[test]
fn closing_twice_changes_nothing() {
    let mut bench = Bench::open(rules());
    bench.after(CLOSE);
    bench.now += SEC;
    assert_eq!(bench.after(Input::Close { code: 4000, reason: "" }), "");
    assert_eq!(bench.due(), Some(4 * SEC));
    assert_eq!(bench.after(Input::Drained), "write close 1000");
}

#[test]
fn the_users_close_ends_an_attempt_and_a_wait() {
    let mut bench = Bench::new(rules());
    bench.after(Input::Connect);
    assert_eq!(bench.after(CLOSE), "abandon, closed, the end: closed");

    let mut bench = Bench::new(rules());
    bench.after(Input::Connect);
    bench.after(Input::DialFailed(unreachable()));
    assert_eq!(bench.after(CLOSE), "closed, the end: closed");
    assert_eq!(bench.due(), None);
}

#[test]
fn a_close_in_the_state_callback_takes_back_the_attempt_that_was_about_to_begin() {
    let mut bench = Bench::new(rules());
    bench.link.handle(Input::Connect, bench.now);
    let told = bench.link.next_action().map(|action| word(&action));
    assert_eq!(told.as_deref(), Some("connecting Resolve"));
    assert_eq!(bench.after(CLOSE), "closed, the end: closed");
}

#[test]
fn the_servers_close_is_echoed_and_the_link_dials_again() {
    let mut bench = Bench::open(rules());
    assert_eq!(bench.after(Input::PeerClose { code: 1001, reason: "restart" }), "closing, write close 1001");
    assert_eq!(bench.after(Input::CloseWritten), "shutdown");
    let end = "end, waiting for 2, close 1001 clean by Server retries";
    assert_eq!(bench.after(Input::StreamEnded), end);
    assert_eq!(bench.at_deadline(), "connecting Resolve, dial 2");
}

#[test]
fn a_close_without_a_code_is_echoed_without_one() {
    let mut bench = Bench::open(rules());
    assert_eq!(bench.after(Input::PeerClose { code: 1005, reason: "" }), "closing, write close");
    bench.after(Input::CloseWritten);
    let end = "end, waiting for 2, close 1005 clean by Server retries";
    assert_eq!(bench.after(Input::StreamEnded), end);
}

#[test]
fn a_close_whose_echo_could_not_be_written_is_not_called_clean() {
    let mut bench = Bench::open(rules());
    bench.after(Input::PeerClose { code: 1000, reason: "" });
    let end = "end, waiting for 2, close 1000 unclean by Server retries";
    assert_eq!(bench.after(Input::StreamEnded), end);
}

#[test]
fn a_server_that_closes_and_never_hangs_up_is_dropped_hard_before_the_next_session() {
    let mut bench = Bench::open(rules());
    bench.after(Input::PeerClose { code: 1000, reason: "" });
    bench.after(Input::CloseWritten);
    assert_eq!(bench.due(), Some(5 * SEC));
    assert_eq!(bench.at_deadline(), "abort, waiting for 2, close 1000 clean by Server retries");
}

#[test]
fn the_users_close_during_the_servers_means_no_further_attempt() {
    let mut bench = Bench::open(rules());
    bench.after(Input::PeerClose { code: 1000, reason: "" });
    assert_eq!(bench.after(CLOSE), "");
    bench.after(Input::CloseWritten);
    let end = "end, closed, close 1000 clean by Server final, the end: closed";
    assert_eq!(bench.after(Input::StreamEnded), end);
}

#[test]
fn the_servers_close_ends_the_drain_since_it_reads_nothing_more() {
    let mut bench = Bench::open(rules());
    bench.after(CLOSE);
    assert_eq!(bench.after(Input::PeerClose { code: 1001, reason: "" }), "write close 1000");
    assert_eq!(bench.after(Input::CloseWritten), "shutdown");
    let end = "end, closed, close 1001 clean by User final, the end: closed";
    assert_eq!(bench.after(Input::StreamEnded), end);
}

#[test]
fn a_stream_that_breaks_during_the_drain_ends_the_close() {
    let mut bench = Bench::open(rules());
    bench.after(CLOSE);
    let end = "end, closed, close 1006 unclean by User final, the end: closed";
    assert_eq!(bench.after(Input::SessionFailed(reset())), end);
}

#[test]
fn a_protocol_fault_is_told_answered_with_its_code_and_retried() {
    let mut bench = Bench::open(rules());
    let utf8 = Input::SessionFailed(fault(ProtocolFault::Utf8));
    assert_eq!(bench.after(utf8), "error, closing, write close 1007");
    assert_eq!(bench.after(Input::CloseWritten), "shutdown");
    let end = "end, waiting for 2, close 1007 unclean by Library retries";
    assert_eq!(bench.after(Input::StreamEnded), end);
}

#[test]
fn a_protocol_fault_whose_close_was_answered_is_clean() {
    let mut bench = Bench::open(rules());
    bench.after(Input::SessionFailed(fault(ProtocolFault::TooBig(9))));
    bench.after(Input::CloseWritten);
    assert_eq!(bench.after(Input::PeerClose { code: 1009, reason: "" }), "");
    let end = "end, waiting for 2, close 1009 clean by Library retries";
    assert_eq!(bench.after(Input::StreamEnded), end);
}

#[test]
fn a_protocol_fault_during_the_users_close_stops_the_drain() {
    let mut bench = Bench::open(rules());
    bench.after(CLOSE);
    assert_eq!(bench.after(Input::SessionFailed(fault(ProtocolFault::Length))), "write close 1000");
    assert_eq!(bench.after(Input::CloseWritten), "shutdown");
    let end = "end, closed, close 1000 unclean by User final, the end: closed";
    assert_eq!(bench.after(Input::StreamEnded), end);
}

#[test]
fn an_end_of_stream_without_close_is_the_networks_doing() {
    let mut bench = Bench::open(rules());
    let lost = "error, end, waiting for 2, close 1006 unclean by Network retries";
    assert_eq!(bench.after(Input::StreamEnded), lost);
}

#[test]
fn a_panic_in_a_callback_closes_the_client_with_1011() {
    let mut bench = Bench::open(rules());
    assert_eq!(bench.after(Input::CallbackPanicked), "closing, drain");
    assert_eq!(bench.after(Input::Drained), "write close 1011");
    bench.after(Input::CloseWritten);
    bench.after(Input::PeerClose { code: 1011, reason: "" });
    let end = "end, closed, close 1011 clean by Library final, the end: a callback panicked";
    assert_eq!(bench.after(Input::StreamEnded), end);
}

#[test]
fn a_panic_in_the_users_delay_function_ends_the_client_and_still_tells_the_close() {
    let reconnect = Reconnect::custom(|_| panic!("the user's"));
    let mut bench = Bench::open(Rules { reconnect, ..rules() });
    let end = "error, end, closed, close 1006 unclean by Network final, the end: a callback panicked";
    assert_eq!(bench.after(Input::SessionFailed(reset())), end);
    assert_eq!(bench.due(), None);
}

#[test]
fn a_message_given_up_in_the_middle_closes_with_1001_and_the_client_dials_again() {
    let abandoned = || LinkError::new(Phase::Open, Cause::Abandoned);
    let mut bench = Bench::open(rules());
    assert_eq!(bench.after(Input::Abandoned), "error, closing, write close 1001");
    assert_eq!(bench.after(Input::Abandoned), "", "once");
    assert_eq!(bench.after(Input::CloseWritten), "shutdown");
    let again = "end, waiting for 2, close 1001 unclean by Library retries";
    assert_eq!(bench.after(Input::StreamEnded), again);
    assert_eq!(bench.at_deadline(), "connecting Resolve, dial 2");
    assert!(abandoned().to_string().contains("given up"));

    // The session was over before, or is being closed anyway.
    assert_eq!(bench.after(Input::Abandoned), "");
    let mut bench = Bench::open(rules());
    bench.after(CLOSE);
    assert_eq!(bench.after(Input::Abandoned), "");
    assert_eq!(bench.after(Input::Drained), "write close 1000");
}

#[test]
fn the_users_close_wins_over_a_message_given_up() {
    let mut bench = Bench::open(rules());
    bench.after(Input::Abandoned);
    assert_eq!(bench.after(CLOSE), "");
    bench.after(Input::CloseWritten);
    let end = "end, closed, close 1001 unclean by Library final, the end: closed";
    assert_eq!(bench.after(Input::StreamEnded), end);
}

#[test]
fn why_a_session_is_closing_is_told_by_who_began() {
    let mut bench = Bench::open(rules());
    assert_eq!(bench.link.why_closing(), None);
    bench.after(CLOSE);
    assert_eq!(bench.link.why_closing().as_deref(), Some("closed by the user, with Close 1000"));
    // What the server says to it changes nothing.
    bench.after(Input::PeerClose { code: 1001, reason: "late" });
    assert_eq!(bench.link.why_closing().as_deref(), Some("closed by the user, with Close 1000"));

    let mut bench = Bench::open(rules());
    bench.after(Input::PeerClose { code: 1001, reason: "going\naway" });
    assert_eq!(bench.link.why_closing().as_deref(), Some("the server closed with 1001 (going\\naway)"));

    let mut bench = Bench::open(rules());
    bench.after(Input::SessionFailed(LinkError::new(Phase::Open, Cause::Protocol(ProtocolFault::Masked))));
    assert_eq!(bench.link.why_closing().as_deref(), Some("the server broke the protocol: a masked frame"));

    let mut bench = Bench::open(rules());
    bench.after(Input::CallbackPanicked);
    assert_eq!(bench.link.why_closing().as_deref(), Some("a callback panicked, with Close 1011"));
}
