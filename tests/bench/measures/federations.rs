//! Partners' clusters: until the first token is usable, until it is refused, and many of them with namespaces of their own.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ListParams, Patch, PatchParams, PostParams, WatchParams};
use kube::{Api, Client};
use oz_shared::names::SESSIONS_NAMESPACE;
use oz_shared::{Federation, FederationSpec, NamespaceRequest, NamespaceRequestSpec, Request as _};
use serde_json::json;
use support::rights::{account, bind_everywhere, user};
use support::{Call, Identity, RUN_LABEL, run};

use super::namespaces::{by_hand, read, until_none};
use super::{column, ms, repeat, scale};
use crate::Args;
use crate::lending::{Changes, is_active, mint_for};
use crate::report::{Figure, Report};
use crate::world::World;

/// Namespaces that each of many has beside its first.
const FURTHER: u32 = 9;
/// How many partners are at it at once.
const AT_ONCE: usize = 8;
/// Between two requests of a partner who works steadily.
const STEADY: Duration = Duration::from_millis(1);

pub(crate) async fn usable(world: &World, n: u32, report: &mut Report) -> Result<()> {
    let class = &offer(world).await?;
    let bare = &world.bare.client()?;
    let rounds = repeat(n, |round| async move {
        let start = Instant::now();
        by_hand(world, bare, &format!("{class}-bare-{round}")).await?;
        let floor = start.elapsed();
        let client = world.alice.client()?;
        let api: Api<Federation> = Api::all(client.clone());
        api.list(&ListParams::default().limit(1)).await?;
        let name = format!("{class}-{round}");
        let only = WatchParams::default().fields(&format!("metadata.name={name}"));
        let mut changes = Changes::watch(&api, &only).await?;
        let start = Instant::now();
        api.create(&PostParams::default(), &federation(world, class, &name)?).await?;
        let lent = until_active(&mut changes).await?;
        let partner = world.alice.bearer(&token(&client, &lent).await?)?;
        read(&partner, &name).await?;
        let usable = start.elapsed();
        let start = Instant::now();
        release(&api, &lent).await?;
        until_refused(&partner, &name).await?;
        let refused = start.elapsed();
        while !changes.next().await?.phase().is_final() {}
        Ok((floor, usable, refused))
    })
    .await?;
    report.add(Figure::BareFederation, &column(&rounds, |(bare, ..)| *bare));
    report.add(Figure::FederationUsable, &column(&rounds, |(_, usable, _)| *usable));
    report.add(Figure::FederationRefused, &column(&rounds, |(.., refused)| *refused));
    until_none(world).await
}

/// A crowd of partners, each with further namespaces that it asks for itself.
pub(crate) async fn many(args: &Args, world: &World, report: &mut Report) -> Result<()> {
    let class = &offer(world).await?;
    let client = world.alice.client()?;
    let api: &Api<Federation> = &Api::all(client.clone());
    let start = Instant::now();
    let lent: Vec<Federation> = stream::iter(0..args.crowd)
        .map(|i| one_of_many(world, &client, class, i))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    report.add(Figure::FederationsMade, &[ms(start.elapsed())]);
    report.note(format!(
        "many federations are {}, each with {FURTHER} further namespaces, {AT_ONCE} at once",
        args.crowd
    ));
    tokio::time::sleep(scale::SETTLED).await;
    scale::measure_memory(world, args.crowd * (1 + FURTHER), Figure::MemoryFederations, report).await;
    scale::measure_idle(args, world, args.crowd * (1 + FURTHER), Figure::IdleFederations, report).await?;
    let start = Instant::now();
    stream::iter(&lent)
        .map(|federation| release(api, federation))
        .buffer_unordered(AT_ONCE)
        .try_collect::<()>()
        .await?;
    until_none(world).await?;
    report.add(Figure::FederationsEnded, &[ms(start.elapsed())]);
    Ok(())
}

async fn one_of_many(world: &World, client: &Client, class: &str, i: u32) -> Result<Federation> {
    let name = format!("{class}-many-{i}");
    let api: Api<Federation> = Api::all(client.clone());
    let only = WatchParams::default().fields(&format!("metadata.name={name}"));
    let mut changes = Changes::watch(&api, &only).await?;
    api.create(&PostParams::default(), &federation(world, class, &name)?).await?;
    let lent = until_active(&mut changes).await?;
    let token = token(client, &lent).await?;
    let partner = world.admin.with_token(&token).await?;
    let requests: Api<NamespaceRequest> = Api::namespaced(partner.client(), &name);
    read(&partner.client(), &name).await?;
    let mut changes = Changes::watch(&requests, &WatchParams::default()).await?;
    for further in 0..FURTHER {
        let request = further_one(&partner, class, &name, further)?;
        requests.create(&PostParams::default(), &request).await?;
    }
    let mut open: Vec<String> = (0..FURTHER).map(|further| format!("f{further}")).collect();
    while !open.is_empty() {
        let request = changes.next().await?;
        if is_active(&request)? {
            open.retain(|name| Some(name) != request.metadata.name.as_ref());
        }
    }
    Ok(lent)
}

