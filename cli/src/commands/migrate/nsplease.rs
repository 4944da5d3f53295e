//! The settings of nsplease, as a class of namespaces. Pure: objects in, objects and notes out. What each meant is told by
//! that tool's script: a Deployment whose environment it is, and ConfigMaps, each of which is a request.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::fields::Fields;
use super::object::{Metadata, Migrated, Old, Whole, ours, tell, typed};
use crate::commands::namespace_request::label;

/// The class that `nsplease request` asks for unless another is named.
const CLASS: &str = "ci";
/// Its settings, with what it took for those that were not set, or empty.
const REQUESTS_NAMESPACE: (&str, &str) = ("REQUESTS_NAMESPACE", "nsplease-requests");
const VALID_REGEXES: (&str, &str) =
    ("VALID_REGEXES", "^ci-commit-[0-9a-f]+$ ^ci-branch-[a-z0-9-]+$ ^nsp-[a-z0-9-]+$");
const IGNORE_SILENTLY: (&str, &str) = ("IGNORE_SILENTLY", "kube-root-ca.crt");
const TOKEN_POLICY: [&str; 2] = ["TOKEN_POLICY_ANNOTATION", "TOKEN_POLICY_DEFAULT"];
/// The most that a class's pattern may have.
const PATTERN: usize = 256;

type Settings = BTreeMap<String, String>;

/// Translates them all.
pub(super) fn migrate(objects: Vec<Value>) -> Whole {
    let mut settings = None;
    // A ConfigMap is judged by the settings, wherever they stand.
    let read: Vec<_> = objects.into_iter().map(|object| read(object, &mut settings)).collect();
    let settings = settings.unwrap_or_default();
    let class = class(&settings);
    let each: Vec<_> = read
        .into_iter()
        .map(|one| match (one?, &class) {
            // Its defaults can all be said: what cannot stands in the Deployment.
            (Theirs::Deployment(_), Err(why)) => Err(why.clone()),
            (Theirs::Deployment(notes), Ok(_)) => Ok(Migrated::told(notes)),
            (Theirs::Installed(kind), _) => {
                Ok(Migrated::told(vec![format!("{kind} has no counterpart: Oz is installed by oz install")]))
            }
            (Theirs::Request(metadata, notes), _) => Ok(request(&metadata, notes, &settings)),
        })
        .collect();
    let any = each.iter().any(Result::is_ok);
    Whole { common: class.ok().filter(|_| any).unwrap_or_default(), each }
}

/// An object of that tool.
enum Theirs {
    Deployment(Vec<String>),
    Request(Metadata, Vec<String>),
    /// Something else that it was installed with.
    Installed(String),
}

fn read(object: Value, settings: &mut Option<Settings>) -> Result<Theirs, String> {
    let Old { version, kind, mut fields } = Old::of(object)?;
    let mut notes = Vec::new();
    match (version.as_str(), kind.as_str()) {
        ("apps/v1", "Deployment") => {
            let environment = deployment(&mut fields, &mut notes)?;
            if settings.replace(environment).is_some() {
                return Err("there is another Deployment before it, and nsplease is one".to_owned());
            }
            Ok(Theirs::Deployment(notes))
        }
        ("v1", "ConfigMap") => {
            let metadata = Metadata::take(&mut fields, &mut notes)?;
            // The namespace owned it, and that is not taken over.
            notes.retain(|note| !note.starts_with("metadata.ownerReferences "));
            tell(&[&fields], &mut notes);
            Ok(Theirs::Request(metadata, notes))
        }
        (_, "Namespace" | "ServiceAccount" | "ClusterRoleBinding") => {
            let metadata = Metadata::take(&mut fields, &mut notes)?;
            match metadata.name.starts_with("nsplease") {
                true => Ok(Theirs::Installed(kind)),
                false => Err(format!("{kind} {} is none of nsplease's", metadata.name)),
            }
        }
        _ => Err(format!(
            "{kind} of {version} is none of nsplease's: its Deployment, and the ConfigMaps in its requests' namespace"
        )),
    }
}

