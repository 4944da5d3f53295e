//! `oz check`

use std::time::Duration;

use jiff::SignedDuration;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, Subject};
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use oz_shared::names::{CEILING_ROLE, SYSTEM_NAMESPACE};
use serde::Serialize;
use serde_json::Value;

use crate::app::App;
use crate::duration::human;
use crate::error::Error;
use crate::exit;
use crate::installation::{
    self, Answer, CONTROLLER_NAME, Choices, OLDEST, Right, SESSIONS_POLICY, Standing, name_of,
};
use crate::kube::{Cluster, Fault};
use crate::output::{Table, clean, json_safe};

/// Deadlines are whole seconds, and an answer's date is too: below this nobody notices.
const SKEW: SignedDuration = SignedDuration::from_secs(5);
/// A holder renews its lease long before it ends.
const RENEWAL: SignedDuration = SignedDuration::from_secs(5);
/// How every detail begins that tells of a missing right.
const NOT_YOURS: &str = "you may not";
/// The one that is told of most objects.
const NOT_YOURS_TO_SEE: &str = "you may not see this";
/// More subjects than this are counted, not named.
const NAMED: usize = 6;
/// Enough answers for the clock to be known to a fraction of a second: their dates have whole ones.
const CLOCK_ANSWERS: usize = 4;

const EXAMPLES: &str = "\
Examples:
  oz check
  oz check -n shop
  oz check -o json | jq '.checks[] | select(.result != \"ok\")'

Ends with 0 unless a check failed, and with 8 if one did. A warning is no failure, and neither is what you
may not see: an administrator sees all.";

/// See whether Oz is whole, in force and working, and what it could hand out
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// How to print it
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: As,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum As {
    /// For people
    Table,
    /// For people, with a line for each object
    Wide,
    /// For programs
    Json,
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Ok,
    Warning,
    Failed,
    /// This user may not see it.
    Unknown,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Check {
    /// What is checked: one of a fixed set of words.
    check: &'static str,
    /// Which object, where there are several.
    #[serde(skip_serializing_if = "String::is_empty")]
    object: String,
    result: Outcome,
    /// What was found.
    detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "String::is_empty")]
    remedy: String,
}

impl Check {
    fn new(check: &'static str, result: Outcome, detail: impl Into<String>) -> Self {
        Self { check, object: String::new(), result, detail: detail.into(), remedy: String::new() }
    }

    fn about(mut self, object: impl Into<String>) -> Self {
        self.object = object.into();
        self
    }

    fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }

    /// The API server refuses to show it, or it cannot be read.
    fn unseen(check: &'static str, fault: &Fault) -> Self {
        match fault.code() {
            Some(403) => Self::new(check, Outcome::Unknown, NOT_YOURS_TO_SEE),
            _ => Self::new(check, Outcome::Failed, fault.to_string()),
        }
    }
}

/// All that was found out; the shape of `-o json`.
#[derive(Debug, Default, Serialize)]
struct Report {
    checks: Vec<Check>,
    /// Where Oz may lend.
    namespaces: Vec<String>,
    /// What Oz could hand out there, in words.
    ceiling: Vec<String>,
}

pub(crate) async fn run(args: Args, app: &App) -> Result<u8, Error> {
    let cluster = app.cluster().await?;
    let mut report = Report::default();
    // The first question: where it cannot be asked, neither can the rest.
    let version = installation::server_version(&cluster).await?;
    report.checks.push(server(&version));
    report.checks.push(clock(&cluster).await);
    match served(&cluster).await {
        Ok(()) => installed(app, &cluster, &mut report).await?,
        Err(missing) => report.checks.push(missing),
    }
    print(&args, app, &report)?;
    let failed = report.checks.iter().filter(|c| c.result == Outcome::Failed).count();
    if failed > 0 {
        let words = if failed == 1 { "1 check failed".to_owned() } else { format!("{failed} checks failed") };
        return Err(Error::new(exit::NOT_READY, words));
    }
    if report.checks.iter().any(|c| c.result == Outcome::Unknown && c.detail.starts_with(NOT_YOURS)) {
        app.printer.say(
            "What is unknown takes rights that you do not have; an administrator of the cluster sees all.",
        );
    }
    Ok(exit::DONE)
}

