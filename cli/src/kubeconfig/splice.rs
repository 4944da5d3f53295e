//! Changes to a text as ranges and what takes their place, and the rules by which items of ours come into a list
//! and go out of it again. Nothing is taken on trust here: [`super::sheet`] reads the result again.

use std::ops::Range;

use super::layout::{self, Key, Layout, List, Obstacle};
use super::render;
use super::sheet::Item;

struct Splice {
    range: Range<usize>,
    text: String,
    /// Whole lines: to begin on a line of their own.
    lines: bool,
}

/// Changes to one text, collected and made at once.
#[derive(Default)]
pub(super) struct Splices(Vec<Splice>);

impl Splices {
    /// `text` in the place of `start..end`.
    pub(super) fn replace(&mut self, start: usize, end: usize, text: String) {
        self.0.push(Splice { range: start..end, text, lines: false });
    }

    /// Whole lines, each with its `\n`, at the start of a line or the end of the text.
    pub(super) fn lines(&mut self, at: usize, text: String) {
        self.0.push(Splice { range: at..at, text, lines: true });
    }

    /// The changed text, its new lines ended as its old ones.
    pub(super) fn apply(mut self, text: &str) -> Result<String, Obstacle> {
        let crlf = text.contains("\r\n");
        let end = if crlf { "\r\n" } else { "\n" };
        self.0.sort_by_key(|splice| splice.range.start);
        let mut out =
            String::with_capacity(text.len() + self.0.iter().map(|s| s.text.len() + 64).sum::<usize>());
        let mut at = 0;
        for splice in self.0 {
            let kept = text.get(at..splice.range.start).ok_or("two changes fall on the same place")?;
            out.push_str(kept);
            if splice.lines && !out.is_empty() && !out.ends_with('\n') {
                out.push_str(end);
            }
            if crlf {
                out.push_str(&splice.text.replace('\n', end));
            } else {
                out.push_str(&splice.text);
            }
            at = splice.range.end;
        }
        out.push_str(text.get(at..).ok_or("a change falls beyond the end")?);
        Ok(out)
    }
}

/// Makes a list in block style hold `items`.
pub(super) fn block(
    text: &str,
    key: &Key,
    list: &List,
    items: &[Item],
    splices: &mut Splices,
) -> Result<(), Obstacle> {
    let (Some(first), Some(last)) = (list.items.first(), list.items.last()) else {
        return Err("a list has no items to go by");
    };
    let indent = layout::column(text, layout::dash(text, first.start)?);
    let present = present(list.items.len(), items);
    for (span, item) in list.items.iter().zip(&present) {
        if item.is_some_and(|item| !item.changed) {
            continue;
        }
        let dash = layout::dash(text, span.start)?;
        let line = layout::line_start(text, dash);
        if !text[line..dash].trim_matches(' ').is_empty() {
            return Err("a list item does not begin its line");
        }
        match item {
            Some(item) => {
                let end = span.start + text[span.clone()].trim_end().len();
                let new = render::block_item(&item.value, dash - line);
                splices.replace(dash, end, new.trim_start().to_owned());
            }
            None => splices.replace(line, layout::line_after(text, span.end), String::new()),
        }
    }
    let new = items.iter().filter(|item| item.source.is_none());
    let lines: String = new.map(|item| render::block_item(&item.value, indent) + "\n").collect();
    if items.is_empty() {
        splices.replace(key.colon, key.colon, " []".to_owned());
    } else if !lines.is_empty() {
        splices.lines(layout::past_comments(text, layout::line_after(text, last.end), indent), lines);
    }
    Ok(())
}

/// Makes a list in brackets hold `items`.
pub(super) fn flow(text: &str, key: &Key, list: &List, items: &[Item], splices: &mut Splices) {
    let count = list.items.len();
    let close = key.value.start + text[key.value.clone()].trim_end().len() - 1;
    let comma = |n: usize| {
        let span: &Range<usize> = &list.items[n];
        layout::comma(text, span.end..list.items.get(n + 1).map_or(close, |next| next.start))
    };
    let present = present(count, items);
    // What stands between an item and the comma or bracket before it, if that is blank.
    let gap_start = |n: usize| {
        let before =
            if n == 0 { key.value.start + 1 } else { comma(n - 1).map_or(list.items[n].start, |at| at + 1) };
        let blank = text[before..list.items[n].start].trim().is_empty();
        if blank { before } else { list.items[n].start }
    };
    let grows = items.iter().any(|item| item.source.is_none());
    let mut at = key.value.start + 1;
    for (n, span) in list.items.iter().enumerate() {
        at = match present[n] {
            Some(item) => {
                if item.changed {
                    splices.replace(span.start, span.end, render::flow_item(&item.value));
                }
                span.end
            }
            // A comma behind the last item is its writer's and stays: the one before ours goes.
            None if !grows && n + 1 == count && n > 0 && present[n - 1].is_some() && comma(n).is_some() => {
                let start = gap_start(n);
                splices.replace(start - usize::from(text[..start].ends_with(',')), span.end, String::new());
                span.end
            }
            None => {
                let end = comma(n).map_or(span.end, |comma| comma + 1);
                splices.replace(gap_start(n), end, String::new());
                end
            }
        };
    }
    let gap = if count == 0 { "" } else { &text[gap_start(count - 1)..list.items[count - 1].start] };
    let mut comma_due = present.last().is_some_and(Option::is_some);
    let mut new = String::new();
    for item in items.iter().filter(|item| item.source.is_none()) {
        new.push_str(if comma_due { "," } else { "" });
        new.push_str(if count == 0 && comma_due { " " } else { gap });
        new.push_str(&render::flow_item(&item.value));
        comma_due = true;
    }
    if !new.is_empty() {
        splices.replace(at, at, new);
    } else if present.last().is_some_and(Option::is_none) && comma(count - 1).is_none() {
        // The last item goes: the comma before it, after what is now the last, goes too.
        if let Some(comma) = present.iter().rposition(Option::is_some).and_then(comma) {
            splices.replace(comma, comma + 1, String::new());
        }
    }
}

