//! `oz enable`

mod namespaces;

use std::time::Duration;

use k8s_openapi::api::rbac::v1::{ClusterRole, RoleBinding};
use kube::api::{DeleteParams, Preconditions};
use kube::{Api, ResourceExt as _};
use oz_shared::names::{
    BIND_REQUESTER_ROLE, CEILING_ROLE, DELEGATIONS_ROLE, DELEGATIONS_SECRETS_ROLE, NAMESPACE_ROLE,
    is_reserved_namespace,
};
use oz_shared::role::in_words;
use oz_shared::{AccessRequest, Grant};
use serde_json::json;
use tokio::time::Instant;

use crate::app::App;
use crate::error::Error;
use crate::exit;
use crate::installation::{self, ALL_BINDINGS, BINDINGS, Enabled};
use crate::kube::{Cluster, Fault};
use crate::output::{Table, clean};

/// How long the controller may take to take back what is lent: a pass, and the pods that it evicts.
const ENDS: Duration = Duration::from_secs(60);

const EXAMPLES: &str = "\
Examples:
  oz enable shop pay
  oz enable shop --bind-requester          roles may be bound to people by their own names, too
  oz enable shop --delegations             what people could hand on themselves may be delegated there
  oz enable shop --delegations=secrets     ... also on what happens to Secrets, which Oz can then read
  oz enable --delegations                  ... also in the whole cluster, as a ceiling of its own says
  oz enable --namespaces                   whole namespaces may be lent, as classes say
  oz enable --federations                  partners' clusters may be let in
  oz enable --list
  oz enable shop --disable";

/// Let Oz lend in a namespace, or no longer
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The namespaces
    #[arg(value_name = "NAMESPACE", required_unless_present_any = ["list", "making", "federations", "delegations"])]
    namespaces: Vec<String>,
    /// Let Oz make namespaces, and delete those that it made; with --disable, no longer
    #[arg(long = "namespaces", id = "making", conflicts_with_all = ["list", "namespaces", "bind_requester"])]
    making: bool,
    /// Let Oz let partners' clusters in, and bind what they read by in the whole cluster; with --disable, no longer
    #[arg(long, conflicts_with_all = ["list", "namespaces", "bind_requester", "making"])]
    federations: bool,
    /// Let Oz delegate there, or, where no namespace is named, in the whole cluster; with --disable, this alone no longer
    #[arg(
        long,
        value_name = "WITH",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "none",
        conflicts_with_all = ["list", "making", "federations"]
    )]
    delegations: Option<With>,
    /// No longer: end what is lent there, then take the controller's rights away
    #[arg(long, conflicts_with = "list")]
    disable: bool,
    /// Also let templates with `identity: Requester` bind people by their own names; with --disable, this alone no longer
    #[arg(long, conflicts_with = "list")]
    bind_requester: bool,
    /// Show where Oz may lend
    #[arg(long, conflicts_with = "namespaces")]
    list: bool,
    /// How to print the list
    #[arg(short, long, value_name = "FORMAT", requires = "list", default_value = "table")]
    output: As,
    /// With --disable: do not ask
    #[arg(short, long)]
    yes: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum As {
    /// For people
    Table,
    /// For programs
    Json,
    /// The names alone
    Name,
}

/// What Oz may wait for beside all else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum With {
    /// Nothing more
    None,
    /// Secrets: it can then read them
    Secrets,
}

