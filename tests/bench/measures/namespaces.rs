//! Namespaces with an owner, and beside them the same as a bare client makes it: until a token of the owner is usable,
//! one by one and many at once.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures::future::{join_all, try_join_all};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchParams};
use kube::{Api, Client};
use oz_shared::names::SESSIONS_NAMESPACE;
use oz_shared::{NamespaceRequest, NamespaceRequestSpec, Phase, Request as _};
use serde_json::json;
use support::rights::{account, bind_everywhere};
use support::{Call, RUN_LABEL, run};
use tokio::sync::oneshot;

use super::{column, ms, repeat};
use crate::Args;
use crate::lending::{Changes, is_active, mint_for, patiently, post, within};
use crate::process::Controller;
use crate::report::{Figure, Report};
use crate::world::World;

/// Between two looks at whether namespaces are gone.
const PAUSE: Duration = Duration::from_millis(500);

pub(crate) async fn usable(world: &World, n: u32, report: &mut Report) -> Result<()> {
    let class = &offer(world).await?;
    let bare = &world.bare.client()?;
    let rounds = repeat(n, |round| async move {
        let start = Instant::now();
        by_hand(world, bare, &format!("{class}-bare-{round}")).await?;
        let floor = start.elapsed();
        let client = world.alice.client()?;
        let api: Api<NamespaceRequest> = Api::namespaced(client.clone(), &world.ns.name);
        api.list(&ListParams::default().limit(1)).await?;
        let name = format!("one-{round}");
        let only = WatchParams::default().fields(&format!("metadata.name={name}"));
        let mut changes = Changes::watch(&api, &only).await?;
        let start = Instant::now();
        api.create(&PostParams::default(), &request(world, class, &name)?).await?;
        let lent = loop {
            let request = changes.next().await?;
            if is_active(&request)? {
                break request;
            }
        };
        let active = start.elapsed();
        first_use(world, &client, &lent).await?;
        let usable = start.elapsed();
        release(&api, &lent).await?;
        while !changes.next().await?.phase().is_final() {}
        Ok((floor, active, usable))
    })
    .await?;
    report.add(Figure::BareNamespace, &column(&rounds, |(bare, ..)| *bare));
    report.add(Figure::NamespaceActive, &column(&rounds, |(_, active, _)| *active));
    report.add(Figure::NamespaceUsable, &column(&rounds, |(.., usable)| *usable));
    until_none(world).await
}

pub(crate) async fn at_once(world: &World, args: &Args, report: &mut Report) -> Result<()> {
    let class = &offer(world).await?;
    let (mut bares, mut each, mut last, mut memory) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..args.rounds {
        let bare = world.bare.client()?;
        let start = Instant::now();
        let names: Vec<String> = (0..args.crowd).map(|i| format!("{class}-bare-c{round}-{i}")).collect();
        try_join_all(names.iter().map(|name| by_hand(world, &bare, name))).await?;
        bares.push(ms(start.elapsed()));
        until_none(world).await?;
        let waits = within("a crowd", crowd(world, class, args.crowd, round)).await?;
        if let Ok((now, _)) = Controller::find(&world.admin).await.and_then(|c| c.memory()) {
            memory.push(now);
        }
        let api: Api<NamespaceRequest> = Api::namespaced(world.alice.client()?, &world.ns.name);
        let open = api.list(&ListParams::default()).await?.items;
        let open = open.iter().filter(|r| r.phase() == Phase::Active);
        try_join_all(open.map(|request| release(&api, request))).await?;
        until_none(world).await?;
        last.push(waits.iter().copied().fold(0.0, f64::max));
        each.extend(waits);
    }
    report.add(Figure::BareNamespaces, &bares);
    report.add(Figure::NamespacesEach, &each);
    report.add(Figure::NamespacesLast, &last);
    report.add(Figure::MemoryNamespaces, &memory);
    report.note(format!("a crowd of namespaces is {}", args.crowd));
    Ok(())
}

/// Milliseconds from the first request sent to the first use, for each.
async fn crowd(world: &World, class: &str, count: u32, round: u32) -> Result<Vec<f64>> {
    let client = world.alice.client()?;
    let api: &Api<NamespaceRequest> = &Api::namespaced(client.clone(), &world.ns.name);
    let one = ListParams::default().limit(1);
    try_join_all((0..count).map(|_| api.list(&one))).await?;
    let mut changes = Changes::watch(api, &WatchParams::default()).await?;
    let mut awaited: HashMap<String, oneshot::Sender<NamespaceRequest>> = HashMap::new();
    let mut people = Vec::new();
    for i in 0..count {
        let (tell, told) = oneshot::channel();
        let name = format!("crowd-{round}-{i}");
        awaited.insert(name.clone(), tell);
        people.push((request(world, class, &name)?, told));
    }
    let start = Instant::now();
    let client = &client;
    let people = people.into_iter().map(|(request, told)| async move {
        api.create(&PostParams::default(), &request).await.context("failed to ask")?;
        let lent = told.await.context("it never became Active")?;
        first_use(world, client, &lent).await?;
        anyhow::Ok(ms(start.elapsed()))
    });
    let tell = async {
        while !awaited.is_empty() {
            let request = changes.next().await?;
            let name = request.metadata.name.clone().unwrap_or_default();
            if awaited.contains_key(&name)
                && is_active(&request)?
                && let Some(tell) = awaited.remove(&name)
            {
                let _ = tell.send(request);
            }
        }
        anyhow::Ok(())
    };
    let (waits, told) = tokio::join!(join_all(people), tell);
    told?;
    waits.into_iter().collect()
}

