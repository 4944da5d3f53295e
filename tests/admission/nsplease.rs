//! The nsplease adapter held to its own: what the controller may make, mint and write for it, with every right that RBAC can
//! give in those namespaces; and what its users may do with what it made.

use oz_shared::names::{
    ANSWER_ANNOTATION, GRANT_LABEL, ISSUE_TOKEN_LABEL, ISSUED_LABEL, NSPLEASE, NSPLEASE_LABEL,
    SYSTEM_NAMESPACE,
};
use serde_json::{Value, json};
use support::rights::{self, account, bind_everywhere, group, user};
use support::{Call, Namespace, RUN_LABEL, run};

use crate::bodies::{binding, role, rule, with};
use crate::setup::own;
use crate::table::Expect::{Allowed, Vap};
use crate::table::{Expect, Table};
use crate::world::{Cast, World};

const CONTROLLER: Expect = Vap("oz-controller");
const GUARD: Expect = Vap("oz-guard");
const ANNOTATION: &str = "nsplease.container.training/issue-token";

/// A namespace of the adapter's, one for its requests, and a plain one.
struct Places {
    /// As the adapter makes them.
    pleased: String,
    uid: Value,
    asked: Namespace,
}

impl Places {
    async fn new(world: &World, subject: &str) -> Places {
        let admin = world.who("admin");
        let controller = [account(SYSTEM_NAMESPACE, "oz-controller")];
        let (makes, everything) = (own("tests-cluster"), own("tests-everything"));
        bind_everywhere(admin, &own(&format!("tests-{subject}")), &makes, &controller).await.unwrap();
        let may = json!({"verb": "create", "resource": "namespaces"});
        rights::until(admin, world.user("ctl"), may, true).await.unwrap();

        let pleased = own(&format!("tests-{subject}"));
        let labels = json!({GRANT_LABEL: NSPLEASE, ISSUE_TOKEN_LABEL: "multiple-times", RUN_LABEL: run()});
        let made = json!({"metadata": {"name": pleased, "labels": labels}});
        let made = world.must("ctl", Call::post("/api/v1/namespaces", made)).await;
        let asked = Namespace::create(admin, &format!("tests-{subject}-asked")).await.unwrap();
        let label = json!({"metadata": {"labels": {NSPLEASE_LABEL: "requests"}}});
        world.must("admin", Call::merge(format!("/api/v1/namespaces/{}", asked.name), label)).await;

        let bound = binding("tests", &json!({}), ("ClusterRole", &everything), &controller);
        let rbac = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{pleased}/rolebindings");
        world.must("admin", Call::post(rbac, bound)).await;
        asked.bind("tests", &everything, &controller).await.unwrap();
        for namespace in [&pleased, &asked.name] {
            let may = json!({"namespace": namespace, "verb": "create", "resource": "secrets"});
            rights::until(admin, world.user("ctl"), may, true).await.unwrap();
        }
        Places { pleased, uid: made["metadata"]["uid"].clone(), asked }
    }

    fn core(&self, rest: &str) -> String {
        format!("/api/v1/namespaces/{}/{rest}", self.pleased)
    }

    fn rbac(&self, rest: &str) -> String {
        format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{}/{rest}", self.pleased)
    }

    fn itself(&self) -> String {
        format!("/api/v1/namespaces/{}", self.pleased)
    }

    fn account(&self) -> Value {
        account(&self.pleased, "admin")
    }

    /// The account as the adapter makes it.
    async fn make_account(&self, t: &mut Table<'_>) {
        let made = named("admin", &labels());
        t.case("the account admin", Allowed, "ctl", Call::post(self.core("serviceaccounts"), made)).await;
    }

    fn secret(&self) -> Value {
        let owner = json!([{"apiVersion": "v1", "kind": "Namespace", "name": self.pleased, "uid": self.uid}]);
        json!({"metadata": {"name": self.pleased, "labels": labels(), "ownerReferences": owner},
            "stringData": {"token": "t", "ca.crt": "c", "namespace": "n", "server": "s", "kubeconfig": "k"}})
    }

    async fn end(self, world: &World) {
        world.must("admin", Call::delete(self.itself())).await;
        self.asked.remove().await.unwrap();
    }
}

/// Those of all that the adapter makes.
fn labels() -> Value {
    json!({GRANT_LABEL: NSPLEASE})
}

