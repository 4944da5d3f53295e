//! The controller's own dry runs, with the rights of the manifests and its real token: each must be refused by exactly the
//! policy that it is there to see. Its exemptions do not hold for dry runs.

use oz_shared::names::{GATE_PROBE, GRANT_LABEL, SESSIONS_NAMESPACE, SYSTEM_NAMESPACE};
use serde_json::{Value, json};
use support::Call;

use crate::bodies::{class, exec, namespace_request, request, role, template};
use crate::grants::{GRANTS, grant};
use crate::table::Expect::{Allowed, Vap};
use crate::table::Table;
use crate::world::{CLASSES, Cast, World};

fn home(kind: &str) -> String {
    format!("/apis/ozaccess.io/v1alpha1/namespaces/{SYSTEM_NAMESPACE}/{kind}")
}

/// The request that the controller keeps, made as it makes it, if it has not yet.
async fn kept(world: &World, spec: Value) -> Value {
    let path = format!("{}/{GATE_PROBE}", home("accessrequests"));
    let made = Call::post(home("accessrequests"), request(world.user("ctl"), GATE_PROBE, spec));
    let answer = world.who("ctl").call(made).await.unwrap();
    assert!(
        answer.is_success() || answer.code == 409,
        "the controller cannot make its kept request: {answer}"
    );
    let there = world.must("ctl", Call::get(&path)).await;
    if there["status"].get("approvedAt").is_none() {
        let status = json!({"status": {"approvedAt": "2026-11-22T10:00:00Z"}});
        world.must("ctl", Call::merge(format!("{path}/status"), status)).await;
    }
    there
}

#[tokio::test]
async fn probes() {
    let world = World::new("probes", Cast::Certificates).await;
    let mut t = Table::new("probes", &world);
    let own =
        json!({"template": GATE_PROBE, "duration": "1m", "reason": "kept for the controller's own checks"});
    let kept_path = format!("{}/{GATE_PROBE}", home("accessrequests"));
    kept(&world, own.clone()).await;
    let ctl = world.user("ctl");
    let labels = json!({GRANT_LABEL: "probe"});

    let forged = crate::bodies::with(
        request(ctl, "probe", own.clone()),
        &json!({"spec": {"requester": {"username": "nobody"}}}),
    );
    let create = |body| Call::post(home("accessrequests"), body).dry();
    t.case("1 a request in another's name", Vap("oz-request-create"), "ctl", create(forged)).await;
    let long = crate::bodies::with(own.clone(), &json!({"duration": "2m"}));
    t.case(
        "2 a request for too long",
        Vap("oz-request-template"),
        "ctl",
        create(request(ctl, "probe", long)),
    )
    .await;
    t.case("  the same within bounds", Allowed, "ctl", create(request(ctl, "probe", own))).await;
    let label = json!({"metadata": {"labels": {"probe": "x"}}});
    t.case(
        "3 a label on the kept request",
        Vap("oz-request-update"),
        "ctl",
        Call::merge(&kept_path, label).dry(),
    )
    .await;
    t.case("  nothing changed in it", Allowed, "ctl", Call::merge(&kept_path, json!({})).dry()).await;
    t.case("4 deleting the kept request", Vap("oz-request-delete"), "ctl", Call::delete(&kept_path).dry())
        .await;
    let offer = template("probe", json!({"exec": exec(&["exec"])}));
    t.case("5 a template", Vap("oz-template"), "ctl", Call::post(home("accesstemplates"), offer).dry()).await;
    let roles = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{SYSTEM_NAMESPACE}/roles");
    let empty = |labels: &Value| Call::post(&roles, role("probe", labels, json!([]))).dry();
    t.case("6 a labelled Role", Vap("oz-guard"), "ctl", empty(&labels)).await;
    let event = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "probe"},
        "eventTime": "2026-11-22T10:00:00.000000Z", "reportingController": "ozaccess.io/oz-controller",
        "reportingInstance": "probe", "action": "Probe", "reason": "Probe", "type": "Normal",
        "regarding": {"namespace": SESSIONS_NAMESPACE},
    });
    let events = format!("/apis/events.k8s.io/v1/namespaces/{SESSIONS_NAMESPACE}/events");
    t.case("7 an Event in oz-sessions", Vap("oz-sessions"), "ctl", Call::post(&events, event.clone()).dry())
        .await;
    t.case("8 a Grant", Vap("oz-records"), "ctl", Call::post(GRANTS, grant("probe", SYSTEM_NAMESPACE)).dry())
        .await;
    let pod = Call::connect(format!("/api/v1/namespaces/{SYSTEM_NAMESPACE}/pods/{GATE_PROBE}/exec"));
    t.case(
        "9 exec in a pod that is not there",
        Vap("oz-connect"),
        "ctl",
        pod.query("command", "id").query("stdout", "true"),
    )
    .await;
    t.case("10 an unlabelled Role", Vap("oz-controller"), "ctl", empty(&json!({}))).await;

    let of = |spec: Value| {
        let whole = json!({"class": GATE_PROBE, "namespaces": [GATE_PROBE], "duration": "1m"});
        let body = namespace_request(ctl, "probe", crate::bodies::with(whole, &spec));
        Call::post(home("namespacerequests"), body).dry()
    };
    t.case("11 a namespace for too long", Vap("oz-request-class"), "ctl", of(json!({"duration": "2m"})))
        .await;
    t.case("  the same within bounds", Allowed, "ctl", of(json!({}))).await;
    t.case(
        "  the one name that it offers",
        Vap("oz-request-class"),
        "ctl",
        of(json!({"namespaces": ["shop"]})),
    )
    .await;
    let offer = |role: &str| Call::post(CLASSES, class("probe", json!({"role": role}))).dry();
    t.case("12 a class", Vap("oz-namespaces"), "ctl", offer("gate-probe")).await;
    t.case("  also where it may make owners", Vap("oz-namespaces"), "lender", offer("admin")).await;

    t.case("where nothing is guarded, its Event is taken", Allowed, "ctl", {
        let body = crate::bodies::with(event, &json!({"regarding": {"namespace": SYSTEM_NAMESPACE}}));
        Call::post(format!("/apis/events.k8s.io/v1/namespaces/{SYSTEM_NAMESPACE}/events"), body).dry()
    })
    .await;
    t.finish();
    world.end().await;
}
