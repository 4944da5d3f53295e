//! One kubeconfig file: its text, what is in it, and the change that is wanted. The change is made in the text at
//! the places it concerns; then the new text is read again, and unless it says exactly what was meant, and of all
//! that is not ours exactly what it said before, it is given up.

use std::mem;

use serde::Deserialize as _;
use serde_yaml::{Mapping, Value};

use super::entry::{Mark, Section};
use super::layout::{self, Key, Layout, Obstacle};
use super::splice::{self, Splices};

const CURRENT: &str = "current-context";
/// Some editors put it first; YAML parsers differ on what column a key after it stands in.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// How many brackets may stand open: the parser's time grows with the square of it, and it refuses 128 in the end.
const OPEN_BRACKETS: usize = 1000;

/// Why a text could not be taken in.
#[derive(Debug)]
pub(super) enum Flaw {
    Malformed { line: Option<usize>, detail: &'static str },
    Shape(Obstacle),
}

/// An item of one of the three lists.
pub(super) struct Item {
    /// Its name, where it has one that is a string.
    pub(super) name: Option<String>,
    /// Its mark, if it is ours.
    pub(super) mark: Option<Mark>,
    /// All of it.
    pub(super) value: Value,
    /// Its place in the list as read; none for a new one.
    pub(super) source: Option<usize>,
    /// Whether `value` is no longer what stands there.
    pub(super) changed: bool,
}

impl Item {
    fn read(section: Section, source: usize, value: Value) -> Self {
        let name = value.get("name").and_then(Value::as_str).map(str::to_owned);
        Self { name, mark: Mark::of(section, &value), value, source: Some(source), changed: false }
    }
}

/// A kubeconfig file, read and perhaps changed.
pub(super) struct Sheet {
    text: String,
    marked: bool,
    /// The first document without the three lists and the current context; null if there is none.
    rest: Value,
    /// The documents after the first.
    tail: Vec<Value>,
    lists: [Vec<Item>; 3],
    was: [usize; 3],
    current: Option<Value>,
    /// Whether the current context was changed.
    pointed: bool,
    /// Whether anything was.
    changed: bool,
}

impl Sheet {
    /// Reads a kubeconfig's text; the empty one is a kubeconfig without entries.
    pub(super) fn read(mut text: String) -> Result<Self, Flaw> {
        let marked = text.starts_with(BYTE_ORDER_MARK);
        if marked {
            text.remove(0);
        }
        let (mut rest, tail) = documents(&text)?;
        let mut lists = [const { Vec::new() }; 3];
        for section in Section::ALL {
            lists[section as usize] = take_list(&mut rest, section)?;
        }
        let was = [lists[0].len(), lists[1].len(), lists[2].len()];
        let current = take(&mut rest, CURRENT);
        Ok(Self { text, marked, rest, tail, lists, was, current, pointed: false, changed: false })
    }

    /// The items of one list.
    pub(super) fn items(&self, section: Section) -> &[Item] {
        &self.lists[section as usize]
    }

    /// Whether anything was changed.
    pub(super) fn changed(&self) -> bool {
        self.changed
    }

    /// The current context; none if it is empty.
    pub(super) fn current(&self) -> Option<&str> {
        self.current.as_ref().and_then(Value::as_str).filter(|name| !name.is_empty())
    }

    /// Points the current context at `name`, or at nothing.
    pub(super) fn set_current(&mut self, name: Option<&str>) {
        if self.current() != name {
            self.current = Some(Value::String(name.unwrap_or_default().to_owned()));
            (self.pointed, self.changed) = (true, true);
        }
    }

    /// Puts an item of ours in the place of the one of that name, or at the end of the list.
    pub(super) fn put(&mut self, section: Section, value: Value) {
        let mut new = Item::read(section, 0, value);
        let list = &mut self.lists[section as usize];
        match list.iter_mut().find(|item| item.name == new.name) {
            Some(item) if item.value == new.value => return,
            Some(item) => {
                (new.source, new.changed) = (item.source, true);
                *item = new;
            }
            None => {
                new.source = None;
                list.push(new);
            }
        }
        self.changed = true;
    }

    /// Removes the items of ours for which `doomed` says so. Items of others are not even shown to it.
    pub(super) fn remove(&mut self, section: Section, mut doomed: impl FnMut(&str, &Mark) -> bool) {
        let list = &mut self.lists[section as usize];
        let before = list.len();
        list.retain(|item| match (&item.name, &item.mark) {
            (Some(name), Some(mark)) => !doomed(name, mark),
            _ => true,
        });
        self.changed |= list.len() != before;
    }

    /// The text with the changes made, or none if there are none to make.
    ///
    /// # Errors
    /// What kept the changes from being made without touching anything else.
    pub(super) fn render(mut self) -> Result<Option<String>, Obstacle> {
        if !self.changed {
            return Ok(None);
        }
        let mut out = if self.rest.is_null() { self.begin()? } else { self.edit()? };
        self.verify(&out)?;
        if self.marked {
            out.insert(0, BYTE_ORDER_MARK);
        }
        Ok(Some(out))
    }

    /// A first mapping below whatever comments there are.
    fn begin(&mut self) -> Result<String, Obstacle> {
        if !self.tail.is_empty() {
            return Err("its first document is empty and others follow");
        }
        let head = [("apiVersion", "v1"), ("kind", "Config")];
        self.rest = Value::Mapping(head.iter().map(|&(key, value)| (key.into(), value.into())).collect());
        let mut splices = Splices::default();
        splices.lines(self.text.len(), "apiVersion: v1\nkind: Config\n".to_owned());
        let empty = Layout { flow: false, indent: 0, open: 0, keys: Vec::new() };
        self.splice(&empty, &mut splices)?;
        splices.apply(&self.text)
    }

