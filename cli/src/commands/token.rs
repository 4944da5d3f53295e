//! `oz token`: what kubectl runs, by the contexts that Oz writes, where an access outlives one token. It answers from the
//! cache while it can; else it mints as its user, by the way that is recorded in its arguments.

pub(super) mod renewing;

use std::os::unix::process::parent_id;
use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt as _;
use oz_shared::{AccessRequest, Federation, NamespaceRequest, Phase};
use serde::Deserialize;
use tokio::time::Instant;

use crate::app::App;
use crate::cache::{Cache, Kept, Turn};
use crate::error::Error;
use crate::exit;
use crate::kube::{Asked, Cluster, Ended, Fault, SessionError, Way, account, mint, outcome};
use crate::session::not_the_holder;
use crate::target::{Kind, Target};

/// The protocol in its two versions, which are one; kubectl wants the one in which it asked.
const VERSIONS: [&str; 2] = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"];
/// By this a caller that speaks it says so.
const EXEC_INFO: &str = "KUBERNETES_EXEC_INFO";
/// Tells the user's own credential plugin for which tokens it is asked: were it this program again, for one of these, it
/// would go on for ever.
const ABOVE: &str = "OZ_TOKEN_ABOVE";
/// How long another one at work on the same token is waited for. A cluster that is there answers within a second.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks meanwhile: short at first; some hundred may wait.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(60));

const EXAMPLES: &str = "\
Examples:
  # What the contexts of long accesses run by themselves
  oz token access-request-api-exec-7k2pd -n shop

  # For a program that is not kubectl
  oz token access-request-api-exec-7k2pd | jq -r .status.token";

/// Print a token for an access that you hold, as a credential plugin of kubectl does
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    of: Of,
    /// The request's uid: another one of the same name is not meant
    #[arg(long, value_name = "UID", default_value = "", hide_default_value = true)]
    uid: String,
}

/// For what.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Of {
    /// The request: NAME, or accessrequest/NAME, namespacerequest/NAME, federation/NAME
    #[arg(value_name = "NAME")]
    target: Option<Target>,
    /// An account that mints its own next token, as `oz kubeconfig import` takes in
    #[arg(long = "self", value_name = "ACCOUNT")]
    own: Option<String>,
}

/// A request, not its namesakes.
struct Wanted {
    target: Target,
    uid: String,
}

pub(crate) async fn run(args: Args, app: &App) -> Result<u8, Error> {
    // It is read in the midst of kubectl's own words.
    match (args.of.target, args.of.own) {
        (Some(target), _) => {
            let about = target.to_string();
            let wanted = Wanted { target, uid: args.uid };
            answer(wanted, app).await.map_err(|error| on_one_line(&about, error))
        }
        (None, Some(account)) => {
            renewing::answer(&account, app).await.map_err(|error| on_one_line(&account, error))
        }
        (None, None) => Err(Error::usage("a request is named, or an account")),
    }
}

async fn answer(args: Wanted, app: &App) -> Result<u8, Error> {
    let version = version(std::env::var(EXEC_INFO).ok().as_deref())?;
    let mut way = Way::find(&app.settings).await?;
    let namespace = way.namespace(&app.settings);
    let key = way.key(&namespace, &args.target.to_string(), &args.uid);
    way.tell_plugin(ABOVE, &below(&std::env::var(ABOVE).unwrap_or_default(), &key)?);

    let cache = Cache::open();
    let (kept, _turn) = match &cache {
        Some(cache) => match look(cache, &key).await {
            Look::Good(kept) => return print(app, version, &kept.secret, kept.renew),
            Look::Old(kept, turn) => (kept, Some(turn)),
        },
        None => (None, None),
    };
    let cluster = Cluster::by(way, &app.settings)?;
    let fetched = match args.target.kind {
        Kind::Access => fetch::<AccessRequest>(&args, &cluster, &key, kept.as_ref()).await,
        Kind::Namespaces => fetch::<NamespaceRequest>(&args, &cluster, &key, kept.as_ref()).await,
        Kind::Federation => fetch::<Federation>(&args, &cluster, &key, kept.as_ref()).await,
        Kind::Delegation => Err(Failure::Final(Error::usage(
            "a delegation has no credential of its own: whom it lends to holds it by his own name",
        ))),
    };
    match fetched {
        Ok(kept) => {
            if let Some(cache) = &cache {
                cache.prune(Timestamp::now());
                cache.keep(&kept);
            }
            print(app, version, &kept.secret, kept.renew)
        }
        Err(Failure::Away(error)) => match kept.filter(|kept| kept.end > Timestamp::now()) {
            Some(kept) => {
                app.printer
                    .warn(&format!("{}: the token could not be renewed: {}", kept.request, error.message));
                print(app, version, &kept.secret, kept.end)
            }
            None => Err(error),
        },
        Err(Failure::Final(error)) => {
            if let Some(cache) = cache.filter(|_| error.code == exit::ENDED) {
                cache.forget(&format!("{namespace}/{}", args.target));
            }
            Err(error)
        }
    }
}

