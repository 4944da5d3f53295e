//! The controller held where it lends namespaces: with the rights that `oz enable --namespaces` gives it everywhere, and
//! with far more, it makes, changes and deletes lent namespaces alone, and writes only in those.

use oz_shared::names::{
    CLASS_LABEL, GRANT_LABEL, NETWORK_POLICIES_LABEL, PART_OF_NAMESPACE, SESSIONS_NAMESPACE, SYSTEM_NAMESPACE,
};
use serde_json::{Value, json};
use support::rights::{account, group, user};
use support::{Call, Namespace, RUN_LABEL, run};

use crate::bodies::{binding, role, rule, with};
use crate::lending::{LONG, session_name};
use crate::setup::own;
use crate::table::Expect::{Allowed, Code, Rbac, Vap};
use crate::table::{Expect, Table};
use crate::world::{Cast, World};

const CONTROLLER: Expect = Vap("oz-controller");

/// Where namespaces are.
const ALL: &str = "/api/v1/namespaces";

/// What only its own may carry.
fn labelled() -> Value {
    json!({GRANT_LABEL: PART_OF_NAMESPACE, RUN_LABEL: run()})
}

/// An object of each kind that it writes into lent namespaces, and of some that it does not.
fn objects(ns: &str, labels: &Value) -> Vec<(&'static str, String, Value)> {
    let core = |kind: &str| format!("{ALL}/{ns}/{kind}");
    let group = |group: &str, kind: &str| format!("/apis/{group}/namespaces/{ns}/{kind}");
    let metadata = json!({"metadata": {"name": own("lends"), "labels": labels}});
    let rbac = "rbac.authorization.k8s.io/v1";
    vec![
        ("ConfigMap", core("configmaps"), metadata.clone()),
        (
            "ResourceQuota",
            core("resourcequotas"),
            with(metadata.clone(), &json!({"spec": {"hard": {"pods": "9"}}})),
        ),
        ("LimitRange", core("limitranges"), with(metadata.clone(), &json!({"spec": {"limits": []}}))),
        (
            "NetworkPolicy",
            group("networking.k8s.io/v1", "networkpolicies"),
            with(metadata.clone(), &json!({"spec": {"podSelector": {}}})),
        ),
        ("Secret", core("secrets"), metadata.clone()),
        ("ServiceAccount", core("serviceaccounts"), metadata),
        (
            "RoleBinding",
            group(rbac, "rolebindings"),
            binding(&own("lends"), labels, ("ClusterRole", "view"), &[user("alice")]),
        ),
        (
            "RoleBinding of a session",
            group(rbac, "rolebindings"),
            binding(
                &own("lends-s"),
                labels,
                ("ClusterRole", "view"),
                &[account(SESSIONS_NAMESPACE, &session_name('n', LONG))],
            ),
        ),
    ]
}

