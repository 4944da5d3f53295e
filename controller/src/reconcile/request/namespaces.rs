//! NamespaceRequests: is what a class offers to be had, and what would be lent.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Namespace;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Api, Client, Resource as _, ResourceExt as _};
use oz_shared::conditions::{self, ENDED, READY};
use oz_shared::grant::NamespaceTerms;
use oz_shared::names::{
    CLASS_LABEL, NETWORK_POLICIES_LABEL, POD_SECURITY_LABEL, SessionKind, grant_name, is_reserved_name,
    is_reserved_namespace, prefix_of,
};
use oz_shared::namespace_class::{OnTaken, Prefix, Subject};
use oz_shared::namespace_request::CredentialKind;
use oz_shared::template::RoleKind;
use oz_shared::{Grant, NamespaceClass, NamespaceRequest, plain};
use serde_json::json;

use super::kind::{Kind, NoOffer, Offer, Times};
use super::roles::{LentRole, may, role_of};
use crate::context::Context;
use crate::reconcile::{Doing as _, Error};

/// What a class offers, as it is to be had.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    /// May this process make namespaces?
    may_make: bool,
    /// The roles of their owners and of what stands in them that it may not bind.
    unbindable: Vec<String>,
    /// The role of their owners.
    role: Option<LentRole>,
    /// The namespaces that have one of the names already, and stay.
    taken: Vec<String>,
    /// Those of the wanted names that are spoken for: somebody else's namespaces are owned by accounts of such a namespace.
    named: Vec<String>,
    /// How many namespaces of the class the requester has.
    live: usize,
    /// The grant whose account is to own them as well.
    shares: Option<Arc<Grant>>,
    /// The grant whose namespaces are to be taken over.
    extends: Option<Arc<Grant>>,
}

impl Kind for NamespaceRequest {
    type Policy = NamespaceClass;
    type Found = Found;
    const NAME: &'static str = "NamespaceRequest";
    const POLICY: &'static str = "class";
    const POLICIES: &'static str = "namespaceclasses";
    const NO_POLICY: &'static str = "ClassNotFound";

    fn store(context: &Context) -> &Store<Self> {
        &context.namespace_requests
    }

    fn policies(client: &Client, _: &str) -> Api<NamespaceClass> {
        Api::all(client.clone())
    }

    fn refused(&self) -> Option<(&'static str, String)> {
        if is_reserved_namespace(&self.namespace().unwrap_or_default()) {
            let message = "nothing is asked for in Oz's and Kubernetes' own namespaces";
            return Some(("ReservedNamespace", message.to_owned()));
        }
        let reserved = self.spec.namespaces.iter().find(|n| is_reserved_name(n))?;
        Some(("NameNotOffered", format!("{reserved} is not to be had")))
    }

    fn names_its_target(&self) -> bool {
        true
    }

    async fn find(&self, class: &NamespaceClass, context: &Context) -> Result<Found, Error> {
        let client = &context.client;
        let (may_make, unbindable, role, taken) = tokio::join!(
            may(client, "", "create", "", "namespaces", ""),
            unbindable(class, client),
            role_of(client, "", RoleKind::ClusterRole, &class.spec.role),
            taken(self, client),
        );
        let whose = |uid: &str| lent_to(self, uid, context);
        let extends = whose(&self.spec.extends.uid);
        Ok(Found {
            may_make: may_make.doing("ask whether namespaces may be made")?,
            unbindable: unbindable.doing("ask whether the roles may be bound")?,
            role: role.doing("read the owners' role")?,
            taken: taken.doing("look whether the names are taken")?,
            named: named(self, context),
            live: live(self, class, extends.as_deref(), context),
            shares: whose(&self.spec.credential.uid),
            extends,
        })
    }

