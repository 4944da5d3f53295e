//! `oz enable --namespaces`: may whole namespaces be lent?

use std::time::Duration;

use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::ResourceExt as _;
use kube::api::ListParams;
use oz_shared::delegation::Scope;
use oz_shared::names::{DELEGATIONS_CEILING_ROLE, FEDERATIONS_CEILING_ROLE, NAMESPACES_CEILING_ROLE};
use oz_shared::{Delegation, Federation, Grant, NamespaceRequest};
use tokio::time::Instant;

use super::Args;
use crate::app::App;
use crate::error::Error;
use crate::exit;
use crate::installation::{self, CLUSTER_BINDINGS, DELEGATION_BINDINGS, FEDERATION_BINDINGS};
use crate::kube::{Cluster, Fault};
use crate::output::clean;
use crate::target::Kind;

/// How long namespaces may take to be deleted with all that is in them.
const ENDS: Duration = Duration::from_secs(180);
/// Between two looks meanwhile.
const LOOK: Duration = Duration::from_millis(250);

/// Are both bindings there?
pub(super) async fn made(cluster: &Cluster) -> Result<bool, Fault> {
    let found = installation::bound(cluster, CLUSTER_BINDINGS).await?;
    Ok(found.iter().all(|one| one.as_ref().is_some_and(installation::says_the_same)))
}

/// Both bindings, as far as they are there and ours.
async fn ours(cluster: &Cluster, names: [&str; 2]) -> Result<Vec<ClusterRoleBinding>, Error> {
    let mut ours = Vec::new();
    for binding in installation::bound(cluster, names).await?.into_iter().flatten() {
        if !installation::says_the_same(&binding) {
            return Err(other(&binding));
        }
        ours.push(binding);
    }
    Ok(ours)
}

fn other(binding: &ClusterRoleBinding) -> Error {
    let (name, role) = (binding.name_any(), &binding.role_ref);
    let subjects: Vec<String> =
        binding.subjects.iter().flatten().map(|s| format!("{}/{}", s.kind, clean(&s.name))).collect();
    Error::new(
        exit::DENIED,
        format!(
            "there is a ClusterRoleBinding {name} which says something else ({}/{} for {}): it is left as it is",
            role.kind,
            role.name,
            if subjects.is_empty() { "nobody".to_owned() } else { subjects.join(", ") },
        ),
    )
    .hint(format!("kubectl delete clusterrolebinding {name}, if it is not needed; then the same again"))
}

pub(super) async fn enable(app: &App, cluster: &Cluster) -> Result<(), Error> {
    let roles = super::roles(cluster, &CLUSTER_BINDINGS).await?;
    app.printer.say(match bind(cluster, CLUSTER_BINDINGS).await? {
        false => "Oz may make namespaces, and delete those that it made, already.",
        true => "Oz may now make namespaces, and delete those that it made.",
    });
    if !roles.is_empty() {
        let owners = installation::bindable(cluster, NAMESPACES_CEILING_ROLE).await?;
        app.printer.say(&format!("They may be owned by ClusterRole {}.", owners.join(", ")));
        app.printer
            .say("  others: a ClusterRole with the label ozaccess.io/ceiling-namespaces=true and the verb bind on them");
    }
    app.printer.say(
        "Nobody may ask for any yet. For a start: write a NamespaceClass (manifests/examples), and\n  \
         kubectl create namespace oz-requests\n  \
         kubectl -n oz-requests create rolebinding oz-requesters --clusterrole oz-namespace-requester --group GROUP\n  \
         kubectl -n oz-requests create rolebinding oz-approvers --clusterrole oz-namespace-approver --group GROUP",
    );
    Ok(())
}

/// Makes those of both bindings that are missing; was there any?
async fn bind(cluster: &Cluster, names: [&str; 2]) -> Result<bool, Error> {
    // Both are looked at before any is made.
    let there = ours(cluster, names).await?;
    let missing = names.iter().filter(|name| !there.iter().any(|b| b.name_any() == **name));
    let missing: Vec<_> = missing.collect();
    for name in &missing {
        installation::create(cluster, &installation::cluster_binding(name)).await?;
    }
    Ok(!missing.is_empty())
}

