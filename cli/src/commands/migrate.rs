//! `oz migrate`

mod dispatch;
mod documents;
mod federation_controller;
mod fields;
mod go;
mod nsplease;
mod object;
mod oz;
mod shell;
mod subject_access_delegation;

use std::path::{Path, PathBuf};
use std::slice;

use oz_shared::request::Requester;
use serde_json::Value;

use crate::app::App;
use crate::error::Error;
use crate::exit;
use crate::output::{clean, yaml};
use documents::Document;
use object::{Migrated, Whole};

const EXAMPLES: &str = "\
Examples:
  oz migrate oz templates.yaml > access.yaml
  kubectl get podaccesstemplates,execaccesstemplates -A -o yaml | oz migrate oz - > access.yaml
  kubectl apply --dry-run=server -f access.yaml

  # Partners' clusters
  kubectl auth whoami -o yaml > me.yaml
  kubectl get clusters.slateci.io,clusternss.slateci.io -A -o yaml > old.yaml
  oz migrate federation-controller --only policy old.yaml | kubectl apply -f -
  oz migrate federation-controller --only requests --requester me.yaml old.yaml | kubectl create -f -

  # Pipelines
  kubectl -n nsplease-system get deployments -o yaml | oz migrate nsplease - > class.yaml

  # Developers
  kubectl get dispatchusers,ownednamespaces -n dispatch -o yaml > old.yaml
  oz migrate dispatch --only policy old.yaml | kubectl apply -f -
  oz migrate dispatch --only requests --requester me.yaml old.yaml | kubectl create -f -

  # Rights lent on a cue
  kubectl get subjectaccessdelegations -A -o yaml > old.yaml
  oz migrate subject-access-delegation --requester me.yaml old.yaml | kubectl create -f -";

/// What is said of requests that do not say whose they are.
const UNASKED: &str = "spec.requester is left out, which is taken where Oz was installed with --fill-requester; else name who \
                       asks: kubectl auth whoami -o yaml > me.yaml, and --requester me.yaml";

/// Translate what another tool was configured with into templates, classes, requests and delegations
///
/// Reads files and writes to standard output: no cluster is asked or changed. What has no counterpart here is told on
/// standard error.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    from: From,
}

#[derive(Debug, clap::Subcommand)]
enum From {
    /// From the Go tool "Oz" (crds.wizardofoz.co): PodAccessTemplate and ExecAccessTemplate
    ///
    /// Each becomes an AccessTemplate, with a Role and a RoleBinding by which its allowedGroups may ask for it and for no
    /// other. Requests are not taken over: they are told of, to be asked for again.
    Oz(Files),
    /// From the federation-controller (slateci.io, nrp-nautilus.io): Cluster and ClusterNS
    ///
    /// Each Cluster becomes a Federation that may have as many further namespaces as it has. A NamespaceClass and two
    /// ClusterRoles stand for what that tool gave to all of them. Further namespaces are the partner's to ask for, by its
    /// new account: they are told of.
    FederationController {
        #[command(flatten)]
        asked: Asked,
        #[command(flatten)]
        files: Files,
    },
    /// From nsplease: its Deployment, and the ConfigMaps that were its requests
    ///
    /// Its settings become a NamespaceClass, what is not set with nsplease's defaults. Requests are not taken over: they are
    /// told of, to be asked for again. Secrets are refused.
    Nsplease(Files),
    /// From dispatch (netsys.io): DispatchUser and OwnedNamespace
    ///
    /// Each namespace becomes a NamespaceRequest, whose owners are the accounts that its users have, under a NamespaceClass
    /// that stands for what that tool gave to all of them.
    Dispatch {
        #[command(flatten)]
        asked: Asked,
        #[command(flatten)]
        files: Files,
    },
    /// From subject-access-delegation (authz.k8s.io): SubjectAccessDelegation
    ///
    /// Each becomes a Delegation, with as many iterations as it had at first. Its times of day were of the zone in which that
    /// tool ran, and are of UTC.
    SubjectAccessDelegation {
        #[command(flatten)]
        whose: Whose,
        #[command(flatten)]
        files: Files,
    },
}

