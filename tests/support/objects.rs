//! JSON objects put together.

use serde_json::{Map, Value};

/// `onto` with the fields of `changes`, deep; null removes.
pub fn with(mut onto: Value, changes: &Value) -> Value {
    merge(&mut onto, changes);
    onto
}

fn merge(onto: &mut Value, changes: &Value) {
    let (Value::Object(onto), Value::Object(changes)) = (&mut *onto, changes) else {
        *onto = changes.clone();
        return;
    };
    for (key, change) in changes {
        if change.is_null() {
            onto.remove(key);
        } else {
            merge(onto.entry(key.clone()).or_insert_with(|| Value::Object(Map::new())), change);
        }
    }
}
