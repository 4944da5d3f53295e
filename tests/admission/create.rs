//! Asking: in one's own name, within the template, for what one may ask for, and with nothing decided yet.

use serde_json::{Value, json};
use support::{Call, User};

use crate::bodies::{approval, dangling_owner, debug, exec, request, shell, template, with};
use crate::table::Expect::{Allowed, Crd, NoTemplate, Rbac, Vap};
use crate::table::{Expect, Table};
use crate::world::{Cast, World};

const CREATE: Expect = Vap("oz-request-create");
const TEMPLATE: Expect = Vap("oz-request-template");

#[tokio::test]
async fn create_by_certificates() {
    for_oneself(Cast::Certificates).await;
}

#[tokio::test]
async fn create_by_uids() {
    for_oneself(Cast::Uids).await;
}

async fn for_oneself(cast: Cast) {
    let world = World::new("create", cast).await;
    let pin = world.offer_web().await;
    let bot = json!({"exec": exec(&["exec"]), "approvers": {"serviceAccounts": true}});
    world.offer(template("botok", bot)).await;
    let mut t = Table::new("create", &world);
    let all = world.requests();
    let post = |body| Call::post(&all, body);
    let by = |who, spec| post(world.request_with(who, "f", spec));
    let apply = |name: &str, body| Call::apply(format!("{all}/{name}"), body, "oz");

    let r1 = t.object("alice asks", "alice", post(world.request("alice", "r1"))).await;
    t.case("no duration: the default", Allowed, "alice", by("alice", json!({"duration": ""})).dry()).await;
    let generated =
        with(world.request("alice", ""), &json!({"metadata": {"name": null, "generateName": "g-"}}));
    t.case("generateName", Allowed, "alice", post(generated).dry()).await;
    t.case("by server-side apply", Allowed, "alice", apply("rssa", world.request("alice", "rssa")).dry())
        .await;

    let as_bob = || world.request("bob", "f");
    t.case("forged requester", CREATE, "alice", post(as_bob())).await;
    t.case("forged requester, dry run", CREATE, "alice", post(as_bob()).dry()).await;
    t.case("forged requester by masters", CREATE, "root", post(world.request("alice", "f"))).await;
    t.case("forged requester by server-side apply", CREATE, "alice", apply("f", as_bob()).force()).await;
    t.case("forged requester by the controller", Rbac, "ctl", post(world.request("alice", "f"))).await;
    t.case("forged groups", CREATE, "alice", post(world.request("alice-lead", "f"))).await;
    t.case("groups left out", CREATE, "alice", by("alice", json!({"requester": {"groups": []}}))).await;
    t.case("forged uid", CREATE, "alice", post(world.request("namesake", "f"))).await;
    t.case(
        "other case of the name",
        CREATE,
        "alice",
        by("alice", json!({"requester": {"username": "Alice"}})),
    )
    .await;
    t.case("requester missing (no MAP)", Crd, "alice", by("alice", json!({"requester": null}))).await;
    let mut null = world.request("alice", "f");
    null["spec"]["requester"]["groups"] = Value::Null;
    t.case("groups null", CREATE, "alice", post(null)).await;

    let decided = json!({"decisions": [approval(world.user("bob"), &r1, &pin)]});
    t.case("decision at creation", CREATE, "alice", by("alice", decided)).await;
    let own = json!({"decisions": [approval(world.user("alice"), &r1, &pin)]});
    t.case("her own decision at creation", CREATE, "alice", by("alice", own)).await;
    t.case("decision at creation by masters", CREATE, "root", {
        by("root", json!({"decisions": [approval(world.user("root"), &r1, &pin)]}))
    })
    .await;
    let released = json!({"released": true, "releasedBy": "alice"});
    t.case("released at creation", CREATE, "alice", by("alice", released)).await;
    let meta = |metadata| post(with(world.request("alice", "f"), &json!({"metadata": metadata})));
    t.case(
        "owner reference at creation",
        CREATE,
        "alice",
        meta(json!({"ownerReferences": dangling_owner()})),
    )
    .await;
    t.case("finalizer at creation", CREATE, "alice", meta(json!({"finalizers": ["a.b/c"]}))).await;
    let note = |bytes: usize| json!({"annotations": {"note": "x".repeat(bytes)}});
    t.case("an annotation of 4 kB", Allowed, "alice", meta(note(4096)).dry()).await;
    t.case("a longer one", CREATE, "alice", meta(note(4097))).await;
    let many = |n: usize| (0..n).map(|i| (format!("k{i}"), Value::from("v"))).collect::<Value>();
    t.case(
        "16 annotations and labels",
        Allowed,
        "alice",
        meta(json!({"annotations": many(16), "labels": many(16)})).dry(),
    )
    .await;
    t.case("17 annotations", CREATE, "alice", meta(json!({"annotations": many(17)}))).await;
    t.case("17 labels", CREATE, "alice", meta(json!({"labels": many(17)}))).await;
    t.case("a name of 63 characters", Allowed, "alice", meta(json!({"name": "n".repeat(63)})).dry()).await;
    t.case("a name of 64 characters", CREATE, "alice", meta(json!({"name": "n".repeat(64)}))).await;
    let with_status = with(world.request("alice", "rst"), &json!({"status": {"phase": "Active"}}));
    t.case("status at creation is dropped", Allowed, "alice", post(with_status)).await;
    let kept = world.must("admin", Call::get(format!("{all}/rst"))).await;
    t.fact("no status is kept", kept.get("status").is_none(), &kept["status"].to_string());
    t.case("anonymous", CREATE, "anon", post(world.request("anon", "f"))).await;
    t.case("a session", CREATE, "sess", post(world.request("sess", "f"))).await;

    let lasting = |duration: &str| by("alice", json!({"duration": duration}));
    t.case("too long", TEMPLATE, "alice", lasting("61m")).await;
    t.case("too long, in seconds", TEMPLATE, "alice", lasting("99999999s")).await;
    t.case("zero", TEMPLATE, "alice", lasting("0s")).await;
    t.case("exactly the longest", Allowed, "alice", lasting("1h").dry()).await;
    t.case("negative", Crd, "alice", lasting("-1h")).await;
    let reason = |reason: &str| by("alice", json!({"reason": reason}));
    t.case("blank reason", TEMPLATE, "alice", reason("  ")).await;
    t.case("no reason", TEMPLATE, "alice", reason("")).await;
    t.case("bidi in the reason", Crd, "alice", reason("a\u{202e}b")).await;
    t.case("newline in the reason", Crd, "alice", reason("a\nb")).await;
    t.case("slash in the template", Crd, "alice", by("alice", json!({"template": "web/x"}))).await;
    t.case("empty template", Crd, "alice", by("alice", json!({"template": ""}))).await;
    t.case("without the verb request", CREATE, "patcher", post(world.request("patcher", "f"))).await;
    t.case("carol (no rights)", Rbac, "carol", post(world.request("carol", "f"))).await;
    let missing = by("alice", json!({"template": "nosuch"})).dry();
    t.case("template missing among others: passes, the controller fails it", Allowed, "alice", missing).await;
    let by_ci = |requester: &User| post(request(requester, "rci", json!({"template": "botok"})));
    t.case("an account's name without its uid", CREATE, "ci", {
        by_ci(&User { uid: "u-other".to_owned(), ..world.user("ci").clone() })
    })
    .await;
    t.case("an account asks for itself", Allowed, "ci", by_ci(world.user("ci"))).await;
    t.finish();
    world.end().await;
}

