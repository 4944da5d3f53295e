//! A shell on what is lent: the token, the kubeconfig's context, the stream, and what is said when it is left.

use std::cell::RefCell;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::AttachedProcess;
use oz_shared::template::Connection;
use oz_shared::{AccessRequest, AccessTemplate, NamespaceRequest};

use crate::app::App;
use crate::cache::Cache;
use crate::duration::human;
use crate::error::Error;
use crate::exit;
use crate::kube::{
    Asked, Change, Cluster, Conversation, Door, End, Ended, Follow, How, SessionError, Token, context_name,
    default_command, entries, is_rbac_refusal, mint, open, outcome, own_name, release,
};
use crate::kubeconfig::Entry;
use crate::output::stamp;
use crate::signals::Interrupts;
use crate::terminal::{Raw, Screen};

/// What is done with a grant once it is there.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct SessionArgs {
    /// End the access on leaving the shell
    #[arg(long)]
    pub(crate) rm: bool,
    #[command(flatten)]
    pub(crate) kubeconfig: KubeconfigArgs,
    /// Run this instead of a shell; its exit code becomes this program's
    #[arg(last = true, index = 2, value_name = "CMD")]
    pub(crate) command: Vec<String>,
}

/// What is done with the kubeconfig.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct KubeconfigArgs {
    /// Leave the kubeconfig alone
    #[arg(long, conflicts_with = "use_context")]
    pub(crate) no_kubeconfig: bool,
    /// Make the access the kubeconfig's current context
    #[arg(long)]
    pub(crate) use_context: bool,
}

/// Mints a token for an active request and puts it into the kubeconfig, unless that is not wanted.
///
/// # Errors
/// No token is to be had. A kubeconfig that cannot be written is only warned of.
pub(crate) async fn admit<R: Asked>(
    app: &App,
    cluster: &Cluster,
    request: &R,
    args: KubeconfigArgs,
) -> Result<(Token, Vec<String>), Error> {
    let token = mint(cluster, request).await.map_err(|error| not_the_holder(request, error))?;
    // In a pod that acts by its own account a kubeconfig would get into the way of kubectl's own defaults.
    let unwanted = cluster.in_pod && app.settings.kubeconfig.is_none();
    if !args.no_kubeconfig && !unwanted {
        let entries = entries(cluster, request, &token);
        let now = cluster.now();
        let written = app.settings.store().and_then(|store| {
            store.change(|draft| {
                draft.prune(now, |_| true);
                let mut names = Vec::new();
                for entry in &entries {
                    let entry = Entry { name: own_name(&draft.ours(), entry), ..entry.clone() };
                    draft.put(&entry)?;
                    names.push(entry.name);
                }
                if let (true, Some(first)) = (args.use_context, names.first()) {
                    draft.set_current(first)?;
                }
                Ok(names)
            })
        });
        match written {
            Ok((names, written)) => {
                for backup in written.backups {
                    app.printer.say(&format!("Kept the kubeconfig as it was in {}", backup.display()));
                }
                return Ok((token, names));
            }
            Err(error) => app.printer.warn(&format!("the kubeconfig is left as it is: {error}")),
        }
    }
    Ok((token, Vec::new()))
}

/// Only the holder's own role lets him mint.
pub(crate) fn not_the_holder<R: Asked>(request: &R, error: SessionError) -> Error {
    let refused = matches!(&error, SessionError::Fault(fault) if is_rbac_refusal(fault));
    let error = Error::from(error);
    if !refused {
        return error;
    }
    let holder = &request.requester().username;
    Error::new(exit::DENIED, format!("denied: this access is lent to {holder}, who alone can use it"))
        .hint(format!("{} asks for one of your own", request.again()))
}

/// Takes a request's contexts out of the kubeconfig, and its token out of the cache.
pub(crate) fn forget<R: Asked>(app: &App, request: &R) {
    let mark = request.mark();
    let removed = app.settings.store().and_then(|store| {
        store.change(|draft| {
            for entry in draft.ours().iter().filter(|e| e.request == mark) {
                draft.remove(&entry.name);
            }
            Ok(())
        })
    });
    if let Err(error) = removed {
        app.printer.warn(&error.to_string());
    }
    if let Some(cache) = Cache::open() {
        cache.forget(&mark);
    }
}

/// Is it a debugging container? Its name is the grant's.
fn debugs(request: &AccessRequest) -> bool {
    request.status.as_ref().is_some_and(|s| !s.grant.is_empty() && s.container == s.grant)
}

