//! An access handed to somebody else as a file, and what becomes of a file that somebody else wrote.

use std::fs;

use serde_json::{Value, json};

use crate::home::Home;
use crate::running::Running;
use crate::stage::{POD, staged};

/// What is changed in a kubeconfig.
type Change<'a> = &'a dyn Fn(&mut Value);

fn pod(home: &Home, context: &str) -> String {
    let said = home.kubectl(&["--context", context, "get", "pod", POD, "-o", "name"]);
    assert_eq!(said.code, 0, "{said}");
    said.stdout()
}

fn put(home: &Home, name: &str, config: &Value) {
    fs::write(home.path().join(name), serde_yaml::to_string(config).unwrap()).unwrap();
}

#[tokio::test]
async fn out_and_in() {
    staged("handed", async |world| {
        let (alice, carol) = (Home::of(world, "alice"), Home::of(world, "carol"));
        let name = world.borrowed(&alice);
        let said = alice.oz(&["kubeconfig", "export", &name]);
        assert_eq!(said.code, 0, "{said}");
        for word in ["chmod 600", "is a private address", "oz release"] {
            assert!(said.stderr.contains(word), "{word}: {said}");
        }
        let text = said.stdout();
        for word in ["client-certificate", "client-key", "exec", "proxy", "alice", "extensions"] {
            assert!(!text.contains(word), "{word}: {text}");
        }
        fs::write(carol.path().join("lent.yaml"), &text).unwrap();
        // As it is, for whoever has no Oz.
        let alone = carol.kubectl(&["--kubeconfig", "lent.yaml", "get", "pod", POD, "-o", "name"]);
        assert_eq!((alone.code, alone.stdout().as_str()), (0, "pod/web-0\n"), "{alone}");

        let before = carol.read_kubeconfig();
        let taken = carol.oz(&["kubeconfig", "import", "lent.yaml"]);
        assert_eq!(taken.code, 0, "{taken}");
        let context = taken.stdout().trim().to_owned();
        assert!(context.starts_with("oz-imported-"), "{taken}");
        assert!(taken.stderr.contains("get,list,watch on pods named web-0"), "{taken}");
        assert!(taken.stderr.contains("It ends at "), "{taken}");
        assert_eq!(pod(&carol, &context), "pod/web-0\n");
        for line in before.lines() {
            assert!(carol.read_kubeconfig().lines().any(|other| other == line), "lost: {line}");
        }
        // Again, from a pipe: beside the first.
        let again = Running::start(carol.command(&["kubeconfig", "import", "-"]), text.into_bytes()).end();
        let second = again.stdout().trim().to_owned();
        assert!(again.code == 0 && second == format!("{context}-2"), "{again}");

        // Her own loans come and go, these stay until they end.
        world.ns.bind("carol", "oz-requester", &[support::rights::user("carol")]).await.unwrap();
        world.until_may(&world.carol, "list", "ozaccess.io", "accessrequests", true).await.unwrap();
        assert_eq!(carol.must(&["kubeconfig", "update"]), "");
        assert_eq!(carol.must(&["kubeconfig", "prune"]), "");
        assert_eq!(
            (pod(&carol, &context), pod(&carol, &second)),
            ("pod/web-0\n".into(), "pod/web-0\n".into())
        );

        let elsewhere =
            alice.oz(&["kubeconfig", "export", &name, "--server", "https://api.example.com:6443/"]);
        assert!(elsewhere.stdout().contains("server: \"https://api.example.com:6443\"\n"), "{elsewhere}");
        assert!(!elsewhere.stderr.contains("private address"), "{elsewhere}");
        alice.must(&["release", &name]);
        let over = alice.oz(&["kubeconfig", "export", &name]);
        assert_eq!((over.code, over.stdout().as_str()), (6, ""), "{over}");
    })
    .await;
}