#[tokio::test]
async fn controller_makes_namespaces() {
    let world = World::new("heldns", Cast::Certificates).await;
    let foreign = Namespace::create(world.who("admin"), "tests-foreign").await.unwrap();
    let mut t = Table::new("the controller makes namespaces", &world);
    let labels = world.labels();
    let make =
        |name: &str, labels: &Value| Call::post(ALL, json!({"metadata": {"name": name, "labels": labels}}));
    let name = own("tests-lent-made");
    for who in ["lender", "lender-wide"] {
        t.case(&format!("{who}: no label"), CONTROLLER, who, make(&name, &json!({RUN_LABEL: run()}))).await;
        t.case(&format!("{who}: no labels"), CONTROLLER, who, make(&name, &Value::Null)).await;
        t.case(&format!("{who}: the class's label alone"), CONTROLLER, who, {
            make(&name, &json!({CLASS_LABEL: "ci", NETWORK_POLICIES_LABEL: "Oz", RUN_LABEL: run()}))
        })
        .await;
        for reserved in [
            "kube-a",
            "kube-",
            "kube-system",
            "default",
            "oz-system",
            "oz-sessions",
            "oz-requests",
            "nsplease-requests",
        ] {
            // What is no name at all is refused as that.
            let expect = if reserved.ends_with('-') { Code(422) } else { CONTROLLER };
            t.case(&format!("{who}: {reserved}"), expect, who, make(reserved, &labels)).await;
        }
        let generated =
            |stem: &str| Call::post(ALL, json!({"metadata": {"generateName": stem, "labels": labels}}));
        t.case(&format!("{who}: kube-… by generateName"), CONTROLLER, who, generated("kube-")).await;
        let apply = |name: &str, labels: &Value| {
            let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
            Call::apply(format!("{ALL}/{name}"), body, "oz").force()
        };
        t.case(
            &format!("{who}: no label, by server-side apply"),
            CONTROLLER,
            who,
            apply(&name, &json!({RUN_LABEL: run()})),
        )
        .await;
        t.case(
            &format!("{who}: adopts by server-side apply"),
            CONTROLLER,
            who,
            apply(&foreign.name, &labels),
        )
        .await;
        t.case(
            &format!("{who}: adopts default by server-side apply"),
            CONTROLLER,
            who,
            apply("default", &labels),
        )
        .await;
        t.case(&format!("{who}: one that is there"), Code(409), who, make(&foreign.name, &labels)).await;
        t.case(&format!("{who}: dry run"), Vap("oz-guard"), who, make(&name, &labels).dry()).await;
    }
    t.case("a labelled one", Allowed, "lender", make(&name, &labels)).await;
    let path = format!("{ALL}/{name}");
    let merge = |metadata: Value| Call::merge(&path, json!({"metadata": metadata}));
    let other = own("other");
    t.case("it relabels its own", Allowed, "lender", merge(json!({"labels": {GRANT_LABEL: other}}))).await;
    t.case("it strips the label", CONTROLLER, "lender", merge(json!({"labels": {GRANT_LABEL: null}}))).await;
    t.case("it strips all labels", CONTROLLER, "lender", merge(json!({"labels": null}))).await;
    for ns in [&foreign.name, "default", "kube-system", SYSTEM_NAMESPACE, SESSIONS_NAMESPACE] {
        let path = format!("{ALL}/{ns}");
        let merge = |metadata: Value| Call::merge(&path, json!({"metadata": metadata}));
        t.case(&format!("it labels {ns}"), CONTROLLER, "lender", merge(json!({"labels": labels}))).await;
        t.case(
            &format!("it annotates {ns}"),
            CONTROLLER,
            "lender",
            merge(json!({"annotations": {"a": "b"}})),
        )
        .await;
        // Some are nobody's to delete.
        let deleting = if matches!(ns, "default" | "kube-system") { Code(403) } else { CONTROLLER };
        t.case(&format!("it deletes {ns}"), deleting, "lender", Call::delete(&path)).await;
        t.case(&format!("it deletes {ns}, dry run"), deleting, "lender", Call::delete(&path).dry()).await;
    }
    // Nothing that would let a namespace go before what is in it.
    for ns in [&name, &foreign.name] {
        let mut whole = world.must("admin", Call::get(format!("{ALL}/{ns}"))).await;
        whole["spec"]["finalizers"] = json!([]);
        let on = |subresource: &str| format!("{ALL}/{ns}/{subresource}");
        t.case(&format!("it finalizes {ns}"), CONTROLLER, "lender-wide", Call::put(on("finalize"), whole))
            .await;
        let emptied = json!({"status": {"conditions": []}});
        t.case(
            &format!("it writes the status of {ns}"),
            CONTROLLER,
            "lender-wide",
            Call::merge(on("status"), emptied),
        )
        .await;
        t.case(
            &format!("as shipped, it finalizes {ns}"),
            Rbac,
            "lender",
            Call::put(on("finalize"), json!({})),
        )
        .await;
    }
    t.case("it deletes its own", Allowed, "lender", Call::delete(&path)).await;
    t.finish();
    foreign.remove().await.unwrap();
    world.end().await;
}