/// Who asks, and that he may, is for the API server to see: nobody else can ask in his place.
fn request(metadata: &Metadata, mut notes: Vec<String>, settings: &Settings) -> Migrated {
    let name = &metadata.name;
    if setting(settings, IGNORE_SILENTLY).split_ascii_whitespace().any(|ignored| ignored == name) {
        return Migrated::default();
    }
    let requests = setting(settings, REQUESTS_NAMESPACE);
    if metadata.namespace.as_deref().is_some_and(|namespace| namespace != requests) {
        return Migrated::without(format!("nsplease read the ConfigMaps of {requests} alone"));
    }
    notes.push(format!(
        "a request is not taken over, nor its namespace: that stays until somebody deletes it; whose pipeline it is asks for \
         another: nsplease request {}",
        typed(name)
    ));
    Migrated::told(notes)
}

/// The environment of its container, as far as it stands there.
fn deployment(fields: &mut Fields, notes: &mut Vec<String>) -> Result<Settings, String> {
    let mut spec = fields.inner("spec")?.inner("template")?.inner("spec")?;
    let at = spec.at("containers");
    let mut containers = spec.items("containers")?;
    let is_its = |container: &Value| {
        let says = |key: &str| container[key].as_str().unwrap_or_default();
        let image = says("image").rsplit('/').next().unwrap_or_default();
        says("name") == "nsplease" || image.split(['@', ':']).next() == Some("nsplease")
    };
    let found = containers.iter().position(is_its).ok_or(format!("{at} has none that is nsplease"))?;
    let mut container = Fields::of(&at, containers.swap_remove(found))?;
    let path = container.at("env");
    let mut settings = Settings::new();
    for variable in container.items("env")? {
        let mut variable = Fields::of(&path, variable)?;
        let name = variable.text("name")?.ok_or(format!("{path} has one without a name"))?;
        if !variable.take("valueFrom").is_null() {
            notes.push(format!("{path}: {name} stands elsewhere (valueFrom), and is taken for not set"));
        } else if let Some(value) = variable.text("value")? {
            settings.insert(name, value);
        }
    }
    if !container.items("envFrom")?.is_empty() {
        notes.push(format!("{} stands elsewhere, and is taken for not set", container.at("envFrom")));
    }
    if !container.items("volumeMounts")?.is_empty() {
        notes.push(format!(
            "{}: a namespace-template.yaml of your own is not read: what stands in each namespace is the class's resources",
            container.at("volumeMounts")
        ));
    }
    let known = [REQUESTS_NAMESPACE.0, VALID_REGEXES.0, IGNORE_SILENTLY.0];
    for name in settings.keys().filter(|name| !known.contains(&name.as_str())) {
        notes.push(match TOKEN_POLICY.contains(&name.as_str()) {
            true => format!(
                "{name} has no counterpart: no token lies in a Secret, each who may mint one mints his own"
            ),
            false => format!("{name} has no counterpart"),
        });
    }
    Ok(settings)
}