/// A class that gives alice what she asks for, and what it takes: once a run.
async fn offer(world: &World) -> Result<String> {
    let class = world.ns.name.clone();
    let path = "/apis/ozaccess.io/v1alpha1/namespaceclasses";
    if world.admin.call(Call::get(format!("{path}/{class}"))).await?.is_success() {
        return Ok(class);
    }
    let controller = [account("oz-system", "oz-controller")];
    for role in ["oz-controller-namespaces", "oz-ceiling-namespaces"] {
        bind_everywhere(&world.admin, &format!("{role}-{}", run()), role, &controller).await?;
    }
    let body = json!({"apiVersion": "ozaccess.io/v1alpha1", "kind": "NamespaceClass",
        "metadata": {"name": class, "labels": {RUN_LABEL: run()}},
        "spec": {"from": [world.ns.name], "names": {"pattern": ".*"}, "role": "edit", "ttl": {"default": "30m", "max": "1h"}, "approvals": 0, "reason": "Optional",
            "maxLive": 1000, "historyTtl": "1s", "labels": {RUN_LABEL: run()}}});
    world.admin.call(Call::post(path, body)).await?.object()?;
    // Rights and classes reach the API server's caches by watch.
    tokio::time::sleep(Duration::from_secs(2)).await;
    Ok(class)
}

fn request(world: &World, class: &str, name: &str) -> Result<NamespaceRequest> {
    let user = &world.alice.user;
    let spec: NamespaceRequestSpec = serde_json::from_value(json!({
        "class": class, "namespaces": [format!("{class}-{name}")],
        "requester": {"username": user.username, "uid": user.uid, "groups": user.groups},
    }))?;
    Ok(NamespaceRequest::new(name, spec))
}

/// Mints a token and uses it over a connection of its own.
async fn first_use(world: &World, client: &Client, request: &NamespaceRequest) -> Result<()> {
    let status = request.status.as_ref().context("no status")?;
    let namespace = &status.namespaces.first().context("no namespace")?.name;
    let (token, _) = mint_for(client, SESSIONS_NAMESPACE, &status.account).await?;
    read(&world.alice.bearer(&token)?, namespace).await
}

pub(super) async fn read(client: &Client, namespace: &str) -> Result<()> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let one = ListParams::default().limit(1);
    patiently(|| api.list_metadata(&one)).await?;
    Ok(())
}

async fn release(api: &Api<NamespaceRequest>, request: &NamespaceRequest) -> Result<()> {
    let patch = json!({"metadata": {"uid": request.metadata.uid},
        "spec": {"released": true, "releasedBy": request.spec.requester.username}});
    let name = request.metadata.name.as_deref().unwrap_or_default();
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
    Ok(())
}

/// A namespace, an account, its binding, a token, a first call: by an administrator, one after the other.
pub(super) async fn by_hand(world: &World, client: &Client, name: &str) -> Result<()> {
    let labels = json!({RUN_LABEL: run()});
    post(client, "/api/v1/namespaces", &json!({"metadata": {"name": name, "labels": labels}})).await?;
    let owner = json!({"metadata": {"name": "owner"}});
    post(client, &format!("/api/v1/namespaces/{name}/serviceaccounts"), &owner).await?;
    let binding = json!({"metadata": {"name": "owner"}, "subjects": [account(name, "owner")],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"}});
    let path = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{name}/rolebindings");
    post(client, &path, &binding).await?;
    let (token, _) = mint_for(client, name, "owner").await?;
    read(&world.bare.bearer(&token)?, name).await
}

/// Waits until no namespace of the measures is left.
pub(super) async fn until_none(world: &World) -> Result<()> {
    let api: Api<Namespace> = Api::all(world.admin.client());
    let stem = format!("{}-", world.ns.name);
    loop {
        let all =
            api.list_metadata(&ListParams::default().labels(&format!("{RUN_LABEL}={}", run()))).await?.items;
        let names = all.iter().filter_map(|n| n.metadata.name.as_deref()).filter(|n| n.starts_with(&stem));
        let mut left = 0;
        for name in names {
            left += 1;
            if name.contains("-bare-") {
                let _ = api.delete(name, &DeleteParams::background()).await;
            }
        }
        if left == 0 {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
}