async fn installed(app: &App, cluster: &Cluster, report: &mut Report) -> Result<(), Error> {
    let checks = &mut report.checks;
    let objects = as_shipped(cluster).await?;
    for (kind, check, fields) in [
        ("CustomResourceDefinition", "kinds", &["spec"][..]),
        ("ValidatingAdmissionPolicy", "policies", &["spec"]),
        ("ValidatingAdmissionPolicyBinding", "bindings", &["spec"]),
        ("ClusterRole", "rights", &["rules", "aggregationRule"]),
        ("ClusterRoleBinding", "rights", &["roleRef", "subjects"]),
        ("Role", "rights", &["rules"]),
        ("RoleBinding", "rights", &["roleRef", "subjects"]),
    ] {
        for object in objects.iter().filter(|o| o["kind"] == kind) {
            checks.push(shipped(cluster, check, object, fields).await?);
        }
    }
    checks.push(audience(cluster, &objects).await);
    for (policy, answer) in installation::probe(cluster, &app.settings).await? {
        checks.push(gate(policy, answer));
    }
    checks.push(controller(cluster).await);
    checks.push(lease(cluster).await);
    checks.push(you(cluster).await?);
    let (namespaces, found) = namespaces(cluster).await;
    report.namespaces = namespaces;
    checks.extend(found);
    let (words, found) = ceiling(cluster).await;
    report.ceiling = words;
    checks.extend(found);
    checks.push(home(cluster).await);
    Ok(())
}

fn server((major, minor, version): &(u32, u32, String)) -> Check {
    match (*major, *minor) < OLDEST {
        true => Check::new("server", Outcome::Failed, format!("Kubernetes {version} cannot keep the gate"))
            .remedy(format!("Kubernetes {}.{} or newer", OLDEST.0, OLDEST.1)),
        false => Check::new("server", Outcome::Ok, format!("Kubernetes {version}")),
    }
}

async fn clock(cluster: &Cluster) -> Check {
    for _ in 0..CLOCK_ANSWERS {
        let _ = installation::server_version(cluster).await;
        tokio::time::sleep(Duration::from_millis(120)).await;
    }
    let skew = cluster.clock.skew();
    let words = match skew.is_zero() {
        true => "this machine's clock and the API server's agree".to_owned(),
        false => {
            let way = if skew.is_positive() { "behind" } else { "ahead of" };
            format!("this machine's clock is about {} {way} the API server's", human(skew.abs()))
        }
    };
    match skew.abs() > SKEW {
        true => Check::new("clock", Outcome::Warning, words)
            .remedy("the API server's counts; set this machine's, by NTP"),
        false => Check::new("clock", Outcome::Ok, words),
    }
}

/// Everyone may ask which kinds an API server serves.
async fn served(cluster: &Cluster) -> Result<(), Check> {
    let version = format!("{}/{}", oz_shared::GROUP, oz_shared::VERSION);
    match cluster.call("ask for Oz's kinds", cluster.client.list_api_group_resources(&version)).await {
        Ok(_) => Ok(()),
        Err(fault) if fault.code() == Some(404) => {
            Err(Check::new("kinds", Outcome::Failed, format!("{version} is not served: Oz is not installed"))
                .remedy("oz install"))
        }
        Err(fault) => Err(Check::new("kinds", Outcome::Failed, fault.to_string())),
    }
}

/// What should be there, for the audience that the cluster's policy names.
async fn as_shipped(cluster: &Cluster) -> Result<Vec<Value>, Error> {
    let default = installation::objects(&Choices::default())?;
    let is_sessions =
        |o: &&Value| o["kind"] == "ValidatingAdmissionPolicy" && o["metadata"]["name"] == SESSIONS_POLICY;
    let policy = default.iter().map(|(_, o)| o).find(is_sessions);
    let live = match policy {
        Some(policy) => installation::find(cluster, policy).await.ok().flatten(),
        None => None,
    };
    let audiences = live.map(|live| installation::audiences_of(&live)).unwrap_or_default();
    // An audience that no install puts in counts as a difference.
    let objects = installation::objects(&Choices { audiences, ..Choices::default() }).unwrap_or(default);
    Ok(objects.into_iter().map(|(_, object)| object).collect())
}

