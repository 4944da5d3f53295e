//! Using what was lent: a token that its holder mints for himself, and real connections with it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures::FutureExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{AttachParams, AttachedProcess};
use kube::client::UpgradeConnectionError;
use oz_shared::AccessRequest;
use oz_shared::names::SESSIONS_NAMESPACE;
use serde_json::json;
use support::{Answer, Call, Identity, Outcome, eventually};
use tokio::io::AsyncReadExt as _;

use crate::world::{LIMIT, World};

/// The shortest life that the API server gives a token, in seconds.
const TOKEN_LIFE: i64 = 600;

/// What someone holds while he is lent access.
pub(crate) struct Session {
    pub(crate) account: String,
    pub(crate) identity: Identity,
    pub(crate) pod: String,
}

/// How a command ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ran {
    /// It ran; this is its standard output.
    Output(String),
    /// No connection was made: the HTTP status.
    Refused(u16),
}

impl World {
    /// Alice mints a token with her own certificate.
    pub(crate) async fn enter(&self, request: &AccessRequest) -> Session {
        let status = request.status.as_ref().unwrap();
        let identity = eventually(&format!("alice mints for {}", status.account), LIMIT, || async {
            let token = self.mint(&status.account, TOKEN_LIFE).await.map_err(|e| format!("{e:#}"))?.object();
            let token = token.map_err(|e| format!("{e:#}"))?;
            let token = token["status"]["token"].as_str().ok_or("no token")?.to_owned();
            self.alice.with_token(&token).await.map_err(|e| format!("{e:#}"))
        })
        .await
        .unwrap();
        Session { account: status.account.clone(), identity, pod: status.pod.clone() }
    }

    /// Alice asks for a token of that account.
    pub(crate) async fn mint(&self, account: &str, seconds: i64) -> Result<Answer> {
        let path = format!("/api/v1/namespaces/{SESSIONS_NAMESPACE}/serviceaccounts/{account}/token");
        self.alice.call(Call::post(path, json!({"spec": {"expirationSeconds": seconds}}))).await
    }

    /// A request that was granted, in use: a command was run in the pod.
    pub(crate) async fn used(&self, name: &str, spec: serde_json::Value) -> (AccessRequest, Session) {
        let request = self.lent(name, spec).await;
        let session = self.enter(&request).await;
        self.until_usable(&session).await;
        (request, session)
    }

