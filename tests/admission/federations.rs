//! Partners' clusters: who asks for them and decides, what their accounts may ask and mint, and what the controller binds
//! for them in the whole cluster.

use oz_shared::names::{FEDERATIONS_ROLE, GRANT_LABEL, PARTNER_ROLE, SESSIONS_NAMESPACE};
use serde_json::{Value, json};
use support::rights::{account, bind_everywhere, cluster_role, group, user};
use support::{Call, Namespace, RUN_LABEL, User, run};

use crate::bodies::{adding, approval, binding, class, dangling_owner, with};
use crate::lending::{LONG, enter, lend, mint, session_name, sessions_rbac};
use crate::setup::{LENDER, own};
use crate::table::Expect::{Allowed, AnyVap, Crd, Rbac, RbacOr, Vap};
use crate::table::{Expect, Table};
use crate::world::{CLASSES, Cast, World, controller_of, person};

const CREATE: Expect = Vap("oz-request-create");
const CLASS: Expect = Vap("oz-request-class");
const UPDATE: Expect = Vap("oz-request-update");
const DELETE: Expect = Vap("oz-request-delete");
const SESSIONS: Expect = Vap("oz-sessions");
const CONTROLLER: Expect = Vap("oz-controller");
const GUARD: Expect = Vap("oz-guard");

/// Where federations are.
const ALL: &str = "/apis/ozaccess.io/v1alpha1/federations";
/// Where bindings of the whole cluster are.
const EVERYWHERE: &str = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";

/// A session's account of this world as the API server knows it.
fn session(name: &str, uid: &str) -> User {
    let groups = ["system:serviceaccounts", "system:serviceaccounts:oz-sessions", "system:authenticated"];
    User {
        username: format!("system:serviceaccount:{SESSIONS_NAMESPACE}:{name}"),
        uid: uid.to_owned(),
        groups: groups.map(str::to_owned).to_vec(),
    }
}

/// People with rights in the whole cluster, each under a name of this run and test: who asks, who approves, and who only
/// writes; and two sessions that may write as well.
async fn cast(world: &mut World, subject: &str) {
    let admin = world.who("admin").clone();
    let writes = json!([{"apiGroups": ["ozaccess.io"], "resources": ["federations", "federations/status"], "verbs": ["*"]}]);
    cluster_role(&admin, &own(&format!("tests-{subject}-writes")), writes).await.unwrap();
    for (who, role) in [
        ("asks", "oz-federation-requester".to_owned()),
        ("decides", "oz-federation-approver".to_owned()),
        ("writes", own(&format!("tests-{subject}-writes"))),
    ] {
        let person = person(&own(&format!("{subject}-{who}")), &[]);
        let name = own(&format!("tests-{subject}-{who}"));
        bind_everywhere(&admin, &name, &role, &[user(&person.username)]).await.unwrap();
        world.meet(who, admin.impersonate(person).unwrap());
    }
    for (who, kind) in [("partner", 'f'), ("other-session", 'n')] {
        let name = session_name(kind, LONG);
        let binding = own(&format!("tests-{subject}-{who}"));
        let subjects = [account(SESSIONS_NAMESPACE, &name)];
        bind_everywhere(&admin, &binding, "oz-federation-requester", &subjects).await.unwrap();
        world.meet(who, admin.impersonate(session(&name, "u-1")).unwrap());
    }
    let may = json!({"verb": "create", "group": "ozaccess.io", "resource": "federations"});
    support::rights::until(&admin, world.user("other-session"), may, true).await.unwrap();
}

/// A federation in the name of someone of this world.
fn federation(world: &World, who: &str, name: &str, spec: Value) -> Value {
    let User { username, uid, groups } = world.user(who);
    let whole = json!({
        "organization": "slate", "cluster": "site-a", "namespace": "site-a", "reason": "INC-1", "duration": "30m",
        "requester": {"username": username, "uid": uid, "groups": groups},
    });
    json!({
        "apiVersion": "ozaccess.io/v1alpha1", "kind": "Federation",
        "metadata": {"name": name, "labels": {RUN_LABEL: run()}}, "spec": with(whole, &spec),
    })
}

