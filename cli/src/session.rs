//! A shell on what is lent: the token, the kubeconfig's context, the stream, and what is said when it is left.

use std::cell::RefCell;
use std::io::{IsTerminal as _, Write as _};

use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::AttachedProcess;
use oz_shared::template::Connection;
use oz_shared::{AccessRequest, AccessTemplate};

use crate::app::App;
use crate::cache::Cache;
use crate::duration::human;
use crate::error::Error;
use crate::exit;
use crate::kube::{
    Cluster, Conversation, Door, End, Follow, How, SessionError, Token, allowed_commands, context_name,
    default_command, entry, is_rbac_refusal, mint, open, release,
};
use crate::output::stamp;
use crate::signals::Interrupts;
use crate::terminal::{Raw, Screen};

/// What is done with a grant once it is there.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct SessionArgs {
    /// End the access on leaving the shell
    #[arg(long)]
    pub(crate) rm: bool,
    /// Leave the kubeconfig alone
    #[arg(long, conflicts_with = "use_context")]
    pub(crate) no_kubeconfig: bool,
    /// Make the access the kubeconfig's current context
    #[arg(long)]
    pub(crate) use_context: bool,
    /// Run this instead of a shell; its exit code becomes this program's
    #[arg(last = true, index = 2, value_name = "CMD")]
    pub(crate) command: Vec<String>,
}

/// Mints a token for an active request and puts it into the kubeconfig, unless that is not wanted.
///
/// # Errors
/// No token is to be had. A kubeconfig that cannot be written is only warned of.
pub(crate) async fn admit(
    app: &App,
    cluster: &Cluster,
    request: &AccessRequest,
    args: &SessionArgs,
) -> Result<Token, Error> {
    let token = mint(cluster, request).await.map_err(|error| not_the_holder(request, error))?;
    // In a pod that acts by its own account a kubeconfig would get into the way of kubectl's own defaults.
    let unwanted = cluster.in_pod && app.settings.kubeconfig.is_none();
    if !args.no_kubeconfig && !unwanted {
        let entry = entry(cluster, request, &token);
        let now = cluster.now();
        let written = app.settings.store().and_then(|store| {
            store.change(|draft| {
                draft.prune(now, |_| true);
                draft.put(&entry)?;
                if args.use_context { draft.set_current(&entry.name) } else { Ok(()) }
            })
        });
        match written {
            Ok((_, written)) => {
                for backup in written.backups {
                    app.printer.say(&format!("Kept the kubeconfig as it was in {}", backup.display()));
                }
            }
            Err(error) => app.printer.warn(&format!("the kubeconfig is left as it is: {error}")),
        }
    }
    Ok(token)
}

/// Only the holder's own role lets him mint.
pub(crate) fn not_the_holder(request: &AccessRequest, error: SessionError) -> Error {
    let refused = matches!(&error, SessionError::Fault(fault) if is_rbac_refusal(fault));
    let error = Error::from(error);
    if !refused {
        return error;
    }
    let holder = &request.spec.requester.username;
    Error::new(exit::DENIED, format!("denied: this access is lent to {holder}, who alone can use it"))
        .hint(format!("oz access-request {} asks for one of your own", request.spec.template))
}

/// Takes a request's context out of the kubeconfig, and its token out of the cache.
pub(crate) fn forget(app: &App, namespace: &str, name: &str) {
    let removed = app.settings.store().and_then(|store| store.remove(&context_name(namespace, name)));
    if let Err(error) = removed {
        app.printer.warn(&error.to_string());
    }
    if let Some(cache) = Cache::open() {
        cache.forget(&format!("{namespace}/{name}"));
    }
}

/// What the user may do with it by kubectl, as lines to paste.
pub(crate) fn kubectl_lines(request: &AccessRequest, template: Option<&AccessTemplate>) -> Vec<String> {
    let status = request.status.clone().unwrap_or_default();
    let namespace = request.namespace().unwrap_or_default();
    let kubectl = format!("kubectl --context {}", context_name(&namespace, &request.name_any()));
    let pod = &status.pod;
    let container =
        if status.container.is_empty() { String::new() } else { format!(" -c {}", status.container) };
    let connections = template.and_then(|t| t.spec.exec.as_ref()).map(|e| e.connections.clone());
    let line = |connection: &Connection| match connection {
        Connection::Exec => format!("{kubectl} exec -it {pod}{container} -- sh"),
        Connection::Attach => format!("{kubectl} attach -it {pod}{container}"),
        Connection::PortForward => format!("{kubectl} port-forward {pod} LOCAL:REMOTE"),
        Connection::Log => format!("{kubectl} logs {pod}{container}"),
    };
    connections.unwrap_or_else(|| vec![Connection::Exec]).iter().map(line).collect()
}