pub(crate) async fn run(args: Args, app: &App) -> Result<u8, Error> {
    let cluster = app.cluster().await?;
    if args.list {
        return list(&args, app, &cluster).await;
    }
    if args.making {
        match args.disable {
            true => namespaces::disable(&args, app, &cluster).await?,
            false => namespaces::enable(app, &cluster).await?,
        }
        return Ok(exit::DONE);
    }
    if args.federations {
        match args.disable {
            true => namespaces::disable_federations(&args, app, &cluster).await?,
            false => namespaces::enable_federations(app, &cluster).await?,
        }
        return Ok(exit::DONE);
    }
    if args.delegations.is_some() && args.namespaces.is_empty() {
        match args.disable {
            true => namespaces::disable_delegations(app, &cluster).await?,
            false => namespaces::enable_delegations(app, &cluster).await?,
        }
        return Ok(exit::DONE);
    }
    if args.disable {
        for namespace in &args.namespaces {
            match (args.bind_requester, args.delegations) {
                (false, None) => disable(&args, app, &cluster, namespace).await?,
                (names, delegations) => {
                    if names {
                        no_names(app, &cluster, namespace).await?;
                    }
                    if delegations.is_some() {
                        no_delegations(app, &cluster, namespace).await?;
                    }
                }
            }
        }
        return Ok(exit::DONE);
    }
    args.namespaces.iter().try_for_each(|namespace| lendable(namespace))?;
    let mut wanted = BINDINGS.to_vec();
    wanted.extend(args.bind_requester.then_some(BIND_REQUESTER_ROLE));
    wanted.extend(args.delegations.map(|_| DELEGATIONS_ROLE));
    wanted.extend(args.delegations.filter(|with| *with == With::Secrets).map(|_| DELEGATIONS_SECRETS_ROLE));
    let roles = roles(&cluster, &wanted).await?;
    for namespace in &args.namespaces {
        enable(app, &cluster, namespace, &wanted).await?;
    }
    explain(app, &cluster, &roles, &args.namespaces).await;
    Ok(exit::DONE)
}

/// What will be bound, as far as this user may read it.
async fn roles(cluster: &Cluster, wanted: &[&str]) -> Result<Vec<ClusterRole>, Error> {
    let api: Api<ClusterRole> = Api::all(cluster.client.clone());
    let mut roles = Vec::new();
    for role in wanted {
        match cluster.call("read a ClusterRole", api.get_opt(role)).await {
            Ok(Some(role)) => roles.push(role),
            Ok(None) => {
                return Err(Error::new(
                    exit::NOT_READY,
                    format!("Oz is not installed on this cluster: there is no ClusterRole {role}"),
                )
                .hint("oz install"));
            }
            Err(fault) if fault.code() == Some(403) => {}
            Err(fault) => return Err(fault.into()),
        }
    }
    Ok(roles)
}

/// Oz never lends in Kubernetes' own namespaces, nor in its own.
fn lendable(namespace: &str) -> Result<(), Error> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if namespace.is_empty() || namespace.len() > 63 || !namespace.chars().all(fits) {
        return Err(Error::usage(format!("{:?} is not the name of a namespace", clean(namespace))));
    }
    match is_reserved_namespace(namespace) {
        true => Err(Error::usage(format!("Oz lends nothing in {namespace}: it is Kubernetes' own, or Oz's"))),
        false => Ok(()),
    }
}

/// The binding of that name, if there is one.
async fn found(cluster: &Cluster, namespace: &str, name: &str) -> Result<Option<RoleBinding>, Fault> {
    let api: Api<RoleBinding> = Api::namespaced(cluster.client.clone(), namespace);
    cluster.call(&format!("read RoleBinding {namespace}/{name}"), api.get_opt(name)).await
}

async fn enable(app: &App, cluster: &Cluster, namespace: &str, wanted: &[&str]) -> Result<(), Error> {
    // All are looked at before any is made.
    let mut missing = Vec::new();
    for name in wanted {
        match found(cluster, namespace, name).await? {
            None => missing.push(name),
            Some(binding)
                if installation::is_ours(&binding) && binding.metadata.deletion_timestamp.is_none() => {}
            Some(binding) => return Err(other(namespace, &binding)),
        }
    }
    for name in &missing {
        match installation::create(cluster, &installation::binding(namespace, name)).await {
            Ok(()) => {}
            Err(fault) => return Err(refused(fault, namespace)),
        }
    }
    let mut more = String::new();
    if wanted.contains(&BIND_REQUESTER_ROLE) {
        more.push_str(", bind people there by their own names");
    }
    if wanted.contains(&DELEGATIONS_ROLE) {
        more.push_str(", and delegate there");
    }
    match missing.is_empty() {
        true => app.printer.say(&format!("Oz may lend in {namespace} already{more}.")),
        false => app.printer.say(&format!("Oz may now lend in {namespace}{more}.")),
    }
    Ok(())
}