/// A duration that CEL cannot add up is refused by an evaluation error at worst: never granted, whoever says so.
#[tokio::test]
async fn create_overflowing() {
    let world = World::new("overflow", Cast::Uids).await;
    world.offer_web().await;
    let mut t = Table::new("overflowing durations", &world);
    for duration in ["99999999999h", "9999999999h", "2562048h", "999999999999"] {
        let body = world.request_with("alice", "f", json!({"duration": duration}));
        let answer = world.who("alice").call(Call::post(world.requests(), body)).await.unwrap();
        t.fact(
            &format!("overflowing duration {duration}"),
            matches!(answer.code, 403 | 422),
            &answer.to_string(),
        );
    }
    t.finish();
    world.end().await;
}

/// Where there is no template at all, the policy has nothing to look at, and refuses.
#[tokio::test]
async fn create_without_any_template() {
    let world = World::new("empty", Cast::Certificates).await;
    let mut t = Table::new("create without any template", &world);
    t.case(
        "no template in the namespace at all",
        NoTemplate,
        "alice",
        Call::post(world.requests(), world.request("alice", "f")),
    )
    .await;
    t.finish();
    world.end().await;
}

/// A template that names containers, and one that asks for no reason.
#[tokio::test]
async fn create_within_other_templates() {
    let world = World::new("offers", Cast::Certificates).await;
    let narrow = with(exec(&["exec"]), &json!({"containers": ["main", "side"]}));
    world.offer(template("narrow", json!({"exec": narrow}))).await;
    world.offer(template("quiet", json!({"exec": exec(&["exec"]), "reason": "Optional"}))).await;
    let mut t = Table::new("create within other templates", &world);
    let ask = |spec| Call::post(world.requests(), world.request_with("alice", "f", spec)).dry();
    let container = |name: &str| ask(json!({"template": "narrow", "container": name}));
    t.case("a container that is offered", Allowed, "alice", container("side")).await;
    t.case("none named", Allowed, "alice", container("")).await;
    t.case("a container that is not offered", TEMPLATE, "alice", container("other")).await;
    t.case("no container's name", Crd, "alice", container("a/b")).await;
    t.case("no pod's name", Crd, "alice", ask(json!({"template": "narrow", "pod": "a/b"}))).await;
    t.case(
        "no reason where none is asked for",
        Allowed,
        "alice",
        ask(json!({"template": "quiet", "reason": ""})),
    )
    .await;
    t.finish();
    world.end().await;
}