/// The connections that are lent: as the template has them; where it cannot be read, as the grant tells.
fn connections(request: &AccessRequest, template: Option<&AccessTemplate>) -> Vec<Connection> {
    match template {
        Some(template) => template.spec.connections().to_vec(),
        None if request.status.as_ref().is_none_or(|s| s.pod.is_empty()) => Vec::new(),
        None if debugs(request) => vec![Connection::Attach],
        None => vec![Connection::Exec],
    }
}

/// What the user may do with it by kubectl, as lines to paste.
pub(crate) fn kubectl_lines(request: &AccessRequest, template: Option<&AccessTemplate>) -> Vec<String> {
    let status = request.status.clone().unwrap_or_default();
    let namespace = request.namespace().unwrap_or_default();
    if request.by_own_name() {
        return vec![format!("kubectl -n {namespace} auth can-i --list")];
    }
    let kubectl = format!("kubectl --context {}", context_name(&namespace, &request.name_any()));
    let pod = &status.pod;
    let container =
        if status.container.is_empty() { String::new() } else { format!(" -c {}", status.container) };
    let line = |connection: &Connection| match connection {
        Connection::Exec => format!("{kubectl} exec -it {pod}{container} -- sh"),
        Connection::Attach => format!("{kubectl} attach -it {pod}{container}"),
        Connection::PortForward => format!("{kubectl} port-forward {pod} LOCAL:REMOTE"),
        Connection::Log => format!("{kubectl} logs {pod}{container}"),
    };
    match connections(request, template).as_slice() {
        [] => vec![format!("{kubectl} auth can-i --list")],
        connections => connections.iter().map(line).collect(),
    }
}

/// How lent namespaces are used, as lines to paste; `contexts` are those that were written, if any were.
pub(crate) fn namespace_lines(request: &NamespaceRequest, contexts: &[String]) -> Vec<String> {
    let made = request.status.iter().flat_map(|s| &s.namespaces);
    if request.by_own_name() {
        return made.map(|n| format!("kubectl -n {} get all", n.name)).collect();
    }
    let own = || request.contexts().into_iter().map(|(name, _)| name).collect();
    let contexts: Vec<String> = if contexts.is_empty() { own() } else { contexts.to_vec() };
    contexts.iter().map(|name| format!("kubectl --context {name} get all")).collect()
}

/// How to enter: by the command given, by the one that the template allows, or by a shell. None: nothing to enter.
fn way_in(
    app: &App,
    connections: &[Connection],
    allowed: &[Vec<String>],
    command: &[String],
) -> Result<Option<How>, Error> {
    let lends = |c: Connection| connections.contains(&c);
    if !lends(Connection::Exec) {
        return match (lends(Connection::Attach), command.is_empty()) {
            (true, false) => Err(Error::usage("this access joins what runs already: it can run no command")
                .hint("leave out -- and the command, and type it there")),
            (false, false) => Err(Error::usage("this access does not include running a command")
                .hint("leave out -- and the command: kubectl uses it")),
            (true, true) => Ok(Some(How::Attach)),
            (false, true) => Ok(None),
        };
    }
    let typed: Vec<String> = allowed.iter().map(|argv| argv.join(" ")).collect();
    if !command.is_empty() && (allowed.is_empty() || allowed.iter().any(|argv| argv == command)) {
        return Ok(Some(How::Exec(command.to_vec())));
    }
    Ok(Some(How::Exec(match allowed {
        [] => default_command(),
        [only] if command.is_empty() => only.clone(),
        several if app.ui.interactive() && command.is_empty() => {
            several[app.ui.select("Which command?", &typed)?].clone()
        }
        _ => {
            let mut error = Error::usage("this access allows certain commands only: name one after --");
            for command in typed {
                error = error.hint(format!("-- {command}"));
            }
            return Err(error);
        }
    })))
}

/// Would there be a way in, once it is granted? Better said before anyone is asked to approve.
///
/// # Errors
/// The template does not lend that command.
pub(crate) fn fits(app: &App, template: Option<&AccessTemplate>, command: &[String]) -> Result<(), Error> {
    let asks_later = app.ui.interactive() && command.is_empty();
    let Some(spec) = template.map(|t| &t.spec).filter(|_| !asks_later) else { return Ok(()) };
    way_in(app, spec.connections(), spec.commands(), command).map(drop)
}

fn on_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// What there is to enter.
enum Opened {
    Stream { door: Door, process: Box<AttachedProcess>, until: Timestamp },
    Nothing(Option<Box<AccessTemplate>>),
}

