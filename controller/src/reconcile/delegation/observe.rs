//! Reads what a delegation rests on: what was counted for it, what its origin holds, who its destinations are, what is bound,
//! and whether its author and Oz may bind it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Instant;

use futures::future::{try_join, try_join_all};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleBinding, Subject};
use kube::api::ListParams;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, ResourceExt as _};
use oz_shared::delegation::{
    DelegationPhase, ObservedKind, OriginKind, Scope, Trigger, TriggerStatus, matches,
};
use oz_shared::names::{GRANT_LABEL, grant_name, is_reserved_namespace};
use oz_shared::namespace_class::SubjectKind;
use oz_shared::template::RoleKind;
use oz_shared::{Delegation, GROUP, Grant};

use super::authority;
use super::mirror::{Binding, Source, sources};
use super::triggers::{self, Versions};
use crate::children::{Found, Kind};
use crate::context::Context;
use crate::gate;
use crate::reconcile::request::{may, role_of};
use crate::reconcile::{Doing as _, Error};
use crate::sightings::{Counted, Place, Tally, Watched};

/// What the world looks like to one delegation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Observed {
    /// What was counted, of the triggers that are waited for, in their order.
    pub(crate) tallies: Vec<Option<Tally>>,
    /// The present instant by the API server's clock.
    pub(crate) now: Option<Timestamp>,
    /// Are the clocks too far apart for NTP's to count?
    pub(crate) clocks_apart: bool,
    /// Is its status another by now than the one that is gone on from?
    pub(crate) moved: bool,
    /// How many delegations are lent now.
    pub(crate) live: usize,
    /// Why something that is waited for cannot be seen.
    pub(crate) blind: Option<String>,
    /// Is something that is waited for not seen yet?
    pub(crate) opening: bool,
    /// The versions that are to be counted from.
    pub(crate) versions: Versions,
    /// Is the gate in force? Asked only where something is to be accepted or lent.
    pub(crate) gate: Option<gate::State>,
    /// What lending it rests on; read only where that is to be lent, or is.
    pub(crate) ground: Option<Ground>,
    /// The grant of this delegation's name, whoever it is for.
    pub(crate) grant: Option<Grant>,
    /// What carries the grant's label.
    pub(crate) parts: Vec<Found>,
}

/// What lending rests on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ground {
    /// Why the author may not hand it on.
    pub(crate) lost: Option<String>,
    /// Why Oz may delegate nothing here.
    pub(crate) closed: Option<String>,
    /// Why the origin holds nothing.
    pub(crate) missing: Option<String>,
    /// What the origin holds and Oz may lend.
    pub(crate) sources: Vec<Source>,
    /// What it holds and Oz may not lend.
    pub(crate) beyond: Vec<String>,
    /// Who the destinations are.
    pub(crate) subjects: Vec<Subject>,
    /// The bindings of the grant's label, as they stand.
    pub(crate) held: Vec<Binding>,
}

