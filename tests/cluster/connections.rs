//! What a session can do with what it was lent, by real connections, and what it cannot.

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::AttachParams;
use serde_json::json;
use support::{Call, Outcome};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::bodies;
use crate::session::Ran;
use crate::world::{LIMIT, World, scenario};

fn policy() -> Outcome {
    Outcome::Policy("oz-connect".into())
}

#[tokio::test]
async fn only_the_listed_commands_in_the_listed_containers() {
    scenario("commands", async |world| {
        let commands = json!([["echo", "a b"], ["id"]]);
        world.template("web", json!({"exec": {"containers": ["main"], "commands": commands}})).await;
        world.pod("web-0", "web").await;
        let request = world.lent("r", json!({})).await;
        let session = world.enter(&request).await;
        support::eventually("the command runs", crate::world::LIMIT, || async {
            match session.run(world, "main", &["echo", "a b"]).await {
                Ok(Ran::Output(text)) if text == "a b\n" => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await
        .unwrap();
        let id = session.run(world, "main", &["id"]).await.unwrap();
        assert!(matches!(&id, Ran::Output(text) if text.contains("uid=")), "{id:?}");
        for (container, command) in [
            ("main", &["echo", "a", "b"][..]),
            ("main", &["echo"]),
            ("main", &["id", "-u"]),
            ("main", &["sh"]),
            ("side", &["id"]),
        ] {
            let ran = session.run(world, container, command).await.unwrap();
            assert_eq!(ran, Ran::Refused(403), "{container} {command:?}");
            let mut query = vec![("stdout", "true"), ("container", container)];
            query.extend(command.iter().map(|word| ("command", *word)));
            assert_eq!(session.tries(world, "exec", &query).await, policy(), "{container} {command:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn only_the_listed_kinds() {
    scenario("kinds", async |world| {
        world.pod("web-0", "web").await;
        let exec = [("stdout", "true"), ("container", "main"), ("command", "true")];
        let attach = [("stdout", "true"), ("container", "main")];
        let log = [("container", "main")];
        let kinds = ["exec", "attach", "portforward", "log"];
        for lent in kinds {
            world.template(lent, json!({"exec": {"connections": [lent]}})).await;
            let request = world.lent(lent, json!({"template": lent})).await;
            let session = world.enter(&request).await;
            support::eventually("the pod can be read", crate::world::LIMIT, || async {
                let pod = session.identity.call(Call::get(world.ns.core("pods/web-0"))).await.unwrap();
                if pod.is_success() { Ok(()) } else { Err(pod.to_string()) }
            })
            .await
            .unwrap();
            for tried in kinds {
                let query = match tried {
                    "exec" => &exec[..],
                    "attach" => &attach[..],
                    "log" => &log[..],
                    _ => &[],
                };
                let outcome = session.tries(world, tried, query).await;
                let expected = if tried == lent { Outcome::Allowed } else { Outcome::Rbac };
                assert_eq!(outcome, expected, "{tried} where {lent} is lent");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn only_into_the_one_pod() {
    scenario("onepod", async |world| {
        world.template("web", json!({})).await;
        world.pod("web-0", "web").await;
        world.pod("web-1", "web").await;
        let (_, session) = world.used("r", json!({"pod": "web-0"})).await;
        let other = crate::session::Session { pod: "web-1".into(), ..session };
        assert_eq!(other.run(world, "main", &["true"]).await.unwrap(), Ran::Refused(403));
        let pods = other.identity.call(Call::get(world.ns.core("pods"))).await.unwrap();
        assert_eq!(Outcome::of(&pods), Outcome::Rbac);
        let secrets = other.identity.call(Call::get(world.ns.core("secrets"))).await.unwrap();
        assert_eq!(Outcome::of(&secrets), Outcome::Rbac);
    })
    .await;
}

/// A pod whose main process echoes what it reads, and serves a line on port 8080 beside it.
async fn talking_pod(world: &World) {
    let mut pod = bodies::pod("web-0", "web");
    let main = &mut pod["spec"]["containers"][0];
    main["stdin"] = json!(true);
    main["command"] =
        json!(["sh", "-c", "(while :; do echo served | nc -l -p 8080; done) </dev/null & exec cat"]);
    world.must(&world.admin, Call::post(world.ns.core("pods"), pod)).await;
    world.until_ready("web-0").await;
}

#[tokio::test]
async fn attached_to_the_main_process() {
    scenario("attached", async |world| {
        talking_pod(world).await;
        world.template("web", json!({"exec": {"connections": ["attach"]}})).await;
        let request = world.lent("r", json!({})).await;
        let session = world.enter(&request).await;
        let pods: Api<Pod> = Api::namespaced(session.identity.client(), &world.ns.name);
        let params = AttachParams::default().container("main").stdin(true).stdout(true).stderr(false);
        let mut process = support::eventually("alice attaches", LIMIT, || async {
            pods.attach(&session.pod, &params).await.map_err(|e| e.to_string())
        })
        .await
        .unwrap();
        process.stdin().unwrap().write_all(b"hello\n").await.unwrap();
        let mut said = [0; 6];
        let mut out = process.stdout().unwrap();
        tokio::time::timeout(LIMIT, out.read_exact(&mut said)).await.unwrap().unwrap();
        assert_eq!(&said, b"hello\n");
    })
    .await;
}

#[tokio::test]
async fn forwarded_to_a_port() {
    scenario("forwarded", async |world| {
        talking_pod(world).await;
        world.template("web", json!({"exec": {"connections": ["portforward"]}})).await;
        let request = world.lent("r", json!({})).await;
        let session = world.enter(&request).await;
        let pods: Api<Pod> = Api::namespaced(session.identity.client(), &world.ns.name);
        let said = support::eventually("the port answers", LIMIT, || async {
            let mut forwarder = pods.portforward(&session.pod, &[8080]).await.map_err(|e| e.to_string())?;
            let mut stream = forwarder.take_stream(8080).ok_or("no stream")?;
            let mut said = String::new();
            let read = tokio::time::timeout(LIMIT, stream.read_to_string(&mut said)).await;
            read.map_err(|e| e.to_string())?.map_err(|e| e.to_string())?;
            if said.is_empty() { Err("nothing yet".to_owned()) } else { Ok(said) }
        })
        .await
        .unwrap();
        assert_eq!(said, "served\n");
    })
    .await;
}