/// Its rights reach everywhere; the policy does not.
#[tokio::test]
async fn controller_writes_in_lent_namespaces_alone() {
    let world = World::new("heldlent", Cast::Certificates).await;
    let lent = world.lend_namespace(&json!({})).await;
    let foreign = Namespace::create(world.who("admin"), "tests-foreign").await.unwrap();
    // A namespace of somebody who would like it to pass for a lent one.
    let forged = own("tests-forged");
    let look = json!({RUN_LABEL: run(), CLASS_LABEL: "ci", NETWORK_POLICIES_LABEL: "Oz"});
    let body = json!({"metadata": {"name": forged, "labels": look, "annotations": {GRANT_LABEL: "x"}}});
    world.must("boss", Call::post(ALL, body)).await;
    let mut t = Table::new("the controller writes in lent namespaces alone", &world);

    for (kind, all, body) in objects(&lent.name, &labelled()) {
        let name = body["metadata"]["name"].as_str().unwrap().to_owned();
        let unlabelled = with(body.clone(), &json!({"metadata": {"labels": {GRANT_LABEL: null}}}));
        t.case(
            &format!("{kind}, unlabelled"),
            CONTROLLER,
            "lender-wide",
            Call::post(&all, unlabelled.clone()),
        )
        .await;
        // Accounts stand in oz-sessions, and Secrets nowhere.
        if ["Secret", "ServiceAccount"].contains(&kind) {
            t.case(kind, CONTROLLER, "lender-wide", Call::post(&all, body)).await;
        } else {
            let dry = Call::post(&all, body.clone()).dry();
            t.case(&format!("{kind}, dry run"), Vap("oz-guard"), "lender-wide", dry).await;
            t.case(kind, Allowed, "lender-wide", Call::post(&all, body)).await;
            let path = format!("{all}/{name}");
            let strip = Call::merge(&path, json!({"metadata": {"labels": {GRANT_LABEL: null}}}));
            t.case(&format!("{kind}: strips its label"), CONTROLLER, "lender-wide", strip).await;
            t.case(&format!("{kind}: deletes it"), Allowed, "lender-wide", Call::delete(&path)).await;
        }
        let theirs = with(unlabelled, &json!({"metadata": {"name": "theirs"}}));
        world.must("admin", Call::post(&all, theirs)).await;
        let theirs = format!("{all}/theirs");
        let adopt = json!({"metadata": {"labels": labelled()}});
        t.case(
            &format!("{kind}: adopts its owners'"),
            CONTROLLER,
            "lender-wide",
            Call::merge(&theirs, adopt),
        )
        .await;
        t.case(&format!("{kind}: deletes its owners'"), CONTROLLER, "lender-wide", Call::delete(&theirs))
            .await;
        world.must("admin", Call::delete(theirs)).await;
    }
    let token = |kind: &str| {
        let metadata = json!({"name": "t", "labels": labelled(), "annotations": {"kubernetes.io/service-account.name": "default"}});
        Call::post(lent.core("secrets"), json!({"metadata": metadata, "type": kind}))
    };
    t.case("a token Secret", CONTROLLER, "lender-wide", token("kubernetes.io/service-account-token")).await;
    let status =
        Call::merge(lent.core("resourcequotas/x/status"), json!({"status": {"used": {"pods": "0"}}}));
    let quota = json!({"metadata": {"name": "x", "labels": labelled()}, "spec": {"hard": {"pods": "1"}}});
    t.case("a quota to be loosened", Allowed, "lender", Call::post(lent.core("resourcequotas"), quota)).await;
    t.case("its status", CONTROLLER, "lender-wide", status).await;
    t.case("as shipped: no Secrets", Rbac, "lender", token("Opaque")).await;
    let mint =
        Call::post(lent.core("serviceaccounts/default/token"), json!({"spec": {"expirationSeconds": 600}}));
    t.case("as shipped: no tokens", Rbac, "lender", mint).await;

    let good = json!([rule(&[""], &["pods"], &["web-0"], &["get"])]);
    for ns in [&*foreign.name, &forged, "default", "kube-system", SYSTEM_NAMESPACE] {
        for (kind, all, body) in objects(ns, &labelled()) {
            let path = format!("{all}/{}", body["metadata"]["name"].as_str().unwrap());
            t.case(&format!("{ns}: {kind}"), CONTROLLER, "lender-wide", Call::post(&all, body.clone())).await;
            let kinds = [
                ("v1", "ConfigMap"),
                ("v1", "ResourceQuota"),
                ("v1", "LimitRange"),
                ("networking.k8s.io/v1", "NetworkPolicy"),
            ];
            if let Some((api, kind)) = kinds.into_iter().find(|(_, k)| *k == kind) {
                let body = with(body, &json!({"apiVersion": api, "kind": kind}));
                let apply = Call::apply(path, body, "oz").force();
                t.case(
                    &format!("{ns}: {kind}, as shipped, by server-side apply"),
                    CONTROLLER,
                    "lender",
                    apply,
                )
                .await;
            }
        }
        let roles = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/roles");
        if ns != SYSTEM_NAMESPACE {
            let grant = json!({"apiVersion": "ozaccess.io/v1alpha1", "kind": "Grant", "name": world.grant,
                "controller": true, "uid": "1"});
            let pod = crate::bodies::copy("copy", &world.labels(), &grant);
            t.case(
                &format!("{ns}: a pod"),
                CONTROLLER,
                "lender-wide",
                Call::post(format!("{ALL}/{ns}/pods"), pod),
            )
            .await;
            let made = Call::post(&roles, role(&own("lends"), &labelled(), good.clone()));
            t.case(&format!("{ns}: a Role"), CONTROLLER, "lender-wide", made).await;
        }
    }
    in_its_own_namespaces(&mut t).await;
    where_it_opted_in(&mut t, &world).await;
    t.finish();
    foreign.remove().await.unwrap();
    lent.remove().await.unwrap();
    world.end().await;
}

