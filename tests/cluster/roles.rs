//! Roles, lent as they stand: what they let the holder do, which are refused, and how they end.

use oz_shared::conditions::READY;
use oz_shared::names::SYSTEM_NAMESPACE;
use serde_json::json;
use support::rights::{account, cluster_role};
use support::{Call, Outcome, eventually, with};

use crate::lending::message;
use crate::offers::{lends, may_bind, opted_in, role};
use crate::session::Session;
use crate::world::{LIMIT, World, scenario};

async fn until_over(world: &World, request: &oz_shared::AccessRequest, session: &Session, what: &str) {
    session.until_reads_not(world, what).await;
    world.until_nothing_left(request).await;
    world.until_token_dead(session).await;
}

#[tokio::test]
async fn a_cluster_role_is_lent_in_the_namespace_alone() {
    scenario("role-view", async |world| {
        may_bind(world).await;
        world.template("web", lends("ClusterRole", "view", &json!({}))).await;
        let request = world.lent("r", json!({})).await;
        let status = request.status.clone().unwrap();
        assert!(status.granted[0].starts_with("ClusterRole view in namespace"), "{:?}", status.granted);
        assert!(
            status.granted.iter().any(|w| w.contains("get,list,watch on") && w.contains("pods/log")),
            "{:?}",
            status.granted
        );
        assert!(status.account.starts_with("oz-n-"), "{status:?}");
        let session = world.enter(&request).await;
        session.until_reads(world, "configmaps").await;
        assert_eq!(session.reads(world, "secrets").await, 403);
        let elsewhere =
            session.identity.call(Call::get("/api/v1/namespaces/default/configmaps")).await.unwrap();
        assert_eq!(Outcome::of(&elsewhere), Outcome::Rbac);
        let made = json!({"metadata": {"name": "made"}});
        let made = session.identity.call(Call::post(world.ns.core("configmaps"), made)).await.unwrap();
        assert_eq!(Outcome::of(&made), Outcome::Rbac);
        world.release(&world.alice, "r").await;
        until_over(world, &request, &session, "configmaps").await;
        world.until_ended("r", "Released", "Released").await;
    })
    .await;
}

#[tokio::test]
async fn a_role_ends_with_its_time() {
    scenario("role-expired", async |world| {
        may_bind(world).await;
        role(world, "reading", json!({"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}))
            .await;
        world.template("web", lends("Role", "reading", &json!({}))).await;
        let request = world.lent("r", json!({"duration": "8s"})).await;
        let session = world.enter(&request).await;
        session.until_reads(world, "configmaps").await;
        until_over(world, &request, &session, "configmaps").await;
        world.until_ended("r", "Expired", "Expired").await;
    })
    .await;
}

/// By whatever name the power goes.
#[tokio::test]
async fn what_makes_lasting_access_is_refused_unless_the_template_allows_it() {
    scenario("lasting", async |world| {
        may_bind(world).await;
        let rules = [
            ("everything", json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]})),
            ("subresources", json!({"apiGroups": [""], "resources": ["pods/*"], "verbs": ["get"]})),
            ("secrets", json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": ["one"]})),
            ("pods", json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]})),
            ("minting", json!({"apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"]})),
            ("constrained", json!({"apiGroups": ["authentication.k8s.io"], "resources": ["serviceaccounts"], "verbs": ["impersonate:serviceaccount"]})),
            ("operators", json!({"apiGroups": ["tekton.dev"], "resources": ["taskruns"], "verbs": ["create"]})),
        ];
        for (name, rule) in rules {
            role(world, name, rule).await;
            world.template(name, lends("Role", name, &json!({}))).await;
            world.ask(name, json!({"template": name})).await;
            let ended = world.until_ended(name, "Failed", "LastingPower").await;
            assert!(message(&ended, READY).contains("outlasts the loan"), "{:?}", ended.status);
        }
        let allowed = with(lends("Role", "secrets", &json!({"allowLasting": true})), &json!({"approvals": 1}));
        world.template("allowed", allowed).await;
        world.ask("allowed", json!({"template": "allowed"})).await;
        let asked = world.until_waiting("allowed", "WaitingForApproval").await;
        let offered = asked.status.unwrap().offered.join("\n");
        assert!(offered.contains("outlasts the loan: secrets hold credentials"), "{offered}");
        world.decide(&world.bob, "allowed", "Approve").await;
        let request = world.until_phase("allowed", "Active").await;
        assert!(request.status.unwrap().granted.join("\n").contains("secrets hold credentials"));
    })
    .await;
}

#[tokio::test]
async fn ends_when_the_role_becomes_another() {
    scenario("role-changed", async |world| {
        may_bind(world).await;
        let harmless = json!({"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]});
        let harmful = json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]});
        for name in ["widened", "recreated"] {
            role(world, name, harmless.clone()).await;
            world.template(name, lends("Role", name, &json!({}))).await;
        }
        let widened = world.lent("widened", json!({"template": "widened"})).await;
        let recreated = world.lent("recreated", json!({"template": "recreated"})).await;
        // More of what ends with the loan is no matter.
        let more =
            json!({"rules": [harmless, {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]});
        world.must(&world.admin, Call::merge(world.ns.rbac("roles/widened"), more)).await;
        let session = world.enter(&widened).await;
        session.until_reads(world, "pods").await;
        world
            .must(&world.admin, Call::merge(world.ns.rbac("roles/widened"), json!({"rules": [harmful]})))
            .await;
        let ended = world.until_ended("widened", "Failed", "RoleChanged").await;
        assert!(message(&ended, READY).contains("outlasts the loan"), "{:?}", ended.status);
        until_over(world, &widened, &session, "pods").await;

        world.must(&world.admin, Call::delete(world.ns.rbac("roles/recreated"))).await;
        world.until_ended("recreated", "Failed", "RoleChanged").await;
        world.until_nothing_left(&recreated).await;
    })
    .await;
}

