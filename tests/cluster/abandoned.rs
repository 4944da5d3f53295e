//! A controller that never comes back, and Oz's own definitions deleted: in a cluster of its own, brought up for this
//! and taken down again, beside all other tests. It takes thirteen minutes, since the last token lives for eleven.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use kube::CustomResourceExt as _;
use oz_shared::Request as _;
use oz_shared::names::GRANT_LABEL;
use oz_shared::{AccessRequest, NamespaceRequest, custom_resource_definitions};
use serde_json::json;
use support::{Call, Lab, eventually};

use crate::controller::{Controllers, stop};
use crate::session::{Ran, Session};
use crate::spaces::{Spaces, until_reads};
use crate::spare::Spare;
use crate::world::{LIMIT, World, tell_failure};

/// The API server gives no token a shorter life.
const SHORTEST_TOKEN: SignedDuration = SignedDuration::from_secs(600);
/// How long a token is taken after its end: a leeway of 60 s, and a cache.
const LEEWAY: Duration = Duration::from_secs(70);
/// For this machine's own slowness.
const MARGIN: Duration = Duration::from_secs(20);

async fn install(lab: &Lab) -> Result<()> {
    let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests");
    eventually("Oz's objects are taken", LIMIT, || async {
        let mut kubectl = Command::new(lab.kubectl());
        kubectl.arg("--kubeconfig").arg(lab.kubeconfig("admin")).args(["apply", "-k"]).arg(&manifests);
        let applied = kubectl.output().map_err(|e| e.to_string())?;
        if applied.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&applied.stderr).into_owned())
        }
    })
    .await
}

#[tokio::test]
async fn access_ends_without_a_controller_and_without_its_kinds() {
    // Without the controller in it: the one of this test runs outside.
    let Some(spare) = Spare::up(&["--no-oz"]).unwrap_or_else(|error| panic!("to prepare: {error:#}")) else {
        return;
    };
    install(&spare.lab).await.unwrap_or_else(|error| panic!("to prepare: {error:#}"));
    let world = World::at(spare.lab.clone(), "abandoned").await.unwrap();
    world.enable().await.unwrap();
    stop(&world.admin).await.unwrap();
    tell_failure(&world, async |world| {
        world.template("web", json!({})).await;
        world.until_forgery_is(true).await;
        world.pod("web-0", "web").await;
        let controllers = Controllers::of(&world.lab).await.unwrap();
        dead_for_good(world, &controllers).await;
        let put_back = kind_put_back_beside_it(world, &controllers).await;
        let lent = kinds_deleted_beside_it(world, &controllers).await;
        install(&world.lab).await.unwrap();
        stop(&world.admin).await.unwrap();
        world.template("web", json!({})).await;
        kinds_deleted(world, &controllers).await;
        for namespace in [put_back.as_str(), lent.as_str(), "kept-beside-none"] {
            let there = world.look(&format!("/api/v1/namespaces/{namespace}/configmaps/own")).await;
            assert!(there.is_ok(), "{namespace}: {there:?}");
        }
    })
    .await;
}