async fn until_active(changes: &mut Changes<Federation>) -> Result<Federation> {
    loop {
        let federation = changes.next().await?;
        if is_active(&federation)? {
            return Ok(federation);
        }
    }
}

async fn token(client: &Client, lent: &Federation) -> Result<String> {
    let account = &lent.status.as_ref().context("no status")?.account;
    Ok(mint_for(client, SESSIONS_NAMESPACE, account).await?.0)
}

/// A class for partners, and alice who answers for them: once a run.
async fn offer(world: &World) -> Result<String> {
    let class = format!("{}-fed", world.ns.name);
    let path = "/apis/ozaccess.io/v1alpha1/namespaceclasses";
    if world.admin.call(Call::get(format!("{path}/{class}"))).await?.is_success() {
        return Ok(class);
    }
    let controller = [account("oz-system", "oz-controller")];
    for role in ["oz-controller-namespaces", "oz-ceiling-namespaces", "oz-controller-federations"] {
        bind_everywhere(&world.admin, &format!("{role}-fed-{}", run()), role, &controller).await?;
    }
    let name = format!("oz-federation-requester-{}", run());
    bind_everywhere(&world.admin, &name, "oz-federation-requester", &[user(&world.alice.user.username)])
        .await?;
    let body = json!({"apiVersion": "ozaccess.io/v1alpha1", "kind": "NamespaceClass",
        "metadata": {"name": class, "labels": {RUN_LABEL: run()}},
        "spec": {"names": {"prefix": "Partner", "pattern": ".*"}, "role": "edit", "ttl": {"default": "30m", "max": "1h"}, "approvals": 0,
            "reason": "Optional", "maxLive": 1000, "historyTtl": "1s", "labels": {RUN_LABEL: run()},
            "federation": {"further": FURTHER}}});
    world.admin.call(Call::post(path, body)).await?.object()?;
    // Rights and classes reach the API server's caches by watch.
    tokio::time::sleep(Duration::from_secs(2)).await;
    Ok(class)
}

fn federation(world: &World, class: &str, name: &str) -> Result<Federation> {
    let user = &world.alice.user;
    let spec: FederationSpec = serde_json::from_value(json!({
        "class": class, "organization": "bench", "cluster": name, "namespace": name, "further": FURTHER,
        "requester": {"username": user.username, "uid": user.uid, "groups": user.groups},
    }))?;
    let mut federation = Federation::new(name, spec);
    federation.metadata.labels = Some([(RUN_LABEL.to_owned(), run().to_owned())].into());
    Ok(federation)
}

fn further_one(partner: &Identity, class: &str, first: &str, number: u32) -> Result<NamespaceRequest> {
    let who = partner.user();
    let spec: NamespaceRequestSpec = serde_json::from_value(json!({
        "class": class, "namespaces": [format!("{first}-f{number}")],
        "requester": {"username": who.username, "uid": who.uid, "groups": who.groups},
    }))?;
    Ok(NamespaceRequest::new(&format!("f{number}"), spec))
}

/// Reads again and again. Both codes end it: the binding goes first, the account after it.
async fn until_refused(partner: &Client, namespace: &str) -> Result<()> {
    let api: Api<ConfigMap> = Api::namespaced(partner.clone(), namespace);
    let one = ListParams::default().limit(1);
    loop {
        match api.list_metadata(&one).await {
            Ok(_) => tokio::time::sleep(STEADY).await,
            Err(kube::Error::Api(status)) if matches!(status.code, 401 | 403) => return Ok(()),
            Err(error) => bail!(error),
        }
    }
}

async fn release(api: &Api<Federation>, federation: &Federation) -> Result<()> {
    let patch = json!({"metadata": {"uid": federation.metadata.uid},
        "spec": {"released": true, "releasedBy": federation.spec.requester.username}});
    let name = federation.metadata.name.as_deref().unwrap_or_default();
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
    Ok(())
}
