//! The ways in which access ends. Each: the credential is refused, and nothing is left but the request's record.

use oz_shared::conditions::READY;
use serde_json::json;
use support::rights::{bind_everywhere, cluster_role, user};
use support::{Call, Outcome, eventually, run};

use crate::bodies;
use crate::lending::{grant_path, message};
use crate::session::Ran;
use crate::world::{LIMIT, World, scenario};

/// Long enough to be used once, short enough to wait for.
const SHORT: &str = "8s";

async fn ready(world: &World) {
    world.template("web", json!({})).await;
    world.pod("web-0", "web").await;
}

#[tokio::test]
async fn by_expiry() {
    scenario("expiry", async |world| {
        ready(world).await;
        let (request, session) = world.used("r", json!({"duration": SHORT})).await;
        world.until_over(&request, &session).await;
        let ended = world.until_ended("r", "Expired", "Expired").await;
        let status = ended.status.as_ref().unwrap();
        assert!(status.ended_at.as_ref().unwrap().0 >= status.expires_at.as_ref().unwrap().0, "{status:?}");
    })
    .await;
}

#[tokio::test]
async fn by_release() {
    scenario("release", async |world| {
        ready(world).await;
        let (request, session) = world.used("r", json!({})).await;
        world.release(&world.alice, "r").await;
        world.until_over(&request, &session).await;
        let ended = world.until_ended("r", "Released", "Released").await;
        assert!(message(&ended, READY).starts_with("released by alice: done"), "{}", message(&ended, READY));
    })
    .await;
}

#[tokio::test]
async fn by_revocation() {
    scenario("revocation", async |world| {
        ready(world).await;
        let (request, session) = world.used("r", json!({})).await;
        let as_carol = json!({"spec": {"released": true, "releasedBy": "carol"}});
        let stranger = world.carol.call(Call::merge(world.request_path("r"), as_carol)).await.unwrap();
        assert_eq!(Outcome::of(&stranger), Outcome::Rbac);
        world.release(&world.bob, "r").await;
        world.until_over(&request, &session).await;
        let ended = world.until_ended("r", "Released", "Released").await;
        assert_eq!(ended.spec.released_by, "bob");
        assert!(message(&ended, READY).starts_with("released by bob: done"), "{}", message(&ended, READY));
    })
    .await;
}

#[tokio::test]
async fn by_deletion_of_the_request() {
    scenario("deletion", async |world| {
        ready(world).await;
        let (request, session) = world.used("r", json!({})).await;
        let own = world.alice.call(Call::delete(world.request_path("r"))).await.unwrap();
        assert_eq!(
            Outcome::of(&own),
            Outcome::Policy("oz-request-delete".into()),
            "what was granted is history"
        );
        world.must(&world.bob, Call::delete(world.request_path("r"))).await;
        world.until_over(&request, &session).await;
        world.until_gone(&world.request_path("r")).await;
    })
    .await;
}

#[tokio::test]
async fn in_its_own_time_though_the_template_is_deleted() {
    scenario("untemplated", async |world| {
        ready(world).await;
        let (request, session) = world.used("r", json!({"duration": "15s"})).await;
        world.must(&world.dave, Call::delete(world.ns.oz("accesstemplates/web"))).await;
        assert_eq!(session.run(world, "main", &["echo", "on"]).await.unwrap(), Ran::Output("on\n".into()));
        world.until_over(&request, &session).await;
        world.until_ended("r", "Expired", "Expired").await;
    })
    .await;
}

#[tokio::test]
async fn in_its_own_time_though_the_template_changes() {
    scenario("retemplated", async |world| {
        ready(world).await;
        let (request, session) = world.used("r", json!({"duration": "15s"})).await;
        let narrower =
            json!({"spec": {"exec": {"connections": ["log"]}, "duration": {"default": "1s", "max": "1s"}}});
        world.must(&world.dave, Call::merge(world.ns.oz("accesstemplates/web"), narrower)).await;
        assert_eq!(session.run(world, "main", &["echo", "on"]).await.unwrap(), Ran::Output("on\n".into()));
        world.until_over(&request, &session).await;
        let ended = world.until_ended("r", "Expired", "Expired").await;
        assert_eq!(ended.status.unwrap().expires_at, request.status.unwrap().expires_at);
    })
    .await;
}