fn other(namespace: &str, binding: &RoleBinding) -> Error {
    let (name, role) = (binding.name_any(), &binding.role_ref);
    let subjects: Vec<String> =
        binding.subjects.iter().flatten().map(|s| format!("{}/{}", s.kind, clean(&s.name))).collect();
    Error::new(
        exit::DENIED,
        format!(
            "there is a RoleBinding {name} in {namespace} which says something else ({}/{} for {}): it is left as it is",
            role.kind,
            role.name,
            if subjects.is_empty() { "nobody".to_owned() } else { subjects.join(", ") },
        ),
    )
    .hint(format!("kubectl -n {namespace} delete rolebinding {name}, if it is not needed; then oz enable {namespace}"))
}

fn refused(fault: Fault, namespace: &str) -> Error {
    match fault.code() {
        Some(404) => Error::usage(format!("there is no namespace {namespace}")),
        _ => Error::from(fault),
    }
}

/// What the controller may do there from now on, and what is needed besides.
async fn explain(app: &App, cluster: &Cluster, roles: &[ClusterRole], namespaces: &[String]) {
    let indented = |lines: &[String]| lines.iter().for_each(|line| app.printer.say(&format!("  {line}")));
    for role in roles {
        let rules = role.rules.as_deref().unwrap_or_default();
        match role.name_any().as_str() {
            NAMESPACE_ROLE => {
                app.printer.say("The controller itself may there:");
                indented(&rules.iter().map(in_words).collect::<Vec<_>>());
            }
            CEILING_ROLE => {
                app.printer.say("The most that it may hand out there, as templates say:");
                let ceiling = installation::ceiling(cluster, rules).await;
                indented(&ceiling.words);
                let lasting = ceiling.lasting.iter();
                lasting.for_each(|power| app.printer.warn(&format!("this outlasts a loan: {power}")));
            }
            DELEGATIONS_ROLE | DELEGATIONS_SECRETS_ROLE => {
                app.printer.say("To delegate there it may also:");
                indented(&rules.iter().map(in_words).collect::<Vec<_>>());
            }
            _ => app.printer.say(
                "Where a template says `identity: Requester`, a role is bound to the person by name: its end depends on \
                 Oz's controller.",
            ),
        }
    }
    if let [namespace] = namespaces {
        app.printer.say(&format!(
            "Nobody may ask for anything yet. For a start:\n  \
             kubectl -n {namespace} create rolebinding oz-requesters --clusterrole oz-requester --group GROUP\n  \
             kubectl -n {namespace} create rolebinding oz-approvers --clusterrole oz-approver --group GROUP\n  \
             kubectl -n {namespace} create rolebinding oz-authors --clusterrole oz-author --group GROUP"
        ));
    }
}

/// Does the grant hold anything in the namespace, or come from there? What is lent as a namespace is no matter of it.
fn touches(grant: &Grant, namespace: &str) -> bool {
    grant.spec.request.namespace == namespace && grant.spec.namespaces.is_none()
        || grant.spec.access.iter().any(|a| a.namespace == namespace)
}

