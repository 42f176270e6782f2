//! The offer of permessage-deflate, and the server's answer to it (RFC 7692 section 7.1).

use crate::config::deflate::Deflate;
use crate::error::UpgradeFault;

const NAME: &str = "permessage-deflate";

/// What both sides have agreed on for a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Agreed {
    pub(super) level: u32,
    pub(super) threshold: usize,
    pub(super) sends: Context,
    pub(super) receives: Context,
}

/// What one side's compressor looks back on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Context {
    pub(super) window_bits: u8,
    /// From message to message.
    pub(super) takeover: bool,
}

/// The parameters of an answer; each at most once.
#[derive(Default)]
struct Answer {
    server_no_context_takeover: Option<()>,
    client_no_context_takeover: Option<()>,
    server_max_window_bits: Option<u8>,
    client_max_window_bits: Option<u8>,
}

impl Deflate {
    /// The value of the request's header.
    pub(crate) fn header(&self) -> String {
        let mut offer = NAME.to_owned();
        if self.server_no_context_takeover {
            offer += "; server_no_context_takeover";
        }
        if self.client_no_context_takeover {
            offer += "; client_no_context_takeover";
        }
        if self.server_max_window_bits < 15 {
            offer += &format!("; server_max_window_bits={}", self.server_max_window_bits);
        }
        offer += "; client_max_window_bits";
        if self.client_max_window_bits < 15 {
            offer += &format!("={}", self.client_max_window_bits);
        }
        offer
    }

    /// What follows from the values of the answer's headers; `None` if the server declined.
    pub(crate) fn judge<'a>(
        &self,
        values: impl Iterator<Item = &'a str>,
    ) -> Result<Option<Agreed>, UpgradeFault> {
        let mut agreed = None;
        for extension in values.flat_map(|value| value.split(',')).map(str::trim).filter(|e| !e.is_empty()) {
            let mut parts = extension.split(';').map(str::trim);
            if parts.next() != Some(NAME) {
                return Err(UpgradeFault::Extension(extension.to_owned()));
            }
            if agreed.is_some() {
                return Err(misfit(NAME));
            }
            let mut answer = Answer::default();
            for parameter in parts {
                answer.take(parameter).ok_or_else(|| misfit(parameter))?;
            }
            agreed = Some(self.agree(&answer)?);
        }
        Ok(agreed)
    }

    /// What was offered is a demand: an answer that does not repeat it accepts another offer than ours.
    fn agree(&self, answer: &Answer) -> Result<Agreed, UpgradeFault> {
        if self.server_no_context_takeover && answer.server_no_context_takeover.is_none() {
            return Err(misfit("server_no_context_takeover"));
        }
        let server_bits = answer.server_max_window_bits.unwrap_or(15);
        if server_bits > self.server_max_window_bits {
            return Err(misfit("server_max_window_bits"));
        }
        let client_bits = answer.client_max_window_bits.unwrap_or(self.client_max_window_bits);
        if client_bits > self.client_max_window_bits {
            return Err(misfit("client_max_window_bits"));
        }
        let client_takeover = !self.client_no_context_takeover && answer.client_no_context_takeover.is_none();
        Ok(Agreed {
            level: self.level,
            threshold: self.threshold,
            sends: Context { window_bits: client_bits, takeover: client_takeover },
            receives: Context {
                window_bits: server_bits,
                takeover: answer.server_no_context_takeover.is_none(),
            },
        })
    }
}

impl Answer {
    /// `None` for what must not stand there: unknown, doubled, without the value that it needs or with one that it
    /// must not have.
    fn take(&mut self, parameter: &str) -> Option<()> {
        let (name, value) = match parameter.split_once('=') {
            Some((name, value)) => (name.trim_end(), Some(value.trim_start())),
            None => (parameter, None),
        };
        match name {
            "server_no_context_takeover" => once(&mut self.server_no_context_takeover, flag(value)),
            "client_no_context_takeover" => once(&mut self.client_no_context_takeover, flag(value)),
            "server_max_window_bits" => once(&mut self.server_max_window_bits, bits(value)),
            "client_max_window_bits" => once(&mut self.client_max_window_bits, bits(value)),
            _ => None,
        }
    }
}

fn once<T>(place: &mut Option<T>, value: Option<T>) -> Option<()> {
    let value = value?;
    place.replace(value).is_none().then_some(())
}

fn flag(value: Option<&str>) -> Option<()> {
    value.is_none().then_some(())
}

/// 8 to 15, without leading zeros, as a token or the same in quotes (RFC 6455 section 9.1).
fn bits(value: Option<&str>) -> Option<u8> {
    let value = value?;
    let token = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
    (8..=15).find(|bits| token == bits.to_string())
}

fn misfit(parameter: &str) -> UpgradeFault {
    UpgradeFault::Deflate(parameter.to_owned())
}
