//! The controller held to its own, by its real token and with far too much RBAC: only the policies are left to refuse.

use oz_shared::names::{
    BIND_REQUESTER_ROLE, CEILING_ROLE, GRANT_LABEL, NAMESPACE_ROLE, SESSIONS_NAMESPACE, SYSTEM_NAMESPACE,
};
use serde_json::{Value, json};
use support::rights::{account, group, user};
use support::{Call, Namespace, is_served};

use crate::bodies::{binding, copy, dangling_owner, pod, role, rule, with};
use crate::lending::{LONG, give, lend, owner, session_name, sessions, sessions_rbac};
use crate::table::Expect::{Allowed, Code, Rbac, RbacOr, Vap};
use crate::table::{Expect, Table};
use crate::world::{Cast, World};

const CONTROLLER: Expect = Vap("oz-controller");
const OR_CONTROLLER: Expect = RbacOr("oz-controller");
const CONNECT: Expect = Vap("oz-connect");

/// Names that nobody else's bindings have.
const ROLE: &str = "oz-x";
const BINDING: &str = "oz-y";

#[tokio::test]
async fn controller_with_too_much() {
    let world = World::new("heldwide", Cast::Certificates).await;
    world.run_pods().await;
    let (s1, far) = (session_name('p', LONG), session_name('n', LONG));
    let mut t = Table::new("the controller with far too much RBAC", &world);
    let own_rule = rule(&[""], &["pods"], &["web-0"], &["get"]);
    give(&mut t, &world, &s1, json!([own_rule])).await;
    lend(&mut t, &world, &s1, "alice").await;
    world.controller_also("everything", "secrets").await;

    let to = |how: &str| Call::connect(world.ns.core(&format!("pods/web-0/{how}"))).query("stdout", "true");
    t.case(
        "exec with its own token",
        CONNECT,
        "ctl",
        to("exec").query("container", "main").query("command", "id"),
    )
    .await;
    t.case("attach", CONNECT, "ctl", to("attach")).await;
    t.case("port-forward", CONNECT, "ctl", to("portforward")).await;
    t.case("pods/proxy", CONNECT, "ctl", to("proxy")).await;
    pods(&mut t, &world).await;
    roles(&mut t, &world, &s1).await;
    bindings(&mut t, &world.ns, &s1, &far).await;
    secrets(&mut t, &world).await;

    world.controller_no_longer("everything", "secrets").await;
    let wide = binding(
        BINDING,
        &world.labels(),
        ("ClusterRole", "cluster-admin"),
        &[account(SESSIONS_NAMESPACE, &far)],
    );
    let made = Call::post(world.ns.rbac("rolebindings"), wide);
    t.case("without that RBAC: cluster-admin to an oz-n session", Rbac, "ctl", made).await;
    let secrets = role(ROLE, &world.labels(), json!([rule(&[""], &["secrets"], &["a"], &["get"])]));
    t.case("without that RBAC: secrets", Rbac, "ctl", Call::post(world.ns.rbac("roles"), secrets)).await;
    let mint = json!({"spec": {"expirationSeconds": 600}});
    t.case("its own rights mint nothing", CONTROLLER, "ctl", Call::post(crate::lending::mint(&s1), mint))
        .await;
    t.finish();
    world.end().await;
}