async fn shipped(
    cluster: &Cluster,
    check: &'static str,
    object: &Value,
    fields: &[&str],
) -> Result<Check, Fault> {
    // What is aggregated is what others add: the ceiling has a check of its own.
    let fields = if object["aggregationRule"].is_null() { fields } else { &["aggregationRule"] };
    let standing = installation::standing(cluster, object, fields).await?;
    let mut found = judge(check, standing).about(name_of(object));
    if found.result == Outcome::Ok && check == "policies" {
        let live = installation::find(cluster, object).await?.unwrap_or_default();
        let warnings = live["status"]["typeChecking"]["expressionWarnings"].as_array().map_or(0, Vec::len);
        if warnings > 0 {
            let detail = format!("the API server does not understand {warnings} of its expressions");
            found = Check::new(check, Outcome::Failed, detail).about(name_of(object));
        }
    }
    Ok(found)
}

fn judge(check: &'static str, standing: Standing) -> Check {
    match standing {
        Standing::Same => Check::new(check, Outcome::Ok, "as shipped with this program"),
        Standing::Missing => Check::new(check, Outcome::Failed, "is missing").remedy("oz install"),
        Standing::Going => {
            Check::new(check, Outcome::Failed, "is being deleted").remedy("oz install, once it is gone")
        }
        Standing::Differs(paths) => Check::new(
            check,
            Outcome::Failed,
            format!("is not as shipped with this program: {}", paths.join(", ")),
        )
        .remedy("oz install puts it right; or use the oz that it was installed with"),
        Standing::Hidden => Check::new(check, Outcome::Unknown, NOT_YOURS_TO_SEE),
    }
}

/// A session's token is for the API server's own audience: the policy must name what the API server has.
async fn audience(cluster: &Cluster, objects: &[Value]) -> Check {
    let policy = objects
        .iter()
        .find(|o| o["kind"] == "ValidatingAdmissionPolicy" && o["metadata"]["name"] == SESSIONS_POLICY);
    let mut named = policy.map(installation::audiences_of).unwrap_or_default();
    match installation::audiences(cluster, SYSTEM_NAMESPACE).await {
        Ok(mut own) => {
            own.sort();
            named.sort();
            match own == named {
                true => Check::new("audience", Outcome::Ok, own.join(", ")),
                false => Check::new(
                    "audience",
                    Outcome::Failed,
                    format!(
                        "the API server has {}, policy {SESSIONS_POLICY} names {}",
                        own.join(", "),
                        named.join(", ")
                    ),
                )
                .remedy("oz install, or nobody can mint a token"),
            }
        }
        Err(fault) => Check::unseen("audience", &fault),
    }
}

fn gate(policy: &str, answer: Answer) -> Check {
    match answer {
        Answer::Refused => Check::new("gate", Outcome::Ok, "refuses what it must"),
        Answer::Open(why) => {
            Check::new("gate", Outcome::Failed, why).remedy("oz install; nothing is granted meanwhile")
        }
        Answer::Unknown(why) => Check::new("gate", Outcome::Unknown, why),
    }
    .about(policy)
}

