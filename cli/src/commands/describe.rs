//! `oz describe`

mod delegation;

use k8s_openapi::api::core::v1::Event;
use kube::api::ListParams;
use kube::{Api, Resource, ResourceExt as _};
use oz_shared::namespace_request::CredentialKind;
use oz_shared::request::{TemplatePin, Verdict};
use oz_shared::role::in_words;
use oz_shared::{
    AccessRequest, AccessTemplate, AccessTemplateSpec, Federation, NamespaceClass, NamespaceRequest, Phase,
    Policy as _, Request as _,
};

use crate::app::App;
use crate::duration::human;
use crate::error::Error;
use crate::exit;
use crate::kube::{Asked, Cluster, is_mine, made, named, offer, outcome};
use crate::output::{clean, ends, lends, of, stamp, yaml};
use crate::session::kubectl_lines;
use crate::target::{Kind, Target};
use crate::waiting::starting;

const EXAMPLES: &str = "\
Examples:
  oz describe access-request-api-exec-7k2pd
  oz describe nsreq/alice-try-4mz0q

  # The pod that would be made for it, whole
  oz describe access-request-db-shell-4mz0q --pod";

/// Show a request: who asks, who decided, what is granted, and what can be done next
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The request: NAME, or accessrequest/NAME, namespacerequest/NAME, federation/NAME, delegation/NAME
    #[arg(value_name = "NAME")]
    target: Target,
    /// Print as YAML the pod, or the debugging container, that would be made for it
    #[arg(long)]
    pod: bool,
}

pub(crate) async fn run(args: Args, app: &App) -> Result<u8, Error> {
    let cluster = app.cluster().await?;
    match args.target.kind {
        Kind::Access if args.pod => pod(app, &cluster, &args.target).await,
        Kind::Access => describe::<AccessRequest>(app, &cluster, &args.target).await,
        Kind::Namespaces | Kind::Federation | Kind::Delegation if args.pod => {
            Err(Error::usage("no pod would be made for it"))
        }
        Kind::Namespaces => describe::<NamespaceRequest>(app, &cluster, &args.target).await,
        Kind::Federation => describe::<Federation>(app, &cluster, &args.target).await,
        Kind::Delegation => delegation::describe(app, &cluster, &args.target.name).await,
    }
}

async fn describe<R: Described>(app: &App, cluster: &Cluster, target: &Target) -> Result<u8, Error> {
    let request: R = named(cluster, target).await?;
    let (me, policy, events) =
        tokio::join!(cluster.whoami(), cluster.policy::<R>(request.policy()), events(cluster, &request));
    let policy = policy.ok();
    let mut page = Page::default();
    about(&mut page, &request);
    page.extend(terms(cluster, &request, policy.as_ref()).await.page);
    decisions(&mut page, &request, policy.as_ref());
    standing(&mut page, &request, cluster);
    if !events.is_empty() {
        page.heading("Events (whoever may write Events here can write these)");
        page.lines(events);
    }
    let mine = me.is_ok_and(|me| is_mine(&request, &me));
    let next = next(&request, policy.as_ref(), mine, cluster, &app.settings.repeat());
    if !next.is_empty() {
        page.heading("Next");
        page.lines(next);
    }
    app.printer.data(&page.text())?;
    Ok(exit::DONE)
}

async fn pod(app: &App, cluster: &Cluster, target: &Target) -> Result<u8, Error> {
    let request: AccessRequest = named(cluster, target).await?;
    let template = cluster.template(&request.spec.template).await?;
    let made = made(cluster, &request, &template).await?;
    app.printer.say(&made.what);
    app.printer.data(&yaml(&made.object)?)?;
    let offered = request.status.as_ref().map(|s| s.offer_digest.as_str()).unwrap_or_default();
    if !offered.is_empty() && offered != made.digest {
        app.printer.warn(
            "the controller has offered it otherwise: what it is made of has changed since, and approving is in vain",
        );
    }
    Ok(exit::DONE)
}

/// Lines of a description, each made safe to print.
#[derive(Debug, Default)]
pub(super) struct Page(Vec<String>);

/// Where the values begin.
const INDENT: usize = 12;