async fn pods(t: &mut Table<'_>, world: &World) {
    let pods = world.ns.core("pods");
    let on = |subresource: &str, body| Call::merge(format!("{pods}/web-0/{subresource}"), body);
    let beside =
        json!({"spec": {"ephemeralContainers": [{"name": "e", "image": "x", "imagePullPolicy": "Never"}]}});
    t.case(
        "ephemeral container in a live pod",
        CONTROLLER,
        "ctl",
        on("ephemeralcontainers", beside.clone()).dry(),
    )
    .await;
    let smaller =
        json!({"spec": {"containers": [{"name": "main", "resources": {"requests": {"cpu": "1m"}}}]}});
    if is_served(world.who("admin"), "/api/v1", "pods/resize").await.unwrap() {
        t.case("resize of a live pod", CONTROLLER, "ctl", on("resize", smaller).dry()).await;
    }
    let place = |labels: &Value| {
        let body = json!({"metadata": {"name": "web-0", "labels": labels}, "target": {"kind": "Node", "name": "n1"}});
        Call::post(format!("{pods}/web-0/binding"), body)
    };
    let its_own = json!({"spec": {"ephemeralContainers": [{"name": "oz-e", "image": "x", "imagePullPolicy": "Never"}]}});
    t.case("its own debugging container there", Allowed, "ctl", on("ephemeralcontainers", its_own).dry())
        .await;
    t.case("bind a pod to a node", CONTROLLER, "ctl", place(&json!({}))).await;
    t.case("bind a pod to a node, labelled", CONTROLLER, "ctl", place(&world.labels())).await;
    t.case("boss may add an ephemeral container", Allowed, "boss", on("ephemeralcontainers", beside).dry())
        .await;
    t.case("delete a live pod", CONTROLLER, "ctl", Call::delete(format!("{pods}/web-0"))).await;
    let labels = json!({"metadata": {"labels": world.labels()}});
    t.case("adopt a live pod", CONTROLLER, "ctl", Call::merge(format!("{pods}/web-0"), labels)).await;
    t.case("run a pod without the label", CONTROLLER, "ctl", Call::post(&pods, pod("p", &json!({})))).await;
    t.case("mint for an account of the namespace", CONTROLLER, "ctl", {
        Call::post(world.ns.core("serviceaccounts/ci/token"), json!({"spec": {"expirationSeconds": 600}}))
    })
    .await;
}

async fn roles(t: &mut Table<'_>, world: &World, s1: &str) {
    let labelled = |rules: Value| Call::post(world.ns.rbac("roles"), role(ROLE, &world.labels(), rules));
    let exec = |names: Value| json!([{"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create"], "resourceNames": names}]);
    let unnamed = json!([{"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create"]}]);
    let refused = [
        ("Role without names", unnamed.clone()),
        ("names empty", exec(json!([]))),
        ("names null", exec(Value::Null)),
        ("a name empty", exec(json!([""]))),
        ("wildcard", json!([rule(&["*"], &["*"], &["a"], &["*"])])),
        ("wildcard verb", json!([rule(&[""], &["pods/exec"], &["web-0"], &["*"])])),
        ("wildcard resource", json!([rule(&[""], &["*"], &["web-0"], &["get"])])),
        ("secrets", json!([rule(&[""], &["secrets"], &["a"], &["get"])])),
        ("delete pods", json!([rule(&[""], &["pods"], &["web-0"], &["delete"])])),
        (
            "patch ephemeral containers",
            json!([rule(&[""], &["pods/ephemeralcontainers"], &["web-0"], &["patch"])]),
        ),
        ("a group too many", json!([rule(&["", "apps"], &["pods"], &["web-0"], &["get"])])),
        ("mint outside oz-sessions", json!([rule(&["ozaccess.io"], &["sessions"], &["x/u"], &["mint"])])),
        ("a good rule and a bad one", json!([rule(&[""], &["pods"], &["web-0"], &["get"]), unnamed[0]])),
    ];
    for (what, rules) in refused {
        t.case(what, CONTROLLER, "ctl", labelled(rules)).await;
    }
    let urls = json!([{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}]);
    t.case("nonResourceURLs", Code(422), "ctl", labelled(urls)).await;
    let good = json!([rule(&[""], &["pods"], &["web-0"], &["get"])]);
    t.case(
        "no label",
        CONTROLLER,
        "ctl",
        Call::post(world.ns.rbac("roles"), role(ROLE, &json!({}), good.clone())),
    )
    .await;
    t.case("rules for a named pod", Allowed, "ctl", labelled(good)).await;
    let emptied = role("oz-x2", &world.labels(), Value::Null);
    t.case("rules null: an emptied Role", Allowed, "ctl", Call::post(world.ns.rbac("roles"), emptied)).await;

    let own = world.ns.rbac(&format!("roles/{s1}"));
    let add = json!([{"op": "add", "path": "/rules/-", "value": unnamed[0]}]);
    t.case("widen its Role", CONTROLLER, "ctl", Call::json_patch(&own, add)).await;
    let wide =
        role(s1, &world.labels(), json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]));
    t.case("widen by server-side apply", CONTROLLER, "ctl", Call::apply(&own, wide, "c").force()).await;
    let sessions_role = sessions_rbac("roles/oz-controller");
    t.case("delete an unlabelled Role", CONTROLLER, "ctl", Call::delete(&sessions_role)).await;
    t.case(
        "widen its Role in oz-sessions",
        CONTROLLER,
        "ctl",
        Call::merge(&sessions_role, json!({"rules": []})),
    )
    .await;
}

