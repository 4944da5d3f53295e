//! `oz install`

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use oz_shared::names::SYSTEM_NAMESPACE;
use serde_json::Value;
use tokio::time::Instant;

use crate::app::App;
use crate::error::Error;
use crate::exit;
use crate::installation::{
    self, Answer, CONTROLLER_NAME, Choices, DEFAULT_AUDIENCE, OLDEST, Part, Right, Standing, name_of,
};
use crate::kube::Cluster;

/// Between two looks at what takes effect by itself.
const LOOK: Duration = Duration::from_millis(300);
/// Longer than this no change of a policy takes to reach an API server that is well.
const GATE: Duration = Duration::from_secs(60);

const EXAMPLES: &str = "\
Examples:
  oz install --image registry.example/oz-controller:0.1.0
  oz install --fill-requester                 kubectl create -f request.yaml need not say who asks
  oz install                                  again, after an update of this program; keeps the image
  oz install --dry-run -o yaml > oz.yaml      for a pipeline of your own";

/// Install Oz on the cluster, or bring it up to date
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The controller's image, as the nodes pull it. Default: the one that is installed, or oz-controller:VERSION
    #[arg(long, value_name = "IMAGE", value_parser = image_name)]
    image: Option<String>,
    /// What the API server takes tokens for; may be repeated. Default: it is asked
    #[arg(long, value_name = "AUDIENCE")]
    audience: Vec<String>,
    /// How many controllers run; one works. Default: as many as are installed, or 2
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=9))]
    replicas: Option<u32>,
    /// Also fill in who asks, for those who ask with kubectl alone (Kubernetes 1.36 or newer). Stays until
    /// `kubectl delete -k manifests/admission-fill`
    #[arg(long)]
    fill_requester: bool,
    /// Print what would be applied, in this order, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// How --dry-run prints it
    #[arg(short, long, value_name = "FORMAT", requires = "dry_run", default_value = "yaml")]
    output: As,
    /// How long the controller may take to run
    #[arg(long, value_name = "TIME", value_parser = crate::duration::request_timeout, default_value = "3m")]
    timeout: Duration,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum As {
    /// Documents to apply from the first to the last
    Yaml,
    /// A List
    Json,
    /// Kind and name of each
    Name,
}

fn image_name(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_graphic() && !"\"'\\".contains(c);
    match !text.is_empty() && text.chars().all(fits) {
        true => Ok(text.to_owned()),
        false => Err("write REGISTRY/NAME:TAG, or with @sha256:DIGEST".to_owned()),
    }
}

pub(crate) async fn run(args: Args, app: &App) -> Result<u8, Error> {
    if args.dry_run {
        return dry_run(&args, app).await;
    }
    let deadline = Instant::now() + args.timeout;
    let cluster = app.cluster().await?;
    let (major, minor, version) = installation::server_version(&cluster).await?;
    if (major, minor) < OLDEST {
        return Err(Error::new(
            exit::NOT_READY,
            format!("this cluster is Kubernetes {version}, whose admission policies cannot keep Oz's gate"),
        )
        .hint(format!("Oz needs Kubernetes {}.{} or newer", OLDEST.0, OLDEST.1)));
    }
    let mut choices = choices(&args);
    if choices.fill {
        installation::can_fill(&cluster).await?;
    }
    permitted(&cluster, &installation::objects(&choices)?).await?;
    not_someone_else_s(&cluster).await?;
    keep(app, &cluster, &mut choices).await?;

    let objects = installation::objects(&choices)?;
    apply(app, &cluster, "kinds", Part::Kinds, &objects).await?;
    for (_, kind) in objects.iter().filter(|(part, _)| *part == Part::Kinds) {
        established(&cluster, kind, deadline).await?;
    }
    apply(app, &cluster, "namespaces and rights", Part::Rights, &objects).await?;
    if choices.audiences.is_empty() {
        choices.audiences = audiences(&cluster, SYSTEM_NAMESPACE).await?;
    }
    let objects = installation::objects(&choices)?;
    apply(app, &cluster, "admission policies", Part::Gate, &objects).await?;
    restore(app, &cluster, &objects).await?;
    apply(app, &cluster, "what the gate is probed with", Part::Probe, &objects).await?;
    let unasked = in_force(app, &cluster).await?;

    apply(app, &cluster, "the controller", Part::Controller, &objects).await?;
    let deployment = installation::available(app, &cluster, deadline).await?;
    if choices.fill {
        apply(app, &cluster, "the policy that fills in who asks", Part::Fill, &objects).await?;
    }
    let (policies, bindings) = whole(&cluster, &objects).await?;
    let asked = installation::of_kind("ValidatingAdmissionPolicy").len() - unasked;
    app.printer.say(&format!(
        "Oz {} is installed on Kubernetes {version}: {policies} policies with {bindings} bindings, {asked} of them seen to \
         refuse; controller {} ({}).",
        env!("CARGO_PKG_VERSION"),
        installation::image(&deployment),
        installation::counts(&deployment),
    ));
    let repeat = app.settings.repeat();
    app.printer.say(&format!("Next: oz enable NAMESPACE{repeat}, for each in which Oz may lend; oz check{repeat} looks at everything."));
    Ok(exit::DONE)
}

