//! Is an object in the cluster what its manifest says? The API server adds defaults; anything else that differs, in
//! either direction, is told by its path.

use serde_json::{Value, json};

use super::objects::find;
use crate::kube::{Cluster, Fault};

/// How an object in the cluster stands to its manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// As it should be.
    Same,
    /// Not there.
    Missing,
    /// Being deleted.
    Going,
    /// Other at these paths.
    Differs(Vec<String>),
    /// Not for this user to see.
    Hidden,
}

/// Compares these fields of the object with the cluster's.
///
/// # Errors
/// The API server does not answer.
pub(crate) async fn standing(cluster: &Cluster, wanted: &Value, fields: &[&str]) -> Result<Standing, Fault> {
    let live = match find(cluster, wanted).await {
        Ok(Some(live)) => live,
        Ok(None) => return Ok(Standing::Missing),
        Err(fault) if fault.code() == Some(403) => return Ok(Standing::Hidden),
        Err(fault) => return Err(fault),
    };
    if !live["metadata"]["deletionTimestamp"].is_null() {
        return Ok(Standing::Going);
    }
    let only = |object: &Value| -> Value {
        fields
            .iter()
            .filter(|f| !object[**f].is_null())
            .map(|f| ((*f).to_owned(), object[*f].clone()))
            .collect()
    };
    let found = differences(&only(wanted), &only(&live));
    Ok(if found.is_empty() { Standing::Same } else { Standing::Differs(found) })
}

/// Where there are more differences than this, it is another thing altogether.
const ENOUGH: usize = 5;

/// Paths at which `live` is not `wanted`, such as `spec.validations[2].expression`.
fn differences(wanted: &Value, live: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare(String::new(), wanted, live, &mut found);
    found.truncate(ENOUGH);
    found
}

fn compare(path: String, wanted: &Value, live: &Value, found: &mut Vec<String>) {
    match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) => {
            let at = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
            for (key, value) in wanted {
                match live.get(key) {
                    Some(there) => compare(at(key), value, there, found),
                    None if is_empty(value) => {}
                    None => found.push(at(key)),
                }
            }
            for (key, value) in live {
                if !wanted.contains_key(key) && !is_default(key, value) {
                    found.push(at(key));
                }
            }
        }
        (Value::Array(wanted), Value::Array(live)) if wanted.len() == live.len() => {
            for (index, (wanted, live)) in wanted.iter().zip(live).enumerate() {
                compare(format!("{path}[{index}]"), wanted, live, found);
            }
        }
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => {}
        (wanted, live) if wanted == live => {}
        _ => found.push(path),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// What the API server fills in where nothing was said: in admission policies, their bindings, and definitions.
fn is_default(key: &str, value: &Value) -> bool {
    match key {
        "matchPolicy" => *value == json!("Equivalent"),
        "scope" => *value == json!("*"),
        "failurePolicy" => *value == json!("Fail"),
        "conversion" => *value == json!({"strategy": "None"}),
        "listKind" => true,
        "preserveUnknownFields" => *value == json!(false),
        _ => is_empty(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_fills_in_is_no_difference() {
        let wanted = json!({"matchConstraints": {"resourceRules": [{"resources": ["pods"]}]}});
        let live = json!({
            "failurePolicy": "Fail",
            "matchConstraints": {"matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {},
                                 "resourceRules": [{"resources": ["pods"], "scope": "*"}]},
        });
        assert_eq!(differences(&wanted, &live), [""; 0]);
    }

    #[test]
    fn what_was_changed_added_or_taken_away_is_named() {
        let wanted = json!({"failurePolicy": "Fail", "validations": [{"expression": "a"}, {"expression": "b"}], "n": 1});
        let with = |live: Value| differences(&wanted, &live);
        let base = || json!({"failurePolicy": "Fail", "validations": [{"expression": "a"}, {"expression": "b"}], "n": 1.0});
        assert_eq!(with(base()), [""; 0]);
        let mut live = base();
        live["validations"][1]["expression"] = json!("true");
        live["failurePolicy"] = json!("Ignore");
        assert_eq!(with(live), ["failurePolicy", "validations[1].expression"]);
        let mut live = base();
        live["matchConditions"] = json!([{"expression": "false"}]);
        assert_eq!(with(live), ["matchConditions"]);
        let mut live = base();
        live["validations"] = json!([{"expression": "a"}]);
        assert_eq!(with(live), ["validations"]);
        assert_eq!(differences(&json!({}), &json!({"failurePolicy": "Ignore"})), ["failurePolicy"]);
    }
}