/// A class for partners.
async fn offer(world: &World) -> (String, Value) {
    let terms = json!({"federation": {"further": 3, "clusterRoles": ["view"]},
        "names": {"pattern": "site-.*", "prefix": "Partner"}});
    let (name, _) = world.offer_class("partner", terms).await;
    // Where else it is offered is no matter here.
    let path = format!("{CLASSES}/{name}");
    let made = world.must("admin", Call::merge(path, json!({"spec": {"from": ["elsewhere"]}}))).await;
    let pin = json!({"uid": made["metadata"]["uid"], "generation": made["metadata"]["generation"]});
    let probe = world.namespace_request(
        "alice",
        "probe",
        json!({"class": name, "namespaces": ["site-p"], "reason": "x"}),
    );
    let call = Call::post(world.namespace_requests(), probe).dry();
    support::eventually("the class is offered elsewhere", std::time::Duration::from_secs(20), || async {
        let answer = world.who("alice").call(call.clone()).await.map_err(|error| format!("{error:#}"))?;
        if answer.message().contains("elsewhere") { Ok(()) } else { Err(answer.to_string()) }
    })
    .await
    .unwrap();
    (name, pin)
}

#[tokio::test]
async fn ask_for_a_federation() {
    let mut world = World::new("fedask", Cast::Uids).await;
    cast(&mut world, "fedask").await;
    let (class_name, pin) = offer(&world).await;
    let (plain_class, _) = world.offer_class("plain", json!({})).await;
    let name = format!("{}-a", world.ns.name);
    let mut t = Table::new("asking for a federation", &world);
    let asked =
        |who: &str, spec: Value| federation(&world, who, &name, with(json!({"class": class_name}), &spec));
    let by = |who: &str, spec: Value| Call::post(ALL, asked(who, spec)).dry();
    t.case("who may asks", Allowed, "asks", by("asks", json!({}))).await;
    t.case("with all that there is", Allowed, "asks", {
        by("asks", json!({"further": 3, "clusterRole": "view", "duration": "1h"}))
    })
    .await;
    t.case("by server-side apply", Allowed, "asks", {
        Call::apply(format!("{ALL}/{name}"), asked("asks", json!({})), "oz").dry()
    })
    .await;
    t.case("in another's name", CREATE, "asks", by("decides", json!({}))).await;
    t.case("who only writes", CREATE, "writes", by("writes", json!({}))).await;
    t.case("who approves (no right to write a new one)", Rbac, "decides", by("decides", json!({}))).await;
    t.case("alice (who may ask for classes in a namespace)", Rbac, "alice", by("alice", json!({}))).await;
    t.case("a partner's account", CREATE, "partner", by("partner", json!({}))).await;
    t.case("another session", CREATE, "other-session", by("other-session", json!({}))).await;
    t.case("the controller", Rbac, "ctl", by("ctl", json!({}))).await;
    let request = json!({"metadata": {"uid": "none"}});
    t.case("decided at creation", CREATE, "asks", {
        by("asks", json!({"decisions": [approval(world.user("decides"), &request, &pin)]}))
    })
    .await;
    let released = json!({"released": true, "releasedBy": world.user("asks").username});
    t.case("released at creation", CREATE, "asks", by("asks", released)).await;
    t.case("rotated at creation", CREATE, "asks", by("asks", json!({"rotations": 1}))).await;
    for (what, metadata) in [
        ("owner", json!({"ownerReferences": dangling_owner()})),
        ("finalizer", json!({"finalizers": ["a.b/c"]})),
    ] {
        let body = with(asked("asks", json!({})), &json!({"metadata": metadata}));
        t.case(&format!("{what} at creation"), CREATE, "asks", Call::post(ALL, body).dry()).await;
    }
    for (what, expect, spec) in [
        ("for longer than the class", CLASS, json!({"duration": "61m"})),
        ("for no time", CLASS, json!({"duration": "0s"})),
        ("no reason", CLASS, json!({"reason": ""})),
        ("another name", CLASS, json!({"namespace": "shop"})),
        ("more than the class", CLASS, json!({"further": 4})),
        ("a role that the class does not have", CLASS, json!({"clusterRole": "edit"})),
        ("a class for no federation", CLASS, json!({"class": plain_class})),
        ("a class that is not there: the controller fails it", Allowed, json!({"class": "no-such"})),
        ("kube-system", Crd, json!({"namespace": "kube-system"})),
        ("default", Crd, json!({"namespace": "default"})),
        ("oz-sessions", Crd, json!({"namespace": "oz-sessions"})),
        ("no namespace", Crd, json!({"namespace": ""})),
        ("101 further", Crd, json!({"further": 101})),
        ("-1 further", Crd, json!({"further": -1})),
        ("no organization", Crd, json!({"organization": ""})),
        ("bidi in the organization", Crd, json!({"organization": "a\u{202e}b"})),
        ("a line in the cluster", Crd, json!({"cluster": "a\nb"})),
        ("slash in the role", Crd, json!({"clusterRole": "a/b"})),
        ("rotated before it began", Crd, json!({"rotations": -1})),
    ] {
        t.case(what, expect, "asks", by("asks", spec)).await;
    }
    t.finish();
    world.end().await;
}

