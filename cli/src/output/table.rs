//! Tables in kubectl's style: no borders, three spaces between columns, headers in capitals.

use comfy_table::{ColumnConstraint, ContentArrangement, Width};

use super::escape::clean;

/// What stands in a cell that has nothing to say.
const NONE: &str = "<none>";

/// A table that remembers its widths, so that rows which come later stand under the same headers.
#[derive(Debug)]
pub(crate) struct Table {
    headers: Vec<String>,
    widths: Vec<u16>,
    headed: bool,
}

impl Table {
    pub(crate) fn new(headers: &[&str]) -> Self {
        Self {
            headers: headers.iter().map(|h| (*h).to_owned()).collect(),
            widths: vec![0; headers.len()],
            headed: false,
        }
    }

    /// Headers and rows.
    pub(crate) fn whole(&mut self, rows: &[Vec<String>]) -> String {
        self.headed = true;
        self.render(rows, true)
    }

    /// Rows alone, under headers that were printed; before them the headers, if none were.
    pub(crate) fn more(&mut self, rows: &[Vec<String>]) -> String {
        let headed = !std::mem::replace(&mut self.headed, true);
        self.render(rows, headed)
    }

    fn render(&mut self, rows: &[Vec<String>], headed: bool) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        if headed {
            table.set_header(self.headers.clone());
        }
        for row in rows {
            let cells = row
                .iter()
                .map(|cell| if cell.is_empty() { NONE.to_owned() } else { clean(cell).into_owned() });
            table.add_row(cells.collect::<Vec<_>>());
        }
        table.discover_columns();
        for (width, found) in self.widths.iter_mut().zip(table.column_max_content_widths()) {
            *width = (*width).max(found);
        }
        for (column, width) in table.column_iter_mut().zip(&self.widths) {
            column.set_padding((0, 3));
            // The width of a column counts its padding.
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(width + 3)));
        }
        let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|c| (*c).to_owned()).collect()
    }

    #[test]
    fn as_kubectl_prints_them() {
        let mut table = Table::new(&["NAME", "PHASE"]);
        let first = table.whole(&[row(&["api-exec-1", "Pending"]), row(&["a\nb", ""])]);
        assert_eq!(first, "NAME         PHASE\napi-exec-1   Pending\na\\nb         <none>");
        assert_eq!(table.more(&[row(&["x", "Active"])]), "x            Active");
        let mut late = Table::new(&["NAME", "PHASE"]);
        assert_eq!(late.more(&[row(&["a-long-one", "Active"])]), "NAME         PHASE\na-long-one   Active");
    }
}
