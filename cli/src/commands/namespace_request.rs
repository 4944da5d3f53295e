//! `oz namespace-request`

use jiff::SignedDuration;
use kube::ResourceExt as _;
use kube::core::ObjectMeta;
use oz_shared::namespace_class::{Subject, SubjectKind};
use oz_shared::namespace_request::{Credential, CredentialKind, RequestPin};
use oz_shared::request::Requester;
use oz_shared::template::ReasonPolicy;
use oz_shared::{NamespaceClass, NamespaceRequest, NamespaceRequestSpec, Phase, Request as _};

use crate::app::App;
use crate::asking::{Asking, PatienceArgs, Stop};
use crate::error::Error;
use crate::exit;
use crate::kube::{Asked as _, Cluster, is_mine};
use crate::output::{Format, clean, one_line, stamp};
use crate::session::{KubeconfigArgs, admit, namespace_lines};
use crate::target::{Kind, Target};

const EXAMPLES: &str = "\
Examples:
  # A namespace of your own for two days
  oz namespace-request alice-try --class sandbox --duration 2d
  kubectl --context oz-alice-try get all

  # Two under one account, owned by a team as well
  oz namespace-request shop-a shop-b --class review --owner Group/shop-team --reason 'release 7'

  # By your own name instead of a session
  oz namespace-request alice-try --class sandbox --credential requester

  # Ask now, use it later
  oz namespace-request alice-try --class sandbox --wait none
  oz kubeconfig update -n oz-requests";

/// Ask for namespaces of a class, wait until they are there, and set up the kubeconfig
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What the namespaces are to be called
    #[arg(value_name = "NAME", required = true, value_parser = label)]
    names: Vec<String>,
    /// The class; chosen from a list when left out
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
    /// Who owns them, too: User/NAME, Group/NAME or ServiceAccount/NAMESPACE:NAME; may be repeated
    #[arg(long = "owner", value_name = "KIND/NAME", value_parser = owner)]
    owners: Vec<Subject>,
    /// By what you own them: session, requester (your own name), or of:REQUEST (the session of another request of yours)
    #[arg(long, value_name = "WHICH", default_value = "session", value_parser = which)]
    credential: Which,
    /// For how long, from the approval on: 45m, 8h, 2d
    #[arg(long, value_name = "TIME", value_parser = crate::duration::parse)]
    duration: Option<SignedDuration>,
    /// Why, for those who decide and those who read later
    #[arg(long, value_name = "TEXT", value_parser = one_line)]
    reason: Option<String>,
    #[command(flatten)]
    how: How,
}

/// What is waited for, and what is done then.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct How {
    /// Wait for this and stop there
    #[arg(long, value_name = "STATE", default_value = "ready")]
    wait: Stop,
    #[command(flatten)]
    patience: PatienceArgs,
    /// Print the request in this form
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Format>,
    #[command(flatten)]
    kubeconfig: KubeconfigArgs,
}

/// By what whoever asks owns the namespaces.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Which {
    Session,
    Requester,
    Of(String),
}

fn which(text: &str) -> Result<Which, String> {
    match text.split_once(':') {
        None if text == "session" => Ok(Which::Session),
        None if text == "requester" => Ok(Which::Requester),
        Some(("of", request)) => match request.parse::<Target>() {
            Ok(target) if target.bare || target.kind == Kind::Namespaces => Ok(Which::Of(target.name)),
            _ => Err(format!("{request:?} is no NamespaceRequest's name")),
        },
        _ => Err("session, requester or of:REQUEST".to_owned()),
    }
}

/// A DNS label.
pub(crate) fn label(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let dashed = text.starts_with('-') || text.ends_with('-');
    match text.is_empty() || text.len() > 63 || dashed || !text.chars().all(fits) {
        true => {
            Err("a namespace is called by lower case letters, digits and dashes, up to 63 of them".to_owned())
        }
        false => Ok(text.to_owned()),
    }
}

