//! The real collectors, scheduler and node: what is labelled still starts, ends with its owner, and goes with its
//! namespace.

use std::time::Duration;

use serde_json::{Value, json};
use support::{Call, eventually};

use crate::bodies::{copy, role, rule, with};
use crate::grants::GRANTS;
use crate::lending::{LONG, owner, service_account, session_name, sessions};
use crate::table::Expect::{Allowed, AnyVap};
use crate::table::Table;
use crate::world::{Cast, World};

/// On a machine that compiles beside it.
const LIMIT: Duration = Duration::from_secs(60);

async fn until_gone(t: &mut Table<'_>, world: &World, what: &str, path: &str) {
    let gone = eventually(what, LIMIT, || async {
        match world.who("admin").call(Call::get(path)).await {
            Ok(answer) if answer.code == 404 => Ok(()),
            Ok(answer) => Err(format!("{} {}", answer.code, answer.body["status"])),
            Err(error) => Err(error.to_string()),
        }
    })
    .await;
    t.fact(what, gone.is_ok(), &format!("{gone:?}"));
}

#[tokio::test]
async fn collector_of_garbage() {
    let world = World::new("garbage", Cast::Certificates).await;
    let mut t = Table::new("the garbage collector", &world);
    let grant = owner(&world).await;
    let owner = json!({"metadata": {"ownerReferences": [grant]}});
    let session = session_name('n', 900);
    let account = with(service_account(&session, &world.labels()), &owner);
    t.case("account owned by a grant", Allowed, "ctl", Call::post(sessions("serviceaccounts"), account))
        .await;
    let rules = json!([rule(&[""], &["pods"], &["web-0"], &["get"])]);
    let rights = with(role(&session, &world.labels(), rules), &owner);
    t.case("Role owned by a grant", Allowed, "ctl", Call::post(world.ns.rbac("roles"), rights)).await;
    let made = Call::post(world.ns.core("pods"), copy("copy", &world.labels(), &grant));
    t.case("a copy owned by a grant", Allowed, "ctl", made).await;
    let path = world.ns.rbac(&format!("roles/{session}"));
    t.case(
        "boss strips the owner",
        AnyVap,
        "boss",
        Call::merge(&path, json!({"metadata": {"ownerReferences": null}})),
    )
    .await;
    let emergency = Call::delete(format!("{GRANTS}/{}", world.grant));
    t.case("an emergency: boss deletes the grant", Allowed, "boss", emergency).await;
    until_gone(
        &mut t,
        &world,
        "the collector took the account",
        &sessions(&format!("serviceaccounts/{session}")),
    )
    .await;
    until_gone(&mut t, &world, "and the Role", &path).await;
    until_gone(&mut t, &world, "and the copy", &world.ns.core("pods/copy")).await;
    t.finish();
    world.end().await;
}

#[tokio::test]
async fn collector_of_namespaces() {
    let world = World::new("going", Cast::Certificates).await;
    world.offer_web().await;
    let mut t = Table::new("the namespace collector", &world);
    let rules = json!([rule(&[""], &["pods"], &["web-0"], &["get"])]);
    let session = session_name('p', LONG);
    let rights = role(&session, &world.labels(), rules);
    t.case("something labelled is there", Allowed, "ctl", Call::post(world.ns.rbac("roles"), rights)).await;
    let request = t
        .object("a request is there", "alice", Call::post(world.requests(), world.request("alice", "r")))
        .await;
    let status = json!({"status": {"phase": "Active", "approvedAt": "2026-11-22T10:00:00Z"}});
    let path = format!("{}/{}/status", world.requests(), request["metadata"]["name"].as_str().unwrap());
    t.case("and was granted", Allowed, "ctl", Call::merge(path, status)).await;
    let namespace = format!("/api/v1/namespaces/{}", world.ns.name);
    t.case("root deletes the namespace", Allowed, "root", Call::delete(&namespace)).await;
    until_gone(&mut t, &world, "the namespace is gone, labelled things and requests included", &namespace)
        .await;
    t.finish();
    world.end().await;
}

/// What a pod says of itself.
async fn status(world: &World, path: &str) -> Result<Value, String> {
    let answer = world.who("admin").call(Call::get(path)).await.map_err(|error| error.to_string())?;
    Ok(answer.body["status"].clone())
}

#[tokio::test]
async fn node_and_scheduler() {
    let world = World::new("node", Cast::Certificates).await;
    let owner = owner(&world).await;
    let mut t = Table::new("the node and the scheduler", &world);
    let pods = world.ns.core("pods");
    let body = |name: &str| copy(name, &world.labels(), &owner);
    t.case("controller makes a copy", Allowed, "ctl", Call::post(&pods, body("copy"))).await;
    let lost = with(body("nofit"), &json!({"spec": {"nodeSelector": {"no": "such"}}}));
    t.case("a labelled pod that no node can take", Allowed, "ctl", Call::post(&pods, lost)).await;
    let copy = format!("{pods}/copy");
    let runs = eventually("the copy runs", LIMIT, || async {
        let seen = status(&world, &copy).await?;
        if seen["phase"] == "Running" { Ok(()) } else { Err(seen.to_string()) }
    })
    .await;
    t.fact("the labelled copy runs on the node", runs.is_ok(), &format!("{runs:?}"));
    let nofit = format!("{pods}/nofit");
    let told = eventually("the scheduler says why", LIMIT, || async {
        let seen = status(&world, &nofit).await?;
        let conditions = seen["conditions"].as_array().cloned().unwrap_or_default();
        let told = conditions.iter().any(|c| c["type"] == "PodScheduled" && c["status"] == "False");
        if told { Ok(()) } else { Err(seen.to_string()) }
    })
    .await;
    t.fact("the scheduler could write why", told.is_ok(), &format!("{told:?}"));
    t.case("controller deletes the copy", Allowed, "ctl", Call::delete(&copy)).await;
    until_gone(&mut t, &world, "the node lets it go", &copy).await;
    t.finish();
    world.end().await;
}
