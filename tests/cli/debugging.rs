//! A debugging container beside those of a live pod: joined, and ended with its shell.

use oz_shared::Request as _;
use serde_json::json;

use crate::home::Home;
use crate::stage::{POD, staged};
use crate::terminal::{PROMPT, Terminal};
use crate::world::World;

const DOWN: &str = "\x1b[B";
/// Lends a debugging container.
const DEBUG: &str = "web-debug";

async fn with_debugging(subject: &str, body: impl AsyncFnOnce(&World)) {
    staged(subject, async |world| {
        let rules =
            json!([{"apiGroups": [""], "resources": ["pods/ephemeralcontainers"], "verbs": ["patch"]}]);
        world.role("debugging", rules, "dave").await;
        world.until_may(&world.dave, "patch", "", "pods/ephemeralcontainers", true).await.unwrap();
        let pods = json!({"selector": {"matchLabels": {"app": "web"}}});
        let debug = json!({"pods": pods, "images": ["localhost/busybox:1", "localhost/pause:1"]});
        world.template(DEBUG, json!({"exec": null, "debug": debug, "reason": "Optional"})).await;
        body(world).await;
    })
    .await;
}

#[tokio::test]
async fn joined_and_left() {
    with_debugging("debug", async |world| {
        let alice = Home::of(world, "alice");
        let mut terminal =
            Terminal::open(&alice, &["access-request", DEBUG, "--image", "localhost/busybox:1"]);
        terminal.until("Waiting for Pod...");
        let launched = terminal.until(" in pod web-0");
        assert!(launched.contains("Container Launched: oz-"), "{launched}");
        terminal.until("Opening shell...");
        terminal.until("If there is no prompt, press Enter.");
        terminal.send("\r");
        terminal.until(PROMPT);
        assert!(terminal.is_raw());
        // It sees the processes of the container that it is beside.
        terminal.send("ps\r");
        terminal.until("sleep 3600");
        terminal.resize(33, 101);
        terminal.send("while [ \"$(stty size)\" != '33 101' ]; do sleep 0.1; done; echo resi''zed\r");
        terminal.until("resized");
        terminal.until(PROMPT);
        // To leave the shell is to end the container, and with it the access.
        terminal.send("exit 7\r");
        terminal.until("The container has ended, and the access with it.");
        assert_eq!(terminal.end(), 7, "{}", terminal.shown().escape_debug());
        assert!(!terminal.shown().contains("error"), "{}", terminal.shown().escape_debug());
        let request = world.only_request().await;
        assert_eq!(request.phase().as_str(), "Released", "{:?}", request.status);
        assert!(alice.contexts().is_empty(), "{:?}", alice.contexts());
        let over = alice.oz(&["shell", &request.metadata.name.unwrap()]);
        assert_eq!(over.code, 6, "{over}");
        assert!(over.stderr.contains("the access is over") && over.stderr.contains("ask again"), "{over}");
    })
    .await;
}

#[tokio::test]
async fn left_by_a_signal_it_is_joined_again() {
    with_debugging("rejoin", async |world| {
        let (alice, bob) = (Home::of(world, "alice"), Home::of(world, "bob"));
        let name = alice.must(&["access-request", DEBUG, "--wait", "ready"]);
        let mut terminal = Terminal::open(&alice, &["shell", &name]);
        terminal.until("press Enter");
        terminal.send("\r");
        terminal.until(PROMPT);
        terminal.send("kept=here; echo do''ne\r");
        terminal.until("done");
        terminal.signal("TERM");
        assert_eq!(terminal.end(), 143, "{}", terminal.shown().escape_debug());
        let mut terminal = Terminal::open(&alice, &["shell", &name]);
        terminal.until("press Enter");
        terminal.send("\r");
        terminal.until(PROMPT);
        terminal.send("echo it is $kept\r");
        terminal.until("it is here");
        bob.must(&["revoke", &name]);
        terminal.until("the access was released by bob");
        assert_eq!(terminal.end(), 6, "{}", terminal.shown().escape_debug());
    })
    .await;
}

#[tokio::test]
async fn no_commands_and_no_other_images() {
    with_debugging("images", async |world| {
        let alice = Home::of(world, "alice");
        let said = alice.oz(&["access-request", DEBUG, "--", "id"]);
        assert_eq!(said.code, 125, "{said}");
        assert!(said.stderr.contains("it can run no command") && said.stderr.contains("hint: "), "{said}");
        let said = alice.oz(&["access-request", DEBUG, "--image", "evil"]);
        assert_eq!(said.code, 2, "{said}");
        assert!(said.stderr.contains("does not offer image evil"), "{said}");
        assert!(said.stderr.contains("--image localhost/busybox:1"), "{said}");
        assert_eq!(world.requests().await.unwrap().len(), 0);

        let mut terminal = Terminal::open(&alice, &["access-request", DEBUG, "--pod", POD, "--wait", "none"]);
        terminal.until("Which image?");
        terminal.until("localhost/pause:1");
        terminal.send(DOWN);
        terminal.send(DOWN);
        terminal.send("\r");
        assert_eq!(terminal.end(), 0, "{}", terminal.shown().escape_debug());
        assert_eq!(world.only_request().await.spec.image, "localhost/pause:1");
    })
    .await;
}

#[tokio::test]
async fn what_is_approved_is_shown() {
    with_debugging("debug-shown", async |world| {
        let pods = json!({"selector": {"matchLabels": {"app": "web"}}});
        let debug = json!({"pods": pods, "images": ["localhost/busybox:1"], "profile": "NetAdmin"});
        let spec = json!({"exec": null, "debug": debug, "approvals": 1, "reason": "Optional"});
        world.template("web-net", spec).await;
        let (alice, bob) = (Home::of(world, "alice"), Home::of(world, "bob"));
        let name = alice.must(&["access-request", "web-net", "--pod", POD, "--wait", "none"]);
        world.until(&name, "it was looked at", |r| r.status.is_some()).await;
        let words = "a debugging container in pod web-0: image localhost/busybox:1, profile NetAdmin";
        let described = bob.must(&["describe", &name]);
        assert!(described.contains(words), "{described}");
        let refused = bob.oz(&["describe", &name, "--pod"]);
        assert!(refused.code == 3 && refused.stderr.contains("bob may not get pods"), "{refused}");
        let shown = Home::of(world, "admin").must(&["describe", &name, "--pod"]);
        assert!(shown.contains("NET_ADMIN") && shown.contains("targetContainerName: main"), "{shown}");
    })
    .await;
}
