//! Asking for namespaces: in one's own name, of a class that one may ask for here, within its bounds and names, with
//! nothing decided yet.

use serde_json::{Value, json};
use support::rights::{account, user};
use support::{Call, Namespace, User};

use crate::bodies::{approval, binding, dangling_owner, role, rule, with};
use crate::setup::own;
use crate::table::Expect::{Allowed, Crd, Rbac, Vap};
use crate::table::{Expect, Table};
use crate::world::{Cast, World};

const CREATE: Expect = Vap("oz-request-create");
const CLASS: Expect = Vap("oz-request-class");

#[tokio::test]
async fn ask_for_namespaces_by_certificates() {
    for_oneself(Cast::Certificates).await;
}

#[tokio::test]
async fn ask_for_namespaces_by_uids() {
    for_oneself(Cast::Uids).await;
}

/// What one asks for here: of this class, one namespace.
fn asked(class: &str) -> Value {
    json!({"class": class, "namespaces": ["shop"], "reason": "INC-1", "duration": "30m"})
}

async fn for_oneself(cast: Cast) {
    let world = World::new("nscreate", cast).await;
    let (class, pin) = world.offer_class("team", json!({})).await;
    let mut t = Table::new("asking for namespaces", &world);
    let all = world.namespace_requests();
    let post = |body| Call::post(&all, body);
    let with_spec = |who: &str, spec: Value| world.namespace_request(who, "f", with(asked(&class), &spec));
    let by = |who: &str, spec: Value| post(with_spec(who, spec));
    let plain = |who: &str, name: &str| world.namespace_request(who, name, asked(&class));
    let apply = |name: &str, body| Call::apply(format!("{all}/{name}"), body, "oz");

    let r1 = t.object("alice asks", "alice", post(plain("alice", "r1"))).await;
    t.case("a pipeline asks for itself", Allowed, "ci", post(plain("ci", "rci"))).await;
    t.case("no duration: the default", Allowed, "alice", by("alice", json!({"duration": ""})).dry()).await;
    let generated = with(plain("alice", ""), &json!({"metadata": {"name": null, "generateName": "g-"}}));
    t.case("generateName", Allowed, "alice", post(generated).dry()).await;
    t.case("by server-side apply", Allowed, "alice", apply("rssa", plain("alice", "rssa")).dry()).await;

    t.case("forged requester", CREATE, "alice", post(plain("bob", "f"))).await;
    t.case("forged requester, dry run", CREATE, "alice", post(plain("bob", "f")).dry()).await;
    t.case("forged requester by masters", CREATE, "root", post(plain("alice", "f"))).await;
    t.case("forged requester by server-side apply", CREATE, "alice", apply("f", plain("bob", "f")).force())
        .await;
    t.case("a pipeline in another's name", CREATE, "ci", post(plain("alice", "f"))).await;
    t.case("alice in the pipeline's name", CREATE, "alice", post(plain("ci", "f"))).await;
    t.case("the controller asks", Rbac, "ctl", post(plain("ctl", "f"))).await;
    t.case("forged groups", CREATE, "alice", post(plain("alice-lead", "f"))).await;
    t.case("groups left out", CREATE, "alice", by("alice", json!({"requester": {"groups": []}}))).await;
    t.case("forged uid", CREATE, "alice", post(plain("namesake", "f"))).await;
    t.case("an account's name with another uid", CREATE, "ci", {
        let other = User { uid: "u-other".to_owned(), ..world.user("ci").clone() };
        post(crate::bodies::namespace_request(&other, "f", asked(&class)))
    })
    .await;
    let unsaid = with(plain("alice", "f"), &json!({"spec": {"requester": null}}));
    t.case("requester missing (no MAP)", Crd, "alice", post(unsaid)).await;
    t.case("anonymous", CREATE, "anon", post(plain("anon", "f"))).await;
    t.case("a session", CREATE, "sess", post(plain("sess", "f"))).await;

    for who in ["alice", "bob", "root"] {
        let decided = json!({"decisions": [approval(world.user(who), &r1, &pin)]});
        let caller = if who == "root" { "root" } else { "alice" };
        t.case(&format!("a decision of {who} at creation"), CREATE, caller, by(caller, decided)).await;
    }
    let released = json!({"released": true, "releasedBy": "alice"});
    t.case("released at creation", CREATE, "alice", by("alice", released)).await;
    let meta = |metadata| post(with(plain("alice", "f"), &json!({"metadata": metadata})));
    let owner = json!({"ownerReferences": dangling_owner()});
    t.case("owner reference at creation", CREATE, "alice", meta(owner)).await;
    t.case("finalizer at creation", CREATE, "alice", meta(json!({"finalizers": ["a.b/c"]}))).await;
    t.case("a name of 63 characters", Allowed, "alice", meta(json!({"name": "n".repeat(63)})).dry()).await;
    t.case("a name of 64 characters", CREATE, "alice", meta(json!({"name": "n".repeat(64)}))).await;
    let note = |bytes: usize| json!({"annotations": {"note": "x".repeat(bytes)}});
    t.case("a long annotation", CREATE, "alice", meta(note(4097))).await;
    let status = with(
        plain("alice", "rst"),
        &json!({"status": {"phase": "Active", "namespaces": [{"name": "default", "uid": "1"}]}}),
    );
    t.case("status at creation is dropped", Allowed, "alice", post(status)).await;
    let kept = world.must("admin", Call::get(format!("{all}/rst"))).await;
    t.fact("no status is kept", kept.get("status").is_none(), &kept["status"].to_string());

    let lasting = |duration: &str| by("alice", json!({"duration": duration}));
    t.case("exactly the longest", Allowed, "alice", lasting("1h").dry()).await;
    for duration in ["61m", "3601s", "99999999s", "0s", "0h0m0s"] {
        t.case(&format!("for {duration}"), CLASS, "alice", lasting(duration)).await;
    }
    for duration in ["-1h", "1d", "1h ", "1.5h"] {
        t.case(&format!("for {duration:?}"), Crd, "alice", lasting(duration)).await;
    }
    let reason = |reason: Value| by("alice", json!({"reason": reason}));
    t.case("no reason", CLASS, "alice", reason(Value::Null)).await;
    t.case("a blank reason", CLASS, "alice", reason(json!("  "))).await;
    t.case("bidi in the reason", Crd, "alice", reason(json!("a\u{202e}b"))).await;
    t.case("empty class", Crd, "alice", by("alice", json!({"class": ""}))).await;
    t.case("slash in the class", Crd, "alice", by("alice", json!({"class": "a/b"}))).await;
    let missing = by("alice", json!({"class": "nosuch"})).dry();
    t.case("a class that is not there: passes, the controller fails it", Allowed, "alice", missing).await;
    t.case("carol (no rights)", Rbac, "carol", post(plain("carol", "f"))).await;
    elsewhere(&mut t, &world, &class).await;
    t.finish();
    world.end().await;
}

