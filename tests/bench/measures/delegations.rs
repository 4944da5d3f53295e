//! Delegations: what one cycle takes, quiet and with other people's requests beside it, and a thousand that are held.
//!
//! The cycle is the one by which the tool before Oz was measured: an account with two bindings, lent to one user, now and at
//! once again.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::{Api, Client};
use oz_shared::delegation::DelegationPhase;
use oz_shared::names::{GRANT_LABEL, SYSTEM_NAMESPACE, grant_name};
use oz_shared::{Delegation, DelegationSpec};
use serde_json::{Value, json};
use support::rights::{account, user};
use support::{Call, with};
use tokio_util::task::AbortOnDropHandle;

use super::{WARM_UP, ms, scale};
use crate::Args;
use crate::audit::{self, Audit};
use crate::report::{Figure, Report};
use crate::world::World;

/// The account whose rights are lent.
const ORIGIN: &str = "deployer";
/// Requests a second beside the cycle; none is the cycle by itself.
const BACKGROUND: [u32; 5] = [0, 30, 60, 90, 120];
/// How many are made at once.
const AT_ONCE: usize = 16;
/// How often an event is measured with many.
const EVENTS: u32 = 100;
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(2);
/// No step takes longer.
const LIMIT: Duration = Duration::from_secs(120);

/// One cycle: from the request to the last binding, from the release to the last of them gone.
struct Cycle {
    bound: Duration,
    unbound: Duration,
}

pub(crate) async fn cycle(world: &World, n: u32, report: &mut Report) -> Result<()> {
    furnish(world).await?;
    for rate in BACKGROUND {
        let background =
            AbortOnDropHandle::new(tokio::spawn(others(world.bob.client()?, world.ns.name.clone(), rate)));
        let mut cycles = Vec::new();
        let mark = Audit::find().map(|log| log.mark()).transpose()?;
        for round in 0..WARM_UP + n {
            let cycle = tokio::time::timeout(LIMIT, once(world, &format!("cycle-{rate}-{round}"))).await;
            let cycle = cycle.context("a cycle took too long")??;
            if round >= WARM_UP {
                cycles.push(cycle);
            }
        }
        drop(background);
        let bound: Vec<f64> = cycles.iter().map(|c| ms(c.bound)).collect();
        let unbound: Vec<f64> = cycles.iter().map(|c| ms(c.unbound)).collect();
        if rate > 0 {
            let [b, u] = [&bound, &unbound].map(|all| percentiles(all));
            report.note(format!(
                "delegation beside {rate} requests a second: bound {b}, unbound {u} (p50, p99 of {n})"
            ));
            continue;
        }
        report.add(Figure::DelegationBound, &bound);
        report.add(Figure::DelegationUnbound, &unbound);
        match (Audit::find(), mark) {
            (Some(log), Some(mark)) => {
                let calls = log.since(mark).await?;
                let calls: Vec<_> = calls.iter().filter(|call| !call.is_trial()).collect();
                report.add(Figure::DelegationCalls, &[calls.len() as f64 / f64::from(WARM_UP + n)]);
                report.note(format!(
                    "a delegation's cycle: {}",
                    audit::breakdown(calls, (WARM_UP + n) as usize)
                ));
            }
            _ => report.skip("calls of a delegation's cycle", audit::NONE),
        }
    }
    Ok(())
}