async fn controller(cluster: &Cluster) -> Check {
    let api: Api<Deployment> = Api::namespaced(cluster.client.clone(), SYSTEM_NAMESPACE);
    match cluster.call("read the Deployment", api.get(CONTROLLER_NAME)).await {
        Ok(deployment) => {
            let words =
                format!("{}, {}", installation::counts(&deployment), installation::image(&deployment));
            let available = deployment.status.as_ref().and_then(|s| s.available_replicas).unwrap_or(0);
            let events = format!("kubectl get pods,events -n {SYSTEM_NAMESPACE}");
            match (installation::is_complete(&deployment), available) {
                (true, 1..) => Check::new("controller", Outcome::Ok, words),
                (_, 1..) => Check::new("controller", Outcome::Warning, words).remedy(events),
                _ => Check::new(
                    "controller",
                    Outcome::Failed,
                    format!("{words}: nothing is granted, and ends by itself only"),
                )
                .remedy(events),
            }
        }
        Err(fault) if fault.code() == Some(404) => {
            Check::new("controller", Outcome::Failed, "is missing").remedy("oz install")
        }
        Err(fault) => Check::unseen("controller", &fault),
    }
}

async fn lease(cluster: &Cluster) -> Check {
    let api: Api<Lease> = Api::namespaced(cluster.client.clone(), SYSTEM_NAMESPACE);
    let lease = match cluster.call("read the lease", api.get(CONTROLLER_NAME)).await {
        Ok(lease) => lease,
        Err(fault) if fault.code() == Some(404) => {
            return Check::new("lease", Outcome::Failed, "no controller has ever held the lease")
                .remedy("oz check again in a while");
        }
        Err(fault) => return Check::unseen("lease", &fault),
    };
    let spec = lease.spec.unwrap_or_default();
    let (holder, renewed) = (spec.holder_identity.unwrap_or_default(), spec.renew_time.map(|t| t.0));
    let length = SignedDuration::from_secs(spec.lease_duration_seconds.unwrap_or(0).into());
    let age = renewed.map(|t| cluster.now().duration_since(t));
    judge_lease(&holder, age, length)
}

fn judge_lease(holder: &str, age: Option<SignedDuration>, length: SignedDuration) -> Check {
    let pods = format!("kubectl logs -n {SYSTEM_NAMESPACE} deployment/{CONTROLLER_NAME}");
    match age {
        _ if holder.is_empty() => {
            Check::new("lease", Outcome::Failed, "nobody holds it: no controller works").remedy(pods)
        }
        Some(age) if age <= length + RENEWAL => {
            Check::new("lease", Outcome::Ok, format!("held by {holder}, renewed {} ago", human(age)))
        }
        Some(age) => Check::new(
            "lease",
            Outcome::Failed,
            format!("held by {holder}, last renewed {} ago: no controller works", human(age)),
        )
        .remedy(pods),
        None => Check::new("lease", Outcome::Failed, format!("held by {holder}, never renewed")).remedy(pods),
    }
}

/// What this user may do with Oz, here.
async fn you(cluster: &Cluster) -> Result<Check, Fault> {
    let me = cluster.whoami().await?;
    let namespace = cluster.namespace.as_str();
    let right = |verb, resource: &str, namespace: &str| Right {
        verb,
        group: oz_shared::GROUP.to_owned(),
        resource: resource.to_owned(),
        namespace: namespace.to_owned(),
    };
    let rights = [
        ("ask", right("request", "accesstemplates", namespace)),
        ("approve", right("approve", "accesstemplates", namespace)),
        ("revoke", right("revoke", "accesstemplates", namespace)),
        ("write templates", right("create", "accesstemplates", namespace)),
        ("read all grants", right("list", "grants", "")),
    ];
    let missing =
        installation::missing_rights(cluster, rights.iter().map(|(_, r)| r.clone()).collect()).await?;
    let (no, yes): (Vec<_>, Vec<_>) = rights.iter().partition(|(_, r)| missing.contains(r));
    let words = |list: &[&(&str, Right)]| list.iter().map(|(what, _)| *what).collect::<Vec<_>>().join(", ");
    let detail = match (yes.is_empty(), no.is_empty()) {
        (true, _) => format!(
            "{} may do nothing with all templates of {namespace}; single ones: oz templates",
            clean(&me.username)
        ),
        (false, true) => format!("{} may, in {namespace}, {}", clean(&me.username), words(&yes)),
        (false, false) => {
            format!("{} may, in {namespace}, {}; not: {}", clean(&me.username), words(&yes), words(&no))
        }
    };
    Ok(Check::new("you", Outcome::Ok, detail))
}