fn named(name: &str, labels: &Value) -> Value {
    json!({"metadata": {"name": name, "labels": labels}})
}

#[tokio::test]
async fn nsplease_makes_an_account_and_its_rights() {
    let world = World::new("pleased", Cast::Certificates).await;
    let places = Places::new(&world, "pleased").await;
    world.controller_also("everything", "secrets").await;
    let mut t = Table::new("what nsplease's namespaces hold", &world);
    let accounts = |body| Call::post(places.core("serviceaccounts"), body);
    places.make_account(&mut t).await;
    t.case("another account", CONTROLLER, "ctl", accounts(named("other", &labels()))).await;
    t.case("an account without the label", CONTROLLER, "ctl", accounts(named("admin2", &json!({})))).await;
    t.case("an account of a grant's", CONTROLLER, "ctl", accounts(named("admin2", &world.labels()))).await;
    let elsewhere = Call::post(world.ns.core("serviceaccounts"), named("admin", &labels()));
    t.case("the account admin elsewhere", CONTROLLER, "ctl", elsewhere).await;
    let by_request = Call::post(places.asked.core("serviceaccounts"), named("admin", &labels()));
    t.case("the account admin beside requests", CONTROLLER, "ctl", by_request).await;
    t.case("delete the account", CONTROLLER, "ctl", Call::delete(places.core("serviceaccounts/admin"))).await;

    let pleased = places.pleased.as_str();
    let make = |name: &str, rules: Value| Call::post(places.rbac("roles"), role(name, &labels(), rules));
    let delete_own = json!([rule(&[""], &["namespaces"], &[pleased], &["delete"])]);
    for (what, rules) in [
        ("to delete another namespace", json!([rule(&[""], &["namespaces"], &["default"], &["delete"])])),
        ("to delete two", json!([rule(&[""], &["namespaces"], &[pleased, "default"], &["delete"])])),
        ("to delete any", json!([{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["delete"]}])),
        ("to change its namespace", json!([rule(&[""], &["namespaces"], &[pleased], &["delete", "patch"])])),
        ("for pods", json!([rule(&[""], &["pods"], &[pleased], &["get"])])),
    ] {
        t.case(&format!("a Role {what}"), CONTROLLER, "ctl", make("admin", rules)).await;
    }
    t.case("its Role by another name", CONTROLLER, "ctl", make("other", delete_own.clone())).await;
    let elsewhere = Call::post(world.ns.rbac("roles"), role("admin", &labels(), delete_own.clone()));
    t.case("its Role elsewhere", CONTROLLER, "ctl", elsewhere).await;
    t.case("its Role", Allowed, "ctl", make("admin", delete_own)).await;

    let bind = |name: &str, kind: &str, role: &str, subjects: &[Value]| {
        Call::post(places.rbac("rolebindings"), binding(name, &labels(), (kind, role), subjects))
    };
    let admin = || places.account();
    for (what, call) in [
        ("edit", bind("admin-clusterrole", "ClusterRole", "edit", &[admin()])),
        ("cluster-admin", bind("admin-clusterrole", "ClusterRole", "cluster-admin", &[admin()])),
        ("another Role", bind("admin-role", "Role", "other", &[admin()])),
        ("the ClusterRole by the other name", bind("admin-role", "ClusterRole", "admin", &[admin()])),
        ("admin by a name of its own", bind("admin", "ClusterRole", "admin", &[admin()])),
        ("admin to a person", bind("admin-clusterrole", "ClusterRole", "admin", &[user("eve")])),
        ("admin to a group", bind("admin-clusterrole", "ClusterRole", "admin", &[group("leads")])),
        (
            "admin to a stranger besides",
            bind("admin-clusterrole", "ClusterRole", "admin", &[admin(), user("eve")]),
        ),
        (
            "admin to another account",
            bind("admin-clusterrole", "ClusterRole", "admin", &[account(pleased, "default")]),
        ),
        (
            "admin to another admin",
            bind("admin-clusterrole", "ClusterRole", "admin", &[account("default", "admin")]),
        ),
    ] {
        t.case(&format!("bind {what}"), CONTROLLER, "ctl", call).await;
    }
    t.case("bind admin", Allowed, "ctl", bind("admin-clusterrole", "ClusterRole", "admin", &[admin()])).await;
    t.case("bind its Role", Allowed, "ctl", bind("admin-role", "Role", "admin", &[admin()])).await;
    let subjects = json!({"subjects": [user("eve")]});
    let path = places.rbac("rolebindings/admin-role");
    t.case("bind its Role to a person instead", CONTROLLER, "ctl", Call::merge(&path, subjects)).await;
    let quota = |labels: &Value| {
        let body = with(named("q", labels), &json!({"spec": {"hard": {"pods": "1"}}}));
        Call::post(places.core("resourcequotas"), body)
    };
    t.case("a quota of nsplease's", CONTROLLER, "ctl", quota(&labels())).await;
    t.case("a quota of a grant's", CONTROLLER, "ctl", quota(&world.labels())).await;
    let to_eve = binding("oz-e", &world.labels(), ("ClusterRole", "view"), &[user("eve")]);
    t.case(
        "owners by name, as in lent namespaces",
        CONTROLLER,
        "ctl",
        Call::post(places.rbac("rolebindings"), to_eve),
    )
    .await;
    t.finish();
    places.end(&world).await;
    world.end().await;
}