    fn offer(&self, class: &NamespaceClass, found: &Found, _: &Times) -> Result<Offer, NoOffer> {
        let unusable = |reason, message: String| Err(NoOffer::Unusable(reason, message));
        let (spec, terms) = (&self.spec, &class.spec);
        if !terms.is_offered_in(&self.namespace().unwrap_or_default()) {
            let message = format!("class {} is asked for in {}, not here", spec.class, terms.from.join(", "));
            return unusable("NotOfferedHere", message);
        }
        if !found.may_make {
            return unusable(
                "NotEnabled",
                "Oz is not enabled to make namespaces here: oz enable --namespaces".to_owned(),
            );
        }
        if let Some(role) = found.unbindable.first() {
            let message = format!(
                "Oz may bind nobody to ClusterRole {role}: allow it by a ClusterRole with the label ozaccess.io/ceiling-namespaces: \"true\" that has the verb bind on it"
            );
            return unusable("BeyondCeiling", message);
        }
        let Some(role) = &found.role else {
            return unusable("NotFound", format!("ClusterRole {} is not there", terms.role));
        };
        let extends = match (&found.extends, spec.extends.uid.is_empty()) {
            (_, true) => {
                names_offered(self, class)?;
                String::new()
            }
            (Some(grant), false) => extended(self, class, grant)?,
            (None, false) => {
                return unusable("NothingToExtend", no_such_request(&spec.extends.name));
            }
        };
        if extends.is_empty() && terms.on_taken == OnTaken::Refuse && !found.taken.is_empty() {
            let taken = plain::some_of(&found.taken);
            return unusable("NameTaken", format!("there is a namespace {taken} already: Oz adopts none"));
        }
        if let Some(name) = found.named.first().filter(|_| extends.is_empty()) {
            let message = format!("accounts of a namespace {name} have rights elsewhere that are not yours");
            return unusable("NameTaken", message);
        }
        let most = usize::try_from(terms.max_live).unwrap_or(0);
        if found.live + spec.namespaces.len() > most {
            let message = format!(
                "with these you would have {} namespaces of class {}, of which one may have {most}: release some first",
                found.live + spec.namespaces.len(),
                spec.class
            );
            return unusable("TooMany", message);
        }
        let shared = match (&found.shares, spec.credential.kind) {
            // That of the request whose end this one is would end with it.
            (Some(grant), CredentialKind::Of)
                if !grant.spec.account.is_empty() && spec.credential.uid != spec.extends.uid =>
            {
                Some(&grant.spec.account)
            }
            (_, CredentialKind::Of) => {
                return unusable("NoCredential", no_such_request(&spec.credential.name));
            }
            _ => None,
        };
        let mut owners = spec.owners.clone();
        if spec.credential.kind == CredentialKind::Requester {
            let holder = Subject::of(&spec.requester.username);
            if holder.name.starts_with("system:") || is_reserved_namespace(&holder.namespace) {
                let message = format!("{} owns nothing by name", spec.requester.username);
                return unusable("RequesterNotLendable", message);
            }
            owners.insert(0, holder);
        }
        let session = (spec.credential.kind == CredentialKind::Session).then_some(SessionKind::Roles);
        let mut names = spec.namespaces.clone();
        if !extends.is_empty() {
            // All who would take them over do so in one order.
            names.sort_unstable();
        }
        let namespaces = NamespaceTerms {
            names,
            on_taken: terms.on_taken,
            labels: labels(class),
            annotations: terms.annotations.clone(),
            role: terms.role.clone(),
            shared_account: shared.cloned().unwrap_or_default(),
            owners,
            resources: terms.resources.clone(),
            max_live: terms.max_live,
            extends,
        };
        let digest = plain::digest(&json!([role.uid, role.rules]));
        let words = words(self, class, &namespaces);
        Ok(Offer { digest, namespaces: Some(namespaces), ..Offer::of(words, session) })
    }
}

/// Those of the wanted names that a namespace has which stays. One that is being deleted is waited for.
async fn taken(request: &NamespaceRequest, client: &Client) -> kube::Result<Vec<String>> {
    if !request.spec.extends.uid.is_empty() {
        return Ok(Vec::new());
    }
    let api: Api<Namespace> = Api::all(client.clone());
    let look = request.spec.namespaces.iter().map(|name| api.get_metadata_opt(name));
    let there = futures::future::try_join_all(look).await?;
    let stays = there.into_iter().flatten().filter(|n| n.metadata.deletion_timestamp.is_none());
    Ok(stays.map(|n| n.name_any()).collect())
}

/// The ClusterRoles that the class would have bound and this process may not bind.
async fn unbindable(class: &NamespaceClass, client: &Client) -> kube::Result<Vec<String>> {
    let of_resources = class.spec.resources.iter().filter_map(|r| r.role.as_ref());
    let ask = [&class.spec.role].into_iter().chain(of_resources).map(async |role| {
        let may = may(client, "", "bind", "rbac.authorization.k8s.io", "clusterroles", role).await?;
        Ok::<_, kube::Error>((!may).then(|| role.clone()))
    });
    Ok(futures::future::try_join_all(ask).await?.into_iter().flatten().collect())
}