async fn disable(args: &Args, app: &App, cluster: &Cluster, namespace: &str) -> Result<(), Error> {
    let mut ours = Vec::new();
    for name in ALL_BINDINGS {
        match found(cluster, namespace, name).await? {
            Some(binding) if installation::is_ours(&binding) => ours.push(binding),
            Some(binding) => return Err(other(namespace, &binding)),
            None => {}
        }
    }
    if ours.is_empty() {
        app.printer.say(&format!("Oz may not lend in {namespace} anyway."));
        return Ok(());
    }
    // Without these rights the controller can no longer take back what it gave: that comes first.
    let grants: Vec<Grant> = installation::live(cluster).await.map_err(|fault| {
        Error::from(fault)
            .hint("whether anything is lent there cannot be seen; ClusterRole oz-auditor shows it")
    })?;
    let grants: Vec<Grant> = grants.into_iter().filter(|g| touches(g, namespace)).collect();
    if !grants.is_empty() {
        app.printer.say(&format!("Lent in {namespace} now:"));
        for grant in &grants {
            let spec = &grant.spec;
            app.printer.say(&format!(
                "  {} to {}: {}",
                spec.request.name,
                spec.holder.username,
                spec.granted.join("; ")
            ));
        }
        if !args.yes {
            if !app.ui.interactive() {
                return Err(Error::usage(format!("{} loans there must end first", grants.len()))
                    .hint(format!("oz enable {namespace} --disable -y ends them; or oz revoke each")));
            }
            if !app.ui.confirm("End them and disable it?")? {
                return Err(Error::new(exit::REJECTED, "nothing was changed"));
            }
        }
        end(app, cluster, namespace).await?;
    }
    for binding in ours {
        unbind(cluster, namespace, &binding).await?;
    }
    app.printer.say(&format!(
        "Oz may no longer lend in {namespace}. Its templates and the record of requests stay there."
    ));
    Ok(())
}

/// Takes away what `--bind-requester` gave. What is bound by name already ends as it would have: deleting needs no such
/// right.
async fn no_names(app: &App, cluster: &Cluster, namespace: &str) -> Result<(), Error> {
    match found(cluster, namespace, BIND_REQUESTER_ROLE).await? {
        Some(binding) if !installation::is_ours(&binding) => return Err(other(namespace, &binding)),
        Some(binding) => {
            unbind(cluster, namespace, &binding).await?;
            app.printer.say(&format!("Oz no longer binds people by their own names in {namespace}."));
        }
        None => app.printer.say(&format!("Oz binds nobody by his own name in {namespace} anyway.")),
    }
    Ok(())
}

/// Takes away what `--delegations` gave. What is delegated there is taken back by the controller: that needs no such right.
async fn no_delegations(app: &App, cluster: &Cluster, namespace: &str) -> Result<(), Error> {
    let mut ours = Vec::new();
    for name in [DELEGATIONS_ROLE, DELEGATIONS_SECRETS_ROLE] {
        match found(cluster, namespace, name).await? {
            Some(binding) if !installation::is_ours(&binding) => return Err(other(namespace, &binding)),
            Some(binding) => ours.push(binding),
            None => {}
        }
    }
    for binding in &ours {
        unbind(cluster, namespace, binding).await?;
    }
    match ours.is_empty() {
        true => app.printer.say(&format!("Oz delegates nothing in {namespace} anyway.")),
        false => app.printer.say(&format!(
            "Oz may no longer delegate in {namespace}: what it has bound there it takes back within a minute."
        )),
    }
    Ok(())
}

async fn unbind(cluster: &Cluster, namespace: &str, binding: &RoleBinding) -> Result<(), Fault> {
    let api: Api<RoleBinding> = Api::namespaced(cluster.client.clone(), namespace);
    let preconditions = Preconditions { uid: binding.uid(), resource_version: None };
    let with = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    let doing = format!("delete RoleBinding {namespace}/{}", binding.name_any());
    match cluster.call(&doing, api.delete(&binding.name_any(), &with)).await {
        Err(fault) if fault.code() != Some(404) => Err(fault),
        _ => Ok(()),
    }
}

