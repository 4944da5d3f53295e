//! Debugging containers: put beside those of a live pod, attached to and nothing else, ended by themselves or with the pod.

use oz_shared::conditions::READY;
use serde_json::{Value, json};
use support::{Call, Outcome, eventually};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

use crate::lending::message;
use crate::offers::{IMAGE, debug, may_debug};
use crate::session::{Ran, Session};
use crate::world::{LIMIT, World, scenario};

/// A pod runs, and a debugging container in it is lent.
async fn ready(world: &World, more: &Value) {
    may_debug(world).await;
    world.pod("web-0", "web").await;
    world.template("web", debug(more)).await;
}

async fn enter(world: &World, name: &str, spec: Value) -> (oz_shared::AccessRequest, Session, String) {
    let request = world.lent(name, spec).await;
    let session = world.enter(&request).await;
    let container = request.status.as_ref().unwrap().container.clone();
    (request, session, container)
}

#[tokio::test]
async fn is_attached_to_and_nothing_else_is() {
    scenario("debugging", async |world| {
        ready(world, &json!({})).await;
        let (request, session, container) = enter(world, "r", json!({})).await;
        assert_eq!(session.pod, "web-0");
        let mut process = eventually("alice attaches", LIMIT, || async {
            session.attach(world, &container).await.map_err(|e| e.to_string())
        })
        .await
        .unwrap();
        let mut stdin = process.stdin().unwrap();
        let mut out = process.stdout().unwrap();
        // It sees the target's processes.
        stdin.write_all(b"ps | grep -c 'sleep 360[0]' | sed 's/^/seen: /'\n").await.unwrap();
        until_said(&mut out, "seen: 1").await;

        for (how, query) in [
            ("attach", vec![("container", "main")]),
            ("attach", vec![("container", "side")]),
            ("exec", vec![("container", container.as_str()), ("command", "id")]),
            ("exec", vec![("container", "main"), ("command", "id")]),
            ("portforward", vec![]),
        ] {
            let query: Vec<(&str, &str)> = query.into_iter().chain([("stdout", "true")]).collect();
            let outcome = session.tries(world, how, &query).await;
            let refused =
                matches!(&outcome, Outcome::Rbac) || outcome == Outcome::Policy("oz-connect".into());
            assert!(refused, "{how} {query:?}: {outcome:?}");
        }
        assert_eq!(session.tries(world, "log", &[("container", "main")]).await, Outcome::Rbac);
        assert_eq!(session.run(world, "main", &["id"]).await.unwrap(), Ran::Refused(403));

        // Leaving the shell ends it, and with it the access.
        stdin.write_all(b"exit\n").await.unwrap();
        world.until_over(&request, &session).await;
        let ended = world.until_ended("r", "Released", "Finished").await;
        assert!(message(&ended, READY).starts_with("the debugging container ended"), "{:?}", ended.status);
    })
    .await;
}

async fn until_said(out: &mut (impl AsyncRead + Unpin), answer: &str) {
    let mut said = String::new();
    let reading = async {
        let mut piece = [0; 1024];
        while !said.contains(answer) {
            let n = out.read(&mut piece).await.unwrap();
            assert!(n > 0, "it ended: {said:?}");
            said.push_str(&String::from_utf8_lossy(&piece[..n]));
        }
    };
    tokio::time::timeout(LIMIT, reading).await.unwrap_or_else(|_| panic!("no {answer:?}"));
}

#[tokio::test]
async fn has_an_image_that_is_on_the_list_and_no_secrets() {
    scenario("images", async |world| {
        ready(world, &json!({"env": [{"name": "A", "value": "1"}], "profile": "Restricted"})).await;
        let other =
            crate::bodies::request(world.alice.user(), "other", &json!({"image": "localhost/other:1"}));
        let answer = world.alice.call(Call::post(world.ns.oz("accessrequests"), other)).await.unwrap();
        assert_eq!(Outcome::of(&answer), Outcome::Policy("oz-request-template".into()));
        assert!(answer.message().contains("does not offer image localhost/other:1"), "{answer}");
        // It may not run as root, which the image would: told in the kubelet's words.
        world.ask("root", json!({"image": IMAGE})).await;
        let ended = world.until_ended("root", "Failed", "PodFailed").await;
        assert!(message(&ended, READY).contains("runAsNonRoot"), "{:?}", ended.status);
        world.until_nothing_left(&ended).await;
        let pod = world.look(&world.ns.core("pods/web-0")).await.unwrap();
        let added = &pod["spec"]["ephemeralContainers"][0];
        assert_eq!((&added["image"], &added["env"]), (&json!(IMAGE), &json!([{"name": "A", "value": "1"}])));
        assert_eq!(added["securityContext"]["capabilities"], json!({"drop": ["ALL"]}));
        assert!(added["volumeMounts"].is_null() && added["envFrom"].is_null(), "{added}");
    })
    .await;
}

#[tokio::test]
async fn stays_or_goes_with_the_pod_as_was_said() {
    scenario("debug-end", async |world| {
        ready(world, &json!({})).await;
        world.template("evicting", debug(&json!({"onEnd": "Evict"}))).await;
        let (stays, session, _) = enter(world, "stays", json!({})).await;
        let granted = stays.status.as_ref().unwrap().granted.join("\n");
        assert!(granted.contains("are left as they are"), "{granted}");
        world.release(&world.alice, "stays").await;
        world.until_over(&stays, &session).await;
        let ended = world.until_ended("stays", "Released", "Released").await;
        assert!(message(&ended, READY).contains("is not cut"), "{:?}", ended.status);
        let pod = world.look(&world.ns.core("pods/web-0")).await.unwrap();
        assert!(!pod["status"]["ephemeralContainerStatuses"][0]["state"]["running"].is_null());

        let (goes, session, _) = enter(world, "goes", json!({"template": "evicting"})).await;
        let granted = goes.status.as_ref().unwrap().granted.join("\n");
        assert!(granted.contains("at the end the pod is evicted"), "{granted}");
        world.release(&world.alice, "goes").await;
        world.until_over(&goes, &session).await;
        world.until_ended("goes", "Released", "Released").await;
        world.until_gone(&world.ns.core("pods/web-0")).await;
    })
    .await;
}

#[tokio::test]
async fn is_offered_by_who_could_add_one_himself() {
    scenario("debug-author", async |world| {
        let body = crate::bodies::template("web", debug(&json!({})));
        let answer = world.dave.call(Call::post(world.ns.oz("accesstemplates"), body)).await.unwrap();
        assert_eq!(Outcome::of(&answer), Outcome::Policy("oz-template".into()));
        assert!(answer.message().contains("ephemeral containers"), "{answer}");
    })
    .await;
}