/// The controller dies: minting ends with the deadline, and the last token with its own life.
async fn dead_for_good(world: &World, controllers: &Controllers) {
    let controller = controllers.start();
    let (request, session) = granted_to_new_namespace(world, "r", "30s").await;
    controller.kill();
    let last = last_token(world, &session).await;
    let deadline = request.status.as_ref().unwrap().expires_at.as_ref().unwrap().0;
    assert_eq!(
        last.run(world, "main", &["echo", "on"]).await.unwrap(),
        Ran::Output("on\n".into()),
        "{:?}",
        request.status
    );
    // Until then the API server's word is that it lives.
    let ends = deadline + SHORTEST_TOKEN;
    tokio::time::sleep(Duration::try_from(ends.duration_since(Timestamp::now())).unwrap_or_default()).await;
    eventually("the last token is dead", LEEWAY + MARGIN, || async {
        match (last.run(world, "main", &["true"]).await, last.whoami().await) {
            (Ok(Ran::Refused(401)), Ok(401)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await
    .unwrap();
    assert!(world.grant(&request).await.is_ok(), "nobody was there to end it");
    let next = controllers.start();
    world.until_over(&request, &session).await;
    world.until_ended("r", "Expired", "Expired").await;
    next.kill();
}

/// Requests younger than the gate are granted: the first ones in a new cluster may not be.
async fn granted_to_new_namespace(world: &World, name: &str, duration: &str) -> (AccessRequest, Session) {
    eventually("the gate is old enough", LIMIT, || async {
        let early = format!("early-{}", Timestamp::now().as_millisecond());
        world.ask(&early, json!({"pod": "web-0", "duration": "1s"})).await;
        let decided = world.until(&early, "it is decided", |r| r.phase().as_str() != "Pending").await;
        if decided.phase().as_str() == "Failed" { Err(format!("{:?}", decided.status)) } else { Ok(()) }
    })
    .await
    .unwrap();
    world.used(name, json!({"duration": duration})).await
}

/// Mints again and again until that is refused.
async fn last_token(world: &World, session: &Session) -> Session {
    let mut token = String::new();
    loop {
        let answer = world.mint(&session.account, SHORTEST_TOKEN.as_secs()).await.unwrap();
        match answer.body["status"]["token"].as_str() {
            Some(minted) => token = minted.to_owned(),
            None => {
                assert!(answer.message().contains(" ended "), "{answer}");
                break;
            }
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let identity = world.alice.with_token(&token).await.unwrap();
    Session { account: session.account.clone(), identity, pod: session.pod.clone() }
}

/// The kind of requests goes while a controller runs, and somebody puts it back: the requests that were are no more, which
/// nobody meant to end, and what is kept in their namespaces stays.
async fn kind_put_back_beside_it(world: &World, controllers: &Controllers) -> String {
    let controller = controllers.start();
    let spaces = Spaces::new(world, json!({})).await;
    let name = spaces.name("put-back");
    let owner = kept_in(&spaces, "put-back", &name).await;
    delete_definition(world, NamespaceRequest::crd_name()).await;
    install(&world.lab).await.unwrap();
    stop(&world.admin).await.unwrap();
    until_reads(&owner, &name, "configmaps", &[401, 403]).await;
    eventually("its grant is gone", LIMIT, || async {
        let grants = world.look("/apis/ozaccess.io/v1alpha1/grants").await?;
        let mut all = grants["items"].as_array().into_iter().flatten();
        if all.all(|g| g["spec"]["request"]["name"] != "put-back") { Ok(()) } else { Err(grants.to_string()) }
    })
    .await
    .unwrap();
    let there = spaces.namespace(&name).await.unwrap();
    assert_eq!(there["metadata"]["deletionTimestamp"], serde_json::Value::Null);
    controller.kill();
    name
}

/// The definitions go while a controller runs: it takes back what it lent, but for the namespaces and what is in them.
async fn kinds_deleted_beside_it(world: &World, controllers: &Controllers) -> String {
    let controller = controllers.start();
    let spaces = Spaces::again(world).await;
    let name = spaces.name("kept");
    let owner = kept_in(&spaces, "beside", &name).await;
    delete_definitions(world).await;
    until_reads(&owner, &name, "configmaps", &[401, 403]).await;
    let there = spaces.namespace(&name).await.unwrap();
    assert_eq!(there["metadata"]["deletionTimestamp"], serde_json::Value::Null);
    controller.kill();
    name
}

/// A namespace in which its owner keeps something.
async fn kept_in(spaces: &Spaces<'_>, request: &str, name: &str) -> support::Identity {
    let request = spaces.lent(request, &[name], json!({})).await;
    let owner = spaces.enter(&request).await;
    until_reads(&owner, name, "configmaps", &[200]).await;
    let own = json!({"metadata": {"name": "own"}, "data": {"a": "b"}});
    spaces.world.must(&owner, Call::post(format!("/api/v1/namespaces/{name}/configmaps"), own)).await;
    owner
}

async fn delete_definitions(world: &World) {
    for definition in custom_resource_definitions() {
        delete_definition(world, &definition.metadata.name.unwrap()).await;
    }
}

async fn delete_definition(world: &World, name: &str) {
    let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}");
    world.must(&world.admin, Call::delete(&path)).await;
    world.until_gone(&path).await;
}

/// The definitions go while no controller runs: the garbage collector ends all that was lent.
async fn kinds_deleted(world: &World, controllers: &Controllers) {
    let controller = controllers.start();
    let (_, session) = granted_to_new_namespace(world, "s", "30m").await;
    let spaces = Spaces::again(world).await.class("again", json!({})).await;
    let owner = kept_in(&spaces, "beside-none", "kept-beside-none").await;
    controller.kill();
    delete_definitions(world).await;
    world.until_refused(&session).await;
    world.until_token_dead(&session).await;
    until_reads(&owner, "kept-beside-none", "configmaps", &[401, 403]).await;
    eventually("nothing but namespaces carries the label of a grant", LIMIT, || async {
        let left = world.labelled(GRANT_LABEL).await?;
        match left
            .iter()
            .filter(|path| !path.starts_with("/api/v1/namespaces "))
            .collect::<Vec<_>>()
            .as_slice()
        {
            [] => Ok(()),
            left => Err(format!("{left:?}")),
        }
    })
    .await
    .unwrap();
}
