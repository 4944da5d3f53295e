//! A shell that does not end by itself: the connection is lost, the access is taken away, a signal comes. Each time a clear
//! word, the exit code, and the terminal as it was; that it is, [`Terminal::end`] checks.

use crate::home::Home;
use crate::proxy::Line;
use crate::stage::staged;
use crate::terminal::{PROMPT, Terminal};
use crate::world::World;
use oz_shared::Request as _;

/// What puts the cursor back where a program has hidden it.
const CURSOR: &str = "\x1b[?25h";

/// Alice in a shell, her screen taken by a program.
pub(crate) fn busy(home: &Home, name: &str, more: &[&str]) -> Terminal {
    let mut words = vec!["shell", name];
    words.extend(more);
    let mut terminal = Terminal::open(home, &words);
    terminal.until(PROMPT);
    // The alternate screen without a cursor.
    terminal.send("printf '\\033[?1049h\\033[?25lta''ken'; cat\r");
    terminal.until("taken");
    terminal
}

pub(crate) fn restored(terminal: &mut Terminal) {
    terminal.until("\x1b[?1049l");
    terminal.until(CURSOR);
}

async fn still_active(world: &World, name: &str) {
    assert_eq!(world.request(name).await.unwrap().phase().as_str(), "Active");
}

#[tokio::test]
async fn by_a_lost_connection() {
    staged("lost", async |world| {
        let line = Line::to(world);
        let home = Home::by_way_of(world, "alice", line.address);
        let name = world.borrowed(&home);
        let mut terminal = busy(&home, &name, &[]);
        line.cut();
        restored(&mut terminal);
        terminal.until("the connection to the pod was lost");
        terminal.until(&format!("hint: open it again: oz shell {name}"));
        assert_eq!(terminal.end(), 7, "{}", terminal.shown().escape_debug());
        still_active(world, &name).await;
        // By another way it is there again.
        assert_eq!(Home::of(world, "alice").oz(&["shell", &name, "--", "true"]).code, 0);
    })
    .await;
}

#[tokio::test]
async fn by_a_revocation() {
    staged("cut", async |world| {
        let (alice, bob) = (Home::of(world, "alice"), Home::of(world, "bob"));
        let name = world.borrowed(&alice);
        let mut terminal = busy(&alice, &name, &[]);
        bob.must(&["revoke", &name, "--reason", "the incident is over"]);
        restored(&mut terminal);
        terminal.until("the access was released by bob: the incident is over");
        terminal.until("hint: ask again: oz access-request web");
        assert_eq!(terminal.end(), 6, "{}", terminal.shown().escape_debug());
        assert!(alice.contexts().is_empty(), "{:?}", alice.contexts());
    })
    .await;
}

#[tokio::test]
async fn by_its_deadline() {
    staged("deadline", async |world| {
        let alice = Home::of(world, "alice");
        let name = alice.must(&["access-request", "web", "--duration", "34s", "--wait", "ready"]);
        let mut terminal = busy(&alice, &name, &[]);
        terminal.until("this access ends in 30s");
        restored(&mut terminal);
        terminal.until("the access has expired");
        assert_eq!(terminal.end(), 6, "{}", terminal.shown().escape_debug());
    })
    .await;
}

#[tokio::test]
async fn by_a_signal() {
    staged("signal", async |world| {
        let home = Home::of(world, "alice");
        let name = world.borrowed(&home);
        for (signal, code) in [("TERM", 143), ("HUP", 129), ("INT", 130)] {
            let mut terminal = busy(&home, &name, &[]);
            terminal.signal(signal);
            restored(&mut terminal);
            assert_eq!(terminal.end(), code, "{signal}: {}", terminal.shown().escape_debug());
            still_active(world, &name).await;
        }
        let mut terminal = busy(&home, &name, &["--rm"]);
        terminal.signal("HUP");
        assert_eq!(terminal.end(), 129, "{}", terminal.shown().escape_debug());
        world.until_phase(&name, "Released").await;
    })
    .await;
}

#[tokio::test]
async fn by_a_signal_in_a_pipe() {
    staged("piped", async |world| {
        let home = Home::of(world, "alice");
        let name = world.borrowed(&home);
        let mut running = home.start(&["shell", &name, "--", "sh", "-c", "echo here >&2; sleep 1000"]);
        running.until_says("here");
        running.signal("TERM");
        let said = running.end();
        assert_eq!((said.code, said.stdout().as_str()), (143, ""), "{said}");
    })
    .await;
}