/// Looks at what a step depends on; `known` is what lending rests on, where that was looked at a moment ago.
pub(super) async fn observe(
    delegation: &Delegation,
    now: Timestamp,
    known: Option<Ground>,
    context: &Context,
) -> Result<Observed, Error> {
    let uid = delegation.uid().unwrap_or_default();
    let name = grant_name(&uid);
    let mut seen = Observed {
        grant: context.grants.get(&ObjectRef::new(&name)).map(|grant| grant.as_ref().clone()),
        parts: context.children.labelled(|label| label == name),
        now: Some(context.clock.now()),
        clocks_apart: context.clock.skew(Instant::now()).is_refused(),
        ..Observed::default()
    };
    let phase = delegation.phase();
    let status = delegation.status.clone().unwrap_or_default();
    let grants: Api<Grant> = Api::all(context.client.clone());
    if phase != DelegationPhase::Active && (seen.grant.is_some() || !seen.parts.is_empty()) {
        // What was just taken away may not be known yet, nor whether what a finalizer holds still names anybody.
        let (grant, held) = try_join(
            async { grants.get_opt(&name).await.doing("read the grant") },
            bindings(delegation, &name, true, context),
        )
        .await?;
        seen.grant = grant;
        read_parts(&mut seen, &held);
    }
    if phase.is_final() {
        context.sightings.forget(&uid);
        return Ok(seen);
    }
    if status.iteration < 1 {
        seen.gate = Some(context.gate.state().await);
        return Ok(seen);
    }
    let lent = phase == DelegationPhase::Active;
    let (triggers, armed) = waited_for(delegation, &status.triggers, &status.deletion_triggers);
    let home = delegation.namespace().unwrap_or_default();
    let counted = counted(triggers, armed, (status.iteration, lent), &home);
    let rests = if lent { rests_on(delegation) } else { HashSet::new() };
    context.sightings.want(&ObjectRef::from_obj(delegation), &uid, &rests, counted.clone());
    let there = context.delegations.get(&ObjectRef::from_obj(delegation));
    if there.is_none_or(|there| there.uid() != delegation.uid()) {
        // It went meanwhile, and that was told before anything was wanted for it.
        context.sightings.forget(&uid);
    }
    let stands: Vec<_> = counted.iter().map(|c| context.sightings.stands(&c.place)).collect();
    seen.opening = stands.iter().any(Option::is_none);
    seen.blind = stands.into_iter().find_map(|stands| stands?.err());
    seen.tallies = (0..triggers.len())
        .map(|slot| {
            let counted = counted.iter().find(|c| c.slot == slot)?;
            context.sightings.tally(&counted.place, &uid, slot, counted.arming)
        })
        .collect();
    let due = triggers::all_met(triggers, &triggers::current(triggers, armed, &seen.tallies, now));
    // An end waits for nothing that has to be asked.
    let ends =
        lent && due || delegation.release().is_some() || delegation.metadata.deletion_timestamp.is_some();
    if lent {
        let all = context.delegations.state();
        seen.live = all.iter().filter(|d| d.phase() == DelegationPhase::Active).count();
    }
    if let (Some(ground), false, true) = (known, ends, lent || due) {
        let (grant, gate) = tokio::join!(grants.get_opt(&name), context.gate.state());
        seen.grant = grant.doing("read the grant")?;
        seen.gate = Some(gate);
        seen.ground = Some(ground);
    } else if lent || due || ends {
        // Both must not be old answers.
        let (grant, held) = try_join(
            async { grants.get_opt(&name).await.doing("read the grant") },
            bindings(delegation, &name, ends, context),
        )
        .await?;
        seen.grant = grant;
        if ends {
            read_parts(&mut seen, &held);
        } else {
            let (gate, ground) = tokio::join!(context.gate.state(), ground(delegation, &name, held, context));
            seen.gate = Some(gate);
            seen.ground = Some(ground?);
        }
    }
    // What a later iteration holds is not that of a replica which was held up: it looks before it takes anything away.
    let held = seen.grant.as_ref().filter(|g| g.spec.request.uid == uid).map(|g| &g.spec.delegated);
    let newer = held.is_some_and(|held| held.as_ref().is_some_and(|d| d.iteration > status.iteration));
    if newer || !lent && (held.is_some() || !seen.parts.is_empty()) {
        let present = super::read(delegation, context).await?;
        seen.moved = present.is_none_or(|present| present.status != delegation.status);
    }
    Ok(seen)
}

/// Notes the grant's bindings as they were just read.
fn read_parts(seen: &mut Observed, held: &[Binding]) {
    seen.parts.retain(|part| !part.kind.is_binding());
    seen.parts.extend(held.iter().map(Binding::found));
}

/// The triggers that are waited for in the present phase, as they were armed.
fn waited_for<'a>(
    delegation: &'a Delegation,
    triggers: &'a [TriggerStatus],
    deletion: &'a [TriggerStatus],
) -> (&'a [Trigger], &'a [TriggerStatus]) {
    match delegation.phase() {
        DelegationPhase::Active => (&delegation.spec.deletion_triggers, deletion),
        _ => (&delegation.spec.triggers, triggers),
    }
}

/// What is to be counted: the events that have not come about.
fn counted(triggers: &[Trigger], armed: &[TriggerStatus], arming: (i64, bool), home: &str) -> Vec<Counted> {
    let waited = triggers.iter().zip(armed).enumerate().filter(|(_, (_, armed))| !armed.met);
    waited
        .filter_map(|(slot, (trigger, armed))| {
            let trigger = trigger.event.clone()?;
            let counted_at = armed.counted_at.as_ref().map_or(Timestamp::MAX, |t| t.0);
            Some(Counted {
                place: Place::of(trigger.kind, home),
                slot,
                arming,
                tally: Tally { count: armed.count, version: armed.version.clone(), counted_at },
                recorded: (armed.version.clone(), Instant::now()),
                trigger,
            })
        })
        .collect()
}

