//! What an `exec` template lends, as RBAC rules and in words. Pure: the controller grants by it, and the CLI shows by it
//! what would be granted.
//!
//! RBAC names pods but neither containers nor commands. Those limits stand in the same Role as names that exist only to
//! be asked for by the policy `oz-connect`: `POD/*/*`, `POD/CONTAINER/*` and `POD/CONTAINER/COMMAND`, where `*` is a mere
//! character and COMMAND is each argument with its length in characters before it.

use k8s_openapi::api::core::v1;
use k8s_openapi::api::rbac::v1::PolicyRule;

use crate::GROUP;
use crate::names::DEFAULT_CONTAINER;
use crate::plain;
use crate::template::{Connection, ExecAccess, OnEnd};

/// The most names that one Role may hold before it is refused: containers times commands.
const MAX_NAMES: usize = 1024;
/// The most bytes of names that one Role may hold; etcd takes 1.5 MB an object.
const MAX_NAME_BYTES: usize = 256 * 1024;

/// The pod that is lent, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// All its containers: ordinary, init and ephemeral ones.
    pub containers: Vec<String>,
    /// The one that `kubectl exec` enters unless told.
    pub default_container: String,
    /// The account whose token is mounted in it, if one is.
    pub mounted_account: Option<String>,
}

impl From<&v1::Pod> for Pod {
    fn from(pod: &v1::Pod) -> Self {
        let Some(spec) = &pod.spec else {
            let name = pod.metadata.name.clone().unwrap_or_default();
            return Self {
                name,
                containers: Vec::new(),
                default_container: String::new(),
                mounted_account: None,
            };
        };
        let annotated = pod.metadata.annotations.as_ref().and_then(|all| all.get(DEFAULT_CONTAINER));
        let ordinary = spec.containers.iter().map(|c| &c.name);
        // The annotation counts where it names an ordinary container: any other may have ended.
        let entered = annotated.filter(|a| ordinary.clone().any(|c| c == *a)).or(ordinary.clone().next());
        let init = spec.init_containers.iter().flatten().map(|c| &c.name);
        let ephemeral = spec.ephemeral_containers.iter().flatten().map(|c| &c.name);
        let mounts_token = spec.volumes.iter().flatten().any(|volume| {
            let sources = volume.projected.iter().flat_map(|p| p.sources.iter().flatten());
            sources.into_iter().any(|source| source.service_account_token.is_some())
        });
        let account = || spec.service_account_name.clone().unwrap_or_else(|| "default".to_owned());
        Self {
            name: pod.metadata.name.clone().unwrap_or_default(),
            default_container: entered.cloned().unwrap_or_default(),
            containers: ordinary.chain(init).chain(ephemeral).cloned().collect(),
            mounted_account: mounts_token.then(account),
        }
    }
}

/// Why a template's offer does not fit the pod or the request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// The container asked for is not one that the template offers.
    #[error("the template does not offer container {0}")]
    NotOffered(String),
    /// The container asked for is not in the pod.
    #[error("pod {pod} has no container {container}; it has {}", .there.join(", "))]
    NoSuchContainer {
        /// The pod.
        pod: String,
        /// The container that is missing.
        container: String,
        /// Those that it has.
        there: Vec<String>,
    },
    /// None of the template's containers is in the pod.
    #[error("pod {0} has none of the containers that the template offers")]
    NoneOffered(String),
    /// Containers and commands multiply to more than a Role holds, or than can be shown to who approves.
    #[error(
        "the template's containers and commands are too many, or too long, to be lent and shown: name fewer"
    )]
    TooLarge,
}

/// What is lent: rules for one Role, the same in words, and the container to enter unless told.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    /// The Role's rules, each for named objects.
    pub rules: Vec<PolicyRule>,
    /// In words.
    pub words: Vec<String>,
    /// The container to enter where none is named.
    pub container: String,
}

/// Which connections, into which containers, with which commands. No container or command named: any.
#[derive(Debug, Clone, Copy)]
pub struct Ways<'a> {
    /// The connections.
    pub connections: &'a [Connection],
    /// The containers that may be entered.
    pub containers: &'a [String],
    /// The commands that may be run by `exec`, each with exactly these arguments.
    pub commands: &'a [Vec<String>],
}

