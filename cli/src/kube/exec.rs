//! A stream into a pod under the session's own token: opening it, and moving bytes both ways until the remote end, the
//! loan, the connection or the user ends it.

use std::cell::RefCell;
use std::time::Duration;

use futures::SinkExt as _;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::api::{AttachParams, AttachedProcess, TerminalSize};
use kube::{Api, Client};
use oz_client::ServerClock;
use oz_shared::AccessRequest;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use super::client::{Cluster, Fault};
use super::token::{FRESH, is_rbac_refusal, pause};
use super::wait::{Change, Ended, Follow, outcome};
use crate::signals::{Interrupt, Interrupts};
use crate::terminal::{Screen, size};

/// What is read at once.
const CHUNK: usize = 32 * 1024;
/// How long output may still come once the connection has ended without a word.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// When people in a shell are told that it will end.
const WARNINGS: [SignedDuration; 2] = [SignedDuration::from_mins(5), SignedDuration::from_secs(30)];

/// Why there is no shell, or not any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error("the access has ended")]
    Over,
    #[error("{0}")]
    NotReady(String),
    #[error("the connection to the pod was lost{}", if .0.is_empty() { String::new() } else { format!(": {}", .0) })]
    Lost(String),
    #[error("the command could not be run in the pod: {0}")]
    Remote(String),
    #[error("failed to read or write: {0}")]
    Io(#[from] std::io::Error),
}

/// What to do in the pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum How {
    /// Run this.
    Exec(Vec<String>),
    /// Join the main process.
    Attach,
}

/// Where a stream leads, and what kind of stream it is.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    /// The namespace.
    pub(crate) namespace: String,
    /// The pod.
    pub(crate) pod: String,
    /// The container.
    pub(crate) container: String,
    /// What to do there.
    pub(crate) how: How,
    /// With a terminal?
    pub(crate) tty: bool,
}

/// Opens the stream. A binding made a moment ago may be refused for some milliseconds: that is waited out.
///
/// # Errors
/// It is refused, or there is no such pod, or no connection.
pub(crate) async fn open(
    cluster: &Cluster,
    session: &Client,
    door: &Door,
) -> Result<AttachedProcess, SessionError> {
    let api: Api<Pod> = Api::namespaced(session.clone(), &door.namespace);
    let mut params = AttachParams {
        max_stdin_buf_size: Some(CHUNK),
        max_stdout_buf_size: Some(CHUNK),
        max_stderr_buf_size: Some(CHUNK),
        ..AttachParams::default().stdin(true).stdout(true).stderr(!door.tty).tty(door.tty)
    };
    params.container = (!door.container.is_empty()).then(|| door.container.clone());
    let doing = format!("open a stream into pod {}", door.pod);
    let started = Instant::now();
    let mut attempt = 0;
    loop {
        let answer = match &door.how {
            How::Exec(command) => {
                cluster.call(&doing, api.exec(&door.pod, command.clone(), &again(&params))).await
            }
            How::Attach => cluster.call(&doing, api.attach(&door.pod, &again(&params))).await,
        };
        match answer {
            Err(fault) if is_rbac_refusal(&fault) && started.elapsed() < FRESH => {
                tokio::time::sleep(pause(&mut attempt)).await
            }
            Err(fault) if fault.code() == Some(401) => return Err(SessionError::Over),
            answer => return Ok(answer?),
        }
    }
}

fn again(params: &AttachParams) -> AttachParams {
    AttachParams { container: params.container.clone(), ..*params }
}

/// How a conversation ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The remote end ended it, with this code.
    Exited(u8),
    /// The loan ended under it.
    Cut(Ended),
    /// A signal ended it.
    Interrupted(Interrupt),
}

/// An open stream, and what may end it.
pub(crate) struct Conversation<'a> {
    /// The stream.
    pub(crate) process: AttachedProcess,
    /// With a terminal?
    pub(crate) tty: bool,
    /// The request that it rests on.
    pub(crate) follow: Follow<AccessRequest>,
    /// When the loan ends.
    pub(crate) until: Timestamp,
    /// Whose clock that is.
    pub(crate) clock: &'a ServerClock,
    /// The user's signals.
    pub(crate) interrupts: &'a mut Interrupts,
    /// What the remote end does to the terminal.
    pub(crate) screen: &'a RefCell<Screen>,
}