#[derive(Debug, clap::Args)]
struct Files {
    /// Files of YAML or JSON, or - for standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Whose {
    /// Who will ask, as the cluster knows him: what `kubectl auth whoami -o yaml` prints. Else that is left out
    #[arg(long, value_name = "FILE")]
    requester: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Asked {
    #[command(flatten)]
    whose: Whose,
    /// Print nothing else: what may be asked for has to be there before it is asked for
    #[arg(long, value_name = "WHAT")]
    only: Option<Only>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Only {
    /// The class, and what it needs
    Policy,
    /// What is asked for
    Requests,
}

impl Only {
    /// Is it this that an object is?
    fn is(self, object: &Value) -> bool {
        let is_request = matches!(object["kind"].as_str(), Some("Federation" | "NamespaceRequest"));
        is_request == (self == Self::Requests)
    }
}

impl Whose {
    fn by(&self) -> Result<Option<Requester>, Error> {
        self.requester.as_deref().map(requester).transpose()
    }
}

pub(crate) fn run(args: &Args, app: &App) -> Result<u8, Error> {
    let read = |files: &Files| -> Result<(Vec<_>, Vec<_>), Error> {
        let documents = documents::read(&files.files)?.into_iter();
        Ok(documents.map(|Document { place, object }| (place, object)).unzip())
    };
    let mut only = None;
    let (places, whole) = match &args.from {
        From::Oz(files) => {
            let (places, objects) = read(files)?;
            let each = objects.into_iter().map(oz::migrate).collect();
            (places, Whole { common: Migrated::default(), each })
        }
        From::FederationController { asked, files } => {
            only = asked.only;
            let (places, objects) = read(files)?;
            (places, federation_controller::migrate(objects, asked.whose.by()?.as_ref()))
        }
        From::Nsplease(files) => {
            let (places, objects) = read(files)?;
            (places, nsplease::migrate(objects))
        }
        From::Dispatch { asked, files } => {
            only = asked.only;
            let (places, objects) = read(files)?;
            (places, dispatch::migrate(objects, asked.whose.by()?.as_ref()))
        }
        From::SubjectAccessDelegation { whose, files } => {
            let (places, objects) = read(files)?;
            (places, subject_access_delegation::migrate(objects, whose.by()?.as_ref()))
        }
    };
    print(places, whole, only, app)
}

/// Prints what became of the objects that stood in these places.
fn print(places: Vec<String>, whole: Whole, only: Option<Only>, app: &App) -> Result<u8, Error> {
    let mut migrated = Vec::new();
    let mut broken = Vec::new();
    for (place, one) in places.into_iter().zip(whole.each) {
        match one {
            Ok(one) => migrated.push((place, one)),
            Err(why) => broken.push(format!("{place}: {}", clean(&why))),
        }
    }
    // All or nothing: who pipes this on does not want the half of it.
    if !broken.is_empty() {
        return Err(
            Error::usage(broken.join("\n")).hint("nothing was printed; mend these, or leave them out")
        );
    }
    whole.common.notes.iter().for_each(|note| app.printer.say(&format!("note: {}", clean(note))));
    let (mut objects, mut without) = (whole.common.objects, 0);
    for (place, one) in &mut migrated {
        one.notes.iter().for_each(|note| app.printer.say(&format!("note: {place}: {}", clean(note))));
        if let Some(why) = &one.left_out {
            app.printer.warn(&format!("{place}: left out: {}", clean(why)));
            without += 1;
        }
        objects.append(&mut one.objects);
    }
    objects.retain(|object| only.is_none_or(|only| only.is(object)));
    let texts = objects.iter().map(yaml).collect::<Result<Vec<_>, _>>()?;
    if !texts.is_empty() {
        app.printer.data(&texts.join("---\n"))?;
    }
    match without {
        0 => Ok(exit::DONE),
        count => Err(Error::usage(format!("{count} of {} documents have no counterpart", migrated.len()))),
    }
}

/// Somebody, from what the API server answered when he asked who he is.
fn requester(file: &Path) -> Result<Requester, Error> {
    let mut documents = documents::read(slice::from_ref(&file.to_path_buf()))?;
    let answer =
        documents.pop().filter(|answer| documents.is_empty() && answer.object["kind"] == "SelfSubjectReview");
    let info = answer.map(|mut answer| answer.object["status"]["userInfo"].take()).unwrap_or_default();
    serde_json::from_value(info).ok().filter(|one: &Requester| !one.username.is_empty()).ok_or_else(|| {
        Error::usage("--requester: that file does not say who somebody is")
            .hint("kubectl auth whoami -o yaml > FILE")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::rbac::v1::ClusterRole;
    use oz_shared::{Federation, NamespaceClass, NamespaceRequest};
    use proptest::prelude::*;
    use proptest::sample::select;
    use serde_json::json;

    /// A value that an API server would have stored, or one that none would.
    fn anything() -> impl Strategy<Value = Value> {
        let odd = json!([null, 7, [], {}, ["site", "a"], [{"name": "nsplease"}]]);
        let texts =
            json!(["site", "site-a", "dispatch", "nsplease", "nsplease-requests", "", "kube-x", "\u{202e}"]);
        select([odd, texts].iter().filter_map(Value::as_array).flatten().cloned().collect::<Vec<_>>())
    }

    fn object() -> impl Strategy<Value = Value> {
        let version = select(&["slateci.io/v1alpha2", "netsys.io/v1", "v1", "apps/v1"][..]);
        let kind = select(
            &["Cluster", "ClusterNS", "DispatchUser", "OwnedNamespace", "ConfigMap", "Deployment"][..],
        );
        let field = select(
            &["Organization", "Namespace", "userID", "namespaces", "ownerID", "namespace", "template"][..],
        );
        let spec = proptest::collection::hash_map(field, anything(), 0..5);
        (version, kind, anything(), anything(), spec).prop_map(|(version, kind, name, namespace, spec)| {
            json!({"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec})
        })
    }

    proptest! {
        /// Each object has its answer, and what is printed is of our kinds.
        #[test]
        fn nothing_is_lost_and_nothing_made_up(objects in proptest::collection::vec(object(), 0..6)) {
            for whole in [
                federation_controller::migrate(objects.clone(), None),
                nsplease::migrate(objects.clone()),
                dispatch::migrate(objects.clone(), Some(&Requester { username: "a".into(), uid: String::new(), groups: Vec::new() })),
            ] {
                prop_assert_eq!(whole.each.len(), objects.len());
                let printed: Vec<Value> = whole.each.into_iter().flatten().flat_map(|one| one.objects).collect();
                prop_assert!(printed.is_empty() || !whole.common.objects.is_empty());
                for mut object in printed.into_iter().chain(whole.common.objects) {
                    let kind = object["kind"].as_str().unwrap_or_default().to_owned();
                    if object["spec"]["requester"].is_null() && kind == "Federation" {
                        object["spec"]["requester"] = json!({"username": "a"});
                    }
                    let fits = match kind.as_str() {
                        "Federation" => serde_json::from_value::<Federation>(object).map(drop),
                        "NamespaceRequest" => serde_json::from_value::<NamespaceRequest>(object).map(drop),
                        "NamespaceClass" => serde_json::from_value::<NamespaceClass>(object).map(drop),
                        _ => serde_json::from_value::<ClusterRole>(object).map(drop),
                    };
                    prop_assert!(fits.is_ok(), "{kind}: {fits:?}");
                }
            }
        }
    }

    fn whose(text: &str) -> Result<Requester, Error> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        requester(file.path())
    }

    #[test]
    fn who_asks_is_whom_the_cluster_knows() {
        let text = "apiVersion: authentication.k8s.io/v1\nkind: SelfSubjectReview\nmetadata: {creationTimestamp: null}\n\
                    status:\n  userInfo: {username: admin, groups: [ops, system:authenticated], extra: {a: [b]}}\n";
        let one = whose(text).unwrap();
        assert_eq!((one.username.as_str(), one.uid.as_str()), ("admin", ""));
        assert_eq!(one.groups, ["ops", "system:authenticated"]);
        for bad in [
            "",
            "kind: SelfSubjectReview\n",
            "kind: SelfSubjectReview\nstatus: {userInfo: {username: ''}}\n",
            "kind: TokenReview\nstatus: {userInfo: {username: admin}}\n",
            &format!("{text}---\n{text}"),
        ] {
            assert_eq!(whose(bad).unwrap_err().code, exit::USAGE, "{bad}");
        }
    }
}
