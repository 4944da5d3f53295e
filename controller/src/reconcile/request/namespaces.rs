//! NamespaceRequests: is what a class offers to be had, and what would be lent.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Api, Client, ResourceExt as _};
use oz_shared::Request as _;
use oz_shared::conditions::{self, ENDED, READY};
use oz_shared::grant::NamespaceTerms;
use oz_shared::names::{
    CLASS_LABEL, NETWORK_POLICIES_LABEL, POD_SECURITY_LABEL, SessionKind, grant_name, is_reserved_name,
    is_reserved_namespace, partner_account, prefix_of,
};
use oz_shared::namespace_class::{NamespaceResource, OnTaken, Prefix, Subject};
use oz_shared::namespace_request::{Credential, CredentialKind};
use oz_shared::template::RoleKind;
use oz_shared::{Federation, Grant, NamespaceClass, NamespaceRequest, plain};
use serde_json::json;

use super::kind::{Kind, NoOffer, Offer, Times};
use super::roles::{LentRole, may, role_of};
use crate::children::belongs_to;
use crate::context::Context;
use crate::reconcile::{Doing as _, Error, later};

/// What there must be for namespaces to be had, whoever asks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Basis {
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
}

impl Basis {
    /// For someone of this username and uid, by these owners' role and with these resources.
    pub(super) async fn look(
        whose: (&str, &str),
        (role, resources): (&String, &[NamespaceResource]),
        names: &[String],
        context: &Context,
    ) -> Result<Self, Error> {
        let client = &context.client;
        let (may_make, unbindable, found, taken) = tokio::join!(
            may(client, "", "create", "", "namespaces", ""),
            unbindable(role, resources, client),
            role_of(client, "", RoleKind::ClusterRole, role),
            taken(names, client),
        );
        Ok(Self {
            may_make: may_make.doing("ask whether namespaces may be made")?,
            unbindable: unbindable.doing("ask whether the roles may be bound")?,
            role: found.doing("read the owners' role")?,
            taken: taken.doing("look whether the names are taken")?,
            named: named(whose, names, context),
        })
    }

    /// The role of their owners, if namespaces are to be had on these terms.
    pub(super) fn offers(&self, terms: &NamespaceTerms) -> Result<&LentRole, NoOffer> {
        let unusable = |reason, message: String| Err(NoOffer::Unusable(reason, message));
        if !self.may_make {
            return unusable(
                "NotEnabled",
                "Oz is not enabled to make namespaces here: oz enable --namespaces".to_owned(),
            );
        }
        if let Some(role) = self.unbindable.first() {
            let message = format!(
                "Oz may bind nobody to ClusterRole {role}: allow it by a ClusterRole with the label ozaccess.io/ceiling-namespaces: \"true\" that has the verb bind on it"
            );
            return unusable("BeyondCeiling", message);
        }
        if terms.extends.is_empty() && terms.on_taken == OnTaken::Refuse && !self.taken.is_empty() {
            let taken = plain::some_of(&self.taken);
            return unusable("NameTaken", format!("there is a namespace {taken} already: Oz adopts none"));
        }
        if let Some(name) = self.named.first().filter(|_| terms.extends.is_empty()) {
            let message = format!("accounts of a namespace {name} have rights elsewhere that are not yours");
            return unusable("NameTaken", message);
        }
        match &self.role {
            Some(role) => Ok(role),
            None => unusable("NotFound", format!("ClusterRole {} is not there", terms.role)),
        }
    }
}