impl Conversation<'_> {
    /// Moves bytes until something ends it; `warn` hears how much time is left, when it is little.
    ///
    /// # Errors
    /// The connection is lost, or the remote end could not do what it was told.
    pub(crate) async fn run(self, mut warn: impl FnMut(SignedDuration)) -> Result<End, SessionError> {
        let Self { mut process, tty, mut follow, until, clock, interrupts, screen } = self;
        let input = process.stdin();
        let feeding = tokio::spawn(feed(input));
        let (stdout, stderr) = (process.stdout(), process.stderr());
        let outputs = async {
            tokio::try_join!(
                pump(stdout, tokio::io::stdout(), |chunk| if tty {
                    screen.borrow_mut().watch(chunk)
                }),
                pump(stderr, tokio::io::stderr(), |_| ()),
            )
        };
        let mut outputs = std::pin::pin!(outputs);
        let status = process.take_status();
        let mut status = std::pin::pin!(async {
            match status {
                Some(status) => status.await,
                None => None,
            }
        });
        let mut sizes = process.terminal_size();
        let mut resized = signal(SignalKind::window_change())?;
        send_size(&mut sizes).await;

        let left = until.duration_since(clock.now());
        let mut warnings = WARNINGS.into_iter().filter(|w| *w < left).peekable();
        let mut drained = false;
        let mut answer: Option<Option<Status>> = None;
        let mut give_up: Option<Instant> = None;
        let mut followed = true;
        let end = loop {
            if answer.is_some() && (drained || give_up.is_some_and(|at| at <= Instant::now())) {
                break None;
            }
            let left = until.duration_since(clock.now());
            let next_word = warnings.peek().map_or(left, |w| left - *w);
            tokio::select! {
                moved = &mut outputs, if !drained => match moved {
                    Ok(_) => drained = true,
                    // Whoever read our output has enough of it.
                    Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => break Some(End::Exited(0)),
                    Err(error) => return Err(error.into()),
                },
                said = &mut status, if answer.is_none() => {
                    // A connection that breaks does not end the outputs by itself.
                    if said.is_none() {
                        give_up = Some(Instant::now() + LAST_WORDS);
                    }
                    answer = Some(said);
                }
                () = sleep_until(give_up), if give_up.is_some() => {}
                Some(()) = resized.recv() => send_size(&mut sizes).await,
                interrupt = interrupts.next() => break Some(End::Interrupted(interrupt)),
                change = follow.next(), if followed && answer.is_none() => match change {
                    Change::Now(request) => {
                        if let Some(ended) = outcome(&*request) {
                            break Some(End::Cut(ended));
                        }
                    }
                    Change::Gone => break Some(End::Cut(Ended::Deleted)),
                    Change::Trouble(fault) => followed = !matches!(fault.code(), Some(401 | 403)),
                },
                () = tokio::time::sleep(next_word.unsigned_abs()), if answer.is_none() => match warnings.next() {
                    Some(warning) => warn(warning),
                    None => break Some(End::Cut(Ended::Expired)),
                },
            }
        };
        feeding.abort();
        if let Some(end) = end {
            return Ok(end);
        }
        match answer.flatten() {
            Some(status) => exit_code(&status).map(End::Exited).map_err(SessionError::Remote),
            None => {
                // A peer that goes without TLS's own goodbye tells nothing but that it went.
                let why =
                    process.join().await.err().map(|e| e.to_string()).filter(|w| !w.contains("close_notify"));
                let why = why.unwrap_or_default();
                Err(SessionError::Lost(why))
            }
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn send_size(sizes: &mut Option<futures::channel::mpsc::Sender<TerminalSize>>) {
    if let (Some(sizes), Some((width, height))) = (sizes, size()) {
        let _ = sizes.send(TerminalSize { width, height }).await;
    }
}

/// Our input, and its end: dropping the writer would not tell the other side.
async fn feed(input: Option<impl AsyncWrite + Unpin>) {
    let Some(mut input) = input else { return };
    let _ = pump(Some(tokio::io::stdin()), &mut input, |_| ()).await;
    let _ = input.shutdown().await;
}

async fn pump(
    from: Option<impl AsyncRead + Unpin>,
    mut to: impl AsyncWrite + Unpin,
    mut seen: impl FnMut(&[u8]),
) -> std::io::Result<()> {
    let Some(mut from) = from else { return Ok(()) };
    let mut buffer = vec![0; CHUNK];
    loop {
        let n = from.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        seen(&buffer[..n]);
        to.write_all(&buffer[..n]).await?;
        to.flush().await?;
    }
}

/// The remote command's code: none of its own means that it could not be run.
fn exit_code(status: &Status) -> Result<u8, String> {
    if status.status.as_deref() == Some("Success") {
        return Ok(0);
    }
    let causes = status.details.iter().filter_map(|d| d.causes.as_ref()).flatten();
    let code = causes
        .filter(|c| c.reason.as_deref() == Some("ExitCode"))
        .find_map(|c| c.message.as_deref()?.parse::<i32>().ok());
    match code {
        // A process ends with eight bits; runtimes also report -1.
        Some(code) => Ok(u8::try_from(code).unwrap_or(u8::MAX)),
        None => Err(essence(status.message.as_deref().unwrap_or("no reason was given")).to_owned()),
    }
}

/// What a container runtime says, without who said it to whom.
fn essence(message: &str) -> &str {
    let (_, inner) = message.rsplit_once("unable to start container process: ").unwrap_or(("", message));
    inner.trim_end_matches(": unknown")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn code(status: serde_json::Value) -> Result<u8, String> {
        exit_code(&serde_json::from_value(status).unwrap())
    }

    #[test]
    fn the_remote_code_passes_through() {
        assert_eq!(code(json!({"status": "Success"})), Ok(0));
        let exited = |m: &str| {
            json!({"status": "Failure", "reason": "NonZeroExitCode",
            "details": {"causes": [{"reason": "ExitCode", "message": m}]}})
        };
        assert_eq!(code(exited("42")), Ok(42));
        assert_eq!(code(exited("-1")), Ok(255));
        assert_eq!(code(json!({"status": "Failure", "message": "no such file"})), Err("no such file".into()));
        let runtime = "Internal error occurred: OCI runtime exec failed: exec failed: unable to start container process: \
                       exec: \"x\": executable file not found in $PATH: unknown";
        assert_eq!(essence(runtime), "exec: \"x\": executable file not found in $PATH");
    }
}
