//! `oz completion`, and the hook by which a shell asks this program what may come next.

use std::ffi::{OsStr, OsString};
use std::sync::mpsc;
use std::time::Duration;

use clap_complete::env::{CompleteEnv, Shells};
use clap_complete::{ArgValueCompleter, CompletionCandidate};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{ListParams, PartialObjectMeta};
use kube::config::Kubeconfig;
use kube::{Api, ResourceExt as _};
use oz_shared::names::GATE_PROBE;
use oz_shared::{AccessRequest, AccessTemplate, Delegation, Federation, Grant, NamespaceRequest, Phase};

use crate::app::App;
use crate::error::Error;
use crate::exit;
use crate::kube::delegations::over;
use crate::kube::{Asked, Cluster, Way, outcome};
use crate::settings::{GlobalArgs, Settings};
use crate::target::Kind;

/// Set by the scripts that `oz completion` prints; then this program completes instead of running.
const HOOK: &str = "OZ_COMPLETE";
/// Nobody waits longer at a Tab.
const LIMIT: Duration = Duration::from_secs(1);

const EXAMPLES: &str = "\
Examples:
  source <(oz completion bash)                    in ~/.bashrc
  source <(oz completion zsh)                     in ~/.zshrc
  oz completion fish > ~/.config/fish/completions/oz.fish
  oz completion bash --static                     a script that never asks the cluster

For `kubectl oz` put completions/kubectl_complete-oz of the source on the PATH, beside kubectl-oz: kubectl asks it. The
manual pages are in completions/man: man -l completions/man/oz.1";

/// Print the completion script for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Which shell
    shell: Shell,
    /// Commands and flags only, without the names in the cluster
    #[arg(long = "static")]
    fixed: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
    #[value(alias = "pwsh")]
    Powershell,
    Elvish,
}

impl Shell {
    const fn name(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Zsh => "zsh",
            Self::Fish => "fish",
            Self::Powershell => "powershell",
            Self::Elvish => "elvish",
        }
    }

    const fn generator(self) -> clap_complete::Shell {
        match self {
            Self::Bash => clap_complete::Shell::Bash,
            Self::Zsh => clap_complete::Shell::Zsh,
            Self::Fish => clap_complete::Shell::Fish,
            Self::Powershell => clap_complete::Shell::PowerShell,
            Self::Elvish => clap_complete::Shell::Elvish,
        }
    }
}

pub(crate) fn run(args: &Args, app: &App) -> Result<u8, Error> {
    if args.fixed {
        app.printer.data(&fixed(args.shell))?;
        return Ok(exit::DONE);
    }
    let mut script = Vec::new();
    if let Some(shell) = Shells::builtins().completer(args.shell.name()) {
        shell.write_registration(HOOK, "oz", "oz", "oz", &mut script)?;
    }
    app.printer.data(&String::from_utf8_lossy(&script))?;
    Ok(exit::DONE)
}

