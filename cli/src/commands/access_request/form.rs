//! What to ask for: from the command line, and on a terminal by choosing what it leaves out.

use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use oz_shared::AccessTemplate;
use oz_shared::template::ReasonPolicy;

use super::Args;
use crate::app::App;
use crate::commands::templates;
use crate::error::Error;
use crate::exit;
use crate::kube::{Ask, Cluster, pod_facts};
use crate::output::one_line;

/// The template by its name, or by choice. Who may ask for one need not be allowed to read it.
pub(super) async fn template(
    app: &App,
    cluster: &Cluster,
    name: Option<&str>,
) -> Result<(String, Option<AccessTemplate>), Error> {
    if let Some(name) = name {
        return match cluster.template(name).await {
            Ok(template) => Ok((name.to_owned(), Some(template))),
            Err(fault) if fault.code() == Some(403) => Ok((name.to_owned(), None)),
            Err(fault) if fault.code() == Some(404) => {
                let error = Error::from(fault);
                Err(if error.code == exit::USAGE { error.hint(offered(cluster).await) } else { error })
            }
            Err(fault) => Err(fault.into()),
        };
    }
    let all = templates::on_offer(cluster, Some(&cluster.namespace), &ListParams::default()).await?;
    if all.is_empty() {
        return Err(Error::usage(format!(
            "no template in namespace {} is on offer to you",
            cluster.namespace
        ))
        .hint("oz templates -A lists those of other namespaces"));
    }
    if !app.ui.interactive() {
        let names: Vec<String> = all.iter().map(ResourceExt::name_any).collect();
        return Err(Error::usage(format!("name a template: one of {}", names.join(", "))));
    }
    let lines: Vec<String> =
        all.iter().map(|t| format!("{}  {}", t.name_any(), t.spec.description)).collect();
    let template = all[app.ui.select("Which template?", &lines)?].clone();
    Ok((template.name_any(), Some(template)))
}

async fn offered(cluster: &Cluster) -> String {
    let list = templates::on_offer(cluster, Some(&cluster.namespace), &ListParams::default()).await;
    match list.unwrap_or_default().as_slice() {
        [] => "oz templates -A lists what there is".to_owned(),
        some => format!("there is {}", some.iter().map(ResourceExt::name_any).collect::<Vec<_>>().join(", ")),
    }
}

/// What to ask for; what is missing is asked for on a terminal.
pub(super) async fn ask(
    args: &Args,
    app: &App,
    cluster: &Cluster,
    name: String,
    template: Option<&AccessTemplate>,
) -> Result<Ask, Error> {
    let mut ask = Ask {
        template: name,
        duration: args.duration.map(oz_shared::duration::format).unwrap_or_default(),
        reason: args.reason.clone().unwrap_or_default(),
        pod: args.pod.clone().unwrap_or_default(),
        container: args.container.clone().unwrap_or_default(),
        memory: args.memory.clone().unwrap_or_default(),
        cpu: args.cpu.clone().unwrap_or_default(),
        node: args.node.clone().unwrap_or_default(),
        image: args.image.clone().unwrap_or_default(),
    };
    let wanted = template.is_some_and(|t| t.spec.reason == ReasonPolicy::Required);
    if wanted && ask.reason.is_empty() {
        if !app.ui.interactive() {
            return Err(
                Error::usage(format!("{} asks for a reason", ask.template)).hint("say why: --reason TEXT")
            );
        }
        ask.reason = one_line(&app.ui.line("Reason")?).map_err(Error::usage)?;
    }
    if app.ui.interactive() && args.output.is_none() {
        choose(app, cluster, template, &mut ask).await?;
    }
    Ok(ask)
}

/// Fills in the pod and the container by choice, for those who may see pods and where there is a choice. The first answer
/// is always not to care.
async fn choose(
    app: &App,
    cluster: &Cluster,
    template: Option<&AccessTemplate>,
    ask: &mut Ask,
) -> Result<(), Error> {
    let Some(exec) = template.and_then(|t| t.spec.exec.as_ref()) else { return Ok(()) };
    let api: Api<Pod> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    if let (true, Some(selector)) = (ask.pod.is_empty(), &exec.pods.selector) {
        let labels: Vec<String> = selector.match_labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let with = ListParams::default().labels(&labels.join(","));
        let pods =
            cluster.call("list pods", api.list(&with)).await.map(|list| list.items).unwrap_or_default();
        let names: Vec<String> = pods.iter().map(ResourceExt::name_any).collect();
        ask.pod = one_of(app, "Which pod?", "any that is ready", names)?;
    }
    if ask.pod.is_empty() || !ask.container.is_empty() {
        return Ok(());
    }
    if let Ok(pod) = cluster.call("read the pod", api.get(&ask.pod)).await {
        let offered = |c: &String| exec.containers.is_empty() || exec.containers.contains(c);
        let names: Vec<String> = pod_facts(&pod).containers.into_iter().filter(offered).collect();
        ask.container = one_of(app, "Which container?", "any of them", names)?;
    }
    Ok(())
}

/// One of several, or nothing.
fn one_of(app: &App, prompt: &str, whichever: &str, mut names: Vec<String>) -> Result<String, Error> {
    if names.len() < 2 {
        return Ok(String::new());
    }
    names.insert(0, whichever.to_owned());
    let choice = app.ui.select(prompt, &names)?;
    Ok(if choice == 0 { String::new() } else { names.swap_remove(choice) })
}