fn choices(args: &Args) -> Choices {
    Choices {
        audiences: args.audience.clone(),
        image: args.image.clone(),
        replicas: args.replicas,
        fill: args.fill_requester,
    }
}

/// Says all missing rights at once, before anything is changed.
async fn permitted(cluster: &Cluster, objects: &[(Part, Value)]) -> Result<(), Error> {
    let needed =
        objects.iter().flat_map(|(_, object)| ["get", "create", "patch"].map(|verb| Right::on(verb, object)));
    let missing = installation::missing_rights(cluster, needed.collect()).await?;
    refuse(&missing, "install Oz")
}

/// The refusal that lists what is missing.
///
/// # Errors
/// Something is.
pub(super) fn refuse(missing: &[Right], what: &str) -> Result<(), Error> {
    if missing.is_empty() {
        return Ok(());
    }
    // Several verbs of one resource are one line.
    let mut resources: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for right in missing {
        let text = right.to_string();
        let what = text.split_once(' ').map(|(_, what)| what.to_owned()).unwrap_or_default();
        resources.entry(what).or_default().push(right.verb);
    }
    let lines: Vec<String> =
        resources.iter().map(|(what, verbs)| format!("  {} {what}", verbs.join(", "))).collect();
    Err(Error::new(
        exit::DENIED,
        format!("denied: to {what} takes rights that you do not have:\n{}", lines.join("\n")),
    )
    .hint("this is for an administrator of the cluster; name another context with --context"))
}

/// A namespace of that name may have been there before Oz.
async fn not_someone_else_s(cluster: &Cluster) -> Result<(), Error> {
    for namespace in installation::of_kind("Namespace") {
        let Some(live) = installation::find(cluster, &namespace).await? else { continue };
        let name = live["metadata"]["name"].as_str().unwrap_or_default();
        if live["metadata"]["labels"]["app.kubernetes.io/part-of"] != "oz" {
            return Err(Error::new(
                exit::DENIED,
                format!("there is a namespace {name} already, and it is not Oz's"),
            )
            .hint(format!(
                "if it shall be Oz's: kubectl label namespace {name} {}",
                installation::PART_OF_OZ
            )));
        }
        if !live["metadata"]["deletionTimestamp"].is_null() {
            return Err(Error::new(exit::NOT_READY, format!("namespace {name} is still being deleted"))
                .hint("try again in a while"));
        }
    }
    Ok(())
}