/// An empty variable is one that is not set, as in a shell's `:=`.
fn setting<'a>(settings: &'a Settings, (name, default): (&str, &'a str)) -> &'a str {
    settings.get(name).map(String::as_str).filter(|value| !value.trim().is_empty()).unwrap_or(default)
}

fn class(settings: &Settings) -> Result<Migrated, String> {
    let requests = setting(settings, REQUESTS_NAMESPACE).trim();
    label(requests).map_err(|_| format!("REQUESTS_NAMESPACE: {requests} can be no namespace's name"))?;
    let pattern = pattern(setting(settings, VALID_REGEXES));
    if pattern.len() > PATTERN {
        return Err(format!(
            "VALID_REGEXES: a class's pattern has {PATTERN} bytes at most, and this makes {}",
            pattern.len()
        ));
    }
    let spec = json!({
        "description": "for one run of a pipeline", "from": [requests], "names": {"pattern": pattern}, "role": "admin",
        "ttl": {"default": "24h", "max": "720h"}, "approvals": 0, "reason": "Optional", "maxLive": 100,
    });
    let notes = vec![
        format!(
            "class {CLASS}: who may ask is for a RoleBinding to say: kubectl -n {requests} create rolebinding pipelines \
             --clusterrole oz-namespace-requester --serviceaccount NAMESPACE:NAME"
        ),
        format!("class {CLASS}: a namespace ends, after 24h unless asked for otherwise: ttl"),
        format!("class {CLASS}: who asks has 100 of them at a time: maxLive"),
        format!("class {CLASS}: Pod Security baseline is enforced, where nothing was: podSecurity"),
        "a namespace that is there is never taken over, nor handed out again".to_owned(),
        "pipelines that shall stay as they are, with ConfigMaps and Secrets, need none of this: manifests/nsplease".to_owned(),
    ];
    Ok(Migrated {
        objects: vec![ours("NamespaceClass", json!({"name": CLASS}), spec)],
        notes,
        left_out: None,
    })
}

/// One expression for the whole name, of several of which one matched somewhere in it.
fn pattern(regexes: &str) -> String {
    let whole = |regex: &str| {
        // With an alternative in it the anchors may be of one side alone.
        let inner = regex.strip_prefix('^').and_then(|rest| rest.strip_suffix('$'));
        match inner.filter(|inner| !inner.contains('|') && !inner.ends_with('\\')) {
            Some(inner) => inner.to_owned(),
            None => format!(".*(?:{regex}).*"),
        }
    };
    regexes.split_ascii_whitespace().map(whole).collect::<Vec<_>>().join("|")
}

#[cfg(test)]
mod tests {
    use super::*;
    use oz_shared::NamespaceClass;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;
    use regex::bytes::RegexBuilder;

    fn deployed(env: Value) -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "nsplease"}, "spec": {"template": {"spec": {
            "containers": [{"name": "x", "image": "sidecar"}, {"name": "main", "image": "ghcr.io/jpetazzo/nsplease:1", "env": env}],
        }}}})
    }

    fn asked(namespace: &str, name: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"x": "y"}, "metadata": {
            "name": name, "namespace": namespace, "ownerReferences": [{"kind": "Namespace", "name": name}],
        }})
    }

    fn class_of(whole: &Whole) -> NamespaceClass {
        serde_json::from_value(whole.common.objects[0].clone()).unwrap()
    }

    fn has(notes: &[String], words: &str) -> bool {
        notes.iter().any(|note| note.contains(words))
    }

    #[test]
    fn with_all_its_defaults() {
        let whole = migrate(vec![
            asked("nsplease-requests", "ci-commit-1"),
            asked("nsplease-requests", "kube-root-ca.crt"),
        ]);
        let class = class_of(&whole);
        assert_eq!(class.spec.names.pattern, "ci-commit-[0-9a-f]+|ci-branch-[a-z0-9-]+|nsp-[a-z0-9-]+");
        assert_eq!(
            (class.spec.from.as_slice(), class.spec.role.as_str()),
            (&["nsplease-requests".to_owned()][..], "admin")
        );
        assert_eq!((class.spec.approvals, class.spec.ttl.max.as_str()), (0, "720h"));
        let request = whole.each[0].as_ref().unwrap();
        assert!(
            request.objects.is_empty() && has(&request.notes, "nsplease request ci-commit-1"),
            "{request:?}"
        );
        assert!(has(&request.notes, "data has no counterpart") && !has(&request.notes, "ownerReferences"));
        assert_eq!(whole.each[1].as_ref().unwrap(), &Migrated::default());
    }

    #[test]
    fn as_it_was_set_up() {
        let env = json!([
            {"name": "REQUESTS_NAMESPACE", "value": "pipelines"}, {"name": "VALID_REGEXES", "value": "^pr-[0-9]+$ x"},
            {"name": "IGNORE_SILENTLY", "value": ""}, {"name": "TOKEN_POLICY_DEFAULT", "value": "only-once"},
            {"name": "TOKEN_POLICY_ANNOTATION", "valueFrom": {"configMapKeyRef": {"name": "a", "key": "b"}}},
            {"name": "HTTPS_PROXY", "value": "p"},
        ]);
        let whole = migrate(vec![
            asked("pipelines", "pr-1"),
            deployed(env.clone()),
            asked("nsplease-requests", "pr-2"),
        ]);
        let class = class_of(&whole);
        assert_eq!(class.spec.names.pattern, "pr-[0-9]+|.*(?:x).*");
        assert_eq!(class.spec.from, ["pipelines"]);
        let notes = &whole.each[1].as_ref().unwrap().notes;
        for words in [
            "TOKEN_POLICY_DEFAULT has no counterpart",
            "TOKEN_POLICY_ANNOTATION stands elsewhere",
            "HTTPS_PROXY has no",
        ] {
            assert!(has(notes, words), "{words}: {notes:?}");
        }
        assert!(!has(notes, "VALID_REGEXES") && !has(notes, "IGNORE_SILENTLY"));
        assert!(whole.each[2].as_ref().unwrap().left_out.is_some());
        assert!(migrate(vec![deployed(env.clone()), deployed(env)]).each[1].is_err());
    }

    #[test]
    fn what_matched_still_matches_and_nothing_else() {
        for (regexes, whole) in [
            ("^a$", "a"),
            ("^a$  ^b-[0-9]+$", "a|b-[0-9]+"),
            ("^a|b$", ".*(?:^a|b$).*"),
            ("ci-", ".*(?:ci-).*"),
            (r"^a\$", r".*(?:^a\$).*"),
        ] {
            assert_eq!(pattern(regexes), whole, "{regexes}");
        }
    }

    proptest! {
        /// As grep read them: one of several, anywhere in the name.
        #[test]
        fn no_name_more_and_none_less(
            name in "[abx0-]{1,7}",
            regexes in vec(select(&["^a", "b$", "^a[0-9]+$", "a|b", "^a|b$", "^(a|b)x*$", "x-", "^[^$]+$", r"^0\$", "^$"][..]), 1..4),
        ) {
            let expression = |text: &str| RegexBuilder::new(text).unicode(false).build().unwrap();
            let matched = regexes.iter().any(|regex| expression(regex).is_match(name.as_bytes()));
            let whole = expression(&format!("^(?:{})$", pattern(&regexes.join(" "))));
            prop_assert_eq!(whole.is_match(name.as_bytes()), matched);
        }
    }

    #[test]
    fn what_it_was_installed_with() {
        let of = |name: &str| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        let whole = migrate(vec![of("nsplease-system"), of("shop")]);
        assert!(has(&whole.each[0].as_ref().unwrap().notes, "oz install") && whole.each[1].is_err());
    }

    #[test]
    fn what_cannot_be_said_is_refused() {
        let long = json!([{"name": "VALID_REGEXES", "value": format!("^{}$", "a".repeat(300))}]);
        let whole = migrate(vec![deployed(long)]);
        assert!(whole.common.objects.is_empty() && whole.each[0].as_ref().unwrap_err().contains("256 bytes"));
        let odd = json!([{"name": "REQUESTS_NAMESPACE", "value": "A b"}]);
        assert!(migrate(vec![deployed(odd)]).each[0].as_ref().unwrap_err().contains("REQUESTS_NAMESPACE"));
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "ci-1"}, "data": {"token": "x"}});
        let whole = migrate(vec![secret]);
        assert!(
            whole.common.objects.is_empty() && whole.each[0].as_ref().unwrap_err().contains("Secret of v1")
        );
        let other = json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"template": {"spec": {
            "containers": [{"name": "web", "image": "nginx"}]}}}});
        assert!(migrate(vec![other]).each[0].is_err());
    }
}
