//! Lists in which an object that cannot be read keeps none of the others from being seen: one that another version wrote,
//! or that is nested deeper than any reader takes.

use std::fmt;

use kube::Resource;
use kube::api::{GetParams, ListParams};
use kube::core::Request;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::client::{Cluster, Fault};

/// What a list came to.
#[derive(Debug)]
pub(crate) struct Listing<K> {
    /// The objects, in the API server's order.
    pub(crate) items: Vec<K>,
    /// Those that cannot be read.
    pub(crate) unread: Vec<Unread>,
}

/// An object that is there, and that this program cannot read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unread {
    kind: String,
    /// Its namespace; empty where it lives in none.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
    why: String,
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.namespace.is_empty() { "" } else { " in namespace " };
        let Self { kind, namespace, name, why } = self;
        write!(f, "{kind} {name}{place}{namespace} is left out: it cannot be read ({why})")
    }
}

impl Cluster {
    /// Lists what is in a namespace, or in all and outside of them.
    ///
    /// # Errors
    /// It may not be listed, or the answer is no list.
    pub(crate) async fn list<K>(
        &self,
        doing: &str,
        namespace: Option<&str>,
        params: &ListParams,
    ) -> Result<Listing<K>, Fault>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let request = Request::new(K::url_path(&(), namespace)).list(params);
        let request = request.map_err(|error| protocol(doing, &error))?;
        let text = self.call(doing, self.client.request_text(request)).await?;
        parse(&text).map_err(|error| protocol(doing, &error))
    }

    /// Reads one object; none where it is not there.
    ///
    /// # Errors
    /// It may not be read.
    pub(crate) async fn read<K>(
        &self,
        doing: &str,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Option<Result<K, Unread>>, Fault>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let request = Request::new(K::url_path(&(), namespace)).get(name, &GetParams::default());
        let request = request.map_err(|error| protocol(doing, &error))?;
        match self.call(doing, self.client.request_text(request)).await {
            Ok(text) => Ok(Some(one(&text).map_err(|error| protocol(doing, &error))?)),
            Err(fault) if fault.code() == Some(404) => Ok(None),
            Err(fault) => Err(fault),
        }
    }
}

fn protocol(doing: &str, error: &dyn std::error::Error) -> Fault {
    Fault::Protocol { doing: doing.to_owned(), cause: error.to_string() }
}

/// What is skipped is read without recursion, however deep it is.
fn parse<K>(text: &str) -> serde_json::Result<Listing<K>>
where
    K: Resource<DynamicType = ()> + DeserializeOwned,
{
    #[derive(Deserialize)]
    struct List<'a> {
        #[serde(borrow)]
        items: Vec<&'a RawValue>,
    }
    let mut listing = Listing { items: Vec::new(), unread: Vec::new() };
    for item in serde_json::from_str::<List<'_>>(text)?.items {
        match one(item.get())? {
            Ok(item) => listing.items.push(item),
            Err(unread) => listing.unread.push(unread),
        }
    }
    Ok(listing)
}

/// An object, or at least which one it is.
fn one<K>(text: &str) -> serde_json::Result<Result<K, Unread>>
where
    K: Resource<DynamicType = ()> + DeserializeOwned,
{
    #[derive(Deserialize)]
    struct Named {
        metadata: Name,
    }
    #[derive(Deserialize)]
    struct Name {
        name: String,
        #[serde(default)]
        namespace: String,
    }
    let error = match serde_json::from_str(text) {
        Ok(object) => return Ok(Ok(object)),
        Err(error) => error,
    };
    let Named { metadata: Name { name, namespace } } = serde_json::from_str(text)?;
    Ok(Err(Unread { kind: K::kind(&()).into_owned(), namespace, name, why: error.to_string() }))
}

#[cfg(test)]
mod tests {
    use oz_shared::AccessTemplate;
    use serde_json::{Value, json};

    use super::*;

    fn template(name: &str) -> Value {
        json!({
            "apiVersion": "ozaccess.io/v1alpha1", "kind": "AccessTemplate",
            "metadata": {"name": name, "namespace": "shop", "uid": name},
            "spec": {"shell": {"workload": {"kind": "Deployment", "name": "db"}}, "duration": {"default": "1h", "max": "1h"}},
        })
    }

    fn list(items: &[String]) -> Listing<AccessTemplate> {
        parse(&format!(r#"{{"kind": "List", "metadata": {{}}, "items": [{}]}}"#, items.join(","))).unwrap()
    }

    #[test]
    fn one_that_is_too_deep_is_named_and_the_others_are_there() {
        for depth in [100, 1_000, 1_000_000] {
            let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            let mut deep = template("deep");
            deep["spec"]["shell"]["patches"] = json!([{"op": "add", "path": "/spec/x", "value": "NESTED"}]);
            let deep = deep.to_string().replace("\"NESTED\"", &nested);
            let found = list(&[template("a").to_string(), deep, template("b").to_string()]);
            let names: Vec<_> = found.items.iter().filter_map(|t| t.metadata.name.as_deref()).collect();
            if depth == 100 {
                assert_eq!((names.as_slice(), found.unread.len()), (&["a", "deep", "b"][..], 0));
                continue;
            }
            assert_eq!(names, ["a", "b"]);
            let words = found.unread[0].to_string();
            assert!(
                words.starts_with(
                    "AccessTemplate deep in namespace shop is left out: it cannot be read (recursion"
                ),
                "{words}"
            );
        }
    }

    #[test]
    fn one_of_another_version_is_named() {
        let mut other = template("other");
        other["spec"]["shell"]["workload"]["kind"] = json!("Daydream");
        let found = list(&[other.to_string(), template("a").to_string()]);
        assert_eq!(found.items.len(), 1);
        assert!(found.unread[0].to_string().contains("unknown variant `Daydream`"), "{:?}", found.unread);
        assert!(list(&[]).items.is_empty());
    }

    #[test]
    fn what_is_no_list_is_an_error() {
        for text in ["", "{}", "[]", r#"{"items": 1}"#, r#"{"items": [{}]}"#, r#"{"items": [[["#] {
            assert!(parse::<AccessTemplate>(text).is_err(), "{text}");
        }
    }
}
