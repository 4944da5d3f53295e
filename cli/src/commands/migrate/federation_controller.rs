//! Objects of the federation-controller (slateci.io, and nrp-nautilus.io before it), in this one's words. Pure: objects in,
//! objects and notes out. What each field meant is told by that tool's code: it makes the namespace of a Cluster, with an
//! account that holds the ClusterRole federation-cluster there and federation-cluster-global everywhere, and one more
//! for each ClusterNS in it.

use std::collections::BTreeSet;

use oz_shared::names::is_reserved_name;
use oz_shared::request::Requester;
use serde_json::{Value, json};

use super::UNASKED;
use super::fields::Fields;
use super::object::{Metadata, Migrated, Old, Whole, ours, tell, typed};
use crate::commands::namespace_request::label;

const GROUPS: [&str; 2] = ["slateci.io/", "nrp-nautilus.io/"];
const VERSIONS: [&str; 2] = ["v1alpha1", "v1alpha2"];
/// On what its own upgrade has copied.
const UPGRADED: &str = "upgraded-by";
/// The class, and the ClusterRole by which a partner reads in the whole cluster.
const CLASS: &str = "federation";
const READER: &str = "federation-read";
/// The most further namespaces that a class lends.
const MOST_FURTHER: usize = 100;
/// The most live namespaces of one requester.
const MOST_LIVE: usize = 1000;
/// That tool knew no end.
const DURATION: &str = "8760h";
const RBAC: &str = "rbac.authorization.k8s.io";

/// An object of that tool.
enum Theirs {
    Partner(Partner),
    Further(Further),
}

/// A Cluster.
struct Partner {
    metadata: Metadata,
    organization: Option<String>,
    /// Its namespace as that tool made it.
    home: String,
    notes: Vec<String>,
}

/// A ClusterNS, or a ClusterNamespace as it was called before.
struct Further {
    name: String,
    /// The namespace that it stands in: its partner's.
    home: String,
    notes: Vec<String>,
}

/// Translates them all. Federations are asked for by `requester`, or by whom the cluster fills in.
pub(super) fn migrate(objects: Vec<Value>, requester: Option<&Requester>) -> Whole {
    let theirs: Vec<_> = objects.into_iter().map(read).collect();
    let partners: Vec<&Partner> = theirs
        .iter()
        .flatten()
        .filter_map(|one| if let Theirs::Partner(p) = one { Some(p) } else { None })
        .collect();
    let further: BTreeSet<(&str, &str)> = theirs
        .iter()
        .flatten()
        .filter_map(|one| {
            if let Theirs::Further(f) = one { Some((f.home.as_str(), f.name.as_str())) } else { None }
        })
        .collect();
    let count = |partner: &Partner| further.iter().filter(|(home, _)| *home == partner.home).count();
    let mut asked = BTreeSet::new();
    let each: Vec<Result<Migrated, String>> = theirs
        .iter()
        .map(|one| {
            Ok(match one.as_ref().map_err(Clone::clone)? {
                Theirs::Partner(p) if !asked.insert(&p.metadata.name) => {
                    Migrated::told(vec![format!("{} is there already, above", p.metadata.name)])
                }
                Theirs::Partner(p) => federation(p, count(p), requester),
                Theirs::Further(f) => match partners.iter().find(|p| p.home == f.home) {
                    Some(p) => namespace(f, &p.metadata.name),
                    None => Migrated::without(format!(
                        "the Cluster whose namespace is {} is not among these",
                        f.home
                    )),
                },
            })
        })
        .collect();
    let any = each.iter().flatten().any(|one| !one.objects.is_empty());
    let most = partners.iter().map(|p| count(p)).max().unwrap_or_default();
    let common = if any { class(partners.len(), most, requester.is_some()) } else { Migrated::default() };
    Whole { common, each }
}

fn read(object: Value) -> Result<Theirs, String> {
    let Old { version, kind, mut fields } = Old::of(object)?;
    let of_theirs = GROUPS.iter().find_map(|group| version.strip_prefix(group));
    if !of_theirs.is_some_and(|version| VERSIONS.contains(&version)) {
        return Err(format!(
            "{kind} of {version} is none of the federation-controller's, whose groups are slateci.io and nrp-nautilus.io, v1alpha1 and v1alpha2"
        ));
    }
    let mut notes = Vec::new();
    match kind.as_str() {
        "Cluster" => {
            let mut metadata = Metadata::take(&mut fields, &mut notes)?;
            metadata.annotation(UPGRADED);
            let (organization, home) = spec(&mut fields, &mut notes)?;
            let home = home.unwrap_or_else(|| metadata.name.clone());
            Ok(Theirs::Partner(Partner { metadata, organization, home, notes }))
        }
        "ClusterNS" | "ClusterNamespace" => {
            let metadata = Metadata::take(&mut fields, &mut notes)?;
            spec(&mut fields, &mut notes)?;
            let home = metadata.namespace.ok_or("it has no metadata.namespace")?;
            Ok(Theirs::Further(Further { name: metadata.name, home, notes }))
        }
        _ => Err(format!("{kind} of {version} is no kind that can be migrated")),
    }
}

