//! Where a member's attempt goes: as configured, as the program has prepared it, and as servers redirect it.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use crate::before_connect::{Answer, Asking, Attempt, Prepared};
use crate::config::Config;
use crate::config::address::Address;
use crate::config::greeting::Greeting;
use crate::config::route::{Route, no_route};
use crate::error::{Cause, LinkError, Phase, RedirectFault, Refusal};
use crate::event::Way;
use crate::event_loop::member::{Io, Member};
use crate::link::redirect::{self, Redirects};
use crate::link::{Input, Verdict};
use crate::session::upgrade::{Upgrade, UpgradeRequest};

/// The course of one attempt.
pub(super) struct Course {
    pub(super) route: Arc<Route>,
    /// Instead of the configured ones.
    pub(super) greetings: Option<Vec<Greeting>>,
    /// Which URL it began with.
    index: usize,
    /// The program has prepared it, and it was not begun yet.
    prepared: bool,
    redirects: Redirects,
    /// The URLs that redirected it, as they are shown.
    left: Vec<String>,
}

/// An answer that is waited for.
pub(super) struct Preparing {
    asking: Asking,
    /// It is about a redirect: the attempt is under way.
    redirect: bool,
}

impl Course {
    pub(super) fn new(config: &Config) -> Course {
        Course {
            route: config.routes[0].clone(),
            greetings: None,
            index: 0,
            prepared: false,
            redirects: Redirects::default(),
            left: Vec::new(),
        }
    }

    /// The configured one.
    pub(super) fn begin(&mut self, config: &Config, index: usize) {
        *self = Course { route: config.routes[index].clone(), index, ..Course::new(config) };
    }

    fn prepare(&mut self, prepared: Prepared) {
        self.route = prepared.route;
        self.greetings = prepared.greetings;
        self.prepared = true;
    }

    pub(super) fn is_prepared(&self) -> bool {
        self.prepared
    }

    pub(super) fn depart(&mut self) {
        self.prepared = false;
    }

    pub(super) fn way(&self) -> Way {
        Way { url: self.route.shown_url.clone(), index: self.index, redirects: self.left.clone() }
    }
}

impl Member {
    /// Asks the program's hook about an attempt.
    pub(super) fn ask_program(&mut self, number: u32, url: usize, error: Option<LinkError>, now: Instant) {
        let core = self.core.clone();
        self.in_a_row = number;
        self.course.begin(&core.config, url);
        core.mailbox.lock().counters.attempts += 1;
        // The link asks for it only where there is one.
        let Some(before) = &core.config.before_connect else { return };
        log::debug!("[{}] asking before_connect about attempt {number}", core.config.name);
        let attempt = Attempt::new(
            number,
            error,
            before.urls[url].clone(),
            before.headers.clone(),
            before.subprotocols.clone(),
        );
        match before.hook.ask(attempt, core.config.ground.clone(), self.waker()) {
            Ok(asking) => self.io = Io::Preparing(Preparing { asking, redirect: false }),
            Err(error) => self.link.handle(Input::DialFailed(LinkError::io(Phase::Prepare, error)), now),
        }
    }

    /// Takes the answer, if it is there.
    pub(super) fn prepare(&mut self, mut preparing: Preparing, now: Instant) {
        let Some(answer) = preparing.asking.take() else {
            self.io = Io::Preparing(preparing);
            return;
        };
        match answer {
            Answer::Prepared(Prepared { route, .. }, _) if preparing.redirect => self.go_on(route, now),
            Answer::Prepared(prepared, verdict) => {
                if verdict != Verdict::Stop {
                    self.course.prepare(prepared);
                }
                self.link.handle(Input::Prepared(verdict), now);
            }
            Answer::Failed(error) => self.link.handle(Input::DialFailed(error), now),
            Answer::Panicked => self.callback_panicked(now),
        }
    }

    /// Asks the server that the course leads to, with the cookies that are for it.
    pub(super) fn begin_upgrade(&self) -> Upgrade {
        let route = &self.course.route;
        if let Some(jar) = &self.cookies
            && let Some(headers) = jar.fill(&route.url, &route.request.headers, SystemTime::now())
        {
            return Upgrade::new(&UpgradeRequest { headers, ..route.request.clone() });
        }
        Upgrade::new(&route.request)
    }

    /// Keeps what an answer to the upgrade sets, if that is wanted.
    pub(super) fn keep_cookies(&mut self, headers: &[(String, String)]) {
        if let Some(jar) = &mut self.cookies {
            jar.store(&self.course.route.url, headers, SystemTime::now());
        }
    }

    /// Whether this answer to the upgrade is a redirect to be followed, or found fault with.
    pub(super) fn follows(&self, refusal: &Refusal) -> bool {
        // A stream that the program brought leads nowhere else.
        self.core.config.redirects > 0 && !self.brought && redirect::location(refusal).is_some()
    }

    pub(super) fn redirect(&mut self, refusal: Arc<Refusal>, now: Instant) {
        if let Err(error) = self.redirected(&refusal, now) {
            self.link.handle(Input::DialFailed(error), now);
        }
    }

    fn redirected(&mut self, refusal: &Arc<Refusal>, now: Instant) -> Result<(), LinkError> {
        let bad =
            |fault| LinkError::new(Phase::Upgrade, Cause::BadRedirect { fault, refusal: refusal.clone() });
        let config = &self.core.config;
        let from = &self.course.route;
        let location = redirect::location(refusal).unwrap_or_default();
        let onward = self.course.redirects.follow(&from.url, location, config.redirects).map_err(bad)?;
        let mut address = Address::parse(onward.url.as_str()).map_err(|_| bad(RedirectFault::Location))?;
        if address.secure && cfg!(not(feature = "native-tls")) {
            return Err(bad(RedirectFault::Location));
        }
        // A server's word does not lead from a Unix socket to the network.
        address.unix = from.target.unix.clone();
        log::info!("[{}] redirected with {} to {}", config.name, refusal.status(), address.for_logs());
        let mut headers = from.request.headers.clone();
        if !onward.same_origin {
            headers.retain(|(name, _)| !redirect::authenticates(name));
        }
        let subprotocols = from.request.subprotocols.clone();
        if config.ground.is_ready_for(&address) {
            let route = config.ground.route(&address, headers, subprotocols).map_err(no_route)?;
            self.go_on(Arc::new(route), now);
            return Ok(());
        }
        let ground = config.ground.clone();
        let asking = Asking::for_route(ground, address, headers, subprotocols, self.waker());
        let asking = asking.map_err(|error| LinkError::io(Phase::Upgrade, error))?;
        self.io = Io::Preparing(Preparing { asking, redirect: true });
        Ok(())
    }

    /// The redirect's target is ready to be dialled.
    fn go_on(&mut self, route: Arc<Route>, now: Instant) {
        let from = std::mem::replace(&mut self.course.route, route);
        self.course.left.push(from.shown_url.clone());
        self.start_dial(now);
        // It has done nothing yet, and no event will say so.
        self.again = true;
    }
}
