//! SOCKS 5 (RFC 1928), with a user name and password (RFC 1929) where they are set, and what its answers say.

use url::Host;

use super::{Login, Next};
use crate::error::ProxyFault;

const VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const PASSWORD: u8 = 2;
const NONE_WILL_DO: u8 = 0xFF;

/// Where the conversation stands: which answer is awaited, and what is said after it.
pub(super) struct Talk {
    at: At,
    login: Option<Vec<u8>>,
    connect: Vec<u8>,
}

enum At {
    Method,
    Password,
    Reply,
}

impl Talk {
    /// The first thing to say, and the rest of the conversation.
    pub(super) fn begin(login: Option<&Login>, host: &Host<String>, port: u16) -> (Vec<u8>, Talk) {
        let mut connect = vec![VERSION, 1, 0];
        match host {
            Host::Ipv4(address) => {
                connect.push(1);
                connect.extend(address.octets());
            }
            Host::Ipv6(address) => {
                connect.push(4);
                connect.extend(address.octets());
            }
            Host::Domain(name) => {
                connect.push(3);
                push_short(&mut connect, name);
            }
        }
        connect.extend(port.to_be_bytes());
        let login = login.map(|login| {
            let mut bytes = vec![1];
            push_short(&mut bytes, &login.user);
            push_short(&mut bytes, &login.password);
            bytes
        });
        let greeting = match login {
            // The proxy chooses, and may do without.
            Some(_) => vec![VERSION, 2, NO_LOGIN, PASSWORD],
            None => vec![VERSION, 1, NO_LOGIN],
        };
        (greeting, Talk { at: At::Method, login, connect })
    }

    pub(super) fn judge(&mut self, answer: &mut Vec<u8>) -> Result<Next, ProxyFault> {
        // Of the answer to a password curl, too, reads the second byte only: proxies differ in the first.
        if !matches!(self.at, At::Password) && answer.first().is_some_and(|version| *version != VERSION) {
            return Err(ProxyFault::NotSocks);
        }
        let Some(&[_, code]) = answer.first_chunk() else { return Ok(Next::Wait) };
        match self.at {
            At::Method => {
                let (at, next) = match code {
                    NO_LOGIN => (At::Reply, std::mem::take(&mut self.connect)),
                    PASSWORD => (At::Password, self.login.take().ok_or(ProxyFault::NotSocks)?),
                    NONE_WILL_DO => return Err(ProxyFault::Method),
                    _ => return Err(ProxyFault::NotSocks),
                };
                self.at = at;
                answer.drain(..2);
                Ok(Next::Say(next))
            }
            At::Password if code == 0 => {
                self.at = At::Reply;
                answer.drain(..2);
                Ok(Next::Say(std::mem::take(&mut self.connect)))
            }
            At::Password => Err(ProxyFault::Credentials),
            // The rest of a refusal is not waited for: some proxies leave it out.
            At::Reply if code != 0 => Err(ProxyFault::Socks(code)),
            At::Reply => {
                // The address that the proxy connects from is of no use, but has to be read.
                let length = match answer.get(3) {
                    Some(1) => 10,
                    Some(4) => 22,
                    Some(3) => match answer.get(4) {
                        Some(name) => 7 + usize::from(*name),
                        None => return Ok(Next::Wait),
                    },
                    Some(_) => return Err(ProxyFault::NotSocks),
                    None => return Ok(Next::Wait),
                };
                if answer.len() < length {
                    return Ok(Next::Wait);
                }
                answer.drain(..length);
                Ok(Next::Open)
            }
        }
    }
}

/// A text behind its length. Host names have 254 bytes at most, and the settings' check sees to logins.
fn push_short(bytes: &mut Vec<u8>, text: &str) {
    let length = text.len().min(255);
    debug_assert_eq!(length, text.len(), "it was checked");
    bytes.push(length as u8);
    bytes.extend_from_slice(&text.as_bytes()[..length]);
}
