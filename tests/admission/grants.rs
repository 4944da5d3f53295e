//! Grants: written by the controller alone, changed by nobody, deleted in an emergency by who holds `revoke` on them.

use serde_json::{Value, json};
use support::{Call, RUN_LABEL, User, run};

use crate::bodies::with;
use crate::setup::own;
use crate::table::Expect::{Allowed, Crd, Rbac, Vap};
use crate::table::{Expect, Table};
use crate::world::{Cast, World, person};

const RECORDS: Expect = Vap("oz-records");
pub(crate) const GRANTS: &str = "/apis/ozaccess.io/v1alpha1/grants";

/// A grant of no access at all, for a request of this namespace.
pub(crate) fn grant(name: &str, namespace: &str) -> Value {
    json!({
        "apiVersion": "ozaccess.io/v1alpha1", "kind": "Grant",
        "metadata": {"name": name, "labels": {RUN_LABEL: run()}},
        "spec": {
            "holder": {"username": "alice"},
            "request": {"kind": "AccessRequest", "namespace": namespace, "name": "r1", "uid": "1"},
            "approvedAt": "2026-11-22T10:00:00Z", "expiresAt": "2027-01-01T00:00:00Z",
            "terms": {"template": {"name": "web", "uid": "1", "generation": 1}, "historyTtl": "168h"},
        },
    })
}

#[tokio::test]
async fn grants() {
    let mut world = World::new("grants", Cast::Certificates).await;
    let name = own("g-grants");
    let revoker = User { username: own("revoker"), ..person("revoker", &[]) };
    let rules = json!([{"apiGroups": ["ozaccess.io"], "resources": ["grants"], "verbs": ["delete", "revoke"], "resourceNames": [name]}]);
    let admin = world.who("admin").clone();
    support::rights::cluster_role(&admin, &own("tests-revoke"), rules).await.unwrap();
    let subject = [support::rights::user(&revoker.username)];
    support::rights::bind_everywhere(&admin, &own("tests-revoke"), &own("tests-revoke"), &subject)
        .await
        .unwrap();
    let asked = json!({"verb": "revoke", "group": "ozaccess.io", "resource": "grants", "name": name});
    support::rights::until(&admin, &revoker, asked, true).await.unwrap();
    world.meet("revoker", admin.impersonate(revoker).unwrap());

    let mut t = Table::new("grants", &world);
    let body = grant(&name, &world.ns.name);
    let path = format!("{GRANTS}/{name}");
    let make = || Call::post(GRANTS, body.clone());
    t.case("root makes a grant", RECORDS, "root", make()).await;
    t.case("boss makes a grant", RECORDS, "boss", make()).await;
    t.case("patcher makes a grant", Rbac, "patcher", make()).await;
    t.case("alice makes a grant", Rbac, "alice", make()).await;
    t.case("the collectors make a grant", Rbac, "gc", make()).await;
    t.case("controller makes a grant, dry run", RECORDS, "ctl", make().dry()).await;
    t.case("controller makes a grant", Allowed, "ctl", make()).await;
    let merge = |body| Call::merge(&path, body);
    let later = json!({"spec": {"expiresAt": "2028-01-01T00:00:00Z"}});
    t.case("root prolongs it", Crd, "root", merge(later.clone())).await;
    t.case("controller prolongs it", Crd, "ctl", merge(later)).await;
    for (what, change) in [
        ("holder", json!({"holder": {"username": "bob"}})),
        ("request", json!({"request": {"uid": "2"}})),
        ("account", json!({"account": "oz-p-x-x1999999999"})),
        (
            "access",
            json!({"access": [{"namespace": "default", "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]}]}),
        ),
        ("pods", json!({"pods": [{"namespace": "default", "name": "x", "uid": "1"}]})),
        (
            "role",
            json!({"role": {"namespace": "default", "kind": "ClusterRole", "name": "view", "uid": "1"}}),
        ),
        (
            "debugging container",
            json!({"debug": {"seconds": 60, "startBy": "2027-01-01T00:00:00Z", "container": {"name": "oz-a1"}}}),
        ),
        ("words", json!({"granted": ["nothing"]})),
        ("terms", json!({"terms": {"historyTtl": "1h"}})),
    ] {
        t.case(&format!("controller changes its {what}"), Crd, "ctl", merge(json!({"spec": change}))).await;
    }
    t.case("root annotates it", RECORDS, "root", merge(json!({"metadata": {"annotations": {"a": "b"}}})))
        .await;
    t.case("boss plants a finalizer", RECORDS, "boss", merge(json!({"metadata": {"finalizers": ["a.b/c"]}})))
        .await;
    let status = json!({"status": {"conditions": []}});
    let on_status = || Call::merge(format!("{path}/status"), status.clone());
    t.case("boss writes its status", RECORDS, "boss", on_status()).await;
    t.case("controller writes its status", Allowed, "ctl", on_status()).await;
    t.case("the collectors write its status", RECORDS, "gc", on_status()).await;
    t.case("the collectors delete it", Allowed, "gc", Call::delete(&path).dry()).await;
    t.case("without terms", Crd, "ctl", {
        let name = own("g-short");
        Call::post(GRANTS, with(grant(&name, "x"), &json!({"spec": {"terms": null}})))
    })
    .await;
    t.case("boss (revoke by *) deletes it in an emergency", Allowed, "boss", Call::delete(&path).dry()).await;
    t.case("bob (revoke in his namespace only) deletes it", Rbac, "bob", Call::delete(&path)).await;
    let others = grant(&own("g-others"), &world.ns.name);
    t.case("controller makes another", Allowed, "ctl", Call::post(GRANTS, others)).await;
    let other = format!("{GRANTS}/{}", own("g-others"));
    t.case("who may revoke one by name deletes another", Rbac, "revoker", Call::delete(&other)).await;
    t.case("who may revoke it by name deletes it", Allowed, "revoker", Call::delete(&path)).await;
    t.case("controller deletes the other", Allowed, "ctl", Call::delete(&other)).await;
    t.finish();
    world.end().await;
}