async fn bindings(t: &mut Table<'_>, ns: &Namespace, s1: &str, far: &str) {
    let labels = json!({GRANT_LABEL: "t-held", support::RUN_LABEL: support::run()});
    let session = || account(SESSIONS_NAMESPACE, s1);
    let other = || account(SESSIONS_NAMESPACE, far);
    let here = |role: (&str, &str), subjects: &[Value]| {
        Call::post(ns.rbac("rolebindings"), binding(BINDING, &labels, role, subjects))
    };
    let there = |role: &str, subjects: &[Value]| {
        Call::post(sessions_rbac("rolebindings"), binding(BINDING, &labels, ("Role", role), subjects))
    };
    let its = ("Role", s1);
    t.case("bind bob", CONTROLLER, "ctl", here(its, &[user("bob")])).await;
    t.case("bind a group", CONTROLLER, "ctl", here(its, &[group("system:authenticated")])).await;
    t.case("bind an account of the namespace", CONTROLLER, "ctl", here(its, &[account(&ns.name, "ci")]))
        .await;
    t.case("bind itself", CONTROLLER, "ctl", here(its, &[account(SYSTEM_NAMESPACE, "oz-controller")])).await;
    t.case(
        "bind a session of odd name",
        CONTROLLER,
        "ctl",
        here(its, &[account(SESSIONS_NAMESPACE, "default")]),
    )
    .await;
    t.case("a session and a stranger", CONTROLLER, "ctl", here(its, &[session(), user("bob")])).await;
    t.case("a group in oz-sessions", CONTROLLER, "ctl", there(s1, &[group("system:authenticated")])).await;
    t.case(
        "its own Role in oz-sessions to a person",
        CONTROLLER,
        "ctl",
        there("oz-controller", &[user("eve")]),
    )
    .await;
    let edit = json!({"subjects": [user("bob")]});
    let path = ns.rbac(&format!("rolebindings/{s1}"));
    t.case("edit a binding to a stranger", CONTROLLER, "ctl", Call::merge(&path, edit)).await;
    t.case(
        "cluster-admin to a pod session",
        CONTROLLER,
        "ctl",
        here(("ClusterRole", "cluster-admin"), &[session()]),
    )
    .await;
    t.case(
        "the whole ceiling to a pod session",
        CONTROLLER,
        "ctl",
        here(("ClusterRole", CEILING_ROLE), &[session()]),
    )
    .await;
    t.case(
        "the whole ceiling to an oz-n session",
        CONTROLLER,
        "ctl",
        here(("ClusterRole", CEILING_ROLE), &[other()]),
    )
    .await;
    t.case("a Role named oz-… to a pod session", CONTROLLER, "ctl", here(("Role", ROLE), &[session()])).await;
    t.case("a Role named oz-… to an oz-n session", CONTROLLER, "ctl", here(("Role", ROLE), &[other()])).await;
    t.case("another session's Role to an oz-n session", CONTROLLER, "ctl", here(its, &[other()])).await;
    t.case("its Role to it and to another session", CONTROLLER, "ctl", here(its, &[session(), other()]))
        .await;
    t.case("its Role to its session", Allowed, "ctl", here(its, &[session()])).await;
}

async fn secrets(t: &mut Table<'_>, world: &World) {
    let secret = |kind: &str| {
        let annotations = json!({"kubernetes.io/service-account.name": "ci"});
        let metadata = json!({"name": "t", "labels": world.labels(), "annotations": annotations});
        Call::post(world.ns.core("secrets"), json!({"metadata": metadata, "type": kind}))
    };
    t.case("a token Secret", CONTROLLER, "ctl", secret("kubernetes.io/service-account-token")).await;
    t.case("a Secret where nothing is lent", CONTROLLER, "ctl", secret("Opaque")).await;
    let quota = |name: &str, labels: Value| {
        let body =
            json!({"metadata": {"name": name, "labels": labels}, "spec": {"hard": {"configmaps": "99"}}});
        Call::post(world.ns.core("resourcequotas"), body)
    };
    t.case("a quota without the label", CONTROLLER, "ctl", quota("q", json!({}))).await;
    t.case("a quota where nothing is lent", CONTROLLER, "ctl", quota("q", world.labels())).await;
    let limits = json!({"metadata": {"name": "l"}, "spec": {"limits": []}});
    t.case("limits without the label", CONTROLLER, "ctl", Call::post(world.ns.core("limitranges"), limits))
        .await;
    t.case("an account without the label", CONTROLLER, "ctl", {
        Call::post(world.ns.core("serviceaccounts"), json!({"metadata": {"name": "x"}}))
    })
    .await;
}

