//! Namespaces on request, as people ask for them.

use std::process::Command;
use std::time::Duration;

use oz_shared::Request as _;
use serde_json::json;
use support::{Call, eventually};

use crate::home::Home;
use crate::spaces::Spaces;
use crate::stage::spaced;
use crate::world::{LIMIT, World};

/// Alice asks, and gets them.
fn lent(home: &Home, spaces: &Spaces<'_>, names: &[&str], more: &[&str]) -> String {
    let mut words = vec!["namespace-request"];
    words.extend(names);
    words.extend(["--class", &spaces.class, "--reason", "INC-7", "--timeout", "60s"]);
    words.extend(more);
    home.must(&words)
}

async fn namespace(world: &World, name: &str) -> serde_json::Value {
    world.look(&format!("/api/v1/namespaces/{name}")).await.unwrap()
}

async fn until_gone(world: &World, name: &str) {
    world.until_gone(&format!("/api/v1/namespaces/{name}")).await;
}

#[tokio::test]
async fn asked_for_used_and_given_back() {
    spaced("spaces", json!({"ttl": {"default": "30m", "max": "48h"}}), async |world, spaces| {
        let (alice, carol) = (Home::of(world, "alice"), Home::of(world, "carol"));
        let name = spaces.name("one");
        let target = lent(&alice, spaces, &[&name], &["--duration", "1d"]);
        assert!(target.starts_with(&format!("nsreq/{name}-")), "{target}");
        let context = format!("oz-{name}");
        assert_eq!(alice.contexts(), std::slice::from_ref(&context));
        let said = alice.kubectl(&["--context", &context, "create", "configmap", "mine"]);
        assert_eq!(said.code, 0, "{said}");
        // Neither elsewhere, nor by her own name, nor by another's.
        assert_ne!(alice.kubectl(&["--context", &context, "get", "pods", "-n", &world.ns.name]).code, 0);
        assert_ne!(alice.kubectl(&["get", "configmaps", "-n", &name]).code, 0);
        assert_eq!(carol.oz(&["describe", &target]).code, 3);

        let described = alice.must(&["describe", &target]);
        assert!(described.contains(&format!("Lent:       {name}")), "{described}");
        assert!(described.contains(&format!("kubectl --context {context} get all")), "{described}");
        let listed = alice.must(&["requests", "nsreq"]);
        assert!(listed.contains(&name) && listed.contains("Active"), "{listed}");
        let listed = alice.must(&["requests", "nsreq", "-o", "name"]);
        assert_eq!(listed, target.replace("nsreq", "namespacerequest.ozaccess.io"));

        let bare = target.strip_prefix("nsreq/").unwrap();
        let said = alice.oz(&["release", bare]);
        assert!(said.code == 2 && said.stderr.contains(&format!("of that name: {target}")), "{said}");
        assert_eq!(carol.oz(&["release", &target]).code, 3);
        alice.must(&["release", &target]);
        assert!(alice.contexts().is_empty());
        until_gone(world, &name).await;
    })
    .await;
}

#[tokio::test]
async fn one_other_agrees() {
    spaced("spaces-yes", json!({"approvals": 1}), async |world, spaces| {
        let (alice, bob, carol) =
            (Home::of(world, "alice"), Home::of(world, "bob"), Home::of(world, "carol"));
        let name = spaces.name("two");
        let ask = ["namespace-request", &name, "--class", &spaces.class, "--reason", "INC-7"];
        let mut waiting = alice.start(&ask);
        waiting.until_says("to approve: oz approve nsreq/");
        let target = eventually("bob sees it", LIMIT, || async {
            let listed = bob.must(&["pending", "-o", "name"]);
            if listed.is_empty() { Err("nothing".to_owned()) } else { Ok(listed) }
        })
        .await
        .unwrap();
        assert!(target.starts_with("namespacerequest.ozaccess.io/"), "{target}");
        eventually("what would be granted is told", LIMIT, || async {
            let said = bob.must(&["describe", &target]);
            if said.contains(&format!("new namespaces: {name}")) { Ok(()) } else { Err(said) }
        })
        .await
        .unwrap();
        // Neither she herself nor who may not.
        assert_eq!(alice.oz(&["approve", &target, "-y"]).code, 3);
        assert_eq!(carol.oz(&["approve", &target, "-y"]).code, 3);
        // Bob may not read classes.
        let said = bob.oz(&["approve", &target, "-y"]);
        assert!(said.code == 0 && said.stderr.contains(&name), "{said}");
        let said = waiting.end();
        assert!(said.code == 0 && said.stderr.contains("bob approved"), "{said}");

        let other = spaces.name("three");
        let mut waiting =
            alice.start(&["namespace-request", &other, "--class", &spaces.class, "--reason", "INC-7"]);
        waiting.until_says("to approve: oz approve nsreq/");
        let target = bob.must(&["pending", "-o", "name"]);
        bob.must(&["deny", &target, "--reason", "not today"]);
        let said = waiting.end();
        assert!(said.code == 4 && said.stderr.contains("bob denied the request: not today"), "{said}");
    })
    .await;
}