#[tokio::test]
async fn decide_on_a_federation() {
    let mut world = World::new("feddecide", Cast::Uids).await;
    cast(&mut world, "feddecide").await;
    let (class_name, pin) = offer(&world).await;
    let name = format!("{}-a", world.ns.name);
    let body = federation(&world, "asks", &name, json!({"class": class_name}));
    let made = world.must("asks", Call::post(ALL, body)).await;
    let path = format!("{ALL}/{name}");
    let mut t = Table::new("deciding on a federation", &world);
    let yes =
        |who: &str| Call::json_patch(&path, adding(&made, approval(world.user(who), &made, &pin))).dry();
    t.case("who approves", Allowed, "decides", yes("decides")).await;
    t.case("who asked", UPDATE, "asks", yes("asks")).await;
    t.case("who only writes", UPDATE, "writes", yes("writes")).await;
    t.case("bob (who approves in a namespace)", Rbac, "bob", yes("bob")).await;
    t.case("a partner's account", AnyVap, "partner", yes("partner")).await;
    let stale = with(pin.clone(), &json!({"generation": 99}));
    t.case("a class that has changed", CLASS, "decides", {
        Call::json_patch(&path, adding(&made, approval(world.user("decides"), &made, &stale))).dry()
    })
    .await;
    let merge = |spec: Value| Call::merge(&path, json!({"spec": spec}));
    for (field, value) in [
        ("organization", json!("other")),
        ("cluster", json!("other")),
        ("class", json!("other")),
        ("namespace", json!("site-b")),
        ("further", json!(1)),
        ("clusterRole", json!("view")),
        ("duration", json!("1h")),
    ] {
        t.case(&format!("{field} changes"), Crd, "asks", merge(json!({field: value}))).await;
    }
    t.case("status by who writes", Vap("oz-records"), "writes", {
        Call::merge(format!("{path}/status"), json!({"status": {"phase": "Active"}}))
    })
    .await;
    t.case("a label", UPDATE, "asks", Call::merge(&path, json!({"metadata": {"labels": {"a": "b"}}}))).await;

    t.case("the account anew, by who only writes", UPDATE, "writes", merge(json!({"rotations": 1}))).await;
    t.case("the account anew, by a partner's account", UPDATE, "partner", merge(json!({"rotations": 1})))
        .await;
    t.case("the account anew, by who asked", Allowed, "asks", merge(json!({"rotations": 1}))).await;
    t.case("the account anew, by who may revoke", Allowed, "decides", merge(json!({"rotations": 2}))).await;
    t.case("fewer times", Crd, "asks", merge(json!({"rotations": 1}))).await;
    t.case("many times at once", Crd, "asks", merge(json!({"rotations": 13}))).await;
    t.case("fewer times, by masters", Crd, "root", merge(json!({"rotations": 0}))).await;

    let release = |who: &str| merge(json!({"released": true, "releasedBy": world.user(who).username}));
    t.case("released by who only writes", UPDATE, "writes", release("writes").dry()).await;
    t.case("released by who may revoke", Allowed, "decides", release("decides").dry()).await;
    t.case("released by who asked", Allowed, "asks", release("asks").dry()).await;
    t.case("deleted by who only writes", DELETE, "writes", Call::delete(&path).dry()).await;
    t.case("deleted by a partner's account", DELETE, "partner", Call::delete(&path).dry()).await;
    t.case("deleted by who asked", Allowed, "asks", Call::delete(&path).dry()).await;
    let granted = json!({"status": {"phase": "Active", "approvedAt": "2026-11-22T10:00:00Z"}});
    t.case("the controller's status", Allowed, "ctl", Call::merge(format!("{path}/status"), granted)).await;
    t.case("deleted by who asked, once granted", DELETE, "asks", Call::delete(&path).dry()).await;
    t.case("deleted by who may revoke", Allowed, "decides", Call::delete(&path)).await;
    t.finish();
    world.end().await;
}