/// The right to ask is asked for in the namespace of the request. Patcher may write requests in both.
async fn elsewhere(t: &mut Table<'_>, world: &World, class: &str) {
    let other = Namespace::create(world.who("admin"), "tests-elsewhere").await.unwrap();
    let patcher = [user("patcher")];
    other.bind("asking", "oz-namespace-requester", &patcher).await.unwrap();
    let asking = json!({"namespace": other.name, "verb": "request", "group": "ozaccess.io",
        "resource": "namespaceclasses", "name": class});
    support::rights::until(world.who("admin"), world.user("patcher"), asking, true).await.unwrap();
    let body = world.namespace_request("patcher", "p1", asked(class));
    t.case("without the verb request here", CREATE, "patcher", {
        Call::post(world.namespace_requests(), body.clone())
    })
    .await;
    t.case("with it where it was given", Allowed, "patcher", {
        Call::post(other.oz("namespacerequests"), body)
    })
    .await;
    let narrow = rule(&["ozaccess.io"], &["namespaceclasses"], &[class], &["request"]);
    let role = role("one-class", &json!({}), json!([narrow]));
    world.must("admin", Call::post(world.ns.rbac("roles"), role)).await;
    let bound = binding("one-class", &json!({}), ("Role", "one-class"), &patcher);
    world.must("admin", Call::post(world.ns.rbac("rolebindings"), bound)).await;
    let here = json!({"namespace": world.ns.name, "verb": "request", "group": "ozaccess.io",
        "resource": "namespaceclasses", "name": class});
    support::rights::until(world.who("admin"), world.user("patcher"), here, true).await.unwrap();
    let named = |class: &str| {
        Call::post(world.namespace_requests(), world.namespace_request("patcher", "p2", asked(class))).dry()
    };
    t.case("with it for this class alone", Allowed, "patcher", named(class)).await;
    t.case("... for another", CREATE, "patcher", named("another")).await;
    verbs_of_the_other_kind(t, world).await;
    other.remove().await.unwrap();
}