    fn edit(&self) -> Result<String, Obstacle> {
        let layout = layout::locate(&self.text)?;
        let mut splices = Splices::default();
        self.splice(&layout, &mut splices)?;
        splices.apply(&self.text)
    }

    fn splice(&self, layout: &Layout, splices: &mut Splices) -> Result<(), Obstacle> {
        let mut missing = Vec::new();
        for section in Section::ALL {
            let items = self.items(section);
            let kept = |item: &Item| item.source.is_some() && !item.changed;
            match layout.keys.iter().find(|key| key.name == section.key()) {
                _ if items.len() == self.was[section as usize] && items.iter().all(kept) => {}
                Some(key) => self.splice_list(layout, key, section, splices)?,
                None => missing.push(splice::list_key(section.key(), items, layout.indent)),
            }
        }
        if let Some(Value::String(name)) = self.current.as_ref().filter(|_| self.pointed) {
            match layout.keys.iter().find(|key| key.name == CURRENT) {
                Some(key) => splice::scalar(&self.text, key, name, splices),
                None => missing.push(splice::scalar_key(CURRENT, name, layout.indent)),
            }
        }
        splice::add_keys(&self.text, layout, &missing, splices)
    }

    fn splice_list(
        &self,
        layout: &Layout,
        key: &Key,
        section: Section,
        splices: &mut Splices,
    ) -> Result<(), Obstacle> {
        let items = self.items(section);
        let old = self.was[section as usize];
        match &key.list {
            Some(list) if list.items.len() != old => Err("the parsers disagree on the items of a list"),
            Some(list) if list.flow && (layout.flow || old > 0) => {
                splice::flow(&self.text, key, list, items, splices);
                Ok(())
            }
            Some(list) if !list.flow => splice::block(&self.text, key, list, items, splices),
            None if old > 0 => Err("a list is not written out where it is named"),
            _ if layout.flow => {
                splices.replace(key.value.start, key.value.end, splice::flow_list(items));
                Ok(())
            }
            // `null`, `[]` or nothing in block style: the items take its place.
            _ => {
                let end = key.value.start + self.text[key.value.clone()].trim_end().len();
                splices.replace(key.colon, end.max(key.colon), String::new());
                let lines = splice::block_list(items, layout.indent);
                splices.lines(layout::next_line(&self.text, end), lines);
                Ok(())
            }
        }
    }

    /// Reads `out` again and compares it with what is meant.
    fn verify(&self, out: &str) -> Result<(), Obstacle> {
        let refused = "the change would have touched what is not Oz's";
        let (mut rest, tail) = documents(out).map_err(|_| refused)?;
        for section in Section::ALL {
            let found = take_list(&mut rest, section).map_err(|_| refused)?;
            if !found.iter().map(|item| &item.value).eq(self.items(section).iter().map(|item| &item.value)) {
                return Err(refused);
            }
        }
        let current = take(&mut rest, CURRENT);
        if current != self.current || rest != self.rest || tail != self.tail {
            return Err(refused);
        }
        Ok(())
    }
}

/// The first document and those after it.
pub(super) fn documents(text: &str) -> Result<(Value, Vec<Value>), Flaw> {
    if too_deep(text) {
        return Err(Flaw::Malformed { line: None, detail: "it is nested or repeated beyond reason" });
    }
    let read = |document| Value::deserialize(document).map_err(|error| flaw(&error));
    let mut all = serde_yaml::Deserializer::from_str(text).map(read);
    let first = all.next().transpose()?.unwrap_or(Value::Null);
    Ok((first, all.collect::<Result<_, _>>()?))
}

/// Counts brackets, be they syntax or text; no text has so many that are not closed.
fn too_deep(text: &str) -> bool {
    let mut open = 0_usize;
    text.bytes().any(|byte| {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        open > OPEN_BRACKETS
    })
}

/// The parser's words may quote the file, so only their kind is kept.
fn flaw(error: &serde_yaml::Error) -> Flaw {
    let words = error.to_string();
    let detail = if words.contains("duplicate entry") {
        "a key stands twice in one mapping"
    } else if words.contains("repetition limit") || words.contains("recursion limit") {
        "it is nested or repeated beyond reason"
    } else {
        "not valid YAML"
    };
    Flaw::Malformed { line: error.location().map(|place| place.line()), detail }
}

fn take(rest: &mut Value, key: &str) -> Option<Value> {
    rest.as_mapping_mut().and_then(|map: &mut Mapping| map.shift_remove(key))
}

fn take_list(rest: &mut Value, section: Section) -> Result<Vec<Item>, Flaw> {
    if !rest.is_null() && !rest.is_mapping() {
        return Err(Flaw::Malformed { line: None, detail: "its first document is not a mapping" });
    }
    match take(rest, section.key()) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Sequence(mut items)) => {
            let read = |(n, item)| Item::read(section, n, mem::take(item));
            Ok(items.iter_mut().enumerate().map(read).collect())
        }
        Some(Value::Tagged(_)) => Err(Flaw::Shape("a list has a tag of its own")),
        Some(_) => Err(Flaw::Malformed { line: None, detail: "clusters, users and contexts must be lists" }),
    }
}