/// A partner's account in its first namespace, where its class need not be offered and it holds no verb on that.
#[tokio::test]
async fn a_partner_asks_for_namespaces() {
    let mut world = World::new("fedfurther", Cast::Uids).await;
    cast(&mut world, "fedfurther").await;
    let admin = world.who("admin").clone();
    let (class_name, _) = offer(&world).await;
    let partner = world.user("partner").clone();
    let anew = User { uid: "u-2".to_owned(), ..partner.clone() };
    world.meet("partner-anew", admin.impersonate(anew).unwrap());
    let subjects: Vec<Value> = ["partner", "other-session"]
        .map(|who| account(SESSIONS_NAMESPACE, world.user(who).username.rsplit(':').next().unwrap()))
        .to_vec();
    world.ns.bind("partners", PARTNER_ROLE, &[&subjects[..], &[user("carol")]].concat()).await.unwrap();
    world.ns.bind("partners-access", "oz-requester", &subjects).await.unwrap();
    world.until_may("partner", "create", "ozaccess.io", "accessrequests", true).await;
    world.offer_web().await;
    let mut t = Table::new("a partner asks for namespaces", &world);
    let all = world.namespace_requests();
    let spec = json!({"class": class_name, "namespaces": ["site-a-x"], "reason": "INC-1"});
    let asked = |who: &str, name: &str, changes: Value| {
        world.namespace_request(who, name, with(spec.clone(), &changes))
    };
    let by = |who: &str, changes: Value| Call::post(&all, asked(who, "r", changes)).dry();
    t.case("a partner", Allowed, "partner", by("partner", json!({}))).await;
    t.case("alice, of the same class", CLASS, "alice", by("alice", json!({}))).await;
    t.case("carol, with a partner's role", AnyVap, "carol", by("carol", json!({}))).await;
    t.case("another session, with a partner's role", AnyVap, "other-session", by("other-session", json!({})))
        .await;
    t.case("a partner in another's name", CREATE, "partner", by("alice", json!({}))).await;
    t.case("a partner for too long", CLASS, "partner", by("partner", json!({"duration": "61m"}))).await;
    t.case("a partner by another name", CLASS, "partner", by("partner", json!({"namespaces": ["x"]}))).await;
    let decided = json!({"released": true, "releasedBy": partner.username});
    t.case("a partner, released at creation", CREATE, "partner", by("partner", decided)).await;
    t.case("a partner for access", CREATE, "partner", {
        Call::post(world.requests(), world.request("partner", "r")).dry()
    })
    .await;
    let other = Namespace::create(&admin, "tests-elsewhere").await.unwrap();
    t.case("a partner elsewhere", Rbac, "partner", {
        Call::post(other.oz("namespacerequests"), asked("partner", "r", json!({}))).dry()
    })
    .await;
    other.remove().await.unwrap();

    world.must("partner", Call::post(&all, asked("partner", "p1", json!({})))).await;
    // Of a class that is nowhere, so that none keeps her from asking.
    world.must("alice", Call::post(&all, asked("alice", "a1", json!({"class": "no-such"})))).await;
    let granted = json!({"status": {"phase": "Active", "approvedAt": "2026-11-22T10:00:00Z"}});
    world.must("ctl", Call::merge(format!("{all}/p1/status"), granted)).await;
    let delete = |name: &str| Call::delete(format!("{all}/{name}")).dry();
    t.case("a partner deletes its own, once granted", Allowed, "partner", delete("p1")).await;
    t.case("... by its account made anew", Allowed, "partner-anew", delete("p1")).await;
    t.case("... not another's", DELETE, "partner", delete("a1")).await;
    t.case("another session deletes it", DELETE, "other-session", delete("p1")).await;
    t.case("carol deletes it", DELETE, "carol", delete("p1")).await;
    t.case("a partner changes it", Crd, "partner", {
        Call::merge(format!("{all}/p1"), json!({"spec": {"duration": "1h"}}))
    })
    .await;
    t.finish();
    world.end().await;
}