/// With `bind` on everything besides: RBAC lets it bind what it does not hold, and only the policy is left.
#[tokio::test]
async fn controller_with_bind() {
    let world = World::new("heldbind", Cast::Certificates).await;
    let mut t = Table::new("the controller with cluster-admin in a namespace", &world);
    let (s1, far) = (session_name('p', LONG), session_name('n', LONG));
    give(&mut t, &world, &s1, json!([rule(&[""], &["pods"], &["web-0"], &["get"])])).await;
    world
        .ns
        .bind("far-too-wide", "cluster-admin", &[account(SYSTEM_NAMESPACE, "oz-controller")])
        .await
        .unwrap();
    world.until_may("ctl", "create", "", "secrets", true).await;
    let bound = |role: &str, session: &str| {
        let subject = [account(SESSIONS_NAMESPACE, session)];
        Call::post(
            world.ns.rbac("rolebindings"),
            binding("oz-v", &world.labels(), ("ClusterRole", role), &subject),
        )
    };
    t.case("cluster-admin to a pod session", CONTROLLER, "ctl", bound("cluster-admin", &s1)).await;
    for name in [
        "oz-controller",
        "oz-requester",
        "oz-namespace-approver",
        "oz-author",
        "oz-controller-bind-requester",
    ] {
        t.case(&format!("{name} to an oz-n session"), CONTROLLER, "ctl", bound(name, &far)).await;
    }
    t.case("view to an oz-n session", Allowed, "ctl", bound("view", &far)).await;
    let labelled = |rules: Value| Call::post(world.ns.rbac("roles"), role(ROLE, &world.labels(), rules));
    t.case("wildcard", CONTROLLER, "ctl", labelled(json!([rule(&["*"], &["*"], &["a"], &["*"])]))).await;
    let mint = json!([rule(&["ozaccess.io"], &["sessions"], &["x/u"], &["mint"])]);
    t.case("mint outside oz-sessions", CONTROLLER, "ctl", labelled(mint)).await;
    t.case("a template of its own", Allowed, "boss", {
        let spec = json!({"exec": crate::bodies::exec(&["exec"])});
        Call::post(world.templates(), crate::bodies::template("web", spec)).dry()
    })
    .await;
    t.finish();
    world.end().await;
}

/// Has the namespace opt in to people bound by name.
async fn opt_in(world: &World) {
    let controller = [account(SYSTEM_NAMESPACE, "oz-controller")];
    world.ns.bind("people", BIND_REQUESTER_ROLE, &controller).await.unwrap();
    world.until_may("ctl", "bind-requester", "ozaccess.io", "accesstemplates", true).await;
}

