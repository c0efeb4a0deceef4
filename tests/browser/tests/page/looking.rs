//! Colours, groups, comparisons, curves and the list.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};

use browser_tests::{Theme, Window};
use inspector::{Page, Server};

use crate::recompute::{VALUES, colours, numbers};
use crate::{at_peace, backgrounds, coloured, keep, number, opened, small, text, texts, tokens};

#[test]
fn tokens_are_coloured_by_the_chosen_value_and_scale() {
    let (page, _folder, file) = small();
    let window = Window::open(&file, "#2/1/3").expect("a page");
    let own = tokens(&page, (2, 1, 3));
    opened(&window, 19, "response");
    let group: Vec<_> = (0..4).map(|response| tokens(&page, (2, 1, response))).collect();
    let all = page
        .rollouts
        .iter()
        .flat_map(|rollout| rollout.record.tokens.iter().chain(rollout.compared.iter().map(|other| &other.tokens)));
    let all: Vec<_> = all.collect();
    let mut seen = Vec::new();
    for (key, value) in VALUES.iter().enumerate() {
        window.press(&(key + 1).to_string()).expect("a key");
        let values = numbers(own, value);
        let expected = colours(value, &values, &values, true);
        coloured(&window, ".token", &expected, value);
        seen.push(expected);
    }
    keep(&window, "response");
    // The dependency is that of the one contrast.
    assert_eq!(seen[0], seen[6]);
    seen.pop();
    assert!(seen.iter().enumerate().all(|(at, one)| seen[..at].iter().all(|other| other != one)), "no two look alike");
    window.fill("#value", "entropy").expect("a choice");
    let values = numbers(own, "entropy");
    let over = |records: &[&inspector::TokenRecord]| {
        records.iter().flat_map(|other| numbers(other, "entropy")).collect::<Vec<_>>()
    };
    for (scope, range) in [("group", over(&group)), ("all", over(&all)), ("response", values.clone())] {
        window.fill("#scope", scope).expect("a choice");
        coloured(&window, ".token", &colours("entropy", &values, &range, true), scope);
    }
    window.click("#clip").expect("a click");
    coloured(&window, ".token", &colours("entropy", &values, &values, false), "not clipped");
    let marks = |class| number(&window, &format!("document.querySelectorAll('.token.{class}').length")) as usize;
    let open = own.gate.iter().filter(|gate| **gate > 0.0).count();
    assert_eq!((marks("open"), marks("shut")), (open, own.gate.len() - open));
    window.click("#marks").expect("a click");
    window.wait("document.querySelectorAll('.token.open, .token.shut').length === 0").expect("no marks");
    window.press("0").expect("a key");
    coloured(&window, ".token", &vec!["rgba(0, 0, 0, 0)".to_owned(); own.ids.len()], "no colour");
    at_peace(&window);
}

#[test]
fn the_dark_has_colours_of_its_own() {
    let (_, _folder, file) = small();
    let window = Window::open(&file, "#1/0/0/dependency").expect("a page");
    let light = backgrounds(&window, ".token, body");
    window.theme(Theme::Dark).expect("a theme");
    window.wait("getComputedStyle(document.body).backgroundColor === 'rgb(20, 23, 27)'").expect("dark");
    let dark = backgrounds(&window, ".token, body");
    assert!(light.iter().zip(&dark).all(|(light, dark)| light != dark), "every token changes");
    keep(&window, "dark");
    at_peace(&window);
}

#[test]
fn a_group_stands_side_by_side_on_one_scale() {
    let (page, _folder, file) = small();
    let window = Window::open(&file, "#1/2/1/dependency").expect("a page");
    opened(&window, 9, "response");
    window.press("g").expect("a key");
    opened(&window, 9, "group");
    let group: Vec<_> = (0..4).map(|response| tokens(&page, (1, 2, response))).collect();
    let all: Vec<f32> = group.iter().flat_map(|own| numbers(own, "dependency")).collect();
    for (at, own) in group.iter().enumerate() {
        let expected = colours("dependency", &numbers(own, "dependency"), &all, true);
        coloured(&window, &format!(".side:nth-child({}) .token", at + 1), &expected, "one scale");
    }
    let lefts =
        texts(&window, "[...document.querySelectorAll('.side')].map((n) => `${n.getBoundingClientRect().left}`)");
    assert!(lefts.len() == 4 && lefts.windows(2).all(|two| two[0] != two[1]), "in columns: {lefts:?}");
    assert_eq!(text(&window, "location.hash"), "#1/2/1/dependency/group");
    keep(&window, "group");
    window.click(".side:nth-child(4) .link").expect("a click");
    opened(&window, 11, "response");
    at_peace(&window);
}

#[test]
fn two_scorings_are_compared_token_by_token() {
    let (page, _folder, file) = small();
    let window = Window::open(&file, "#2/0/1/dependency/compare").expect("a page");
    opened(&window, 13, "compare");
    let rollout = &page.rollouts[13];
    let run = numbers(rollout.record.tokens.as_ref().expect("tokens"), "dependency");
    let others: Vec<_> = rollout.compared.iter().map(|other| numbers(&other.tokens, "dependency")).collect();
    let check = |above: &[f32], below: &[f32]| {
        let both = [above, below].concat();
        let difference: Vec<f32> = below.iter().zip(above).map(|(below, above)| below - above).collect();
        coloured(&window, ".cell:first-child", &colours("dependency", above, &both, true), "above");
        coloured(&window, ".cell:nth-child(2)", &colours("dependency", below, &both, true), "below");
        coloured(&window, ".strip", &colours("difference", &difference, &difference, true), "difference");
    };
    check(&run, &others[0]);
    keep(&window, "compare");
    window.fill("#pair-1", "2").expect("a choice");
    window.wait("document.getElementById('pair-1').value === '2'").expect("chosen");
    check(&run, &others[1]);
    window.fill("#pair-0", "1").expect("a choice");
    window.wait("document.getElementById('pair-0').value === '1'").expect("chosen");
    check(&others[0], &others[1]);
    window.press("c").expect("a key");
    opened(&window, 13, "response");
    // Only the first group was scored again.
    window.value("(location.hash = '#2/1/0/dependency/compare')").expect("an address");
    opened(&window, 16, "response");
    assert_eq!(window.value("document.getElementById('view-compare').disabled").expect("a state"), true);
    at_peace(&window);
}

