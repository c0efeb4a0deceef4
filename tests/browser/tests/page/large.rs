//! A page of a thousand responses of two thousand tokens stays quick.

use std::time::Instant;

use browser_tests::{Window, sample};

use crate::{at_peace, keep, number, opened, written};

#[test]
fn a_page_of_two_million_tokens_stays_quick() {
    let mut page = sample::run(sample::Size { steps: 25, groups: 5, responses: 8, tokens: 2000 });
    page.rollouts.iter_mut().for_each(|rollout| rollout.compared.clear());
    let tokens: usize =
        page.rollouts.iter().filter_map(|one| one.record.tokens.as_ref()).map(|own| own.ids.len()).sum();
    assert!(page.rollouts.len() == 1000 && tokens > 1_900_000, "{tokens}");
    let start = Instant::now();
    let (_folder, file) = written(&page);
    let writing = start.elapsed();
    let size = std::fs::metadata(&file).expect("a file").len();
    let start = Instant::now();
    let window = Window::open(&file, "").expect("a page");
    let loading = start.elapsed();
    opened(&window, 0, "response");
    keep(&window, "large");
    let measured = |name: &str| number(&window, &format!("performance.getEntriesByName('{name}').at(-1).duration"));
    let mut opening = Vec::new();
    for row in 1..6 {
        window.press("j").expect("a key");
        opened(&window, row, "response");
        opening.push(measured("open"));
    }
    let mut filtering = Vec::new();
    for text in ["e", "yellow square", "nowhere to be found", ""] {
        window.fill("#filter-text", text).expect("a search");
        filtering.push(measured("filter"));
    }
    window.click("#columns [role=columnheader]:nth-child(6) button").expect("a click");
    filtering.push(measured("filter"));
    let recolouring = number(
        &window,
        "(async () => { const start = performance.now(); document.getElementById('value').value = 'entropy'; \
         document.getElementById('value').dispatchEvent(new Event('input')); \
         await new Promise((done) => requestAnimationFrame(() => setTimeout(done))); return performance.now() - start; })()",
    );
    window.press("g").expect("a key");
    opened(&window, 5, "group");
    let group = measured("open");
    let rows = number(&window, "document.querySelectorAll('.row').length");
    let milliseconds = |times: &[f64]| times.iter().map(|time| format!("{time:.0}")).collect::<Vec<_>>().join(", ");
    println!(
        "{} responses, {tokens} tokens: {:.1} MB, {:.1} bytes a token, written in {:.1} s; browser started and page loaded in {:.1} s",
        page.rollouts.len(),
        size as f64 / 1e6,
        size as f64 / tokens as f64,
        writing.as_secs_f64(),
        loading.as_secs_f64()
    );
    println!("opening a response: {} ms; its group of 8: {group:.0} ms", milliseconds(&opening));
    println!(
        "search, search, search, clear, sort: {} ms; another colour: {recolouring:.0} ms",
        milliseconds(&filtering)
    );
    assert!(rows < 80.0, "{rows} rows are drawn for 1000 responses");
    assert!(size as f64 / (tokens as f64) < 30.0, "48 bytes a token as plain base64");
    assert!(filtering.iter().all(|time| *time < 200.0), "{filtering:?}");
    at_peace(&window);
}
