//! The page in headless Chromium: `cargo xtask browser`.
//!
//! Pictures of what was seen go to the folder named in `SCREENSHOTS`, if it is set.

mod hostile;
mod large;
mod looking;
mod recompute;
mod walking;

use std::fs::File;
use std::path::{Path, PathBuf};

use browser_tests::{Window, sample};
use inspector::{Page, TokenRecord};
use serde_json::Value;
use tempfile::TempDir;

/// A run of two steps, three groups of four, and its file.
fn small() -> (Page, TempDir, PathBuf) {
    let page = sample::run(sample::Size { steps: 2, groups: 3, responses: 4, tokens: 90 });
    let (folder, file) = written(&page);
    (page, folder, file)
}

fn written(page: &Page) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("page.html");
    page.write(&mut File::create(&file).expect("a file")).expect("written");
    (folder, file)
}

fn tokens<'a>(page: &'a Page, place: (usize, usize, usize)) -> &'a TokenRecord {
    let found = page.rollouts.iter().find(|rollout| {
        let record = &rollout.record;
        (record.step, record.group, record.response) == place
    });
    found.and_then(|rollout| rollout.record.tokens.as_ref()).expect("a response with tokens")
}

/// Text of a value of the page.
fn text(window: &Window, expression: &str) -> String {
    window.value(expression).expect(expression).as_str().unwrap_or_default().to_owned()
}

/// Texts of a list of the page.
fn texts(window: &Window, expression: &str) -> Vec<String> {
    let value = window.value(expression).expect(expression);
    let texts = value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap_or_default().to_owned());
    texts.collect()
}

fn number(window: &Window, expression: &str) -> f64 {
    window.value(expression).expect(expression).as_f64().unwrap_or(f64::NAN)
}

/// The computed background of every element that a selector finds.
fn backgrounds(window: &Window, selector: &str) -> Vec<String> {
    let expression =
        format!("[...document.querySelectorAll('{selector}')].map((n) => getComputedStyle(n).backgroundColor)");
    texts(window, &expression)
}

/// Waits until a response is open in a view.
fn opened(window: &Window, row: usize, view: &str) {
    window.wait(&format!("document.documentElement.dataset.open === '{row} {view}'")).expect("it opens");
}

/// Waits until tokens have these colours.
fn coloured(window: &Window, selector: &str, expected: &[String], what: &str) {
    let wanted = serde_json::to_string(expected).expect("JSON");
    let seen = format!("[...document.querySelectorAll('{selector}')].map((n) => getComputedStyle(n).backgroundColor)");
    let outcome = window.wait(&format!("JSON.stringify({seen}) === {}", serde_json::to_string(&wanted).expect("JSON")));
    if outcome.is_err() {
        assert_eq!(backgrounds(window, selector), expected, "{what}");
    }
}

/// Keeps a picture where one is asked for.
fn keep(window: &Window, name: &str) {
    if let Some(folder) = std::env::var_os("SCREENSHOTS") {
        window.screenshot(&Path::new(&folder).join(format!("{name}.png"))).expect("a picture");
    }
}

/// The page did what it was asked without an error, a dialog or a request, and was loaded once.
fn at_peace(window: &Window) {
    assert_eq!(window.complaints(), Vec::<String>::new());
    assert_eq!(window.loads(), 1);
}

/// The numbers of the card, by the key of the value.
fn card(window: &Window) -> serde_json::Map<String, Value> {
    let rows = "Object.fromEntries([...document.querySelectorAll('#card:not([hidden]) tr')].map((row) => [row.dataset.key, row.querySelector('td').textContent]))";
    window.value(rows).expect("a card").as_object().cloned().unwrap_or_default()
}

/// That the card shows every value of a token, to the bit.
fn shows(window: &Window, tokens: &TokenRecord, at: usize) {
    let card = card(window);
    let names = recompute::VALUES.iter().chain(&["sampling_log_probs", "contrast_log_probs:patch-blackout"]);
    assert_eq!(card.len(), names.clone().count(), "{card:?}");
    for name in names {
        let shown: f32 = card[*name].as_str().and_then(|text| text.parse().ok()).expect("a number");
        assert_eq!(shown.to_bits(), recompute::numbers(tokens, name)[at].to_bits(), "{name} of token {at}");
    }
    let head = text(window, "document.querySelector('#card .head span').textContent");
    assert_eq!(head, format!("token {} of {}, id {}", at + 1, tokens.ids.len(), tokens.ids[at]));
}
