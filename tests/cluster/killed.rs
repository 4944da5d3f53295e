//! SIGKILL before each write of the controller, one after the other: whatever was half done, the next one brings it to
//! the same end, with no second grant and nothing left over.

use std::fmt::Debug;

use k8s_openapi::api::core::v1::Pod;
use kube::{Resource as _, ResourceExt as _};
use oz_shared::conditions::APPROVED;
use oz_shared::names::GRANT_LABEL;
use oz_shared::{Grant, Request as _};
use serde_json::json;
use support::{Call, eventually};
use tokio::sync::Mutex;

use crate::controller::{Controller, Controllers, alone};
use crate::lending::{Asked, grant_path, word};
use crate::lives;
use crate::witness::{Seen, Witness};
use crate::world::{LIMIT, World};

/// A life takes up to some fifty writes; a run that is still killed at this one never ends.
const MOST_WRITES: u32 = 80;

/// What a request goes through until the controller has nothing more to do with it.
pub(crate) trait Life {
    /// The kind of request.
    type Asked: Asked + Debug;

    /// Makes what is lent, and the template [`lives::LENT`].
    async fn prepare(&self, world: &World);

    /// Makes it happen, step by step, while `watch` keeps a controller alive.
    async fn live(&self, world: &World, name: &str, watch: &mut Kept<'_>) -> Self::Asked;

    /// How many controllers in a row are killed: those after the first at writes of their own, the second, the third.
    fn killed_in_a_row(&self) -> u32 {
        1
    }

    /// From one write that the first of them is killed at to the next: the others see to those between.
    fn stride(&self) -> usize {
        1
    }

    /// How many pods are made for it.
    fn pods(&self) -> usize {
        0
    }
}

/// A controller that is started again, without faults, once it was killed.
pub(crate) struct Kept<'a> {
    controllers: &'a Controllers,
    now: Controller,
    killed: u32,
    in_a_row: u32,
}

impl Kept<'_> {
    fn look(&mut self) {
        if self.now.is_dead() {
            self.killed += 1;
            self.now = match self.killed {
                next if next < self.in_a_row => self.controllers.start_killed_at(next + 1),
                last => {
                    assert_eq!(last, self.in_a_row, "a controller without fault points has died");
                    self.controllers.start()
                }
            };
        }
    }

    /// Waits for what will be seen soon, whoever has to be started again for it.
    pub(crate) async fn until<T>(&mut self, what: &str, see: impl AsyncFn() -> Result<T, String>) -> T {
        let kept = &Mutex::new(self);
        eventually(what, LIMIT, || async {
            kept.lock().await.look();
            see().await
        })
        .await
        .unwrap()
    }

    /// Waits until the request is in this phase; any other final one is the wrong end.
    pub(crate) async fn until_phase<R: Asked>(&mut self, world: &World, name: &str, phase: &str) -> R {
        self.until(&format!("request {name} is {phase}"), async || {
            let request: R = world.asked(name).await?;
            if request.status().is_some() && request.phase().as_str() == phase {
                return Ok(request);
            }
            assert!(!request.phase().is_final(), "{:?}", request.status());
            Err(format!("{:?}", request.status()))
        })
        .await
    }

    /// Waits until somebody is to decide.
    pub(crate) async fn until_waiting(&mut self, world: &World, name: &str) {
        self.until(&format!("request {name} waits for approval"), async || {
            let request = world.request(name).await?;
            let reason = word(&request, APPROVED);
            if reason == "WaitingForApproval" { Ok(()) } else { Err(reason) }
        })
        .await;
    }

    /// Waits until nothing is left of what was lent.
    async fn until_nothing_left(&mut self, world: &World, request: &impl Asked) {
        let path = grant_path(request);
        let grant = &request.status().unwrap().grant;
        self.until(&format!("nothing is left of {grant}"), async || {
            let there = world.admin.call(Call::get(&path)).await.map_err(|e| format!("{e:#}"))?;
            let left = world.labelled(&format!("{GRANT_LABEL}={grant}")).await?;
            if there.code == 404 && left.is_empty() { Ok(()) } else { Err(format!("{there} {left:?}")) }
        })
        .await;
    }
}