impl Page {
    pub(super) fn field(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.0.push(format!("{:<INDENT$}{}", format!("{name}:"), clean(value)));
        }
    }

    pub(super) fn heading(&mut self, name: &str) {
        self.0.push(format!("{name}:"));
    }

    pub(super) fn lines(&mut self, lines: impl IntoIterator<Item = String>) {
        self.0.extend(lines.into_iter().map(|line| format!("  {}", clean(&line))));
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(super) fn text(&self) -> String {
        self.0.join("\n")
    }
}

/// A kind of request, as it is shown.
pub(super) trait Described: Asked {
    /// What is its own.
    fn own_fields(&self, page: &mut Page);
    /// What the template or class lends, in a line.
    fn lends(policy: &Self::Policy) -> String;
    /// What would be granted.
    async fn offered(&self, cluster: &Cluster, policy: &Self::Policy) -> Page;
    /// How it is used once it is there, in lines to paste; `at` ends those of this program.
    fn used(&self, policy: Option<&Self::Policy>, at: &str) -> Vec<String>;
}

impl Described for AccessRequest {
    fn own_fields(&self, page: &mut Page) {
        let spec = &self.spec;
        page.field("Template", &spec.template);
        page.field("Pod", &spec.pod);
        page.field("Container", &spec.container);
        page.field("Memory", &spec.memory);
        page.field("Cores", &spec.cpu);
        page.field("Node", &spec.node);
        page.field("Image", &spec.image);
    }

    fn lends(policy: &AccessTemplate) -> String {
        format!("{}, of {}", lends(&policy.spec), of(&policy.spec))
    }

    async fn offered(&self, cluster: &Cluster, policy: &AccessTemplate) -> Page {
        offered(cluster, self, &policy.spec).await
    }

    fn used(&self, policy: Option<&AccessTemplate>, at: &str) -> Vec<String> {
        let shell = format!("oz shell {} {at}", self.name_any());
        let active = matches!(self.phase(), Phase::Approved | Phase::Active);
        let kubectl = if active { kubectl_lines(self, policy) } else { Vec::new() };
        std::iter::once(shell).chain(kubectl).collect()
    }
}

impl Described for NamespaceRequest {
    fn own_fields(&self, page: &mut Page) {
        let spec = &self.spec;
        page.field("Class", &spec.class);
        page.field("Namespaces", &spec.namespaces.join(", "));
        page.field("Owners", &spec.owners.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
        page.field(
            "Credential",
            &match spec.credential.kind {
                CredentialKind::Session => String::new(),
                CredentialKind::Requester => "the requester's own name".to_owned(),
                CredentialKind::Of => format!("that of nsreq/{}", spec.credential.name),
            },
        );
        let extends = &spec.extends.name;
        page.field("Extends", &if extends.is_empty() { String::new() } else { Self::KIND.target(extends) });
    }

    fn lends(policy: &NamespaceClass) -> String {
        format!("namespaces, owned by ClusterRole {}", policy.spec.role)
    }

    async fn offered(&self, _: &Cluster, _: &NamespaceClass) -> Page {
        told(self)
    }

    fn used(&self, _: Option<&NamespaceClass>, at: &str) -> Vec<String> {
        if self.phase() != Phase::Active {
            return Vec::new();
        }
        let mut lines = crate::session::namespace_lines(self, &[]);
        lines.insert(0, format!("oz kubeconfig update {at}"));
        lines.push(format!("oz extend {} --duration TIME {at}", self.name_any()));
        lines
    }
}

impl Described for Federation {
    fn own_fields(&self, page: &mut Page) {
        let spec = &self.spec;
        page.field("Partner", &spec.organization);
        page.field("Cluster", &spec.cluster);
        page.field("Class", &spec.class);
        page.field("Wants", &spec.namespace);
        page.field("Further", &spec.further.to_string());
        page.field("Reads by", &spec.cluster_role);
    }

    fn lends(policy: &NamespaceClass) -> String {
        format!("namespaces, owned by ClusterRole {}", policy.spec.role)
    }

    async fn offered(&self, _: &Cluster, _: &NamespaceClass) -> Page {
        told(self)
    }

