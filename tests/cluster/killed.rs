//! SIGKILL before each write of the controller, one after the other: whatever was half done, the next one brings it to
//! the same end, with no second grant and nothing left over.

use oz_shared::names::GRANT_LABEL;
use oz_shared::{AccessRequest, Grant};
use serde_json::json;
use support::{Call, eventually};
use tokio::sync::Mutex;

use crate::controller::{Controller, Controllers, alone};
use crate::lending::grant_path;
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

    /// Waits for what will be seen soon, whoever has to be started again for it.
    async fn until<T>(&mut self, what: &str, see: impl AsyncFn() -> Result<T, String>) -> T {
        let kept = &Mutex::new(self);
        eventually(what, LIMIT, || async {
            kept.lock().await.look();
            see().await
        })
        .await
        .unwrap()
    }

    /// Waits until the request is in this phase; any other final one is the wrong end.
    async fn until_phase(&mut self, world: &World, name: &str, phase: &str) -> AccessRequest {
        self.until(&format!("request {name} is {phase}"), async || {
            let request = world.request(name).await?;
            if request.status.is_some() && request.phase().as_str() == phase {
                return Ok(request);
            }
            assert!(!request.phase().is_final(), "{:?}", request.status);
            Err(format!("{:?}", request.status))
        })
        .await
    }

    /// Waits until nothing is left of what was lent.
    async fn until_nothing_left(&mut self, world: &World, request: &AccessRequest) {
        let path = grant_path(request);
        let grant = &request.status.as_ref().unwrap().grant;
        self.until(&format!("nothing is left of {grant}"), async || {
            let there = world.admin.call(Call::get(&path)).await.map_err(|e| format!("{e:#}"))?;
            let left = world.labelled(&format!("{GRANT_LABEL}={grant}")).await?;
            if there.code == 404 && left.is_empty() { Ok(()) } else { Err(format!("{there} {left:?}")) }
        })
        .await;
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
    let request = watch.until_phase(world, name, "Active").await;
    let session = world.enter(&request).await;
    world.until_usable(&session).await;
    world.release(&world.alice, name).await;
    let request = watch.until_phase(world, name, "Released").await;
    world.until_refused(&session).await;
    request
}

/// Asked, approved by another, and from there as above.
struct Approved;

impl Life for Approved {
    async fn live(&self, world: &World, name: &str, watch: &mut Kept<'_>) -> AccessRequest {
        world.ask(name, json!({})).await;
        watch.until_phase(world, name, "Pending").await;
        world.decide(&world.bob, name, "Approve").await;
        lent_and_released(world, name, watch).await
    }
}

/// Asked, lent, and left to its time.
struct LeftToItsTime;

impl Life for LeftToItsTime {
    async fn live(&self, world: &World, name: &str, watch: &mut Kept<'_>) -> AccessRequest {
        world.ask(name, json!({"duration": "4s"})).await;
        // It need not have been Active: its time may be over before the next controller is there.
        watch.until_phase(world, name, "Expired").await
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