/// What `access` lends on `pod`, narrowed to `container` unless that is empty.
///
/// # Errors
/// When the container is not offered or not there, or when the rules would not fit a Role.
pub fn offer(access: &ExecAccess, pod: &Pod, container: &str) -> Result<Offer, Misfit> {
    let ways =
        Ways { connections: &access.connections, containers: &access.containers, commands: &access.commands };
    let mut offer = lend(ways, pod, container)?;
    if access.connections != [Connection::Log] {
        offer.words.push(match access.on_end {
            OnEnd::Leave => "an open stream, or a process left in the pod, is not cut at the end".to_owned(),
            OnEnd::Evict => "at the end the pod is evicted".to_owned(),
        });
    }
    Ok(offer)
}

/// What is lent on `pod` by these ways, narrowed to `container` unless that is empty.
///
/// # Errors
/// When the container is not offered or not there, or when the rules would not fit a Role.
pub fn lend(access: Ways<'_>, pod: &Pod, container: &str) -> Result<Offer, Misfit> {
    let entered = containers(access, pod, container)?;
    let has = |c: Connection| access.connections.contains(&c);
    let name = pod.name.as_str();

    let streams: Vec<Connection> = [Connection::Exec, Connection::Attach, Connection::PortForward]
        .into_iter()
        .filter(|c| has(*c))
        .collect();
    let mut rules = vec![rule("", &["pods"], &[name.to_owned()], &["get", "list", "watch"])];
    if !streams.is_empty() {
        let resources: Vec<String> = streams.iter().map(|c| format!("pods/{}", c.as_str())).collect();
        let resources: Vec<&str> = resources.iter().map(String::as_str).collect();
        // Over a websocket a connection is a GET, over SPDY a POST: it takes both verbs.
        rules.push(rule("", &resources, &[name.to_owned()], &["get", "create"]));
    }
    if has(Connection::Log) {
        rules.push(rule("", &["pods/log"], &[name.to_owned()], &["get"]));
    }
    if has(Connection::Exec) {
        rules.push(rule(GROUP, &["connections"], &exec_names(access, pod, entered.as_deref())?, &["exec"]));
    }
    if has(Connection::Attach) {
        rules.push(rule(GROUP, &["connections"], &any_command(pod, entered.as_deref()), &["attach"]));
    }
    if has(Connection::PortForward) {
        rules.push(rule(GROUP, &["connections"], &[format!("{name}/*/*")], &["portforward"]));
    }

    let enter = match &entered {
        Some(list) if !list.contains(&pod.default_container) => list.first().cloned().unwrap_or_default(),
        _ => pod.default_container.clone(),
    };
    let words = plain::words(words(access, pod, entered.as_deref())).map_err(|_| Misfit::TooLarge)?;
    Ok(Offer { rules, words, container: enter })
}

/// The containers that may be entered, or none for any.
fn containers(access: Ways<'_>, pod: &Pod, container: &str) -> Result<Option<Vec<String>>, Misfit> {
    if !container.is_empty() {
        if !access.containers.is_empty() && !access.containers.iter().any(|c| c == container) {
            return Err(Misfit::NotOffered(container.to_owned()));
        }
        if !pod.containers.iter().any(|c| c == container) {
            return Err(Misfit::NoSuchContainer {
                pod: pod.name.clone(),
                container: container.to_owned(),
                there: pod.containers.clone(),
            });
        }
        return Ok(Some(vec![container.to_owned()]));
    }
    if access.containers.is_empty() {
        return Ok(None);
    }
    let there: Vec<String> =
        access.containers.iter().filter(|c| pod.containers.contains(c)).cloned().collect();
    if there.is_empty() { Err(Misfit::NoneOffered(pod.name.clone())) } else { Ok(Some(there)) }
}

