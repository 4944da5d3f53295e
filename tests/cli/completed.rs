//! Tab in each shell, with the names that are in the cluster.

use std::process::Command;

use crate::home::Home;
use crate::running::Running;
use crate::stage::{ASKED, FREE, staged};
use crate::tmux::Tmux;

/// How each is started without anybody's settings, and what its user puts into them. `cargo lab up` installs all but
/// PowerShell, which Debian does not have.
const SHELLS: [(&str, &str, &str); 4] = [
    ("bash", "bash --norc --noprofile", "source <(oz completion bash)"),
    ("zsh", "zsh -f", "autoload -U compinit; compinit -u; source <(oz completion zsh)"),
    ("fish", "fish --no-config", "oz completion fish | source"),
    ("pwsh", "pwsh -NoLogo -NoProfile", "oz completion powershell | Out-String | Invoke-Expression"),
];

fn is_there(program: &str) -> bool {
    Command::new("sh").args(["-c", &format!("command -v {program}")]).output().unwrap().status.success()
}

#[tokio::test]
async fn in_every_shell() {
    staged("tab", async |world| {
        let home = Home::of(world, "alice");
        let name = home.must(&["access-request", ASKED, "--reason", "INC-1", "--wait", "none"]);
        for (program, start, load) in SHELLS {
            if program == "pwsh" && !is_there(program) {
                println!("not shown: Tab in PowerShell, which is not on this machine");
                continue;
            }
            let tmux = Tmux::open(&home, start);
            tmux.keys(&[&format!("{load}; echo rea''dy"), "Enter"]);
            tmux.until(&format!("{program} knows how"), |screen| screen.lines().any(|line| line == "ready"));
            for (typed, whole) in [
                ("oz access-request web-a", format!("oz access-request {ASKED}")),
                ("oz describe access-request-web-", format!("oz describe {name}")),
                ("oz requests --sel", "oz requests --selector".to_owned()),
            ] {
                tmux.keys(&[typed, "Tab"]);
                tmux.until(&format!("{program} completes {typed:?}"), |screen| screen.contains(&whole));
                tmux.keys(&["C-u"]);
            }
        }
    })
    .await;
}

/// What the scripts of the shells ask, and what they get.
#[tokio::test]
async fn in_every_shells_own_way() {
    staged("hook", async |world| {
        let home = Home::of(world, "alice");
        let ask = |shell: &str, words: &[&str]| {
            let mut command = home.command(&[&["--", "oz"], words].concat());
            let index = words.len().to_string();
            command.env("OZ_COMPLETE", shell).env("_CLAP_COMPLETE_INDEX", &index).env("_CLAP_IFS", "\n");
            let said = Running::start(command, Vec::new()).end();
            assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{shell}: {said}");
            said.stdout()
        };
        for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
            let found = ask(shell, &["access-request", "we"]);
            assert_eq!(found.lines().count(), 2, "{shell}: {found}");
            assert!(found.lines().all(|line| line.starts_with(FREE)), "{shell}: {found}");
            let none = ask(shell, &["describe", "access-request-"]);
            assert_eq!(none.trim(), "", "{shell}: {none}");
        }
    })
    .await;
}

/// A credential plugin answers as itself, also one that is this program; and nobody is asked at a Tab.
#[tokio::test]
async fn through_a_plugin() {
    staged("tab-plugin", async |world| {
        let day = serde_json::json!({"duration": {"default": "24h", "max": "24h"}, "reason": "Optional"});
        world.template("web-long", day).await;
        let home = Home::of(world, "alice");
        home.must(&["access-request", "web-long", "--wait", "ready"]);
        let context = home.contexts().remove(0);
        assert!(home.read_kubeconfig().contains("exec:"), "{}", home.read_kubeconfig());
        let cache = home.path().join(".cache");
        let _ = std::fs::remove_dir_all(&cache);
        // The session may look at its own pod alone, and that by name: it sees no names, and that without a word.
        let mut command = home.command(&["--", "oz", "--context", &context, "access-request", ""]);
        command.env("OZ_COMPLETE", "fish");
        let said = Running::start(command, Vec::new()).end();
        assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{said}");
        let tokens = std::fs::read_dir(cache.join("oz/tokens")).map_or(0, Iterator::count);
        assert!(tokens > 0, "the plugin was asked for a completion instead of a token");
    })
    .await;
}
