//! `oz kubeconfig import`

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use k8s_openapi::api::authorization::v1::{
    ResourceRule, SelfSubjectRulesReview, SelfSubjectRulesReviewSpec, SubjectRulesReviewStatus,
};
use k8s_openapi::api::rbac::v1::PolicyRule;
use kube::Api;
use kube::api::PostParams;
use kube::config::Kubeconfig;
use oz_shared::names::partner_account;
use oz_shared::role::in_words;

use crate::app::App;
use crate::commands::token::renewing;
use crate::error::Error;
use crate::exit;
use crate::kube::{Cluster, Fault, Way, deadline, mint_for, program};
use crate::kubeconfig::{Credential, Entry, FOREIGN_LIMIT, Foreign, PREFIX, Refusal, read_foreign, uid_of};
use crate::output::{clean, stamp};

/// What is not bounded in time is kept until someone deletes it.
const NEVER: &str = "9999-01-01T00:00:00Z";
/// The most lines that a server has printed about a token.
const LINES: usize = 40;
/// The longest part of a name that comes from the file.
const NAME_LIMIT: usize = 40;

/// Take a token, its server and its certificate authority out of a kubeconfig that you were given
///
/// Nothing else is taken: a file that would run a program, read a file, use a proxy or act as somebody else is refused.
/// The server must answer and accept the token; what it may do is shown.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  oz kubeconfig import lent.yaml
  ssh bastion cat lent.yaml | oz kubeconfig import -")]
pub(super) struct Args {
    /// The file, or - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) async fn run(args: Args, app: &App) -> Result<u8, Error> {
    let store = app.settings.store()?;
    let shown = args.file.display().to_string();
    let refused = |refusal: Refusal| {
        Error::usage(format!("{shown} is not taken in: {refusal}"))
            .hint("ask for one that holds a token: oz kubeconfig export")
    };
    let foreign = read_foreign(&bytes(&args.file)?).map_err(refused)?;
    if foreign.expires.is_some_and(|end| end <= Timestamp::now()) {
        return Err(
            Error::new(exit::ENDED, format!("the token in {shown} has ended")).hint("ask for a new one")
        );
    }
    let mut entry = entry(&foreign)?;
    let cluster = cluster(&entry, app).await?;
    let review = rules(&cluster, &entry.namespace).await?;

    if foreign.others > 0 {
        app.printer.warn(&format!("{} other contexts are left out", foreign.others));
    }
    app.printer.say(&format!("{} answers. In namespace {} the token may:", entry.server, entry.namespace));
    let lines = told(&review);
    for line in lines.iter().take(LINES) {
        app.printer.say(&format!("  {line}"));
    }
    if lines.len() > LINES {
        app.printer.say(&format!("  and {} more", lines.len() - LINES));
    }
    let partner =
        foreign.subject.as_deref().and_then(partner_account).filter(|name| deadline(name).is_some());
    match foreign.expires {
        _ if partner.is_some() => {}
        Some(end) => app.printer.say(&format!("It ends at {}.", stamp(end))),
        None => app.printer.warn("the token does not say when it ends: it stays until you delete it"),
    }
    if let Some(account) = partner {
        renews(&cluster, account, &foreign.token, app).await?;
        entry.expires_at = deadline(account).unwrap_or(entry.expires_at);
    }
    let home = std::path::absolute(store.home()).unwrap_or_else(|_| store.home().to_owned());
    let home = home.display().to_string();
    let wanted = entry.name.clone();
    let now = Timestamp::now();
    let (name, written) = store.change(|draft| {
        draft.prune(now, |_| true);
        entry.name = draft.free(&wanted);
        if let Some(account) = partner {
            let flags = [format!("--kubeconfig={home}"), format!("--context={}", entry.name)];
            let args = ["token".to_owned(), format!("--self={account}")].into_iter().chain(flags).collect();
            entry.credential = Credential::Exec { command: program(), args, env: Vec::new() };
        }
        draft.put(&entry)?;
        Ok(entry.name.clone())
    })?;
    for backup in written.backups {
        app.printer.say(&format!("Kept the kubeconfig as it was in {}", backup.display()));
    }
    app.printer.say(&format!("  use it:  kubectl --context {name} …"));
    app.printer.data(&name)?;
    Ok(exit::DONE)
}

/// Has the account mint its own next token, and keeps that on this machine: from then on the file that was handed over can be
/// deleted.
async fn renews(cluster: &Cluster, account: &str, token: &str, app: &App) -> Result<(), Error> {
    let until = deadline(account).unwrap_or_else(|| cluster.now());
    let token = mint_for(cluster, account, uid_of(token).as_deref(), until).await?;
    let key = renewing::key(&cluster.way, account);
    let kept = renewing::keeps(cluster, &key, account, &token);
    let written = renewing::folder()?.store(&kept);
    written.map_err(|error| Error::internal(format!("the credential could not be kept: {error}")))?;
    app.printer.say(&format!("It renews itself by being used, until {}.", stamp(until)));
    if !token.lasts() {
        app.printer.say(&format!("  unused, it ends at {}", stamp(token.expires)));
    }
    app.printer.say("  the file that you were given is not needed any more: delete it");
    Ok(())
}

/// The file's beginning, up to a little more than is taken in.
fn bytes(path: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().take(FOREIGN_LIMIT + 1).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(FOREIGN_LIMIT + 1).read_to_end(&mut bytes))
    };
    match read {
        Ok(_) => Ok(bytes),
        Err(error) => Err(Error::usage(format!("failed to read {}: {error}", path.display()))),
    }
}

