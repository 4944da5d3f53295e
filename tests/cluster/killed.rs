//! SIGKILL before each write of the controller, one after the other: whatever was half done, the next one brings it to
//! the same end, with no second grant and nothing left over.

use oz_shared::names::GRANT_LABEL;
use oz_shared::{AccessRequest, Grant};
use serde_json::json;
use support::{Call, eventually};

use crate::controller::{Controller, Controllers, alone};
use crate::witness::{Seen, Witness};
use crate::world::{LIMIT, World};

/// A life takes some twenty writes; a run that is still killed at this one never ends.
const MOST_WRITES: u32 = 60;

/// What a request goes through until the controller has nothing more to do with it.
trait Life {
    /// Makes it happen, step by step, while `watch` keeps a controller alive.
    async fn live(&self, world: &World, name: &str, watch: &mut Kept<'_>) -> AccessRequest;
}

/// A controller that is started again, without faults, once it was killed.
struct Kept<'a> {
    controllers: &'a Controllers,
    now: Controller,
    killed: bool,
}

impl Kept<'_> {
    fn look(&mut self) {
        if self.now.is_dead() {
            assert!(!self.killed, "a controller without fault points has died");
            self.killed = true;
            self.now = self.controllers.start();
        }
    }

    /// Waits until the request is in this phase, and for whatever `also` looks at.
    async fn until(&mut self, world: &World, name: &str, phase: &str) -> AccessRequest {
        let start = std::time::Instant::now();
        loop {
            self.look();
            let request = world.request(name).await.unwrap();
            if request.status.is_some() && request.phase().as_str() == phase {
                return request;
            }
            assert!(!request.phase().is_final(), "{:?}", request.status);
            assert!(start.elapsed() < LIMIT, "{name} is not {phase}: {:?}", request.status);
            tokio::time::sleep(std::time::Duration::from_millis(40)).await;
        }
    }

    /// Waits until nothing is left of what was lent.
    async fn until_nothing_left(&mut self, world: &World, request: &AccessRequest) {
        let grant = request.status.as_ref().unwrap().grant.clone();
        let start = std::time::Instant::now();
        loop {
            self.look();
            let path = format!("/apis/ozaccess.io/v1alpha1/grants/{grant}");
            let there = world.admin.call(Call::get(path)).await.unwrap();
            let left = world.labelled(&format!("{GRANT_LABEL}={grant}")).await.unwrap();
            if there.code == 404 && left.is_empty() {
                return;
            }
            assert!(start.elapsed() < LIMIT, "{grant}: {there} {left:?}");
            tokio::time::sleep(std::time::Duration::from_millis(40)).await;
        }
    }
}

/// Lives one life for each write, killed before it, until a run is not killed any more.
async fn killed_at_every_write(subject: &str, approvals: u32, life: &impl Life) {
    alone(subject, async |world, controllers| {
        world.template("web", json!({"approvals": approvals})).await;
        world.pod("web-0", "web").await;
        // Whatever the gate keeps for its own is made, and what others left is tidied.
        let first = controllers.start();
        first.until_ready().await;
        world.ask("warm", json!({"pod": "nope"})).await;
        world.until_phase("warm", "Failed").await;
        first.kill();
        for write in 1.. {
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

async fn one_life(world: &World, controllers: &Controllers, life: &impl Life, write: u32) -> bool {
    let name = format!("r{write}");
    let grants = Witness::<Grant>::start(world.admin.client()).await;
    let now = controllers.start_killed_at(write);
    let mut kept = Kept { controllers, now, killed: false };
    let request = life.live(world, &name, &mut kept).await;
    kept.until_nothing_left(world, &request).await;
    let uid = request.metadata.uid.unwrap();
    eventually("the end of the grant was seen", LIMIT, || async {
        let gone = |s: &Seen<Grant>| matches!(s, Seen::Gone(g) if g.spec.request.uid == uid);
        if grants.seen().iter().any(gone) { Ok(()) } else { Err("not yet") }
    })
    .await
    .unwrap();
    let made =
        grants.seen().iter().filter(|s| matches!(s, Seen::Made(g) if g.spec.request.uid == uid)).count();
    assert_eq!(made, 1, "grants for {name}, killed before write {write}");
    let end = world.request(&name).await.unwrap();
    assert!(end.phase().is_final(), "{:?}", end.status);
    kept.killed
}

/// Asked, lent, used, released, gone.
struct Automatic;

impl Life for Automatic {
    async fn live(&self, world: &World, name: &str, watch: &mut Kept<'_>) -> AccessRequest {
        world.ask(name, json!({})).await;
        lent_and_released(world, name, watch).await
    }
}

async fn lent_and_released(world: &World, name: &str, watch: &mut Kept<'_>) -> AccessRequest {
    let request = watch.until(world, name, "Active").await;
    let session = world.enter(&request).await;
    world.until_usable(&session).await;
    world.release(&world.alice, name).await;
    let request = watch.until(world, name, "Released").await;
    world.until_refused(&session).await;
    request
}

/// Asked, approved by another, and from there as above.
struct Approved;

impl Life for Approved {
    async fn live(&self, world: &World, name: &str, watch: &mut Kept<'_>) -> AccessRequest {
        world.ask(name, json!({})).await;
        watch.until(world, name, "Pending").await;
        world.decide(&world.bob, name, "Approve").await;
        lent_and_released(world, name, watch).await
    }
}

/// Asked, lent, and left to its time.
struct LeftToItsTime;

impl Life for LeftToItsTime {
    async fn live(&self, world: &World, name: &str, watch: &mut Kept<'_>) -> AccessRequest {
        world.ask(name, json!({"duration": "4s"})).await;
        // It may have expired while nobody was there: then it was never Active.
        let start = std::time::Instant::now();
        loop {
            watch.look();
            let request = world.request(name).await.unwrap();
            if request.phase().as_str() == "Expired" {
                return request;
            }
            assert!(!request.phase().is_final() && start.elapsed() < LIMIT, "{:?}", request.status);
            tokio::time::sleep(std::time::Duration::from_millis(40)).await;
        }
    }
}

#[tokio::test]
async fn in_an_automatic_grants_life() {
    killed_at_every_write("automatic", 0, &Automatic).await;
}

#[tokio::test]
async fn in_an_approved_grants_life() {
    killed_at_every_write("approved", 1, &Approved).await;
}

#[tokio::test]
async fn in_the_life_of_a_grant_that_expires() {
    killed_at_every_write("expiring", 0, &LeftToItsTime).await;
}