#[tokio::test]
async fn nsplease_keeps_its_record() {
    let world = World::new("pleasedns", Cast::Certificates).await;
    let places = Places::new(&world, "pleasedns").await;
    let mut t = Table::new("the record of what nsplease issued", &world);
    let all = "/api/v1/namespaces";
    let make = |name: &str| Call::post(all, named(name, &labels()));
    t.case("kube-x", CONTROLLER, "ctl", make("kube-x")).await;
    t.case("boss makes one of nsplease's", GUARD, "boss", make(&own("tests-forged"))).await;
    let label = |path: String, labels: Value| Call::merge(path, json!({"metadata": {"labels": labels}}));
    let on_it = |labels: Value| label(places.itself(), labels);
    let plain = format!("{all}/{}", world.ns.name);
    t.case("adopt a namespace", CONTROLLER, "ctl", label(plain.clone(), labels())).await;
    t.case("boss has it adopted", GUARD, "boss", label(plain, labels())).await;
    t.case("strip the label", CONTROLLER, "ctl", on_it(json!({GRANT_LABEL: null}))).await;
    t.case("make it a grant's", CONTROLLER, "ctl", on_it(world.labels())).await;
    let lent = own("tests-pleased-lent");
    let lent_labels = with(world.labels(), &json!({NSPLEASE_LABEL: "requests"}));
    t.object("a lent namespace", "ctl", Call::post(all, named(&lent, &lent_labels))).await;
    t.case("make a grant's nsplease's", CONTROLLER, "ctl", label(format!("{all}/{lent}"), labels())).await;
    t.case("delete it", CONTROLLER, "ctl", Call::delete(places.itself())).await;

    t.case("boss records", GUARD, "boss", on_it(json!({ISSUED_LABEL: "u1"}))).await;
    t.case("record that it was issued", Allowed, "ctl", on_it(json!({ISSUED_LABEL: "u1"}))).await;
    t.case("record that it was issued again", Allowed, "ctl", on_it(json!({ISSUED_LABEL: "u2"}))).await;
    t.case("forget it", CONTROLLER, "ctl", on_it(json!({ISSUED_LABEL: null}))).await;
    t.case("no policy", CONTROLLER, "ctl", on_it(json!({ISSUE_TOKEN_LABEL: null}))).await;
    t.case("an odd policy", CONTROLLER, "ctl", on_it(json!({ISSUE_TOKEN_LABEL: "often"}))).await;
    t.case("boss tightens the policy", GUARD, "boss", on_it(json!({ISSUE_TOKEN_LABEL: "only-once"}))).await;
    t.case("tighten the policy", Allowed, "ctl", on_it(json!({ISSUE_TOKEN_LABEL: "only-once"}))).await;
    t.case("loosen the policy", CONTROLLER, "ctl", on_it(json!({ISSUE_TOKEN_LABEL: "multiple-times"}))).await;
    t.case("boss loosens the policy", GUARD, "boss", on_it(json!({ISSUE_TOKEN_LABEL: "multiple-times"})))
        .await;
    t.case("another label goes", CONTROLLER, "ctl", on_it(json!({RUN_LABEL: null}))).await;
    t.case("its owner annotates it", Allowed, "boss", {
        Call::merge(places.itself(), json!({"metadata": {"annotations": {"a": "b"}}}))
    })
    .await;
    world.must("admin", Call::delete(format!("{all}/{lent}"))).await;
    t.finish();
    places.end(&world).await;
    world.end().await;
}

