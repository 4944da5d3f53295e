//! What to ask for: from the command line, and on a terminal by choosing what it leaves out.

use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use oz_shared::copy::{self, Misfit};
use oz_shared::quantity::milli;
use oz_shared::template::ReasonPolicy;
use oz_shared::{AccessTemplate, AccessTemplateSpec, exec};

use super::Args;
use crate::app::App;
use crate::commands::list::left_out;
use crate::commands::templates;
use crate::error::Error;
use crate::exit;
use crate::kube::{Ask, Cluster, labels, source};
use crate::output::{lends, one_line};

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
    let found = templates::on_offer(cluster, Some(&cluster.namespace), &ListParams::default()).await?;
    left_out(app, &found.unread);
    let all = found.items;
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
    let lines: Vec<String> = all
        .iter()
        .map(|t| format!("{} ({})  {}", t.name_any(), lends(&t.spec), t.spec.description))
        .collect();
    let template = all[app.ui.select("Which template?", &lines)?].clone();
    Ok((template.name_any(), Some(template)))
}

async fn offered(cluster: &Cluster) -> String {
    let list = templates::on_offer(cluster, Some(&cluster.namespace), &ListParams::default()).await;
    match list.map(|list| list.items).unwrap_or_default().as_slice() {
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
    if let Some(template) = template {
        lent(&ask, &template.spec)?;
    }
    let wanted = template.is_some_and(|t| t.spec.reason == ReasonPolicy::Required);
    if wanted && ask.reason.is_empty() {
        if !app.ui.interactive() {
            return Err(
                Error::usage(format!("{} asks for a reason", ask.template)).hint("say why: --reason TEXT")
            );
        }
        ask.reason = one_line(&app.ui.line("Reason")?).map_err(Error::usage)?;
    }
    if let Some(spec) = template.map(|t| &t.spec).filter(|_| app.ui.interactive() && args.output.is_none()) {
        choose(app, cluster, spec, &mut ask).await?;
    }
    Ok(ask)
}

/// An amount of memory or CPU.
pub(super) fn amount(text: &str) -> Result<String, String> {
    let above_zero = milli(text).is_some_and(|amount| amount > 0);
    if above_zero { Ok(text.to_owned()) } else { Err("an amount is like 128Mi, 1G, 2 or 500m".to_owned()) }
}

/// Does the template lend what the flags name? The API server would refuse it, or the controller later.
fn lent(ask: &Ask, spec: &AccessTemplateSpec) -> Result<(), Error> {
    let name = &ask.template;
    let copies = spec.shell.is_some();
    for (value, flag, fits) in [
        (&ask.memory, "--memory", copies),
        (&ask.cpu, "--cpu", copies),
        (&ask.node, "--node", copies),
        (&ask.image, "--image", spec.debug.is_some()),
        (&ask.pod, "--pod", spec.pods().is_some() || copies),
        (&ask.container, "--container", spec.exec.is_some() || copies),
    ] {
        if !value.is_empty() && !fits {
            return Err(Error::usage(format!("{name} lends {}: it takes no {flag}", lends(spec)))
                .hint(format!("leave out {flag}")));
        }
    }
    if let Some(shell) = &spec.shell {
        copy::within(shell, &ask.of_copy()).map_err(misfit)?;
    }
    match &spec.debug {
        Some(debug) if !ask.image.is_empty() && !debug.images.contains(&ask.image) => {
            let error = Error::usage(format!("{name} does not offer image {}", ask.image));
            Err(debug.images.iter().fold(error, |error, image| error.hint(format!("--image {image}"))))
        }
        _ => Ok(()),
    }
}

/// More is asked for of a copy than the template lends.
fn misfit(misfit: Misfit) -> Error {
    let error = Error::usage(misfit.to_string());
    match &misfit {
        Misfit::TooMuch { what, most, .. } => error.hint(format!("ask for less: --{what} {most}")),
        Misfit::NotChosen(what @ ("memory" | "cpu")) => {
            error.hint(format!("leave out --{what}; the template's maxResources.{what} would allow it"))
        }
        Misfit::NotChosen(what) => error.hint(format!("leave out --{what}")),
        _ => error,
    }
}

/// Fills in by choice what was left out, for those who may see it and where there is a choice. The first answer is always
/// not to care.
async fn choose(app: &App, cluster: &Cluster, spec: &AccessTemplateSpec, ask: &mut Ask) -> Result<(), Error> {
    let namespace = cluster.namespace.as_str();
    let api: Api<Pod> = Api::namespaced(cluster.client.clone(), namespace);
    if let (true, Some(pods)) = (ask.pod.is_empty(), spec.pods())
        && let Some(labels) = labels(cluster, namespace, pods).await
    {
        let with = ListParams::default().labels(&labels);
        let pods =
            cluster.call("list pods", api.list(&with)).await.map(|list| list.items).unwrap_or_default();
        let names: Vec<String> = pods.iter().map(ResourceExt::name_any).collect();
        ask.pod = one_of(app, "Which pod?", "any that is ready", names)?;
    }
    if let (Some(exec), false, true) = (&spec.exec, ask.pod.is_empty(), ask.container.is_empty())
        && let Ok(pod) = cluster.call("read the pod", api.get(&ask.pod)).await
    {
        let offered = |c: &String| exec.containers.is_empty() || exec.containers.contains(c);
        let names: Vec<String> = exec::Pod::from(&pod).containers.into_iter().filter(offered).collect();
        ask.container = one_of(app, "Which container?", "any of them", names)?;
    }
    if let (Some(shell), true) = (&spec.shell, ask.container.is_empty())
        && shell.container.is_empty()
        && let Ok(Some(source)) = source(cluster, namespace, &shell.workload).await
    {
        ask.container =
            one_of(app, "Which container?", "the one that kubectl would enter", source.containers())?;
    }
    if let (Some(debug), true) = (&spec.debug, ask.image.is_empty()) {
        ask.image = one_of(app, "Which image?", "the template's first", debug.images.clone())?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn refused(spec: &Value, ask: Ask) -> String {
        let spec: AccessTemplateSpec = serde_json::from_value(spec.clone()).unwrap();
        let ask = Ask { template: "t".to_owned(), ..ask };
        let error = lent(&ask, &spec).err();
        error.map(|e| format!("{} ({})", e.message, e.hints.join("; "))).unwrap_or_default()
    }

    #[test]
    fn what_is_not_lent_is_said_before_anyone_is_asked() {
        let duration = json!({"default": "1h", "max": "1h"});
        let shell = json!({"duration": duration, "shell": {
            "workload": {"kind": "Deployment", "name": "db"}, "maxResources": {"memory": "1Gi"}}});
        let amounts =
            |memory: &str, cpu: &str| Ask { memory: memory.into(), cpu: cpu.into(), ..Ask::default() };
        assert_eq!(refused(&shell, amounts("1024Mi", "")), "");
        assert_eq!(
            refused(&shell, amounts("1.1Gi", "")),
            "the template lends memory above zero and up to 1Gi, not 1.1Gi (ask for less: --memory 1Gi)"
        );
        assert_eq!(
            refused(&shell, amounts("", "2")),
            "the template does not let a request choose its cpu (leave out --cpu; the template's maxResources.cpu would allow it)"
        );
        let node = Ask { node: "n".into(), ..Ask::default() };
        let no_node = "the template does not let a request choose its node (leave out --node)";
        assert_eq!(refused(&shell, node.clone()), no_node);
        let debug = json!({"duration": duration, "debug": {
            "pods": {"selector": {"matchLabels": {"app": "web"}}}, "images": ["a", "b"]}});
        let image = |name: &str| Ask { image: name.into(), ..Ask::default() };
        assert_eq!(refused(&debug, node), "t lends debug: it takes no --node (leave out --node)");
        assert_eq!(refused(&debug, image("b")), "");
        assert_eq!(refused(&debug, image("c")), "t does not offer image c (--image a; --image b)");
    }

    #[test]
    fn amounts_are_those_of_kubernetes() {
        assert!(
            amount("128Mi").is_ok()
                && amount("500m").is_ok()
                && amount("128 MB").is_err()
                && amount("0").is_err()
        );
    }
}