fn fixed(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell.generator(), &mut crate::command(), "oz", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// The scripts that packages install, by the names that shells look for.
pub(crate) fn files() -> Vec<(&'static str, String)> {
    let shells = [
        ("oz.bash", Shell::Bash),
        ("_oz", Shell::Zsh),
        ("oz.fish", Shell::Fish),
        ("oz.ps1", Shell::Powershell),
    ];
    shells.into_iter().map(|(name, shell)| (name, fixed(shell))).collect()
}

/// Answers a shell that asks; false where this is an ordinary run. It says nothing of its own, whatever fails.
pub(crate) fn answered(args: &[OsString]) -> bool {
    let asked = std::env::var_os(HOOK).is_some_and(|v| !v.is_empty() && v != "0");
    if asked {
        let here = std::env::current_dir().ok();
        let _ = CompleteEnv::with_factory(completing)
            .var(HOOK)
            .completer("oz")
            .try_complete(args.to_vec(), here.as_deref());
    }
    asked
}

/// What a value names.
#[derive(Debug, Clone, Copy)]
enum Names {
    Templates,
    Pods,
    Images,
    /// All kinds, as targets.
    Requests(Wanted),
    /// Requests for access alone.
    Access(Wanted),
    /// Requests for namespaces alone, by their bare names.
    Namespaced(Wanted),
    /// Federations alone.
    Federations(Wanted),
    Classes,
    Namespaces,
    Contexts,
    Holders,
}

/// Which requests.
#[derive(Debug, Clone, Copy)]
enum Wanted {
    Any,
    Undecided,
    Live,
    Active,
}

impl Wanted {
    fn fits<R: Asked>(self, request: &R) -> bool {
        match self {
            Self::Any => true,
            Self::Undecided => request.phase() == Phase::Pending && request.release().is_none(),
            Self::Live => outcome(request).is_none(),
            Self::Active => request.phase() == Phase::Active && outcome(request).is_none(),
        }
    }
}

/// Which values of which commands are names in the cluster; an empty command means the flags of all.
const VALUES: [(&str, &str, Names); 20] = [
    ("", "namespace", Names::Namespaces),
    ("", "context", Names::Contexts),
    ("access-request", "template", Names::Templates),
    ("access-request", "pod", Names::Pods),
    ("access-request", "image", Names::Images),
    ("describe", "target", Names::Requests(Wanted::Any)),
    ("approve", "targets", Names::Requests(Wanted::Undecided)),
    ("deny", "targets", Names::Requests(Wanted::Undecided)),
    ("release", "targets", Names::Requests(Wanted::Live)),
    ("revoke", "targets", Names::Requests(Wanted::Live)),
    ("revoke", "user", Names::Holders),
    ("grants", "user", Names::Holders),
    ("shell", "target", Names::Access(Wanted::Active)),
    ("token", "target", Names::Requests(Wanted::Active)),
    ("kubeconfig export", "target", Names::Requests(Wanted::Active)),
    ("enable", "namespaces", Names::Namespaces),
    ("namespace-request", "class", Names::Classes),
    ("federation-request", "class", Names::Classes),
    ("extend", "target", Names::Namespaced(Wanted::Active)),
    ("rotate", "target", Names::Federations(Wanted::Active)),
];

/// The grammar with completers in it.
fn completing() -> clap::Command {
    let mut command = crate::command();
    for (subcommand, value, names) in VALUES {
        // Not mut_arg, which puts the argument behind all others, and so a positional one out of its place.
        let with = |command: clap::Command| {
            command.mut_args(|arg| match arg.get_id() == value {
                true => arg.add(ArgValueCompleter::new(move |current: &OsStr| candidates(names, current))),
                false => arg,
            })
        };
        command = below(command, subcommand, &with);
    }
    command
}

/// A grammar with one of its commands changed: `kubeconfig export`, or itself where none is named.
fn below(
    command: clap::Command,
    path: &str,
    change: &dyn Fn(clap::Command) -> clap::Command,
) -> clap::Command {
    let (first, rest) = path.split_once(' ').unwrap_or((path, ""));
    if first.is_empty() { change(command) } else { command.mut_subcommand(first, |c| below(c, rest, change)) }
}

fn candidates(names: Names, current: &OsStr) -> Vec<CompletionCandidate> {
    let Some(current) = current.to_str() else { return Vec::new() };
    let settings = written(std::env::args_os());
    let found = bounded(move || look_up(names, &settings));
    let fits = found
        .into_iter()
        .filter(|(name, _)| name.starts_with(current) && !name.chars().any(char::is_control));
    fits.map(|(name, help)| CompletionCandidate::new(name).help((!help.is_empty()).then(|| help.into())))
        .collect()
}

/// On a thread of its own: a credential plugin may take as long as it likes.
fn bounded(work: impl FnOnce() -> Option<Vec<(String, String)>> + Send + 'static) -> Vec<(String, String)> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || send.send(work()));
    receive.recv_timeout(LIMIT).ok().flatten().unwrap_or_default()
}

/// The flags that say where to look, as far as they are written already.
fn written(args: impl Iterator<Item = OsString>) -> Settings {
    #[derive(clap::Parser)]
    #[command(ignore_errors = true, disable_help_flag = true)]
    struct Line {
        #[command(flatten)]
        global: GlobalArgs,
    }
    let words: Vec<OsString> = args.skip_while(|arg| arg != "--").skip(1).collect();
    // One flag at a time: whatever stands between them is not for this grammar.
    let mut line = vec![OsString::from("oz")];
    let mut words = words.into_iter().skip(1).peekable();
    while let Some(word) = words.next() {
        let text = word.to_string_lossy().into_owned();
        let flags = ["-n", "--namespace", "--context", "--kubeconfig", "--as", "--as-group", "--as-uid"];
        if flags.contains(&text.as_str()) {
            if let Some(value) =
                words.next_if(|next| !next.is_empty() && !next.to_string_lossy().starts_with('-'))
            {
                line.extend([word, value]);
            }
        } else if flags.iter().any(|f| text.starts_with(&format!("{f}=")))
            || (text.starts_with("-n") && text.len() > 2)
        {
            line.push(word);
        } else if text == "--" {
            break;
        }
    }
    <Line as clap::Parser>::try_parse_from(line)
        .map(|l| l.global.into())
        .unwrap_or_else(|_| GlobalArgs::default().into())
}

/// Names, each with a word about it.
fn look_up(names: Names, settings: &Settings) -> Option<Vec<(String, String)>> {
    if matches!(names, Names::Contexts) {
        return contexts(settings);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    runtime.block_on(async {
        let mut way = Way::find(settings).await.ok()?;
        // Nobody is asked at a Tab; and a plugin that is this program is to answer as itself.
        way.tell_plugin(HOOK, "");
        let cluster = Cluster::by(way, settings).ok()?;
        let params = ListParams::default();
        let namespace = Some(cluster.namespace.as_str());
        match names {
            Names::Contexts => None,
            Names::Templates => {
                let list = cluster.list::<AccessTemplate>("complete", namespace, &params).await.ok()?;
                Some(list.items.into_iter().map(|t| (t.name_any(), t.spec.description)).collect())
            }
            Names::Pods => {
                let api: Api<PartialObjectMeta<Pod>> =
                    Api::namespaced(cluster.client.clone(), &cluster.namespace);
                let list = cluster.call("complete", api.list_metadata(&params)).await.ok()?;
                Some(list.items.into_iter().map(|p| (p.name_any(), String::new())).collect())
            }
            Names::Images => {
                let list = cluster.list::<AccessTemplate>("complete", namespace, &params).await.ok()?;
                let offered = |t: AccessTemplate| {
                    let name = t.name_any();
                    t.spec.debug.into_iter().flat_map(|d| d.images).map(move |image| (image, name.clone()))
                };
                let mut images: Vec<(String, String)> = list.items.into_iter().flat_map(offered).collect();
                images.sort();
                images.dedup_by(|one, other| one.0 == other.0);
                Some(images)
            }
            Names::Requests(wanted) => {
                let (access, namespaces, federations, delegations) = tokio::join!(
                    requests::<AccessRequest>(&cluster, wanted),
                    requests::<NamespaceRequest>(&cluster, wanted),
                    requests::<Federation>(&cluster, wanted),
                    delegations(&cluster, wanted),
                );
                let mut found = access.unwrap_or_default();
                found.extend(namespaces.unwrap_or_default());
                found.extend(federations.unwrap_or_default());
                found.extend(delegations.unwrap_or_default());
                Some(found)
            }
            Names::Access(wanted) => requests::<AccessRequest>(&cluster, wanted).await,
            Names::Namespaced(wanted) => {
                let found = requests::<NamespaceRequest>(&cluster, wanted).await?.into_iter();
                let bare = |(target, about): (String, String)| match target.split_once('/') {
                    Some((_, name)) => (name.to_owned(), about),
                    None => (target, about),
                };
                Some(found.map(bare).collect())
            }
            Names::Federations(wanted) => requests::<Federation>(&cluster, wanted).await,
            Names::Classes => {
                let list = cluster.call("complete", cluster.classes().list(&params)).await.ok()?;
                let offered = list.items.into_iter().filter(|c| c.name_any() != GATE_PROBE);
                Some(offered.map(|c| (c.name_any(), c.spec.description)).collect())
            }
            Names::Namespaces => {
                let api: Api<PartialObjectMeta<Namespace>> = Api::all(cluster.client.clone());
                let list = cluster.call("complete", api.list_metadata(&params)).await.ok()?;
                Some(list.items.into_iter().map(|n| (n.name_any(), String::new())).collect())
            }
            Names::Holders => {
                let list = cluster.list::<Grant>("complete", None, &params).await.ok()?;
                let mut holders: Vec<String> =
                    list.items.into_iter().map(|g| g.spec.holder.username).collect();
                holders.sort();
                holders.dedup();
                Some(holders.into_iter().map(|h| (h, String::new())).collect())
            }
        }
    })
}

/// The requests of one kind, as they are named on the command line.
async fn requests<R: Asked>(cluster: &Cluster, wanted: Wanted) -> Option<Vec<(String, String)>> {
    let scope = (R::KIND != Kind::Federation).then_some(cluster.namespace.as_str());
    let list = cluster.list::<R>("complete", scope, &ListParams::default()).await.ok()?;
    let about = |r: &R| format!("{} {}", r.phase().as_str(), r.requester().username);
    Some(list.items.iter().filter(|r| wanted.fits(*r)).map(|r| (r.target(), about(r))).collect())
}

/// The delegations, likewise. None is ever undecided, nor a credential.
async fn delegations(cluster: &Cluster, wanted: Wanted) -> Option<Vec<(String, String)>> {
    if !matches!(wanted, Wanted::Any | Wanted::Live) {
        return None;
    }
    let scope = Some(cluster.namespace.as_str());
    let list = cluster.list::<Delegation>("complete", scope, &ListParams::default()).await.ok()?;
    let any = matches!(wanted, Wanted::Any);
    let fits = |d: &&Delegation| any || over(d).is_none();
    let about = |d: &Delegation| format!("{} {}", d.phase().as_str(), d.spec.requester.username);
    let named = |d: &Delegation| (Kind::Delegation.target(&d.name_any()), about(d));
    Some(list.items.iter().filter(fits).map(named).collect())
}

fn contexts(settings: &Settings) -> Option<Vec<(String, String)>> {
    let kubeconfig = match &settings.kubeconfig {
        Some(path) => Kubeconfig::read_from(path).ok()?,
        None => Kubeconfig::read().ok()?,
    };
    Some(kubeconfig.contexts.into_iter().map(|c| (c.name, String::new())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_with_live_names_is_there() {
        completing().debug_assert();
        let command = crate::command();
        for (subcommand, value, _) in VALUES {
            let mut of = subcommand.split(' ').filter(|name| !name.is_empty());
            let of = of.try_fold(&command, |command, name| command.find_subcommand(name));
            let there = of.is_some_and(|c| c.get_arguments().any(|arg| arg.get_id() == value));
            assert!(there, "{subcommand} {value}");
        }
    }

    #[test]
    fn flags_that_are_written_already_count() {
        let settings =
            |line: &str| written(line.split(' ').map(OsString::from).collect::<Vec<_>>().into_iter());
        let found = settings("oz -- oz approve -n shop --context=lab --reason x ");
        assert_eq!((found.namespace.as_deref(), found.context.as_deref()), (Some("shop"), Some("lab")));
        assert_eq!(settings("oz -- oz -nshop describe").namespace.as_deref(), Some("shop"));
        assert_eq!(settings("oz -- oz describe -n ").namespace, None);
        assert_eq!(settings("oz -- oz shell x -- ls -n no").namespace, None);
    }

    #[test]
    fn a_lookup_that_hangs_is_left() {
        let started = std::time::Instant::now();
        let found = bounded(|| {
            std::thread::sleep(LIMIT * 5);
            Some(vec![("late".to_owned(), String::new())])
        });
        assert!(found.is_empty() && started.elapsed() < LIMIT * 3);
    }

    #[test]
    fn every_shell_has_both_scripts() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::Powershell, Shell::Elvish] {
            let completer = Shells::builtins().completer(shell.name()).map(|c| c.name().to_owned());
            assert_eq!(completer.as_deref(), Some(shell.name()));
            assert!(fixed(shell).contains("access-request"), "{}", shell.name());
        }
    }
}
