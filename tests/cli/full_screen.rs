//! A program that draws the whole screen, on a terminal that draws: it appears, follows the size, and leaves a clean screen,
//! by itself or when it is cut off.

use crate::home::Home;
use crate::stage::staged;
use crate::tmux::Tmux;

/// Alice in vi.
fn editing<'a>(home: &'a Home, name: &str) -> Tmux<'a> {
    let tmux = Tmux::open(home, &format!("oz shell {name}"));
    tmux.until("a prompt", |screen| screen.contains("/ #"));
    tmux.keys(&["echo was-here", "Enter"]);
    tmux.until("what was printed", |screen| screen.lines().any(|line| line == "was-here"));
    tmux.keys(&["vi /tmp/new", "Enter"]);
    tmux.until("an empty file in vi", |screen| tildes(screen) > 15);
    tmux.keys(&["i", "hello from vi", "Escape"]);
    tmux.until("what was typed", |screen| screen.starts_with("hello from vi"));
    tmux
}

/// The lines after the end of the file.
fn tildes(screen: &str) -> usize {
    screen.lines().filter(|line| *line == "~").count()
}

fn clean(tmux: &Tmux<'_>, screen: &str) {
    assert_eq!(tildes(screen), 0, "{screen}");
    assert!(screen.lines().any(|line| line == "was-here"), "what was there before: {screen}");
    assert_eq!((tmux.is("alternate_on"), tmux.is("cursor_flag")), ("0".to_owned(), "1".to_owned()));
}

#[tokio::test]
async fn it_is_drawn_and_goes() {
    staged("draws", async |world| {
        let home = Home::of(world, "alice");
        let name = world.borrowed(&home);
        let tmux = editing(&home, &name);
        let before = tildes(&tmux.screen());
        tmux.resize(70, 40);
        // vi draws anew when it is next told to.
        tmux.until("a taller vi", |screen| {
            tmux.keys(&["C-l"]);
            tildes(screen) > before
        });
        tmux.resize(80, 24);
        tmux.keys(&[":q!", "Enter"]);
        let screen =
            tmux.until("the prompt again", |screen| tildes(screen) == 0 && screen.contains("/ # vi"));
        clean(&tmux, &screen);
        tmux.keys(&["exit", "Enter"]);
        let screen = tmux.until("the end of oz", |screen| screen.contains("code=0"));
        clean(&tmux, &screen);
        assert!(screen.contains("come back:  oz shell"), "{screen}");
    })
    .await;
}

#[tokio::test]
async fn it_is_cut_off() {
    staged("cut-off", async |world| {
        let (home, bob) = (Home::of(world, "alice"), Home::of(world, "bob"));
        let name = world.borrowed(&home);
        let tmux = editing(&home, &name);
        bob.must(&["revoke", &name]);
        let screen = tmux.until("the end of oz", |screen| screen.contains("code=6"));
        clean(&tmux, &screen);
        assert!(screen.contains("error: the access was released by bob"), "{screen}");
        // Lines begin at the left again.
        assert!(screen.lines().any(|line| line == "code=6"), "{screen}");
    })
    .await;
}
