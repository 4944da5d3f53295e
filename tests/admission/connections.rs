//! Connections of a session that is bound to pods, by its real token: what was lent, and nothing beside it.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, AttachParams};
use oz_shared::exec::command_name;
use oz_shared::names::SESSIONS_NAMESPACE;
use serde_json::json;
use support::rights::account;
use support::{Answer, Call};
use tokio::io::AsyncReadExt as _;

use crate::bodies::{binding, rule};
use crate::lending::{LONG, enter, give, lend, session_name};
use crate::table::Expect::{Allowed, Code, Rbac, Vap};
use crate::table::{Expect, Table};
use crate::world::{Cast, World};

const CONNECT: Expect = Vap("oz-connect");

/// A case's connection, from its parts.
struct To<'a> {
    world: &'a World,
    pod: &'a str,
}

impl To<'_> {
    fn call(&self, how: &str) -> Call {
        Call::connect(self.world.ns.core(&format!("pods/{}/{how}", self.pod)))
    }

    fn exec(&self, containers: &[&str], command: &[&str]) -> Call {
        let named = containers
            .iter()
            .fold(self.call("exec").query("stdout", "true"), |call, c| call.query("container", c));
        command.iter().fold(named, |call, word| call.query("command", word))
    }

    fn attach(&self, container: &str) -> Call {
        self.call("attach").query("stdout", "true").query("container", container)
    }
}

/// The session: `web-0` by two commands in `main`, and port-forward; `web-1` by any command in `side`, and attach there.
async fn session(world: &mut World) -> String {
    world.run_pods().await;
    let s1 = session_name('p', LONG);
    let mut t = Table::new("a session for pods", world);
    lend(&mut t, world, &s1, "alice").await;
    let sh = command_name(&["sh", "-c", "id", "x"].map(str::to_owned));
    let umlaut = command_name(&["echo", "ä,1"].map(str::to_owned));
    let names =
        ["web-0/main/2:id", &format!("web-0/main/{sh}"), &format!("web-0/main/{umlaut}"), "web-1/side/*"];
    let rules = json!([
        rule(
            &[""],
            &["pods/exec", "pods/attach", "pods/portforward"],
            &["web-0", "web-1"],
            &["get", "create"]
        ),
        rule(&[""], &["pods"], &["web-0"], &["get", "list", "watch"]),
        rule(&["ozaccess.io"], &["connections"], &names, &["exec"]),
        rule(&["ozaccess.io"], &["connections"], &["web-1/side/*"], &["attach"]),
        rule(&["ozaccess.io"], &["connections"], &["web-0/*/*"], &["portforward"]),
    ]);
    give(&mut t, world, &s1, rules).await;
    t.finish();
    let identity = enter(world, &s1, "alice").await;
    world.meet("s1", identity);
    world.until_may("s1", "get", "", "pods/exec", false).await;
    let named = json!({"namespace": world.ns.name, "verb": "get", "resource": "pods", "subresource": "exec", "name": "web-0"});
    support::rights::until(world.who("admin"), world.user("s1"), named, true).await.unwrap();
    s1
}

#[tokio::test]
async fn connections_by_certificates() {
    connections(Cast::Certificates).await;
}

#[tokio::test]
async fn connections_by_uids() {
    connections(Cast::Uids).await;
}

