//! Delegations under a controller that dies between any two writes, that was away, and beside another one.

use std::net::{Ipv4Addr, SocketAddr};

use jiff::Timestamp;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::ResourceExt as _;
use oz_shared::names::GRANT_LABEL;
use serde_json::json;
use support::{Call, eventually};
use tokio::net::UdpSocket;

use crate::controller::{Controllers, alone};
use crate::delegating::{Delegating, word};
use crate::witness::{Seen, Witness};
use crate::world::{LIMIT, World};

/// More than any life has.
const MOST_WRITES: u32 = 40;

async fn service(world: &World, name: &str) {
    let body = json!({"metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}});
    world.must(&world.admin, Call::post(world.ns.core("services"), body)).await;
}

/// Two iterations, begun and ended by events, under a controller that dies before one write.
#[tokio::test]
async fn killed_before_any_write() {
    alone("del-killed", async |world, controllers| {
        let it = Delegating::new(world).await;
        it.reads("reads", "configmaps").await;
        for write in 1.. {
            assert!(write <= MOST_WRITES, "no run came through");
            let killed = one_life(&it, controllers, write).await;
            println!("killed before write {write}: {killed}");
            if !killed {
                assert!(write > 8, "only {} writes: the fault points are not in force", write - 1);
                break;
            }
        }
    })
    .await;
}

async fn one_life(it: &Delegating<'_>, controllers: &Controllers, write: u32) -> bool {
    let (world, name) = (it.world, format!("d{write}"));
    let bindings = Witness::<RoleBinding>::start(world.admin.client()).await;
    let mut now = controllers.start_killed_at(write);
    let mut killed = false;
    let event = |on: &str, count: i32| json!([{"event": {"change": on, "kind": "Service", "name": format!("{name}-*"), "count": count}}]);
    it.write(
        &name,
        json!({"triggers": event("Added", 2), "deletionTriggers": event("Deleted", 1), "repeat": 2}),
    )
    .await;
    for iteration in 1..=2 {
        for (what, phase) in [("armed", "Waiting"), ("half", "Waiting"), ("begun", "Active"), ("over", "")] {
            match what {
                "half" => service(world, &format!("{name}-{iteration}a")).await,
                "begun" => service(world, &format!("{name}-{iteration}b")).await,
                "over" => {
                    let path = world.ns.core(&format!("services/{name}-{iteration}a"));
                    world.must(&world.admin, Call::delete(path)).await;
                }
                _ => {}
            }
            let kept = &std::sync::Mutex::new((&mut now, &mut killed));
            eventually(&format!("{name} is {what} in iteration {iteration}"), LIMIT, || async {
                {
                    let mut kept = kept.lock().unwrap();
                    if kept.0.is_dead() {
                        assert!(!*kept.1, "a controller without fault points has died");
                        *kept.1 = true;
                        *kept.0 = controllers.start();
                    }
                }
                let delegation = it.get(&name).await?;
                let status = delegation.status.clone().unwrap_or_default();
                let counted = status.triggers.first().map(|t| t.count);
                let is = match what {
                    "armed" => counted == Some(0) && status.iteration == iteration,
                    "half" => counted == Some(1) && status.iteration == iteration,
                    "begun" => word(&delegation, "Ready") == "Lent" && status.iteration == iteration,
                    _ => status.iteration > iteration || delegation.phase().is_final(),
                };
                assert!(what == "over" || phase == delegation.phase().as_str() || !is, "{what}: {status:?}");
                if is { Ok(()) } else { Err(format!("{status:?}")) }
            })
            .await
            .unwrap();
        }
    }
    let over = it.until_phase(&name, "Completed").await;
    it.until_nothing_left(&over).await;
    let grant = oz_shared::names::grant_name(over.metadata.uid.as_deref().unwrap());
    let made =
        |s: &Seen<RoleBinding>| matches!(s, Seen::Made(b) if b.labels().get(GRANT_LABEL) == Some(&grant));
    let made = bindings.seen().iter().filter(|s| made(s)).count();
    assert_eq!(made, 2, "bindings of {name}, killed before write {write}");
    killed
}

/// What happened while it was away: events count, an end comes first, and what stands is not taken away for a moment.
#[tokio::test]
async fn away_while_things_happen() {
    alone("del-away", async |world, controllers| {
        let it = Delegating::new(world).await;
        it.reads("reads", "configmaps").await;
        let event = |on: &str, name: &str, count: i32| json!([{"event": {"change": on, "kind": "Service", "name": name, "count": count}}]);
        let first = controllers.start();
        service(world, "gone").await;
        it.write("counts", json!({"triggers": event("Added", "svc-*", 2)})).await;
        it.write("ends", json!({"deletionTriggers": event("Deleted", "gone", 1)})).await;
        it.write("times", json!({"deletionTriggers": [{"time": "12s"}]})).await;
        it.write("stays", json!({})).await;
        for name in ["ends", "times", "stays"] {
            it.until_lent(name).await;
        }
        it.until("counts", "waits", |d| d.status.as_ref().is_some_and(|s| !s.triggers.is_empty())).await;
        service(world, "svc-1").await;
        it.until("counts", "has counted one", |d| d.status.as_ref().is_some_and(|s| s.triggers[0].count == 1)).await;
        first.kill();
        let bindings = Witness::<RoleBinding>::start(world.admin.client()).await;
        service(world, "svc-2").await;
        world.must(&world.admin, Call::delete(world.ns.core("services/gone"))).await;
        let end = it.get("times").await.unwrap().status.unwrap().deletion_triggers[0].at.clone().unwrap().0;
        eventually("its time is over", LIMIT, || async {
            let now = jiff::Timestamp::now();
            if now > end { Ok(()) } else { Err(now.to_string()) }
        })
        .await
        .unwrap();
        let _next = controllers.start();
        it.until_phase("ends", "Completed").await;
        it.until_phase("times", "Completed").await;
        let counts = it.until_lent("counts").await;
        assert_eq!(counts.status.unwrap().triggers[0].count, 2);
        let stays = it.get("stays").await.unwrap();
        let grant = stays.status.unwrap().grant.unwrap().name;
        let touched = bindings.seen();
        let touched = touched.iter().filter(|s| {
            let (Seen::Made(b) | Seen::Changed(b) | Seen::Gone(b)) = s else { return false };
            b.labels().get(GRANT_LABEL) == Some(&grant)
        });
        assert_eq!(touched.count(), 0, "what stands was touched");
        it.until_reads(&world.carol, "configmaps", true).await;
    })
    .await;
}

/// Neither waits for the other: no second binding, and no iteration twice.
#[tokio::test]
async fn two_controllers_bind_once() {
    alone("del-two", async |world, controllers| {
        let it = Delegating::new(world).await;
        it.reads("reads", "configmaps").await;
        let (one, other) = (controllers.start(), controllers.start());
        one.until_ready().await;
        other.until_ready().await;
        let bindings = Witness::<RoleBinding>::start(world.admin.client()).await;
        let names: Vec<String> = (0..10).map(|n| format!("d{n}")).collect();
        for name in &names {
            it.write(name, json!({"deletionTriggers": [{"time": "5s"}], "repeat": 2})).await;
        }
        for name in &names {
            let over = it.until_phase(name, "Completed").await;
            it.until_nothing_left(&over).await;
            let grant = oz_shared::names::grant_name(over.metadata.uid.as_deref().unwrap());
            let seen = bindings.seen();
            let its = |b: &RoleBinding| b.labels().get(GRANT_LABEL) == Some(&grant);
            let mut there = 0;
            for s in &seen {
                match s {
                    Seen::Made(b) if its(b) => there += 1,
                    Seen::Gone(b) if its(b) => there -= 1,
                    _ => {}
                }
                assert!((0..=1).contains(&there), "{name} is bound twice");
            }
            assert_eq!(there, 0);
        }
    })
    .await;
}

/// An NTP server that is ahead of this machine by so many seconds.
async fn ntp(ahead: i64) -> SocketAddr {
    /// Seconds from 1900 to 1970.
    const ERA: i64 = 2_208_988_800;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut asked = [0; 48];
        while let Ok((_, peer)) = socket.recv_from(&mut asked).await {
            // Version 4, a server, which has its time from another; the question's own time, then its own, twice.
            let mut answer = [0; 48];
            (answer[0], answer[1]) = (0b00_100_100, 2);
            answer[24..32].copy_from_slice(&asked[40..48]);
            let seconds = u32::try_from(Timestamp::now().as_second() + ERA + ahead).unwrap();
            for at in [32, 40] {
                answer[at..at + 4].copy_from_slice(&seconds.to_be_bytes());
            }
            let _ = socket.send_to(&answer, peer).await;
        }
    });
    address
}

