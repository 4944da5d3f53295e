//! oz-sessions: written by Oz and Kubernetes' own parts, by nobody else, whatever RBAC says.

use serde_json::json;
use support::rights::user;
use support::{Call, Outcome};

use crate::bodies::{binding, exec, role, template};
use crate::lending::{LONG, lend, mint, service_account, session_name, sessions, sessions_rbac};
use crate::table::Expect::{Allowed, AnyVap, Rbac, Vap};
use crate::table::{Expect, Table};
use crate::world::{Cast, World};

const SESSIONS: Expect = Vap("oz-sessions");

#[tokio::test]
async fn sessions_namespace() {
    let world = World::new("sessions", Cast::Certificates).await;
    let mut t = Table::new("oz-sessions", &world);
    let s1 = session_name('p', LONG);
    lend(&mut t, &world, &s1, "alice").await;
    let none = json!({});
    let account = sessions(&format!("serviceaccounts/{s1}"));
    for who in ["wide", "boss", "root"] {
        let body = service_account("x", &none);
        t.case(
            &format!("{who} makes an account"),
            SESSIONS,
            who,
            Call::post(sessions("serviceaccounts"), body),
        )
        .await;
    }
    t.case(
        "alice makes an account",
        Rbac,
        "alice",
        Call::post(sessions("serviceaccounts"), service_account("x", &none)),
    )
    .await;
    t.case("the collectors delete an account", Allowed, "gc", Call::delete(&account).dry()).await;
    // The guard has as much reason to refuse these.
    t.case("boss deletes an account", AnyVap, "boss", Call::delete(&account)).await;
    t.case("boss deletes all accounts", AnyVap, "boss", Call::delete(sessions("serviceaccounts"))).await;
    let annotation = json!({"metadata": {"annotations": {"a": "b"}}});
    t.case("boss annotates an account", AnyVap, "boss", Call::merge(&account, annotation)).await;
    t.case(
        "boss plants a finalizer on it",
        AnyVap,
        "boss",
        Call::merge(&account, json!({"metadata": {"finalizers": ["a.b/c"]}})),
    )
    .await;

    let secret = |labels| {
        let annotations = json!({"kubernetes.io/service-account.name": s1});
        let metadata = json!({"generateName": "t-", "labels": labels, "annotations": annotations});
        Call::post(
            sessions("secrets"),
            json!({"metadata": metadata, "type": "kubernetes.io/service-account-token"}),
        )
    };
    t.case("boss makes a token Secret", SESSIONS, "boss", secret(none.clone())).await;
    t.case("controller makes a token Secret", Rbac, "ctl", secret(world.labels())).await;
    // As pod security wants it there, else that refuses first.
    let pod = json!({"metadata": {"name": "p"}, "spec": {
        "serviceAccountName": s1,
        "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"name": "c", "image": "x", "securityContext":
            {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}],
    }});
    t.case("wide runs a pod there", SESSIONS, "wide", Call::post(sessions("pods"), pod)).await;
    let bound = binding("x", &none, ("Role", &s1), &[user("boss")]);
    t.case("boss binds there", SESSIONS, "boss", Call::post(sessions_rbac("rolebindings"), bound)).await;
    let subjects = json!({"subjects": [user("boss")]});
    let path = sessions_rbac(&format!("rolebindings/{s1}"));
    t.case("boss edits a binding", AnyVap, "boss", Call::merge(&path, subjects)).await;
    let configmap = json!({"metadata": {"name": "c"}});
    t.case("boss makes a ConfigMap", SESSIONS, "boss", Call::post(sessions("configmaps"), configmap)).await;
    let lease = json!({"metadata": {"name": "l"}});
    let leases = "/apis/coordination.k8s.io/v1/namespaces/oz-sessions/leases";
    t.case("boss makes a Lease", SESSIONS, "boss", Call::post(leases, lease)).await;
    let event = json!({"metadata": {"name": "e"}, "involvedObject": {"namespace": "oz-sessions"}});
    t.case("boss makes an Event", SESSIONS, "boss", Call::post(sessions("events"), event)).await;
    let oz = |kind: &str| format!("/apis/ozaccess.io/v1alpha1/namespaces/oz-sessions/{kind}");
    // There is no template either: whichever policy comes first.
    let asked =
        world.who("root").call(Call::post(oz("accessrequests"), world.request("root", "f"))).await.unwrap();
    let by = [Outcome::Policy("oz-sessions".into()), Outcome::PolicyFault("oz-request-template".into(), 422)];
    t.fact("root asks for access there", by.contains(&Outcome::of(&asked)), &asked.to_string());
    let offered = template("x", json!({"exec": exec(&["exec"])}));
    t.case("root offers access there", SESSIONS, "root", Call::post(oz("accesstemplates"), offered)).await;
    t.case(
        "dave (admin of his namespace) reaches no session",
        Rbac,
        "dave",
        Call::post(mint(&s1), json!({})),
    )
    .await;

    installer(&mut t, &s1).await;

    let root_ca = sessions("configmaps/kube-root-ca.crt");
    t.case("root CA ConfigMap was made there (kube-system passes)", Allowed, "admin", Call::get(root_ca))
        .await;
    let namespace = json!({"metadata": {"name": "zz"}});
    t.case(
        "cluster-scoped writes are not matched",
        Allowed,
        "boss",
        Call::post("/api/v1/namespaces", namespace).dry(),
    )
    .await;
    let elsewhere = world.ns.core("configmaps");
    t.case(
        "other namespaces are not matched",
        Allowed,
        "boss",
        Call::post(elsewhere, json!({"metadata": {"name": "c"}})).dry(),
    )
    .await;
    t.finish();
    world.end().await;
}