/// A partner's account mints its own next token; no other account does, whatever RBAC says.
#[tokio::test]
async fn a_partner_mints_its_own_next_token() {
    let mut world = World::new("fedmint", Cast::Certificates).await;
    let admin = world.who("admin").clone();
    let mut t = Table::new("a partner mints", &world);
    let names = [
        session_name('f', 400_000),
        session_name('f', 400_000),
        session_name('n', LONG),
        session_name('f', 100),
    ];
    let [own_name, other, plain, ending] = &names;
    for name in &names {
        lend(&mut t, &world, name, "alice").await;
    }
    // What the controller adds for a partner; here, for a plain session and for another account as well.
    for (name, also) in [(own_name, own_name), (ending, ending), (plain, plain), (other, own_name)] {
        let subjects = [user("alice"), account(SESSIONS_NAMESPACE, also)];
        let bound = binding(name, &world.labels(), ("Role", name), &subjects);
        let path = sessions_rbac(&format!("rolebindings/{name}"));
        let expect = if name == also { Allowed } else { CONTROLLER };
        t.case("its account is bound as well", expect, "ctl", Call::merge(path, bound)).await;
    }
    t.finish();
    let selves = [enter(&world, own_name, "alice").await, enter(&world, plain, "alice").await];
    let late = enter(&world, ending, "alice").await;
    let [partner, plain_session] = selves;
    world.meet("partner", partner);
    world.meet("plain", plain_session);
    world.meet("late", late);
    for (who, name) in [("partner", own_name), ("plain", plain), ("late", ending)] {
        let token = json!({"namespace": SESSIONS_NAMESPACE, "verb": "create", "resource": "serviceaccounts",
            "subresource": "token", "name": name});
        support::rights::until(world.who("admin"), world.user(who), token, true).await.unwrap();
    }
    // Who acts as it by a right to impersonate its name, as everybody with `edit` everywhere has.
    let acts = User { uid: String::new(), ..world.user("partner").clone() };
    let anew = User { uid: "00000000-0000-0000-0000-000000000001".to_owned(), ..acts.clone() };
    let [acts, anew] = [acts, anew].map(|user| admin.impersonate(user).unwrap());
    world.meet("acts", acts);
    world.meet("anew", anew);
    let mut t = Table::new("a partner mints", &world);
    let of =
        |name: &str, seconds: i64| Call::post(mint(name), json!({"spec": {"expirationSeconds": seconds}}));
    let itself = |who: &str, name: &str, seconds: i64| {
        let order = json!({"metadata": {"uid": world.user(who).uid}, "spec": {"expirationSeconds": seconds}});
        Call::post(mint(name), order)
    };
    t.case("its own next token", Allowed, "partner", itself("partner", own_name, 3600)).await;
    t.case("for days", Allowed, "partner", itself("partner", own_name, 390_000)).await;
    t.case("past its end", SESSIONS, "partner", itself("partner", own_name, 400_100)).await;
    t.case("who acts as it", SESSIONS, "acts", of(own_name, 600)).await;
    t.case("... and names its uid", SESSIONS, "acts", itself("partner", own_name, 600)).await;
    t.case("another account of its name", SESSIONS, "anew", of(own_name, 600)).await;
    t.case("... that names the present one's uid", SESSIONS, "anew", itself("partner", own_name, 600)).await;
    t.case("for another server", SESSIONS, "partner", {
        Call::post(mint(own_name), json!({"spec": {"expirationSeconds": 600, "audiences": ["vault"]}}))
    })
    .await;
    t.case("another partner's", Rbac, "partner", of(other, 600)).await;
    t.case("shortly before its end", Allowed, "late", itself("late", ending, 600)).await;
    t.case("... for longer", SESSIONS, "late", itself("late", ending, 601)).await;
    t.case("a plain session its own", SESSIONS, "plain", of(plain, 600)).await;
    t.case("the holder, as ever", Allowed, "alice", of(own_name, 600)).await;
    t.finish();
    world.end().await;
}

