//! Delegations, as people write, see and end them.

use oz_shared::names::DELEGATIONS_ROLE;
use serde_json::{Value, json};
use support::rights::{account, cluster_role, user};
use support::{Call, eventually};

use crate::home::Home;
use crate::stage::spaced_by;
use crate::world::{LIMIT, World};

/// Alice may hand on Role `reads`; bob may end what others delegate.
async fn delegating(subject: &str, body: impl AsyncFnOnce(&World)) {
    spaced_by(subject, async |world| {
        world
            .ns
            .bind(DELEGATIONS_ROLE, DELEGATIONS_ROLE, &[account("oz-system", "oz-controller")])
            .await
            .unwrap();
        let role = format!("{}-hands-on", world.ns.name);
        let rbac = "rbac.authorization.k8s.io";
        let rules = json!([
            {"apiGroups": [rbac], "resources": ["rolebindings"], "verbs": ["create"]},
            {"apiGroups": [rbac], "resources": ["roles"], "resourceNames": ["reads"], "verbs": ["bind"]},
            {"apiGroups": [""], "resources": ["services"], "verbs": ["watch"]},
        ]);
        cluster_role(&world.admin, &role, rules).await.unwrap();
        let reads = json!({"metadata": {"name": "reads"},
            "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]});
        world.must(&world.admin, Call::post(world.ns.rbac("roles"), reads)).await;
        world.ns.bind("delegating", "oz-delegator", &[user("alice")]).await.unwrap();
        world.ns.bind("handing-on", &role, &[user("alice")]).await.unwrap();
        world.ns.bind("revoking", "oz-delegation-revoker", &[user("bob")]).await.unwrap();
        world.until_may(&world.bob, "revoke", "ozaccess.io", "delegations", true).await.unwrap();
        body(world).await;
    })
    .await;
}

/// Waits until its description says this.
async fn until(home: &Home, target: &str, word: &str) -> String {
    eventually(&format!("{target} says {word:?}"), LIMIT, || async {
        let said = home.oz(&["describe", target]);
        let text = said.stdout();
        if said.code == 0 && text.contains(word) { Ok(text) } else { Err(said.to_string()) }
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn written_shown_and_ended() {
    delegating("del", async |world| {
        let (alice, bob) = (Home::of(world, "alice"), Home::of(world, "bob"));
        let words = ["--from", "role/reads", "--to", "user/carol", "--to", "sa/run-*", "--until", "never"];
        let begin = |rest: &[&str]| {
            [&["delegate"], rest, &words[..]].concat().into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        let run =
            |home: &Home, words: &[String]| home.oz(&words.iter().map(String::as_str).collect::<Vec<_>>());

        let made = run(
            &alice,
            &begin(&[
                "nights",
                "--when",
                "18:00",
                "--time-zone",
                "Europe/Berlin",
                "--repeat",
                "365",
                "--reason",
                "INC-7",
            ]),
        );
        assert_eq!((made.code, made.stdout().trim()), (0, "delegation/nights"), "{made}");
        assert!(made.stderr.contains("oz release delegation/nights"), "{made}");
        let again = run(&alice, &begin(&["nights", "--when", "now"]));
        assert_eq!(again.code, 2, "{again}");
        for (bad, word) in
            [("teatime", "teatime"), ("added:configmap/x", "cannot be waited for"), ("cron:x", "x")]
        {
            let said = run(&alice, &begin(&["--when", bad]));
            assert_eq!(said.code, 2, "{said}");
            assert!(said.stderr.contains(word), "{said}");
        }
        let denied = alice.oz(&[
            "delegate",
            "--from",
            "role/other",
            "--to",
            "user/carol",
            "--when",
            "now",
            "--until",
            "1h",
        ]);
        assert_eq!(denied.code, 3, "{denied}");
        assert!(denied.stderr.contains("you may not bind Role other here"), "{denied}");
        let unseen = run(&alice, &begin(&["--when", "added:pod/x"]));
        assert_eq!(unseen.code, 3, "{unseen}");

        let cued = run(&alice, &begin(&["cued", "--when", "added:service/go-*", "--repeat", "forever"]));
        assert_eq!(cued.code, 0, "{cued}");
        let described = until(&alice, "delegation/nights", "Next:       begins 20").await;
        for word in
            ["From:       Role/reads", "Iteration:  1 of 365", "18:00 Europe/Berlin: 20", "Reason:     INC-7"]
        {
            assert!(described.contains(word), "{word}: {described}");
        }
        let body = json!({"metadata": {"name": "go-1"}, "spec": {"ports": [{"port": 80}]}});
        until(&alice, "del/cued", "0 of 1 times").await;
        world.must(&world.admin, Call::post(world.ns.core("services"), body)).await;
        until(&alice, "del/cued", "Ready=True Lent").await;
        let list: Value =
            serde_json::from_str(&alice.must(&["requests", "delegations", "-o", "json"])).unwrap();
        assert_eq!(list["items"].as_array().map(Vec::len), Some(2), "{list}");
        let table = alice.must(&["requests", "delegation"]);
        assert!(table.contains("1/Forever") && table.contains("never"), "{table}");

        let decided = bob.oz(&["approve", "-y", "delegation/cued"]);
        assert_eq!(decided.code, 2, "{decided}");
        let revoked = bob.oz(&["revoke", "delegation/cued", "--verify", "--reason", "enough"]);
        assert_eq!(revoked.code, 0, "{revoked}");
        assert!(revoked.stderr.contains("nothing is bound any more"), "{revoked}");
        assert!(alice.must(&["describe", "delegation/cued"]).contains("released by bob: enough"));
        alice.must(&["release", "delegation/nights"]);
        let gone = alice.oz(&["describe", "delegation/none"]);
        assert!(gone.code != 0 && gone.stderr.contains("there is no delegation none"), "{gone}");
    })
    .await;
}
