//! The help, as the program prints it. The only tests here that need no cluster.

use std::process::Command;

use crate::home::program;
use crate::running::{Running, Said};

/// Those that contain commands, instead of doing something.
const GROUPS: [&str; 2] = ["kubeconfig", "migrate"];

fn oz(args: &[&str]) -> Said {
    let mut command = Command::new(program());
    command.args(args).env_clear();
    Running::start(command, Vec::new()).end()
}

/// The commands that the program's own help names.
fn commands() -> Vec<String> {
    let help = oz(&["--help"]);
    assert_eq!((help.code, help.stderr.as_str()), (0, ""), "{help}");
    let text = help.stdout();
    let lines = text.lines().skip_while(|line| *line != "Commands:").skip(1);
    // What a line goes on with stands further to the right.
    let names = lines.take_while(|line| !line.is_empty()).filter(|line| !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next());
    let names: Vec<String> = names.map(str::to_owned).collect();
    assert!(names.len() >= 18, "{names:?}");
    names
}

#[test]
fn every_command_has_examples() {
    for command in commands() {
        let help = oz(&[&command, "--help"]);
        assert_eq!((help.code, help.stderr.as_str()), (0, ""), "{command}: {help}");
        let text = help.stdout();
        let examples = text.split_once("Examples:\n").map(|(_, examples)| examples).unwrap_or_default();
        assert!(examples.contains(&format!("oz {command}")), "oz {command} --help has no examples: {text}");
        assert!(!text.contains('\x1b'), "colours in a pipe: {text}");
    }
}

#[test]
fn the_codes_are_in_the_help() {
    let text = oz(&["--help"]).stdout();
    for code in [
        "0 done",
        "2 usage",
        "3 denied",
        "4 rejected",
        "5 timed out",
        "6 expired",
        "7 cluster",
        "8 failed",
        "125",
    ] {
        assert!(text.contains(code), "{code}: {text}");
    }
}

#[test]
fn nothing_to_do_is_a_usage_error() {
    let mut lines = vec![vec![]];
    lines.extend(GROUPS.map(|group| vec![group]));
    lines.push(vec!["no-such-command"]);
    lines.push(vec!["approve"]);
    for args in lines {
        let said = oz(&args);
        assert_eq!((said.code, said.stdout().as_str()), (2, ""), "{args:?}: {said}");
        assert!(said.stderr.contains("Usage:"), "{args:?}: {said}");
    }
}