async fn end(app: &App, cluster: &Cluster, namespace: &str) -> Result<(), Error> {
    let ended =
        installation::end_all::<AccessRequest>(cluster, Some(namespace), "Oz is disabled in this namespace");
    for (request, fault) in ended.await? {
        app.printer.warn(&format!("{} was not released: {}", request.name_any(), Error::from(fault).message));
    }
    let why = "Oz is disabled in this namespace";
    for (delegation, fault) in installation::end_delegations(cluster, Some(namespace), |_| true, why).await? {
        app.printer.warn(&format!(
            "{} was not released: {}",
            delegation.name_any(),
            Error::from(fault).message
        ));
    }
    let left =
        installation::wait_until_gone(cluster, |g| touches(g, namespace), Instant::now() + ENDS).await?;
    match left.first() {
        None => Ok(()),
        Some(grant) => Err(Error::new(
            exit::NOT_READY,
            format!(
                "{} loans have not ended, {} among them: the namespace stays enabled",
                left.len(),
                grant.spec.request.name
            ),
        )
        .hint("oz check shows whether the controller runs")
        .hint(format!("oz describe {} -n {}", grant.spec.request.name, grant.spec.request.namespace))),
    }
}

async fn list(args: &Args, app: &App, cluster: &Cluster) -> Result<u8, Error> {
    let enabled = installation::enabled(cluster).await?;
    // Who may not see it is told nothing of it.
    let making = namespaces::made(cluster).await.ok();
    // Who may not read grants sees the namespaces all the same.
    let grants = installation::live(cluster).await.ok();
    let count = |e: &Enabled| {
        grants.as_ref().map(|grants| grants.iter().filter(|g| touches(g, &e.namespace)).count())
    };
    match args.output {
        As::Name if enabled.is_empty() => {}
        As::Name => {
            let names: Vec<&str> =
                enabled.iter().filter(|e| e.missing.is_empty()).map(|e| e.namespace.as_str()).collect();
            app.printer.data(&names.join("\n"))?;
        }
        As::Json => {
            let items: Vec<_> = enabled
                .iter()
                .map(|e| json!({"namespace": e.namespace, "enabled": e.missing.is_empty(), "missing": e.missing, "bindRequester": e.by_name, "delegations": e.delegates, "grants": count(e)}))
                .collect();
            app.printer.data(&format!("{:#}", json!({"namespaces": items, "lendsNamespaces": making})))?;
        }
        As::Table if enabled.is_empty() => {
            app.printer.say("Oz may lend in no namespace yet: oz enable NAMESPACE");
            tell(app, making);
        }
        As::Table => {
            let rows: Vec<Vec<String>> = enabled
                .iter()
                .map(|e| {
                    let state = match e.missing.is_empty() {
                        true => {
                            let names = if e.by_name { ", people by name too" } else { "" };
                            format!("enabled{names}{}", if e.delegates { ", delegations too" } else { "" })
                        }
                        false => format!("half: no RoleBinding {}", e.missing.join(", ")),
                    };
                    vec![
                        e.namespace.clone(),
                        state,
                        count(e).map_or_else(|| "?".to_owned(), |n| n.to_string()),
                    ]
                })
                .collect();
            app.printer.data(&Table::new(&["NAMESPACE", "STATE", "GRANTS"]).whole(&rows))?;
            tell(app, making);
        }
    }
    Ok(exit::DONE)
}

/// Whether whole namespaces may be lent.
fn tell(app: &App, making: Option<bool>) {
    match making {
        Some(true) => app.printer.say("It may lend whole namespaces."),
        Some(false) => app.printer.say("It may lend no whole namespaces: oz enable --namespaces"),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lent_in_reserved_namespaces() {
        for bad in ["kube-system", "kube-x", "oz-system", "oz-sessions", "", "a/b", "Shop"] {
            assert_eq!(lendable(bad).unwrap_err().code, exit::USAGE, "{bad}");
        }
        assert_eq!(lendable("shop"), Ok(()));
    }
}
