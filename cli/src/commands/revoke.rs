//! `oz revoke`

use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::ListParams;
use kube::{Api, Resource, ResourceExt as _};
use oz_shared::names::SESSIONS_NAMESPACE;
use oz_shared::namespace_class::Subject;
use oz_shared::request::Requester;
use oz_shared::{AccessRequest, Delegation, Federation, Grant, NamespaceRequest, RequestStatus};
use serde::de::DeserializeOwned;

use super::list::left_out;
use crate::app::App;
use crate::error::Error;
use crate::exit;
use crate::kube::{
    Asked, Cluster, Fault, Listing, context_name, delegations, named, outcome, release, token_in_kubeconfig,
};
use crate::output::one_line;
use crate::target::{Kind, Target};

/// How long `--verify` waits for everything to be gone: a token is refused within seconds of its account's end.
const VERIFY: Duration = Duration::from_secs(60);
/// How long namespaces may take to be deleted with all that is in them.
const DELETED: Duration = Duration::from_secs(180);
/// Between two looks meanwhile.
const LOOK: Duration = Duration::from_millis(250);
/// Requests in flight at once: each is a connection of its own.
const AT_ONCE: usize = 4;

const EXAMPLES: &str = "\
Examples:
  oz revoke access-request-api-exec-7k2pd --reason 'incident is over' --verify
  oz revoke --user alice -A --verify";

/// Take back what is lent to others, now
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The requests: NAME, or accessrequest/NAME, namespacerequest/NAME, federation/NAME, delegation/NAME
    #[arg(value_name = "NAME", required_unless_present = "user", conflicts_with = "user")]
    targets: Vec<Target>,
    /// All that this user holds or waits for
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// In all namespaces
    #[arg(short = 'A', long, requires = "user")]
    all_namespaces: bool,
    /// Why, for those who read it later
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, value_parser = one_line)]
    reason: String,
    /// Wait until everything is taken back, and prove it
    #[arg(long)]
    verify: bool,
}

pub(crate) async fn run(args: Args, app: &App) -> Result<u8, Error> {
    let cluster = app.cluster().await?;
    let me = cluster.whoami().await?;
    let (access, namespaces, federations, unread) = match &args.user {
        Some(user) => {
            let mut access = held_by::<AccessRequest>(&args, &cluster, user).await?;
            let namespaces = seen(held_by::<NamespaceRequest>(&args, &cluster, user).await)?;
            let federations = seen(held_by::<Federation>(&args, &cluster, user).await)?;
            // Grants that cannot be read are told by each.
            for unread in namespaces.unread.into_iter().chain(federations.unread) {
                if !access.unread.contains(&unread) {
                    access.unread.push(unread);
                }
            }
            (access.items, namespaces.items, federations.items, access.unread)
        }
        None => (
            meant::<AccessRequest>(&args, &cluster).await?,
            meant::<NamespaceRequest>(&args, &cluster).await?,
            meant::<Federation>(&args, &cluster).await?,
            Vec::new(),
        ),
    };
    let delegated = delegated(&args, &cluster).await?;
    left_out(app, &unread);
    let none = access.is_empty() && namespaces.is_empty() && federations.is_empty();
    let none = none && delegated.is_empty() && unread.is_empty();
    if let (true, Some(user)) = (none, &args.user) {
        app.printer.say(&format!(
            "{user} holds nothing{}.",
            if args.all_namespaces { "" } else { " in this namespace" }
        ));
        return Ok(exit::DONE);
    }
    // All are ended before any is waited for, and one that fails keeps none of the others.
    let mut failed = end(&args, app, &cluster, &me, &access).await;
    failed = end(&args, app, &cluster, &me, &namespaces).await.or(failed);
    failed = end(&args, app, &cluster, &me, &federations).await.or(failed);
    failed = end_delegations(&args, app, &cluster, &me, &delegated).await.or(failed);
    if args.verify {
        for delegation in &delegated {
            taken_back(app, &cluster, delegation).await?;
        }
        for request in &access {
            let status = ended(app, &cluster, request).await?;
            verify(app, &cluster, request, &status).await?;
        }
        for request in &namespaces {
            let status = ended(app, &cluster, request).await?;
            verify_namespaces(app, &cluster, request, &status).await?;
        }
        for request in &federations {
            let status = ended(app, &cluster, request).await?;
            verify_namespaces(app, &cluster, request, &status).await?;
        }
    }
    if !unread.is_empty() {
        // Nobody may take it for done.
        failed.get_or_insert(Error::internal("whose it is that cannot be read is not known"));
    }
    failed.map_or(Ok(exit::DONE), Err)
}