/// What a class offers, as it is to be had.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    basis: Basis,
    /// Of who asks by a partner's account: the federation's grant, if it stands and this is its first namespace.
    partner: Option<Arc<Grant>>,
    /// Partners whose names begin with the federation's.
    others: Vec<String>,
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

    fn api(client: &Client, namespace: &str) -> Api<Self> {
        Api::namespaced(client.clone(), namespace)
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
        let whose = |uid: &str| lent_to(self, uid, context);
        let extends = whose(&self.spec.extends.uid);
        let partner = partner(self, context);
        let lent = partner.as_ref().and_then(|grant| grant.spec.namespaces.as_ref());
        let names = if self.spec.extends.uid.is_empty() { self.spec.namespaces.as_slice() } else { &[] };
        let requester = &self.spec.requester;
        let holder = partner.as_ref().map(|grant| grant.name_any());
        let counts_for = holder.as_deref().map_or((&*requester.username, &*requester.uid), |name| (name, ""));
        Ok(Found {
            basis: Basis::look(
                (&requester.username, &requester.uid),
                lent.map_or((&class.spec.role, &*class.spec.resources), |terms| {
                    (&terms.role, &*terms.resources)
                }),
                names,
                context,
            )
            .await?,
            others: partner
                .as_ref()
                .map_or_else(Vec::new, |g| partners_within(&g.spec.request.name, context)),
            live: live(counts_for, class, extends.as_deref(), context),
            shares: whose(&self.spec.credential.uid),
            extends,
            partner,
        })
    }

    fn offer(&self, class: &NamespaceClass, found: &Found, times: &Times) -> Result<Offer, NoOffer> {
        if partner_account(&self.spec.requester.username).is_some() {
            return further(self, class, found, times);
        }
        let unusable = |reason, message: String| Err(NoOffer::Unusable(reason, message));
        let (spec, terms) = (&self.spec, &class.spec);
        if !terms.is_offered_in(&self.namespace().unwrap_or_default()) {
            let message = format!("class {} is asked for in {}, not here", spec.class, terms.from.join(", "));
            return unusable("NotOfferedHere", message);
        }
        let extends = match (&found.extends, spec.extends.uid.is_empty()) {
            (_, true) => {
                names_offered(class, &spec.namespaces, &spec.requester.username, None)?;
                String::new()
            }
            (Some(grant), false) => extended(self, class, grant)?,
            (None, false) => {
                return unusable("NothingToExtend", no_such_request(&spec.extends.name));
            }
        };
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
            shared_account: shared.cloned().unwrap_or_default(),
            owners,
            extends,
            ..terms_of(class, names)
        };
        let role = found.basis.offers(&namespaces)?;
        enough_places(found.live, &namespaces, &spec.class)?;
        let digest = plain::digest(&json!([role.uid, role.rules]));
        let by = match spec.credential.kind {
            CredentialKind::Session => "by a session of his own".to_owned(),
            CredentialKind::Requester => "bound by name".to_owned(),
            CredentialKind::Of => {
                format!("by the session of request {}, until that ends", spec.credential.name)
            }
        };
        let words = words(&namespaces, &spec.requester.username, &by, &spec.owners);
        Ok(Offer { digest, namespaces: Some(namespaces), ..Offer::of(words, session) })
    }
}

/// What a partner asks for by its own account: on the terms that were agreed to with its federation, as many as were.
fn further(
    request: &NamespaceRequest,
    class: &NamespaceClass,
    found: &Found,
    times: &Times,
) -> Result<Offer, NoOffer> {
    let unusable = |reason, message: String| Err(NoOffer::Unusable(reason, message));
    let spec = &request.spec;
    let agreed = found.partner.as_ref().and_then(|grant| Some((grant, grant.spec.namespaces.as_ref()?)));
    let Some((grant, agreed)) = agreed else {
        let message = "further namespaces are asked for in the first one of a federation that stands";
        return unusable("NotOfferedHere", message.to_owned());
    };
    let federation = &grant.spec.request.name;
    if Some(&grant.spec.terms.template.pin.uid) != class.metadata.uid.as_ref() {
        let class = &grant.spec.terms.template.name;
        let message = format!(
            "federation {federation} is for namespaces of class {class} as it was when that was agreed to; the one of that name now is another"
        );
        return unusable("NotOfferedHere", message);
    }
    if !spec.owners.is_empty() || spec.credential != Credential::default() || !spec.extends.uid.is_empty() {
        let message =
            format!("by federation {federation} namespaces are owned by its own account, and by nobody else");
        return unusable("BeyondFederation", message);
    }
    let partner = Some((federation.as_str(), &*found.others));
    names_offered(class, &spec.namespaces, &grant.spec.holder.username, partner)?;
    let namespaces = NamespaceTerms {
        names: spec.namespaces.clone(),
        shared_account: grant.spec.account.clone(),
        max_live: agreed.further,
        further: 0,
        ..agreed.clone()
    };
    let role = found.basis.offers(&namespaces)?;
    enough_places(found.live, &namespaces, &spec.class)?;
    let by = format!("by the account of federation {federation}, until that ends");
    let words = words(&namespaces, federation, &by, &[]);
    let asked =
        if spec.duration.is_empty() { Timestamp::MAX } else { later(times.approved_at, times.lent_for) };
    Ok(Offer {
        digest: plain::digest(&json!([role.uid, role.rules])),
        parent: grant.name_any(),
        expires_at: Some(grant.deadline().min(asked)),
        namespaces: Some(namespaces),
        ..Offer::of(words, None)
    })
}

