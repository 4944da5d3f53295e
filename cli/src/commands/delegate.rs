//! `oz delegate`

mod trigger;

use kube::ResourceExt as _;
use kube::api::PostParams;
use kube::core::ObjectMeta;
use oz_shared::delegation::{
    Delegation, DelegationSpec, Destination, Forever, Origin, OriginKind, Repeat, Scope, Trigger,
};
use oz_shared::namespace_class::SubjectKind;
use oz_shared::request::Requester;

use super::namespace_request::label;
use crate::app::App;
use crate::error::Error;
use crate::exit;
use crate::kube::delegations;
use crate::output::{Format, one_line};
use crate::target::Kind;

const EXAMPLES: &str = "\
Examples:
  # The night shift deploys from 6 pm to 8 am, for a year
  oz delegate nights --from role/deploy --to group/night-shift --when 6:00pm --until 14h --repeat 365 --time-zone Europe/Berlin

  # What ci may do is bob's while a deploy pod runs, and till 18:00 at the latest
  oz delegate --from sa/ci --to user/bob --when 'added:pod/deploy-*' --until 'deleted:pod/deploy-*' --until 18:00

  # On weekdays, without end
  oz delegate --from clusterrole/view --to 'sa/ci-*' --when 'cron:0 8 * * 1-5' --until 10h --repeat forever

A TRIGGER is now, a duration (14h), a time of day (18:00, 6:00pm), an instant (2026-12-24T18:00:00Z), never, cron:EXPR, or
added:, updated: or deleted: with KIND/NAME or KIND/LABEL=VALUE,... and how often (added:pod/web-*:3). All of --when must come
about for it to begin, all of --until for it to end.";

/// Lend what one subject holds to others when triggers are met, and take it back when others are
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The delegation's name; one is made up where there is none
    #[arg(value_name = "NAME", value_parser = label)]
    name: Option<String>,
    /// Whose rights: role/NAME, clusterrole/NAME, sa/[NAMESPACE:]NAME, user/NAME, group/NAME
    #[arg(long, value_name = "KIND/NAME", value_parser = origin)]
    from: Origin,
    /// To whom: sa/[NAMESPACE:]NAME, where * stands for anything, user/NAME, group/NAME; more than once
    #[arg(long, value_name = "KIND/NAME", required = true, value_parser = destination)]
    to: Vec<Destination>,
    /// What must come about for it to begin; more than once: all of it
    #[arg(long, value_name = "TRIGGER", required = true, value_parser = trigger::parse)]
    when: Vec<Trigger>,
    /// What must come about, after it has begun, for it to end; more than once: all of it
    #[arg(long, value_name = "TRIGGER", required = true, value_parser = trigger::parse)]
    until: Vec<Trigger>,
    /// How many times: a number, or forever
    #[arg(long, value_name = "N", default_value = "1", value_parser = repeat)]
    repeat: Repeat,
    /// Also where the origin's rights hold in the whole cluster
    #[arg(long, value_name = "SCOPE", default_value = "namespace")]
    scope: Where,
    /// The zone of times of day and of cron: Europe/Berlin. UTC where none is given
    #[arg(long, value_name = "ZONE", default_value = "", hide_default_value = true)]
    time_zone: String,
    /// Why, for those who read it later
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, value_parser = one_line)]
    reason: String,
    /// Print the delegation in this form
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Format>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Where {
    /// In this namespace
    Namespace,
    /// In the whole cluster as well
    Cluster,
}

pub(crate) async fn run(args: Args, app: &App) -> Result<u8, Error> {
    let triggers = trigger::in_zone(args.when.clone(), &args.time_zone).map_err(Error::usage)?;
    let deletion = trigger::in_zone(args.until.clone(), &args.time_zone).map_err(Error::usage)?;
    let cluster = app.cluster().await?;
    let me = cluster.whoami().await?;
    let name = args.name.clone().unwrap_or_else(delegations::made_up_name);
    let delegation = asked(&args, name, triggers, deletion, me);
    let api = cluster.delegations(Some(&cluster.namespace));
    let doing = format!("create delegation {} in namespace {}", delegation.name_any(), cluster.namespace);
    let made = match cluster.call(&doing, api.create(&PostParams::default(), &delegation)).await {
        Err(fault) if fault.code() == Some(409) => {
            let target = Kind::Delegation.target(&delegation.name_any());
            return Err(
                Error::usage(format!("there is a {target} already")).hint(format!("oz describe {target}"))
            );
        }
        made => made?,
    };
    let target = Kind::Delegation.target(&made.name_any());
    let at = format!("-n {}{}", cluster.namespace, app.settings.repeat());
    app.printer.say(&format!(
        "Delegated from {} to {}, when its triggers are met.",
        made.origin_words(),
        made.destination_words().join(", ")
    ));
    app.printer.say(&format!("  how it stands:  oz describe {target} {at}"));
    app.printer.say(&format!("  end it:         oz release {target} {at}"));
    match args.output {
        Some(format) => app.printer.data(&format.object(&made)?)?,
        None => app.printer.data(&target)?,
    }
    Ok(exit::DONE)
}