/// Of clocks an hour apart the API server's counts, and that is told.
#[tokio::test]
async fn a_clock_that_is_far_off_is_told_of_and_ends_nothing() {
    alone("del-clocks", async |world, controllers| {
        let it = Delegating::new(world).await;
        it.reads("reads", "configmaps").await;
        let (far, near) = (ntp(3600).await.to_string(), ntp(0).await.to_string());
        let first = controllers.start_with(&[("OZ_NTP_SERVERS", far.as_str())], None);
        it.write("d", json!({"deletionTriggers": [{"time": "30m"}]})).await;
        let refused = |d: &oz_shared::Delegation| word(d, "ClocksAgree") == "NtpRefused";
        it.until("d", "tells of the clocks", refused).await;
        it.until_lent("d").await;
        it.until_reads(&world.carol, "configmaps", true).await;
        first.kill();
        let _second = controllers.start_with(&[("OZ_NTP_SERVERS", near.as_str())], None);
        let agree = |d: &oz_shared::Delegation| word(d, "ClocksAgree") == "NearEnough";
        let lent = it.until("d", "tells that they agree", agree).await;
        assert_eq!((lent.phase().as_str(), word(&lent, "Ready")), ("Active", "Lent".to_owned()));
        it.until_reads(&world.carol, "configmaps", true).await;
    })
    .await;
}