/// Where each change may change what is to be bound.
fn rests_on(delegation: &Delegation) -> HashSet<Place> {
    let spec = &delegation.spec;
    let home = delegation.namespace().unwrap_or_default();
    let place = |kind, namespace: &str| Place { kind, namespace: namespace.to_owned() };
    let mut places = HashSet::new();
    match spec.origin.kind {
        OriginKind::Role => drop(places.insert(place(Watched::Role, &home))),
        OriginKind::ClusterRole => drop(places.insert(place(Watched::ClusterRole, ""))),
        _ => {
            places.insert(place(Watched::RoleBinding, &home));
            if spec.scope == Scope::Cluster {
                places.insert(place(Watched::ClusterRoleBinding, ""));
            }
        }
    }
    let accounts = spec.destinations.iter().filter(|d| d.kind == SubjectKind::ServiceAccount);
    places.extend(accounts.map(|d| {
        place(Watched::Observed(ObservedKind::ServiceAccount), &delegation.namespace_of(&d.namespace))
    }));
    places
}

/// The bindings that matter: those of the grant's label, and, where they are followed, those that may name the origin. Of others'
/// grants none does.
async fn bindings(
    delegation: &Delegation,
    grant: &str,
    ends: bool,
    context: &Context,
) -> Result<Vec<Binding>, Error> {
    let spec = &delegation.spec;
    let mut labels = vec![format!("{GRANT_LABEL}={grant}")];
    if !spec.origin.kind.is_role() && !ends {
        labels.push(format!("!{GRANT_LABEL}"));
    }
    let home = delegation.namespace().unwrap_or_default();
    let here: Api<RoleBinding> = Api::namespaced(context.client.clone(), &home);
    let everywhere: Api<ClusterRoleBinding> = Api::all(context.client.clone());
    let listed = try_join_all(labels.iter().map(|labels| async {
        let params = ListParams::default().labels(labels);
        let here = async { here.list(&params).await.doing("list the bindings") };
        let everywhere = async {
            match spec.scope {
                Scope::Namespace => Ok(Vec::new()),
                Scope::Cluster => {
                    Ok(everywhere.list(&params).await.doing("list the bindings of the cluster")?.items)
                }
            }
        };
        try_join(here, everywhere).await
    }))
    .await?;
    let mut all = Vec::new();
    for (here, everywhere) in listed {
        all.extend(here.items.into_iter().map(|b| Binding {
            kind: Kind::RoleBinding,
            meta: b.metadata,
            role: b.role_ref,
            subjects: b.subjects.unwrap_or_default(),
        }));
        all.extend(everywhere.into_iter().map(|b| Binding {
            kind: Kind::ClusterRoleBinding,
            meta: b.metadata,
            role: b.role_ref,
            subjects: b.subjects.unwrap_or_default(),
        }));
    }
    Ok(all)
}

async fn ground(
    delegation: &Delegation,
    grant: &str,
    bindings: Vec<Binding>,
    context: &Context,
) -> Result<Ground, Error> {
    let spec = &delegation.spec;
    let home = delegation.namespace().unwrap_or_default();
    let client = &context.client;
    let (lost, lends, subjects) = tokio::try_join!(
        authority::lost(delegation, client),
        async {
            may(client, &home, "lend", GROUP, "delegations", "").await.doing("ask what may be lent here")
        },
        subjects(delegation, context),
    )?;
    let mut ground = Ground { lost, subjects, ..Ground::default() };
    if !lends {
        ground.closed =
            Some(format!("namespace {home} has not opted in to delegations: oz enable {home} --delegations"));
    }
    let held = match spec.origin.kind {
        OriginKind::Role | OriginKind::ClusterRole => {
            let kind =
                if spec.origin.kind == OriginKind::Role { RoleKind::Role } else { RoleKind::ClusterRole };
            let there = role_of(client, &home, kind, &spec.origin.name).await.doing("read the role")?;
            if there.is_none() {
                ground.missing = Some(format!("there is no {} {}", kind.as_str(), spec.origin.name));
            }
            let everywhere = kind == RoleKind::ClusterRole && spec.scope == Scope::Cluster;
            let source = Source {
                namespace: if everywhere { String::new() } else { home.clone() },
                role_kind: kind.as_str().to_owned(),
                role: spec.origin.name.clone(),
                of: None,
            };
            there.map(|_| source).into_iter().collect()
        }
        OriginKind::ServiceAccount | OriginKind::User | OriginKind::Group => {
            let held = sources(&spec.origin, &home, &bindings);
            if held.is_empty() {
                ground.missing = Some(format!("no binding names {}", delegation.origin_words()));
            }
            held
        }
    };
    let roles: BTreeSet<(String, String, String)> =
        held.iter().map(|s| (s.namespace.clone(), s.role_kind.clone(), s.role.clone())).collect();
    let asked = roles.into_iter().map(|role| async move {
        let lendable = is_lendable(&role, context).await?;
        Ok::<_, Error>((role, lendable))
    });
    let lendable: BTreeMap<_, bool> = try_join_all(asked).await?.into_iter().collect();
    for source in held {
        let role = (source.namespace.clone(), source.role_kind.clone(), source.role.clone());
        if lendable.get(&role).copied().unwrap_or_default() {
            ground.sources.push(source);
        } else {
            ground.beyond.push(format!("{}/{}", source.role_kind, source.role));
        }
    }
    ground.beyond.sort();
    ground.beyond.dedup();
    ground.held = bindings
        .into_iter()
        .filter(|b| {
            b.meta.labels.as_ref().and_then(|l| l.get(GRANT_LABEL)).is_some_and(|label| label == grant)
        })
        .collect();
    Ok(ground)
}