/// The organization and the namespace, with the capitals of that tool's CRDs.
fn spec(fields: &mut Fields, notes: &mut Vec<String>) -> Result<(Option<String>, Option<String>), String> {
    let mut spec = fields.inner("spec")?;
    let said = (spec.text("Organization")?, spec.text("Namespace")?);
    tell(&[fields, &spec], notes);
    Ok(said)
}

fn federation(partner: &Partner, further: usize, requester: Option<&Requester>) -> Migrated {
    let name = &partner.metadata.name;
    if label(name).is_err() || is_reserved_name(name) {
        return Migrated::without(format!(
            "{name} can be no namespace's name, and those of a federation begin with its own"
        ));
    }
    let mut notes = partner.notes.clone();
    let organization = partner.organization.clone().unwrap_or_else(|| {
        notes.push(format!("spec.Organization is empty: it becomes {name}"));
        name.clone()
    });
    let is_own = &partner.home == name || partner.home.starts_with(&format!("{name}-"));
    let first = if is_own && label(&partner.home).is_ok() { &partner.home } else { name };
    if first != &partner.home {
        notes.push(format!(
            "spec.Namespace: {} becomes {first}: a partner's names begin with the federation's",
            partner.home
        ));
    }
    if further > MOST_FURTHER {
        notes.push(format!("of its {further} further namespaces it may have {MOST_FURTHER}"));
    }
    let further = further.min(MOST_FURTHER);
    let mut spec = json!({
        "organization": organization, "cluster": name, "class": CLASS, "namespace": first, "further": further,
        "clusterRole": READER,
    });
    match requester {
        Some(requester) => spec["requester"] = json!(requester),
        None => {
            let named = if first == name { String::new() } else { format!(" --first {first}") };
            notes.push(format!(
                "who asks is left out: --requester names him; or: oz federation-request {name} --class {CLASS} \
                 --organization {}{named} --further {further} --cluster-role {READER}",
                typed(&organization)
            ));
        }
    }
    notes.push(format!(
        "it may have {further} further namespaces at a time, as many as it has: spec.further does not change later"
    ));
    let objects = vec![ours("Federation", partner.metadata.ours(json!({"name": name})), spec)];
    Migrated { objects, notes, left_out: None }
}

/// The partner's own to ask for, by its own account, once it has one.
fn namespace(further: &Further, partner: &str) -> Migrated {
    let Further { name, notes, .. } = further;
    let own =
        if name.starts_with(&format!("{partner}-")) { name.clone() } else { format!("{partner}-{name}") };
    if label(&own).is_err() {
        return Migrated::without(format!(
            "{own} can be no namespace's name, and {partner}'s begin with {partner}-"
        ));
    }
    let again = format!(
        "{partner} asks for it itself, with what was handed over: oz --context oz-imported-{partner} \
         namespace-request {own} --class {CLASS}"
    );
    Migrated::told(notes.iter().cloned().chain([again]).collect())
}

