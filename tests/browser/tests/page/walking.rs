//! Exact values by mouse and by keyboard, and the address.

use browser_tests::Window;

use crate::{at_peace, card, keep, number, opened, shows, small, text, tokens};

#[test]
fn pointing_at_a_token_shows_its_exact_values() {
    let (page, _folder, file) = small();
    let window = Window::open(&file, "#1/1/2/dependency").expect("a page");
    opened(&window, 6, "response");
    let own = tokens(&page, (1, 1, 2));
    for at in [2, 17, 40, own.ids.len() - 1] {
        let mark = format!("[...document.querySelectorAll('.token')][{at}].classList.add('wanted')");
        window
            .value(&format!("(document.querySelector('.wanted')?.classList.remove('wanted'), {mark})"))
            .expect("a token");
        window.point(".wanted").expect("a place");
        window
            .wait(&format!("document.querySelector('#card .head span')?.textContent.startsWith('token {} of')", at + 1))
            .expect("a card");
        shows(&window, own, at);
        let inside = "((b) => b.left >= 0 && b.top >= 0 && b.right <= innerWidth && b.bottom <= innerHeight)(document.getElementById('card').getBoundingClientRect())";
        assert_eq!(window.value(inside).expect("a box"), true, "the card is in sight");
        let chosen = text(&window, "document.querySelector('#card tr.chosen').dataset.key");
        assert_eq!(chosen, "dependency");
        if at == 40 {
            keep(&window, "hover");
        }
    }
    window.point("#title").expect("a place");
    window.wait("document.getElementById('card').hidden").expect("the card goes");
    at_peace(&window);
}

#[test]
fn keys_walk_from_token_to_token_and_from_response_to_response() {
    let (page, _folder, file) = small();
    let window = Window::open(&file, "#1/0/0/entropy").expect("a page");
    opened(&window, 0, "response");
    let at = || {
        number(&window, "[...document.querySelectorAll('.token')].findIndex((n) => n.classList.contains('current'))")
    };
    let own = tokens(&page, (1, 0, 0));
    window.value("(document.querySelector('.tokens').focus(), true)").expect("a focus");
    shows(&window, own, 0);
    for _ in 0..5 {
        window.press("ArrowRight").expect("a key");
    }
    window.press("ArrowLeft").expect("a key");
    assert_eq!(at(), 4.0);
    shows(&window, own, 4);
    let said = text(
        &window,
        "document.getElementById(document.querySelector('.tokens').getAttribute('aria-activedescendant')).getAttribute('aria-label')",
    );
    assert!(said.starts_with("token 5, ") && said.contains(", Entropy "), "{said}");
    let top = || number(&window, "document.querySelector('.token.current').getBoundingClientRect().top");
    let before = top();
    window.press("ArrowDown").expect("a key");
    assert!(top() > before, "a line below");
    window.press("ArrowUp").expect("a key");
    assert_eq!(top(), before);
    window.press("End").expect("a key");
    assert_eq!(at() as usize, own.ids.len() - 1);
    window.press("Escape").expect("a key");
    assert!(card(&window).is_empty(), "the card goes");
    for (key, row, place) in [("j", 1, "#1/0/1"), ("j", 2, "#1/0/2"), ("k", 1, "#1/0/1")] {
        window.press(key).expect("a key");
        opened(&window, row, "response");
        assert_eq!(text(&window, "location.hash"), format!("{place}/entropy"));
        assert_eq!(number(&window, "Number(document.querySelector('.row.current').id.slice(4))") as usize, row);
    }
    window.value("(document.getElementById('grid').focus(), true)").expect("a focus");
    window.press("ArrowDown").expect("a key");
    opened(&window, 2, "response");
    window.press("ArrowUp").expect("a key");
    opened(&window, 1, "response");
    window.press("2").expect("a key");
    window.wait("location.hash === '#1/0/1/advantage'").expect("the address says it");
    window.press("c").expect("a key");
    opened(&window, 1, "compare");
    window.press("j").expect("a key");
    opened(&window, 2, "compare");
    window.press("Escape").expect("a key");
    opened(&window, 2, "response");
    window.press("?").expect("a key");
    window.wait("document.getElementById('help').open").expect("help");
    keep(&window, "help");
    window.press("j").expect("a key");
    window.press("Escape").expect("a key");
    window.wait("!document.getElementById('help').open").expect("no help");
    opened(&window, 2, "response");
    window.press("/").expect("a key");
    window.write("jk?2").expect("typing");
    assert_eq!(text(&window, "document.getElementById('filter-text').value"), "jk?2", "typing is no command");
    opened(&window, 2, "response");
    at_peace(&window);
}

#[test]
fn addresses_open_what_they_name() {
    let (_, _folder, file) = small();
    let window = Window::open(&file, "#2/1/3/divergence%3Apatch-blackout/group").expect("a page");
    opened(&window, 19, "group");
    assert_eq!(text(&window, "document.getElementById('value').value"), "divergence:patch-blackout");
    for (address, row) in
        [("#1/2/0/gate", 8), ("#9/9/9", 8), ("#1/0/1/nonsense", 1), ("#%", 1), ("#2/0/0/%E0%A4%A", 12)]
    {
        window.value(&format!("(location.hash = '{address}')")).expect("an address");
        opened(&window, row, "response");
    }
    assert_eq!(text(&window, "document.getElementById('value').value"), "gate");
    at_peace(&window);
}
