//! A configuration of any text, the first line of which is an override: refused, or a value that reads back as itself.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;
use trainer::TrainConfig;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));

fuzz_target!(|text: &str| {
    let file = FOLDER.path().join("run.toml");
    let (first, rest) = text.split_once('\n').unwrap_or(("", text));
    std::fs::write(&file, rest).expect("the file");
    let overrides: Vec<String> = Some(first.to_owned()).filter(|first| !first.is_empty()).into_iter().collect();
    let Ok(config) = TrainConfig::read(&file, &overrides) else { return };
    let written = config.to_toml().expect("what was read can be written");
    std::fs::write(&file, &written).expect("the file");
    let again = TrainConfig::read(&file, &[]).unwrap_or_else(|error| panic!("{error}\n{written}"));
    // By its text: not-a-number is no equal of itself.
    assert_eq!(again.to_toml().expect("as before"), written);
});
