//! Classes of namespaces: written only by who could do himself, everywhere, what they offer, and only well formed.

use serde_json::{Value, json};
use support::rights::{bind_everywhere, cluster_role, user};
use support::{Call, User};

use crate::bodies::{class, rule, with};
use crate::setup::own;
use crate::table::Expect::{Allowed, Crd, Rbac, Vap};
use crate::table::{Expect, Table};
use crate::world::{CLASSES, Cast, World, person};

const NAMESPACES: Expect = Vap("oz-namespaces");

/// The roles that a class of the test hands on, in this order: that of its owners, and those of its RoleBindings.
const ROLES: [&str; 5] = ["admin", "view", "edit", "tests-one", "tests-two"];

/// One right that an author needs: its group, resource, verb, and name or nothing.
type Right = (&'static str, &'static str, &'static str, &'static str);

fn rights() -> Vec<Right> {
    let mut all = vec![
        ("", "namespaces", "create", ""),
        ("", "namespaces", "delete", ""),
        ("rbac.authorization.k8s.io", "rolebindings", "create", ""),
        ("", "resourcequotas", "create", ""),
        ("", "limitranges", "create", ""),
        ("", "configmaps", "create", ""),
        ("networking.k8s.io", "networkpolicies", "create", ""),
    ];
    all.extend(ROLES.map(|role| ("rbac.authorization.k8s.io", "clusterroles", "bind", role)));
    all
}

/// An object of each kind, and four RoleBindings.
fn resources() -> Value {
    let mut all = vec![
        json!({"kind": "ResourceQuota", "name": "q", "spec": {"hard": {"pods": "4"}}}),
        json!({"kind": "LimitRange", "name": "l", "spec": {"limits": []}}),
        json!({"kind": "NetworkPolicy", "name": "n", "spec": {"podSelector": {}}}),
        json!({"kind": "ConfigMap", "name": "c", "data": {"who": "${REQUESTER}"}}),
    ];
    for (i, role) in ROLES.iter().enumerate().skip(1) {
        let subjects = [json!({"kind": "Group", "name": "ops"})];
        all.push(json!({"kind": "RoleBinding", "name": format!("b{i}"), "role": role, "subjects": subjects}));
    }
    json!(all)
}

/// Someone who may write classes, and holds these rights everywhere.
async fn meet_author(world: &mut World, name: &'static str, rights: &[Right]) {
    let admin = world.who("admin").clone();
    let role = own(&format!("tests-{name}"));
    let author = User { username: own(name), ..person(name, &[]) };
    let rules: Vec<Value> = rights
        .iter()
        .map(|(group, resource, verb, named)| match *named {
            "" => json!({"apiGroups": [group], "resources": [resource], "verbs": [verb]}),
            named => rule(&[group], &[resource], &[named], &[verb]),
        })
        .collect();
    cluster_role(&admin, &role, json!(rules)).await.unwrap();
    let subject = [user(&author.username)];
    bind_everywhere(&admin, &role, &role, &subject).await.unwrap();
    bind_everywhere(&admin, &format!("{role}-writes"), "oz-author", &subject).await.unwrap();
    let asked = json!({"verb": "update", "group": "ozaccess.io", "resource": "namespaceclasses"});
    support::rights::until(&admin, &author, asked, true).await.unwrap();
    world.meet(name, admin.impersonate(author).unwrap());
}