/// The grant of the federation by whose account this is asked for, in the first namespace that it lends.
fn partner(request: &NamespaceRequest, context: &Context) -> Option<Arc<Grant>> {
    let account = partner_account(&request.spec.requester.username)?;
    let grant = context.grants.find(|g| g.spec.account == account)?;
    let first = context.children.namespace(request.metadata.namespace.as_deref()?)?;
    let stands = grant.stands(context.clock.latest()) && grant.spec.request.kind == Federation::NAME;
    (stands && belongs_to(&first, &grant.name_any())).then_some(grant)
}

/// The live federations whose names, and with them their namespaces', begin with this one's.
pub(super) fn partners_within(federation: &str, context: &Context) -> Vec<String> {
    let all = context
        .federations
        .state_filter(|f| !f.phase().is_final() && f.metadata.deletion_timestamp.is_none());
    let names = all.iter().map(|f| f.name_any());
    names.filter(|name| name != federation && begins(name, federation)).collect()
}

/// Is it that partner's name, or one that begins with it?
fn begins(name: &str, partner: &str) -> bool {
    name.strip_prefix(partner).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// The terms on which a class lends namespaces of these names.
pub(super) fn terms_of(class: &NamespaceClass, names: Vec<String>) -> NamespaceTerms {
    let spec = &class.spec;
    NamespaceTerms {
        names,
        on_taken: spec.on_taken,
        labels: labels(class),
        annotations: spec.annotations.clone(),
        role: spec.role.clone(),
        shared_account: String::new(),
        owners: Vec::new(),
        resources: spec.resources.clone(),
        max_live: spec.max_live,
        further: 0,
        extends: String::new(),
    }
}

/// May one who has so many have these, too?
pub(super) fn enough_places(live: usize, terms: &NamespaceTerms, class: &str) -> Result<(), NoOffer> {
    let (all, most) = (live + terms.names.len(), usize::try_from(terms.max_live).unwrap_or(0));
    if all <= most {
        return Ok(());
    }
    let message = format!(
        "with these you would have {all} namespaces of class {class}, of which one may have {most}: release some first"
    );
    Err(NoOffer::Unusable("TooMany", message))
}

/// Those of the wanted names that a namespace has which stays. One that is being deleted is waited for.
async fn taken(names: &[String], client: &Client) -> kube::Result<Vec<String>> {
    let api: Api<Namespace> = Api::all(client.clone());
    let look = names.iter().map(|name| api.get_metadata_opt(name));
    let there = futures::future::try_join_all(look).await?;
    let stays = there.into_iter().flatten().filter(|n| n.metadata.deletion_timestamp.is_none());
    Ok(stays.map(|n| n.name_any()).collect())
}

/// The ClusterRoles that would be bound, for owners and in what stands there, and that this process may not bind.
async fn unbindable(
    role: &String,
    resources: &[NamespaceResource],
    client: &Client,
) -> kube::Result<Vec<String>> {
    let of_resources = resources.iter().filter_map(|r| r.role.as_ref());
    let ask = [role].into_iter().chain(of_resources).map(async |role| {
        let may = may(client, "", "bind", "rbac.authorization.k8s.io", "clusterroles", role).await?;
        Ok::<_, kube::Error>((!may).then(|| role.clone()))
    });
    Ok(futures::future::try_join_all(ask).await?.into_iter().flatten().collect())
}

/// Those of the wanted names by which a live grant of somebody else names accounts: whoever makes accounts there would have
/// what those were given.
fn named(whose: (&str, &str), names: &[String], context: &Context) -> Vec<String> {
    let grants = context.grants.state();
    let others = grants.iter().filter(|g| (&*g.spec.holder.username, &*g.spec.holder.uid) != whose);
    let terms: Vec<&NamespaceTerms> = others.filter_map(|g| g.spec.namespaces.as_ref()).collect();
    let subjects = || {
        let of_resources = terms.iter().flat_map(|t| &t.resources).flat_map(|r| r.subjects.iter().flatten());
        terms.iter().flat_map(|t| &t.owners).chain(of_resources)
    };
    names.iter().filter(|name| subjects().any(|s| s.namespace == **name)).cloned().collect()
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

/// How many namespaces of the class this one has, or is to get, beside those that would be taken over.
pub(super) fn live(
    counts_for: (&str, &str),
    class: &NamespaceClass,
    extends: Option<&Grant>,
    context: &Context,
) -> usize {
    let of = |grant: &Grant| {
        let counts = Some(&grant.spec.terms.template.pin.uid) == class.metadata.uid.as_ref()
            && grant.counts_for() == counts_for
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

/// Does the class offer these names to this requester, or to the partner of this name?
pub(super) fn names_offered(
    class: &NamespaceClass,
    names: &[String],
    requester: &str,
    partner: Option<(&str, &[String])>,
) -> Result<(), NoOffer> {
    let (rules, class) = (&class.spec.names, class.name_any());
    // As CEL reads it: RE2, of bytes, and the whole name.
    let expression = |text: &str| regex::bytes::RegexBuilder::new(text).unicode(false).build();
    let whole = expression(&rules.pattern).and_then(|_| expression(&format!("^(?:{})$", rules.pattern)));
    let pattern = whole.map_err(|error| {
        let message = format!("the names' pattern of class {class} cannot be read: {error}");
        NoOffer::Unusable("ClassUnusable", message)
    })?;
    let (whose, prefix) = match (rules.prefix, partner) {
        (Prefix::None, _) => (requester, String::new()),
        (Prefix::Requester, _) => (requester, prefix_of(requester)),
        (Prefix::Partner, Some((partner, _))) => (partner, format!("{partner}-")),
        (Prefix::Partner, None) => {
            let message = format!("class {class} offers namespaces to federations alone");
            return Err(NoOffer::Unusable("NameNotOffered", message));
        }
    };
    for name in names {
        let is_own = name.starts_with(&prefix) || rules.prefix == Prefix::Partner && name == whose;
        let others = partner.map(|(_, others)| others).unwrap_or_default();
        let other = others.iter().find(|other| begins(name, other));
        let message = if let Some(other) = other {
            format!("{name} is for federation {other} to ask for")
        } else if !is_own {
            format!("a namespace that {whose} asks for is called {prefix}…, not {name}")
        } else if !pattern.is_match(name.as_bytes()) {
            format!("class {class} offers namespaces called {}, not {name}", rules.pattern)
        } else {
            continue;
        };
        return Err(NoOffer::Unusable("NameNotOffered", message));
    }
    Ok(())
}

fn labels(class: &NamespaceClass) -> BTreeMap<String, String> {
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

/// Namespaces on these terms in words: who owns them by what, and who else does by name.
pub(super) fn words(terms: &NamespaceTerms, owner: &str, by: &str, others: &[Subject]) -> Vec<String> {
    let role = &terms.role;
    let names = terms.names.join(", ");
    let what = match (terms.extends.is_empty(), terms.on_taken) {
        (false, _) => format!("namespaces kept on: {names}"),
        (true, OnTaken::Refuse) => format!("new namespaces: {names}"),
        (true, OnTaken::Suffix) => format!("new namespaces: {names} (with a suffix where a name is taken)"),
    };
    let mut words = vec![what, format!("{owner} owns them by ClusterRole {role}, {by}")];
    if !others.is_empty() {
        let owners = others.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        words.push(format!("also owned, by name, by {owners}"));
    }
    let policies = if terms.labels.contains_key(NETWORK_POLICIES_LABEL) { "may not" } else { "may" };
    let security = terms.labels.get(POD_SECURITY_LABEL).map(String::as_str).unwrap_or_default();
    words.push(format!("Pod Security {security}; owners {policies} write NetworkPolicies"));
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
        offered_to(None, pattern, prefix, name)
    }

    fn offered_to(partner: Option<&str>, pattern: &str, prefix: &str, name: &str) -> bool {
        let others = &["site-a-b".to_owned()][..];
        let class: NamespaceClass = serde_json::from_value(json!({
            "apiVersion": "ozaccess.io/v1alpha1", "kind": "NamespaceClass", "metadata": {"name": "ci"},
            "spec": {"names": {"pattern": pattern, "prefix": prefix}, "role": "edit", "ttl": {"default": "1h", "max": "1h"}},
        }))
        .unwrap();
        names_offered(
            &class,
            &[name.to_owned()],
            "system:serviceaccount:ci:builder",
            partner.map(|p| (p, others)),
        )
        .is_ok()
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

    #[test]
    fn a_partner_s_names_are_its_own() {
        let partner = |name| offered_to(Some("site-a"), ".*", "Partner", name);
        assert!(partner("site-a") && partner("site-a-x"));
        assert!(!partner("site-a-b") && !partner("site-a-b-x") && partner("site-a-bx"));
        for other in ["site-b", "site-ax", "site", "x-site-a-x"] {
            assert!(!partner(other), "{other}");
        }
        assert!(!offered_to(Some("site-a"), "site-a-[0-9]", "Partner", "site-a-x"));
        assert!(!offered(".*", "Partner", "site-a-x"), "who is no partner has no such name");
    }
}
