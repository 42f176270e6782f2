//! The program's own way to a stream: its closure, asked for one at each attempt, on a thread of the pool.
//! Knows no deadline; does not know what the stream is.

use std::io;

use url::Host;

use crate::asked::{Asking, Hook};
use crate::config::address::server_name;
use crate::net::socket::{Descriptor, Socket};
use crate::user_code::{Panicked, guarded};

type Call = Box<dyn FnMut(&str, u16) -> io::Result<Socket> + Send>;

/// What came of asking.
pub(crate) type Dialled = Result<io::Result<Socket>, Panicked>;

#[derive(Clone)]
pub(crate) struct Dialer(Hook<Call>);

impl Dialer {
    pub(crate) fn new<S: Descriptor + 'static>(
        mut call: impl FnMut(&str, u16) -> io::Result<S> + Send + 'static,
    ) -> Dialer {
        Dialer::of(move |host, port| Ok(Socket::brought(call(host, port)?)))
    }

    pub(crate) fn of(call: impl FnMut(&str, u16) -> io::Result<Socket> + Send + 'static) -> Dialer {
        Dialer(Hook::new(Box::new(call)))
    }

    /// Asks for a stream to this host; `wake` is called when there is an answer.
    pub(crate) fn dial(
        &self,
        host: &Host<String>,
        port: u16,
        wake: impl Fn() + Send + 'static,
    ) -> io::Result<Asking<Dialled>> {
        let host = server_name(host);
        self.0.ask(move |call: &mut Call| guarded(|| call(&host, port)), wake)
    }

    /// The client is destroyed: no further call. The closure is freed now, or when the running call returns.
    pub(crate) fn close(&self) {
        self.0.close();
    }

    /// Waits for a running call to return.
    pub(crate) fn wait_until_returned(&self) {
        self.0.wait_until_returned();
    }
}