/// With the rights of the manifests, and with binding people where a namespace opted in to that.
#[tokio::test]
async fn controller_as_shipped() {
    let world = World::new("held", Cast::Certificates).await;
    world.run_pods().await;
    let mut t = Table::new("the controller as shipped", &world);
    let s1 = session_name('p', LONG);
    give(&mut t, &world, &s1, json!([rule(&[""], &["pods"], &["web-0"], &["get"])])).await;
    lend(&mut t, &world, &s1, "alice").await;
    let labels = world.labels();
    let person = |name: &str, who: &str| {
        Call::post(world.ns.rbac("rolebindings"), binding(name, &labels, ("Role", &s1), &[user(who)]))
    };
    t.case("bind a person where nobody opted in", CONTROLLER, "ctl", person("oz-z", "bob")).await;
    opt_in(&world).await;
    t.case("bind a person where opted in", Allowed, "ctl", person("oz-z", "bob")).await;
    t.case("... an account by its user name", Allowed, "ctl", person("oz-z3", "system:serviceaccount:a:b"))
        .await;
    t.case("... never system:kube-…", CONTROLLER, "ctl", person("oz-z2", "system:kube-scheduler")).await;

    let of = |name: &str| world.ns.rbac(&format!("rolebindings/{name}"));
    t.case("touch a stranger's binding", CONTROLLER, "ctl", Call::delete(of("dave"))).await;
    // RBAC's escalation check comes before any policy: it holds less than dave's binding gives.
    t.case(
        "adopt it by label",
        OR_CONTROLLER,
        "ctl",
        Call::merge(of("dave"), json!({"metadata": {"labels": labels}})),
    )
    .await;
    t.case(
        "adopt one whose rights it holds",
        CONTROLLER,
        "ctl",
        Call::merge(of("ceiling"), json!({"metadata": {"labels": labels}})),
    )
    .await;
    t.case(
        "unlabel its own",
        CONTROLLER,
        "ctl",
        Call::merge(of(&s1), json!({"metadata": {"labels": {GRANT_LABEL: null}}})),
    )
    .await;
    t.case("delete a live pod", CONTROLLER, "ctl", Call::delete(world.ns.core("pods/web-0"))).await;
    t.case("run a pod", CONTROLLER, "ctl", Call::post(world.ns.core("pods"), pod("p", &labels))).await;
    let label = json!({"metadata": {"labels": labels}});
    t.case("adopt a live pod", Rbac, "ctl", Call::merge(world.ns.core("pods/web-0"), label)).await;
    t.case("read Secrets", Rbac, "ctl", Call::get(world.ns.core("secrets"))).await;
    t.case("exec", CONNECT, "ctl", {
        Call::connect(world.ns.core("pods/web-0/exec"))
            .query("container", "main")
            .query("command", "id")
            .query("stdout", "true")
    })
    .await;
    let eviction = json!({"metadata": {"name": "web-0"}});
    t.case(
        "evict a live pod (template may say so)",
        Allowed,
        "ctl",
        Call::post(world.ns.core("pods/web-0/eviction"), eviction).dry(),
    )
    .await;
    t.case("empty a binding", Allowed, "ctl", Call::merge(of(&s1), json!({"subjects": null}))).await;
    t.case("... then delete it", Allowed, "ctl", Call::delete(of(&s1))).await;
    t.case("delete the account", Allowed, "ctl", Call::delete(sessions(&format!("serviceaccounts/{s1}"))))
        .await;
    t.case(
        "collector deletes a labelled Role",
        Allowed,
        "gc",
        Call::delete(world.ns.rbac(&format!("roles/{s1}"))),
    )
    .await;

    let policy =
        |name: &str| format!("/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/{name}");
    t.case("controller reads policies", Allowed, "ctl", Call::get(policy("oz-guard"))).await;
    t.case("controller deletes policies", Rbac, "ctl", Call::delete(policy("oz-guard"))).await;
    let ceiling = format!("/apis/rbac.authorization.k8s.io/v1/clusterroles/{CEILING_ROLE}");
    t.case("controller changes the ceiling", Rbac, "ctl", Call::merge(ceiling, json!({"rules": []}))).await;
    let accounts = |labels: &Value| {
        Call::post(sessions("serviceaccounts"), json!({"metadata": {"name": "x", "labels": labels}}))
    };
    t.case("an account without the label", CONTROLLER, "ctl", accounts(&json!({}))).await;
    t.case(
        "delete the default account of oz-sessions",
        CONTROLLER,
        "ctl",
        Call::delete(sessions("serviceaccounts/default")),
    )
    .await;
    t.finish();
    world.end().await;
}

