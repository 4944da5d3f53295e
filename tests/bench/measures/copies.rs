//! A shell in a copy of a pod, and beside it the same pod as a bare client makes it: until it is usable, until the prompt,
//! many at once. One of each in turn, so that both see the same machine.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures::StreamExt as _;
use futures::future::{join_all, try_join_all};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{AttachParams, DeleteParams, ListParams, WatchEvent, WatchParams};
use kube::{Api, Client};
use oz_shared::names::GRANT_LABEL;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use super::loans::use_it;
use super::{WARM_UP, column, command, crowd, ms, repeat};
use crate::lending::{Asking, post, within};
use crate::report::{Figure, Report};
use crate::world::{COPY, World};

/// How many copies are a crowd: one node runs some hundred pods.
const CROWD: u32 = 20;
/// Between two looks at whether pods are gone.
const PAUSE: Duration = Duration::from_millis(100);

pub(crate) async fn usable(world: &World, n: u32, report: &mut Report) -> Result<()> {
    let (bare, spec) = (&Bare::of(world).await?, &specification(world).await?);
    let rounds = repeat(n, |round| async move {
        let name = format!("copy-{round}");
        let floor = bare.run(spec, &name).await?;
        bare.remove(&name).await?;
        let mut asking = Asking::prepare(world, &name).await?;
        let start = Instant::now();
        asking.send(COPY).await?;
        let request = asking.until_active().await?;
        let loan = use_it(world, &asking.client, &request, start).await?;
        asking.end(world, &request).await?;
        until_no_copies(world).await?;
        Ok((floor, loan))
    })
    .await?;
    report.add(Figure::BarePod, &column(&rounds, |(bare, _)| *bare));
    report.add(Figure::CopyActive, &column(&rounds, |(_, loan)| loan.active));
    report.add(Figure::CopyUsable, &column(&rounds, |(_, loan)| loan.usable));
    Ok(())
}

pub(crate) async fn prompt(world: &World, n: u32, report: &mut Report) -> Result<()> {
    let Some(oz) = command::with_access_request(report)? else { return Ok(()) };
    let (bare, spec) = (&Bare::of(world).await?, &specification(world).await?);
    let (mut bares, mut waits) = (Vec::new(), Vec::new());
    for round in 0..WARM_UP + n {
        let name = format!("prompt-{round}");
        let floor = within("a bare prompt", bare.prompt(spec, &name)).await?;
        bare.remove(&name).await?;
        let wait = command::until_prompt(world, &oz, &["access-request", COPY, "--rm"]).await?;
        until_no_copies(world).await?;
        if round >= WARM_UP {
            bares.push(floor);
            waits.push(wait);
        }
    }
    report.add(Figure::BarePrompt, &column(&bares, |wait| *wait));
    report.add(Figure::CopyPrompt, &column(&waits, |wait| *wait));
    Ok(())
}

pub(crate) async fn at_once(world: &World, rounds: u32, report: &mut Report) -> Result<()> {
    let (bare, spec) = (&Bare::of(world).await?, &specification(world).await?);
    let (mut bares, mut each, mut last) = (Vec::new(), Vec::new(), Vec::new());
    // The first round warms up.
    for round in 0..=rounds {
        let names: Vec<String> = (0..CROWD).map(|i| format!("crowd-{round}-{i}")).collect();
        let pods = join_all(names.iter().map(|name| bare.run(spec, name)));
        let floor =
            within("a bare crowd", async { pods.await.into_iter().collect::<Result<Vec<_>>>() }).await?;
        try_join_all(names.iter().map(|name| bare.remove(name))).await?;
        let waits = within("a crowd", crowd::ask(world, CROWD, &format!("copies-{round}"), COPY)).await?;
        world.release_all().await?;
        until_no_copies(world).await?;
        if round > 0 {
            bares.push(floor.into_iter().map(ms).fold(0.0, f64::max));
            last.push(waits.iter().copied().fold(0.0, f64::max));
            each.extend(waits);
        }
    }
    report.add(Figure::BarePods, &bares);
    report.add(Figure::CopiesEach, &each);
    report.add(Figure::CopiesLast, &last);
    Ok(())
}

/// What a copy is made of, for others to make the same.
async fn specification(world: &World) -> Result<Value> {
    let mut asking = Asking::prepare(world, "specified").await?;
    asking.send(COPY).await?;
    let request = asking.until_active().await?;
    let pods: Api<Pod> = Api::namespaced(world.admin.client(), &world.ns.name);
    let copy = pods.get(&request.status.as_ref().context("no status")?.pod).await?;
    asking.end(world, &request).await?;
    until_no_copies(world).await?;
    let mut spec = serde_json::to_value(copy.spec)?;
    // Where it runs is to be found anew.
    spec.as_object_mut().context("no spec")?.remove("nodeName");
    Ok(spec)
}

async fn until_no_copies(world: &World) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(world.admin.client(), &world.ns.name);
    while !pods.list_metadata(&ListParams::default().labels(GRANT_LABEL)).await?.items.is_empty() {
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// A client with rights to everything, in a namespace that Oz has no part in.
struct Bare {
    client: Client,
    pods: Api<Pod>,
    path: String,
}

impl Bare {
    async fn of(world: &World) -> Result<Bare> {
        let [namespace, _] = &world.scratch;
        let client = world.bare.client()?;
        let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace.name);
        pods.list_metadata(&ListParams::default()).await?;
        Ok(Bare { client, pods, path: namespace.core("pods") })
    }

    /// Makes a pod; how long until its container runs.
    async fn run(&self, spec: &Value, name: &str) -> Result<Duration> {
        let only = WatchParams::default().fields(&format!("metadata.name={name}"));
        let mut changes = self.pods.watch(&only, "0").await?.boxed();
        let start = Instant::now();
        post(&self.client, &self.path, &json!({"metadata": {"name": name}, "spec": spec})).await?;
        while let Some(change) = changes.next().await {
            match change? {
                WatchEvent::Added(pod) | WatchEvent::Modified(pod) if runs(&pod) => {
                    return Ok(start.elapsed());
                }
                WatchEvent::Error(status) => bail!("the watch broke: {status:?}"),
                _ => {}
            }
        }
        bail!("the watch ended")
    }

    /// Makes a pod and enters it; how long until a shell in it says its first.
    async fn prompt(&self, spec: &Value, name: &str) -> Result<Duration> {
        let start = Instant::now();
        self.run(spec, name).await?;
        let mut process = self.pods.exec(name, ["sh"], &AttachParams::interactive_tty()).await?;
        let mut output = process.stdout().context("no output")?;
        output.read_exact(&mut [0]).await.context("the shell said nothing")?;
        Ok(start.elapsed())
    }

    /// Deletes a pod, and waits until it is gone.
    async fn remove(&self, name: &str) -> Result<()> {
        self.pods.delete(name, &DeleteParams::default()).await?;
        while self.pods.get_metadata_opt(name).await?.is_some() {
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }
}

fn runs(pod: &Pod) -> bool {
    let statuses = pod.status.iter().flat_map(|s| s.container_statuses.iter().flatten());
    let mut states = statuses.map(|s| s.state.as_ref().is_some_and(|s| s.running.is_some())).peekable();
    states.peek().is_some() && states.all(|runs| runs)
}