/// What the cache holds.
enum Look {
    /// A token to be given as it is.
    Good(Kept),
    /// None, or one that is to be asked about; and the turn to do so.
    Old(Option<Kept>, Turn),
}

/// Looks until there is a token, or the turn to get one. After a while everyone gets his own.
async fn look(cache: &Cache, key: &str) -> Look {
    let (began, started) = (Timestamp::now(), Instant::now());
    let mut pause = PAUSES.0;
    loop {
        let turn = cache.turn(key);
        let now = Timestamp::now();
        let kept = cache.read(key);
        match (kept, &turn) {
            (Some(kept), turn) if now < kept.renew && !asks_again(&kept, parent_id(), began) => {
                // Who is at work on it will note down its own.
                if matches!(turn, Turn::Ours(_)) && kept.asker != parent_id() {
                    cache.keep(&Kept { asker: parent_id(), asked: now, ..kept.clone() });
                }
                return Look::Good(kept);
            }
            (_, Turn::Theirs) if started.elapsed() < PATIENCE => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSES.1);
            }
            (kept, _) => return Look::Old(kept, turn),
        }
    }
}

/// Was this process given the very same token before? kubectl asks twice only if the API server refused the first: then
/// it had better be known whether the access still is.
fn asks_again(kept: &Kept, asker: u32, began: Timestamp) -> bool {
    kept.asker == asker && kept.asked < began
}

/// Why there is no token.
enum Failure {
    /// Nothing was learnt about the access: the cluster does not answer, or does not know its user.
    Away(Error),
    /// There will be none.
    Final(Error),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        let away = match &fault {
            Fault::Timeout { .. } | Fault::Unreachable { .. } | Fault::Credential(_) => true,
            Fault::Api { status, .. } => matches!(status.code, 401 | 429 | 500..),
            Fault::Config(_) | Fault::Protocol { .. } => false,
        };
        if away { Self::Away(fault.into()) } else { Self::Final(fault.into()) }
    }
}

/// Asks the cluster: whether the access is there, and for a token unless the one that is kept is still its own.
async fn fetch<R: Asked>(
    args: &Wanted,
    cluster: &Cluster,
    key: &str,
    kept: Option<&Kept>,
) -> Result<Kept, Failure> {
    let deleted = || Failure::Final(Ended::Deleted.into());
    let request = match cluster.find::<R>(&args.target.name).await {
        Err(fault) if fault.code() == Some(404) && !args.uid.is_empty() => return Err(deleted()),
        answer => answer?,
    };
    if !args.uid.is_empty() && request.uid().as_deref() != Some(args.uid.as_str()) {
        return Err(deleted());
    }
    if let Some(ended) = outcome(&request) {
        let again = format!("ask again: {} -n {}", request.again(), cluster.namespace);
        return Err(Failure::Final(Error::from(ended).hint(again)));
    }
    if request.phase() != Phase::Active {
        let error = Error::new(exit::NOT_READY, "it is not granted yet");
        return Err(Failure::Final(error.hint(format!("oz describe {} tells more", args.target))));
    }
    let account = account(cluster, &request).await.map_err(|error| match error {
        SessionError::Fault(fault) => Failure::from(fault),
        error => Failure::Final(error.into()),
    })?;
    let now = Timestamp::now();
    let (asker, asked) = (parent_id(), now);
    if let Some(kept) = kept.filter(|kept| kept.account == account && now < kept.renew) {
        return Ok(Kept { asker, asked, ..kept.clone() });
    }
    let token = mint(cluster, &request).await.map_err(|error| match error {
        SessionError::Fault(fault) if !matches!(fault.code(), Some(403)) => Failure::from(fault),
        error => Failure::Final(not_the_holder(&request, error)),
    })?;
    Ok(Kept {
        key: key.to_owned(),
        request: request.mark(),
        account,
        renew: here(cluster, token.renew(cluster.now())),
        end: here(cluster, token.end()),
        secret: token.secret,
        asker,
        asked,
    })
}