#[tokio::test]
async fn when_the_pod_is_replaced_by_a_namesake() {
    scenario("namesake", async |world| {
        ready(world).await;
        let (request, session) = world.used("r", json!({"pod": "web-0"})).await;
        world.must(&world.dave, Call::delete(world.ns.core("pods/web-0"))).await;
        world.until_gone(&world.ns.core("pods/web-0")).await;
        world.pod("web-0", "web").await;
        world.until_over(&request, &session).await;
        world.until_ended("r", "Failed", "PodGone").await;
    })
    .await;
}

#[tokio::test]
async fn when_a_stateful_set_replaces_the_pod() {
    scenario("stateful", async |world| {
        let path = world.ns.path("apps/v1", "statefulsets");
        world.must(&world.dave, Call::post(path, bodies::workload("StatefulSet", "web"))).await;
        let pod = world.ns.core("pods/web-0");
        eventually("web-0 is made", LIMIT, || world.look(&pod)).await.unwrap();
        world.until_ready("web-0").await;
        world.template("web", bodies::of_workload("StatefulSet", "web")).await;
        let (request, session) = world.used("r", json!({})).await;
        world.must(&world.dave, Call::delete(world.ns.core("pods/web-0"))).await;
        world.until_over(&request, &session).await;
        world.until_ended("r", "Failed", "PodGone").await;
    })
    .await;
}

#[tokio::test]
async fn with_the_namespace() {
    scenario("namespace", async |world| {
        ready(world).await;
        let (request, session) = world.used("r", json!({})).await;
        world.ns.clone().remove().await.unwrap();
        world.until_over(&request, &session).await;
        world.until_gone(&format!("/api/v1/namespaces/{}", world.ns.name)).await;
    })
    .await;
}

#[tokio::test]
async fn when_an_emergency_administrator_deletes_the_grant() {
    scenario("emergency", async |world| {
        let role = format!("cluster-emergency-{}", run());
        let verbs = ["get", "delete", "revoke"];
        let rules = json!([{"apiGroups": ["ozaccess.io"], "resources": ["grants"], "verbs": verbs}]);
        cluster_role(&world.admin, &role, rules).await.unwrap();
        bind_everywhere(&world.admin, &role, &role, &[user("carol")]).await.unwrap();
        world.until_may(&world.carol, "revoke", "ozaccess.io", "grants", true).await.unwrap();
        ready(world).await;
        let (request, session) = world.used("r", json!({})).await;
        let path = grant_path(&request);
        let other = world.bob.call(Call::delete(&path)).await.unwrap();
        assert_eq!(Outcome::of(&other), Outcome::Rbac);
        world.must(&world.carol, Call::delete(&path)).await;
        world.until_over(&request, &session).await;
        world.until_ended("r", "Released", "GrantDeleted").await;
    })
    .await;
}

#[tokio::test]
async fn when_a_part_of_the_grant_is_missing() {
    scenario("part", async |world| {
        ready(world).await;
        let (request, session) = world.used("r", json!({})).await;
        // The guard lets the namespace's own admin delete nothing of it; Kubernetes' parts may.
        let role = world.ns.rbac(&format!("roles/{}", session.account));
        let refused = world.dave.call(Call::delete(&role)).await.unwrap();
        assert_eq!(Outcome::of(&refused), Outcome::Policy("oz-guard".into()));
        let collector = support::User {
            username: "system:serviceaccount:kube-system:generic-garbage-collector".to_owned(),
            uid: String::new(),
            groups: ["system:masters", "system:serviceaccounts:kube-system", "system:authenticated"]
                .map(str::to_owned)
                .into(),
        };
        world.must(&world.admin.impersonate(collector).unwrap(), Call::delete(&role)).await;
        world.until_over(&request, &session).await;
        world.until_ended("r", "Failed", "PartMissing").await;
    })
    .await;
}

#[tokio::test]
async fn with_the_pod_where_the_template_says_so() {
    scenario("evict", async |world| {
        world.template("web", json!({"exec": {"onEnd": "Evict"}})).await;
        let pod = world.pod("web-0", "web").await;
        let (request, session) = world.used("r", json!({})).await;
        world.release(&world.alice, "r").await;
        world.until_over(&request, &session).await;
        world.until_ended("r", "Released", "Released").await;
        eventually("the pod is gone", LIMIT, || async {
            match world.look(&world.ns.core("pods/web-0")).await {
                Ok(there) if there["metadata"]["uid"] == pod["metadata"]["uid"] => {
                    Err(there["status"].to_string())
                }
                _ => Ok(()),
            }
        })
        .await
        .unwrap();
    })
    .await;
}