/// For each of `count` items as read, what it has become; none if it is to go.
fn present(count: usize, items: &[Item]) -> Vec<Option<&Item>> {
    let mut present = vec![None; count];
    for item in items {
        if let Some(slot) = item.source.and_then(|n| present.get_mut(n)) {
            *slot = Some(item);
        }
    }
    present
}

/// Puts a scalar in the place of a key's value.
pub(super) fn scalar(text: &str, key: &Key, value: &str, splices: &mut Splices) {
    let end = key.value.start + text[key.value.clone()].trim_end().len();
    let gap = if key.value.is_empty() { " " } else { "" };
    splices.replace(key.value.start, end.max(key.value.start), format!("{gap}{}", quoted(value)));
}

/// A top-level key to add: in flow and in block style.
pub(super) struct NewKey {
    flow: String,
    block: String,
}

/// A new list.
pub(super) fn list_key(name: &str, items: &[Item], indent: usize) -> NewKey {
    NewKey {
        flow: format!("\"{name}\": {}", flow_list(items)),
        block: format!("{:indent$}{name}:\n{}", "", block_list(items, indent)),
    }
}

/// A new scalar.
pub(super) fn scalar_key(name: &str, value: &str, indent: usize) -> NewKey {
    let value = quoted(value);
    NewKey { flow: format!("\"{name}\": {value}"), block: format!("{:indent$}{name}: {value}\n", "") }
}

/// Adds top-level keys behind the last one.
pub(super) fn add_keys(
    text: &str,
    layout: &Layout,
    keys: &[NewKey],
    splices: &mut Splices,
) -> Result<(), Obstacle> {
    if keys.is_empty() {
        return Ok(());
    }
    if !layout.flow {
        let end = match layout.keys.last() {
            Some(last) if last.value.is_empty() => layout::next_line(text, last.colon),
            Some(last) => layout::line_after(text, last.value.end),
            None => text.len(),
        };
        let lines = keys.iter().map(|key| key.block.as_str()).collect();
        splices.lines(layout::past_comments(text, end, layout.indent), lines);
        return Ok(());
    }
    let (at, first, gap) = match layout.keys.last() {
        None => (layout.open, "", " ".to_owned()),
        Some(last) if last.value.is_empty() => return Err("a key in braces has no value"),
        Some(last) => (last.value.end, ",", gap_before(text, last)),
    };
    let separator = format!(",{gap}");
    let all: Vec<&str> = keys.iter().map(|key| key.flow.as_str()).collect();
    let lead = if first.is_empty() { "" } else { separator.as_str() };
    splices.replace(at, at, format!("{lead}{}", all.join(&separator)));
    Ok(())
}

/// What stands before a key in braces: a line end and blanks, if it begins its line, else one blank.
fn gap_before(text: &str, key: &Key) -> String {
    let line = &text[layout::line_start(text, key.colon)..key.colon];
    let start = line.trim_start();
    if start.trim_start_matches(['"', '\'']).starts_with(&key.name) {
        format!("\n{}", &line[..line.len() - start.len()])
    } else {
        " ".to_owned()
    }
}

/// All of `items` in brackets.
pub(super) fn flow_list(items: &[Item]) -> String {
    let items: Vec<String> = items.iter().map(|item| render::flow_item(&item.value)).collect();
    format!("[{}]", items.join(", "))
}

/// All of `items` as lines.
pub(super) fn block_list(items: &[Item], indent: usize) -> String {
    items.iter().map(|item| render::block_item(&item.value, indent) + "\n").collect()
}

fn quoted(value: &str) -> String {
    let mut out = String::new();
    render::quote(&mut out, value);
    out
}