fn entry(foreign: &Foreign) -> Result<Entry, Error> {
    let never: Timestamp = NEVER.parse().map_err(|error| Error::internal(format!("{NEVER}: {error}")))?;
    Ok(Entry {
        name: name(&foreign.name),
        server: foreign.server.clone(),
        certificate_authority_data: foreign.certificate_authority_data.clone(),
        tls_server_name: foreign.tls_server_name.clone(),
        proxy_url: None,
        insecure_skip_tls_verify: false,
        namespace: foreign.namespace.clone().unwrap_or_else(|| "default".to_owned()),
        credential: Credential::Token(foreign.token.clone()),
        expires_at: foreign.expires.unwrap_or(never),
        request: String::new(),
    })
}

/// `oz-imported-` and what is plain in the name that it had.
fn name(theirs: &str) -> String {
    let theirs = theirs.strip_prefix(PREFIX).unwrap_or(theirs).to_lowercase();
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    let mut words: String = theirs.chars().take(NAME_LIMIT * 2).map(plain).collect();
    while words.contains("--") {
        words = words.replace("--", "-");
    }
    words.truncate(NAME_LIMIT);
    match words.trim_matches(['-', '.']) {
        "" => format!("{PREFIX}imported"),
        words => format!("{PREFIX}imported-{words}"),
    }
}

/// The cluster as the very entry that is written leads to it, and as nobody else.
async fn cluster(entry: &Entry, app: &App) -> Result<Cluster, Error> {
    let unusable = |error| Fault::Config(format!("{error}"));
    let kubeconfig = Kubeconfig::from_yaml(&entry.alone()).map_err(unusable)?;
    let way = Way::through(kubeconfig, None).await?;
    Ok(Cluster::by(way, &app.settings)?)
}

/// What the token may do in a namespace, by the API server's own word.
async fn rules(cluster: &Cluster, namespace: &str) -> Result<SubjectRulesReviewStatus, Error> {
    let question = SelfSubjectRulesReview {
        spec: SelfSubjectRulesReviewSpec { namespace: Some(namespace.to_owned()) },
        ..SelfSubjectRulesReview::default()
    };
    let api: Api<SelfSubjectRulesReview> = Api::all(cluster.client.clone());
    let with = PostParams::default();
    match cluster.call("ask what the token may do", api.create(&with, &question)).await {
        Ok(answer) => Ok(answer.status.unwrap_or_default()),
        Err(fault) if fault.code() == Some(401) => {
            let message = format!("{} does not accept the token (401)", cluster.server());
            Err(Error::new(exit::DENIED, message)
                .hint("it may have ended, or been taken back: ask for a new one"))
        }
        Err(fault) => Err(fault.into()),
    }
}

/// One line a rule. What everybody may ask about himself is left out.
fn told(review: &SubjectRulesReviewStatus) -> Vec<String> {
    const EVERYBODYS: [&str; 2] = ["authorization.k8s.io", "authentication.k8s.io"];
    let everybodys = |rule: &&ResourceRule| {
        let groups = rule.api_groups.as_deref().unwrap_or_default();
        !groups.is_empty() && groups.iter().all(|group| EVERYBODYS.contains(&group.as_str()))
    };
    let rules: Vec<PolicyRule> = review
        .resource_rules
        .iter()
        .filter(|rule| !everybodys(rule))
        .map(|rule| PolicyRule {
            api_groups: rule.api_groups.clone(),
            resources: rule.resources.clone(),
            resource_names: rule.resource_names.clone(),
            verbs: rule.verbs.clone(),
            non_resource_urls: None,
        })
        .collect();
    let mut lines: Vec<String> = rules.iter().map(|rule| clean(&in_words(rule)).into_owned()).collect();
    if review.incomplete {
        lines.push("perhaps more: the server cannot tell everything".to_owned());
    }
    if lines.is_empty() {
        lines.push("nothing".to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_name_of_its_own() {
        assert_eq!(name("oz-shop-access-request-web-7k2pd"), "oz-imported-shop-access-request-web-7k2pd");
        assert_eq!(name("Arn:aws:eks/prod"), "oz-imported-arn-aws-eks-prod");
        for nothing in ["", "oz-", "\u{1b}[2J\n", "../..", "\u{202e}"] {
            let name = name(nothing);
            assert!(name.starts_with("oz-imported") && !name.contains(char::is_control), "{name:?}");
            assert!(!name.ends_with('-') && name.is_ascii(), "{name:?}");
        }
        assert!(name(&"é漢".repeat(10_000)).len() <= 63 && name(&"x".repeat(10_000)).len() <= 63);
    }

    #[test]
    fn rules_on_lines_of_their_own() {
        let review: SubjectRulesReviewStatus = serde_json::from_value(json!({
            "incomplete": false, "nonResourceRules": [], "resourceRules": [
                {"verbs": ["create"], "apiGroups": ["authorization.k8s.io"], "resources": ["selfsubjectreviews"]},
                {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["web-0"]},
                {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
                {"verbs": ["get"], "resources": ["x\ny\u{1b}[2J"]},
            ],
        }))
        .unwrap();
        let lines = told(&review);
        assert_eq!(lines[..2], ["get,list on pods named web-0", "* on *.*"]);
        assert!(!lines[2].contains(char::is_control), "{lines:?}");
        assert_eq!(told(&SubjectRulesReviewStatus::default()), ["nothing"]);
    }

    #[test]
    fn a_token_without_an_end_is_kept() {
        let foreign = Foreign {
            name: "x".to_owned(),
            server: "https://api.example.com".to_owned(),
            tls_server_name: None,
            certificate_authority_data: None,
            namespace: None,
            token: "opaque".to_owned(),
            expires: None,
            subject: None,
            others: 0,
        };
        let entry = entry(&foreign).unwrap();
        assert_eq!((entry.expires_at.to_string().as_str(), entry.namespace.as_str()), (NEVER, "default"));
        assert!(entry.request.is_empty());
    }
}
