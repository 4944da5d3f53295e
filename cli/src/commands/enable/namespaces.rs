//! `oz enable --namespaces`: may whole namespaces be lent?

use std::time::Duration;

use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::ResourceExt as _;
use oz_shared::{Grant, NamespaceRequest};
use tokio::time::Instant;

use super::Args;
use crate::app::App;
use crate::error::Error;
use crate::exit;
use crate::installation::{self, CLUSTER_BINDINGS};
use crate::kube::{Cluster, Fault};
use crate::output::clean;

/// How long namespaces may take to be deleted with all that is in them.
const ENDS: Duration = Duration::from_secs(180);

/// Are both bindings there?
pub(super) async fn made(cluster: &Cluster) -> Result<bool, Fault> {
    let found = installation::making(cluster).await?;
    Ok(found.iter().all(|one| one.as_ref().is_some_and(installation::says_the_same)))
}

/// Both bindings, as far as they are there and ours.
async fn ours(cluster: &Cluster) -> Result<Vec<ClusterRoleBinding>, Error> {
    let mut ours = Vec::new();
    for binding in installation::making(cluster).await?.into_iter().flatten() {
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
    .hint(format!("kubectl delete clusterrolebinding {name}, if it is not needed; then oz enable --namespaces"))
}

pub(super) async fn enable(app: &App, cluster: &Cluster) -> Result<(), Error> {
    let roles = super::roles(cluster, &CLUSTER_BINDINGS).await?;
    // Both are looked at before any is made.
    let there = ours(cluster).await?;
    let missing = CLUSTER_BINDINGS.iter().filter(|name| !there.iter().any(|b| b.name_any() == **name));
    let missing: Vec<_> = missing.collect();
    for name in &missing {
        installation::create(cluster, &installation::cluster_binding(name)).await?;
    }
    app.printer.say(match missing.is_empty() {
        true => "Oz may make namespaces, and delete those that it made, already.",
        false => "Oz may now make namespaces, and delete those that it made.",
    });
    if !roles.is_empty() {
        let owners = installation::owner_roles(cluster).await?;
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

pub(super) async fn disable(args: &Args, app: &App, cluster: &Cluster) -> Result<(), Error> {
    let ours = ours(cluster).await?;
    if ours.is_empty() {
        app.printer.say("Oz may lend no whole namespaces anyway.");
        return Ok(());
    }
    // Without these rights the controller can no longer delete what it made: that comes first.
    let grants = installation::live(cluster).await.map_err(|fault| {
        Error::from(fault).hint("whether namespaces are lent cannot be seen; ClusterRole oz-auditor shows it")
    })?;
    let lent: Vec<Grant> = grants.into_iter().filter(|g| g.spec.namespaces.is_some()).collect();
    if !lent.is_empty() {
        app.printer.say("Lent now, and to be deleted with all that is in them:");
        for grant in &lent {
            let names = names(grant).join(", ");
            app.printer
                .say(&format!("  {names} ({}, {})", grant.spec.holder.username, grant.spec.request.name));
        }
        if !args.yes {
            if !app.ui.interactive() {
                return Err(Error::usage(format!("{} loans of namespaces must end first", lent.len()))
                    .hint("oz enable --namespaces --disable -y deletes them; or oz revoke each"));
            }
            if !app.ui.confirm("Delete them and disable it?")? {
                return Err(Error::new(exit::REJECTED, "nothing was changed"));
            }
        }
        end(app, cluster).await?;
    }
    for binding in ours {
        installation::delete(cluster, &installation::cluster_binding(&binding.name_any())).await?;
    }
    app.printer.say("Oz may no longer lend whole namespaces. Classes and the record of requests stay.");
    Ok(())
}

/// The namespaces of a grant, or what they are to be called.
fn names(grant: &Grant) -> Vec<String> {
    let made: Vec<String> = grant.status.iter().flat_map(|s| &s.namespaces).map(|n| n.name.clone()).collect();
    let wanted = || grant.spec.namespaces.as_ref().map(|n| n.names.clone()).unwrap_or_default();
    if made.is_empty() { wanted() } else { made }
}

async fn end(app: &App, cluster: &Cluster) -> Result<(), Error> {
    let ended = installation::end_all::<NamespaceRequest>(cluster, None, "namespaces are no longer lent");
    for (request, fault) in ended.await? {
        app.printer.warn(&format!("{} was not released: {}", request.name_any(), Error::from(fault).message));
    }
    let of_namespaces = |grant: &Grant| grant.spec.namespaces.is_some();
    let left = installation::wait_until_gone(cluster, of_namespaces, Instant::now() + ENDS).await?;
    match left.first() {
        None => Ok(()),
        Some(grant) => Err(Error::new(
            exit::NOT_READY,
            format!("{} are not deleted yet: Oz keeps the right to do it", names(grant).join(", ")),
        )
        .hint("oz check shows whether the controller runs")
        .hint(format!(
            "oz describe nsreq/{} -n {} tells what holds them",
            grant.spec.request.name, grant.spec.request.namespace
        ))),
    }
}