/// What partners had in common: it stood in that tool's code and in two ClusterRoles.
fn class(partners: usize, most: usize, is_asked: bool) -> Migrated {
    let class = json!({
        "description": "for partners' clusters that deploy here",
        // While the old namespace of that name is there.
        "names": {"pattern": "[a-z0-9-]+", "prefix": "Partner"}, "onTaken": "Suffix",
        "role": "edit", "ttl": {"default": DURATION, "max": DURATION}, "approvals": 1, "reason": "Optional",
        "maxLive": partners.clamp(10, MOST_LIVE),
        "federation": {"further": most.min(MOST_FURTHER), "clusterRoles": [READER]},
    });
    let version = format!("{RBAC}/v1");
    let read = ["get", "list", "watch"];
    let reader = json!({
        "apiVersion": version, "kind": "ClusterRole", "metadata": {"name": READER}, "rules": [
            {"apiGroups": [""], "resources": ["namespaces", "nodes"], "verbs": read},
            {"apiGroups": ["storage.k8s.io"], "resources": ["storageclasses"], "verbs": read},
            {"apiGroups": ["scheduling.k8s.io"], "resources": ["priorityclasses"], "verbs": read},
        ],
    });
    let ceiling = json!({
        "apiVersion": version, "kind": "ClusterRole",
        "metadata": {"name": format!("{READER}-lent"), "labels": {"ozaccess.io/ceiling-federations": "true"}},
        "rules": [{
            "apiGroups": [RBAC], "resources": ["clusterroles"], "resourceNames": [READER],
            "verbs": ["bind", "lend-everywhere"],
        }],
    });
    let mut notes = vec![
        "no namespace that is there is taken over: one whose name is taken gets that name with five letters more, and what \
         runs in the old one is deployed anew"
            .to_owned(),
        format!("class {CLASS}: what nobody had to agree to, one other agrees to: approvals"),
        format!("class {CLASS}: what had no end has one, after {DURATION}: ttl"),
        format!("class {CLASS}: in its namespaces a partner holds edit, no longer federation-cluster: role"),
        format!("class {CLASS}: Pod Security baseline is enforced, where nothing was: podSecurity"),
        format!(
            "ClusterRole {READER}: a partner reads namespaces, nodes, storage and priority classes; \
             CustomResourceDefinitions, which federation-cluster-global let it write, have no counterpart"
        ),
    ];
    if !is_asked {
        notes.push(UNASKED.to_owned());
    }
    Migrated {
        objects: vec![reader, ceiling, ours("NamespaceClass", json!({"name": CLASS}), class)],
        notes,
        left_out: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oz_shared::namespace_class::{OnTaken, Prefix};
    use oz_shared::{Federation, NamespaceClass};

    fn cluster(name: &str, spec: Value) -> Value {
        json!({"apiVersion": "slateci.io/v1alpha2", "kind": "Cluster", "spec": spec,
            "metadata": {"name": name, "uid": "1", "labels": {"tier": "one"}, "annotations": {"upgraded-by": "federation-controller"}}})
    }

    fn further(home: &str, name: &str) -> Value {
        json!({"apiVersion": "nrp-nautilus.io/v1alpha1", "kind": "ClusterNamespace",
            "metadata": {"name": name, "namespace": home}})
    }

    fn of(objects: Vec<Value>) -> Vec<Migrated> {
        migrate(objects, None).each.into_iter().map(Result::unwrap).collect()
    }

    fn has(notes: &[String], words: &str) -> bool {
        notes.iter().any(|note| note.contains(words))
    }

    #[test]
    fn a_partner_with_all_that_it_has() {
        let spec = json!({"Organization": "slate", "Namespace": "site-a"});
        let me = Requester { username: "admin".into(), uid: String::new(), groups: vec!["ops".into()] };
        let objects = vec![cluster("site-a", spec), further("site-a", "site-a-web"), further("site-a", "db")];
        let whole = migrate(objects.clone(), Some(&me));
        let each: Vec<Migrated> = whole.each.into_iter().map(Result::unwrap).collect();
        assert_eq!(
            each[0].objects,
            [json!({
                "apiVersion": "ozaccess.io/v1alpha1", "kind": "Federation",
                "metadata": {"name": "site-a", "labels": {"tier": "one"}},
                "spec": {
                    "organization": "slate", "cluster": "site-a", "class": "federation", "namespace": "site-a", "further": 2,
                    "clusterRole": "federation-read", "requester": {"username": "admin", "uid": "", "groups": ["ops"]},
                },
            })]
        );
        let taken: Federation = serde_json::from_value(each[0].objects[0].clone()).unwrap();
        assert_eq!(taken.spec.requester, me);
        assert!(!has(&each[0].notes, "left out") && !has(&whole.common.notes, "left out"));
        let asks = "oz --context oz-imported-site-a namespace-request";
        assert!(has(&each[1].notes, &format!("{asks} site-a-web --class federation")));
        assert!(has(&each[2].notes, &format!("{asks} site-a-db --class federation")));
        assert!(each[1..].iter().all(|one| one.objects.is_empty() && one.left_out.is_none()));

        let open = migrate(objects, None);
        let federation = open.each[0].as_ref().unwrap();
        assert!(
            federation.objects[0]["spec"]["requester"].is_null()
                && has(&open.common.notes, "--fill-requester")
        );
        assert!(has(
            &federation.notes,
            "oz federation-request site-a --class federation --organization slate --further 2"
        ));
    }

    #[test]
    fn what_partners_had_in_common() {
        let whole = migrate(vec![cluster("a", json!({})), cluster("b", json!({})), further("b", "x")], None);
        let kinds: Vec<&Value> = whole.common.objects.iter().map(|object| &object["kind"]).collect();
        assert_eq!(kinds, ["ClusterRole", "ClusterRole", "NamespaceClass"]);
        let class: NamespaceClass = serde_json::from_value(whole.common.objects[2].clone()).unwrap();
        let terms = class.spec.federation.unwrap();
        assert_eq!((terms.further, terms.cluster_roles.as_slice()), (1, &["federation-read".to_owned()][..]));
        // Nobody but a partner gets a name of it, and none that is taken.
        assert_eq!((class.spec.names.prefix, class.spec.on_taken), (Prefix::Partner, OnTaken::Suffix));
        assert_eq!((class.spec.approvals, class.spec.role.as_str()), (1, "edit"));
        let rules = whole.common.objects[0]["rules"].as_array().unwrap();
        assert!(rules.iter().all(|rule| rule["verbs"] == json!(["get", "list", "watch"])));
        assert!(whole.common.objects[1]["rules"][0]["resourceNames"] == json!(["federation-read"]));
    }

    #[test]
    fn names_that_are_the_partners_own() {
        let first = |home: &str| {
            let one = of(vec![cluster("site", json!({"Organization": "", "Namespace": home}))]).remove(0);
            (one.objects[0]["spec"]["namespace"].clone(), one.notes)
        };
        assert_eq!(first("site-0").0, "site-0");
        let (name, notes) = first("other");
        assert!(
            name == "site" && has(&notes, "other becomes site") && has(&notes, "spec.Organization is empty")
        );
        for name in ["kube-system", "default", "site.example", "-x"] {
            let one = of(vec![cluster(name, json!({}))]).remove(0);
            assert!(one.objects.is_empty() && one.left_out.is_some(), "{name}");
        }
        let long = of(vec![cluster("site", json!({})), further("site", &"x".repeat(60))]);
        assert!(long[1].left_out.as_ref().is_some_and(|why| why.contains("no namespace's name")));
    }

    #[test]
    fn what_a_text_says_is_no_command() {
        let spec = json!({"Organization": "x'; rm -rf /", "Namespace": "site"});
        let one = of(vec![cluster("site", spec)]).remove(0);
        assert!(has(&one.notes, r"--organization 'x'\''; rm -rf /' --further"), "{:?}", one.notes);
    }

    #[test]
    fn twice_or_without_a_partner() {
        let mut old = cluster("site", json!({}));
        old["apiVersion"] = json!("nrp-nautilus.io/v1alpha1");
        let both = of(vec![cluster("site", json!({})), old, further("site", "x"), further("site", "x")]);
        assert!(both[1].objects.is_empty() && has(&both[1].notes, "there already"));
        assert_eq!(both[0].objects[0]["spec"]["further"], 1);
        let alone = migrate(vec![further("site", "x")], None);
        assert!(alone.common.objects.is_empty() && alone.each[0].as_ref().unwrap().left_out.is_some());
        let many: Vec<Value> = (0..101).map(|n| further("site", &format!("n{n}"))).collect();
        let whole = migrate([vec![cluster("site", json!({}))], many].concat(), None);
        let one = whole.each[0].as_ref().unwrap();
        assert!(one.objects[0]["spec"]["further"] == 100 && has(&one.notes, "of its 101"));
    }

    #[test]
    fn others_are_refused() {
        for (version, kind) in [
            ("slateci.io/v1", "Cluster"),
            ("cluster.x-k8s.io/v1alpha1", "Cluster"),
            ("slateci.io/v1alpha2", "Secret"),
            ("v1", "Secret"),
        ] {
            let whole =
                migrate(vec![json!({"apiVersion": version, "kind": kind, "metadata": {"name": "x"}})], None);
            let error = whole.each[0].as_ref().unwrap_err();
            assert!(error.contains(version) && error.contains(kind), "{error}");
        }
        let whole = migrate(vec![cluster("x", json!({"Namespace": []})), json!("text")], None);
        assert!(whole.each.iter().all(Result::is_err) && whole.common.objects.is_empty());
        let nowhere =
            json!({"apiVersion": "slateci.io/v1alpha2", "kind": "ClusterNS", "metadata": {"name": "x"}});
        assert!(migrate(vec![nowhere], None).each[0].is_err());
    }
}