/// How to enter: by the command given, by the one that the template allows, or by a shell. None: nothing to enter.
fn way_in(app: &App, template: Option<&AccessTemplate>, command: &[String]) -> Result<Option<How>, Error> {
    let lends = |c: Connection| {
        template.is_none_or(|t| t.spec.exec.as_ref().is_some_and(|e| e.connections.contains(&c)))
    };
    if !lends(Connection::Exec) {
        return match (lends(Connection::Attach), command.is_empty()) {
            (_, false) => Err(Error::usage("this access does not include running a command")),
            (true, true) => Ok(Some(How::Attach)),
            (false, true) => Ok(None),
        };
    }
    let allowed = template.map(|t| allowed_commands(&t.spec)).unwrap_or_default();
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
    if asks_later { Ok(()) } else { way_in(app, template, command).map(drop) }
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
        tokio::join!(admit(app, cluster, request, args), cluster.template(&request.spec.template));
    let (token, template) = (token?, template.ok());
    let Some(how) = way_in(app, template.as_ref(), &args.command)? else {
        return Ok(Opened::Nothing(template.map(Box::new)));
    };
    let status = request.status.clone().unwrap_or_default();
    let named = &request.spec.container;
    let door = Door {
        namespace: request.namespace().unwrap_or_else(|| cluster.namespace.clone()),
        pod: status.pod,
        container: if named.is_empty() { status.container } else { named.clone() },
        how,
        tty: std::io::stdin().is_terminal() && std::io::stdout().is_terminal(),
    };
    if args.command.is_empty() {
        app.printer.say("Opening shell...");
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
    let raw = if door.tty { Some(Raw::enter()?) } else { None };
    app.printer.set_raw(raw.is_some());
    let end =
        conversation.run(|left| app.printer.warn(&format!("this access ends in {}", human(left)))).await;
    drop(raw);
    app.printer.set_raw(false);
    if door.tty && !matches!(end, Ok(End::Exited(_))) {
        let mut out = std::io::stdout();
        let _ = out.write_all(screen.borrow().restore()).and_then(|()| out.flush());
    }
    let by_itself = matches!(end, Ok(End::Exited(_)));
    if !matches!(end, Ok(End::Cut(_))) {
        stay_or_go(app, cluster, request, args, by_itself && args.command.is_empty()).await;
    }
    let at = &door.namespace;
    match end {
        Ok(End::Exited(code)) => Ok(code),
        Ok(End::Interrupted(interrupt)) => Err(Error::interrupted(interrupt)),
        Ok(End::Cut(ended)) => {
            forget_unless_kept(app, cluster, request, args);
            let mut error = Error::from(ended);
            error.code = exit::ENDED;
            Err(error.hint(format!("ask again: oz access-request {} -n {at}", request.spec.template)))
        }
        Err(SessionError::Lost(why)) if !args.rm => Err(Error::from(SessionError::Lost(why))
            .hint(format!("open it again: oz shell {} -n {at}", request.name_any()))),
        Err(error) => Err(error.into()),
    }
}

/// For logs and port-forwards there is nothing to enter: kubectl does that, with the context that was written.
fn lines_only(
    app: &App,
    request: &AccessRequest,
    template: Option<&AccessTemplate>,
    args: &SessionArgs,
) -> Result<u8, Error> {
    if args.no_kubeconfig {
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

fn forget_unless_kept(app: &App, cluster: &Cluster, request: &AccessRequest, args: &SessionArgs) {
    if !args.no_kubeconfig {
        forget(app, &request.namespace().unwrap_or_else(|| cluster.namespace.clone()), &request.name_any());
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
            forget_unless_kept(app, cluster, request, args);
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