/// Amounts of memory and CPU are asked for within what a template names; images, as it lists them; on others, nothing.
#[tokio::test]
async fn create_with_amounts_and_images() {
    let world = World::new("amounts", Cast::Certificates).await;
    world
        .ns
        .bind("dave-debugs", &crate::setup::own("tests-debug"), &[support::rights::user("dave")])
        .await
        .unwrap();
    world.until_may("dave", "patch", "", "pods/ephemeralcontainers", true).await;
    let up_to = |most: Value| json!({"shell": with(shell(&["exec"]), &json!({"maxResources": most}))});
    for (name, spec) in [
        ("web", json!({"exec": exec(&["exec"])})),
        (
            "plain",
            json!({"shell": with(shell(&["exec"]), &json!({"resources": {"memory": "1Gi", "cpu": "1"}}))}),
        ),
        ("both", up_to(json!({"memory": "1Gi", "cpu": "1.5"}))),
        ("memory", up_to(json!({"memory": "1Gi"}))),
        ("cpu", up_to(json!({"memory": "", "cpu": "1.5"}))),
        ("debug", json!({"debug": debug()})),
    ] {
        world.offer(template(name, spec)).await;
    }
    let mut t = Table::new("amounts and images", &world);
    let ask = |template: &str, field: &str, value: &str| {
        let spec = json!({"template": template, field: value});
        Call::post(world.requests(), world.request_with("alice", "f", spec)).dry()
    };
    for (field, expect, values) in [
        ("memory", Allowed, &["", "1", "128Mi", "1Gi", "1024Mi", "1.0Gi", "0.5Gi", "1073741824"][..]),
        ("memory", TEMPLATE, &["1073741825", "1.001Gi", "2Gi", "1T", "999999999999Ti"]),
        ("memory", TEMPLATE, &["0", "0m", "0.0Mi", "0.000", "000"]),
        (
            "memory",
            Crd,
            &["-1Mi", "+1", "1Q", "1e3", "1.2345Mi", "Mi", " 1Mi", "1Mi ", "1,5", "1 Mi", "1Mi\n"],
        ),
        ("memory", Crd, &["1234567890123", ".5", "1.", "0x10", "NaN"]),
        ("cpu", Allowed, &["", "1", "1.5", "1500m", "1.500", "0.001", "1m"]),
        ("cpu", TEMPLATE, &["1501m", "1.501", "2", "2k", "0", "0m", "0.0"]),
        ("cpu", Crd, &["-1", "1e3", "1.0001", "m", "1 m", "1u", "1n"]),
    ] {
        for value in values {
            t.case(&format!("{field} {value:?}"), expect, "alice", ask("both", field, value)).await;
        }
    }
    for (template, field, expect) in [
        ("memory", "memory", Allowed),
        ("memory", "cpu", TEMPLATE),
        ("cpu", "cpu", Allowed),
        ("cpu", "memory", TEMPLATE),
        ("plain", "memory", TEMPLATE),
        ("plain", "cpu", TEMPLATE),
        ("web", "memory", TEMPLATE),
        ("web", "cpu", TEMPLATE),
        ("debug", "memory", TEMPLATE),
        ("debug", "cpu", TEMPLATE),
    ] {
        t.case(&format!("{field} on {template}"), expect, "alice", ask(template, field, "1")).await;
        t.case(&format!("no {field} on {template}"), Allowed, "alice", ask(template, field, "")).await;
    }
    let over = json!({"template": "both", "memory": "1Gi", "cpu": "2"});
    let over = Call::post(world.requests(), world.request_with("alice", "f", over)).dry();
    t.case("memory within bounds, cpu beyond", TEMPLATE, "alice", over).await;

    for (image, expect) in [
        ("", Allowed),
        ("busybox:1", Allowed),
        ("reg.io/net/shoot:v2", Allowed),
        ("busybox", TEMPLATE),
        ("busybox:12", TEMPLATE),
        ("Busybox:1", TEMPLATE),
        ("evil.io/busybox:1", TEMPLATE),
        ("busybox:1@sha256:aa", TEMPLATE),
        (" busybox:1", Crd),
        ("busybox:1 ", Crd),
        ("busybox;1", Crd),
        ("../busybox:1", Crd),
        ("-x", Crd),
        ("busybox:1\n", Crd),
    ] {
        t.case(&format!("image {image:?}"), expect, "alice", ask("debug", "image", image)).await;
    }
    for template in ["web", "plain", "both"] {
        t.case(&format!("image on {template}"), TEMPLATE, "alice", ask(template, "image", "busybox:1")).await;
        t.case(&format!("no image on {template}"), Allowed, "alice", ask(template, "image", "")).await;
    }
    for (node, expect) in
        [("n1", Allowed), ("n1.example.org", Allowed), ("a/b", Crd), ("N1", Crd), ("*", Crd), ("n1 ", Crd)]
    {
        t.case(&format!("node {node:?}"), expect, "alice", ask("plain", "node", node)).await;
    }
    t.finish();
    world.end().await;
}