/// Owners by name have what their own names give them, until the request is revoked.
#[tokio::test]
async fn owned_by_others_and_revoked() {
    spaced("spaces-own", json!({}), async |world, spaces| {
        let [alice, bob, carol, dave] = ["alice", "bob", "carol", "dave"].map(|who| Home::of(world, who));
        let name = spaces.name("own");
        for bad in ["carol", "Robot/x", "User/", "ServiceAccount/pipeline"] {
            let ask = ["namespace-request", &name, "--class", &spaces.class, "--reason", "x", "--owner", bad];
            assert_eq!(alice.oz(&ask).code, 2, "{bad}");
        }
        let account = format!("ServiceAccount/{}:pipeline", world.ns.name);
        let target = lent(&alice, spaces, &[&name], &["--owner", "User/carol", "--owner", &account]);
        let described = alice.must(&["describe", &target]);
        assert!(described.contains("carol"), "{described}");
        let reads = |home: &Home| home.kubectl(&["-n", &name, "get", "configmaps"]).code == 0;
        assert!(reads(&carol) && !reads(&dave) && !reads(&bob) && !reads(&alice));
        let path = format!("/api/v1/namespaces/{name}/configmaps");
        assert!(spaces.pipeline.call(Call::get(path)).await.unwrap().is_success());

        assert_eq!(carol.oz(&["revoke", &target]).code, 3, "an owner is no approver");
        let said = bob.oz(&["revoke", &target, "--reason", "over", "--verify"]);
        assert_eq!(said.code, 0, "{said}");
        assert!(said.stderr.contains(&format!("namespace {name}: ")), "{said}");
        until_gone(world, &name).await;
        assert!(!reads(&carol));
        let described = alice.must(&["describe", &target]);
        assert!(described.contains("bob") && described.contains("over"), "{described}");
    })
    .await;
}

