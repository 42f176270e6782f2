//! An attempt as `before_connect` sees it: what it will use, to be changed. Every setter checks at once.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::before_connect::Prepared;
use crate::config::address::Address;
use crate::config::builder::{check_header, check_subprotocols};
use crate::config::check;
use crate::config::greeting::Greeting;
use crate::config::route::Ground;
use crate::error::{ConfigError, LinkError};
use crate::link::Verdict;

/// An attempt that is about to be made, for [`Builder::before_connect`](crate::Builder::before_connect) to change.
///
/// It begins with what the builder was given; what is changed here counts for this attempt only. A setter that
/// fails changes nothing.
pub struct Attempt {
    number: u32,
    last_error: Option<LinkError>,
    url: String,
    headers: Vec<(String, String)>,
    subprotocols: Vec<String>,
    greetings: Option<Vec<Greeting>>,
    delay: Option<Duration>,
    stopped: bool,
}

impl Attempt {
    pub(crate) fn new(
        number: u32,
        last_error: Option<LinkError>,
        url: String,
        headers: Vec<(String, String)>,
        subprotocols: Vec<String>,
    ) -> Attempt {
        Attempt {
            number,
            last_error,
            url,
            headers,
            subprotocols,
            greetings: None,
            delay: None,
            stopped: false,
        }
    }

    /// Which attempt in a row it is, from 1.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Why the attempt or the session before failed; `None` ahead of the very first attempt.
    pub fn last_error(&self) -> Option<&LinkError> {
        self.last_error.as_ref()
    }

    /// The URL to connect to, whole: the one whose turn it is, unless it was set.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Connects to another URL this time.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says what is wrong with it.
    pub fn set_url(&mut self, url: &str) -> Result<(), ConfigError> {
        let address = Address::parse(url)?;
        if address.secure && cfg!(not(feature = "native-tls")) {
            return Err(ConfigError::new("url", "wss:// needs the feature native-tls"));
        }
        self.url = url.to_owned();
        Ok(())
    }

    /// Sets a header of the upgrade request, in the place of all of this name. `Authorization` takes the place of the
    /// URL's user name and password, too.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for a header that would break the request, or that the handshake sets itself.
    pub fn set_header(&mut self, name: &str, value: &str) -> Result<(), ConfigError> {
        check_header(name, value)?;
        self.remove_header(name);
        self.headers.push((name.to_owned(), value.to_owned()));
        Ok(())
    }

    /// Leaves all headers of this name out.
    pub fn remove_header(&mut self, name: &str) {
        self.headers.retain(|(given, _)| !given.eq_ignore_ascii_case(name));
    }

    /// The subprotocols to ask for.
    pub fn subprotocols(&self) -> &[String] {
        &self.subprotocols
    }

    /// Asks for these subprotocols, the preferred one first, instead of those before.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for a name that is no token of RFC 9110, or that is there twice.
    pub fn set_subprotocols<'a>(
        &mut self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), ConfigError> {
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        check_subprotocols(&names)?;
        self.subprotocols = names;
        Ok(())
    }

    /// Adds a greeting, which is sent first when this attempt opens. The first call of this takes the place of all
    /// the builder's greetings.
    pub fn greeting(&mut self, greeting: impl Into<Greeting>) {
        self.greetings.get_or_insert_default().push(greeting.into());
    }

    /// Sends no greeting when this attempt opens, or only those that are added after this.
    pub fn clear_greetings(&mut self) {
        self.greetings = Some(Vec::new());
    }

    /// Puts the attempt off for this time, as prepared: it is not asked about again. Its deadline begins anew then;
    /// [`Client::reconnect_now`](crate::Client::reconnect_now) skips the wait.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for more than a week.
    pub fn delay(&mut self, time: Duration) -> Result<(), ConfigError> {
        check::time_or_zero("before_connect delay", time)?;
        self.delay = Some(time).filter(|time| !time.is_zero());
        Ok(())
    }

    /// Makes no attempt, neither this one nor another: the client ends with [`End::Stopped`](crate::End::Stopped).
    pub fn stop(&mut self) {
        self.stopped = true;
    }

    pub(super) fn verdict(&self) -> Verdict {
        match self.delay {
            _ if self.stopped => Verdict::Stop,
            Some(time) => Verdict::Delay(time),
            None => Verdict::Go,
        }
    }

    pub(super) fn prepared(self, ground: &Ground) -> Result<Prepared, ConfigError> {
        let mut address = Address::parse(&self.url)?;
        if self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("Authorization")) {
            address.authorization = None;
        }
        let route = ground.route(&address, self.headers, self.subprotocols)?;
        Ok(Prepared { route: Arc::new(route), greetings: self.greetings })
    }
}

/// Shows the number only: the rest carries secrets.
impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt").field("number", &self.number).finish_non_exhaustive()
    }
}