/// The delegations that are named, or that are to this user by name. One that is to others as well ends for all.
async fn delegated(args: &Args, cluster: &Cluster) -> Result<Vec<Delegation>, Error> {
    let mut found = Vec::new();
    for target in args.targets.iter().filter(|t| t.kind == Kind::Delegation) {
        found.push(cluster.delegation(&target.name).await?);
    }
    if let Some(user) = &args.user {
        let scope = (!args.all_namespaces).then_some(cluster.namespace.as_str());
        let to = Subject::of(user).to_string();
        match cluster.list::<Delegation>("list delegations", scope, &ListParams::default()).await {
            Ok(list) => found.extend(list.items.into_iter().filter(|delegation| {
                delegations::over(delegation).is_none() && delegation.destination_words().contains(&to)
            })),
            // Who may revoke access alone need not see delegations.
            Err(fault) if matches!(fault.code(), Some(403 | 404)) => {}
            Err(fault) => return Err(fault.into()),
        }
    }
    Ok(found)
}

async fn end_delegations(
    args: &Args,
    app: &App,
    cluster: &Cluster,
    me: &Requester,
    delegated: &[Delegation],
) -> Option<Error> {
    let mut failed = None;
    for delegation in delegated {
        let (name, to) = (delegation.name_any(), delegation.destination_words().join(", "));
        if delegations::over(delegation).is_some() {
            app.printer.say(&format!("{name} is over already."));
            continue;
        }
        match delegations::end(cluster, delegation, me, &args.reason).await {
            Ok(_) => app.printer.say(&format!("Revoked {name}, delegated to {to}.")),
            Err(fault) => {
                let error = Error::from(fault);
                app.printer.warn(&format!("{name}, delegated to {to}, was not revoked: {}", error.message));
                failed = Some(error);
            }
        }
    }
    failed
}

/// Waits until the controller has taken back what a delegation lent.
async fn taken_back(app: &App, cluster: &Cluster, delegation: &Delegation) -> Result<(), Error> {
    let (name, namespace) = (delegation.name_any(), delegation.namespace().unwrap_or_default());
    let api = cluster.delegations(Some(&namespace));
    let deadline = tokio::time::Instant::now() + VERIFY;
    loop {
        // It is recorded as over when everything is taken back, and not before.
        match cluster.call("read the delegation", api.get(&name)).await {
            Ok(now) if now.phase().is_final() => break,
            Err(fault) if fault.code() == Some(404) => break,
            Ok(_) => {}
            Err(fault) => return Err(fault.into()),
        }
        if tokio::time::Instant::now() > deadline {
            let message = format!(
                "{name} is released, but the controller has not ended it within {} s",
                VERIFY.as_secs()
            );
            return Err(Error::new(exit::NOT_READY, message)
                .hint("kubectl get pods -n oz-system shows whether the controller runs"));
        }
        tokio::time::sleep(LOOK).await;
    }
    app.printer.say(&format!("{name}: nothing is bound any more."));
    Ok(())
}

/// Who may revoke access alone need not see requests for namespaces.
fn seen<R>(held: Result<Listing<R>, Error>) -> Result<Listing<R>, Error> {
    match held {
        Err(error) if matches!(error.code, exit::DENIED | exit::INTERNAL) => {
            Ok(Listing { items: Vec::new(), unread: Vec::new() })
        }
        held => held,
    }
}

/// Those that are named, of one kind.
async fn meant<R: Asked>(args: &Args, cluster: &Cluster) -> Result<Vec<R>, Error> {
    let mut requests = Vec::new();
    for target in args.targets.iter().filter(|t| t.kind == R::KIND) {
        requests.push(named(cluster, target).await?);
    }
    Ok(requests)
}

/// Ends what is not over; the last failure.
async fn end<R: Asked>(
    args: &Args,
    app: &App,
    cluster: &Cluster,
    me: &Requester,
    requests: &[R],
) -> Option<Error> {
    let live = |request: &&R| outcome(*request).is_none();
    let ends = requests
        .iter()
        .filter(live)
        .map(|request| async move { (request, release(cluster, request, me, &args.reason).await) });
    let mut failed: Option<Error> = None;
    for (request, ended) in futures::stream::iter(ends).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await {
        let (name, user) = (request.name_any(), &request.requester().username);
        match ended {
            Ok(_) => app.printer.say(&format!("Revoked {name}, held by {user}.")),
            Err(fault) => {
                let error = Error::from(fault);
                app.printer.warn(&format!("{name}, held by {user}, was not revoked: {}", error.message));
                failed = Some(error);
            }
        }
    }
    for over in requests.iter().filter(|r| outcome(*r).is_some()) {
        app.printer.say(&format!("{} is over already.", over.name_any()));
    }
    failed
}

