//! What is nested too deep to be read whole, and what this version of Oz cannot read at all: neither keeps anybody from
//! seeing everything else.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use serde_json::{Value, json};

use crate::home::Home;
use crate::lending::LEVELS;
use crate::stage::{ASKED, FREE, staged};
use crate::world::World;

/// A template with a patch whose value is nested.
async fn nested(world: &World, name: &str) {
    let value = (0..LEVELS).fold(json!("x"), |value, _| json!([value]));
    let patch = json!([{"op": "add", "path": "/spec/x", "value": value}]);
    let shell = json!({"workload": {"kind": "Deployment", "name": "web"}, "patches": patch});
    world.template(name, json!({"exec": null, "shell": shell, "reason": "Optional"})).await;
}

fn names(list: &str) -> Vec<&str> {
    let mut names: Vec<&str> = list.lines().filter_map(|line| line.rsplit('/').next()).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn a_template_that_is_nested_hides_none() {
    staged("nested", async |world| {
        nested(world, "deep").await;
        let (alice, admin) = (Home::of(world, "alice"), Home::of(world, "admin"));
        for (home, args) in [
            (&alice, &["templates"][..]),
            (&alice, &["templates", "--all", "-o", "wide"]),
            (&admin, &["templates", "-A"]),
        ] {
            let said = home.oz(args);
            assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{args:?}: {said}");
            for name in [FREE, ASKED, "deep"] {
                let there =
                    said.stdout().lines().any(|line| line.split_whitespace().any(|cell| cell == name));
                assert!(there, "{name}: {args:?}: {said}");
            }
        }
        let said = alice.oz(&["templates", "-o", "json"]);
        let list: Value = serde_json::from_slice(&said.bytes).unwrap();
        assert_eq!((said.code, list["items"].as_array().unwrap().len()), (0, 3), "{said}");
        assert!(list.to_string().contains("nested too deep to be read"), "{list}");
        let mut watch = alice.start(&["templates", "-w", "-o", "name"]);
        watch.until_prints("/deep\n");
        nested(world, "later").await;
        watch.until_prints("/later\n");
        watch.signal("INT");
        let said = watch.end();
        assert_eq!(names(&said.stdout()), ["deep", "later", FREE, ASKED], "{said}");
        // It does not become what it is not.
        let asked = alice.oz(&["access-request", "deep"]);
        assert_eq!(asked.code, 8, "{asked}");
    })
    .await;
}

#[tokio::test]
async fn nobody_hides_his_request() {
    staged("nested-request", async |world| {
        let (alice, bob) = (Home::of(world, "alice"), Home::of(world, "bob"));
        let asked = alice.must(&["access-request", ASKED, "--reason", "INC-1", "--wait", "none"]);
        let lent = world.borrowed(&alice);
        for name in [&asked, &lent] {
            world.nest(&world.alice, &world.request_path(name)).await;
        }
        assert_eq!(bob.must(&["requests", "-o", "name"]).lines().count(), 2);
        assert!(bob.must(&["pending"]).contains(&asked));
        bob.must(&["approve", &asked, "-y"]);
        world.until_phase(&asked, "Active").await;
        bob.must(&["revoke", &asked, &lent, "--verify"]);
        assert_eq!(alice.oz(&["shell", &lent, "--", "true"]).code, 125);
        for name in [&asked, &lent] {
            let ended = world.until_phase(name, "Released").await;
            world.until_nothing_left(&ended).await;
        }
    })
    .await;
}

/// A server that answers with what another version of Oz has written.
fn elsewhere(answer: impl Fn(&str) -> Value + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = answered(stream, &answer);
        }
    });
    address
}

fn answered(mut stream: TcpStream, answer: &impl Fn(&str) -> Value) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut first, mut line, mut length) = (String::new(), String::new(), 0);
    reader.read_line(&mut first)?;
    while reader.read_line(&mut line)? > 2 {
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        line.clear();
    }
    std::io::copy(&mut reader.take(length), &mut std::io::sink())?;
    let body = answer(first.split(' ').nth(1).unwrap_or_default()).to_string();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length";
    write!(stream, "{head}: {}\r\n\r\n{body}", body.len())
}

fn template(name: &str, kind: &str) -> Value {
    json!({
        "apiVersion": "ozaccess.io/v1alpha1", "kind": "AccessTemplate",
        "metadata": {"name": name, "namespace": "shop", "uid": name, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"shell": {"workload": {"kind": kind, "name": "db"}}, "duration": {"default": "1h", "max": "1h"}},
    })
}

fn request(name: &str, phase: &str) -> Value {
    json!({
        "apiVersion": "ozaccess.io/v1alpha1", "kind": "AccessRequest",
        "metadata": {"name": name, "namespace": "shop", "uid": name, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"template": "t", "requester": {"username": "alice"}}, "status": {"phase": phase},
    })
}

#[tokio::test]
async fn what_another_version_wrote_is_named_and_hides_none() {
    staged("version-skew", async |world| {
        let address = elsewhere(|path| {
            let items = match path
                .split(['?', '/'])
                .find(|part| part.ends_with('s') && part.starts_with("access"))
            {
                Some("accesstemplates") => json!([template("a", "Deployment"), template("new", "Daydream")]),
                Some("accessrequests") => json!([request("lost", "Lost"), request("over", "Released")]),
                _ => json!([]),
            };
            if path.contains("selfsubjectreviews") {
                return json!({"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1",
                    "metadata": {}, "status": {"userInfo": {"username": "bob"}}});
            }
            json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items})
        });
        let home = Home::with(world, "bob", |config| {
            config["clusters"][0]["cluster"] = json!({"server": format!("http://{address}")});
            config["contexts"][0]["context"]["namespace"] = json!("shop");
        });
        let named = |what: &str| {
            format!("warning: {what} in namespace shop is left out: it cannot be read (unknown variant")
        };
        for (args, named, there) in [
            (
                &["templates", "--all", "-A", "-o", "name"][..],
                named("AccessTemplate new"),
                "accesstemplate.ozaccess.io/a",
            ),
            (&["requests", "-o", "name"], named("AccessRequest lost"), "accessrequest.ozaccess.io/over"),
        ] {
            let said = home.oz(args);
            assert_eq!((said.code, said.stdout().trim()), (0, there), "{args:?}: {said}");
            assert!(said.stderr.starts_with(&named) && said.stderr.lines().count() == 1, "{args:?}: {said}");
        }
        // What may be hers must not be taken for revoked.
        let said = home.oz(&["revoke", "--user", "alice", "-A"]);
        assert_eq!(said.code, 1, "{said}");
        assert!(said.stderr.contains(&named("AccessRequest lost")), "{said}");
        assert!(!said.stderr.contains("holds nothing"), "{said}");
    })
    .await;
}
