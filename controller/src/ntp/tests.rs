use clap::Parser as _;
use jiff::Timestamp;
use oz_client::ServerClock;
use proptest::prelude::*;
use tokio::net::UdpSocket;

use super::*;

/// Seconds from 1900, from when NTP counts, to 1970.
const ERA: i64 = 2_208_988_800;

/// A server on this machine.
#[derive(Debug, Clone, Copy)]
enum Mock {
    /// Its clock minus this machine's, in seconds.
    Tells(i64),
    Silent,
    /// Fewer bytes than an answer has.
    Short,
    /// As long as one, and nothing like it.
    Noise,
    /// An answer to something else than was asked.
    Replayed,
    /// It says itself that it does not know the time.
    Unsynchronized,
    /// It asks to be left alone.
    KissOfDeath,
    /// It claims to have had the question for an hour.
    Dawdling,
}

impl Mock {
    async fn start(self) -> Server {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = socket.local_addr().unwrap().port();
        tokio::spawn(async move {
            let mut asked = [0; 48];
            while let Ok((_, peer)) = socket.recv_from(&mut asked).await {
                if let Some(answer) = self.answer(&asked) {
                    socket.send_to(&answer, peer).await.unwrap();
                }
            }
        });
        Server { host: "127.0.0.1".to_owned(), port }
    }

    fn answer(self, asked: &[u8; 48]) -> Option<Vec<u8>> {
        let now = |ahead: i64| {
            let now = Timestamp::now();
            // In 2036 it begins anew.
            let seconds = (now.as_second() + ERA + ahead) as u32;
            let fraction = (u64::try_from(now.subsec_nanosecond()).unwrap() << 32) / 1_000_000_000;
            (u64::from(seconds) << 32 | fraction).to_be_bytes()
        };
        let ahead = if let Self::Tells(ahead) = self { ahead } else { 0 };
        let mut answer = vec![0; 48];
        // No leap second, version 4, a server; one that has its time from another.
        (answer[0], answer[1]) = (0b00_100_100, 2);
        answer[24..32].copy_from_slice(&asked[40..48]);
        answer[32..40].copy_from_slice(&now(ahead));
        answer[40..48].copy_from_slice(&now(ahead));
        match self {
            Self::Tells(_) => {}
            Self::Silent => return None,
            Self::Short => answer.truncate(47),
            Self::Noise => answer.fill(0xa5),
            Self::Replayed => answer[31] ^= 1,
            Self::Unsynchronized => answer[0] |= 0b11 << 6,
            Self::KissOfDeath => {
                answer[1] = 0;
                answer[12..16].copy_from_slice(b"RATE");
            }
            Self::Dawdling => answer[32..40].copy_from_slice(&now(-3600)),
        }
        Some(answer)
    }
}

/// What a round among such servers comes to, and by how many seconds NTP is ahead after it.
async fn asked(clock: &Clock, mocks: &[Mock]) -> (Outcome, Option<i64>) {
    let servers = join_all(mocks.iter().map(|mock| mock.start())).await;
    let outcome = round(&servers, clock).await;
    let ntp = clock.skew(Instant::now()).ntp;
    (outcome, ntp.map(|ntp| ntp.as_millis_f64()).map(|ms| (ms / 1000.0).round() as i64))
}

fn clock() -> Clock {
    Clock::new(ServerClock::default())
}

/// By how many seconds ends come early.
fn ahead(clock: &Clock) -> i64 {
    clock.skew(Instant::now()).latest().as_secs_f64().round() as i64
}

#[tokio::test]
async fn servers_that_agree_are_believed() {
    let clock = clock();
    assert_eq!(asked(&clock, &[Mock::Tells(20); 3]).await, (Outcome::Believed, Some(20)));
    assert_eq!(ahead(&clock), 20);
    assert_eq!(asked(&clock, &[Mock::Tells(5)]).await, (Outcome::Believed, Some(5)));
    assert_eq!(ahead(&clock), 5);
}

#[tokio::test]
async fn one_that_is_far_from_the_others_is_dropped() {
    for liar in [-3600, 3600, 40, -40, 17] {
        let clock = clock();
        let mocks = [Mock::Tells(20), Mock::Tells(liar), Mock::Tells(20)];
        assert_eq!(asked(&clock, &mocks).await, (Outcome::Believed, Some(20)), "{liar}");
    }
}

#[tokio::test]
async fn without_a_majority_what_was_last_agreed_on_stays() {
    let clock = clock();
    assert_eq!(asked(&clock, &[Mock::Tells(20), Mock::Tells(30)]).await, (Outcome::Disagreed, None));
    assert_eq!(asked(&clock, &[Mock::Tells(20); 3]).await.0, Outcome::Believed);
    // Whoever silences the honest ones does not have the word for that.
    let silenced = [Mock::Silent, Mock::Tells(50), Mock::Silent];
    assert_eq!(asked(&clock, &silenced).await, (Outcome::Disagreed, Some(20)));
    assert_eq!(asked(&clock, &[Mock::Silent]).await, (Outcome::Disagreed, Some(20)));
    assert_eq!(
        asked(&clock, &[Mock::Tells(8), Mock::Silent, Mock::Tells(8)]).await,
        (Outcome::Believed, Some(8))
    );
}

