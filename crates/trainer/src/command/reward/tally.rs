//! What many verdicts come to.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Judged;
use super::row::Row;

/// Counts of verdicts, in all and by category.
#[derive(Default)]
pub(super) struct Tally {
    all: Counts,
    categories: BTreeMap<String, Counts>,
    time: Duration,
    /// The longest time and its line.
    worst: (Duration, usize),
}

#[derive(Clone, Copy, Default)]
struct Counts {
    rows: usize,
    right: usize,
    ungraded: usize,
    /// Rows of which the verdict was expected and given.
    compared: usize,
    accepted_wrong: usize,
    refused_right: usize,
}

impl Counts {
    fn add(&mut self, correct: Option<bool>, expected: Option<bool>) {
        self.rows += 1;
        let Some(correct) = correct else {
            self.ungraded += 1;
            return;
        };
        self.right += usize::from(correct);
        if let Some(expected) = expected {
            self.compared += 1;
            self.accepted_wrong += usize::from(correct && !expected);
            self.refused_right += usize::from(!correct && expected);
        }
    }

    /// Agreement in percent, where anything was expected.
    fn agreement(&self) -> String {
        let agreeing = self.compared - self.accepted_wrong - self.refused_right;
        match self.compared {
            0 => "-".to_owned(),
            compared => format!("{:.1} %", 100.0 * agreeing as f64 / compared as f64),
        }
    }
}

impl Tally {
    pub(super) fn add(&mut self, line: usize, row: &Row, judged: &Judged) {
        self.all.add(judged.correct(), row.expected);
        if let Some(category) = &row.category {
            self.categories.entry(category.clone()).or_default().add(judged.correct(), row.expected);
        }
        self.time += judged.time;
        self.worst = self.worst.max((judged.time, line));
    }

    /// Rows, if there are any and none was graded.
    pub(super) const fn ungraded(&self) -> Option<usize> {
        if self.all.rows > 0 && self.all.ungraded == self.all.rows { Some(self.all.rows) } else { None }
    }

    /// The summary and, if rows have categories, a table of them.
    pub(super) fn lines(&self) -> Vec<String> {
        let Counts { rows, right, ungraded, compared, accepted_wrong, refused_right } = self.all;
        let mut lines =
            vec![format!("{rows} rows: {right} right, {} wrong, {ungraded} ungraded", rows - right - ungraded)];
        if compared > 0 {
            lines.push(format!(
                "agreement with the {compared} expected verdicts: {}; {accepted_wrong} accepted though wrong, {refused_right} refused though right",
                self.all.agreement()
            ));
        }
        if rows > 0 {
            let micros = |time: Duration| 1e6 * time.as_secs_f64();
            lines.push(format!(
                "time: {:.0} µs a row, at most {:.0} µs (line {})",
                micros(self.time) / rows as f64,
                micros(self.worst.0),
                self.worst.1
            ));
        }
        if !self.categories.is_empty() {
            let width =
                self.categories.keys().map(|name| name.chars().count()).max().unwrap_or(0).max("category".len());
            lines.push(format!(
                "{:width$}  {:>6}  {:>6}  {:>9}  {:>14}  {:>13}",
                "category", "rows", "right", "agreement", "accepted wrong", "refused right"
            ));
            for (name, counts) in &self.categories {
                lines.push(format!(
                    "{name:width$}  {:>6}  {:>6}  {:>9}  {:>14}  {:>13}",
                    counts.rows,
                    counts.right,
                    counts.agreement(),
                    counts.accepted_wrong,
                    counts.refused_right
                ));
            }
        }
        lines
    }
}