async fn namespaces(cluster: &Cluster) -> (Vec<String>, Vec<Check>) {
    let enabled = match installation::enabled(cluster).await {
        Ok(enabled) => enabled,
        Err(fault) => return (Vec::new(), vec![Check::unseen("namespaces", &fault)]),
    };
    let whole: Vec<String> =
        enabled.iter().filter(|e| e.missing.is_empty()).map(|e| e.namespace.clone()).collect();
    let mut checks = vec![match whole.is_empty() {
        true => {
            Check::new("namespaces", Outcome::Warning, "Oz may lend nowhere").remedy("oz enable NAMESPACE")
        }
        false => Check::new("namespaces", Outcome::Ok, format!("Oz may lend in {}", whole.join(", "))),
    }];
    for half in enabled.iter().filter(|e| !e.missing.is_empty()) {
        let detail = format!("{} has no RoleBinding {}", half.namespace, half.missing.join(", "));
        checks.push(
            Check::new("namespaces", Outcome::Warning, detail)
                .about(half.namespace.clone())
                .remedy(format!("oz enable {}", half.namespace)),
        );
    }
    (whole, checks)
}

async fn ceiling(cluster: &Cluster) -> (Vec<String>, Vec<Check>) {
    let api: Api<ClusterRole> = Api::all(cluster.client.clone());
    let rules = match cluster.call("read the ceiling", api.get(CEILING_ROLE)).await {
        Ok(role) => role.rules.unwrap_or_default(),
        Err(fault) if fault.code() == Some(404) => {
            let missing =
                Check::new("ceiling", Outcome::Failed, format!("there is no ClusterRole {CEILING_ROLE}"));
            return (Vec::new(), vec![missing.remedy("oz install")]);
        }
        Err(fault) => return (Vec::new(), vec![Check::unseen("ceiling", &fault)]),
    };
    let words = installation::in_words(&rules);
    let mut checks = vec![match words.is_empty() {
        true => Check::new("ceiling", Outcome::Failed, "Oz can hand out nothing").remedy("oz install"),
        false => Check::new("ceiling", Outcome::Ok, format!("Oz could hand out: {}", words.join("; "))),
    }];
    for power in installation::lasting(&rules) {
        checks.push(
            Check::new("ceiling", Outcome::Warning, format!("outlasts any loan: {power}"))
                .remedy("kubectl get clusterrole -l ozaccess.io/ceiling=true shows where it comes from"),
        );
    }
    (words, checks)
}

/// Who may write in the controller's namespace may become the controller.
async fn home(cluster: &Cluster) -> Check {
    match powerful_at_home(cluster).await {
        Ok(found) if found.is_empty() => {
            Check::new("oz-system", Outcome::Ok, "nobody but Oz and Kubernetes' own may write there")
        }
        Ok(found) => {
            let more = if found.len() > NAMED {
                format!(" and {} more", found.len() - NAMED)
            } else {
                String::new()
            };
            let named = found.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
            Check::new("oz-system", Outcome::Warning, format!("could become the controller: {named}{more}"))
                .remedy("give nobody rights in oz-system, also not cluster-wide")
        }
        Err(fault) => Check::unseen("oz-system", &fault),
    }
}