/// Streams that carry something: a real websocket to a real container.
#[tokio::test]
async fn connections_carry() {
    let mut world = World::new("streams", Cast::Certificates).await;
    session(&mut world).await;
    let path = world.ns.core("pods/web-0");
    let limit = Duration::from_secs(60);
    support::eventually("web-0 runs", limit, || async {
        let answer = world.who("admin").call(Call::get(&path)).await.map_err(|error| error.to_string())?;
        if answer.body["status"]["phase"] == "Running" {
            Ok(())
        } else {
            Err(answer.body["status"].to_string())
        }
    })
    .await
    .unwrap();
    let mut t = Table::new("streams", &world);
    let pods: Api<Pod> = Api::namespaced(world.who("s1").client(), &world.ns.name);
    let params = AttachParams::default().container("main").stdin(false).stdout(true).stderr(false);

    let mut process = pods.exec("web-0", ["echo", "ä,1"], &params).await.unwrap();
    let status = process.take_status().unwrap();
    let mut output = String::new();
    process.stdout().unwrap().read_to_string(&mut output).await.unwrap();
    t.fact("its command runs", output == "ä,1\n", &format!("{output:?}"));
    let status = status.await;
    t.fact(
        "and succeeds",
        status.as_ref().is_some_and(|s| s.status.as_deref() == Some("Success")),
        &format!("{status:?}"),
    );
    process.join().await.unwrap();

    let refused = |error: Option<kube::Error>| match error {
        Some(kube::Error::Api(status)) => (status.message.contains("oz-connect"), status.message),
        other => (false, format!("{other:?}")),
    };
    let (by_policy, seen) = refused(pods.exec("web-0", ["ls"], &params).await.err());
    t.fact("another command does not", by_policy, &seen);
    let (by_policy, seen) = refused(pods.attach("web-0", &params).await.err());
    t.fact("attach does not", by_policy, &seen);
    let forwarder = pods.portforward("web-0", &[80]).await;
    t.fact("port-forward opens", forwarder.is_ok(), &format!("{:?}", forwarder.as_ref().err()));
    drop(forwarder);
    let (by_policy, seen) = refused(pods.portforward("web-1", &[80]).await.err());
    t.fact("port-forward to another pod does not", by_policy, &seen);
    t.finish();
    world.end().await;
}

/// RBAC alone holds a session that is bound to what others wrote.
#[tokio::test]
async fn connections_of_roles() {
    let mut world = World::new("roles", Cast::Certificates).await;
    world.run_pods().await;
    let mut t = Table::new("connections of an oz-n session", &world);
    let far = session_name('n', LONG);
    lend(&mut t, &world, &far, "alice").await;
    let view = binding(&far, &world.labels(), ("ClusterRole", "view"), &[account(SESSIONS_NAMESPACE, &far)]);
    t.case("view is lent to it", Allowed, "ctl", Call::post(world.ns.rbac("rolebindings"), view)).await;
    t.finish();
    let session = enter(&world, &far, "alice").await;
    world.meet("far", session);
    world.until_may("far", "list", "", "pods", true).await;
    let mut t = Table::new("connections of an oz-n session", &world);
    let to = |pod| To { world: &world, pod };
    let web = to("web-0");
    t.case("reads pods", Allowed, "far", Call::get(world.ns.core("pods"))).await;
    t.case("reads Secrets", Rbac, "far", Call::get(world.ns.core("secrets"))).await;
    t.case("exec, without RBAC", Rbac, "far", web.exec(&["main"], &["id"])).await;
    t.case("attach, without RBAC", Rbac, "far", web.attach("main")).await;
    world.ns.bind("wide", "edit", &[account(SESSIONS_NAMESPACE, &far)]).await.unwrap();
    world.until_may("far", "create", "", "pods/exec", true).await;
    t.case("exec of any command", Allowed, "far", web.exec(&["main"], &["rm", "-rf", "/"])).await;
    t.case("in another pod", Allowed, "far", to("web-1").exec(&[], &["id"])).await;
    t.case("attach", Allowed, "far", web.attach("main")).await;
    t.case("port-forward", Allowed, "far", web.call("portforward").query("ports", "80")).await;
    t.case("exec in another namespace", Rbac, "far", {
        Call::connect("/api/v1/namespaces/default/pods/web-0/exec").query("command", "id")
    })
    .await;
    t.finish();
    world.end().await;
}