#[test]
fn curves_show_the_metrics_and_their_values() {
    let (page, _folder, file) = small();
    let window = Window::open(&file, "#curves").expect("a page");
    let shown = || texts(&window, "[...document.querySelectorAll('.chart')].map((n) => n.dataset.metric)");
    let important = ["reward/overall", "reward/accuracy", "val/accuracy", "dependency/mean", "actor/entropy"];
    assert_eq!(shown()[..5], important);
    assert_eq!(shown().len(), 8);
    let last = page.metrics.iter().rev().find_map(|line| line.get("actor/entropy")).expect("a value");
    let reading = "document.querySelector('[data-metric=\"actor/entropy\"] .reading')";
    assert_eq!(text(&window, &format!("{reading}.title")), last.to_string());
    window.point("[data-metric=\"actor/grad_norm\"] svg").expect("a place");
    window.wait(&format!("{reading}.title !== '{last}'")).expect("the cursor moves on all charts");
    let step = text(&window, &format!("{reading}.textContent.split('step ')[1]"));
    let there = page.metrics.iter().find(|line| line["step"].to_string() == step && line.contains_key("actor/entropy"));
    assert_eq!(text(&window, &format!("{reading}.title")), there.expect("the step")["actor/entropy"].to_string());
    keep(&window, "curves");
    window.click("summary").expect("a click");
    window.fill("#metric-text", "timing").expect("a search");
    window.click("#metrics label:not([hidden]) input").expect("a click");
    window.wait("document.querySelectorAll('.chart').length === 9").expect("one more");
    assert_eq!(shown()[8], "timing_s/step");
    window.click("#tab-configuration").expect("a click");
    assert_eq!(text(&window, "document.getElementById('toml').textContent").trim_end(), page.configuration.trim_end());
    at_peace(&window);
}

#[test]
fn the_list_searches_filters_and_sorts() {
    let (page, _folder, file) = small();
    let window = Window::open(&file, "").expect("a page");
    let count =
        |of: &dyn Fn(&inspector::RolloutRecord) -> bool| page.rollouts.iter().filter(|one| of(&one.record)).count();
    let listed = |expected: usize, what: &str| {
        let shown = "Number(document.getElementById('grid').getAttribute('aria-rowcount'))";
        window.wait(&format!("{shown} === {expected}")).unwrap_or_else(|error| panic!("{what}: {error}"));
        let drawn = number(&window, "document.querySelectorAll('.row').length") as usize;
        assert_eq!(drawn, expected, "{what}: few enough to be drawn");
    };
    let clear = || window.click("button[type=reset]").expect("a click");
    listed(24, "all");
    keep(&window, "list");
    window.press("/").expect("a key");
    window.write("Row BY row").expect("typing");
    let found = count(&|one| one.text.contains("row by row"));
    assert!(found > 0 && found < 24, "{found}");
    listed(found, "search");
    clear();
    listed(24, "cleared");
    let choices: [(&str, &str, &dyn Fn(&inspector::RolloutRecord) -> bool); 6] = [
        ("#filter-step", "2", &|one| one.step == 2),
        ("#filter-group", "1", &|one| one.group == 1),
        ("#filter-verdict", "right", &|one| one.accuracy == 1.0),
        ("#filter-finish", "length", &|one| one.finish == inspector::Finish::Length),
        ("#filter-least", "0.5", &|one| one.reward >= 0.5),
        ("#filter-most", "0.5", &|one| one.reward <= 0.5),
    ];
    for (control, value, passes) in choices {
        window.fill(control, value).expect("a choice");
        listed(count(passes), control);
        clear();
    }
    window.fill("#filter-step", "1").expect("a choice");
    window.fill("#filter-verdict", "wrong").expect("a choice");
    listed(count(&|one| one.step == 1 && one.accuracy == 0.0), "both");
    clear();
    window.click("#columns [role=columnheader]:nth-child(4) button").expect("a click");
    window.wait("document.querySelector('#columns [aria-sort=descending]') !== null").expect("sorted");
    let rewards = texts(&window, "[...document.querySelectorAll('.row > :nth-child(4)')].map((n) => n.textContent)");
    let rewards: Vec<f32> = rewards.iter().map(|text| text.parse().expect("a number")).collect();
    assert!(rewards.is_sorted_by(|before, after| before >= after) && rewards[0] > rewards[23], "{rewards:?}");
    at_peace(&window);
}

#[test]
fn a_served_page_needs_nothing_else() {
    let page = small().0;
    let server = Server::bind(0).expect("a port");
    let address = format!("http://{}/", server.address());
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let bytes = |page: &Page| {
            let mut bytes = Vec::new();
            page.write(&mut bytes).map(|()| bytes)
        };
        let made = bytes(&page).expect("a page");
        let (server, stop) = (&server, &stop);
        scope.spawn(move || server.run(stop, || Ok::<_, Infallible>(made.clone())));
        let outcome = std::panic::catch_unwind(|| {
            let window = Window::open_address(&address, "#1/0/0").expect("a page");
            opened(&window, 0, "response");
            at_peace(&window);
        });
        stop.store(true, Ordering::Relaxed);
        outcome.expect("the page is served");
    });
}