/// Lives one life for each write, killed before it, until a run is not killed any more.
async fn killed_at_every_write(subject: &str, life: &impl Life) {
    alone(subject, async |world, controllers| {
        world.template("web", json!({})).await;
        life.prepare(world).await;
        // Whatever the gate keeps for its own is made, and what others left is tidied.
        let first = controllers.start();
        first.until_ready().await;
        world.ask("warm", json!({"pod": "nope"})).await;
        world.until_phase("warm", "Failed").await;
        first.kill();
        for write in (1..).step_by(life.stride()) {
            assert!(write <= MOST_WRITES, "no run came through");
            let killed = one_life(world, controllers, life, write).await;
            println!("{subject}: killed before write {write}: {killed}");
            if !killed {
                assert!(write > 5, "only {} writes: the fault points are not in force", write - 1);
                break;
            }
        }
        let orphans = world.labelled(GRANT_LABEL).await.unwrap();
        let ours: Vec<&String> = orphans.iter().filter(|path| path.contains(&world.ns.name)).collect();
        assert!(ours.is_empty(), "{ours:?}");
    })
    .await;
}

async fn one_life<L: Life>(world: &World, controllers: &Controllers, life: &L, write: u32) -> bool {
    let name = format!("r{write}");
    let grants = Witness::<Grant>::start(world.admin.client()).await;
    let pods = Witness::<Pod>::start(world.admin.client()).await;
    let now = controllers.start_killed_at(write);
    let mut kept = Kept { controllers, now, killed: 0, in_a_row: life.killed_in_a_row() };
    let request = life.live(world, &name, &mut kept).await;
    kept.until_nothing_left(world, &request).await;
    let grant = request.status().unwrap().grant.clone();
    let uid = request.meta().uid.clone().unwrap();
    eventually("the end of the grant was seen", LIMIT, || async {
        let gone = |s: &Seen<Grant>| matches!(s, Seen::Gone(g) if g.spec.request.uid == uid);
        if grants.seen().iter().any(gone) { Ok(()) } else { Err("not yet") }
    })
    .await
    .unwrap();
    let made =
        grants.seen().iter().filter(|s| matches!(s, Seen::Made(g) if g.spec.request.uid == uid)).count();
    assert_eq!(made, 1, "grants for {name}, killed before write {write}");
    let is_its = |pod: &Pod| pod.labels().get(GRANT_LABEL) == Some(&grant);
    let made = pods.seen().iter().filter(|s| matches!(s, Seen::Made(pod) if is_its(pod))).count();
    assert_eq!(made, life.pods(), "pods for {name}, killed before write {write}");
    let end: L::Asked = world.asked(&name).await.unwrap();
    assert!(end.phase().is_final(), "{end:?}");
    kept.killed > 0
}

#[tokio::test]
async fn in_an_automatic_grants_life() {
    killed_at_every_write("automatic", &lives::Exec { approvals: 0 }).await;
}

#[tokio::test]
async fn in_an_approved_grants_life() {
    killed_at_every_write("approved", &lives::Exec { approvals: 1 }).await;
}

#[tokio::test]
async fn in_the_life_of_a_grant_that_expires() {
    killed_at_every_write("expiring", &lives::LeftToItsTime).await;
}

#[tokio::test]
async fn in_a_copys_life() {
    killed_at_every_write("copy", &lives::Copied).await;
}

#[tokio::test]
async fn in_the_life_of_a_copy_that_expires() {
    killed_at_every_write("copy-left", &lives::CopyLeftToItsTime).await;
}

#[tokio::test]
async fn in_a_debugging_containers_life() {
    killed_at_every_write("debugged", &lives::Debugged).await;
}

#[tokio::test]
async fn in_the_life_of_one_whose_pod_is_evicted() {
    killed_at_every_write("evicted", &lives::Evicted).await;
}

#[tokio::test]
async fn in_a_roles_life() {
    killed_at_every_write("role", &lives::Role).await;
}

#[tokio::test]
async fn in_the_life_of_a_role_bound_by_name() {
    killed_at_every_write("by-name", &lives::RoleByName).await;
}

#[tokio::test]
async fn in_a_namespaces_life() {
    killed_at_every_write("space", &lives::Space).await;
}

#[tokio::test]
async fn in_the_life_of_namespaces_that_are_kept_on() {
    killed_at_every_write("kept-on", &lives::SpaceKeptOn).await;
}

#[tokio::test]
async fn in_the_life_of_a_partners_cluster() {
    killed_at_every_write("partner", &lives::Partner).await;
}
