//! Who turns the loops of a test's clients: a thread each, one thread for all, or the test's own main loop.

use std::sync::Arc;

use heartwire::{Builder, Client, EventLoop, Heartbeat};

use crate::net::{SOON, received};
use crate::support::main_loop::MainLoop;
use crate::support::watch::within;
use crate::support::{Behaviour, Server};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Each client has a thread of its own.
    Own,
    /// One thread of the library's turns all clients of the test.
    Shared,
    /// A main loop of the test's turns them.
    Turned,
}

/// What the clients of one test run on. Where they share a loop, a bystander is on it, too: whatever happens to
/// the others, it must stay connected and be served.
pub(crate) struct Ground {
    mode: Mode,
    // In the order in which they have to go.
    bystander: Option<(Client, Server)>,
    main_loop: Option<MainLoop>,
    event_loop: Option<Arc<EventLoop>>,
}

impl Ground {
    pub(crate) fn new(mode: Mode) -> Ground {
        if mode == Mode::Own {
            return Ground { mode, bystander: None, main_loop: None, event_loop: None };
        }
        let event_loop = Arc::new(EventLoop::new().unwrap());
        let main_loop = if mode == Mode::Turned {
            Some(MainLoop::start(&event_loop))
        } else {
            event_loop.start().unwrap();
            None
        };
        let server = Server::start(Behaviour::echo());
        let builder = Client::builder(&server.url()).name("bystander").heartbeat(Heartbeat::off());
        let bystander = builder.event_loop(&event_loop).connect().unwrap();
        Ground { mode, bystander: Some((bystander, server)), main_loop, event_loop: Some(event_loop) }
    }

    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    /// Puts the client to be built where those of this test run.
    pub(crate) fn of(&self, builder: Builder) -> Builder {
        match &self.event_loop {
            Some(event_loop) => builder.event_loop(event_loop),
            None => builder,
        }
    }

    /// The test is over: the bystander saw nothing of it, nothing of its clients is left, and the main loop ran well.
    pub(crate) fn end(mut self) {
        let Some((bystander, server)) = self.bystander.take() else { return };
        bystander.send_text("still here").unwrap();
        assert_eq!(received(&bystander).as_text(), Some("still here"));
        let stats = bystander.stats();
        assert_eq!((stats.attempts(), stats.sessions()), (1, 1), "the bystander was disconnected");
        drop((bystander, server));
        if let Some(event_loop) = &self.event_loop {
            // A handler that drops its client may just be returning.
            within(SOON, "no client is left on the loop", || (event_loop.clients() == 0).then_some(()));
        }
        if let Some(main_loop) = self.main_loop.take() {
            main_loop.stop().expect("every turn went well");
        }
    }
}
