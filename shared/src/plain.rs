//! Text from elsewhere as people are shown it: what moves the cursor, forges a line or turns the reading direction is
//! written as what it is.

use std::borrow::Cow;

/// The most lines of what is lent, and the most characters of one, that the API stores.
const MAX_LINES: usize = 64;
const MAX_LINE: usize = 2048;

/// More is lent than can be shown to who approves it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("what is lent takes more words than can be shown: {0}")]
pub struct TooMuch(String);

/// Control characters, and the invisible ones that change how the rest is read (Unicode's Cc, Cf, Zl and Zp).
#[must_use]
pub const fn is_risky(c: char) -> bool {
    matches!(
        c,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
        | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}' | '\u{8e2}' | '\u{890}' | '\u{891}' | '\u{110bd}'
        | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    )
}

/// `text` on one line, with every risky character as `\u{..}`.
#[must_use]
pub fn clean(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_risky) {
        return Cow::Borrowed(text);
    }
    let escaped =
        text.chars().map(|c| if is_risky(c) { c.escape_default().to_string() } else { c.to_string() });
    Cow::Owned(escaped.collect())
}

/// Lines of what is lent, each clean. Nothing that is lent is cut from what is shown.
///
/// # Errors
/// There are too many, or one is too long.
pub fn words(lines: Vec<String>) -> Result<Vec<String>, TooMuch> {
    if lines.len() > MAX_LINES {
        return Err(TooMuch(format!("{} lines", lines.len())));
    }
    let clean = lines.into_iter().map(|line| clean(&line).into_owned());
    clean.map(|line| if line.len() > MAX_LINE { Err(TooMuch(cut(&line, 100))) } else { Ok(line) }).collect()
}

/// Tells what is offered from everything else: the SHA-256 of its JSON, in hexadecimal.
#[must_use]
pub fn digest(offer: &serde_json::Value) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(offer.to_string()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// At most so many characters of `text`.
#[must_use]
pub fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// Some of a list, by name, and how many more there are.
#[must_use]
pub fn some_of(names: &[String]) -> String {
    /// Enough to know what is meant.
    const SHOWN: usize = 5;
    let shown = names.iter().take(SHOWN).map(|n| cut(n, 80)).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_a_terminal_as_a_command() {
        assert_eq!(clean("plain – ä 漢"), "plain – ä 漢");
        assert_eq!(clean("a\x1b[2Jb\nc"), "a\\u{1b}[2Jb\\nc");
        assert_eq!(clean("x\u{202e}y"), "x\\u{202e}y");
    }

    #[test]
    fn words_are_clean_and_bounded() {
        assert_eq!(words(vec!["a\nb".into()]), Ok(vec!["a\\nb".into()]));
        assert!(words(vec!["x".repeat(2049)]).is_err());
        assert!(words(vec![String::new(); 65]).is_err());
        assert_eq!(cut("äöü", 2), "ä…");
        assert_eq!(some_of(&["a".into(), "b".into()]), "a, b");
        let many: Vec<String> = (0..70).map(|n| n.to_string()).collect();
        assert_eq!(some_of(&many), "0, 1, 2, 3, 4 and 65 more");
    }
}