fn any_command(pod: &Pod, entered: Option<&[String]>) -> Vec<String> {
    match entered {
        None => vec![format!("{}/*/*", pod.name)],
        Some(list) => list.iter().map(|c| format!("{}/{c}/*", pod.name)).collect(),
    }
}

fn exec_names(access: Ways<'_>, pod: &Pod, entered: Option<&[String]>) -> Result<Vec<String>, Misfit> {
    if access.commands.is_empty() {
        return Ok(any_command(pod, entered));
    }
    let containers = entered.unwrap_or(&pod.containers);
    if containers.len().saturating_mul(access.commands.len()) > MAX_NAMES {
        return Err(Misfit::TooLarge);
    }
    let names: Vec<String> = containers
        .iter()
        .flat_map(|c| access.commands.iter().map(move |argv| (c, argv)))
        .map(|(c, argv)| format!("{}/{c}/{}", pod.name, command_name(argv)))
        .collect();
    if names.iter().map(String::len).sum::<usize>() > MAX_NAME_BYTES {
        Err(Misfit::TooLarge)
    } else {
        Ok(names)
    }
}

/// A command as one name that no separator inside an argument can forge: `["sh", "-c", "id"]` is `2:sh,2:-c,2:id`.
/// Lengths count characters, as `size()` does in the policies' CEL.
#[must_use]
pub fn command_name(argv: &[String]) -> String {
    argv.iter().map(|a| format!("{}:{a}", a.chars().count())).collect::<Vec<_>>().join(",")
}

fn rule(group: &str, resources: &[&str], names: &[String], verbs: &[&str]) -> PolicyRule {
    let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    PolicyRule {
        api_groups: Some(vec![group.to_owned()]),
        resources: Some(owned(resources)),
        resource_names: Some(names.to_vec()),
        verbs: owned(verbs),
        ..PolicyRule::default()
    }
}

fn words(access: Ways<'_>, pod: &Pod, entered: Option<&[String]>) -> Vec<String> {
    let name = &pod.name;
    let place = match entered {
        None => "any container".to_owned(),
        Some([one]) => format!("container {one}"),
        Some(list) => format!("containers {}", list.join(", ")),
    };
    let mut lines = Vec::new();
    for connection in access.connections {
        match connection {
            Connection::Exec if access.commands.is_empty() => {
                lines.push(format!("exec into pod {name}, {place}, any command"));
            }
            Connection::Exec => {
                lines.push(format!("exec into pod {name}, {place}, only:"));
                lines.extend(access.commands.iter().map(|argv| format!("  {}", quoted(argv))));
            }
            Connection::Attach => lines.push(format!("attach to pod {name}, {place}")),
            Connection::PortForward => lines.push(format!("port-forward to every port of pod {name}")),
            Connection::Log => lines.push(format!("read the logs of every container of pod {name}")),
        }
    }
    let enters = access.connections.iter().any(|c| matches!(c, Connection::Exec | Connection::Attach));
    if let (true, Some(account)) = (enters, &pod.mounted_account) {
        lines.push(format!(
            "the pod's own token (service account {account}) can be read inside, and outlives the loan"
        ));
    }
    lines
}