#[tokio::test]
async fn nsplease_mints_for_its_own_alone() {
    let world = World::new("pleasedmint", Cast::Certificates).await;
    let places = Places::new(&world, "pleasedmint").await;
    world.controller_also("everything", "secrets").await;
    let mut t = Table::new("what is minted for nsplease", &world);
    places.make_account(&mut t).await;
    world.must("admin", Call::post(world.ns.core("serviceaccounts"), named("admin", &json!({})))).await;
    let lent = own("tests-mint-lent");
    t.object("a lent namespace", "ctl", Call::post("/api/v1/namespaces", named(&lent, &world.labels())))
        .await;
    let admin_of = |namespace: &str| format!("/api/v1/namespaces/{namespace}/serviceaccounts");
    world.must("admin", Call::post(admin_of(&lent), named("admin", &json!({})))).await;
    let everything = binding(
        "tests",
        &json!({}),
        ("ClusterRole", &own("tests-everything")),
        &[account(SYSTEM_NAMESPACE, "oz-controller")],
    );
    let rbac = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{lent}/rolebindings");
    world.must("admin", Call::post(rbac, everything)).await;
    let may =
        json!({"namespace": lent, "verb": "create", "resource": "serviceaccounts", "subresource": "token"});
    rights::until(world.who("admin"), world.user("ctl"), may, true).await.unwrap();

    let mint = |path: String, spec: Value| Call::post(path, json!({"spec": spec}));
    let for_admin = |spec: Value| mint(places.core("serviceaccounts/admin/token"), spec);
    let hour = || json!({"expirationSeconds": 3600});
    t.case("for the account admin", Allowed, "ctl", for_admin(hour())).await;
    t.case("for 12 h", Allowed, "ctl", for_admin(json!({"expirationSeconds": 43200}))).await;
    t.case("for longer", CONTROLLER, "ctl", for_admin(json!({"expirationSeconds": 43201}))).await;
    let audience = json!({"expirationSeconds": 3600, "audiences": ["vault"]});
    t.case("for somebody else", CONTROLLER, "ctl", for_admin(audience)).await;
    let default = mint(places.core("serviceaccounts/default/token"), hour());
    t.case("for another account there", CONTROLLER, "ctl", default).await;
    let plain = mint(world.ns.core("serviceaccounts/admin/token"), hour());
    t.case("for an admin of anybody's", CONTROLLER, "ctl", plain).await;
    let owned = mint(format!("{}/admin/token", admin_of(&lent)), hour());
    t.case("for an admin of a lent namespace", CONTROLLER, "ctl", owned).await;
    let own_account = format!("/api/v1/namespaces/{SYSTEM_NAMESPACE}/serviceaccounts/oz-controller/token");
    t.case("boss mints for the controller, dry run", Allowed, "boss", mint(own_account, hour()).dry()).await;

    let record = |labels: Value| Call::merge(places.itself(), json!({"metadata": {"labels": labels}}));
    t.case("only once, from now on", Allowed, "ctl", record(json!({ISSUE_TOKEN_LABEL: "only-once"}))).await;
    t.case("that once", Allowed, "ctl", for_admin(hour())).await;
    t.case("it was issued", Allowed, "ctl", record(json!({ISSUED_LABEL: "u"}))).await;
    let refused = support::eventually("a second time", std::time::Duration::from_secs(20), || async {
        let answer = world.who("ctl").call(for_admin(hour())).await.map_err(|e| format!("{e:#}"))?;
        if answer.message().contains("oz-controller") { Ok(()) } else { Err(answer.to_string()) }
    })
    .await;
    t.fact("a second time is refused", refused.is_ok(), &format!("{refused:?}"));
    t.case("its owner mints for himself", Allowed, "boss", for_admin(hour())).await;
    world.must("admin", Call::delete(format!("/api/v1/namespaces/{lent}"))).await;
    t.finish();
    places.end(&world).await;
    world.end().await;
}

