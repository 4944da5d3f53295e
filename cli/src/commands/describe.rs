//! `oz describe`

use k8s_openapi::api::core::v1::Event;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use oz_shared::Request as _;
use oz_shared::request::{TemplatePin, Verdict};
use oz_shared::role::in_words;
use oz_shared::{AccessRequest, AccessTemplate, AccessTemplateSpec, Phase};

use crate::app::App;
use crate::duration::human;
use crate::error::Error;
use crate::exit;
use crate::kube::{Cluster, is_mine, made, offer, outcome};
use crate::output::{clean, ends, lends, of, stamp, yaml};
use crate::session::kubectl_lines;
use crate::target::Target;
use crate::waiting::starting;

const EXAMPLES: &str = "\
Examples:
  oz describe access-request-api-exec-7k2pd

  # The pod that would be made for it, whole
  oz describe access-request-db-shell-4mz0q --pod";

/// Show a request: who asks, who decided, what is granted, and what can be done next
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The request: NAME, or accessrequest/NAME
    #[arg(value_name = "NAME")]
    target: Target,
    /// Print as YAML the pod, or the debugging container, that would be made for it
    #[arg(long)]
    pod: bool,
}

pub(crate) async fn run(args: Args, app: &App) -> Result<u8, Error> {
    let cluster = app.cluster().await?;
    let request = cluster.request(&args.target.name).await?;
    let (me, template, events) =
        tokio::join!(cluster.whoami(), cluster.template(&request.spec.template), events(&cluster, &request));
    if args.pod {
        return pod(app, &cluster, &request, &template?).await;
    }
    let template = template.ok();
    let mut page = Page::default();
    about(&mut page, &request);
    page.extend(terms(&cluster, &request, template.as_ref()).await.page);
    decisions(&mut page, &request, template.as_ref());
    standing(&mut page, &request, &cluster);
    if !events.is_empty() {
        page.heading("Events (whoever may write Events here can write these)");
        page.lines(events);
    }
    let mine = me.is_ok_and(|me| is_mine(&request, &me));
    let next = next(&request, template.as_ref(), mine, &cluster, &app.settings.repeat());
    if !next.is_empty() {
        page.heading("Next");
        page.lines(next);
    }
    app.printer.data(&page.text())?;
    Ok(exit::DONE)
}

async fn pod(
    app: &App,
    cluster: &Cluster,
    request: &AccessRequest,
    template: &AccessTemplate,
) -> Result<u8, Error> {
    let made = made(cluster, request, template).await?;
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

/// Who asks for what, and why.
pub(super) fn about(page: &mut Page, request: &AccessRequest) {
    let spec = &request.spec;
    page.field("Request", &request.name_any());
    page.field("Namespace", &request.namespace().unwrap_or_default());
    page.field("Requester", &spec.requester.username);
    page.field("Reason", if spec.reason.is_empty() { "(none given)" } else { &spec.reason });
    page.field("Template", &spec.template);
    page.field("Pod", &spec.pod);
    page.field("Container", &spec.container);
    page.field("Memory", &spec.memory);
    page.field("Cores", &spec.cpu);
    page.field("Node", &spec.node);
    page.field("Image", &spec.image);
}

/// What a decision would be about.
pub(super) struct TermsShown {
    /// In words.
    pub(super) page: Page,
    /// The template as it was shown.
    pub(super) pin: Option<TemplatePin>,
}

/// For how long and what exactly would be granted, as the template reads now.
pub(super) async fn terms(
    cluster: &Cluster,
    request: &AccessRequest,
    template: Option<&AccessTemplate>,
) -> TermsShown {
    let mut page = Page::default();
    let Some(template) = template else {
        page.field("Terms", "the template cannot be read, or is gone");
        return TermsShown { page, pin: None };
    };
    let pin = TemplatePin {
        uid: template.uid().unwrap_or_default(),
        generation: template.metadata.generation.unwrap_or_default(),
    };
    let spec = &template.spec;
    let default = request.spec.duration.is_empty();
    page.field("Duration", if default { &spec.duration.default } else { &request.spec.duration });
    page.field("Lends", &format!("{}, of {}", lends(spec), of(spec)));
    let granted = request.status.as_ref().is_some_and(|s| !s.granted.is_empty());
    if !granted && !request.phase().is_final() {
        page.extend(offered(cluster, request, spec).await);
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

fn decisions(page: &mut Page, request: &AccessRequest, template: Option<&AccessTemplate>) {
    let spec = &request.spec;
    let given = spec.decisions.iter().filter(|d| d.decision == Verdict::Approve).count();
    if let Some(template) = template {
        page.field("Approvals", &format!("{given} of {}", template.spec.approvals));
    }
    if !spec.decisions.is_empty() {
        page.heading("Decisions");
        page.lines(spec.decisions.iter().map(|d| {
            let word = match d.decision {
                Verdict::Approve => "approved",
                Verdict::Deny => "denied",
            };
            let why = if d.reason.is_empty() { String::new() } else { format!(": {}", d.reason) };
            format!("{} {word}{why}", d.by)
        }));
    }
}

fn standing(page: &mut Page, request: &AccessRequest, cluster: &Cluster) {
    let status = request.status.clone().unwrap_or_default();
    let now = cluster.now();
    let at =
        |t: &Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>| t.as_ref().map(|t| stamp(t.0));
    page.field("Phase", request.phase().as_str());
    page.field("Starting", starting(request).filter(|_| !request.phase().is_final()).unwrap_or_default());
    if let Some(ended) = outcome(request) {
        page.field("Ended", &format!("{} ({ended})", at(&status.ended_at).unwrap_or_default()));
    }
    let created = request.metadata.creation_timestamp.as_ref();
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
    page.field("Account", &status.account);
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
async fn events(cluster: &Cluster, request: &AccessRequest) -> Vec<String> {
    let namespace = request.namespace().unwrap_or_else(|| cluster.namespace.clone());
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

fn next(
    request: &AccessRequest,
    template: Option<&AccessTemplate>,
    mine: bool,
    cluster: &Cluster,
    repeat: &str,
) -> Vec<String> {
    let name = request.name_any();
    let at = format!("-n {}{repeat}", request.namespace().unwrap_or_else(|| cluster.namespace.clone()));
    match (request.phase(), mine) {
        (Phase::Pending, true) => vec![format!("oz shell {name} {at}"), format!("oz release {name} {at}")],
        (Phase::Pending, false) => vec![format!("oz approve {name} {at}"), format!("oz deny {name} {at}")],
        (Phase::Approved | Phase::Active, true) => {
            let mut lines = vec![format!("oz shell {name} {at}"), format!("oz release {name} {at}")];
            lines.extend(kubectl_lines(request, template));
            lines
        }
        (Phase::Approved | Phase::Active, false) => vec![format!("oz revoke {name} {at}")],
        (_, true) => vec![format!("oz access-request {} {at}", request.spec.template)],
        (_, false) => Vec::new(),
    }
}