/// Who may ask for a template of that name may not for a class, and the other way round.
async fn verbs_of_the_other_kind(t: &mut Table<'_>, world: &World) {
    world.offer_web().await;
    for (who, resource, named) in [("frank", "accesstemplates", "both"), ("dave", "namespaceclasses", "web")]
    {
        let subject = [user(who)];
        world.ns.bind(&format!("{who}-writes"), &own("tests-patcher"), &subject).await.unwrap();
        let rules = json!([rule(&["ozaccess.io"], &[resource], &[named], &["request"])]);
        world.must("admin", Call::post(world.ns.rbac("roles"), role(who, &json!({}), rules))).await;
        let bound = binding(&format!("{who}-asks"), &json!({}), ("Role", who), &subject);
        world.must("admin", Call::post(world.ns.rbac("rolebindings"), bound)).await;
        let may = json!({"namespace": world.ns.name, "verb": "request", "group": "ozaccess.io",
            "resource": resource, "name": named});
        support::rights::until(world.who("admin"), world.user(who), may, true).await.unwrap();
    }
    let class = Call::post(world.namespace_requests(), world.namespace_request("frank", "x", asked("both")));
    t.case("who may ask for a template asks for a class of its name", CREATE, "frank", class).await;
    let template = Call::post(world.requests(), world.request("dave", "x"));
    t.case("who may ask for a class asks for a template of its name", CREATE, "dave", template).await;
}

/// What namespaces may be called, who may own them, and by which credential.
#[tokio::test]
async fn ask_for_what_a_class_offers() {
    let world = World::new("nsnames", Cast::Certificates).await;
    let pattern = |pattern: &str| json!({"names": {"pattern": pattern}, "reason": "Optional"});
    let mut classes = std::collections::BTreeMap::new();
    for (stem, expression) in
        [("any", ".*"), ("ci", "ci-[0-9]+"), ("or", "a|bc"), ("dot", "x.y"), ("flags", "(?i)UP-[A-Z]+")]
    {
        classes.insert(stem, world.offer_class(stem, pattern(expression)).await.0);
    }
    let mut t = Table::new("what a class offers", &world);
    let all = world.namespace_requests();
    let ask = |class: &str, spec: Value| {
        let whole = json!({"class": classes[class], "namespaces": ["shop"]});
        Call::post(&all, world.namespace_request("alice", "f", with(whole, &spec))).dry()
    };
    for (class, expect, names) in [
        ("ci", Allowed, &["ci-1", "ci-42"][..]),
        ("ci", CLASS, &["ci-x", "xci-1", "ci-1x", "ci-1-ci-2", "ci", "prod"]),
        ("or", Allowed, &["a", "bc"]),
        ("or", CLASS, &["ab", "abc", "ac", "b", "c", "xbc", "ax", "aa"]),
        ("dot", Allowed, &["xzy", "x-y"]),
        ("dot", CLASS, &["xzzy", "xzya"]),
        ("flags", Allowed, &["up-a"]),
        ("flags", CLASS, &["up-1", "up-a1", "1up-a"]),
        ("any", Allowed, &["a", "shop", "kube", "kubernetes", "oz", "default-1", "a0-9z"]),
        ("any", Crd, &["kube-", "kube-a", "kube-system", "kube-public", "kube-node-lease"]),
        ("any", Crd, &["default", "oz-system", "oz-sessions", "oz-requests", "nsplease-requests"]),
        ("any", Crd, &["", "-a", "a-", "a.b", "a_b", "A", "a b", "a/b", "a\n", "\u{e4}", "a%00"]),
    ] {
        for name in names {
            t.case(&format!("{class}: {name:?}"), expect, "alice", ask(class, json!({"namespaces": [name]})))
                .await;
        }
    }
    t.case("63 characters", Allowed, "alice", ask("any", json!({"namespaces": ["n".repeat(63)]}))).await;
    t.case("64 characters", Crd, "alice", ask("any", json!({"namespaces": ["n".repeat(64)]}))).await;
    let many = |n: usize| json!({"namespaces": (0..n).map(|i| format!("n{i}")).collect::<Vec<_>>()});
    t.case("16 namespaces", Allowed, "alice", ask("any", many(16))).await;
    t.case("17 namespaces", Crd, "alice", ask("any", many(17))).await;
    t.case("none", Crd, "alice", ask("any", many(0))).await;
    t.case("one twice", Crd, "alice", ask("any", json!({"namespaces": ["a", "b", "a"]}))).await;
    t.case("one good and one bad", CLASS, "alice", ask("ci", json!({"namespaces": ["ci-1", "prod"]}))).await;
    let pin = json!({"name": "old", "uid": "1"});
    t.case("extending, under another name (the controller's to check)", Allowed, "alice", {
        ask("ci", json!({"namespaces": ["prod"], "extends": pin}))
    })
    .await;
    t.case("extending, under a reserved one", Crd, "alice", {
        ask("ci", json!({"namespaces": ["kube-a"], "extends": pin}))
    })
    .await;
    for extends in [json!({"name": "old"}), json!({"uid": "1"}), json!({"name": "a/b", "uid": "1"})] {
        t.case(&format!("extending {extends}"), Crd, "alice", ask("any", json!({"extends": extends}))).await;
    }
    for (credential, expect) in [
        (json!({"type": "Session"}), Allowed),
        (json!({"type": "Requester"}), Allowed),
        (json!({"type": "Of", "name": "r1", "uid": "1"}), Allowed),
        (json!({"type": "Of"}), Crd),
        (json!({"type": "Of", "name": "r1"}), Crd),
        (json!({"type": "Of", "uid": "1"}), Crd),
        (json!({"type": "Session", "name": "r1", "uid": "1"}), Crd),
        (json!({"name": "r1", "uid": "1"}), Crd),
        (json!({"type": "Controller"}), Crd),
    ] {
        t.case(
            &format!("credential {credential}"),
            expect,
            "alice",
            ask("any", json!({"credential": credential})),
        )
        .await;
    }
    owners(&mut t, &ask).await;
    t.finish();
    world.end().await;
}