#[tokio::test]
async fn classes_by_who_could_do_it() {
    const LACKING: [&str; 12] = ["l0", "l1", "l2", "l3", "l4", "l5", "l6", "l7", "l8", "l9", "l10", "l11"];
    let mut world = World::new("classes", Cast::Certificates).await;
    let all = rights();
    meet_author(&mut world, "author", &all).await;
    for (i, name) in LACKING.into_iter().enumerate() {
        let rest: Vec<Right> = all.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, r)| *r).collect();
        meet_author(&mut world, name, &rest).await;
    }
    // The same rights, in one namespace only.
    world.ns.bind("erin-authors", &own("tests-author"), &[user("erin")]).await.unwrap();
    let everywhere = own("tests-erin-writes");
    bind_everywhere(world.who("admin"), &everywhere, "oz-author", &[user("erin")]).await.unwrap();
    let may = json!({"verb": "create", "group": "ozaccess.io", "resource": "namespaceclasses"});
    support::rights::until(world.who("admin"), world.user("erin"), may, true).await.unwrap();
    let mut t = Table::new("classes by who could do it", &world);
    let name = |stem: &str| format!("{}-{stem}", world.ns.name);
    let full = |stem: &str| class(&name(stem), json!({"resources": resources()}));
    let post = |body| Call::post(CLASSES, body);

    t.case("who holds all of it", Allowed, "author", post(full("full"))).await;
    t.case("by server-side apply", Allowed, "author", {
        Call::apply(format!("{CLASSES}/{}", name("ssa")), full("ssa"), "a").dry()
    })
    .await;
    for (lacking, who) in all.iter().zip(LACKING) {
        t.case(&format!("who lacks {lacking:?}"), NAMESPACES, who, post(full(who))).await;
        t.case(&format!("who lacks {lacking:?}, dry run"), NAMESPACES, who, post(full(who)).dry()).await;
        // What a class does not offer is not asked for.
        let of = |kind: &str| {
            resources().as_array().unwrap().iter().filter(|r| r["kind"] == kind).cloned().collect::<Vec<_>>()
        };
        let without = match lacking.1 {
            "resourcequotas" => of("LimitRange"),
            "limitranges" => of("ConfigMap"),
            "configmaps" => of("NetworkPolicy"),
            "networkpolicies" => of("ResourceQuota"),
            _ => continue,
        };
        let body = class(&name(who), json!({"resources": without}));
        t.case(
            &format!("... a class without that, by who lacks {lacking:?}"),
            Allowed,
            who,
            post(body).dry(),
        )
        .await;
    }
    t.case("erin (all of it in one namespace)", NAMESPACES, "erin", post(full("erin"))).await;
    t.case("dave (oz-author in his namespace)", Rbac, "dave", post(full("dave"))).await;
    t.case("carol (no rights)", Rbac, "carol", post(full("carol"))).await;
    t.case("the controller", NAMESPACES, "lender-wide", post(full("ctl"))).await;
    t.case(
        "the controller, with the role of its ceiling",
        NAMESPACES,
        "lender",
        post(class(&name("c"), json!({}))),
    )
    .await;
    changes(&mut t, &world, &name("full")).await;
    t.finish();
    world.end().await;
}

async fn changes(t: &mut Table<'_>, world: &World, name: &str) {
    let path = format!("{CLASSES}/{name}");
    let merge = |body| Call::merge(&path, body);
    for (what, spec) in [
        ("fewer approvals", json!({"approvals": 0})),
        ("longer", json!({"ttl": {"max": "9h"}})),
        ("more of them", json!({"maxLive": 1000})),
        ("other names", json!({"names": {"pattern": ".*"}, "onTaken": "Suffix"})),
        ("looser pods", json!({"podSecurity": "privileged"})),
        ("owners' NetworkPolicies", json!({"ownersWriteNetworkPolicies": true})),
        ("accounts that decide", json!({"approvers": {"serviceAccounts": true}})),
        ("no resources", json!({"resources": []})),
    ] {
        for who in ["erin", "l0", "lender-wide"] {
            t.case(&format!("{what}, by {who}"), NAMESPACES, who, merge(json!({"spec": spec}))).await;
        }
        t.case(&format!("{what}, by the author"), Allowed, "author", merge(json!({"spec": spec})).dry())
            .await;
    }
    let wider = merge(json!({"spec": {"role": "cluster-admin"}}));
    t.case("a role that the author may not bind", NAMESPACES, "author", wider).await;
    t.case(
        "erin labels it (spec untouched)",
        Allowed,
        "erin",
        merge(json!({"metadata": {"labels": {"x": "y"}}})),
    )
    .await;
    let replaced = class(name, json!({"approvals": 0}));
    t.case(
        "erin by server-side apply with force",
        NAMESPACES,
        "erin",
        Call::apply(&path, replaced, "e").force(),
    )
    .await;
    let mut body = world.must("erin", Call::get(&path)).await;
    body["spec"]["approvals"] = json!(0);
    t.case("erin replaces it", NAMESPACES, "erin", Call::put(&path, body)).await;
}

