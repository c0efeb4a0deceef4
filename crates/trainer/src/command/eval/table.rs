//! The figures as a table.

use comfy_table::{CellAlignment, Table, presets};
use trainer::{Evaluation, Score};

/// A row for all problems and one for each category.
pub(super) fn table(evaluation: &Evaluation) -> String {
    let passes: Vec<usize> = evaluation.overall.pass_at.keys().copied().collect();
    let mut header =
        vec!["category".to_owned(), "problems".to_owned(), format!("avg@{}", evaluation.samples), "± SE".to_owned()];
    header.extend(passes.iter().map(|k| format!("pass@{k}")));
    header.extend(["tokens", "p50", "p95", "truncated"].map(str::to_owned));
    let mut table = plain(header);
    table.add_row(row("all", &evaluation.overall, &passes));
    for (name, score) in &evaluation.categories {
        table.add_row(row(name, score, &passes));
    }
    trimmed(&table)
}

/// A table without lines, whose numbers stand under each other.
pub(super) fn plain(header: Vec<String>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// The table's text without blanks at the ends of its lines.
pub(super) fn trimmed(table: &Table) -> String {
    table.to_string().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

fn row(name: &str, score: &Score, passes: &[usize]) -> Vec<String> {
    let percent = |share: Option<f64>| share.map_or_else(|| "-".to_owned(), |share| format!("{:.1}", 100.0 * share));
    let mut row =
        vec![name.to_owned(), score.problems.to_string(), percent(score.accuracy), percent(score.standard_error)];
    row.extend(passes.iter().map(|k| percent(score.pass_at.get(k).copied())));
    let length = score.length;
    row.extend([format!("{:.1}", length.mean), length.p50.to_string(), length.p95.to_string()]);
    row.push(format!("{} %", percent(Some(score.truncated))));
    row
}