/// Many that are lent; one more event, and how long until what it triggers is bound.
pub(crate) async fn many(args: &Args, world: &World, report: &mut Report) -> Result<()> {
    furnish(world).await?;
    let api: &Api<Delegation> = &Api::namespaced(world.alice.client()?, &world.ns.name);
    let watched = watches(world).await?;
    let start = Instant::now();
    let names: Vec<String> = (0..args.many).map(|i| format!("held-{i}")).collect();
    stream::iter(&names)
        .map(|name| async { ask(api, world, name, json!({"deletionTriggers": [{"time": "Never"}]})).await })
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<_>>()
        .await?;
    until_active(api, &names).await?;
    report.note(format!(
        "{} delegations, {AT_ONCE} at once: {:.1} s",
        args.many,
        start.elapsed().as_secs_f32()
    ));
    tokio::time::sleep(scale::SETTLED).await;
    scale::measure_memory(world, args.many, Figure::MemoryDelegations, report).await;
    scale::measure_idle(args, world, args.many, Figure::IdleDelegations, report).await?;
    report.note(format!(
        "open watches with {} delegations: {}, before: {watched}",
        args.many,
        watches(world).await?
    ));

    let mut waits = Vec::new();
    for round in 0..EVENTS {
        let name = format!("event-{round}");
        let event = json!({"change": "Added", "kind": "ServiceAccount", "name": name});
        let spec = json!({"triggers": [{"event": event}], "deletionTriggers": [{"time": "Never"}]});
        let asked = ask(api, world, &name, spec).await?;
        until(api, &name, |d| d.status.as_ref().is_some_and(|s| !s.triggers.is_empty())).await?;
        let mut bindings = Bindings::watch(world, &asked).await?;
        let path = world.ns.core("serviceaccounts");
        let start = Instant::now();
        world.admin.call(Call::post(&path, json!({"metadata": {"name": name}}))).await?.object()?;
        tokio::time::timeout(LIMIT, bindings.until(2)).await.context("nothing was bound")??;
        waits.push(ms(start.elapsed()));
        release(api, &asked).await?;
    }
    report.add(Figure::DelegationEvent, &waits);
    stream::iter(&names)
        .map(|name| async {
            let delegation = api.get(name).await?;
            release(api, &delegation).await
        })
        .buffer_unordered(AT_ONCE)
        .try_collect::<()>()
        .await?;
    while world.grants().await?.0 > 0 {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok(())
}

/// How many watches the API server has open, everybody's.
async fn watches(world: &World) -> Result<f64> {
    let text = world.admin.client().request_text(http::Request::get("/metrics").body(Vec::new())?).await?;
    let open = text.lines().filter(|line| line.starts_with("apiserver_longrunning_requests{"));
    let open = open.filter(|line| line.contains(r#"verb="WATCH""#));
    open.map(|line| Ok(line.rsplit(' ').next().unwrap_or_default().parse::<f64>()?)).sum()
}

async fn once(world: &World, name: &str) -> Result<Cycle> {
    let client = world.alice.client()?;
    let api: Api<Delegation> = Api::namespaced(client, &world.ns.name);
    api.list_metadata(&ListParams::default().limit(1)).await?;
    let delegation = delegation(world, name, json!({}))?;
    let start = Instant::now();
    let made = api.create(&PostParams::default(), &delegation).await?;
    let mut bindings = Bindings::watch(world, &made).await?;
    bindings.until(2).await?;
    let bound = start.elapsed();
    let start = Instant::now();
    release(&api, &made).await?;
    bindings.until(0).await?;
    let unbound = start.elapsed();
    until(&api, name, |d| d.phase().is_final()).await?;
    api.delete(name, &DeleteParams::default()).await.ok();
    Ok(Cycle { bound, unbound })
}

/// The bindings of one delegation, as a watch tells of them.
struct Bindings {
    there: HashSet<String>,
    changes: std::pin::Pin<Box<dyn futures::Stream<Item = kube::Result<WatchEvent<RoleBinding>>> + Send>>,
}

impl Bindings {
    async fn watch(world: &World, delegation: &Delegation) -> Result<Bindings> {
        let api: Api<RoleBinding> = Api::namespaced(world.admin.client(), &world.ns.name);
        let grant = grant_name(delegation.metadata.uid.as_deref().unwrap_or_default());
        let only = WatchParams::default().labels(&format!("{GRANT_LABEL}={grant}"));
        Ok(Bindings { there: HashSet::new(), changes: api.watch(&only, "0").await?.boxed() })
    }

    async fn until(&mut self, count: usize) -> Result<()> {
        while self.there.len() != count {
            match self.changes.next().await.context("the watch ended")?? {
                WatchEvent::Added(binding) | WatchEvent::Modified(binding) => {
                    self.there.extend(binding.metadata.name);
                }
                WatchEvent::Deleted(binding) => {
                    self.there.remove(binding.metadata.name.as_deref().unwrap_or_default());
                }
                WatchEvent::Bookmark(_) => {}
                WatchEvent::Error(status) => bail!("the watch broke: {status:?}"),
            }
        }
        Ok(())
    }
}

async fn until(api: &Api<Delegation>, name: &str, is: impl Fn(&Delegation) -> bool) -> Result<Delegation> {
    let looking = async {
        loop {
            let delegation = api.get(name).await?;
            if is(&delegation) {
                return anyhow::Ok(delegation);
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(LIMIT, looking).await.with_context(|| format!("{name} took too long"))?
}

async fn until_active(api: &Api<Delegation>, names: &[String]) -> Result<()> {
    let wanted: HashSet<&str> = names.iter().map(String::as_str).collect();
    loop {
        let all = api.list(&ListParams::default()).await?.items;
        let failed = all.iter().find(|d| {
            d.phase().is_final() && wanted.contains(d.metadata.name.as_deref().unwrap_or_default())
        });
        if let Some(failed) = failed {
            bail!("{:?} ended: {:?}", failed.metadata.name, failed.status);
        }
        let active = all.iter().filter(|d| {
            d.phase() == DelegationPhase::Active && d.status.as_ref().is_some_and(|s| !s.bindings.is_empty())
        });
        if active.count() >= names.len() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// So many requests a second by somebody else, until it is dropped.
async fn others(client: Client, namespace: String, rate: u32) {
    if rate == 0 {
        return;
    }
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
    let api: Api<ConfigMap> = Api::namespaced(client, &namespace);
    loop {
        ticks.tick().await;
        let api = api.clone();
        tokio::spawn(async move { drop(api.get_opt("kube-root-ca.crt").await) });
    }
}

fn delegation(world: &World, name: &str, more: Value) -> Result<Delegation> {
    let who = &world.alice.user;
    let whole = json!({
        "origin": {"kind": "ServiceAccount", "name": ORIGIN},
        "destinations": [{"kind": "User", "name": "carol"}],
        "triggers": [{"time": "now"}], "deletionTriggers": [{"time": "Never"}], "historyTtl": "1h",
        "requester": {"username": who.username, "uid": who.uid, "groups": who.groups},
    });
    let spec: DelegationSpec = serde_json::from_value(with(whole, &more))?;
    Ok(Delegation::new(name, spec))
}

async fn ask(api: &Api<Delegation>, world: &World, name: &str, more: Value) -> Result<Delegation> {
    Ok(api.create(&PostParams::default(), &delegation(world, name, more)?).await?)
}

async fn release(api: &Api<Delegation>, delegation: &Delegation) -> Result<()> {
    let patch = json!({"metadata": {"uid": delegation.metadata.uid},
        "spec": {"released": true, "releasedBy": delegation.spec.requester.username}});
    let name = delegation.metadata.name.as_deref().unwrap_or_default();
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
    Ok(())
}

fn percentiles(samples: &[f64]) -> String {
    crate::stats::Summary::of(samples)
        .map_or_else(String::new, |s| format!("{:.0} ms, {:.0} ms", s.p50, s.p99))
}

/// The account with its two bindings, alice who may hand them on, and that they may be lent: once a run.
async fn furnish(world: &World) -> Result<()> {
    let ns = &world.ns;
    let path = ns.core(&format!("serviceaccounts/{ORIGIN}"));
    if world.admin.call(Call::get(path)).await?.is_success() {
        return Ok(());
    }
    world
        .admin
        .call(Call::post(ns.core("serviceaccounts"), json!({"metadata": {"name": ORIGIN}})))
        .await?
        .object()?;
    let rules = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]);
    for name in ["one", "two"] {
        let role = json!({"metadata": {"name": name}, "rules": rules});
        world.admin.call(Call::post(ns.rbac("roles"), role)).await?.object()?;
        let binding = json!({
            "metadata": {"name": name}, "subjects": [account(&ns.name, ORIGIN)],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        });
        world.admin.call(Call::post(ns.rbac("rolebindings"), binding)).await?.object()?;
    }
    let hands_on = json!([
        {"apiGroups": [""], "resources": ["serviceaccounts"], "resourceNames": [ORIGIN], "verbs": ["impersonate"]},
        {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["watch"]},
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["rolebindings"], "verbs": ["create"]},
    ]);
    let role = json!({"metadata": {"name": "hands-on"}, "rules": hands_on});
    world.admin.call(Call::post(ns.rbac("roles"), role)).await?.object()?;
    let alice = user(&world.alice.user.username);
    let binding = json!({
        "metadata": {"name": "hands-on"}, "subjects": [alice],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "hands-on"},
    });
    world.admin.call(Call::post(ns.rbac("rolebindings"), binding)).await?.object()?;
    ns.bind("delegates", "oz-delegator", &[user(&world.alice.user.username)]).await?;
    ns.bind("revokes", "oz-delegation-revoker", &[user(&world.alice.user.username)]).await?;
    ns.bind("reads", "view", &[user(&world.bob.user.username)]).await?;
    let controller = [account(SYSTEM_NAMESPACE, "oz-controller")];
    ns.bind("oz-delegations", "oz-controller-delegations", &controller).await?;
    // Rights reach the API server's caches by watch.
    tokio::time::sleep(Duration::from_secs(2)).await;
    Ok(())
}