/// `User/alice`, `Group/team`, `ServiceAccount/ci:builder`.
fn owner(text: &str) -> Result<Subject, String> {
    let wrong = || "write User/NAME, Group/NAME or ServiceAccount/NAMESPACE:NAME".to_owned();
    let (kind, name) = text.split_once('/').filter(|(_, name)| !name.is_empty()).ok_or_else(wrong)?;
    let (kind, namespace, name) = match kind.to_lowercase().as_str() {
        "user" => (SubjectKind::User, "", name),
        "group" => (SubjectKind::Group, "", name),
        "serviceaccount" | "sa" => {
            let (namespace, name) = name.split_once(':').ok_or_else(wrong)?;
            (SubjectKind::ServiceAccount, namespace, name)
        }
        _ => return Err(wrong()),
    };
    if name.is_empty() || (kind == SubjectKind::ServiceAccount && namespace.is_empty()) {
        return Err(wrong());
    }
    Ok(Subject { kind, name: name.to_owned(), namespace: namespace.to_owned() })
}

pub(crate) async fn run(args: Args, app: &App) -> Result<u8, Error> {
    let cluster = app.cluster().await?;
    let me = cluster.whoami().await?;
    let (name, class) = class(app, &cluster, args.class.as_deref()).await?;
    let mut reason = args.reason.clone().unwrap_or_default();
    let required = class.as_ref().is_some_and(|c| c.spec.reason == ReasonPolicy::Required);
    if required && reason.is_empty() {
        if !app.ui.interactive() {
            return Err(Error::usage(format!("{name} asks for a reason")).hint("say why: --reason TEXT"));
        }
        reason = one_line(&app.ui.line("Reason")?).map_err(Error::usage)?;
    }
    let spec = NamespaceRequestSpec {
        owners: args.owners.clone(),
        credential: credential(&cluster, &me, &args.credential).await?,
        duration: args.duration.map(oz_shared::duration::format).unwrap_or_default(),
        reason,
        ..asked(&name, args.names.clone(), &me)
    };
    submit(&args.how, app, &cluster, &me, spec, class.as_ref()).await
}

/// Nothing but what must be said.
pub(crate) fn asked(class: &str, namespaces: Vec<String>, me: &Requester) -> NamespaceRequestSpec {
    NamespaceRequestSpec {
        class: class.to_owned(),
        namespaces,
        owners: Vec::new(),
        credential: Credential::default(),
        extends: RequestPin::default(),
        duration: String::new(),
        reason: String::new(),
        requester: me.clone(),
        decisions: Vec::new(),
        released: false,
        released_by: String::new(),
        release_reason: String::new(),
    }
}

/// Without a name.
pub(crate) fn unnamed(spec: NamespaceRequestSpec) -> NamespaceRequest {
    NamespaceRequest { metadata: ObjectMeta::default(), spec, status: None }
}

/// The class by its name, or by choice. Who may ask for one need not be allowed to read it.
async fn class(
    app: &App,
    cluster: &Cluster,
    name: Option<&str>,
) -> Result<(String, Option<NamespaceClass>), Error> {
    if let Some(name) = name {
        return match cluster.policy::<NamespaceRequest>(name).await {
            Ok(class) => Ok((name.to_owned(), Some(class))),
            Err(fault) if fault.code() == Some(403) => Ok((name.to_owned(), None)),
            Err(fault) => Err(Error::from(fault).hint("oz classes lists what there is")),
        };
    }
    let all = super::classes::on_offer(cluster).await?;
    if !app.ui.interactive() || all.is_empty() {
        let names: Vec<String> = all.iter().map(kube::ResourceExt::name_any).collect();
        let words = match names.is_empty() {
            true => format!("no class is on offer to you in namespace {}", cluster.namespace),
            false => format!("name a class, --class: one of {}", names.join(", ")),
        };
        return Err(Error::usage(words));
    }
    let lines: Vec<String> =
        all.iter().map(|c| format!("{}  {}", c.name_any(), c.spec.description)).collect();
    let class = all[app.ui.select("Which class?", &lines)?].clone();
    Ok((class.name_any(), Some(class)))
}