    fn used(&self, _: Option<&NamespaceClass>, at: &str) -> Vec<String> {
        if self.phase() != Phase::Active {
            return Vec::new();
        }
        let target = self.target();
        vec![format!("oz kubeconfig export {target} {at} > FILE"), format!("oz rotate {target} {at}")]
    }
}

/// What would be granted, as the controller tells it.
fn told<R: Asked>(request: &R) -> Page {
    let mut page = Page::default();
    page.heading("Would be granted");
    match request.status().map(|s| s.offered.clone()).unwrap_or_default() {
        words if words.is_empty() => {
            page.lines(["Oz's controller has not looked at it yet: an approval would not count".to_owned()]);
        }
        words => page.lines(words),
    }
    page
}

/// Who asks for what, and why.
pub(super) fn about<R: Described>(page: &mut Page, request: &R) {
    page.field("Request", &request.name_any());
    page.field("Namespace", &request.namespace().unwrap_or_default());
    page.field("Requester", &request.requester().username);
    page.field("Reason", if request.reason().is_empty() { "(none given)" } else { request.reason() });
    request.own_fields(page);
}

/// What a decision would be about.
pub(super) struct TermsShown {
    /// In words.
    pub(super) page: Page,
    /// The template as it was shown.
    pub(super) pin: Option<TemplatePin>,
}

/// For how long and what exactly would be granted, as the template reads now.
pub(super) async fn terms<R: Described>(
    cluster: &Cluster,
    request: &R,
    policy: Option<&R::Policy>,
) -> TermsShown {
    let mut page = Page::default();
    let Some(policy) = policy else {
        page.field("Terms", &format!("you may not read the {}, or it is gone", R::UNDER));
        // What is offered is told by the request as well, and by what.
        let status = request.status().cloned().unwrap_or_default();
        if !status.offered.is_empty() && status.granted.is_empty() {
            page.heading("Would be granted");
            page.lines(status.offered);
        }
        return TermsShown { page, pin: status.offered_by };
    };
    let pin = TemplatePin {
        uid: policy.uid().unwrap_or_default(),
        generation: policy.meta().generation.unwrap_or_default(),
    };
    let default = request.duration().is_empty();
    page.field("Duration", if default { &policy.consent().duration.default } else { request.duration() });
    page.field("Lends", &R::lends(policy));
    let granted = request.status().is_some_and(|s| !s.granted.is_empty());
    if !granted && !request.phase().is_final() {
        page.extend(request.offered(cluster, policy).await);
    }
    TermsShown { page, pin: Some(pin) }
}

/// What would be granted: in the controller's words, which are those of the grant; where it has none yet, as this program
/// can tell by the same functions.
async fn offered(cluster: &Cluster, request: &AccessRequest, spec: &AccessTemplateSpec) -> Page {
    let mut page = Page::default();
    page.heading("Would be granted");
    let told = request.status.as_ref().map(|s| s.offered.clone()).unwrap_or_default();
    if !told.is_empty() && spec.role.is_some() {
        // Rule by rule, already.
        page.lines(told);
        return page;
    }
    let offer = offer(cluster, request, spec).await;
    page.lines(match &offer {
        _ if !told.is_empty() => told,
        Ok(offer) => offer.words.clone(),
        Err(unknown) => vec![unknown.to_string()],
    });
    let rules = offer.map(|offer| offer.rules).unwrap_or_default();
    if !rules.is_empty() {
        page.heading("As RBAC rules");
        page.lines(rules.iter().map(in_words));
    }
    page
}

fn decisions<R: Asked>(page: &mut Page, request: &R, policy: Option<&R::Policy>) {
    let decisions = request.decisions();
    let given = decisions.iter().filter(|d| d.decision == Verdict::Approve).count();
    if let Some(policy) = policy {
        page.field("Approvals", &format!("{given} of {}", policy.consent().approvals));
    }
    if !decisions.is_empty() {
        page.heading("Decisions");
        page.lines(decisions.iter().map(|d| {
            let word = match d.decision {
                Verdict::Approve => "approved",
                Verdict::Deny => "denied",
            };
            let why = if d.reason.is_empty() { String::new() } else { format!(": {}", d.reason) };
            format!("{} {word}{why}", d.by)
        }));
    }
}

fn standing<R: Asked>(page: &mut Page, request: &R, cluster: &Cluster) {
    let status = request.status().cloned().unwrap_or_default();
    let now = cluster.now();
    let at =
        |t: &Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>| t.as_ref().map(|t| stamp(t.0));
    page.field("Phase", request.phase().as_str());
    page.field("Starting", starting(request).filter(|_| !request.phase().is_final()).unwrap_or_default());
    if let Some(ended) = outcome(request) {
        page.field("Ended", &format!("{} ({ended})", at(&status.ended_at).unwrap_or_default()));
    }
    let created = request.meta().creation_timestamp.as_ref();
    let age = created.map(|t| format!("{} ({} ago)", stamp(t.0), human(now.duration_since(t.0))));
    page.field("Asked", &age.unwrap_or_default());
    page.field("Approved", &at(&status.approved_at).unwrap_or_default());
    let expires = at(&status.expires_at).map(|t| format!("{t} ({})", ends(request, now)));
    page.field("Expires", &expires.unwrap_or_default());
    page.field("Deleted", &at(&status.delete_after).map(|t| format!("after {t}")).unwrap_or_default());
    page.field(
        "In pod",
        &[status.pod.as_str(), status.container.as_str()].join(" ").trim().replace(' ', ", container "),
    );
    page.field("Lent", &status.namespaces.iter().map(|n| n.name.as_str()).collect::<Vec<_>>().join(", "));
    page.field("Account", &status.account);
    if status.rotations > 0 {
        page.field("Rotations", &status.rotations.to_string());
    }
    page.field("Grant", &status.grant);
    if !status.granted.is_empty() {
        page.heading("Granted");
        page.lines(status.granted.clone());
    }
    if !status.conditions.is_empty() {
        page.heading("Conditions");
        page.lines(status.conditions.iter().map(|c| {
            let message = if c.message.is_empty() { String::new() } else { format!(": {}", c.message) };
            format!("{}={} {}{message}", c.type_, c.status, c.reason)
        }));
    }
    let timings: Vec<String> = status.timings.iter().map(|(step, ms)| format!("{step} {ms} ms")).collect();
    page.field("Timings", &timings.join(", "));
}

/// What was noted about the request; nothing where that may not be read.
async fn events<R: Resource<DynamicType = ()>>(cluster: &Cluster, request: &R) -> Vec<String> {
    // Those on what is in no namespace are kept in `default`.
    let namespace = request.namespace().unwrap_or_else(|| "default".to_owned());
    let api: Api<Event> = Api::namespaced(cluster.client.clone(), &namespace);
    let only = format!("involvedObject.uid={}", request.uid().unwrap_or_default());
    let Ok(list) = cluster.call("list events", api.list(&ListParams::default().fields(&only))).await else {
        return Vec::new();
    };
    let time = |e: &Event| {
        let series = e.event_time.as_ref().map(|t| t.0);
        series
            .or_else(|| e.last_timestamp.as_ref().map(|t| t.0))
            .or_else(|| e.metadata.creation_timestamp.as_ref().map(|t| t.0))
    };
    let mut events = list.items;
    events.sort_by_key(time);
    events
        .iter()
        .map(|e| {
            let age = time(e).map(|t| human(cluster.now().duration_since(t))).unwrap_or_default();
            let text = |t: &Option<String>| t.clone().unwrap_or_default();
            format!("{age} ago  {}  {}  {}", text(&e.type_), text(&e.reason), text(&e.message))
        })
        .collect()
}

fn next<R: Described>(
    request: &R,
    policy: Option<&R::Policy>,
    mine: bool,
    cluster: &Cluster,
    repeat: &str,
) -> Vec<String> {
    let target = request.target();
    let at = format!("-n {}{repeat}", request.namespace().unwrap_or_else(|| cluster.namespace.clone()));
    let mut lines = match (request.phase(), mine) {
        (Phase::Pending | Phase::Approved | Phase::Active, true) => request.used(policy, &at),
        _ => Vec::new(),
    };
    match (request.phase(), mine) {
        (Phase::Pending | Phase::Approved | Phase::Active, true) => {
            lines.insert(lines.len().min(1), format!("oz release {target} {at}"));
        }
        (Phase::Pending, false) => {
            lines.extend([format!("oz approve {target} {at}"), format!("oz deny {target} {at}")]);
        }
        (Phase::Approved | Phase::Active, false) => lines.push(format!("oz revoke {target} {at}")),
        (_, true) => lines.push(format!("{} {at}", request.again())),
        (_, false) => {}
    }
    lines
}