/// What was chosen at an earlier install stays, unless it is chosen anew.
async fn keep(app: &App, cluster: &Cluster, choices: &mut Choices) -> Result<(), Error> {
    match installation::is_filled(cluster).await {
        Ok(there) => choices.fill |= there,
        // Who may not see such policies leaves them as they are.
        Err(error) if error.code == exit::DENIED => {}
        Err(error) => return Err(error),
    }
    let deployments: Api<Deployment> = Api::namespaced(cluster.client.clone(), SYSTEM_NAMESPACE);
    let installed = match cluster.call("read the Deployment", deployments.get_opt(CONTROLLER_NAME)).await {
        Ok(Some(installed)) => installed,
        Ok(None) => return Ok(()),
        Err(fault) if fault.code() == Some(403) => return Ok(()),
        Err(fault) => return Err(fault.into()),
    };
    let image = installation::image(&installed);
    if choices.image.is_none() && image != installation::default_image() {
        app.printer.say(&format!("The image stays {image}; --image names another."));
        choices.image = Some(image.to_owned());
    }
    let replicas = installed.spec.and_then(|s| s.replicas).and_then(|n| u32::try_from(n).ok());
    choices.replicas = choices.replicas.or(replicas.filter(|n| *n > 0));
    Ok(())
}

async fn apply(
    app: &App,
    cluster: &Cluster,
    what: &str,
    part: Part,
    objects: &[(Part, Value)],
) -> Result<(), Error> {
    app.printer.say(&format!("Applying {what} …"));
    for (_, object) in objects.iter().filter(|(of, _)| *of == part) {
        installation::apply(cluster, object).await?;
    }
    Ok(())
}