/// At home it writes Roles alone: those that the gate is seen by, and they say nothing.
async fn in_its_own_namespaces(t: &mut Table<'_>) {
    let roles = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{SYSTEM_NAMESPACE}/roles");
    let make = |rules: Value| Call::post(&roles, role(&own("lends"), &labelled(), rules));
    let secrets = json!([rule(&[""], &["secrets"], &["x"], &["get"])]);
    t.case("in oz-system, a Role on Secrets", CONTROLLER, "lender-wide", make(secrets)).await;
    t.case("in oz-system, a Role without label", CONTROLLER, "lender-wide", {
        Call::post(&roles, role(&own("lends"), &json!({}), json!([])))
    })
    .await;
    t.case("in oz-system, an empty Role", Allowed, "lender-wide", make(json!([]))).await;
    let own_role = Call::merge(format!("{roles}/oz-controller"), json!({"metadata": {"labels": labelled()}}));
    t.case("in oz-system, adopts its own rights", CONTROLLER, "lender-wide", own_role).await;
    let place = |rules: Value| {
        let all = crate::lending::sessions_rbac("roles");
        Call::post(all, role(&format!("oz-place-{}-0", run()), &labelled(), rules))
    };
    let wide = json!([rule(&[""], &["pods"], &["x"], &["get"])]);
    t.case("in oz-sessions, a place that is a right", CONTROLLER, "lender-wide", place(wide)).await;
    t.case("in oz-sessions, a place", Allowed, "ctl", place(json!([]))).await;
    t.case("in oz-sessions, the same place again", Code(409), "ctl", place(json!([]))).await;
    t.case("in oz-sessions, a place of boss's", Vap("oz-sessions"), "boss", {
        Call::post(crate::lending::sessions_rbac("roles"), role("oz-place-x-0", &json!({}), json!([])))
    })
    .await;
    let bound = binding("oz-y", &labelled(), ("Role", &format!("oz-place-{}-0", run())), &[user("alice")]);
    t.case("in oz-sessions, a place bound to somebody", CONTROLLER, "ctl", {
        Call::post(crate::lending::sessions_rbac("rolebindings"), bound)
    })
    .await;
    let configs =
        Call::post(format!("{ALL}/{SESSIONS_NAMESPACE}/configmaps"), json!({"metadata": {"name": "x"}}));
    t.case("in oz-sessions, a ConfigMap without label", CONTROLLER, "lender-wide", configs).await;
}

/// Where a namespace opted in, it makes what sessions need, and nothing that only lent namespaces have.
async fn where_it_opted_in(t: &mut Table<'_>, world: &World) {
    for (kind, all, body) in objects(&world.ns.name, &labelled()) {
        let expect = if kind == "RoleBinding of a session" { Allowed } else { CONTROLLER };
        t.case(&format!("where it opted in: {kind}"), expect, "lender-wide", Call::post(all, body)).await;
    }
    let admins = binding("oz-y", &labelled(), ("ClusterRole", "admin"), &[group("team")]);
    t.case(
        "where it opted in: owners",
        CONTROLLER,
        "lender-wide",
        Call::post(world.ns.rbac("rolebindings"), admins),
    )
    .await;
}

