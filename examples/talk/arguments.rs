//! talk's command line: what can be asked, and what is wrong with what was.

use std::ffi::OsString;
use std::time::Duration;

use heartwire::Proxy;
use lexopt::prelude::*;

pub(crate) const USAGE: &str = "\
usage: talk URL [--header 'Name: value']... [--subprotocol NAME]... [--origin ORIGIN]
            [--ca FILE] [--insecure] [--cert FILE --key FILE] [--proxy URL|environment]
            [--heartbeat TIME|off] [--no-reconnect] [--wait TIME] [--binary] [--name NAME] [--verbose]
       talk --help";

pub(crate) const HELP: &str = "\
Talks to a WebSocket server, and stays connected.

usage: talk URL [OPTIONS]

Lines from standard input are sent, received messages are printed on standard output, and what happens to the
connection is told on standard error. Lines that are typed while the connection is down are sent when it is up again.
It ends after the end of the input (Ctrl-D), or on Ctrl-C: what waits is sent, and the connection is closed with code
1000. A second Ctrl-C ends it at once.

  URL                     ws://HOST[:PORT]/PATH, or wss:// for TLS; user:password@HOST for basic authentication
  --header 'Name: value'  adds a header to the upgrade request; may be given several times
  --subprotocol NAME      asks for a subprotocol; several times, the preferred one first
  --origin ORIGIN         the Origin header
  --ca FILE               trusts the certificates in this PEM file, too
  --insecure              accepts any certificate of any name: for a test bench only
  --cert FILE --key FILE  shows this certificate to a server that asks, both in PEM
  --proxy URL|environment connects through http://, https://, socks5:// or socks5h://[USER:PASSWORD@]HOST[:PORT],
                          or through what HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY say
  --heartbeat TIME|off    pings after this time without a received byte (20s)
  --no-reconnect          ends when the first connection does
  --wait TIME             after the end of the input, goes on until nothing has come for this time (1s)
  --binary                sends lines as binary messages
  --name NAME             the name in log lines
  --verbose               shows the library's log lines
  --help                  shows this

TIME is a number with a unit: 500ms, 10s, 2m. Binary messages are printed as their length and hexadecimal digits.

status: 0 closed on request, 1 gave up or failed, 2 bad arguments, 130 interrupted twice";

pub(crate) enum Asked {
    Help,
    Talk(Box<Arguments>),
}

pub(crate) struct Arguments {
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) subprotocols: Vec<String>,
    pub(crate) origin: Option<String>,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) name: Option<String>,
    #[cfg(feature = "native-tls")]
    pub(crate) tls: heartwire::Tls,
    /// `None`: off.
    pub(crate) heartbeat: Option<Duration>,
    pub(crate) reconnect: bool,
    pub(crate) wait: Duration,
    pub(crate) binary: bool,
    pub(crate) verbose: bool,
}

/// The TLS options as they were given.
#[derive(Default)]
struct TlsOptions {
    authorities: Vec<String>,
    insecure: bool,
    certificate: Option<String>,
    key: Option<String>,
}

pub(crate) fn parse(given: impl Iterator<Item = OsString>) -> Result<Asked, String> {
    let mut url = None;
    let mut tls = TlsOptions::default();
    let mut asked = Arguments {
        url: String::new(),
        headers: Vec::new(),
        subprotocols: Vec::new(),
        origin: None,
        proxy: None,
        name: None,
        #[cfg(feature = "native-tls")]
        tls: heartwire::Tls::new(),
        heartbeat: Some(Duration::from_secs(20)),
        reconnect: true,
        wait: Duration::from_secs(1),
        binary: false,
        verbose: false,
    };
    let mut parser = lexopt::Parser::from_args(given);
    while let Some(argument) = parser.next().map_err(problem)? {
        match argument {
            Long("help") | Short('h') => return Ok(Asked::Help),
            Long("header") => asked.headers.push(header(&value(&mut parser)?)?),
            Long("subprotocol") => asked.subprotocols.push(value(&mut parser)?),
            Long("origin") => asked.origin = Some(value(&mut parser)?),
            Long("proxy") => {
                let given = value(&mut parser)?;
                let from_environment = given == "environment";
                asked.proxy =
                    Some(if from_environment { Proxy::from_environment() } else { Proxy::new(given) });
            }
            Long("name") => asked.name = Some(value(&mut parser)?),
            Long("ca") => tls.authorities.push(value(&mut parser)?),
            Long("insecure") => tls.insecure = true,
            Long("cert") => tls.certificate = Some(value(&mut parser)?),
            Long("key") => tls.key = Some(value(&mut parser)?),
            Long("heartbeat") => {
                let given = value(&mut parser)?;
                asked.heartbeat = if given == "off" { None } else { Some(time(&given)?) };
            }
            Long("no-reconnect") => asked.reconnect = false,
            Long("wait") => asked.wait = time(&value(&mut parser)?)?,
            Long("binary") => asked.binary = true,
            Long("verbose") => asked.verbose = true,
            Value(given) if url.is_none() => url = Some(given.string().map_err(problem)?),
            argument => return Err(problem(argument.unexpected())),
        }
    }
    asked.url = url.ok_or("there is no URL")?;
    tls.apply(&mut asked)?;
    Ok(Asked::Talk(Box::new(asked)))
}

fn value(parser: &mut lexopt::Parser) -> Result<String, String> {
    parser.value().and_then(|value| value.string()).map_err(problem)
}

fn problem(error: lexopt::Error) -> String {
    error.to_string()
}

fn header(given: &str) -> Result<(String, String), String> {
    let (name, value) =
        given.split_once(':').ok_or_else(|| format!("--header '{given}': it has no colon"))?;
    Ok((name.trim().to_string(), value.trim().to_string()))
}

/// `500ms`, `10s`, `2m`; whether the length makes sense is checked when the client is built.
fn time(given: &str) -> Result<Duration, String> {
    let digits = given.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = given.split_at(digits);
    let per_unit = match unit {
        "ms" => Some(1),
        "s" => Some(1000),
        "m" => Some(60_000),
        _ => None,
    };
    let length = number.parse::<u64>().ok().zip(per_unit).and_then(|(n, per_unit)| n.checked_mul(per_unit));
    length
        .map(Duration::from_millis)
        .ok_or_else(|| format!("'{given}' is not a time such as 500ms, 10s or 2m"))
}

impl TlsOptions {
    #[cfg(feature = "native-tls")]
    fn apply(self, asked: &mut Arguments) -> Result<(), String> {
        let read = |path: String| std::fs::read(&path).map_err(|error| format!("{path}: {error}"));
        let mut tls = heartwire::Tls::new()
            .danger_accept_invalid_certificates(self.insecure)
            .danger_accept_invalid_hostnames(self.insecure);
        for file in self.authorities {
            tls = tls.ca_file(file);
        }
        asked.tls = match (self.certificate, self.key) {
            (Some(certificate), Some(key)) => tls.client_pem(read(certificate)?, read(key)?),
            (None, None) => tls,
            _ => return Err("--cert and --key go together".to_string()),
        };
        Ok(())
    }

    #[cfg(not(feature = "native-tls"))]
    fn apply(self, _: &mut Arguments) -> Result<(), String> {
        let wanted =
            !self.authorities.is_empty() || self.insecure || self.certificate.is_some() || self.key.is_some();
        if wanted {
            return Err(
                "TLS is not built in: --ca, --insecure, --cert and --key need the feature native-tls".into(),
            );
        }
        Ok(())
    }
}