fn asked(
    args: &Args,
    name: String,
    triggers: Vec<Trigger>,
    deletion_triggers: Vec<Trigger>,
    me: Requester,
) -> Delegation {
    let spec = DelegationSpec {
        origin: args.from.clone(),
        destinations: args.to.clone(),
        triggers,
        deletion_triggers,
        repeat: args.repeat,
        scope: match args.scope {
            Where::Namespace => Scope::Namespace,
            Where::Cluster => Scope::Cluster,
        },
        reason: args.reason.clone(),
        history_ttl: "168h".to_owned(),
        requester: me,
        released: false,
        released_by: String::new(),
        release_reason: String::new(),
    };
    Delegation { metadata: ObjectMeta { name: Some(name), ..ObjectMeta::default() }, spec, status: None }
}

fn repeat(text: &str) -> Result<Repeat, String> {
    match text.parse::<i64>() {
        Ok(times @ 1..=1_000_000) => Ok(Repeat::Times(times)),
        _ if text.eq_ignore_ascii_case("forever") => Ok(Repeat::Forever(Forever::Forever)),
        _ => Err("write a number from 1 to 1000000, or forever".to_owned()),
    }
}

/// Kind, namespace and name of `KIND/[NAMESPACE:]NAME`; a namespace only of accounts.
fn subject(text: &str) -> Option<(OriginKind, String, String)> {
    let (kind, name) = text.split_once('/').filter(|(_, name)| !name.is_empty())?;
    let kind = match kind.to_lowercase().as_str() {
        "role" => OriginKind::Role,
        "clusterrole" => OriginKind::ClusterRole,
        "sa" | "serviceaccount" => OriginKind::ServiceAccount,
        "user" => OriginKind::User,
        "group" => OriginKind::Group,
        _ => return None,
    };
    let (namespace, name) = match (kind, name.split_once(':')) {
        (OriginKind::ServiceAccount, Some((namespace, name))) => {
            label(namespace).ok()?;
            (namespace, name)
        }
        _ => ("", name),
    };
    (!name.is_empty()).then(|| (kind, namespace.to_owned(), name.to_owned()))
}

fn origin(text: &str) -> Result<Origin, String> {
    let wrong =
        || "write role/NAME, clusterrole/NAME, sa/[NAMESPACE:]NAME, user/NAME or group/NAME".to_owned();
    let (kind, namespace, name) = subject(&one_line(text)?).ok_or_else(wrong)?;
    Ok(Origin { kind, name, namespace })
}

fn destination(text: &str) -> Result<Destination, String> {
    let wrong = || "write sa/[NAMESPACE:]NAME, user/NAME or group/NAME".to_owned();
    let (kind, namespace, name) = subject(&one_line(text)?).ok_or_else(wrong)?;
    let kind = match kind {
        OriginKind::ServiceAccount => SubjectKind::ServiceAccount,
        OriginKind::User => SubjectKind::User,
        OriginKind::Group => SubjectKind::Group,
        OriginKind::Role | OriginKind::ClusterRole => return Err(wrong()),
    };
    Ok(Destination { kind, name, namespace })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_as_people_write_them() {
        let account = origin("sa/shop:ci").unwrap();
        assert_eq!(
            (account.kind, account.namespace.as_str(), account.name.as_str()),
            (OriginKind::ServiceAccount, "shop", "ci")
        );
        assert_eq!(origin("ClusterRole/x:y").unwrap().name, "x:y");
        assert_eq!(destination("ServiceAccount/ci-*").unwrap().name, "ci-*");
        for bad in ["", "ci", "pod/x", "role/", "sa/:x", "sa/A:x", "sa/shop:", "user/a\nb"] {
            assert!(origin(bad).is_err(), "{bad:?}");
        }
        assert!(destination("role/x").is_err());
    }

    #[test]
    fn repeats() {
        assert_eq!(repeat("365"), Ok(Repeat::Times(365)));
        assert_eq!(repeat("forever"), Ok(Repeat::Forever(Forever::Forever)));
        assert!(["0", "-1", "1000001", "often"].into_iter().all(|bad| repeat(bad).is_err()));
    }
}