/// An upgrade writes the controller's own Role and binding there: who could lift the policy altogether may do that, and
/// that alone.
async fn installer(t: &mut Table<'_>, s1: &str) {
    let none = json!({});
    let kept = sessions_rbac("roles/oz-controller");
    let annotation = || json!({"metadata": {"annotations": {"a": "b"}}});
    for who in ["root", "boss"] {
        t.case(
            &format!("{who} upgrades the controller's Role"),
            Allowed,
            who,
            Call::merge(&kept, annotation()).dry(),
        )
        .await;
        let bound = sessions_rbac("rolebindings/oz-controller");
        t.case(&format!("{who} upgrades its binding"), Allowed, who, Call::merge(&bound, annotation()).dry())
            .await;
        t.case(&format!("{who} deletes the Role"), SESSIONS, who, Call::delete(&kept)).await;
        let another = role("oz-controller2", &none, json!([]));
        t.case(
            &format!("{who} makes another Role"),
            SESSIONS,
            who,
            Call::post(sessions_rbac("roles"), another),
        )
        .await;
        let unnamed = json!({"metadata": {"generateName": "oz-controller"}, "rules": []});
        t.case(
            &format!("{who} makes a Role by generateName"),
            SESSIONS,
            who,
            Call::post(sessions_rbac("roles"), unnamed),
        )
        .await;
        t.case(&format!("{who} makes an account of that name"), SESSIONS, who, {
            Call::post(sessions("serviceaccounts"), service_account("oz-controller", &none))
        })
        .await;
        let grant = sessions_rbac(&format!("roles/{s1}"));
        t.case(&format!("{who} annotates a grant's Role"), AnyVap, who, Call::merge(grant, annotation()))
            .await;
        t.case(
            &format!("{who} deletes all bindings"),
            AnyVap,
            who,
            Call::delete(sessions_rbac("rolebindings")),
        )
        .await;
    }
    t.case(
        "who holds every right on Roles writes that Role",
        SESSIONS,
        "roles-wide",
        Call::merge(&kept, annotation()),
    )
    .await;
    let unnamed = json!({"metadata": {"generateName": "oz-controller"}, "rules": []});
    t.case(
        "... makes one by generateName",
        SESSIONS,
        "roles-wide",
        Call::post(sessions_rbac("roles"), unnamed),
    )
    .await;
}