/// By this machine's clock, against which both the cache and kubectl hold it; in whole seconds, as it is printed.
fn here(cluster: &Cluster, time: Timestamp) -> Timestamp {
    let skew = cluster.clock.skew().as_secs();
    Timestamp::from_second(time.as_second() - skew).unwrap_or(time)
}

/// The version in which the caller asks; the first where nobody does.
fn version(exec_info: Option<&str>) -> Result<&'static str, Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Info {
        api_version: String,
    }
    let Some(info) = exec_info.filter(|info| !info.is_empty()) else { return Ok(VERSIONS[0]) };
    let asked = serde_json::from_str::<Info>(info).map(|info| info.api_version).unwrap_or_default();
    VERSIONS.into_iter().find(|version| *version == asked).ok_or_else(|| {
        Error::usage(format!(
            "{EXEC_INFO} asks in a version that is not known: let the kubeconfig say {}",
            VERSIONS[0]
        ))
    })
}

/// For which tokens a plugin below this one is asked.
///
/// # Errors
/// This one is asked for itself.
fn below(above: &str, key: &str) -> Result<String, Error> {
    if above.split(' ').any(|other| other == key) {
        return Err(Error::usage(
            "its context leads back to itself: it would have to hold its own token to get one",
        )
        .hint("name a context of your own with --context, or run oz kubeconfig update from one"));
    }
    Ok(format!("{above} {key}").trim_start().to_owned())
}

fn print(app: &App, version: &str, token: &str, until: Timestamp) -> Result<u8, Error> {
    let credential = serde_json::json!({
        "apiVersion": version,
        "kind": "ExecCredential",
        "status": {"expirationTimestamp": until, "token": token},
    });
    app.printer.data(&credential.to_string())?;
    Ok(exit::DONE)
}

fn on_one_line(about: &str, error: Error) -> Error {
    if error.message.is_empty() {
        return error;
    }
    let words = std::iter::once(error.message).chain(error.hints);
    let words: Vec<String> = words.map(|text| text.replace(['\n', '\r'], " ")).collect();
    Error::new(error.code, format!("{about}: {}", words.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_callers() {
        let ask =
            |version: &str| format!(r#"{{"kind":"ExecCredential","apiVersion":"{version}","spec":{{}}}}"#);
        assert_eq!(version(None).unwrap(), VERSIONS[0]);
        assert_eq!(version(Some("")).unwrap(), VERSIONS[0]);
        for known in VERSIONS {
            assert_eq!(version(Some(&ask(known))).unwrap(), known);
        }
        for unknown in ["{", &ask("client.authentication.k8s.io/v9")] {
            assert_eq!(version(Some(unknown)).unwrap_err().code, exit::USAGE);
        }
    }

    #[test]
    fn one_that_leads_to_itself_is_stopped() {
        assert_eq!(below("", "a").unwrap(), "a");
        assert_eq!(below("a", "b").unwrap(), "a b");
        assert_eq!(below("a b", "a").unwrap_err().code, exit::USAGE);
    }

    #[test]
    fn a_failure_is_one_line() {
        let error = Error::new(exit::ENDED, "gone\nfor good").hint("ask again");
        let line = on_one_line("x", error);
        assert_eq!((line.code, line.message.as_str()), (exit::ENDED, "x: gone for good; ask again"));
        assert!(line.hints.is_empty());
        assert!(on_one_line("x", Error::broken_pipe()).message.is_empty());
    }

    #[test]
    fn who_asks_twice_was_refused() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let kept = Kept {
            key: String::new(),
            request: String::new(),
            account: String::new(),
            secret: String::new(),
            renew: at(90),
            end: at(100),
            asker: 7,
            asked: at(50),
        };
        assert!(asks_again(&kept, 7, at(51)));
        // Started before it was given: one of many at once.
        assert!(!asks_again(&kept, 7, at(49)) && !asks_again(&kept, 8, at(51)));
    }

    #[test]
    fn what_says_nothing_about_the_access_does_not_end_it() {
        let answer = |code: u16| {
            let status = kube::core::Status::failure("no", "").with_code(code).boxed();
            Failure::from(Fault::Api { doing: "x".to_owned(), status })
        };
        for code in [401, 429, 503] {
            assert!(matches!(answer(code), Failure::Away(_)), "{code}");
        }
        for code in [403, 404, 422] {
            assert!(matches!(answer(code), Failure::Final(_)), "{code}");
        }
        assert!(matches!(Failure::from(Fault::Credential("x".to_owned())), Failure::Away(_)));
        assert!(matches!(Failure::from(Fault::Config("x".to_owned())), Failure::Final(_)));
    }
}