#[tokio::test]
async fn when_all_lie_no_end_is_put_off_and_none_comes_more_than_a_minute_early() {
    for (lie, outcome, counts) in [
        (-3600, Outcome::Refused, 0),
        (-70, Outcome::Refused, 0),
        (-30, Outcome::Believed, 0),
        (50, Outcome::Believed, 50),
        (70, Outcome::Refused, 0),
        (3600, Outcome::Refused, 0),
        (10 * 365 * 86_400, Outcome::Refused, 0),
    ] {
        let clock = clock();
        assert_eq!(asked(&clock, &[Mock::Tells(lie); 3]).await, (outcome, Some(lie)), "{lie}");
        assert_eq!(ahead(&clock), counts, "{lie}");
    }
}

#[tokio::test]
async fn what_is_no_answer_does_not_count() {
    for bad in
        [Mock::Short, Mock::Noise, Mock::Replayed, Mock::Unsynchronized, Mock::KissOfDeath, Mock::Dawdling]
    {
        assert_eq!(asked(&clock(), &[bad]).await, (Outcome::Disagreed, None), "{bad:?}");
        let mocks = [Mock::Tells(9), bad, Mock::Tells(9)];
        assert_eq!(asked(&clock(), &mocks).await, (Outcome::Believed, Some(9)), "{bad:?}");
    }
    let nowhere = Server { host: "no-such-host.invalid".to_owned(), port: PORT };
    assert_eq!(round(&[nowhere], &clock()).await, Outcome::Disagreed);
}

#[tokio::test]
async fn it_goes_on_until_it_is_stopped_and_not_at_all_without_servers() {
    let stop = CancellationToken::new();
    let (apart, told) = watch::channel(false);
    run(Vec::new(), clock(), apart, stop.clone()).await;
    assert!(!*told.borrow());
    stop.cancel();
    for (tells, counts, is_apart) in [(20, 20, false), (3600, 0, true)] {
        let (clock, (apart, told)) = (clock(), watch::channel(false));
        run(vec![Mock::Tells(tells).start().await], clock.clone(), apart, stop.clone()).await;
        assert_eq!((ahead(&clock), *told.borrow()), (counts, is_apart));
    }
}

#[test]
fn servers_are_named_with_or_without_a_port() {
    for (text, host, port) in [
        ("time.example.com", "time.example.com", 123),
        ("time.example.com:1123", "time.example.com", 1123),
        ("192.0.2.1", "192.0.2.1", 123),
        ("192.0.2.1:65535", "192.0.2.1", 65535),
        ("2001:db8::1", "2001:db8::1", 123),
        ("[2001:db8::1]", "2001:db8::1", 123),
        ("[2001:db8::1]:1123", "2001:db8::1", 1123),
    ] {
        assert_eq!(text.parse(), Ok(Server { host: host.to_owned(), port }), "{text}");
    }
    for bad in [
        "",
        ":123",
        "host:",
        "host:0",
        "host:65536",
        "host:+1",
        "host:1:2",
        "a b",
        "a/b",
        "ntp://host",
        "host,other",
        "[::1",
        "[::1]1",
        "[::1]:",
        "[host]:1",
        "\u{e9}.example",
    ] {
        assert!(bad.parse::<Server>().is_err(), "{bad:?}");
    }
}

#[test]
fn several_servers_are_several_arguments_or_commas() {
    let hosts = |args: &[&str]| {
        let args = crate::Args::try_parse_from([&["oz-controller"], args].concat());
        args.map(|args| args.ntp_servers.iter().map(|server| server.host.clone()).collect::<Vec<_>>())
    };
    assert!(hosts(&[]).unwrap().is_empty());
    assert_eq!(hosts(&["--ntp-server", "a", "--ntp-server", "b:1"]).unwrap(), ["a", "b"]);
    assert_eq!(hosts(&["--ntp-server", "a,b:1,[::1]:2"]).unwrap(), ["a", "b", "::1"]);
    for bad in ["", "a,", "a b"] {
        let error = hosts(&["--ntp-server", bad]).unwrap_err().to_string();
        assert!(error.contains("time.example.com"), "{error}");
    }
}

proptest! {
    #[test]
    fn any_text_is_a_server_or_none(text in ".{0,40}") {
        let _ = text.parse::<Server>();
    }

    /// However few lie, and whatever they say, the honest ones have it.
    #[test]
    fn a_majority_has_it(
        honest in prop::collection::vec(-200_i64..=200, 1..8),
        liars in prop::collection::vec(any::<i64>(), 0..8),
        silent in 0_usize..4,
    ) {
        let asked = honest.len() + liars.len() + silent;
        let answers: Vec<SignedDuration> =
            honest.iter().chain(&liars).map(|ms| SignedDuration::from_millis(*ms)).collect();
        let agreed = agreed(&answers, asked);
        if honest.len() * 2 > asked {
            let agreed = agreed.unwrap().as_millis();
            prop_assert!(agreed.abs() <= 200, "{agreed}");
        } else if let Some(agreed) = agreed {
            let near = answers.iter().filter(|a| a.saturating_sub(agreed).unsigned_abs() <= APART * 2).count();
            prop_assert!(near * 2 > asked);
        }
    }
}
