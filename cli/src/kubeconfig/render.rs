//! Our own items as text: block style for YAML, one line of JSON where the surroundings are JSON or YAML's flow
//! style. Every string is quoted, so that no reader of any YAML version takes `on` for true or `1e3` for a number.

use std::fmt::Write as _;

use serde_yaml::Value;

/// A list item in block style: a dash at column `indent`, no line end after the last line, `\n` between.
pub(super) fn block_item(item: &Value, indent: usize) -> String {
    let mut out = format!("{:indent$}- ", "");
    block(&mut out, item, indent + 2);
    out
}

/// Writes what follows on the line where `value` starts; further lines begin at column `indent`.
fn block(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Mapping(map) if !map.is_empty() => {
            for (n, (key, value)) in map.iter().enumerate() {
                if n > 0 {
                    let _ = write!(out, "\n{:indent$}", "");
                }
                out.push_str(key.as_str().unwrap_or_default());
                out.push(':');
                match value {
                    Value::Mapping(map) if !map.is_empty() => {
                        let _ = write!(out, "\n{:1$}", "", indent + 2);
                        block(out, value, indent + 2);
                    }
                    Value::Sequence(items) => {
                        for item in items {
                            let _ = write!(out, "\n{:indent$}- ", "");
                            block(out, item, indent + 2);
                        }
                    }
                    other => {
                        out.push(' ');
                        flow(out, other);
                    }
                }
            }
        }
        other => flow(out, other),
    }
}

/// A value on one line, as JSON, which is also YAML.
pub(super) fn flow_item(item: &Value) -> String {
    let mut out = String::new();
    flow(&mut out, item);
    out
}

fn flow(out: &mut String, value: &Value) {
    match value {
        Value::String(text) => quote(out, text),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Sequence(items) => {
            out.push('[');
            for (n, item) in items.iter().enumerate() {
                out.push_str(if n > 0 { ", " } else { "" });
                flow(out, item);
            }
            out.push(']');
        }
        Value::Mapping(map) => {
            out.push('{');
            for (n, (key, value)) in map.iter().enumerate() {
                out.push_str(if n > 0 { ", " } else { "" });
                flow(out, key);
                out.push_str(": ");
                flow(out, value);
            }
            out.push('}');
        }
        // Our items hold none of these.
        Value::Null | Value::Number(_) | Value::Tagged(_) => out.push_str("null"),
    }
}

/// A string in double quotes that JSON and YAML read alike. What YAML holds for unprintable is escaped; beyond the
/// basic plane nothing is, for JSON's surrogate pairs are an error in YAML.
pub(super) fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\u{1f}'
            | '\u{7f}'..='\u{a0}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