#[tokio::test]
async fn an_aggregated_cluster_role_is_judged_by_what_it_holds() {
    scenario("aggregated", async |world| {
        may_bind(world).await;
        let part = format!("{}-part", world.ns.name);
        let whole = format!("{}-whole", world.ns.name);
        let label = json!({format!("aggregate-to/{whole}"): "true"});
        let path = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
        let run = json!({support::RUN_LABEL: support::run()});
        let rules = json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}]);
        let body = json!({"metadata": {"name": part, "labels": with(run.clone(), &label)}, "rules": rules});
        world.must(&world.admin, Call::post(path, body)).await;
        let body = json!({"metadata": {"name": whole, "labels": run},
            "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": label}]}});
        world.must(&world.admin, Call::post(path, body)).await;
        eventually("the role is aggregated", LIMIT, || async {
            let role = world.look(&format!("{path}/{whole}")).await?;
            if role["rules"][0]["resources"][0] == "secrets" { Ok(()) } else { Err(role["rules"].to_string()) }
        })
        .await
        .unwrap();
        // What Oz may lend is said by name.
        world.template("web", lends("ClusterRole", &whole, &json!({}))).await;
        world.ask("beyond", json!({})).await;
        let ended = world.until_ended("beyond", "Failed", "BeyondCeiling").await;
        assert!(message(&ended, READY).contains("ozaccess.io/ceiling"), "{:?}", ended.status);
        let rule = json!({"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"], "resourceNames": [whole], "verbs": ["bind", "lend"]});
        let more = format!("{}-more", world.ns.name);
        cluster_role(&world.admin, &more, json!([rule])).await.unwrap();
        world.ns.bind("more", &more, &[account(SYSTEM_NAMESPACE, "oz-controller")]).await.unwrap();
        eventually("it is judged by what it holds", LIMIT, || async {
            let name = format!("r-{}", jiff::Timestamp::now().as_millisecond());
            world.ask(&name, json!({})).await;
            let ended = world.until_phase(&name, "Failed").await;
            match crate::lending::word(&ended, READY).as_str() {
                "LastingPower" => Ok(()),
                other => Err(other.to_owned()),
            }
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn is_bound_to_the_requester_where_the_namespace_opted_in() {
    scenario("by-name", async |world| {
        may_bind(world).await;
        role(world, "reading", json!({"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}))
            .await;
        world.template("web", lends("Role", "reading", &json!({"identity": "Requester"}))).await;
        world.ask("early", json!({})).await;
        let ended = world.until_ended("early", "Failed", "BeyondCeiling").await;
        assert!(message(&ended, READY).contains("has not opted in"), "{:?}", ended.status);

        opted_in(world).await;
        world.until_may(&world.alice, "list", "", "configmaps", false).await.unwrap();
        let request = world.lent("r", json!({})).await;
        let status = request.status.clone().unwrap();
        assert!(
            status.account.is_empty() && status.granted.join("\n").contains("bound to alice by name"),
            "{status:?}"
        );
        world.until_may(&world.alice, "list", "", "configmaps", true).await.unwrap();
        world.release(&world.alice, "r").await;
        world.until_may(&world.alice, "list", "", "configmaps", false).await.unwrap();
        world.until_nothing_left(&request).await;
        world.until_ended("r", "Released", "Released").await;
    })
    .await;
}

#[tokio::test]
async fn one_bound_by_name_goes_though_oz_has_no_rights_there_any_more() {
    scenario("powerless", async |world| {
        may_bind(world).await;
        role(world, "reading", json!({"apiGroups": [""], "resources": ["events"], "verbs": ["list"]})).await;
        opted_in(world).await;
        let as_controller = world.admin.mint(SYSTEM_NAMESPACE, "oz-controller", 600).await.unwrap();
        let as_controller = world.admin.with_token(&as_controller).await.unwrap();
        world.template("web", lends("Role", "reading", &json!({"identity": "Requester"}))).await;
        let request = world.lent("r", json!({})).await;
        world.until_may(&world.alice, "list", "", "events", true).await.unwrap();
        world.must(&world.dave, Call::delete(world.ns.rbac("rolebindings/oz-controller"))).await;
        world.until_may(&as_controller, "delete", "rbac.authorization.k8s.io", "roles", false).await.unwrap();
        world.release(&world.alice, "r").await;
        world.until_may(&world.alice, "list", "", "events", false).await.unwrap();
        world.until_nothing_left(&request).await;
        let ended = world.until_ended("r", "Released", "Released").await;
        assert!(message(&ended, READY).contains("goes with the grant"), "{:?}", ended.status);
    })
    .await;
}