/// Those of the wanted names by which a live grant of somebody else names accounts: whoever makes accounts there would have
/// what those were given.
fn named(request: &NamespaceRequest, context: &Context) -> Vec<String> {
    let requester = &request.spec.requester;
    let grants = context.grants.state();
    let others = grants.iter().filter(|g| {
        let holder = &g.spec.holder;
        (&holder.username, &holder.uid) != (&requester.username, &requester.uid)
    });
    let terms: Vec<&NamespaceTerms> = others.filter_map(|g| g.spec.namespaces.as_ref()).collect();
    let subjects = || {
        let of_resources = terms.iter().flat_map(|t| &t.resources).flat_map(|r| r.subjects.iter().flatten());
        terms.iter().flat_map(|t| &t.owners).chain(of_resources)
    };
    request.spec.namespaces.iter().filter(|name| subjects().any(|s| s.namespace == **name)).cloned().collect()
}

/// The live grant for another request of the same requester in the same namespace, given that one's uid.
fn lent_to(request: &NamespaceRequest, uid: &str, context: &Context) -> Option<Arc<Grant>> {
    let grant = context.grants.get(&ObjectRef::new(&grant_name(uid))).filter(|_| !uid.is_empty())?;
    let (holder, of, requester) = (&grant.spec.holder, &grant.spec.request, &request.spec.requester);
    let live = grant.metadata.deletion_timestamp.is_none()
        && grant.spec.namespaces.is_some()
        && grant.status.as_ref().is_some_and(|s| {
            conditions::is_true(&s.conditions, READY) && conditions::get(&s.conditions, ENDED).is_none()
        });
    let same = (&holder.username, &holder.uid) == (&requester.username, &requester.uid)
        && of.uid == uid
        && Some(&of.namespace) == request.metadata.namespace.as_ref();
    (live && same).then_some(grant)
}

/// How many namespaces of the class the requester has, or is to get, beside those that would be taken over.
fn live(
    request: &NamespaceRequest,
    class: &NamespaceClass,
    extends: Option<&Grant>,
    context: &Context,
) -> usize {
    let requester = &request.spec.requester;
    let of = |grant: &Grant| {
        let holder = &grant.spec.holder;
        let counts = Some(&grant.spec.terms.template.pin.uid) == class.meta().uid.as_ref()
            && (&holder.username, &holder.uid) == (&requester.username, &requester.uid)
            && extends.is_none_or(|e| e.metadata.uid != grant.metadata.uid);
        grant.spec.namespaces.as_ref().filter(|_| counts).map_or(0, |n| n.names.len())
    };
    context.grants.state().iter().map(|g| of(g)).sum()
}

fn no_such_request(name: &str) -> String {
    format!("{name} is no request of yours here that is active, or another one now")
}

/// The name of the grant whose namespaces are taken over, if they are those that are named.
fn extended(request: &NamespaceRequest, class: &NamespaceClass, grant: &Grant) -> Result<String, NoOffer> {
    let there = grant.status.iter().flat_map(|s| &s.namespaces).map(|n| &n.name);
    let (mut there, mut named): (Vec<_>, Vec<_>) =
        (there.collect(), request.spec.namespaces.iter().collect());
    there.sort_unstable();
    named.sort_unstable();
    if there != named || grant.spec.terms.template.name != request.spec.class {
        let has = there.into_iter().cloned().collect::<Vec<_>>().join(", ");
        let message = format!(
            "{} is for {has} of class {}, all of which go on together",
            request.spec.extends.name, grant.spec.terms.template.name
        );
        return Err(NoOffer::Unusable("NothingToExtend", message));
    }
    // They stay what they are; nobody is told, or asked to agree to, something else.
    let same =
        |terms: &NamespaceTerms| terms.resources == class.spec.resources && terms.labels == labels(class);
    if !grant.spec.namespaces.as_ref().is_some_and(same) {
        let message =
            format!("class {} has changed since they were made: ask for new ones", request.spec.class);
        return Err(NoOffer::Unusable("ClassChanged", message));
    }
    Ok(grant.name_any())
}

/// Does the class offer these names?
fn names_offered(request: &NamespaceRequest, class: &NamespaceClass) -> Result<(), NoOffer> {
    let rules = &class.spec.names;
    // As CEL reads it: RE2, of bytes, and the whole name.
    let expression = |text: &str| regex::bytes::RegexBuilder::new(text).unicode(false).build();
    let whole = expression(&rules.pattern).and_then(|_| expression(&format!("^(?:{})$", rules.pattern)));
    let pattern = whole.map_err(|error| {
        let message = format!("the names' pattern of class {} cannot be read: {error}", request.spec.class);
        NoOffer::Unusable("ClassUnusable", message)
    })?;
    let prefix = match rules.prefix {
        Prefix::None => String::new(),
        Prefix::Requester => prefix_of(&request.spec.requester.username),
    };
    for name in &request.spec.namespaces {
        let message = if !name.starts_with(&prefix) {
            format!(
                "a namespace that {} asks for is called {prefix}…, not {name}",
                request.spec.requester.username
            )
        } else if !pattern.is_match(name.as_bytes()) {
            format!("class {} offers namespaces called {}, not {name}", request.spec.class, rules.pattern)
        } else {
            continue;
        };
        return Err(NoOffer::Unusable("NameNotOffered", message));
    }
    Ok(())
}

