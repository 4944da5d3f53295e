//! The demonstration: alice asks, bob agrees, alice is at a prompt, and when her time is over nothing is left. Everything
//! is done by `oz` and `kubectl` as they would type it, each with a credential and a home of their own.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rexpect::session::{PtySession, spawn_command};
use serde_json::Value;

use crate::lab::Lab;
use crate::run::{command, output};
use crate::{files, kubectl, programs, wait};

const NAMESPACE: &str = "oz-demo";
/// Long enough to look around, short enough to see the end.
const LENT_FOR: &str = "30s";
/// How long one step may take on a slow machine.
const STEP: Duration = Duration::from_secs(60);
/// How long until the loan is over and cleared away.
const END: Duration = Duration::from_secs(120);

const OBJECTS: &str = include_str!("demo.yaml");

/// Plays it on a cluster that is up.
pub(crate) fn run(lab: &Lab) -> Result<()> {
    let stage = Stage::set(lab)?;
    let played = play(&stage);
    let cleared = stage.clear();
    played.and(cleared)
}

fn play(stage: &Stage<'_>) -> Result<()> {
    told("alice wants to look into api-0. What may she ask for?");
    stage.runs("alice", "oz", &["templates"])?;

    told("She asks, for half a minute, and waits in her terminal:");
    let ask = ["access-request", "api-exec", "--pod", "api-0", "--duration", LENT_FOR, "--reason", "INC-42"];
    let mut alice =
        Terminal::start(stage.call("alice", "oz", &ask)?, "alice$ oz access-request api-exec --pod api-0 …")?;
    alice.until("Waiting for approval...")?;

    told("bob sees what waits for him, and agrees to exactly what he is shown:");
    stage.runs("bob", "oz", &["pending"])?;
    let request = stage.one("the request", &["get", "accessrequests", "-n", NAMESPACE])?;
    stage.runs("bob", "oz", &["approve", &request, "-y"])?;

    told("alice is at a prompt, in that pod, over a websocket, with a token of her own minting:");
    alice.until("Opening shell...")?;
    alice.types("hostname; id -u; exit", "api-0\r\n")?;
    alice.ends()?;

    told("The token is in her kubeconfig. kubectl reaches api-0 with it, and no other pod:");
    let context = stage.context("alice")?;
    stage.runs("alice", "kubectl", &["--context", &context, "exec", "api-0", "--", "echo", "still here"])?;
    stage.is_refused("alice", "kubectl", &["--context", &context, "exec", "api-1", "--", "true"])?;
    stage.runs("alice", "oz", &["grants"])?;

    told("Her half minute passes …");
    wait::until_true("the end of the loan", END, || {
        Ok(stage.object(&["get", "accessrequest", &request, "-n", NAMESPACE])?["status"]["phase"]
            == "Expired")
    })?;
    stage.is_refused("alice", "kubectl", &["--context", &context, "exec", "api-0", "--", "true"])?;

    told("… and nothing is left but the record:");
    wait::until_true("the last part of the grant to go", STEP, || {
        let parts = stage.object(&[
            "get",
            "grants,roles,rolebindings,serviceaccounts",
            "-A",
            "-l",
            "ozaccess.io/grant",
        ])?;
        let grants = stage.object(&["get", "grants"])?;
        let ours = |grant: &Value| grant["spec"]["request"]["namespace"] == NAMESPACE;
        let left = grants["items"].as_array().is_some_and(|all| all.iter().any(ours));
        let of_request = |part: &Value| {
            part["metadata"]["annotations"]["ozaccess.io/request"].as_str()
                == Some(&format!("{NAMESPACE}/{request}"))
        };
        Ok(!left && !parts["items"].as_array().is_some_and(|all| all.iter().any(of_request)))
    })?;
    stage.runs("alice", "oz", &["requests"])?;
    stage.runs("alice", "oz", &["describe", &request])?;
    told("That was it. `cargo lab down` takes the cluster away again.");
    Ok(())
}

fn told(what: &str) {
    println!("\n# {what}");
}

/// The namespace of the play, and homes for those who act in it.
struct Stage<'a> {
    lab: &'a Lab,
    oz: PathBuf,
    homes: PathBuf,
}

impl<'a> Stage<'a> {
    fn set(lab: &'a Lab) -> Result<Self> {
        let stage = Stage { lab, oz: programs::build(lab)?.oz, homes: lab.dir.join("demo") };
        stage.clear()?;
        for who in ["alice", "bob"] {
            let kubeconfig = stage.kubeconfig(who);
            files::folder(kubeconfig.parent().unwrap_or(&stage.homes))?;
            let credential = std::fs::read(lab.kubeconfig(who))
                .with_context(|| format!("failed to read {who}'s kubeconfig"))?;
            files::write_private(&kubeconfig, &credential)?;
            let set = ["config", "set-context", "--current", "--namespace", NAMESPACE];
            output(stage.call(who, "kubectl", &set)?.env("KUBECONFIG", &kubeconfig))?;
        }
        let (people, templates) = OBJECTS.split_once("# --- by dave").context("demo.yaml has two parts")?;
        kubectl::apply(lab, people)?;
        output(
            kubectl::admin(lab, ["rollout", "status", "statefulset/api", "--timeout=60s"])?
                .args(["-n", NAMESPACE]),
        )?;
        // The owner of the namespace writes the template: nobody offers what he could not do himself.
        crate::run::output_with(&mut kubectl::by(lab, "dave", ["apply", "-f", "-"])?, templates)?;
        Ok(stage)
    }