/// What the controller binds in the whole cluster.
#[tokio::test]
async fn the_controller_binds_partners_everywhere() {
    let mut world = World::new("fedheld", Cast::Certificates).await;
    let admin = world.who("admin").clone();
    let (reader, group_name) = (own("tests-fed-reader"), own("fed-lender"));
    let look = json!([{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]}]);
    cluster_role(&admin, &reader, look).await.unwrap();
    let ceiling = json!([
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"], "resourceNames": [reader], "verbs": ["bind", "lend-everywhere"]},
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"], "resourceNames": ["view", "oz-auditor"], "verbs": ["bind", "lend"]},
    ]);
    cluster_role(&admin, &own("tests-fed-ceiling"), ceiling).await.unwrap();
    let lender = [group(&group_name)];
    bind_everywhere(&admin, &own("tests-fed-lends-by"), &own("tests-fed-ceiling"), &lender).await.unwrap();
    bind_everywhere(&admin, &own("tests-fed-lends"), FEDERATIONS_ROLE, &lender).await.unwrap();
    let mut federates = controller_of("fed-lender");
    federates.groups.push(own(LENDER));
    world.meet("federates", admin.impersonate(federates).unwrap());
    let may =
        json!({"verb": "create", "group": "rbac.authorization.k8s.io", "resource": "clusterrolebindings"});
    support::rights::until(&admin, world.user("federates"), may, true).await.unwrap();
    let mut t = Table::new("what the controller binds in the whole cluster", &world);
    let (name, plain) = (session_name('f', LONG), session_name('n', LONG));
    let labels = world.labels();
    let own_account = [account(SESSIONS_NAMESPACE, &name)];
    let bind = |name: &str, labels: &Value, role: &str, subjects: &[Value]| {
        Call::post(EVERYWHERE, binding(name, labels, ("ClusterRole", role), subjects))
    };
    let path = format!("{EVERYWHERE}/{name}");
    for (what, name, labels, role, subjects) in [
        ("no label", &name, &json!({RUN_LABEL: run()}), &reader, own_account.to_vec()),
        ("a name of its own", &own("tests-fed-x"), &labels, &reader, own_account.to_vec()),
        ("a plain session's name", &plain, &labels, &reader, vec![account(SESSIONS_NAMESPACE, &plain)]),
        ("another account", &name, &labels, &reader, vec![account(SESSIONS_NAMESPACE, &plain)]),
        ("an account elsewhere", &name, &labels, &reader, vec![account("default", &name)]),
        ("a person", &name, &labels, &reader, vec![user("alice")]),
        ("a person of its name", &name, &labels, &reader, vec![user(&name)]),
        ("a group", &name, &labels, &reader, vec![group("system:authenticated")]),
        ("one more", &name, &labels, &reader, [&own_account[..], &[user("alice")]].concat()),
        ("a role that may be lent in namespaces", &name, &labels, &"view".to_owned(), own_account.to_vec()),
        ("a role of Oz's", &name, &labels, &"oz-auditor".to_owned(), own_account.to_vec()),
    ] {
        t.case(what, CONTROLLER, "federates", bind(name, labels, role, &subjects)).await;
    }
    t.case("a role that RBAC does not let it bind", Rbac, "federates", {
        bind(&name, &labels, "cluster-admin", &own_account)
    })
    .await;
    t.case("dry run", GUARD, "federates", bind(&name, &labels, &reader, &own_account).dry()).await;
    t.case("somebody else", GUARD, "root", bind(&name, &labels, &reader, &own_account)).await;
    t.case("without the right", Rbac, "lender", bind(&name, &labels, &reader, &own_account)).await;
    t.case("a partner's account", Allowed, "federates", bind(&name, &labels, &reader, &own_account)).await;
    let subjects = |subjects: &[Value]| Call::merge(&path, json!({"subjects": subjects}));
    t.case("then another", CONTROLLER, "federates", subjects(&[user("alice")])).await;
    t.case("the label off", CONTROLLER, "federates", {
        Call::merge(&path, json!({"metadata": {"labels": {GRANT_LABEL: null}}}))
    })
    .await;
    t.case("somebody else adds one", GUARD, "root", subjects(&[own_account[0].clone(), user("alice")])).await;
    t.case("somebody else deletes it", GUARD, "root", Call::delete(&path)).await;
    t.case("emptied", Allowed, "federates", subjects(&[])).await;
    t.case("deleted", Allowed, "federates", Call::delete(&path)).await;
    t.case(
        "what is not its own",
        CONTROLLER,
        "federates",
        Call::delete(format!("{EVERYWHERE}/cluster-admin")),
    )
    .await;

    invitations(&mut t, &world, &name).await;
    t.finish();
    world.end().await;
}

