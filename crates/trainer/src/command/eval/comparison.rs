//! `sightline eval compare`.

use std::path::Path;

use serde_json::json;
use trainer::{Comparison, Paired, TrainError};

use super::super::print;
use super::table::{plain, trimmed};

pub(super) fn compare(before: &Path, after: &Path, json: bool) -> Result<(), TrainError> {
    let comparison = Comparison::of_folders(before, after)?;
    if json {
        let mut object = json!(comparison);
        object["overall"]["interval"] = json!(comparison.overall.interval());
        return print(&object.to_string());
    }
    print(&format!("{} -> {}", before.display(), after.display()))?;
    for difference in &comparison.differences {
        print(&format!("  {difference}"))?;
    }
    let header = ["category", "problems", "before", "after", "difference", "± SE", "better", "worse"];
    let mut table = plain(header.map(str::to_owned).to_vec());
    table.add_row(row("all", &comparison.overall));
    for (name, paired) in &comparison.categories {
        table.add_row(row(name, paired));
    }
    print(&trimmed(&table))?;
    for (count, which) in [(comparison.only_before, "first"), (comparison.only_after, "second")] {
        if count > 0 {
            let (noun, verb) = if count == 1 { ("problem", "was") } else { ("problems", "were") };
            print(&format!("{count} {noun} answered in the {which} evaluation alone {verb} left out"))?;
        }
    }
    print(&format!("difference {}", comparison.overall))
}

fn row(name: &str, paired: &Paired) -> Vec<String> {
    let error = paired.standard_error.map_or_else(|| "-".to_owned(), |error| format!("{:.1}", 100.0 * error));
    let percent = |share: f64| format!("{:.1}", 100.0 * share);
    vec![
        name.to_owned(),
        paired.problems.to_string(),
        percent(paired.before),
        percent(paired.after),
        format!("{:+.1}", 100.0 * paired.difference),
        error,
        paired.better.to_string(),
        paired.worse.to_string(),
    ]
}