/// By root, to whom only the schema says no.
#[tokio::test]
async fn classes_well_formed() {
    let world = World::new("classforms", Cast::Certificates).await;
    let mut t = Table::new("classes, well formed", &world);
    let name = format!("{}-x", world.ns.name);
    let post = |spec: Value| Call::post(CLASSES, class(&name, spec)).dry();
    let with_one = |resource: Value| post(json!({"resources": [resource]}));

    for pattern in
        ["ci-[0-9]+", ".*", "a|b", "(a|b)-c", "(?i)x", "[a-z]{1,9}", "^ci-.*$", r"\Qa.b\E", r"\d+", ""]
    {
        let expect = if pattern.is_empty() { Crd } else { Allowed };
        t.case(&format!("pattern {pattern:?}"), expect, "root", post(json!({"names": {"pattern": pattern}})))
            .await;
    }
    for pattern in [
        "a)|(b",
        "a)|(?:b",
        "[",
        "(",
        ")",
        "a{2,1}",
        "*",
        "+a",
        "a**",
        "(?P<n",
        "\\",
        r"x\Q",
        r"\Qa)|(?:.*",
        "(?<=a)b",
        r"(a)\1",
        "a(?=b)",
        "(?x)a",
        "[z-a]",
        "a{1001}",
    ] {
        t.case(&format!("pattern {pattern:?}"), Crd, "root", post(json!({"names": {"pattern": pattern}})))
            .await;
    }
    // It stands in what requesters are told.
    for pattern in ["a\nb", "a|b\u{202e}c", "\u{0}", "a\u{2028}"] {
        t.case(&format!("pattern {pattern:?}"), Crd, "root", post(json!({"names": {"pattern": pattern}})))
            .await;
    }
    let long = "a".repeat(257);
    t.case("a pattern of 257 characters", Crd, "root", post(json!({"names": {"pattern": long}}))).await;
    t.case(
        "a prefix of another kind",
        Crd,
        "root",
        post(json!({"names": {"pattern": ".*", "prefix": "Tenant"}})),
    )
    .await;

    for resource in resources().as_array().unwrap() {
        t.case(&format!("{}", resource["kind"]), Allowed, "root", with_one(resource.clone())).await;
    }
    let quota = || json!({"kind": "ResourceQuota", "name": "q", "spec": {"hard": {}}});
    let config = || json!({"kind": "ConfigMap", "name": "c", "data": {}});
    let bound = || json!({"kind": "RoleBinding", "name": "b", "role": "view", "subjects": [{"kind": "User", "name": "x"}]});
    for kind in
        ["Secret", "Pod", "Role", "ClusterRoleBinding", "ServiceAccount", "Deployment", "resourcequota", ""]
    {
        t.case(&format!("kind {kind:?}"), Crd, "root", with_one(with(quota(), &json!({"kind": kind})))).await;
    }
    for (what, resource) in [
        ("spec on a ConfigMap", with(config(), &json!({"spec": {}}))),
        ("spec on a RoleBinding", with(bound(), &json!({"spec": {}}))),
        ("data on a quota", with(quota(), &json!({"data": {}}))),
        ("role on a quota", with(quota(), &json!({"role": "view"}))),
        ("subjects on a ConfigMap", with(config(), &json!({"subjects": [{"kind": "User", "name": "x"}]}))),
        ("a quota without spec", with(quota(), &json!({"spec": null}))),
        ("a ConfigMap without data", with(config(), &json!({"data": null}))),
        ("a RoleBinding without role", with(bound(), &json!({"role": null}))),
        ("a RoleBinding without subjects", with(bound(), &json!({"subjects": null}))),
        ("a RoleBinding to nobody", with(bound(), &json!({"subjects": []}))),
        ("a spec that is a text", with(quota(), &json!({"spec": "x"}))),
        ("no name", with(quota(), &json!({"name": null}))),
        ("a name that is no label", with(quota(), &json!({"name": "a.b"}))),
        ("a name with a variable", with(quota(), &json!({"name": "${NAMESPACE}"}))),
        ("a name of Oz's", with(bound(), &json!({"name": "oz-abc"}))),
        ("kube-root-ca.crt", with(config(), &json!({"name": "kube-root-ca.crt"}))),
        ("a role of Oz's", with(bound(), &json!({"role": "oz-ceiling"}))),
        ("a role that is a variable", with(bound(), &json!({"role": "${REQUESTER}"}))),
    ] {
        t.case(what, Crd, "root", with_one(resource)).await;
    }
    for (what, subject) in [
        ("everybody", json!({"kind": "Group", "name": "system:authenticated"})),
        ("masters", json!({"kind": "Group", "name": "system:masters"})),
        ("the scheduler", json!({"kind": "User", "name": "system:kube-scheduler"})),
        (
            "an account as a user",
            json!({"kind": "User", "name": "system:serviceaccount:oz-system:oz-controller"}),
        ),
        ("the controller", support::rights::account("oz-system", "oz-controller")),
        ("a session", support::rights::account("oz-sessions", "oz-n-a-x1999999999")),
        ("kube-system's", support::rights::account("kube-system", "default")),
        ("an account of nowhere", json!({"kind": "ServiceAccount", "name": "x"})),
    ] {
        t.case(
            &format!("bound to {what}"),
            Crd,
            "root",
            with_one(with(bound(), &json!({"subjects": [subject]}))),
        )
        .await;
    }
    let bindings =
        |n: usize| (0..n).map(|i| with(bound(), &json!({"name": format!("b{i}")}))).collect::<Vec<_>>();
    t.case("four RoleBindings", Allowed, "root", post(json!({"resources": bindings(4)}))).await;
    t.case("five RoleBindings", Crd, "root", post(json!({"resources": bindings(5)}))).await;
    let quotas =
        |n: usize| (0..n).map(|i| with(quota(), &json!({"name": format!("q{i}")}))).collect::<Vec<_>>();
    t.case("16 resources", Allowed, "root", post(json!({"resources": quotas(16)}))).await;
    t.case("17 resources", Crd, "root", post(json!({"resources": quotas(17)}))).await;
    t.case("one name twice", Crd, "root", post(json!({"resources": [quota(), quota()]}))).await;
    t.case("one name of two kinds", Allowed, "root", {
        post(json!({"resources": [quota(), with(config(), &json!({"name": "q"}))]}))
    })
    .await;

    for (label, expect) in [
        ("team", Allowed),
        ("example.org/team", Allowed),
        ("notkubernetes.io/x", Allowed),
        ("kubernetes.io/metadata.name", Crd),
        ("pod-security.kubernetes.io/enforce", Crd),
        ("app.kubernetes.io/managed-by", Crd),
        ("x.k8s.io/y", Crd),
        ("k8s.io/y", Crd),
        ("ozaccess.io/grant", Crd),
        ("ozaccess.io/network-policies", Crd),
        ("ozaccess.io/class", Crd),
    ] {
        t.case(&format!("label {label}"), expect, "root", post(json!({"labels": {label: "x"}}))).await;
    }
    t.case("a label's value that is none", Crd, "root", post(json!({"labels": {"a": "b c"}}))).await;
    for (what, spec) in [
        ("no role", json!({"role": null})),
        ("a role of Oz's", json!({"role": "oz-controller"})),
        ("no ttl", json!({"ttl": null})),
        ("a default beyond the longest", json!({"ttl": {"default": "2h", "max": "1h"}})),
        ("a ttl beyond ten years", json!({"ttl": {"default": "1h", "max": "87601h"}})),
        ("a ttl of days", json!({"ttl": {"default": "1h", "max": "1d"}})),
        ("no live ones", json!({"maxLive": 0})),
        ("too many live ones", json!({"maxLive": 1001})),
        ("nine approvals", json!({"approvals": 9})),
        ("fewer than none", json!({"approvals": -1})),
        ("a level that is none", json!({"podSecurity": "none"})),
        ("another way with names that are taken", json!({"onTaken": "Adopt"})),
        ("bidi in the description", json!({"description": "a\u{202e}b"})),
    ] {
        t.case(what, Crd, "root", post(spec)).await;
    }
    t.finish();
    world.end().await;
}