fn labels(class: &NamespaceClass) -> std::collections::BTreeMap<String, String> {
    let mut labels = class.spec.labels.clone();
    labels.insert(POD_SECURITY_LABEL.to_owned(), class.spec.pod_security.as_str().to_owned());
    // A class may be called what no label can say.
    let name = class.name_any();
    if name.len() <= 63 {
        labels.insert(CLASS_LABEL.to_owned(), name);
    }
    if !class.spec.owners_write_network_policies {
        labels.insert(NETWORK_POLICIES_LABEL.to_owned(), "Oz".to_owned());
    }
    labels
}

fn words(request: &NamespaceRequest, class: &NamespaceClass, terms: &NamespaceTerms) -> Vec<String> {
    let (spec, role) = (&request.spec, &terms.role);
    let names = terms.names.join(", ");
    let what = match (terms.extends.is_empty(), terms.on_taken) {
        (false, _) => format!("namespaces kept on: {names}"),
        (true, OnTaken::Refuse) => format!("new namespaces: {names}"),
        (true, OnTaken::Suffix) => format!("new namespaces: {names} (with a suffix where a name is taken)"),
    };
    let by = match spec.credential.kind {
        CredentialKind::Session => "by a session of his own".to_owned(),
        CredentialKind::Requester => "bound by name".to_owned(),
        CredentialKind::Of => format!("by the session of request {}, until that ends", spec.credential.name),
    };
    let mut words = vec![what, format!("{} owns them by ClusterRole {role}, {by}", spec.requester.username)];
    if !spec.owners.is_empty() {
        let owners = spec.owners.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        words.push(format!("also owned, by name, by {owners}"));
    }
    let policies = if class.spec.owners_write_network_policies { "may" } else { "may not" };
    words.push(format!(
        "Pod Security {}; owners {policies} write NetworkPolicies",
        class.spec.pod_security.as_str()
    ));
    if !terms.resources.is_empty() {
        let of = terms.resources.iter().map(|r| match &r.role {
            Some(role) => format!("{:?} {} (ClusterRole {role})", r.kind, r.name),
            None => format!("{:?} {}", r.kind, r.name),
        });
        words.push(format!("each with {}", of.collect::<Vec<_>>().join(", ")));
    }
    words.push(
        "at the end they are deleted with all that is in them: that depends on Oz's controller".to_owned(),
    );
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(pattern: &str, prefix: &str, name: &str) -> bool {
        let class: NamespaceClass = serde_json::from_value(json!({
            "apiVersion": "ozaccess.io/v1alpha1", "kind": "NamespaceClass", "metadata": {"name": "ci"},
            "spec": {"names": {"pattern": pattern, "prefix": prefix}, "role": "edit", "ttl": {"default": "1h", "max": "1h"}},
        }))
        .unwrap();
        let request: NamespaceRequest = serde_json::from_value(json!({
            "apiVersion": "ozaccess.io/v1alpha1", "kind": "NamespaceRequest", "metadata": {"name": "r"},
            "spec": {"class": "ci", "namespaces": [name], "requester": {"username": "system:serviceaccount:ci:builder"}},
        }))
        .unwrap();
        names_offered(&request, &class).is_ok()
    }

    #[test]
    fn a_pattern_is_for_the_whole_name() {
        assert!(offered("ci-[a-z]+", "None", "ci-x"));
        assert!(!offered("ci-[a-z]+", "None", "my-ci-x"));
        assert!(!offered("ci-[a-z]+", "None", "ci-x-1"));
        assert!(
            offered("a|b", "None", "b") && !offered("a|b", "None", "ab") && !offered("a|b", "None", "bc")
        );
        // What is none, or escapes the whole, offers nothing.
        for bad in ["[", "a)|(b", "(?=a)"] {
            assert!(!offered(bad, "None", "a"), "{bad}");
        }
        assert!(offered(".*", "Requester", "ci-builder-1") && !offered(".*", "Requester", "ci-other-1"));
    }
}