    fn clear(&self) -> Result<()> {
        kubectl::say(self.lab, ["delete", "namespace", NAMESPACE, "--ignore-not-found"])?;
        files::remove_folder(&self.homes)
    }

    fn kubeconfig(&self, who: &str) -> PathBuf {
        self.homes.join(who).join(".kube/config")
    }

    /// A program as this person runs it.
    fn call(&self, who: &str, program: &str, args: &[&str]) -> Result<Command> {
        let path = if program == "oz" { self.oz.clone() } else { kubectl::program(self.lab)? };
        let mut call = command([path]);
        call.args(args).env("HOME", self.homes.join(who)).env_remove("KUBECONFIG").env("TERM", "xterm");
        Ok(call)
    }

    /// Runs it, shown as it would be typed, with what it says.
    fn runs(&self, who: &str, program: &str, args: &[&str]) -> Result<()> {
        let code = self.shown(who, program, args)?;
        if code == 0 { Ok(()) } else { bail!("{program} {} ended with {code}", args.join(" ")) }
    }

    /// The same for what must not be allowed.
    fn is_refused(&self, who: &str, program: &str, args: &[&str]) -> Result<()> {
        let code = self.shown(who, program, args)?;
        if code == 0 { bail!("{program} {} was let through", args.join(" ")) } else { Ok(()) }
    }

    fn shown(&self, who: &str, program: &str, args: &[&str]) -> Result<i32> {
        println!("{who}$ {program} {}", args.join(" "));
        let status =
            self.call(who, program, args)?.status().with_context(|| format!("failed to start {program}"))?;
        Ok(status.code().unwrap_or(-1))
    }

    fn object(&self, words: &[&str]) -> Result<Value> {
        let text = output(kubectl::admin(self.lab, [])?.args(words).args(["-o", "json"]))?;
        serde_json::from_str(&text).context("kubectl gave no JSON")
    }

    /// The name of the only object of a list.
    fn one(&self, what: &str, words: &[&str]) -> Result<String> {
        let name = self.object(words)?["items"][0]["metadata"]["name"].as_str().map(str::to_owned);
        name.with_context(|| format!("{what} is not there"))
    }

    /// The context that Oz has put into this person's kubeconfig.
    fn context(&self, who: &str) -> Result<String> {
        let names = output(&mut self.call(who, "kubectl", &["config", "get-contexts", "-o", "name"])?)?;
        names
            .lines()
            .find(|name| name.starts_with("oz-"))
            .map(str::to_owned)
            .context("no context of Oz's is there")
    }
}

/// A program at a terminal of its own, what it writes shown as it comes.
struct Terminal(PtySession);

impl Terminal {
    fn start(call: Command, line: &str) -> Result<Self> {
        println!("{line}");
        let limit = u64::try_from(STEP.as_millis()).unwrap_or(u64::MAX);
        Ok(Self(spawn_command(call, Some(limit)).context("failed to start a program at a terminal")?))
    }

    fn until(&mut self, words: &str) -> Result<()> {
        let before = self.0.exp_string(words).with_context(|| format!("{words:?} did not come"))?;
        println!("{}", as_seen(&format!("{before}{words}")));
        Ok(())
    }

    /// Types a line at the prompt and waits for the answer.
    fn types(&mut self, line: &str, answer: &str) -> Result<()> {
        self.until("# ")?;
        self.0.send_line(line).context("failed to type")?;
        self.until(answer)
    }

    fn ends(&mut self) -> Result<()> {
        println!("{}", as_seen(&self.0.exp_eof().context("the shell did not end")?));
        Ok(())
    }
}

/// What stays on the screen: of a line that was written over and over, the last writing; of questions to the terminal,
/// nothing.
fn as_seen(text: &str) -> String {
    let text = text.replace("\x1b[6n", "");
    let line = |line: &str| {
        line.trim_end_matches('\r')
            .rsplit(['\r', '\x1b'])
            .next()
            .map(|l| l.trim_start_matches("[2K").to_owned())
    };
    text.split('\n').filter_map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::as_seen;

    #[test]
    fn a_spinner_leaves_its_last_line() {
        assert_eq!(as_seen("asking\r\n-\r\x1b[2K|\r\x1b[2Kdone\r\n/ # \x1b[6nid"), "asking\ndone\n/ # id");
    }
}