/// The pods that it makes: a grant's, and ending by themselves. Real ones, since the guard refuses its dry runs.
#[tokio::test]
async fn controller_makes_copies() {
    let world = World::new("heldcopies", Cast::Certificates).await;
    world.run_pods().await;
    let owner = owner(&world).await;
    let mut t = Table::new("the controller makes copies", &world);
    let (pods, labels) = (world.ns.core("pods"), world.labels());
    let make = |changes: Value| Call::post(&pods, with(copy("copy", &labels, &owner), &changes));
    let owned =
        |changes: Value| make(json!({"metadata": {"ownerReferences": [with(owner.clone(), &changes)]}}));
    let spec = |changes: Value| make(json!({"spec": changes}));
    let refused = [
        ("no owner", make(json!({"metadata": {"ownerReferences": null}}))),
        ("a foreign owner", make(json!({"metadata": {"ownerReferences": dangling_owner()}}))),
        ("a grant as mere owner", owned(json!({"controller": null}))),
        ("a grant as no controller", owned(json!({"controller": false}))),
        ("another grant's", owned(json!({"name": "another"}))),
        ("a request's", owned(json!({"kind": "AccessRequest"}))),
        ("a Grant of another group", owned(json!({"apiVersion": "example.org/v1"}))),
        ("a Grant of a group of like name", owned(json!({"apiVersion": "ozaccess.io.example.org/v1"}))),
        ("another grant's label", make(json!({"metadata": {"labels": {GRANT_LABEL: "another"}}}))),
        ("an empty label", make(json!({"metadata": {"labels": {GRANT_LABEL: ""}}}))),
        ("no label", make(json!({"metadata": {"labels": {GRANT_LABEL: null}}}))),
        ("no labels", make(json!({"metadata": {"labels": null}}))),
        ("no deadline", spec(json!({"activeDeadlineSeconds": null}))),
        ("a deadline beyond ten years", spec(json!({"activeDeadlineSeconds": 315_360_001}))),
        ("two seconds to end", spec(json!({"terminationGracePeriodSeconds": 2}))),
        ("the usual time to end", spec(json!({"terminationGracePeriodSeconds": null}))),
    ];
    for (what, call) in refused {
        t.case(&format!("a copy with {what}"), CONTROLLER, "ctl", call).await;
    }
    let named = |name: &str| json!({"metadata": {"name": name}});
    t.case("a copy", Allowed, "ctl", make(json!({}))).await;
    let longest = with(named("longest"), &json!({"spec": {"activeDeadlineSeconds": 315_360_000}}));
    t.case("a copy for ten years", Allowed, "ctl", make(longest)).await;
    let at_once = with(named("at-once"), &json!({"spec": {"terminationGracePeriodSeconds": 0}}));
    t.case("a copy that ends at once", Allowed, "ctl", make(at_once)).await;
    let two = json!({"metadata": {"ownerReferences": [dangling_owner()[0], owner]}});
    t.case("a copy of two owners", CONTROLLER, "ctl", make(with(named("two"), &two))).await;

    let path = format!("{pods}/copy");
    t.case(
        "change a copy",
        Rbac,
        "ctl",
        Call::merge(&path, json!({"metadata": {"annotations": {"a": "b"}}})),
    )
    .await;
    t.case("delete a copy", Allowed, "ctl", Call::delete(&path)).await;
    t.case("delete a live pod", CONTROLLER, "ctl", Call::delete(format!("{pods}/web-0"))).await;
    t.case("delete all pods", Rbac, "ctl", Call::delete(&pods)).await;
    t.finish();
    world.end().await;
}

