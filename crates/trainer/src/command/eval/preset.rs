//! `sightline eval presets` and `--explain`.

use serde_json::json;
use trainer::{Preset, TrainError, presets};

use super::super::print;

pub(super) fn list(as_json: bool) -> Result<(), TrainError> {
    let presets = presets()?;
    if as_json {
        return presets.iter().try_for_each(|preset| print(&json!(preset).to_string()));
    }
    let width = presets.iter().map(|preset| preset.name.len()).max().unwrap_or(0);
    for preset in &presets {
        let Preset { name, benchmark, harness } = preset;
        let papers = preset.papers().join(" and ");
        print(&format!(
            "{name:width$}  {:4} problems  {}, reported by {papers}: {}",
            benchmark.problems, benchmark.title, harness.title
        ))?;
    }
    print("sightline eval --preset NAME --explain says what each asks and what of it is published")
}

pub(super) fn explain(preset: &Preset, as_json: bool) -> Result<(), TrainError> {
    if as_json {
        return print(&json!(preset).to_string());
    }
    let Preset { name, benchmark, harness } = preset;
    print(&format!("{name}: {}, {}", benchmark.title, harness.title))?;
    print(&format!("reported by: {}", preset.papers().join(" and ")))?;
    print(&format!("source: {}", harness.source))?;
    print(&format!("problems: {} ({})", benchmark.problems, benchmark.data.join("; ")))?;
    section("settings", &preset.overrides())?;
    section("documented", &harness.documented)?;
    section("in the harness's code alone", &harness.undocumented)?;
    section("not published", &harness.unpublished)?;
    section("departures of ours", &harness.departures)?;
    section("about this benchmark", &benchmark.remarks)?;
    for (source, numbers) in &benchmark.published {
        let numbers: Vec<String> = numbers.iter().map(|(model, number)| format!("{model} {number} %")).collect();
        print(&format!("published in {source}: {}", numbers.join(", ")))?;
    }
    Ok(())
}

fn section(title: &str, lines: &[String]) -> Result<(), TrainError> {
    if lines.is_empty() {
        return Ok(());
    }
    print(&format!("{title}:"))?;
    lines.iter().try_for_each(|line| print(&format!("  - {line}")))
}
