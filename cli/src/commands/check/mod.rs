//! `oz check`

mod controller;
mod finding;
mod installed;
mod namespaces;
mod reach;

use self::finding::{NOT_YOURS, Outcome, Report, rows};
use crate::app::App;
use crate::error::Error;
use crate::exit;
use crate::installation;
use crate::kube::Cluster;
use crate::output::{Table, json_safe};

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

pub(crate) async fn run(args: Args, app: &App) -> Result<u8, Error> {
    let cluster = app.cluster().await?;
    let mut report = Report::default();
    // The first question: where it cannot be asked, neither can the rest.
    let version = installation::server_version(&cluster).await?;
    report.checks.push(installed::server(&version));
    report.checks.push(installed::clock(&cluster).await);
    match installed::served(&cluster).await {
        Ok(()) => installed_and_working(app, &cluster, &mut report).await?,
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

async fn installed_and_working(app: &App, cluster: &Cluster, report: &mut Report) -> Result<(), Error> {
    let checks = &mut report.checks;
    let objects = installed::as_shipped(cluster).await?;
    for (kind, check, fields) in [
        ("CustomResourceDefinition", "kinds", &["spec"][..]),
        ("ValidatingAdmissionPolicy", "policies", &["spec"]),
        ("ValidatingAdmissionPolicyBinding", "bindings", &["spec"]),
        ("MutatingAdmissionPolicy", "filling", &["spec"]),
        ("MutatingAdmissionPolicyBinding", "filling", &["spec"]),
        ("ClusterRole", "rights", &["rules", "aggregationRule"]),
        ("ClusterRoleBinding", "rights", &["roleRef", "subjects"]),
        ("Role", "rights", &["rules"]),
        ("RoleBinding", "rights", &["roleRef", "subjects"]),
    ] {
        for object in objects.iter().filter(|o| o["kind"] == kind) {
            checks.push(installed::shipped(cluster, check, object, fields).await?);
        }
    }
    checks.push(installed::audience(cluster, &objects).await);
    for (policy, answer) in installation::probe(cluster, &app.settings).await? {
        checks.push(installed::gate(policy, answer));
    }
    checks.push(controller::controller(cluster).await);
    checks.push(controller::lease(cluster).await);
    checks.push(reach::you(cluster).await?);
    let (namespaces, found) = reach::namespaces(cluster).await;
    report.namespaces = namespaces;
    checks.extend(found);
    checks.extend(namespaces::lending(cluster).await);
    let (words, found) = reach::ceiling(cluster).await;
    report.ceiling = words;
    checks.extend(found);
    checks.push(controller::home(cluster).await);
    Ok(())
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
