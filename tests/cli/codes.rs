//! The exit codes, a contract with scripts.

use serde_json::json;

use crate::home::Home;
use crate::stage::{ASKED, FREE, staged};

/// Runs a command in the pod, as alice; the exit code.
fn remote(home: &Home, name: &str, command: &str) -> i32 {
    home.oz(&["shell", name, "--", "sh", "-c", command]).code
}

#[tokio::test]
async fn of_the_remote_command() {
    staged("remote", async |world| {
        let home = Home::of(world, "alice");
        let said = home.oz(&["access-request", FREE, "--", "sh", "-c", "echo out; echo err >&2; exit 42"]);
        assert_eq!((said.code, said.stdout().as_str()), (42, "out\n"), "{said}");
        assert!(said.stderr.lines().any(|line| line == "err"), "{said}");
        let name = world.only_request().await.metadata.name.unwrap();
        assert_eq!(remote(&home, &name, "true"), 0);
        assert_eq!(remote(&home, &name, "exit 2"), 2, "not to be taken for a usage error");
        assert_eq!(remote(&home, &name, "kill -KILL $$"), 137);
        assert_eq!(remote(&home, &name, "kill -TERM $$"), 143);
    })
    .await;
}

#[tokio::test]
async fn of_oz_itself_beside_a_remote_command() {
    staged("own", async |world| {
        let home = Home::of(world, "alice");
        let name = world.borrowed(&home);
        let failures: [(&[&str], &str); 6] = [
            (&["shell", &name, "--", "no-such-program"], "no-such-program"),
            (&["shell", "no-such-request", "--", "true"], "no-such-request"),
            (&["shell", &name, "--no-such-flag", "--", "true"], "--no-such-flag"),
            (&["access-request", "nothing", "--", "true"], "there is no template nothing"),
            (&["access-request", ASKED, "--", "true"], "reason"),
            (&["access-request", ASKED, "--reason", "x", "--timeout", "1s", "--", "true"], "nobody decided"),
        ];
        for (args, word) in failures {
            let said = home.oz(args);
            assert_eq!(said.code, 125, "{args:?}: {said}");
            assert!(said.stderr.contains(word), "{args:?}: {said}");
            assert!(said.bytes.is_empty(), "{args:?}: {said}");
        }
        home.must(&["release", &name]);
        let over = home.oz(&["shell", &name, "--", "true"]);
        assert_eq!(over.code, 125, "{over}");
    })
    .await;
}

#[tokio::test]
async fn usage() {
    staged("usage", async |world| {
        let home = Home::of(world, "alice");
        let mistakes: [(&[&str], &str); 7] = [
            (&["access-request", "nothing"], "there is web, web-asked"),
            (&["access-request"], "name a template: one of web, web-asked"),
            (&["access-request", ASKED], "--reason TEXT"),
            (&["access-request", FREE, "--duration", "soon"], "soon"),
            (&["access-request", FREE, "--wait", "ready", "--", "true"], "--wait"),
            (&["describe", "no-such-request"], "there is no request no-such-request"),
            (&["requests", "--context", "nowhere"], "nowhere"),
        ];
        for (args, word) in mistakes {
            let said = home.oz(args);
            let code = if args.contains(&"--") { 125 } else { 2 };
            assert_eq!(said.code, code, "{args:?}: {said}");
            assert!(said.stderr.contains(word), "{args:?}: {said}");
            assert!(said.bytes.is_empty(), "{args:?}: {said}");
        }
        assert_eq!(world.requests().await.unwrap().len(), 0, "nothing was asked for");
    })
    .await;
}

#[tokio::test]
async fn refused_by_the_policy() {
    staged("policy", async |world| {
        let nobody = Home::of(world, "carol").oz(&["access-request", FREE]);
        assert_eq!(nobody.code, 3, "{nobody}");
        assert!(nobody.stderr.contains("denied: "), "{nobody}");
        // Who may create requests, but for no template: the policy's own sentence, without the machinery around it.
        let rules = json!([{"apiGroups": ["ozaccess.io"], "resources": ["accessrequests"],
            "verbs": ["create", "get", "list", "watch"]}]);
        world.role("creating", rules, "carol").await;
        world.until_may(&world.carol, "create", "ozaccess.io", "accessrequests", true).await.unwrap();
        let refused = Home::of(world, "carol").oz(&["access-request", FREE]);
        assert_eq!(refused.code, 3, "{refused}");
        let sentence = "error: denied: you may not ask for web here (verb request on accesstemplates)";
        assert!(refused.stderr.contains(sentence), "{refused}");
        assert!(!refused.stderr.contains("ValidatingAdmissionPolicy"), "{refused}");
        let too_long = Home::of(world, "alice").oz(&["access-request", FREE, "--duration", "9h"]);
        assert_eq!(too_long.code, 3, "{too_long}");
        assert!(too_long.stderr.contains("lends for at most"), "{too_long}");
    })
    .await;
}

