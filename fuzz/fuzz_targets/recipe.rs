//! A recipe of any text, in JSON if it begins with a brace, else in TOML: refused, or one that can be written, read
//! back, built and checked.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;
use trainer::Recipe;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));

fuzz_target!(|text: &str| {
    let [toml, json] = ["recipe.toml", "recipe.json"].map(|name| FOLDER.path().join(name));
    let file = if text.starts_with('{') { &json } else { &toml };
    std::fs::write(file, text).expect("the file");
    let Ok(recipe) = Recipe::read(file) else { return };
    // Numbers that do not fit a form, such as infinities in JSON, are an error and no other number.
    if let Ok(written) = recipe.to_json() {
        std::fs::write(&json, &written).expect("the file");
        let again = Recipe::read(&json).unwrap_or_else(|error| panic!("{error}\n{written}"));
        assert_eq!(again.to_json().expect("as before"), written);
    }
    if let Ok(written) = recipe.to_toml() {
        std::fs::write(&toml, &written).expect("the file");
        let again = Recipe::read(&toml).unwrap_or_else(|error| panic!("{error}\n{written}"));
        assert_eq!(again.to_toml().expect("as before"), written);
    }
    let _ = recipe.build().check();
});