async fn open_up(
    app: &App,
    cluster: &Cluster,
    request: &AccessRequest,
    args: &SessionArgs,
) -> Result<Opened, Error> {
    let (token, template) =
        tokio::join!(admit(app, cluster, request, args.kubeconfig), cluster.template(&request.spec.template));
    let ((token, _), template) = (token?, template.ok());
    let allowed = template.as_ref().map(|t| t.spec.commands()).unwrap_or_default();
    let Some(how) = way_in(app, &connections(request, template.as_ref()), allowed, &args.command)? else {
        return Ok(Opened::Nothing(template.map(Box::new)));
    };
    let status = request.status.clone().unwrap_or_default();
    let door = Door {
        namespace: request.namespace().unwrap_or_else(|| cluster.namespace.clone()),
        pod: status.pod,
        container: status.container,
        how,
        // A debugging container has a terminal, whoever joins it.
        tty: on_terminal() || debugs(request),
    };
    if args.command.is_empty() {
        app.printer.say("Opening shell...");
    }
    if door.how == How::Attach && on_terminal() {
        app.printer.say("If there is no prompt, press Enter.");
    }
    let session = cluster.session(&token.secret)?;
    let process = Box::new(open(cluster, &session, &door).await?);
    Ok(Opened::Stream { door, process, until: token.until })
}

/// Opens a shell on an active request, or runs the command, and says what becomes of the access afterwards. The code is
/// the remote's own.
///
/// # Errors
/// There is no shell to be had, or it ended otherwise than by itself.
pub(crate) async fn enter(
    app: &App,
    cluster: &Cluster,
    request: &AccessRequest,
    args: &SessionArgs,
) -> Result<u8, Error> {
    if request.by_own_name() {
        return in_own_name(app, request, args);
    }
    let _custody = app.custody.take();
    let mut interrupts = Interrupts::new()?;
    let opened = tokio::select! {
        opened = open_up(app, cluster, request, args) => opened,
        interrupt = interrupts.next() => Err(Error::interrupted(interrupt)),
    };
    let (door, process, until) = match opened {
        Ok(Opened::Stream { door, process, until }) => (door, process, until),
        Ok(Opened::Nothing(template)) => return lines_only(app, request, template.as_deref(), args),
        Err(error) => {
            stay_or_go(app, cluster, request, args, false).await;
            return Err(error);
        }
    };
    let screen = RefCell::new(Screen::default());
    let conversation = Conversation {
        process: *process,
        tty: door.tty,
        follow: Follow::new(cluster, request),
        until,
        clock: &cluster.clock,
        interrupts: &mut interrupts,
        screen: &screen,
    };
    let terminal = on_terminal();
    let raw = if terminal { Some(Raw::enter()?) } else { None };
    app.printer.set_raw(raw.is_some());
    let end =
        conversation.run(|left| app.printer.warn(&format!("this access ends in {}", human(left)))).await;
    drop(raw);
    app.printer.set_raw(false);
    if terminal && !matches!(end, Ok(End::Exited(_))) {
        let mut out = std::io::stdout();
        let _ = out.write_all(screen.borrow().restore()).and_then(|()| out.flush());
    }
    let end = tokio::select! {
        end = settled(cluster, request, until, end) => end,
        interrupt = interrupts.next() => Ok(End::Interrupted(interrupt)),
    };
    let by_itself = matches!(end, Ok(End::Exited(_)));
    if !matches!(end, Ok(End::Cut(_))) {
        stay_or_go(app, cluster, request, args, by_itself && args.command.is_empty()).await;
    }
    let at = &door.namespace;
    match end {
        Ok(End::Exited(code)) => Ok(code),
        Ok(End::Interrupted(interrupt)) => Err(Error::interrupted(interrupt)),
        Ok(End::Cut(Ended::Finished(words))) => {
            forget_unless_kept(app, request, args);
            app.printer.say("The container has ended, and the access with it.");
            Ok(code_in(&words))
        }
        Ok(End::Cut(ended)) => {
            forget_unless_kept(app, request, args);
            let mut error = Error::from(ended);
            error.code = exit::ENDED;
            Err(error.hint(format!("ask again: oz access-request {} -n {at}", request.spec.template)))
        }
        Err(SessionError::Lost(why)) if !args.rm => Err(Error::from(SessionError::Lost(why))
            .hint(format!("open it again: oz shell {} -n {at}", request.name_any()))),
        Err(error) => Err(error.into()),
    }
}