/// May Oz lend this role there? The policy oz-controller asks the same.
async fn is_lendable(role: &(String, String, String), context: &Context) -> Result<bool, Error> {
    let (namespace, kind, name) = role;
    if name.starts_with("oz-") || name.starts_with("system:") {
        return Ok(false);
    }
    let verb = if namespace.is_empty() { "delegate-everywhere" } else { "lend" };
    let resource = if kind == "Role" { "roles" } else { "clusterroles" };
    let rbac = "rbac.authorization.k8s.io";
    may(&context.client, namespace, verb, rbac, resource, name)
        .await
        .doing("ask whether the role may be lent")
}

/// The destinations as a binding names them. Of accounts, those that are there: one of the same name that comes later gets
/// nothing before it is seen.
async fn subjects(delegation: &Delegation, context: &Context) -> Result<Vec<Subject>, Error> {
    let rbac = || Some("rbac.authorization.k8s.io".to_owned());
    let mut all = Vec::new();
    let mut accounts: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let author = authority::account(&delegation.spec.requester);
    for to in &delegation.spec.destinations {
        match to.kind {
            SubjectKind::ServiceAccount => {
                accounts.entry(delegation.namespace_of(&to.namespace)).or_default().push(&to.name);
            }
            SubjectKind::User | SubjectKind::Group => all.push(Subject {
                kind: to.kind.as_str().to_owned(),
                api_group: rbac(),
                name: to.name.clone(),
                namespace: None,
            }),
        }
    }
    for (namespace, patterns) in
        accounts.into_iter().filter(|(namespace, _)| !is_reserved_namespace(namespace))
    {
        let api: Api<ServiceAccount> = Api::namespaced(context.client.clone(), &namespace);
        let there = api.list_metadata(&ListParams::default()).await.doing("list the accounts")?;
        let there = there.items.into_iter().filter(|a| a.metadata.deletion_timestamp.is_none());
        let meant = there.map(|a| a.name_any()).filter(|name| {
            // By a * the author is not meant.
            let is_author = author.is_some_and(|author| author == (namespace.as_str(), name.as_str()));
            !is_author && patterns.iter().any(|p| matches(p, name))
        });
        all.extend(meant.map(|name| Subject {
            kind: "ServiceAccount".to_owned(),
            api_group: None,
            name,
            namespace: Some(namespace.clone()),
        }));
    }
    all.sort_by(|a, b| (&a.kind, &a.namespace, &a.name).cmp(&(&b.kind, &b.namespace, &b.name)));
    all.dedup();
    Ok(all)
}

/// The versions that events of these kinds are to be counted from.
pub(super) async fn versions(
    delegation: &Delegation,
    kinds: &[ObservedKind],
    context: &Context,
) -> Result<Versions, Error> {
    let home = delegation.namespace().unwrap_or_default();
    let asked = kinds.iter().map(|kind| {
        let place = Place::of(*kind, &home);
        async move {
            let version = context.sightings.version(&place).await.doing("see what it waits for")?;
            Ok::<_, Error>((*kind, version))
        }
    });
    Ok(try_join_all(asked).await?.into_iter().collect())
}