#[tokio::test]
async fn nsplease_answers_among_its_requests() {
    let world = World::new("pleasedask", Cast::Certificates).await;
    let places = Places::new(&world, "pleasedask").await;
    world.controller_also("everything", "secrets").await;
    let mut t = Table::new("what nsplease writes among its requests", &world);
    let pleased = places.pleased.clone();
    let owner = || places.secret()["metadata"]["ownerReferences"][0].clone();
    let make = |changes: Value| Call::post(places.asked.core("secrets"), with(places.secret(), &changes));
    let owned = |changes: Value| make(json!({"metadata": {"ownerReferences": [with(owner(), &changes)]}}));
    for (what, call) in [
        ("without the label", make(json!({"metadata": {"labels": {GRANT_LABEL: null}}}))),
        ("of a grant's", make(json!({"metadata": {"labels": world.labels()}}))),
        ("without an owner", make(json!({"metadata": {"ownerReferences": null}}))),
        ("of another namespace's", owned(json!({"name": "default"}))),
        ("of a pod's", owned(json!({"kind": "Pod"}))),
        ("with more in it", make(json!({"stringData": {"password": "p"}}))),
        ("elsewhere", Call::post(world.ns.core("secrets"), places.secret())),
        ("in the namespace itself", Call::post(places.core("secrets"), places.secret())),
    ] {
        t.case(&format!("a Secret {what}"), CONTROLLER, "ctl", call).await;
    }
    t.case("its Secret", Allowed, "ctl", make(json!({}))).await;
    let secret = places.asked.core(&format!("secrets/{pleased}"));
    let label = |labels: Value| Call::merge(&secret, json!({"metadata": {"labels": labels}}));
    t.case("strip its label", CONTROLLER, "ctl", label(json!({GRANT_LABEL: null}))).await;
    let theirs = json!({"metadata": {"name": "theirs"}});
    world.must("admin", Call::post(places.asked.core("secrets"), theirs)).await;
    let others = places.asked.core("secrets/theirs");
    let adopt = Call::merge(&others, json!({"metadata": {"labels": labels()}}));
    t.case("adopt somebody's Secret", CONTROLLER, "ctl", adopt).await;
    t.case("delete somebody's Secret", CONTROLLER, "ctl", Call::delete(&others)).await;

    let body = json!({"metadata": {"name": pleased, "labels": {"l": "v"}, "annotations": {"a": "b"},
        "ownerReferences": crate::bodies::dangling_owner()}, "data": {"k": "v"}});
    let configmaps = places.asked.core("configmaps");
    t.case("make a request", CONTROLLER, "ctl", Call::post(&configmaps, body.clone())).await;
    let keep = json!({"metadata": {"ownerReferences": null}});
    world.must("admin", Call::post(&configmaps, with(body.clone(), &keep))).await;
    world.must("admin", Call::post(world.ns.core("configmaps"), with(body, &keep))).await;
    let request = format!("{configmaps}/{pleased}");
    let merge = |metadata: Value| Call::merge(&request, json!({"metadata": metadata}));
    let answer = json!({"annotations": {ANSWER_ANNOTATION: "Refused: no"}});
    t.case("answer", Allowed, "ctl", merge(answer.clone())).await;
    t.case("take the answer back", Allowed, "ctl", merge(json!({"annotations": {ANSWER_ANNOTATION: null}})))
        .await;
    t.case("answer elsewhere", CONTROLLER, "ctl", {
        Call::merge(world.ns.core(&format!("configmaps/{pleased}")), json!({"metadata": answer}))
    })
    .await;
    for (what, call) in [
        ("another annotation", merge(json!({"annotations": {"x": "y"}}))),
        ("its annotation otherwise", merge(json!({"annotations": {"a": "c"}}))),
        ("its annotation away", merge(json!({"annotations": {"a": null}}))),
        ("a label", merge(json!({"labels": {"l": null}}))),
        ("a finalizer", merge(json!({"finalizers": ["a.b/c"]}))),
        ("its data", Call::merge(&request, json!({"data": {"k": "w"}}))),
        ("another's owner", merge(json!({"ownerReferences": [with(owner(), &json!({"name": "default"}))]}))),
        ("itself, by deletion", Call::delete(&request)),
    ] {
        t.case(&format!("change {what}"), CONTROLLER, "ctl", call).await;
    }
    t.case("have it owned", Allowed, "ctl", merge(json!({"ownerReferences": [owner()]}))).await;
    t.case("have it owned no more", CONTROLLER, "ctl", merge(json!({"ownerReferences": null}))).await;
    t.finish();
    places.end(&world).await;
    world.end().await;
}