#[tokio::test]
async fn nobody_elses() {
    staged("stranger", async |world| {
        let (alice, bob) = (Home::of(world, "alice"), Home::of(world, "bob"));
        let name = world.borrowed(&alice);
        let stranger = bob.oz(&["kubeconfig", "export", &name]);
        assert_eq!((stranger.code, stranger.stdout().as_str()), (3, ""), "{stranger}");
        assert!(stranger.stderr.contains("lent to alice, who alone can hand it on"), "{stranger}");
        let nobody = Home::of(world, "carol").oz(&["kubeconfig", "export", &name]);
        assert_eq!((nobody.code, nobody.stdout().as_str()), (3, ""), "{nobody}");
        for server in ["http://api.example.com", "api.example.com", "https://me:pw@api.example.com"] {
            let said = alice.oz(&["kubeconfig", "export", &name, "--server", server]);
            assert_eq!((said.code, said.stdout().as_str()), (2, ""), "{said}");
        }
    })
    .await;
}

#[tokio::test]
async fn foreign_files() {
    staged("foreign", async |world| {
        let (alice, carol) = (Home::of(world, "alice"), Home::of(world, "carol"));
        let name = world.borrowed(&alice);
        let text = alice.must(&["kubeconfig", "export", &name]);
        let good: Value = serde_yaml::from_str(&text).unwrap();
        let before = carol.read_kubeconfig();
        let import = |change: Change| {
            let mut config = good.clone();
            change(&mut config);
            put(&carol, "foreign.yaml", &config);
            carol.oz(&["kubeconfig", "import", "foreign.yaml"])
        };
        let ran = carol.path().join("ran");
        let exec = json!({"apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never",
            "command": "touch", "args": [ran.to_str().unwrap()]});
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let user = |field: &'static str, value: Value| {
            move |c: &mut Value| c["users"][0]["user"][field] = value.clone()
        };
        let cluster = |field: &'static str, value: Value| {
            move |c: &mut Value| c["clusters"][0]["cluster"][field] = value.clone()
        };
        let cases: [(Change, i32, &str); 8] = [
            (&user("exec", exec), 2, "run a program"),
            (&user("tokenFile", json!("/etc/shadow")), 2, "read a file"),
            (&user("as", json!("admin")), 2, "somebody else"),
            (&user("token", json!("not-a-token")), 3, "does not accept the token"),
            (&cluster("certificate-authority", json!("/etc/shadow")), 2, "read a file"),
            (&cluster("proxy-url", json!("http://127.0.0.1:1")), 2, "proxy"),
            (&cluster("server", json!(format!("https://{nobody}"))), 7, "cannot be reached"),
            (&|c| c["contexts"][0]["context"]["namespace"] = json!("a\u{1b}[2Jb"), 2, "namespace"),
        ];
        for (change, code, words) in cases {
            let said = import(change);
            assert_eq!((said.code, said.stdout().as_str()), (code, ""), "{words}: {said}");
            assert!(said.stderr.contains(words), "{words}: {said}");
            assert_eq!(carol.read_kubeconfig(), before, "{words}");
        }
        assert!(!ran.exists(), "it was run");
        fs::write(carol.path().join("huge.yaml"), "x".repeat(3 << 20)).unwrap();
        for (file, words) in
            [("huge.yaml", "more than"), ("nothing.yaml", "failed to read"), (".", "failed to read")]
        {
            let said = carol.oz(&["kubeconfig", "import", file]);
            assert_eq!((said.code, said.stdout().as_str()), (2, ""), "{said}");
            assert!(said.stderr.contains(words), "{said}");
        }
        // A name that would write elsewhere, or in another colour, is no name of ours.
        let named = import(&|c| {
            for list in ["clusters", "users", "contexts"] {
                c[list][0]["name"] = json!("\u{1b}[31m\nx/../../y");
            }
            c["contexts"][0]["context"] =
                json!({"cluster": "\u{1b}[31m\nx/../../y", "user": "\u{1b}[31m\nx/../../y"});
            c["current-context"] = json!("\u{1b}[31m\nx/../../y");
        });
        assert_eq!((named.code, named.stdout().as_str()), (0, "oz-imported-31m-x-..-..-y\n"), "{named}");
        assert!(!named.stderr.contains('\u{1b}'), "{named}");
    })
    .await;
}