/// Every live request of a user: by the grants where they may be read, as those are what counts, and by the requests.
async fn held_by<R: Asked>(args: &Args, cluster: &Cluster, user: &str) -> Result<Listing<R>, Error> {
    // What is in no namespace is in none of them.
    let scope = (!args.all_namespaces).then_some(cluster.namespace.as_str());
    let listed = scope.filter(|_| R::KIND != Kind::Federation);
    let params = ListParams::default();
    let (grants, requests) = tokio::join!(
        cluster.list::<Grant>("list grants", None, &params),
        cluster.list::<R>("list requests", listed, &params),
    );
    let mut found = match (&grants, requests) {
        (_, Ok(list)) => list,
        (Ok(_), Err(_)) => Listing { items: Vec::new(), unread: Vec::new() },
        (Err(_), Err(fault)) => return Err(fault.into()),
    };
    found.items.retain(|r| r.requester().username == user && outcome(r).is_none());
    let grants = grants.unwrap_or(Listing { items: Vec::new(), unread: Vec::new() });
    found.unread.extend(grants.unread);
    for grant in grants.items {
        let spec = &grant.spec.request;
        let here = scope.is_none_or(|ns| ns == spec.namespace || spec.namespace.is_empty());
        let known = found.items.iter().any(|r| r.uid().as_deref() == Some(&spec.uid));
        if here && !known && grant.spec.holder.username == user && spec.kind == R::kind(&()) {
            let api = cluster.asked::<R>(Some(&spec.namespace));
            match cluster.call("read the request", api.get(&spec.name)).await {
                Ok(request) => found.items.push(request),
                // Without its request a grant ends by itself.
                Err(fault) if fault.code() == Some(404) => {}
                Err(fault) => return Err(fault.into()),
            }
        }
    }
    Ok(found)
}

/// How long that may take.
fn limit<R: Asked>() -> Duration {
    match R::KIND {
        Kind::Access => VERIFY,
        Kind::Namespaces | Kind::Federation | Kind::Delegation => DELETED,
    }
}

/// Waits until the controller has ended it, and gives what it had come to.
async fn ended<R: Asked>(app: &App, cluster: &Cluster, request: &R) -> Result<RequestStatus, Error> {
    let (name, namespace) =
        (request.name_any(), request.namespace().unwrap_or_else(|| cluster.namespace.clone()));
    let deadline = tokio::time::Instant::now() + limit::<R>();
    let requests = cluster.asked::<R>(Some(&namespace));
    let status = loop {
        match cluster.call("read the request", requests.get(&name)).await {
            Ok(now) if outcome(&now).is_some() && now.phase().is_final() => {
                break now.status().cloned().unwrap_or_default();
            }
            Err(fault) if fault.code() == Some(404) => break request.status().cloned().unwrap_or_default(),
            Ok(_) => {}
            Err(fault) => return Err(fault.into()),
        }
        if tokio::time::Instant::now() > deadline {
            return Err(Error::new(exit::NOT_READY, format!("{name} is released, but the controller has not ended it within {} s", limit::<R>().as_secs()))
                .hint("kubectl get pods -n oz-system shows whether the controller runs")
                .hint(format!("a kubectl delete grant by who holds revoke on grants ends access without it: oz describe {} -n {namespace}", request.target())));
        }
        tokio::time::sleep(LOOK).await;
    };
    app.printer.say(&format!("{name}: ended."));
    Ok(status)
}

