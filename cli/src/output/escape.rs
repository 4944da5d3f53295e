//! Text from the cluster may hold characters that move the cursor, forge a line or turn the reading direction. They
//! are shown as what they are.

pub(crate) use oz_shared::plain::clean;
use oz_shared::plain::is_risky;

/// A line that the API takes as a reason: no control or invisible characters, and not too long.
///
/// # Errors
/// Anything else, in words for the command line.
pub(crate) fn one_line(text: &str) -> Result<String, String> {
    /// What the API holds.
    const MAX: usize = 1024;
    let text = text.trim();
    if text.chars().any(is_risky) {
        return Err("one line of plain text is wanted, without control or invisible characters".to_owned());
    }
    if text.len() > MAX {
        return Err(format!("{} bytes are too long: at most {MAX}", text.len()));
    }
    Ok(text.to_owned())
}

/// The same for text that has lines of its own.
pub(crate) fn clean_lines(text: &str) -> String {
    text.split('\n').map(clean).collect::<Vec<_>>().join("\n")
}

/// JSON in which the risky characters inside strings are written as JSON's own escapes: the value stays the same.
pub(crate) fn json_safe(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        if c != '\n' && is_risky(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                safe.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            safe.push(c);
        }
    }
    safe
}

/// Does `text`, apart from its line ends, hold anything risky?
pub(crate) fn has_risky(text: &str) -> bool {
    text.chars().any(|c| c != '\n' && is_risky(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_as_a_command() {
        assert_eq!(clean_lines("a\nb\r"), "a\nb\\r");
    }

    #[test]
    fn reasons_are_one_line() {
        assert_eq!(one_line(" INC-42 "), Ok("INC-42".into()));
        assert!(one_line("a\nb").is_err() && one_line(&"x".repeat(1025)).is_err());
    }

    #[test]
    fn json_keeps_its_value() {
        let value = serde_json::json!({"reason": "a\u{202e}b\u{e0041}\u{7f}"});
        let text = json_safe(&serde_json::to_string_pretty(&value).unwrap());
        assert!(!has_risky(&text));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