/// A command as a person would type it; control characters escaped.
fn quoted(argv: &[String]) -> String {
    let plain = |a: &&String| {
        !a.is_empty() && a.chars().all(|c| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c))
    };
    argv.iter().map(|a| if plain(&a) { a.clone() } else { format!("{a:?}") }).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::PodSource;

    fn access(containers: &[&str], commands: &[&[&str]], connections: &[Connection]) -> ExecAccess {
        ExecAccess {
            pods: PodSource { selector: None, workload: None },
            containers: containers.iter().map(ToString::to_string).collect(),
            commands: commands.iter().map(|c| c.iter().map(ToString::to_string).collect()).collect(),
            connections: connections.to_vec(),
            on_end: OnEnd::Leave,
        }
    }

    fn pod() -> Pod {
        Pod {
            name: "api-0".into(),
            containers: vec!["main".into(), "side".into()],
            default_container: "main".into(),
            mounted_account: None,
        }
    }

    fn names(offer: &Offer, verb: &str) -> Vec<String> {
        let rule = offer.rules.iter().find(|r| r.verbs == [verb]).unwrap();
        rule.resource_names.clone().unwrap()
    }

    #[test]
    fn of_a_pod_as_it_runs() {
        let facts = |annotated: &str| {
            let pod: v1::Pod = serde_json::from_value(serde_json::json!({
                "metadata": {"name": "api-0", "annotations": {DEFAULT_CONTAINER: annotated}},
                "spec": {
                    "serviceAccountName": "api",
                    "initContainers": [{"name": "init"}],
                    "containers": [{"name": "main"}, {"name": "side"}],
                    "ephemeralContainers": [{"name": "oz-1"}],
                    "volumes": [{"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}],
                },
            }))
            .unwrap();
            Pod::from(&pod)
        };
        let pod = facts("side");
        assert_eq!(pod.containers, ["main", "side", "init", "oz-1"]);
        assert_eq!((pod.name.as_str(), pod.mounted_account.as_deref()), ("api-0", Some("api")));
        assert_eq!(pod.default_container, "side");
        for other in ["init", "oz-1", "gone", ""] {
            assert_eq!(facts(other).default_container, "main", "{other}");
        }
        let bare = Pod::from(&v1::Pod::default());
        assert!(
            bare.containers.is_empty() && bare.default_container.is_empty() && bare.mounted_account.is_none()
        );
    }

    #[test]
    fn every_rule_names_its_objects() {
        let all = [Connection::Exec, Connection::Attach, Connection::PortForward, Connection::Log];
        for container in ["", "main"] {
            let offer = offer(&access(&[], &[&["id"]], &all), &pod(), container).unwrap();
            assert!(offer.rules.iter().all(|r| r.resource_names.as_ref().is_some_and(|n| !n.is_empty())));
        }
    }

    #[test]
    fn limits_become_names() {
        let any = offer(&access(&[], &[], &[Connection::Exec]), &pod(), "").unwrap();
        assert_eq!(names(&any, "exec"), ["api-0/*/*"]);
        let one = offer(&access(&["side", "gone"], &[], &[Connection::Exec]), &pod(), "").unwrap();
        assert_eq!(names(&one, "exec"), ["api-0/side/*"]);
        assert_eq!(one.container, "side");
        let commands =
            offer(&access(&[], &[&["sh", "-c", "ä,1"]], &[Connection::Exec]), &pod(), "main").unwrap();
        assert_eq!(names(&commands, "exec"), ["api-0/main/2:sh,2:-c,3:ä,1"]);
    }

    #[test]
    fn a_container_must_be_offered_and_there() {
        let template = access(&["main"], &[], &[Connection::Exec]);
        assert_eq!(offer(&template, &pod(), "side"), Err(Misfit::NotOffered("side".into())));
        let template = access(&[], &[], &[Connection::Exec]);
        assert!(matches!(offer(&template, &pod(), "zz"), Err(Misfit::NoSuchContainer { .. })));
        let template = access(&["zz"], &[], &[Connection::Exec]);
        assert_eq!(offer(&template, &pod(), ""), Err(Misfit::NoneOffered("api-0".into())));
    }

    #[test]
    fn nothing_is_lent_that_cannot_be_shown() {
        let long = "x".repeat(1024);
        let template = access(&[], &[&["sh"], &[long.as_str(), long.as_str()]], &[Connection::Exec]);
        assert_eq!(offer(&template, &pod(), ""), Err(Misfit::TooLarge));
        let template = access(&[], &[&["sh"], &["id", "-u"]], &[Connection::Exec]);
        let words = offer(&template, &pod(), "").unwrap().words;
        assert!(words.contains(&"  sh".to_owned()) && words.contains(&"  id -u".to_owned()));
    }

    #[test]
    fn words_hold_no_control_characters() {
        let template = access(&[], &[&["sh", "a\n\u{202e}b"]], &[Connection::Exec]);
        let offer = offer(&template, &pod(), "").unwrap();
        assert!(offer.words.iter().all(|w| !w.chars().any(char::is_control)));
    }
}