/// Waits until nothing is left, and says for each thing whether that could be seen.
async fn verify(
    app: &App,
    cluster: &Cluster,
    request: &AccessRequest,
    status: &RequestStatus,
) -> Result<(), Error> {
    let (name, namespace) =
        (request.name_any(), request.namespace().unwrap_or_else(|| cluster.namespace.clone()));
    let deadline = tokio::time::Instant::now() + VERIFY;
    if status.grant.is_empty() {
        app.printer.say("  nothing had been granted");
        return Ok(());
    }
    let bindings: Api<RoleBinding> = Api::namespaced(cluster.client.clone(), &namespace);
    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client.clone(), SESSIONS_NAMESPACE);
    gone(app, cluster, "grant", &cluster.grants(), &status.grant, deadline).await?;
    // A copy of a pod is called after its grant.
    if status.pod.ends_with(&format!("-{}", status.grant)) {
        let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), &namespace);
        gone(app, cluster, "pod", &pods, &status.pod, deadline).await?;
    }
    if status.account.is_empty() {
        gone(app, cluster, "role binding", &bindings, &status.grant, deadline).await?;
    } else {
        gone(app, cluster, "role binding", &bindings, &status.account, deadline).await?;
        gone(app, cluster, "account", &accounts, &status.account, deadline).await?;
    }
    // A role is for no pod in particular.
    let pod = if status.pod.is_empty() { "any" } else { &status.pod };
    try_token(app, cluster, (&name, &context_name(&namespace, &name)), (&namespace, pod), deadline).await
}

/// The same where whole namespaces were lent. They are gone first: the grant is while they are.
async fn verify_namespaces(
    app: &App,
    cluster: &Cluster,
    request: &impl Asked,
    status: &RequestStatus,
) -> Result<(), Error> {
    let deadline = tokio::time::Instant::now() + VERIFY;
    if status.grant.is_empty() {
        app.printer.say("  nothing had been granted");
        return Ok(());
    }
    gone(app, cluster, "grant", &cluster.grants(), &status.grant, deadline).await?;
    let api: Api<Namespace> = Api::all(cluster.client.clone());
    for lent in &status.namespaces {
        match cluster.call("read the namespace", api.get_metadata_opt(&lent.name)).await {
            Ok(Some(there)) if there.uid().as_deref() == Some(&lent.uid) => {
                app.printer.say(&format!("  namespace {}: kept on by another request", lent.name));
            }
            // Another one of its name is nobody's matter.
            Ok(_) => app.printer.say(&format!("  namespace {}: gone", lent.name)),
            Err(fault) if fault.code() == Some(403) => {
                app.printer.say(&format!("  namespace {}: you may not look", lent.name));
            }
            Err(fault) => return Err(fault.into()),
        }
    }
    if status.account.is_empty() {
        return Ok(());
    }
    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client.clone(), SESSIONS_NAMESPACE);
    gone(app, cluster, "account", &accounts, &status.account, deadline).await?;
    let contexts = request.contexts();
    let Some((context, namespace)) = contexts.first() else { return Ok(()) };
    try_token(app, cluster, (&request.name_any(), context), (namespace, "any"), deadline).await
}

/// Waits until the token that the kubeconfig's context holds, if it does, is refused for a look at a pod.
async fn try_token(
    app: &App,
    cluster: &Cluster,
    (name, context): (&str, &str),
    (namespace, pod): (&str, &str),
    deadline: tokio::time::Instant,
) -> Result<(), Error> {
    let Some(token) = token_in_kubeconfig(&app.settings, context) else {
        app.printer.say("  token: none here to try");
        return Ok(());
    };
    let session = cluster.session(&token)?;
    let pods: Api<Pod> = Api::namespaced(session, namespace);
    loop {
        match cluster.call("try the token", pods.get(pod)).await {
            Err(fault) if matches!(fault.code(), Some(401 | 403)) => {
                app.printer.say(&format!("  token: refused ({})", fault.code().unwrap_or_default()));
                return Ok(());
            }
            _ if tokio::time::Instant::now() > deadline => {
                return Err(Error::new(exit::NOT_READY, format!("the token of {name} still works")));
            }
            _ => tokio::time::sleep(LOOK).await,
        }
    }
}

/// Waits until one object is gone; says so, or that it may not be looked at.
async fn gone<K>(
    app: &App,
    cluster: &Cluster,
    what: &str,
    api: &Api<K>,
    name: &str,
    deadline: tokio::time::Instant,
) -> Result<(), Error>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
{
    loop {
        match cluster.call(&format!("read the {what}"), api.get(name)).await {
            Err(fault) if fault.code() == Some(404) => {
                app.printer.say(&format!("  {what}: gone"));
                return Ok(());
            }
            Err(fault) if fault.code() == Some(403) => {
                app.printer.say(&format!("  {what}: you may not look"));
                return Ok(());
            }
            Err(fault @ Fault::Api { .. }) => return Err(fault.into()),
            _ if tokio::time::Instant::now() > deadline => {
                return Err(Error::new(exit::NOT_READY, format!("the {what} {name} is still there")));
            }
            _ => tokio::time::sleep(LOOK).await,
        }
    }
}