/// The binding by which a partner asks in its first namespace, which only its account gets.
async fn invitations(t: &mut Table<'_>, world: &World, name: &str) {
    let lent = world.lend_namespace(&json!({})).await;
    let labels = world.labels();
    let own_account = [account(SESSIONS_NAMESPACE, name)];
    let bind = |ns: &Namespace, name: &str, kind: &str, role: &str, subjects: &[Value]| {
        Call::post(ns.rbac("rolebindings"), binding(name, &labels, (kind, role), subjects))
    };
    let asks = |name: &str, subjects: &[Value]| bind(&lent, name, "ClusterRole", PARTNER_ROLE, subjects);
    t.case("by another name", CONTROLLER, "federates", asks("x", &own_account)).await;
    t.case("a person", CONTROLLER, "federates", asks(name, &[user("alice")])).await;
    t.case("another account", CONTROLLER, "federates", {
        asks(name, &[account(SESSIONS_NAMESPACE, &session_name('f', LONG))])
    })
    .await;
    t.case("another role of Oz's", RbacOr("oz-controller"), "federates", {
        bind(&lent, name, "ClusterRole", "oz-namespace-requester", &own_account)
    })
    .await;
    t.case("where nothing is lent as a namespace", CONTROLLER, "federates", {
        bind(&world.ns, name, "ClusterRole", PARTNER_ROLE, &own_account)
    })
    .await;
    t.case("without the right to bind it", Rbac, "lender", asks(name, &own_account)).await;
    t.case("a partner's account", Allowed, "federates", asks(name, &own_account)).await;
    lent.remove().await.unwrap();
}

/// Who writes a class hands on what partners read by.
#[tokio::test]
async fn classes_for_partners() {
    let mut world = World::new("fedclass", Cast::Uids).await;
    let admin = world.who("admin").clone();
    let rules = json!([
        {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["create", "delete"]},
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"], "resourceNames": ["admin", "view", "lent", "lent-too"], "verbs": ["bind"]},
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["rolebindings"], "verbs": ["create"]},
        {"apiGroups": ["ozaccess.io"], "resources": ["namespaceclasses"], "verbs": ["*"]},
    ]);
    let author = person(&own("fed-author"), &[]);
    cluster_role(&admin, &own("tests-fed-author"), rules).await.unwrap();
    bind_everywhere(&admin, &own("tests-fed-author"), &own("tests-fed-author"), &[user(&author.username)])
        .await
        .unwrap();
    let may = json!({"verb": "create", "group": "ozaccess.io", "resource": "namespaceclasses"});
    support::rights::until(&admin, &author, may, true).await.unwrap();
    world.meet("author", admin.impersonate(author).unwrap());
    let mut t = Table::new("classes for partners", &world);
    let post = |roles: &[&str], further: i32| {
        let terms = json!({"federation": {"further": further, "clusterRoles": roles}});
        Call::post(CLASSES, class(&format!("{}-c", world.ns.name), terms)).dry()
    };
    const NAMESPACES: Expect = Vap("oz-namespaces");
    t.case("none", Allowed, "author", post(&[], 0)).await;
    t.case("what he may hand on", Allowed, "author", post(&["view", "admin"], 100)).await;
    t.case("what he may not", NAMESPACES, "author", post(&["edit"], 0)).await;
    t.case("what he may not, second", NAMESPACES, "author", post(&["view", "edit"], 0)).await;
    t.case("... third", NAMESPACES, "author", post(&["view", "admin", "edit"], 0)).await;
    t.case("... fourth", NAMESPACES, "author", post(&["view", "admin", "lent", "edit"], 0)).await;
    t.case("four that he may", Allowed, "author", post(&["view", "admin", "lent", "lent-too"], 0)).await;
    t.case("five", Crd, "root", post(&["a", "b", "c", "d", "e"], 0)).await;
    t.case("one twice", Crd, "root", post(&["view", "view"], 0)).await;
    t.case("Oz's own", Crd, "root", post(&["oz-auditor"], 0)).await;
    t.case("101 further", Crd, "root", post(&[], 101)).await;
    t.finish();
    world.end().await;
}