/// `oz enable --federations`: may partners' clusters be let in?
pub(super) async fn enable_federations(app: &App, cluster: &Cluster) -> Result<(), Error> {
    let roles = super::roles(cluster, &FEDERATION_BINDINGS).await?;
    app.printer.say(match bind(cluster, FEDERATION_BINDINGS).await? {
        false => "Oz may let partners' clusters in already.",
        true => "Oz may now let partners' clusters in.",
    });
    if !made(cluster).await? {
        app.printer.warn("it may make no namespaces for them yet: oz enable --namespaces");
    }
    if !roles.is_empty() {
        let read = installation::bindable(cluster, FEDERATIONS_CEILING_ROLE).await?;
        let by = if read.is_empty() {
            "nothing yet".to_owned()
        } else {
            format!("ClusterRole {}", read.join(", "))
        };
        app.printer.say(&format!("In the whole cluster they may read by {by}."));
        app.printer.say(
            "  others: a ClusterRole with the label ozaccess.io/ceiling-federations=true and the verbs bind and lend-everywhere on them",
        );
    }
    app.printer.say(
        "Nobody may ask for any yet. For a start: write a NamespaceClass with `federation`, and\n  \
         kubectl create clusterrolebinding oz-federation-requesters --clusterrole oz-federation-requester --group GROUP\n  \
         kubectl create clusterrolebinding oz-federation-approvers --clusterrole oz-federation-approver --group GROUP",
    );
    Ok(())
}

pub(super) async fn disable_federations(args: &Args, app: &App, cluster: &Cluster) -> Result<(), Error> {
    let ours = ours(cluster, FEDERATION_BINDINGS).await?;
    if ours.is_empty() {
        app.printer.say("Oz may let no partners' clusters in anyway.");
        return Ok(());
    }
    let is_partners =
        |grant: &Grant| !grant.spec.parent.is_empty() || grant.spec.request.kind == "Federation";
    // Without these rights the controller can no longer take back what a partner reads by: that comes first.
    end(args, app, cluster, is_partners, "--federations", async || {
        installation::end_all::<Federation>(cluster, None, "partners are no longer let in")
            .await
            .map(|failed| failed.into_iter().map(|(request, fault)| (request.name_any(), fault)).collect())
    })
    .await?;
    unbind(cluster, ours).await?;
    app.printer
        .say("Oz may no longer let partners' clusters in. Classes and the record of federations stay.");
    Ok(())
}

/// `oz enable --delegations`: may rights be delegated in the whole cluster?
pub(super) async fn enable_delegations(app: &App, cluster: &Cluster) -> Result<(), Error> {
    let roles = super::roles(cluster, &DELEGATION_BINDINGS).await?;
    app.printer.say(match bind(cluster, DELEGATION_BINDINGS).await? {
        false => "Oz may delegate in the whole cluster already.",
        true => "Oz may now delegate in the whole cluster.",
    });
    if !roles.is_empty() {
        let bindable = installation::bindable(cluster, DELEGATIONS_CEILING_ROLE).await?;
        let what = match bindable.is_empty() {
            true => "nothing yet".to_owned(),
            false => format!("ClusterRole {}", bindable.join(", ")),
        };
        app.printer.say(&format!("There it may bind {what}."));
        app.printer.say(
            "  others: a ClusterRole with the label ozaccess.io/ceiling-delegations=true and the verbs bind and delegate-everywhere on them",
        );
    }
    app.printer.say("Delegations are written in namespaces: oz enable NAMESPACE --delegations");
    Ok(())
}

pub(super) async fn disable_delegations(app: &App, cluster: &Cluster) -> Result<(), Error> {
    let ours = ours(cluster, DELEGATION_BINDINGS).await?;
    if ours.is_empty() {
        app.printer.say("Oz delegates nothing in the whole cluster anyway.");
        return Ok(());
    }
    // Without these rights the controller can no longer take back what it bound: that comes first.
    let wide = |delegation: &Delegation| delegation.spec.scope == Scope::Cluster;
    let why = "nothing is delegated in the whole cluster any more";
    let failed = installation::end_delegations(cluster, None, wide, why).await?;
    if let Some((delegation, fault)) = failed.into_iter().next() {
        let message = format!("{} was not released: {}", delegation.name_any(), Error::from(fault).message);
        return Err(Error::new(exit::NOT_READY, message));
    }
    let api = cluster.delegations(None);
    let deadline = Instant::now() + ENDS;
    loop {
        let all = cluster.call("list delegations", api.list(&ListParams::default())).await?;
        let left: Vec<_> = all.items.iter().filter(|d| wide(d) && !d.phase().is_final()).collect();
        let Some(first) = left.first() else { break };
        if Instant::now() > deadline {
            let message = format!("{} has not ended: Oz keeps the right to take it back", first.name_any());
            return Err(
                Error::new(exit::NOT_READY, message).hint("oz check shows whether the controller runs")
            );
        }
        tokio::time::sleep(LOOK).await;
    }
    unbind(cluster, ours).await?;
    app.printer.say("Oz may no longer delegate in the whole cluster. The record of delegations stays.");
    Ok(())
}