/// Waits until the API server serves the kind.
async fn established(cluster: &Cluster, kind: &Value, deadline: Instant) -> Result<(), Error> {
    loop {
        let live = installation::read(cluster, kind).await?;
        let conditions = live["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
        let is = |which: &str, status: &str| {
            conditions.iter().find(|c| c["type"] == which && c["status"] == status)
        };
        if is("Established", "True").is_some() {
            return Ok(());
        }
        if let Some(refused) = is("NamesAccepted", "False") {
            let message = refused["message"].as_str().unwrap_or_default();
            return Err(Error::new(exit::NOT_READY, format!("{} is not served: {message}", name_of(kind))));
        }
        if Instant::now() > deadline {
            return Err(Error::new(exit::NOT_READY, format!("{} is not served in time", name_of(kind))));
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn audiences(cluster: &Cluster, namespace: &str) -> Result<Vec<String>, Error> {
    installation::audiences(cluster, namespace).await.map_err(|fault| {
        Error::from(fault)
            .hint(format!("say it yourself: --audience {DEFAULT_AUDIENCE} is what most clusters have"))
    })
}

/// Server-side apply leaves what others have added to a policy, such as a condition under which it does not hold.
async fn restore(app: &App, cluster: &Cluster, objects: &[(Part, Value)]) -> Result<(), Error> {
    for (_, object) in objects.iter().filter(|(part, _)| *part == Part::Gate) {
        if let Standing::Differs(paths) = installation::standing(cluster, object, &["spec"]).await? {
            app.printer.warn(&format!(
                "{} was changed by someone at {}: it is put right",
                name_of(object),
                paths.join(", ")
            ));
            installation::replace(cluster, object).await?;
        }
    }
    Ok(())
}

/// Waits until each policy refuses what it must; how many could not be asked.
async fn in_force(app: &App, cluster: &Cluster) -> Result<usize, Error> {
    app.printer.say("Waiting until the gate is in force …");
    let deadline = Instant::now() + GATE;
    loop {
        let answers = installation::probe(cluster, &app.settings).await?;
        let open: Vec<String> = answers
            .iter()
            .filter_map(|(policy, a)| match a {
                Answer::Open(why) => Some(format!("{policy} {why}")),
                _ => None,
            })
            .collect();
        if open.is_empty() {
            return Ok(answers.iter().filter(|(_, a)| *a != Answer::Refused).count());
        }
        if Instant::now() > deadline {
            return Err(Error::new(
                exit::NOT_READY,
                format!("the gate is not in force: {}", open.join("; ")),
            )
            .hint("is the admission plugin ValidatingAdmissionPolicy switched off in this API server?")
            .hint("nothing can be granted meanwhile: the controller looks at the same"));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Counts policies and bindings: all of the set must be there, as they were applied.
async fn whole(cluster: &Cluster, objects: &[(Part, Value)]) -> Result<(usize, usize), Error> {
    let (mut policies, mut bindings) = (0, 0);
    for (_, object) in objects.iter().filter(|(part, _)| *part == Part::Gate) {
        let standing = installation::standing(cluster, object, &["spec"]).await?;
        if standing != Standing::Same {
            return Err(Error::new(exit::NOT_READY, format!("{} is not as it was applied", name_of(object)))
                .hint("someone else writes it, too: oz check shows what differs"));
        }
        *(if object["kind"] == "ValidatingAdmissionPolicy" { &mut policies } else { &mut bindings }) += 1;
    }
    Ok((policies, bindings))
}

/// Prints all, with what the cluster would have filled in where it can be asked.
async fn dry_run(args: &Args, app: &App) -> Result<u8, Error> {
    let mut choices = choices(args);
    if choices.audiences.is_empty() || choices.image.is_none() {
        match ask_cluster(app, &mut choices).await {
            Ok(()) => {}
            Err(error) => app.printer.warn(&format!(
                "the cluster was not asked ({}): the audience is {DEFAULT_AUDIENCE} unless --audience says otherwise",
                error.message
            )),
        }
    }
    let objects: Vec<Value> =
        installation::objects(&choices)?.into_iter().map(|(_, object)| object).collect();
    app.printer.data(&printed(args.output, &objects)?)?;
    Ok(exit::DONE)
}

async fn ask_cluster(app: &App, choices: &mut Choices) -> Result<(), Error> {
    let cluster = app.cluster().await?;
    keep(app, &cluster, choices).await?;
    if choices.audiences.is_empty() {
        // Every cluster has this account; Oz's own namespace may not be there yet.
        choices.audiences = installation::audiences(&cluster, "default").await?;
    }
    Ok(())
}

fn printed(how: As, objects: &[Value]) -> Result<String, Error> {
    let failed =
        |error: &dyn std::fmt::Display| Error::internal(format!("failed to write the manifests: {error}"));
    match how {
        As::Name => Ok(objects.iter().map(name_of).collect::<Vec<_>>().join("\n")),
        As::Json => {
            let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": objects});
            serde_json::to_string_pretty(&list).map_err(|e| failed(&e))
        }
        As::Yaml => {
            let documents = objects.iter().map(|o| serde_yaml::to_string(o).map_err(|e| failed(&e)));
            Ok(documents.collect::<Result<Vec<_>, _>>()?.join("---\n"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images() {
        assert!(image_name("r.example:5000/a/oz-controller@sha256:00ff").is_ok());
        for bad in ["", "a b", "x\n", "a\"b"] {
            assert!(image_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn missing_rights_are_told_together() {
        let right = |verb| Right {
            verb,
            group: String::new(),
            resource: "namespaces".to_owned(),
            namespace: String::new(),
        };
        let error = refuse(&[right("create"), right("patch")], "install Oz").unwrap_err();
        assert!(error.message.ends_with("\n  create, patch namespaces"), "{}", error.message);
        assert_eq!((error.code, refuse(&[], "x")), (exit::DENIED, Ok(())));
    }

    #[test]
    fn the_printed_manifests_are_what_would_be_applied() {
        use serde::Deserialize as _;
        let objects: Vec<Value> = installation::objects(&Choices::default())
            .unwrap()
            .into_iter()
            .map(|(_, object)| object)
            .collect();
        let text = printed(As::Yaml, &objects).unwrap();
        let back: Vec<Value> =
            serde_yaml::Deserializer::from_str(&text).map(|d| Value::deserialize(d).unwrap()).collect();
        assert_eq!(back, objects);
        assert_eq!(printed(As::Name, &objects).unwrap().lines().count(), objects.len());
    }
}
