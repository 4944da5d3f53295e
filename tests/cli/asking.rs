//! What `oz` asks people, and only people: on a terminal it lets them choose what they left out. And asking for others.

use crate::home::Home;
use crate::stage::{ASKED, FREE, staged};
use crate::terminal::Terminal;

const DOWN: &str = "\x1b[B";

#[tokio::test]
async fn the_template_is_chosen_on_a_terminal() {
    staged("choose", async |world| {
        let home = Home::of(world, "alice");
        let mut terminal = Terminal::open(&home, &["access-request", "--wait", "none"]);
        terminal.until("Which template?");
        terminal.until("the same, with a yes");
        terminal.send(DOWN);
        terminal.send("\r");
        terminal.until("Reason");
        terminal.send("INC-7\r");
        assert_eq!(terminal.end(), 0, "{}", terminal.shown().escape_debug());
        let request = world.only_request().await;
        assert_eq!((request.spec.template.as_str(), request.spec.reason.as_str()), (ASKED, "INC-7"));
    })
    .await;
}

#[tokio::test]
async fn a_prompt_that_is_left_asks_for_nothing() {
    staged("left", async |world| {
        let home = Home::of(world, "alice");
        for (key, what) in [("\x03", "Ctrl-C"), ("\x1b", "Esc")] {
            let mut terminal = Terminal::open(&home, &["access-request"]);
            terminal.until("Which template?");
            terminal.until("the same, with a yes");
            terminal.send(key);
            assert_eq!(terminal.end(), 130, "{what}: {}", terminal.shown().escape_debug());
            let shown = terminal.shown();
            let last = |word: &str| shown.rfind(word);
            assert!(last("\x1b[?25l") <= last("\x1b[?25h"), "{what}, the cursor: {}", shown.escape_debug());
        }
        assert_eq!(world.requests().await.unwrap().len(), 0);
    })
    .await;
}

#[tokio::test]
async fn an_approval_is_confirmed_on_a_terminal() {
    staged("confirm", async |world| {
        let (alice, bob) = (Home::of(world, "alice"), Home::of(world, "bob"));
        let name = alice.must(&["access-request", ASKED, "--reason", "INC-7", "--wait", "none"]);
        world.only_request().await;
        let mut terminal = Terminal::open(&bob, &["approve", &name]);
        terminal.until("INC-7");
        terminal.until("Grant this to alice?");
        terminal.send("n");
        terminal.until("Nothing was decided.");
        assert_eq!(terminal.end(), 0, "{}", terminal.shown().escape_debug());
        assert!(world.request(&name).await.unwrap().spec.decisions.is_empty());
        let mut terminal = Terminal::open(&bob, &["approve", &name]);
        terminal.until("Grant this to alice?");
        terminal.send("y");
        terminal.until("Approved ");
        assert_eq!(terminal.end(), 0, "{}", terminal.shown().escape_debug());
        world.until_phase(&name, "Active").await;
    })
    .await;
}

#[tokio::test]
async fn as_someone_else_by_who_may() {
    staged("as", async |world| {
        // The administrator may act as anyone; alice may not.
        let admin = Home::of(world, "admin");
        let said = admin.oz(&["--as", "alice", "access-request", FREE, "--", "sh", "-c", "echo $((6*7))"]);
        assert_eq!((said.code, said.stdout().as_str()), (0, "42\n"), "{said}");
        let request = world.only_request().await;
        assert_eq!(request.spec.requester.username, "alice");
        let refused = Home::of(world, "alice").oz(&["--as", "bob", "pending"]);
        assert_eq!(refused.code, 3, "{refused}");
    })
    .await;
}