/// What waits for one's decision is of both kinds.
#[tokio::test]
async fn pending_of_both_kinds() {
    spaced("spaces-both", json!({"approvals": 1}), async |world, spaces| {
        world.template("web", json!({"approvals": 1})).await;
        world.pod("web-0", "web").await;
        let (alice, bob) = (Home::of(world, "alice"), Home::of(world, "bob"));
        let name = spaces.name("both");
        let access = alice.must(&["access-request", "web", "--reason", "INC-1", "--wait", "none"]);
        let words =
            ["namespace-request", &name, "--class", &spaces.class, "--reason", "INC-1", "--wait", "none"];
        let target = alice.must(&words);
        let listed: serde_json::Value = serde_json::from_str(&bob.must(&["pending", "-o", "json"])).unwrap();
        let found: Vec<(&str, &str)> = listed["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| (item["kind"].as_str().unwrap(), item["metadata"]["name"].as_str().unwrap()))
            .collect();
        let bare = target.strip_prefix("nsreq/").unwrap();
        assert_eq!(found, [("AccessRequest", access.as_str()), ("NamespaceRequest", bare)]);
        let table = bob.must(&["pending"]);
        assert!(table.contains(&access) && table.contains(bare), "{table}");
        assert_eq!(alice.must(&["pending", "-o", "name"]), "", "her own are not hers to decide");
        for target in [&access, &target] {
            bob.must(&["deny", target, "--reason", "no"]);
        }
        assert_eq!(bob.must(&["pending", "-o", "name"]), "");
    })
    .await;
}

#[tokio::test]
async fn who_breaks_off_the_wait_withdraws() {
    spaced("spaces-int", json!({"approvals": 1}), async |world, spaces| {
        let alice = Home::of(world, "alice");
        let name = spaces.name("four");
        let mut waiting =
            alice.start(&["namespace-request", &name, "--class", &spaces.class, "--reason", "INC-7"]);
        waiting.until_says("to approve: oz approve nsreq/");
        waiting.signal("INT");
        let said = waiting.end();
        assert!(said.code == 130 && said.stderr.contains("Withdrew"), "{said}");
        assert_eq!(alice.must(&["requests", "nsreq", "-o", "name"]), "");
    })
    .await;
}

#[tokio::test]
async fn kept_on() {
    spaced("spaces-on", json!({}), async |world, spaces| {
        let (alice, bob) = (Home::of(world, "alice"), Home::of(world, "bob"));
        let name = spaces.name("on");
        let target = lent(&alice, spaces, &[&name], &["--duration", "20m"]);
        let uid = namespace(world, &name).await["metadata"]["uid"].clone();
        let before = alice.read_kubeconfig();
        assert_eq!(bob.oz(&["extend", &target, "--duration", "40m"]).code, 3);
        let next = alice.must(&["extend", &target, "--duration", "40m", "--timeout", "60s"]);
        assert_ne!(next, target);
        assert_ne!(alice.read_kubeconfig(), before);
        let context = format!("oz-{name}");
        assert_eq!(alice.contexts(), std::slice::from_ref(&context));
        let bare = target.strip_prefix("nsreq/").unwrap();
        spaces.until(bare, "is over", |r| r.phase().is_final()).await;
        assert_eq!(namespace(world, &name).await["metadata"]["uid"], uid);
        let said = alice.kubectl(&["--context", &context, "get", "configmaps"]);
        assert_eq!(said.code, 0, "{said}");
        assert_eq!(alice.oz(&["extend", &target]).code, 6);
        alice.must(&["release", &next]);
    })
    .await;
}

#[tokio::test]
async fn the_kubeconfig_is_kept_in_step() {
    spaced("spaces-kube", json!({}), async |world, spaces| {
        let alice = Home::of(world, "alice");
        let blank = alice.read_kubeconfig();
        let (a, b, c) = (spaces.name("a"), spaces.name("b"), spaces.name("c"));
        let two = lent(&alice, spaces, &[&a, &b], &["--no-kubeconfig"]);
        assert!(alice.contexts().is_empty());
        let of = format!("of:{}", two.strip_prefix("nsreq/").unwrap());
        lent(&alice, spaces, &[&c], &["--credential", &of]);
        alice.write_kubeconfig(&blank);
        let mut written: Vec<String> =
            alice.must(&["kubeconfig", "update"]).lines().map(str::to_owned).collect();
        written.sort();
        let mut wanted = [&a, &b, &c].map(|name| format!("oz-{name}"));
        wanted.sort();
        assert_eq!(written, wanted);
        for name in [&a, &b, &c] {
            let said = alice.kubectl(&["--context", &format!("oz-{name}"), "get", "configmaps"]);
            assert_eq!(said.code, 0, "{said}");
        }
        // What ended behind its back goes.
        let path = world.ns.oz(&format!("namespacerequests/{}", two.strip_prefix("nsreq/").unwrap()));
        let release = json!({"spec": {"released": true, "releasedBy": world.alice.user().username}});
        world.must(&world.alice, Call::merge(path, release)).await;
        alice.oz(&["kubeconfig", "update"]);
        let left = alice.contexts();
        assert!(left.iter().all(|name| *name == format!("oz-{c}")), "{left:?}");
    })
    .await;
}

#[tokio::test]
async fn what_is_not_offered_is_said() {
    spaced("spaces-no", json!({}), async |world, spaces| {
        let alice = Home::of(world, "alice");
        let ask = |names: &[&str], more: &[&str]| {
            let mut words = vec!["namespace-request", "--class", &spaces.class, "--timeout", "60s"];
            words.extend(more);
            words.extend(names);
            alice.oz(&words)
        };
        for bad in ["Shop", "a.b", "-x", "kube_x"] {
            assert_eq!(ask(&[], &["--reason", "x", "--", bad]).code, 2, "{bad}");
        }
        assert_eq!(ask(&["default"], &["--reason", "x"]).code, 3);
        let said = ask(&[&world.ns.name], &["--reason", "x"]);
        assert!(said.code == 8 && said.stderr.contains("Oz adopts none"), "{said}");
        let name = spaces.name("long");
        let said = ask(&[&name], &["--reason", "x", "--duration", "3000d"]);
        assert!(said.code == 3 && said.stderr.contains("lends for at most"), "{said}");
        let elsewhere =
            ["namespace-request", &name, "--class", &spaces.class, "--reason", "x", "-n", "default"];
        assert_eq!(alice.oz(&elsewhere).code, 3);
        let carol = Home::of(world, "carol");
        assert_eq!(
            carol.oz(&["namespace-request", &name, "--class", &spaces.class, "--reason", "x"]).code,
            3
        );
    })
    .await;
}

/// A command of the test's own does not wait longer than this.
pub(crate) fn bounded(command: &mut Command) -> std::process::Output {
    let mut bounded = Command::new("timeout");
    bounded
        .arg(Duration::from_secs(120).as_secs().to_string())
        .arg(command.get_program())
        .args(command.get_args());
    bounded.env_clear();
    bounded.envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))));
    if let Some(folder) = command.get_current_dir() {
        bounded.current_dir(folder);
    }
    bounded.output().unwrap()
}