/// What users of nsplease may do with what it made; the rest is the guard's.
#[tokio::test]
async fn nsplease_users_take_what_is_theirs() {
    let world = World::new("pleasedusers", Cast::Certificates).await;
    let places = Places::new(&world, "pleasedusers").await;
    let mut t = Table::new("what nsplease's users may do", &world);
    places.make_account(&mut t).await;
    let rules = json!([rule(&[""], &["namespaces"], &[&places.pleased], &["delete"])]);
    t.object("its Role", "ctl", Call::post(places.rbac("roles"), role("admin", &labels(), rules))).await;
    t.object("its Secret", "ctl", Call::post(places.asked.core("secrets"), places.secret())).await;

    let sa = places.core("serviceaccounts/admin");
    let merge = |metadata: Value| Call::merge(&sa, json!({"metadata": metadata}));
    let annotate = |value: Value| merge(json!({"annotations": {ANNOTATION: value}}));
    t.case("annotate the account", Allowed, "boss", annotate(json!("multiple-times"))).await;
    t.case("have it issued only once", Allowed, "boss", annotate(json!("only-once"))).await;
    t.case("have it issued again", GUARD, "boss", annotate(json!("multiple-times"))).await;
    t.case("... by taking that away", GUARD, "boss", annotate(Value::Null)).await;
    t.case("annotate it otherwise", Allowed, "boss", merge(json!({"annotations": {"a": "b"}}))).await;
    t.case("label the account", GUARD, "boss", merge(json!({"labels": {"a": "b"}}))).await;
    t.case("strip its label", GUARD, "boss", merge(json!({"labels": {GRANT_LABEL: null}}))).await;
    t.case("plant a finalizer", GUARD, "boss", merge(json!({"finalizers": ["a.b/c"]}))).await;
    t.case(
        "plant an owner",
        GUARD,
        "boss",
        merge(json!({"ownerReferences": crate::bodies::dangling_owner()})),
    )
    .await;
    let pull = json!({"imagePullSecrets": [{"name": "x"}], "metadata": {"annotations": {"a": "c"}}});
    t.case("more than annotate it", GUARD, "boss", Call::merge(&sa, pull)).await;
    t.case("delete the account", GUARD, "boss", Call::delete(&sa)).await;
    t.case("delete its Role", GUARD, "boss", Call::delete(places.rbac("roles/admin"))).await;
    t.case("widen its Role", GUARD, "boss", Call::merge(places.rbac("roles/admin"), json!({"rules": []})))
        .await;
    t.case("make an account of nsplease's", GUARD, "boss", {
        Call::post(world.ns.core("serviceaccounts"), named("admin", &labels()))
    })
    .await;

    let secret = places.asked.core(&format!("secrets/{}", places.pleased));
    let mut other = places.secret();
    other["metadata"]["name"] = json!("forged");
    t.case("make a Secret of nsplease's", GUARD, "boss", Call::post(places.asked.core("secrets"), other))
        .await;
    t.case("change the Secret", GUARD, "boss", Call::merge(&secret, json!({"stringData": {"token": "x"}})))
        .await;
    let issued = || Call::merge(&secret, json!({"metadata": {"labels": {ISSUED_LABEL: ""}}}));
    t.case("delete the Secret before it is on record", GUARD, "boss", Call::delete(&secret)).await;
    t.case("put it on record", GUARD, "boss", issued()).await;
    t.case("the controller puts it on record", Allowed, "ctl", issued()).await;
    t.case("change it then", GUARD, "boss", Call::merge(&secret, json!({"stringData": {"token": "x"}})))
        .await;
    t.case("dave (no rights there) deletes it", Expect::Rbac, "dave", Call::delete(&secret)).await;
    t.case("delete it then", Allowed, "boss", Call::delete(&secret)).await;
    t.case("its owner deletes the namespace", Allowed, "boss", Call::delete(places.itself()).dry()).await;
    t.finish();
    places.end(&world).await;
    world.end().await;
}