async fn unbind(cluster: &Cluster, bindings: Vec<ClusterRoleBinding>) -> Result<(), Error> {
    for binding in bindings {
        installation::delete(cluster, &installation::cluster_binding(&binding.name_any())).await?;
    }
    Ok(())
}

pub(super) async fn disable(args: &Args, app: &App, cluster: &Cluster) -> Result<(), Error> {
    let ours = ours(cluster, CLUSTER_BINDINGS).await?;
    if ours.is_empty() {
        app.printer.say("Oz may lend no whole namespaces anyway.");
        return Ok(());
    }
    // Without these rights the controller can no longer delete what it made: that comes first.
    end(
        args,
        app,
        cluster,
        |grant| grant.spec.namespaces.is_some(),
        "--namespaces",
        async || {
            let why = "namespaces are no longer lent";
            let mut failed: Vec<(String, Fault)> = Vec::new();
            let requests = installation::end_all::<NamespaceRequest>(cluster, None, why).await?;
            failed.extend(requests.into_iter().map(|(request, fault)| (request.name_any(), fault)));
            let federations = installation::end_all::<Federation>(cluster, None, why).await?;
            failed.extend(federations.into_iter().map(|(request, fault)| (request.name_any(), fault)));
            Ok(failed)
        },
    )
    .await?;
    unbind(cluster, ours).await?;
    app.printer.say("Oz may no longer lend whole namespaces. Classes and the record of requests stay.");
    Ok(())
}

/// The namespaces of a grant, or what they are to be called.
fn names(grant: &Grant) -> Vec<String> {
    let made: Vec<String> = grant.status.iter().flat_map(|s| &s.namespaces).map(|n| n.name.clone()).collect();
    let wanted = || grant.spec.namespaces.as_ref().map(|n| n.names.clone()).unwrap_or_default();
    if made.is_empty() { wanted() } else { made }
}

/// Ends what is lent of it, after asking, and waits until that is gone. `release` ends the requests, and tells of those that
/// it could not end.
async fn end(
    args: &Args,
    app: &App,
    cluster: &Cluster,
    meant: impl Fn(&Grant) -> bool + Copy,
    flag: &str,
    release: impl AsyncFnOnce() -> Result<Vec<(String, Fault)>, Fault>,
) -> Result<(), Error> {
    let grants = installation::live(cluster).await.map_err(|fault| {
        Error::from(fault).hint("whether namespaces are lent cannot be seen; ClusterRole oz-auditor shows it")
    })?;
    let lent: Vec<Grant> = grants.into_iter().filter(meant).collect();
    if lent.is_empty() {
        return Ok(());
    }
    app.printer.say("Lent now, and to be deleted with all that is in them:");
    for grant in &lent {
        let names = names(grant).join(", ");
        app.printer.say(&format!("  {names} ({}, {})", grant.spec.holder.username, grant.spec.request.name));
    }
    if !args.yes {
        if !app.ui.interactive() {
            return Err(Error::usage(format!("{} loans of namespaces must end first", lent.len()))
                .hint(format!("oz enable {flag} --disable -y deletes them; or oz revoke each")));
        }
        if !app.ui.confirm("Delete them and disable it?")? {
            return Err(Error::new(exit::REJECTED, "nothing was changed"));
        }
    }
    for (name, fault) in release().await? {
        app.printer.warn(&format!("{name} was not released: {}", Error::from(fault).message));
    }
    let left = installation::wait_until_gone(cluster, meant, Instant::now() + ENDS).await?;
    match left.first() {
        None => Ok(()),
        Some(grant) => {
            let request = &grant.spec.request;
            let kind = request.kind.parse::<Kind>();
            let target = kind.map_or_else(|_| request.name.clone(), |kind| kind.target(&request.name));
            Err(Error::new(
                exit::NOT_READY,
                format!("{} are not deleted yet: Oz keeps the right to do it", names(grant).join(", ")),
            )
            .hint("oz check shows whether the controller runs")
            .hint(format!("oz describe {target} -n {} tells what holds them", request.namespace)))
        }
    }
}