/// The containers that it puts into live pods: of its own name, without Secrets and volumes, and never in a copy.
#[tokio::test]
async fn controller_adds_debugging_containers() {
    let world = World::new("helddebug", Cast::Certificates).await;
    let owner = owner(&world).await;
    let pods = world.ns.core("pods");
    // Volumes of both kinds; the claim is nobody's, so that the pod never starts.
    let volumes =
        json!([{"name": "v", "emptyDir": {}}, {"name": "d", "persistentVolumeClaim": {"claimName": "none"}}]);
    let body = with(pod("web-0", &json!({})), &json!({"spec": {"volumes": volumes}}));
    world.must("admin", Call::post(&pods, body)).await;
    world.must("ctl", Call::post(&pods, copy("copy", &world.labels(), &owner))).await;
    let mut t = Table::new("the controller adds debugging containers", &world);
    let container = |changes: Value| {
        let own = json!({"name": "oz-a1", "image": "localhost/busybox:1", "imagePullPolicy": "Never",
            "command": ["sleep", "60"]});
        with(own, &changes)
    };
    let put = |pod: &str, list: &[Value]| {
        let beside = json!({"spec": {"ephemeralContainers": list}});
        Call::merge(format!("{pods}/{pod}/ephemeralcontainers"), beside)
    };
    let add = |changes: Value| put("web-0", &[container(changes)]).dry();
    let from =
        |source: Value| json!({"env": [{"name": "A", "value": "b"}, {"name": "B", "valueFrom": source}]});
    let refused = [
        ("a foreign name", json!({"name": "debugger"})),
        ("a name that begins otherwise", json!({"name": "x-oz-a1"})),
        ("a name of three parts", json!({"name": "oz-a1-b"})),
        ("the name of no container of Oz's", json!({"name": "oz"})),
        ("a Secret as environment", json!({"envFrom": [{"secretRef": {"name": "s"}}]})),
        ("a ConfigMap as environment", json!({"envFrom": [{"configMapRef": {"name": "c"}}]})),
        ("a variable of a Secret", from(json!({"secretKeyRef": {"name": "s", "key": "k"}}))),
        ("a variable of a ConfigMap", from(json!({"configMapKeyRef": {"name": "c", "key": "k"}}))),
        ("a variable of the pod", from(json!({"fieldRef": {"fieldPath": "metadata.name"}}))),
        ("a mount", json!({"volumeMounts": [{"name": "v", "mountPath": "/v"}]})),
        ("a device", json!({"volumeDevices": [{"name": "d", "devicePath": "/dev/d"}]})),
    ];
    for (what, changes) in refused {
        t.case(&format!("one with {what}"), CONTROLLER, "ctl", add(changes.clone())).await;
        t.case(&format!("  which boss may add: {what}"), Allowed, "boss", add(changes)).await;
    }
    t.case("its own", Allowed, "ctl", add(json!({}))).await;
    let plain = json!({"env": [{"name": "A", "value": "b"}, {"name": "B"}], "stdin": true, "tty": true,
        "targetContainerName": "main", "securityContext": {"capabilities": {"add": ["SYS_PTRACE"]}}});
    t.case("its own, to attach to, with plain variables", Allowed, "ctl", add(plain)).await;
    let good = container(json!({}));
    let foreign = container(json!({"name": "debugger"}));
    let two = put("web-0", &[good.clone(), foreign.clone()]).dry();
    t.case("its own and a foreign one", CONTROLLER, "ctl", two).await;
    t.case("its own in a copy", CONTROLLER, "ctl", put("copy", std::slice::from_ref(&good))).await;
    t.case("nothing in a copy", CONTROLLER, "ctl", put("copy", &[])).await;

    // What stands there already is not its doing.
    t.case("boss adds a foreign one", Allowed, "boss", put("web-0", std::slice::from_ref(&foreign))).await;
    let stands = world.must("admin", Call::get(format!("{pods}/web-0"))).await;
    let stands = stands["spec"]["ephemeralContainers"][0].clone();
    t.case("its own beside that", Allowed, "ctl", put("web-0", &[stands.clone(), good])).await;
    let last = world.must("admin", Call::get(format!("{pods}/web-0"))).await;
    let kept = last["spec"]["ephemeralContainers"].as_array().cloned().unwrap_or_default();
    let another = |name: &str| [&kept[..], &[container(json!({"name": name}))]].concat();
    t.case("another of its own", Allowed, "ctl", put("web-0", &another("oz-b2")).dry()).await;
    t.case("another foreign one", CONTROLLER, "ctl", put("web-0", &another("other")).dry()).await;
    t.case("take its own out", Code(422), "ctl", put("web-0", &[stands])).await;

    let on = |subresource: &str, body| Call::merge(format!("{pods}/web-0/{subresource}"), body).dry();
    let smaller =
        json!({"spec": {"containers": [{"name": "main", "resources": {"requests": {"cpu": "1m"}}}]}});
    t.case("resize", Rbac, "ctl", on("resize", smaller)).await;
    t.case("status", Rbac, "ctl", on("status", json!({"status": {"message": "x"}}))).await;
    let place = json!({"metadata": {"name": "web-0"}, "target": {"kind": "Node", "name": "n1"}});
    t.case("bind to a node", Rbac, "ctl", Call::post(format!("{pods}/web-0/binding"), place).dry()).await;
    t.finish();
    world.end().await;
}

