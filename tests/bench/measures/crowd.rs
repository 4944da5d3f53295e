//! Many requests at once: how long until the last of them is usable.

use std::collections::HashMap;
use std::time::Instant;

use anyhow::{Context as _, Result};
use futures::future::{join_all, try_join_all};
use kube::api::{PostParams, WatchParams};
use kube::{Api, Client};
use oz_shared::{AccessRequest, AccessTemplate};
use tokio::sync::oneshot;

use super::{floor, ms};
use crate::Args;
use crate::lending::{Changes, is_active, mint, pod, read_pod, request, within};
use crate::process::Controller;
use crate::report::{Figure, Report};
use crate::world::{AUTOMATIC, BRIEF, World};

pub(crate) async fn take(args: &Args, world: &World, report: &mut Report) -> Result<()> {
    let (mut each, mut last, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    // The first round warms up.
    for round in 0..=args.rounds {
        let admin = world.bare.client()?;
        connect(&admin, world, args.crowd).await?;
        let floor = within("a bare crowd", floor::crowd(world, &admin, args.crowd, round)).await?;
        let waits = within("a crowd", ask(world, args.crowd, &format!("crowd-{round}"), BRIEF)).await?;
        world.release_all().await?;
        if round > 0 {
            bare.push(floor);
            last.push(waits.iter().copied().fold(0.0, f64::max));
            each.extend(waits);
        }
    }
    report.add(Figure::BareCrowd, &bare);
    report.add(Figure::CrowdEach, &each);
    report.add(Figure::CrowdLast, &last);
    report
        .note(format!("a crowd is {} requests, each with a session and a connection of its own", args.crowd));
    // What a crowd leaves behind in the controller: `memory` is taken before, by steady work.
    if let Ok((now, most)) = Controller::find(&world.admin).await.and_then(|controller| controller.memory()) {
        report
            .note(format!("memory after the crowds, without a grant: {now:.1} MB now, {most:.1} MB at most"));
    }
    Ok(())
}

/// One crowd; milliseconds from the first request sent to the first use, for each.
pub(crate) async fn ask(world: &World, count: u32, prefix: &str, template: &str) -> Result<Vec<f64>> {
    // Everyone has asked who he is and what is offered, so has a connection.
    let client = world.alice.client()?;
    connect(&client, world, count).await?;
    let api: Api<AccessRequest> = Api::namespaced(client.clone(), &world.ns.name);
    // One watch for all of them, and not one each: what is measured here is the cluster, not this program.
    let mut changes = Changes::watch(&api, &WatchParams::default()).await?;
    let mut awaited: HashMap<String, oneshot::Sender<AccessRequest>> = HashMap::new();
    let mut people = Vec::new();
    for i in 0..count {
        let (tell, told) = oneshot::channel();
        let name = format!("{prefix}-{i}");
        awaited.insert(name.clone(), tell);
        people.push((request(&world.alice.user, &name, template)?, told));
    }
    let start = Instant::now();
    let people = people.into_iter().map(|(request, told)| {
        let (client, api) = (&client, &api);
        async move {
            api.create(&PostParams::default(), &request).await.context("failed to ask")?;
            let active = told.await.context("it never became Active")?;
            let (token, _) = mint(client, &active).await.context("failed to mint")?;
            read_pod(&world.alice.bearer(&token)?, &world.ns.name, pod(&active)).await?;
            Ok(ms(start.elapsed()))
        }
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

/// Makes as many connections, to be used again.
async fn connect(client: &Client, world: &World, count: u32) -> Result<()> {
    let templates: Api<AccessTemplate> = Api::namespaced(client.clone(), &world.ns.name);
    try_join_all((0..count).map(|_| templates.get(AUTOMATIC))).await?;
    Ok(())
}