/// A session that was lent a debugging container: RBAC lets it into both pods, and the gate to that container alone.
#[tokio::test]
async fn connections_to_a_debugging_container() {
    let mut world = World::new("beside", Cast::Certificates).await;
    world.run_pods().await;
    let mut t = Table::new("connections to a debugging container", &world);
    let s1 = session_name('p', LONG);
    lend(&mut t, &world, &s1, "alice").await;
    let ways = ["pods/exec", "pods/attach", "pods/portforward"];
    let rules = json!([
        rule(&[""], &ways, &["web-0", "web-1"], &["get", "create"]),
        rule(&["ozaccess.io"], &["connections"], &["web-0/oz-a1/*"], &["attach"]),
    ]);
    give(&mut t, &world, &s1, rules).await;
    t.finish();
    let session = enter(&world, &s1, "alice").await;
    world.meet("s1", session);
    let named = json!({"namespace": world.ns.name, "verb": "get", "resource": "pods", "subresource": "attach", "name": "web-0"});
    support::rights::until(world.who("admin"), world.user("s1"), named, true).await.unwrap();
    let mut t = Table::new("connections to a debugging container", &world);
    let to = |pod| To { world: &world, pod };
    let web = to("web-0");
    t.case("attach to it", Allowed, "s1", web.attach("oz-a1")).await;
    let post = Call::connect_by_post(world.ns.core("pods/web-0/attach"));
    t.case("by POST", Allowed, "s1", post.query("stdin", "true").query("container", "oz-a1")).await;
    for container in ["main", "", "oz-a", "oz-a11", "*", "oz-a1/*", "oz-a1/"] {
        t.case(&format!("attach to {container:?}"), CONNECT, "s1", web.attach(container)).await;
    }
    t.case("attach to no container", CONNECT, "s1", web.call("attach").query("stdout", "true")).await;
    t.case("attach to it in another pod", CONNECT, "s1", to("web-1").attach("oz-a1")).await;
    t.case("exec in it", CONNECT, "s1", web.exec(&["oz-a1"], &["id"])).await;
    t.case("exec of nothing in it", CONNECT, "s1", web.exec(&["oz-a1"], &[])).await;
    t.case("exec of a star in it", CONNECT, "s1", web.exec(&["oz-a1"], &["*"])).await;
    t.case("port-forward", CONNECT, "s1", web.call("portforward").query("ports", "80")).await;
    t.case("its log", Rbac, "s1", Call::get(world.ns.core("pods/web-0/log"))).await;
    t.case("another debugging container", Rbac, "s1", {
        let beside = json!({"spec": {"ephemeralContainers": [{"name": "oz-b1", "image": "x"}]}});
        Call::merge(world.ns.core("pods/web-0/ephemeralcontainers"), beside)
    })
    .await;
    t.finish();
    world.end().await;
}