    /// Waits until a command runs: bindings reach the authorizer by watch.
    pub(crate) async fn until_usable(&self, session: &Session) {
        eventually(&format!("{} runs a command", session.account), LIMIT, || async {
            match session.run(self, "main", &["echo", "here"]).await {
                Ok(Ran::Output(text)) if text == "here\n" => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await
        .unwrap();
    }

    /// Waits until a session is refused: a new exec, reading the pod, and a new token.
    pub(crate) async fn until_refused(&self, session: &Session) {
        eventually(&format!("{} is refused", session.account), LIMIT, || async {
            let ran = session.run(self, "main", &["true"]).await;
            if !matches!(ran, Ok(Ran::Refused(401 | 403))) {
                return Err(format!("exec: {ran:?}"));
            }
            let get = Call::get(self.ns.core(&format!("pods/{}", session.pod)));
            let read = session.identity.call(get).await.map_err(|e| format!("{e:#}"))?;
            if !matches!(read.code, 401 | 403) {
                return Err(format!("get pod: {read}"));
            }
            let minted = self.mint(&session.account, TOKEN_LIFE).await.map_err(|e| format!("{e:#}"))?;
            if minted.is_success() { Err("mint: a token".to_owned()) } else { Ok(()) }
        })
        .await
        .unwrap();
    }

    /// It is over: refused, and nothing is left of it but the request's record.
    pub(crate) async fn until_over(&self, request: &AccessRequest, session: &Session) {
        self.until_refused(session).await;
        self.until_nothing_left(request).await;
        self.until_token_dead(session).await;
    }

    /// Waits until the API server does not know the token any more: the account is gone.
    pub(crate) async fn until_token_dead(&self, session: &Session) {
        eventually(&format!("the token of {} is dead", session.account), LIMIT, || async {
            match session.whoami().await {
                Ok(401) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await
        .unwrap();
    }
}

impl Session {
    /// Runs a command over a websocket.
    pub(crate) async fn run(&self, world: &World, container: &str, command: &[&str]) -> Result<Ran> {
        let pods: Api<Pod> = Api::namespaced(self.identity.client(), &world.ns.name);
        let params = AttachParams::default().container(container).stdout(true).stderr(true);
        let mut process = match pods.exec(&self.pod, command.iter().copied(), &params).await {
            Ok(process) => process,
            Err(kube::Error::UpgradeConnection(UpgradeConnectionError::ProtocolSwitch(code))) => {
                return Ok(Ran::Refused(code.as_u16()));
            }
            Err(kube::Error::Api(status)) => return Ok(Ran::Refused(status.code)),
            Err(error) => return Err(error).context("failed to connect"),
        };
        let (mut stdout, mut stderr) = (String::new(), String::new());
        let mut out = process.stdout().context("no stdout")?;
        let mut err = process.stderr().context("no stderr")?;
        let status = process.take_status().context("no status")?;
        let (out, err) = tokio::join!(out.read_to_string(&mut stdout), err.read_to_string(&mut stderr));
        out?;
        err?;
        let status = status.await;
        process.join().await?;
        match status.as_ref().and_then(|s| s.status.as_deref()) {
            Some("Success") => Ok(Ran::Output(stdout)),
            _ => bail!("{command:?} failed: {stderr} {status:?}"),
        }
    }

    /// Attaches to a container with a terminal.
    pub(crate) async fn attach(&self, world: &World, container: &str) -> kube::Result<AttachedProcess> {
        let pods: Api<Pod> = Api::namespaced(self.identity.client(), &world.ns.name);
        pods.attach(&self.pod, &AttachParams::interactive_tty().container(container)).await
    }

    /// A command that goes on until `act` has it cut; gives how long after that it went on.
    pub(crate) async fn cut_by(&self, world: &World, act: impl Future<Output = ()>) -> Duration {
        let pods: Api<Pod> = Api::namespaced(self.identity.client(), &world.ns.name);
        let params = AttachParams::default().container("main").stdout(true).stderr(false);
        let mut process = pods.exec(&self.pod, ["sh", "-c", "echo on; sleep 3600"], &params).await.unwrap();
        let mut out = process.stdout().unwrap();
        let mut said = [0; 3];
        out.read_exact(&mut said).await.unwrap();
        assert_eq!(&said, b"on\n");
        act.await;
        let acted = Instant::now();
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(LIMIT, out.read_to_end(&mut rest).map(drop)).await;
        assert!(ended.is_ok(), "the stream goes on");
        acted.elapsed()
    }

    /// The status of listing objects of this kind in the namespace.
    pub(crate) async fn reads(&self, world: &World, what: &str) -> u16 {
        self.identity.call(Call::get(world.ns.core(what))).await.unwrap().code
    }

    /// Waits until it may list them.
    pub(crate) async fn until_reads(&self, world: &World, what: &str) {
        self.until_answered(world, what, &[200]).await;
    }

    /// Waits until it may not any more.
    pub(crate) async fn until_reads_not(&self, world: &World, what: &str) {
        self.until_answered(world, what, &[401, 403]).await;
    }

    async fn until_answered(&self, world: &World, what: &str, codes: &[u16]) {
        eventually(&format!("{} reads {what}: {codes:?}", self.account), LIMIT, || async {
            let code = self.reads(world, what).await;
            if codes.contains(&code) { Ok(()) } else { Err(code.to_string()) }
        })
        .await
        .unwrap();
    }

    /// Tries a connection without the upgrade, or reads the log, to hear who refuses it: `how` with its query.
    pub(crate) async fn tries(&self, world: &World, how: &str, query: &[(&str, &str)]) -> Outcome {
        let path = world.ns.core(&format!("pods/{}/{how}", self.pod));
        let call = if how == "log" { Call::get(path) } else { Call::connect(path) };
        let call = query.iter().fold(call, |call, (name, value)| call.query(name, value));
        Outcome::of(&self.identity.call(call).await.unwrap())
    }

    /// The status of asking who this is, which everyone may whom the API server knows.
    pub(crate) async fn whoami(&self) -> Result<u16> {
        let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
        let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
        Ok(self.identity.call(Call::post(path, review)).await?.code)
    }
}