/// The roles of others that it binds: to oz-n sessions, to people where that was opted in, as far as RBAC lets it bind.
#[tokio::test]
async fn controller_binds_roles() {
    let world = World::new("heldroles", Cast::Certificates).await;
    let mut t = Table::new("the controller binds roles", &world);
    let (s1, far) = (session_name('p', LONG), session_name('n', LONG));
    let rules = json!([rule(&[""], &["pods"], &["web-0"], &["get"])]);
    give(&mut t, &world, &s1, rules.clone()).await;
    give(&mut t, &world, &far, rules).await;
    // Wider than what it holds itself: Roles of the namespace it binds by the verb `bind`.
    let wide = role("team", &json!({}), json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]));
    world.must("admin", Call::post(world.ns.rbac("roles"), wide)).await;
    let labels = world.labels();
    let session = |name: &str| account(SESSIONS_NAMESPACE, name);
    let bind = |name: &str, kind: &str, role: &str, subjects: &[Value]| {
        Call::post(world.ns.rbac("rolebindings"), binding(name, &labels, (kind, role), subjects))
    };
    let try_one = |kind: &str, role: &str, subjects: &[Value]| bind("oz-t", kind, role, subjects);

    t.case("view to an oz-n session", Allowed, "ctl", bind("oz-1", "ClusterRole", "view", &[session(&far)]))
        .await;
    t.case("a Role to an oz-n session", Allowed, "ctl", bind("oz-2", "Role", "team", &[session(&far)])).await;
    t.case("its own Role to it", Allowed, "ctl", bind("oz-3", "Role", &far, &[session(&far)])).await;
    t.case("edit to it", OR_CONTROLLER, "ctl", try_one("ClusterRole", "edit", &[session(&far)])).await;
    t.case("cluster-admin to it", Rbac, "ctl", try_one("ClusterRole", "cluster-admin", &[session(&far)]))
        .await;
    t.case("another session's Role to it", CONTROLLER, "ctl", try_one("Role", &s1, &[session(&far)])).await;
    for name in [CEILING_ROLE, NAMESPACE_ROLE, "oz-ceiling-exec", "oz-ceiling-roles"] {
        t.case(&format!("{name} to it"), CONTROLLER, "ctl", try_one("ClusterRole", name, &[session(&far)]))
            .await;
    }
    t.case("oz-requester to it", Rbac, "ctl", try_one("ClusterRole", "oz-requester", &[session(&far)])).await;
    t.case("view to an oz-p session", CONTROLLER, "ctl", try_one("ClusterRole", "view", &[session(&s1)]))
        .await;
    t.case("a Role to an oz-p session", CONTROLLER, "ctl", try_one("Role", "team", &[session(&s1)])).await;
    let both = [session(&far), session(&s1)];
    t.case("view to both", CONTROLLER, "ctl", try_one("ClusterRole", "view", &both)).await;
    t.case("view to a group", CONTROLLER, "ctl", try_one("ClusterRole", "view", &[group("leads")])).await;
    let ci = account(&world.ns.name, "ci");
    t.case("view to an account of the namespace", CONTROLLER, "ctl", try_one("ClusterRole", "view", &[ci]))
        .await;
    t.case("view to itself", CONTROLLER, "ctl", {
        try_one("ClusterRole", "view", &[account(SYSTEM_NAMESPACE, "oz-controller")])
    })
    .await;
    let alice = || [user("alice")];
    t.case("view to alice", CONTROLLER, "ctl", try_one("ClusterRole", "view", &alice())).await;
    t.case("a Role to alice", CONTROLLER, "ctl", try_one("Role", "team", &alice())).await;
    let path = world.ns.rbac("rolebindings/oz-1");
    let swap = Call::merge(&path, json!({"subjects": alice()}));
    t.case("alice in the session's place", CONTROLLER, "ctl", swap).await;

    opt_in(&world).await;
    t.case("opted in: view to alice", Allowed, "ctl", bind("oz-4", "ClusterRole", "view", &alice())).await;
    t.case("opted in: a Role to alice", Allowed, "ctl", bind("oz-5", "Role", "team", &alice())).await;
    t.case("opted in: edit to alice", OR_CONTROLLER, "ctl", try_one("ClusterRole", "edit", &alice())).await;
    t.case(
        "opted in: the ceiling to alice",
        CONTROLLER,
        "ctl",
        try_one("ClusterRole", CEILING_ROLE, &alice()),
    )
    .await;
    t.case("opted in: a Role named oz-… to alice", CONTROLLER, "ctl", try_one("Role", ROLE, &alice())).await;
    t.case("opted in: view to a group", CONTROLLER, "ctl", try_one("ClusterRole", "view", &[group("leads")]))
        .await;
    let scheduler = [user("system:kube-scheduler")];
    t.case("opted in: view to system:…", CONTROLLER, "ctl", try_one("ClusterRole", "view", &scheduler)).await;
    t.case("opted in: view to an oz-p session", CONTROLLER, "ctl", {
        try_one("ClusterRole", "view", &[session(&s1)])
    })
    .await;

    let there = |kind: &str, role: &str| {
        Call::post(sessions_rbac("rolebindings"), binding(BINDING, &labels, (kind, role), &alice()))
    };
    t.case("in oz-sessions, a Role of any name", CONTROLLER, "ctl", there("Role", "team")).await;
    t.case("in oz-sessions, a Role named oz-…", CONTROLLER, "ctl", there("Role", "oz-controller")).await;
    t.case("in oz-sessions, a Role of almost a session's name", CONTROLLER, "ctl", {
        there("Role", &format!("{s1}-y"))
    })
    .await;
    t.case("in oz-sessions, view", OR_CONTROLLER, "ctl", there("ClusterRole", "view")).await;
    t.finish();
    world.end().await;
}