#[tokio::test]
async fn of_waiting() {
    staged("waiting", async |world| {
        let (alice, bob) = (Home::of(world, "alice"), Home::of(world, "bob"));
        let (waiting, name) = world.waiting(&alice, &[]).await;
        bob.must(&["deny", &name, "--reason", "use the replica"]);
        let said = waiting.end();
        assert_eq!(said.code, 4, "{said}");
        assert!(said.stderr.contains("bob denied the request: use the replica"), "{said}");

        let late = alice.oz(&["access-request", ASKED, "--reason", "INC-1", "--timeout", "1s"]);
        assert_eq!(late.code, 5, "{late}");
        assert!(late.stderr.contains("nobody decided within") && late.stderr.contains("Withdrew"), "{late}");
    })
    .await;
}

#[tokio::test]
async fn revoked_while_waiting() {
    staged("revoked", async |world| {
        let (alice, bob) = (Home::of(world, "alice"), Home::of(world, "bob"));
        let (waiting, name) = world.waiting(&alice, &[]).await;
        bob.must(&["revoke", &name, "--reason", "not today"]);
        let said = waiting.end();
        assert_eq!(said.code, 6, "{said}");
        assert!(said.stderr.contains("released by bob: not today"), "{said}");
        let again = alice.oz(&["shell", &name]);
        assert_eq!(again.code, 6, "{again}");
        let decided = bob.oz(&["approve", &name, "-y"]);
        assert_eq!(decided.code, 6, "{decided}");
    })
    .await;
}

#[tokio::test]
async fn expired() {
    staged("expired", async |world| {
        world.template("brief", json!({"approvals": 1, "pendingTimeout": "3s", "reason": "Optional"})).await;
        let alice = Home::of(world, "alice");
        let undecided = alice.oz(&["access-request", "brief"]);
        assert_eq!(undecided.code, 5, "{undecided}");
        assert!(undecided.stderr.contains("nobody decided in time"), "{undecided}");
        let name = alice.must(&["access-request", FREE, "--duration", "3s", "--wait", "ready"]);
        world.until_phase(&name, "Expired").await;
        let over = alice.oz(&["shell", &name]);
        assert_eq!(over.code, 6, "{over}");
        assert!(over.stderr.contains("expired"), "{over}");
    })
    .await;
}

#[tokio::test]
async fn unreachable() {
    staged("unreachable", async |world| {
        // A port that was just free.
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let home = Home::by_way_of(world, "alice", nobody);
        for args in [&["requests"][..], &["access-request", FREE], &["describe", "x"]] {
            let said = home.oz(args);
            assert_eq!(said.code, 7, "{args:?}: {said}");
            assert!(said.stderr.contains("the cluster cannot be reached"), "{args:?}: {said}");
            assert!(said.stderr.contains("hint: "), "{args:?}: {said}");
        }
    })
    .await;
}

#[tokio::test]
async fn silent() {
    staged("silent", async |world| {
        // It accepts, and never answers.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let home = Home::by_way_of(world, "alice", listener.local_addr().unwrap());
        for args in [
            &["requests", "--request-timeout", "1s"][..],
            &["access-request", FREE, "--request-timeout", "1s"],
        ] {
            let said = home.oz(args);
            assert_eq!(said.code, 7, "{args:?}: {said}");
            assert!(said.stderr.contains("hint: "), "{args:?}: {said}");
        }
        drop(listener);
    })
    .await;
}

#[tokio::test]
async fn an_unknown_credential() {
    staged("credential", async |world| {
        let home = Home::with(world, "alice", |config| {
            config["users"][0]["user"] = json!({"token": "not-a-token"});
        });
        let said = home.oz(&["requests"]);
        assert_eq!(said.code, 3, "{said}");
        assert!(said.stderr.contains("hint: "), "{said}");
        assert!(!said.stderr.contains("not-a-token"), "{said}");
    })
    .await;
}

#[tokio::test]
async fn not_ready() {
    staged("not-ready", async |world| {
        let home = Home::of(world, "alice");
        let said = home.oz(&["access-request", FREE, "--pod", "no-such-pod"]);
        assert_eq!(said.code, 8, "{said}");
        assert!(said.stderr.contains("no-such-pod") && said.stderr.contains("oz describe"), "{said}");
    })
    .await;
}