/// Owners are bound by name in lent namespaces: never Kubernetes' own or Oz's, nor by Oz's roles.
#[tokio::test]
async fn controller_binds_owners() {
    let world = World::new("heldowners", Cast::Certificates).await;
    let lent = world.lend_namespace(&json!({})).await;
    let mut t = Table::new("the controller binds owners", &world);
    let bind = |role: (&str, &str), subjects: &[Value]| {
        Call::post(lent.rbac("rolebindings"), binding("oz-x", &world.labels(), role, subjects))
    };
    let (pods, roles) = (session_name('p', LONG), session_name('n', LONG));
    let path = lent.rbac("rolebindings/oz-x");
    for (what, subject) in [
        ("a user", user("alice")),
        ("a user whose name is odd", user("https://idp.example.org#x")),
        ("a group", group("team-a")),
        ("an account of the namespace", account(&lent.name, "admin")),
        ("an account of another", account(&world.ns.name, "ci")),
        ("a session", account(SESSIONS_NAMESPACE, &roles)),
    ] {
        t.case(what, Allowed, "lender", bind(("ClusterRole", "admin"), std::slice::from_ref(&subject))).await;
        let more = json!({"subjects": [subject, group("system:authenticated")]});
        t.case(&format!("{what}, and then everybody"), CONTROLLER, "lender", Call::merge(&path, more)).await;
        t.case(
            &format!("{what}, and then nobody"),
            Allowed,
            "lender",
            Call::merge(&path, json!({"subjects": null})),
        )
        .await;
        t.case(&format!("{what}, ended"), Allowed, "lender", Call::delete(&path)).await;
    }
    for (what, subject) in [
        ("the scheduler", user("system:kube-scheduler")),
        ("the anonymous", user("system:anonymous")),
        ("a node", user("system:node:n1")),
        ("an account as a user", user("system:serviceaccount:ci:x")),
        ("itself as a user", user("system:serviceaccount:oz-system:oz-controller")),
        ("everybody", group("system:authenticated")),
        ("the unauthenticated", group("system:unauthenticated")),
        ("masters", group("system:masters")),
        ("all accounts", group("system:serviceaccounts")),
        ("kube-system's accounts", group("system:serviceaccounts:kube-system")),
        ("an account of kube-system", account("kube-system", "default")),
        ("an account of kube-public", account("kube-public", "default")),
        ("itself", account(SYSTEM_NAMESPACE, "oz-controller")),
        ("an account of oz-system", account(SYSTEM_NAMESPACE, "default")),
        ("an account of oz-sessions", account(SESSIONS_NAMESPACE, "default")),
        ("almost a session", account(SESSIONS_NAMESPACE, &format!("{roles}-y"))),
        ("a session on pods", account(SESSIONS_NAMESPACE, &pods)),
    ] {
        for role in ["admin", "view"] {
            let one = bind(("ClusterRole", role), std::slice::from_ref(&subject));
            t.case(&format!("{role} to {what}"), CONTROLLER, "lender", one).await;
        }
        let two = bind(("ClusterRole", "admin"), &[user("alice"), subject]);
        t.case(&format!("admin to alice and {what}"), CONTROLLER, "lender", two).await;
    }
    for name in [
        "oz-controller",
        "oz-controller-namespace",
        "oz-controller-namespaces",
        "oz-ceiling",
        "oz-ceiling-namespaces",
        "oz-requester",
        "oz-approver",
        "oz-namespace-requester",
        "oz-namespace-approver",
        "oz-author",
        "oz-auditor",
        "oz-classes",
        "oz-controller-bind-requester",
    ] {
        for subject in [user("alice"), account(SESSIONS_NAMESPACE, &roles)] {
            let one = bind(("ClusterRole", name), std::slice::from_ref(&subject));
            t.case(&format!("{name} to {}", subject["kind"]), CONTROLLER, "lender-wide", one).await;
        }
    }
    t.case(
        "a Role of Oz's name to a user",
        CONTROLLER,
        "lender-wide",
        bind(("Role", "oz-x"), &[user("alice")]),
    )
    .await;
    t.case(
        "cluster-admin, which its ceiling does not hold",
        Rbac,
        "lender",
        bind(("ClusterRole", "cluster-admin"), &[user("alice")]),
    )
    .await;
    t.case("bind everywhere", CONTROLLER, "lender-wide", {
        let body = binding(&own("lends"), &labelled(), ("ClusterRole", "view"), &[user("alice")]);
        Call::post("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", body)
    })
    .await;
    t.finish();
    lent.remove().await.unwrap();
    world.end().await;
}