async fn connections(cast: Cast) {
    let mut world = World::new("connect", cast).await;
    let s1 = session(&mut world).await;
    let mut t = Table::new("connections", &world);
    let to = |pod| To { world: &world, pod };
    let web = to("web-0");
    let main = |command: &[&str]| web.exec(&["main"], command);
    t.case("its command", Allowed, "s1", main(&["id"])).await;
    let post = Call::connect_by_post(world.ns.core("pods/web-0/exec"));
    let post = post.query("stdout", "true").query("container", "main").query("command", "id");
    t.case("by POST", Allowed, "s1", post).await;
    t.case("its other command", Allowed, "s1", main(&["sh", "-c", "id", "x"])).await;
    t.case("a command of many bytes a character", Allowed, "s1", main(&["echo", "ä,1"])).await;
    t.case("another command", CONNECT, "s1", main(&["ls"])).await;
    t.case("more arguments", CONNECT, "s1", main(&["id", "-u"])).await;
    t.case("fewer arguments", CONNECT, "s1", main(&["sh", "-c", "id"])).await;
    t.case("no command", CONNECT, "s1", main(&[])).await;
    let in_container = |containers: &[&str]| web.exec(containers, &["id"]);
    t.case("another container", CONNECT, "s1", in_container(&["other"])).await;
    t.case("no container", CONNECT, "s1", in_container(&[])).await;
    t.case("two containers, first counts", CONNECT, "s1", in_container(&["other", "main"])).await;
    t.case("separator inside an argument", CONNECT, "s1", main(&["sh,2:-c,2:id,1:x"])).await;
    t.case("length inside an argument", CONNECT, "s1", main(&["id,0:"])).await;
    t.case("star as command", CONNECT, "s1", main(&["*"])).await;
    t.case("star as container", CONNECT, "s1", in_container(&["*"])).await;
    t.case("slash in container", CONNECT, "s1", web.exec(&["main/2:id"], &[""])).await;
    t.case("container \"main/*\"", CONNECT, "s1", web.exec(&["main/*"], &["ls"])).await;
    let one = to("web-1");
    t.case("any command where so lent", Allowed, "s1", one.exec(&["side"], &["rm", "-rf", "/"])).await;
    t.case("other container there", CONNECT, "s1", one.exec(&["main"], &["id"])).await;
    t.case("attach where it was lent", Allowed, "s1", one.attach("side")).await;
    t.case("attach to another container there", CONNECT, "s1", one.attach("main")).await;
    t.case("attach was not lent", CONNECT, "s1", web.attach("main")).await;
    t.case("port-forward was", Allowed, "s1", web.call("portforward").query("ports", "80")).await;
    t.case("port-forward with container=", Allowed, "s1", web.call("portforward").query("container", "zz"))
        .await;
    t.case("port-forward to web-1", CONNECT, "s1", one.call("portforward")).await;
    t.case("another pod", Rbac, "s1", to("web-2").exec(&["main"], &["id"])).await;
    t.case("pods/proxy", Rbac, "s1", web.call("proxy")).await;
    t.case("pods/log", Rbac, "s1", Call::get(world.ns.core("pods/web-0/log"))).await;
    t.case("reads its pod", Allowed, "s1", Call::get(world.ns.core("pods/web-0"))).await;
    t.case("reads another pod", Rbac, "s1", Call::get(world.ns.core("pods/web-1"))).await;
    t.case("reads Secrets", Rbac, "s1", Call::get(world.ns.core("secrets"))).await;

    world.ns.bind("stray", "cluster-admin", &[account(SESSIONS_NAMESPACE, &s1)]).await.unwrap();
    world.until_may("s1", "get", "", "pods/proxy", true).await;
    t.case("pods/proxy even with a stray wide binding", CONNECT, "s1", web.call("proxy")).await;
    let services = Call::connect(world.ns.core("services/x/proxy"));
    t.case("services/proxy likewise", CONNECT, "s1", services).await;
    let everywhere = crate::setup::own("tests-stray-nodes");
    let nodes = json!([{"apiGroups": [""], "resources": ["nodes/proxy"], "verbs": ["get"]}]);
    if cast == Cast::Certificates {
        let admin = world.who("admin");
        support::rights::cluster_role(admin, &everywhere, nodes).await.unwrap();
        let subject = [account(SESSIONS_NAMESPACE, &s1)];
        support::rights::bind_everywhere(admin, &everywhere, &everywhere, &subject).await.unwrap();
        let proxy = json!({"verb": "get", "resource": "nodes", "subresource": "proxy", "name": "n1"});
        support::rights::until(admin, world.user("s1"), proxy, true).await.unwrap();
        t.case("nodes/proxy likewise", CONNECT, "s1", Call::connect("/api/v1/nodes/n1/proxy/pods")).await;
    }
    let stray = Call::delete(world.ns.rbac("rolebindings/stray"));
    t.case("  the stray binding goes", Allowed, "admin", stray).await;
    t.case("dave (not a session) execs as he likes", Allowed, "dave", main(&["ls"])).await;
    t.case("carol (no rights)", Rbac, "carol", main(&["id"])).await;
    t.case("alice by her own name", Rbac, "alice", main(&["id"])).await;
    t.case("the controller by its token", Vap("oz-connect"), "ctl", main(&["id"])).await;
    t.case("the controller, on a pod that is not there", CONNECT, "ctl", to("none").exec(&[], &["id"])).await;
    t.case("dave, on a pod that is not there", Code(404), "dave", to("none").exec(&[], &["id"])).await;

    t.case("the binding is emptied", Allowed, "ctl", {
        Call::merge(world.ns.rbac(&format!("rolebindings/{s1}")), json!({"subjects": null}))
    })
    .await;
    let limit = Duration::from_secs(10);
    let ended = support::eventually("the session has lost its pod", limit, || async {
        let answer: Answer = world.who("s1").call(main(&["id"])).await.map_err(|error| error.to_string())?;
        if support::Outcome::of(&answer) == support::Outcome::Rbac { Ok(()) } else { Err(answer.to_string()) }
    })
    .await;
    t.fact("its command, after that", ended.is_ok(), &format!("{ended:?}"));
    t.finish();
    world.end().await;
}