async fn powerful_at_home(cluster: &Cluster) -> Result<Vec<String>, Fault> {
    let params = ListParams::default();
    let client = &cluster.client;
    let (cluster_roles, cluster_bindings) =
        (Api::<ClusterRole>::all(client.clone()), Api::<ClusterRoleBinding>::all(client.clone()));
    let (roles, bindings) = (
        Api::<Role>::namespaced(client.clone(), SYSTEM_NAMESPACE),
        Api::<RoleBinding>::namespaced(client.clone(), SYSTEM_NAMESPACE),
    );
    let cluster_roles = cluster.call("list ClusterRoles", cluster_roles.list(&params)).await?.items;
    let cluster_bindings =
        cluster.call("list ClusterRoleBindings", cluster_bindings.list(&params)).await?.items;
    let roles = cluster.call("list Roles", roles.list(&params)).await?.items;
    let bindings = cluster.call("list RoleBindings", bindings.list(&params)).await?.items;

    let rules = |kind: &str, name: &str| -> Vec<PolicyRule> {
        let rules = match kind {
            "Role" => roles.iter().find(|r| r.name_any() == name).and_then(|r| r.rules.clone()),
            _ => cluster_roles.iter().find(|r| r.name_any() == name).and_then(|r| r.rules.clone()),
        };
        rules.unwrap_or_default()
    };
    let mut found = Vec::new();
    for binding in &cluster_bindings {
        let role = &binding.role_ref;
        found.extend(strangers(&rules(&role.kind, &role.name), binding.subjects.as_deref(), &role.name));
    }
    for binding in &bindings {
        let role = &binding.role_ref;
        found.extend(strangers(&rules(&role.kind, &role.name), binding.subjects.as_deref(), &role.name));
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// Subjects of a binding that are neither Kubernetes' own nor Oz, where the role lets them become the controller.
fn strangers(rules: &[PolicyRule], subjects: Option<&[Subject]>, role: &str) -> Vec<String> {
    if installation::lasting(rules).is_empty() && !rules.iter().any(execs) {
        return Vec::new();
    }
    let own = |s: &&Subject| {
        installation::controller_subject(s)
            || (s.kind == "ServiceAccount" && s.namespace.as_deref() == Some("kube-system"))
            || (s.kind != "ServiceAccount"
                && s.name.starts_with("system:")
                && !FOR_ALL.contains(&s.name.as_str()))
    };
    let name = |s: &Subject| match &s.namespace {
        Some(namespace) => format!("{} {namespace}/{} ({role})", s.kind, s.name),
        None => format!("{} {} ({role})", s.kind, s.name),
    };
    subjects.unwrap_or_default().iter().filter(|s| !own(s)).map(name).collect()
}

/// Groups of Kubernetes' that hold everybody.
const FOR_ALL: [&str; 4] =
    ["system:authenticated", "system:unauthenticated", "system:serviceaccounts", "system:anonymous"];

fn execs(rule: &PolicyRule) -> bool {
    rule.resources.iter().flatten().any(|r| r == "pods/exec" || r == "pods/attach")
        && rule.resource_names.as_deref().unwrap_or_default().is_empty()
        && rule.verbs.iter().any(|v| v == "create" || v == "get")
}

fn print(args: &Args, app: &App, report: &Report) -> Result<(), Error> {
    match args.output {
        As::Json => {
            let text = serde_json::to_string_pretty(report)
                .map_err(|e| Error::internal(format!("failed to write the report: {e}")))?;
            app.printer.data(&json_safe(&text))
        }
        how => {
            let rows = rows(&report.checks, how == As::Wide);
            app.printer.data(&Table::new(&["CHECK", "RESULT", "DETAIL"]).whole(&rows))
        }
    }
}

/// What is well, or unknown for one reason, is one line a check; everything else is a line for each object.
fn rows(checks: &[Check], wide: bool) -> Vec<Vec<String>> {
    let row = |check: &Check| {
        let about = if check.object.is_empty() { String::new() } else { format!("{}: ", check.object) };
        let remedy = if check.remedy.is_empty() { String::new() } else { format!(" -> {}", check.remedy) };
        vec![
            check.check.to_owned(),
            word(check.result).to_owned(),
            format!("{about}{}{remedy}", check.detail),
        ]
    };
    let mut rows = Vec::new();
    for (index, check) in checks.iter().enumerate() {
        let alike = |c: &&Check| {
            c.check == check.check
                && c.result == check.result
                && c.detail == check.detail
                && !c.object.is_empty()
        };
        let count = checks.iter().filter(alike).count();
        let collapses = !wide && count > 1 && matches!(check.result, Outcome::Ok | Outcome::Unknown);
        if !collapses {
            rows.push(row(check));
        } else if !checks[..index].iter().any(|c| alike(&c)) {
            let all = checks.iter().filter(|c| c.check == check.check).count();
            let of = if count == all { format!("all {all}") } else { format!("{count} of {all}") };
            rows.push(vec![
                check.check.to_owned(),
                word(check.result).to_owned(),
                format!("{of}: {}", check.detail),
            ]);
        }
    }
    rows
}

const fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "ok",
        Outcome::Warning => "warning",
        Outcome::Failed => "failed",
        Outcome::Unknown => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_old_server_fails() {
        assert_eq!(server(&(1, 29, "v1.29.3".to_owned())).result, Outcome::Failed);
        assert_eq!(server(&(1, 30, "v1.30.0".to_owned())).result, Outcome::Ok);
        assert_eq!(server(&(2, 0, "v2".to_owned())).result, Outcome::Ok);
    }

    #[test]
    fn a_lease_counts_while_it_is_fresh() {
        let seconds = SignedDuration::from_secs;
        let judge = |holder, age: Option<i64>| judge_lease(holder, age.map(seconds), seconds(15)).result;
        assert_eq!(judge("a", Some(7)), Outcome::Ok);
        assert_eq!(judge("a", Some(-1)), Outcome::Ok);
        for (holder, age) in [("a", Some(60)), ("", Some(1)), ("a", None)] {
            assert_eq!(judge(holder, age), Outcome::Failed, "{holder} {age:?}");
        }
    }

    #[test]
    fn what_is_well_is_one_line_and_what_is_not_is_named() {
        let ok = |name: &str| Check::new("policies", Outcome::Ok, "as shipped").about(name);
        let bad = Check::new("policies", Outcome::Failed, "is missing").about("P c").remedy("oz install");
        let checks = [ok("P a"), ok("P b"), bad, Check::new("server", Outcome::Ok, "Kubernetes v1")];
        let lines: Vec<String> = rows(&checks, false).into_iter().map(|r| r.join(" | ")).collect();
        assert_eq!(
            lines,
            [
                "policies | ok | 2 of 3: as shipped",
                "policies | failed | P c: is missing -> oz install",
                "server | ok | Kubernetes v1",
            ]
        );
        assert_eq!(rows(&checks, true).len(), 4);
    }

    #[test]
    fn the_report_for_programs() {
        let checks = vec![Check::new("gate", Outcome::Unknown, "you may not ask it").about("oz-guard")];
        let report = Report { checks, namespaces: vec!["shop".to_owned()], ceiling: Vec::new() };
        assert_eq!(
            serde_json::to_value(report).unwrap(),
            json!({
                "checks": [{"check": "gate", "object": "oz-guard", "result": "unknown", "detail": "you may not ask it"}],
                "namespaces": ["shop"],
                "ceiling": [],
            })
        );
    }

    #[test]
    fn who_could_become_the_controller() {
        let rules = |value: Value| serde_json::from_value::<Vec<PolicyRule>>(value).unwrap();
        let subjects: Vec<Subject> = serde_json::from_value(json!([
            {"kind": "Group", "name": "system:masters"}, {"kind": "Group", "name": "system:authenticated"},
            {"kind": "User", "name": "eve"}, {"kind": "ServiceAccount", "name": "x", "namespace": "kube-system"},
            {"kind": "ServiceAccount", "name": "oz-controller", "namespace": "oz-system"},
            {"kind": "ServiceAccount", "name": "argo", "namespace": "argo"},
        ]))
        .unwrap();
        let edit = rules(json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]}]));
        assert_eq!(
            strangers(&edit, Some(&subjects), "edit"),
            ["Group system:authenticated (edit)", "User eve (edit)", "ServiceAccount argo/argo (edit)"]
        );
        let view = rules(json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]));
        assert!(strangers(&view, Some(&subjects), "view").is_empty());
        let exec = rules(json!([{"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create"]}]));
        assert_eq!(strangers(&exec, Some(&subjects[2..3]), "exec"), ["User eve (exec)"]);
    }
}
