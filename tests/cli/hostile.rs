//! Text from others that would command the terminal of who reads it.

use serde_json::json;
use support::Call;

use crate::bodies;
use crate::home::Home;
use crate::stage::{ASKED, FREE, staged};
use crate::terminal::Terminal;

/// Clears the screen, and says something else.
const ESCAPE: &str = "\x1b[2J\x1b[1;1HApproved.";
/// Turns around what follows.
const BIDI: &str = "\u{202e}evorppa";

#[tokio::test]
async fn a_reason_is_refused() {
    staged("reason", async |world| {
        let (alice, bob) = (Home::of(world, "alice"), Home::of(world, "bob"));
        for reason in [ESCAPE, BIDI, "two\nlines"] {
            let said = alice.oz(&["access-request", ASKED, "--reason", reason, "--wait", "none"]);
            assert_eq!(said.code, 2, "{said}");
            assert!(!said.stderr.contains(['\x1b', '\u{202e}']), "{:?}", said.stderr);
            // And by the API, for whoever does without `oz`.
            let body =
                bodies::request(world.alice.user(), "raw", &json!({"template": ASKED, "reason": reason}));
            let answer = world.alice.call(Call::post(world.ns.oz("accessrequests"), body)).await.unwrap();
            assert!(!answer.is_success(), "{reason:?} was taken");
        }
        let name = alice.must(&["access-request", ASKED, "--reason", "INC-1", "--wait", "none"]);
        for verb in ["approve", "deny", "release", "revoke"] {
            let mut words = vec![verb, &name, "--reason", ESCAPE];
            words.extend((verb == "approve").then_some("-y"));
            let said = bob.oz(&words);
            assert_eq!(said.code, 2, "{verb}: {said}");
            assert!(!said.stderr.contains('\x1b'), "{verb}: {:?}", said.stderr);
        }
    })
    .await;
}

#[tokio::test]
async fn what_others_wrote_is_not_printed_raw() {
    staged("raw", async |world| {
        let (alice, admin) = (Home::of(world, "alice"), Home::of(world, "admin"));
        let name = world.borrowed(&alice);
        let request = world.request(&name).await.unwrap();
        let regarding = json!({"apiVersion": "ozaccess.io/v1alpha1", "kind": "AccessRequest", "name": name,
            "namespace": world.ns.name, "uid": request.metadata.uid});
        let event = json!({
            "metadata": {"name": "hostile"}, "eventTime": "2026-01-01T00:00:00.000000Z", "action": "Act",
            "reportingController": "someone.example", "reportingInstance": "x", "type": "Normal",
            "reason": "Noted", "note": format!("{ESCAPE}{BIDI}"), "regarding": regarding,
        });
        world.must(&world.admin, Call::post(world.ns.path("events.k8s.io/v1", "events"), event)).await;
        let described = admin.oz(&["describe", &name]);
        assert_eq!(described.code, 0, "{described}");
        assert!(described.stdout().contains("Approved."), "the event is shown: {described}");
        assert!(!described.stdout().contains(['\x1b', '\u{202e}']), "{:?}", described.stdout());
        assert!(!described.stderr.contains(['\x1b', '\u{202e}']), "{:?}", described.stderr);
    })
    .await;
}

#[tokio::test]
async fn an_argument_is_not_echoed_raw() {
    staged("echo", async |world| {
        let home = Home::of(world, "alice");
        let arguments: [&[&str]; 5] = [
            &["describe", ESCAPE],
            &["access-request", ESCAPE],
            &["access-request", FREE, "--pod", ESCAPE],
            &["access-request", FREE, "--duration", ESCAPE],
            &["requests", "--context", ESCAPE],
        ];
        for args in arguments {
            let said = home.oz(args);
            assert_ne!(said.code, 0, "{args:?}: {said}");
            assert!(!said.stderr.contains('\x1b'), "{args:?}: {:?}", said.stderr);
            // Nor on a terminal, where colours are meant.
            let mut terminal = Terminal::open(&home, args);
            terminal.end();
            assert!(!terminal.shown().contains("\x1b[2J"), "{args:?}: {}", terminal.shown().escape_debug());
        }
    })
    .await;
}
