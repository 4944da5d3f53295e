//! Time by NTP: asks the servers of `--ntp-server`, and notes what more than half of them agree on. What it is good for,
//! [`Clock`] decides.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::time::{Duration, Instant};

use futures::future::join_all;
use jiff::SignedDuration;
use rsntp::{AsyncSntpClient, Config, SynchronizationError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, FARTHEST};
use crate::report;

/// How often they are asked: what public servers put up with, and often enough that a dozen rounds may fail.
const EVERY: Duration = Duration::from_secs(256);
/// How long one is waited for, its name's resolution included.
const WAIT: Duration = Duration::from_secs(3);
/// How long an answer may have been under way, in seconds: it is wrong by up to half of that.
const SLOWEST: f64 = 1.0;
/// How far from the middle one an answer may be: what slow ways make of honest ones.
const APART: Duration = Duration::from_secs(1);
/// NTP's own port.
const PORT: u16 = 123;

/// Who is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    host: String,
    port: u16,
}

impl Server {
    /// `HOST` or `HOST:PORT`; an IPv6 address with a port stands in brackets.
    fn read(text: &str) -> Option<Self> {
        let (host, port) = if text.parse::<Ipv6Addr>().is_ok() {
            (text, None)
        } else if let Some(rest) = text.strip_prefix('[') {
            let (host, port) = rest.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
        } else {
            let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
            let is_host = (1..=253).contains(&host.len())
                && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'));
            (is_host.then_some(host)?, port)
        };
        let port = match port {
            None => PORT,
            Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => port.parse().ok().filter(|p| *p > 0)?,
            Some(_) => return None,
        };
        Some(Self { host: host.to_owned(), port })
    }
}

impl FromStr for Server {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::read(text)
            .ok_or("write HOST or HOST:PORT, such as time.example.com, 192.0.2.1:123 or [2001:db8::1]:123")
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} port {}", self.host, self.port)
    }
}

/// Why an answer does not count.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("failed to resolve its name")]
    Resolve(#[source] io::Error),
    #[error("its name has no address")]
    Nowhere,
    #[error("failed to get the time")]
    Answer(#[from] SynchronizationError),
    #[error("no answer in {WAIT:?}")]
    Silent,
    #[error("the answer was under way for {0:.3} s")]
    Slow(f64),
    #[error("the answer is no time")]
    Absurd,
}

/// What became of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Believed,
    Refused,
    Disagreed,
}

/// Asks again and again until `stop`; not at all where nobody is to be asked. `apart` is whether the clocks are too far from each
/// other.
pub(crate) async fn run(
    servers: Vec<Server>,
    clock: Clock,
    apart: watch::Sender<bool>,
    stop: CancellationToken,
) {
    if servers.is_empty() {
        return;
    }
    let mut before = None;
    loop {
        let outcome = round(&servers, &clock).await;
        if before.replace(outcome) != Some(outcome) {
            tell(outcome, &clock);
        }
        let refused = clock.skew(Instant::now()).is_refused();
        apart.send_if_modified(|apart| std::mem::replace(apart, refused) != refused);
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Asks all of them at once.
async fn round(servers: &[Server], clock: &Clock) -> Outcome {
    let answers = join_all(servers.iter().map(async |server| match offset(server).await {
        Ok(offset) => Some(offset),
        Err(error) => {
            tracing::info!(%server, error = %report::chain(&error), "an NTP server does not count");
            None
        }
    }))
    .await;
    let answers: Vec<SignedDuration> = answers.into_iter().flatten().collect();
    let Some(offset) = agreed(&answers, servers.len()) else { return Outcome::Disagreed };
    let now = Instant::now();
    clock.measured(offset, now);
    if clock.skew(now).is_believed() { Outcome::Believed } else { Outcome::Refused }
}

fn tell(outcome: Outcome, clock: &Clock) {
    let skew = clock.skew(Instant::now());
    let (server, ntp) = (skew.server.as_secs_f64(), skew.ntp.map(|ntp| ntp.as_secs_f64()));
    match outcome {
        Outcome::Believed => tracing::info!(server, ntp, "NTP's time counts for what ends"),
        Outcome::Refused => tracing::warn!(
            server,
            ntp,
            "NTP and the API server are more than {FARTHEST:?} apart, so one is wrong: the API server's clock counts"
        ),
        Outcome::Disagreed => tracing::warn!(
            server,
            ntp,
            "no more than half of the NTP servers agree: what they last agreed on counts for a while, then the API \
             server's clock"
        ),
    }
}

/// Its clock minus this machine's.
async fn offset(server: &Server) -> Result<SignedDuration, Error> {
    let asked = async {
        let mut addresses =
            tokio::net::lookup_host((server.host.as_str(), server.port)).await.map_err(Error::Resolve)?;
        let address = addresses.next().ok_or(Error::Nowhere)?;
        let any: IpAddr =
            if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let client =
            AsyncSntpClient::with_config(Config::default().bind_address((any, 0).into()).timeout(WAIT));
        Ok(client.synchronize(address).await?)
    };
    let answer = tokio::time::timeout(WAIT, asked).await.unwrap_or(Err(Error::Silent))?;
    let trip = answer.round_trip_delay().as_secs_f64();
    if trip.abs() > SLOWEST {
        return Err(Error::Slow(trip));
    }
    SignedDuration::try_from_secs_f64(answer.clock_offset().as_secs_f64()).map_err(|_| Error::Absurd)
}

/// The middle of those answers that are near the middle one, if they are more than half of `asked`: neither a liar nor
/// silence of the honest makes a majority.
fn agreed(answers: &[SignedDuration], asked: usize) -> Option<SignedDuration> {
    let mut answers = answers.to_vec();
    answers.sort_unstable();
    let middle = *answers.get(answers.len() / 2)?;
    answers.retain(|answer| answer.saturating_sub(middle).unsigned_abs() <= APART);
    if answers.len() * 2 > asked { answers.get(answers.len() / 2).copied() } else { None }
}

#[cfg(test)]
mod tests;