async fn credential(cluster: &Cluster, me: &Requester, which: &Which) -> Result<Credential, Error> {
    let of = |kind| Credential { kind, ..Credential::default() };
    let name = match which {
        Which::Session => return Ok(of(CredentialKind::Session)),
        Which::Requester => return Ok(of(CredentialKind::Requester)),
        Which::Of(name) => name,
    };
    let other = cluster.find::<NamespaceRequest>(name).await?;
    let has_account = other.status.as_ref().is_some_and(|s| !s.account.is_empty());
    if !is_mine(&other, me) || other.phase() != Phase::Active || !has_account {
        return Err(Error::usage(format!("{name} is no active request of yours with a session of its own")));
    }
    let uid = other.metadata.uid.unwrap_or_default();
    Ok(Credential { kind: CredentialKind::Of, name: name.clone(), uid })
}

/// Asks, waits, and sets up the kubeconfig.
pub(super) async fn submit(
    how: &How,
    app: &App,
    cluster: &Cluster,
    me: &Requester,
    spec: NamespaceRequestSpec,
    class: Option<&NamespaceClass>,
) -> Result<u8, Error> {
    let _custody = app.custody.take();
    let asking = Asking {
        app,
        cluster,
        me,
        policy: class,
        stop: how.wait,
        patience: how.patience,
        go_on: "oz describe",
    };
    let base = spec.namespaces.first().cloned().unwrap_or_default();
    let request = asking.ask(unnamed(spec), &base).await?;
    if how.wait == Stop::Ready {
        ready(how, app, cluster, &request).await?;
    }
    // Without -o what `oz release "$(oz namespace-request …)"` takes.
    match how.output {
        Some(format) => app.printer.data(&format.object(&request)?)?,
        None => app.printer.data(&clean(&request.target()))?,
    }
    Ok(exit::DONE)
}

async fn ready(how: &How, app: &App, cluster: &Cluster, request: &NamespaceRequest) -> Result<(), Error> {
    let status = request.status.clone().unwrap_or_default();
    let names: Vec<String> = status.namespaces.iter().map(|n| n.name.clone()).collect();
    let until = status.expires_at.map(|t| format!(" until {}", stamp(t.0))).unwrap_or_default();
    let yours = if names.len() == 1 { "is yours" } else { "are yours" };
    app.printer.say(&format!("{} {yours}{until}.", names.join(", ")));
    let own = request.by_own_name();
    let contexts = match own {
        true => Vec::new(),
        false => admit(app, cluster, request, how.kubeconfig).await?.1,
    };
    if own || !contexts.is_empty() {
        app.printer.say("Use it by kubectl:");
        for line in namespace_lines(request, &contexts) {
            app.printer.say(&format!("  {line}"));
        }
    }
    let at = format!("-n {}{}", cluster.namespace, app.settings.repeat());
    app.printer.say(&format!("  keep it:  oz extend {} --duration TIME {at}", request.name_any()));
    app.printer.say(&format!("  end it:   oz release {} {at}", request.target()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_as_they_are_typed() {
        let said = |text: &str| owner(text).map(|s| (s.kind, s.namespace, s.name));
        assert_eq!(said("User/a/b").unwrap(), (SubjectKind::User, String::new(), "a/b".to_owned()));
        assert_eq!(said("group/team:x").unwrap(), (SubjectKind::Group, String::new(), "team:x".to_owned()));
        let account = (SubjectKind::ServiceAccount, "ci".to_owned(), "builder".to_owned());
        assert_eq!(said("ServiceAccount/ci:builder").unwrap(), account);
        for bad in ["", "alice", "User/", "ServiceAccount/builder", "ServiceAccount/:b", "sa/a:", "Role/x"] {
            assert!(said(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn credentials_as_they_are_typed() {
        assert_eq!(which("session"), Ok(Which::Session));
        assert_eq!(which("requester"), Ok(Which::Requester));
        assert_eq!(which("of:a-1"), Ok(Which::Of("a-1".to_owned())));
        assert_eq!(which("of:nsreq/a-1"), Ok(Which::Of("a-1".to_owned())));
        for bad in ["", "of", "of:", "of:areq/a", "Session", "of:../x"] {
            assert!(which(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_are_labels() {
        assert!(label("a").is_ok() && label(&"a".repeat(63)).is_ok() && label("0-a").is_ok());
        for bad in ["", "-a", "a-", "A", "a.b", "a/b", "ä", "a\n", &"a".repeat(64)] {
            assert!(label(bad).is_err(), "{bad:?}");
        }
    }
}