async fn owners(t: &mut Table<'_>, ask: &impl Fn(&str, Value) -> Call) {
    let someone = |kind: &str, name: &str| json!({"kind": kind, "name": name});
    let of = |namespace: &str| with(account(namespace, "x"), &json!({}));
    for (owner, expect) in [
        (someone("User", "bob"), Allowed),
        (someone("User", "https://idp.example.org#bob"), Allowed),
        (someone("Group", "team-a"), Allowed),
        (of("ci"), Allowed),
        (someone("User", "system:kube-scheduler"), Crd),
        (someone("User", "system:anonymous"), Crd),
        (someone("User", "system:serviceaccount:ci:x"), Crd),
        (someone("User", "system:serviceaccount:oz-system:oz-controller"), Crd),
        (someone("Group", "system:authenticated"), Crd),
        (someone("Group", "system:unauthenticated"), Crd),
        (someone("Group", "system:masters"), Crd),
        (someone("Group", "system:serviceaccounts"), Crd),
        (of("kube-system"), Crd),
        (of("kube-public"), Crd),
        (of("oz-system"), Crd),
        (of("oz-sessions"), Crd),
        (someone("ServiceAccount", "x"), Crd),
        (json!({"kind": "User", "name": "bob", "namespace": "ci"}), Crd),
        (someone("Node", "n1"), Crd),
        (someone("User", ""), Crd),
        (someone("User", "a\u{202e}b"), Crd),
    ] {
        t.case(&format!("owned by {owner}"), expect, "alice", ask("any", json!({"owners": [owner]}))).await;
    }
    let both = json!({"owners": [someone("User", "bob"), someone("Group", "system:authenticated")]});
    t.case("owned by bob and by everybody", Crd, "alice", ask("any", both)).await;
    let many =
        |n: usize| json!({"owners": (0..n).map(|i| someone("User", &format!("u{i}"))).collect::<Vec<_>>()});
    t.case("32 owners", Allowed, "alice", ask("any", many(32))).await;
    t.case("33 owners", Crd, "alice", ask("any", many(33))).await;
}
