//! Where things are in a kubeconfig's text: the byte ranges of the top-level keys, their values and the items of
//! lists, as the lossless parser of `yaml-edit` sees them. Only places; what the values are, another parser says.
//!
//! Of that crate the editing half is not used: it has no answer to `users: null` or to JSON, and what it writes
//! would have to be checked all the same. Its ranges leave out a list item's dash and a value's anchor, which are
//! looked for here.

use std::ops::Range;

use yaml_edit::{MappingEntry, YamlFile, YamlNode};

/// The first document's mapping.
pub(super) struct Layout {
    /// Whether it is in braces.
    pub(super) flow: bool,
    /// The column of its keys, in block style.
    pub(super) indent: usize,
    /// The byte after its opening brace, in flow style.
    pub(super) open: usize,
    /// Its keys in order.
    pub(super) keys: Vec<Key>,
}

/// One key of the mapping.
pub(super) struct Key {
    /// The key as written, without quotes.
    pub(super) name: String,
    /// The byte after its colon.
    pub(super) colon: usize,
    /// Its value; in block style with the line end that follows. Empty, just after the colon, if there is none.
    pub(super) value: Range<usize>,
    /// The items, if the value is a list.
    pub(super) list: Option<List>,
}

/// A list and the ranges of its items.
pub(super) struct List {
    /// Whether it is in brackets.
    pub(super) flow: bool,
    /// The items' values: without dash or comma.
    pub(super) items: Vec<Range<usize>>,
}

/// What stands in the way of an edit, for [`super::Error::Shape`].
pub(super) type Obstacle = &'static str;

/// Finds the places in `text`, which another parser has accepted.
pub(super) fn locate(text: &str) -> Result<Layout, Obstacle> {
    let file = YamlFile::parse(text).tree();
    let document = file.documents().next().ok_or("its first document was not found")?;
    let mapping = document.as_mapping().ok_or("its first document is not a plain mapping")?;
    let keys = mapping.entries().map(|entry| key(text, &entry)).collect::<Result<Vec<_>, _>>()?;
    let start = YamlNode::Mapping(mapping.clone()).byte_range().start as usize;
    let flow = text[start..].starts_with('{');
    Ok(Layout { flow, indent: column(text, start), open: start + 1, keys })
}

fn key(text: &str, entry: &MappingEntry) -> Result<Key, Obstacle> {
    let span = entry.key_node().map(|node| range(&node)).ok_or("a top-level key is not a plain scalar")?;
    let after = &text[span.end..];
    let blanks = after.len() - after.trim_start_matches([' ', '\t']).len();
    if !after[blanks..].starts_with(':') {
        return Err("a top-level key is not followed by its colon");
    }
    let colon = span.end + blanks + 1;
    let node = entry.value_node();
    let value = node.as_ref().map(range).filter(|value| !value.is_empty()).unwrap_or(colon..colon);
    let list = match &node {
        Some(YamlNode::Sequence(sequence)) => Some(List {
            flow: text[value.start..].starts_with('['),
            items: sequence.values().map(|item| range(&item)).collect(),
        }),
        _ => None,
    };
    let written = &text[span];
    let quoted = written.len() >= 2 && (written.starts_with('"') || written.starts_with('\''));
    let name = if quoted { &written[1..written.len() - 1] } else { written };
    Ok(Key { name: name.to_owned(), colon, value, list })
}

fn range(node: &YamlNode) -> Range<usize> {
    let span = node.byte_range();
    span.start as usize..span.end as usize
}

/// The dash of the block item whose value starts at `value`: the first thing on that line or a line above.
pub(super) fn dash(text: &str, value: usize) -> Result<usize, Obstacle> {
    let mut start = line_start(text, value);
    loop {
        let line = &text[start..];
        let blanks = line.len() - line.trim_start_matches(' ').len();
        if line[blanks..].starts_with('-') {
            return Ok(start + blanks);
        }
        let filler = line[blanks..].starts_with(['#', '\n', '\r']) || line_start(text, value) == start;
        if !filler || start == 0 {
            return Err("the dash of a list item was not found");
        }
        start = line_start(text, start - 1);
    }
}

/// The start of the line that holds byte `at`.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}

/// The start of the line after the one that holds byte `at`, or the end of the text.
pub(super) fn next_line(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |newline| at + newline + 1)
}

/// Where the line of a block value that ends at `end` is over.
pub(super) fn line_after(text: &str, end: usize) -> usize {
    if text[..end].ends_with('\n') { end } else { next_line(text, end) }
}

/// How many bytes stand before `at` on its line.
pub(super) fn column(text: &str, at: usize) -> usize {
    at - line_start(text, at)
}

/// Past the comment lines from `at` on that are indented deeper than `indent`: they belong to what is above.
pub(super) fn past_comments(text: &str, mut at: usize, indent: usize) -> usize {
    loop {
        let line = &text[at..];
        let blanks = line.len() - line.trim_start_matches(' ').len();
        if blanks <= indent || !line[blanks..].starts_with('#') {
            return at;
        }
        at = next_line(text, at);
    }
}

/// The first comma in `range` outside comments.
pub(super) fn comma(text: &str, range: Range<usize>) -> Option<usize> {
    let mut comment = false;
    for (n, byte) in text.as_bytes()[range.clone()].iter().enumerate() {
        match byte {
            b'\n' => comment = false,
            b'#' => comment = true,
            b',' if !comment => return Some(range.start + n),
            _ => {}
        }
    }
    None
}