/// A stream may be the first to tell that the access has ended, by breaking, or because its container is killed; and a
/// debugging container that ended by itself ends the access. The controller says so a moment later.
async fn settled(
    cluster: &Cluster,
    request: &AccessRequest,
    until: Timestamp,
    end: Result<End, SessionError>,
) -> Result<End, SessionError> {
    /// What a shell exits with when its container is killed: by SIGKILL and SIGTERM.
    const KILLED: [u8; 2] = [137, 143];
    let limit = match &end {
        Ok(End::Exited(_)) if debugs(request) => Duration::from_secs(10),
        Ok(End::Exited(code)) if KILLED.contains(code) => Duration::from_secs(2),
        Err(SessionError::Lost(_)) => Duration::from_secs(2),
        _ => return end,
    };
    if cluster.now() >= until {
        return Ok(End::Cut(Ended::Expired));
    }
    let mut follow = Follow::new(cluster, request);
    let over = async {
        loop {
            match follow.next().await {
                Change::Now(now) => match outcome(&*now) {
                    Some(ended) => return ended,
                    None => continue,
                },
                Change::Gone => return Ended::Deleted,
                Change::Trouble(_) => {}
            }
        }
    };
    tokio::time::timeout(limit, over).await.map_or(end, |ended| Ok(End::Cut(ended)))
}

/// The exit code in the controller's words about a container. The pod itself may not be ours to read any more.
fn code_in(words: &str) -> u8 {
    let code = words.rsplit_once("(exit code ").and_then(|(_, rest)| rest.split_once(')'));
    code.and_then(|(code, _)| code.parse::<i32>().ok()).map_or(0, |c| u8::try_from(c).unwrap_or(u8::MAX))
}

/// What is bound to the user's own name needs nothing but his own credential.
fn in_own_name(app: &App, request: &AccessRequest, args: &SessionArgs) -> Result<u8, Error> {
    if !args.command.is_empty() {
        way_in(app, &[], &[], &args.command)?;
    }
    if args.rm {
        app.printer.warn("there is no shell that could be left: end it with oz release");
    }
    app.printer.say("Your own credential holds this access now; use it by kubectl:");
    for line in kubectl_lines(request, None) {
        app.printer.data(&line)?;
    }
    Ok(exit::DONE)
}

/// For logs and port-forwards there is nothing to enter: kubectl does that, with the context that was written.
fn lines_only(
    app: &App,
    request: &AccessRequest,
    template: Option<&AccessTemplate>,
    args: &SessionArgs,
) -> Result<u8, Error> {
    if args.kubeconfig.no_kubeconfig {
        return Err(Error::usage("this access is used by kubectl: it needs the kubeconfig"));
    }
    if args.rm {
        app.printer.warn("there is no shell that could be left: end it with oz release");
    }
    app.printer.say("There is no shell to open; use it by kubectl:");
    for line in kubectl_lines(request, template) {
        app.printer.data(&line)?;
    }
    Ok(exit::DONE)
}

fn forget_unless_kept(app: &App, request: &AccessRequest, args: &SessionArgs) {
    if !args.kubeconfig.no_kubeconfig {
        forget(app, request);
    }
}

/// Ends the access where `--rm` says so; else says, if asked to, how to come back and how to end it.
pub(crate) async fn stay_or_go(
    app: &App,
    cluster: &Cluster,
    request: &AccessRequest,
    args: &SessionArgs,
    say: bool,
) {
    let (name, namespace) =
        (request.name_any(), request.namespace().unwrap_or_else(|| cluster.namespace.clone()));
    let repeat = app.settings.repeat();
    if !args.rm {
        if say {
            let end = request.status.as_ref().and_then(|s| s.expires_at.as_ref()).map(|t| t.0);
            app.printer.say(&format!(
                "The access stays{}.",
                end.map(|t| until(t, cluster.now())).unwrap_or_default()
            ));
            app.printer.say(&format!("  come back:  oz shell {name} -n {namespace}{repeat}"));
            app.printer.say(&format!("  end it:     oz release {name} -n {namespace}{repeat}"));
        }
        return;
    }
    let released = async {
        let me = cluster.whoami().await?;
        release(cluster, request, &me, "left the shell").await
    };
    match released.await {
        Ok(_) => {
            app.printer.say(&format!("Released {name}."));
            forget_unless_kept(app, request, args);
        }
        Err(fault) => {
            let error = Error::from(fault);
            app.printer.warn(&format!("{} was not released: {}", name, error.message));
            app.printer.say(&format!("  end it:     oz release {name} -n {namespace}{repeat}"));
        }
    }
}

/// ` until 2026-11-22 13:00:00 UTC (in 47m)`
pub(crate) fn until(end: Timestamp, now: Timestamp) -> String {
    format!(" until {} (in {})", stamp(end), human(end.duration_since(now)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_a_container_is_in_the_words_about_it() {
        assert_eq!(code_in("the debugging container ended: Error (exit code 7)"), 7);
        assert_eq!(code_in("Error: (exit code x) (exit code 143); a stream that was open is not cut"), 143);
        assert_eq!(code_in("it ended"), 0);
    }
}
