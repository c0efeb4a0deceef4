//! What a policy says may mean harm: it is shown and does nothing.

use browser_tests::Window;
use inspector::{Finish, GroupPictures, Page, Picture, Rollout, RolloutRecord, TokenRecord};
use serde_json::json;

use crate::{at_peace, keep, number, opened, text, texts, written};

const HARM: [&str; 7] = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    "<svg onload=alert(3)><iframe src='javascript:alert(4)'></iframe>",
    "\u{202e}drowssap\u{202c} \u{0}\u{1b}[2J\u{7f}\u{feff}\u{e0041}",
    "<link rel=stylesheet href=http://127.0.0.1:9/x.css><base href=http://127.0.0.1:9/>",
    "\"'`><script>document.title='taken'</script>",
    "__proto__ constructor \u{2028}\u{2029} {{data}} <!-- <script>",
];

fn page() -> Page {
    let all = HARM.concat();
    let texts: Vec<String> = HARM.iter().map(|text| (*text).to_owned()).collect();
    let values = vec![0.5_f32, f32::NAN, -1.0, f32::INFINITY, f32::NEG_INFINITY, 1e-30, 3e38];
    let contrast =
        inspector::ContrastRecord { name: all.clone(), log_probs: values.clone(), divergence: values.clone() };
    let tokens = TokenRecord {
        ids: (0..7).collect(),
        texts,
        log_probs: values.clone(),
        sampling_log_probs: values.clone(),
        entropy: values.clone(),
        dependency: Some(values.clone()),
        contrasts: vec![contrast],
        advantage: values.clone(),
        gate: values,
    };
    let record = RolloutRecord {
        step: 1,
        group: 0,
        response: 0,
        problem_index: Some(0),
        place: Some(all.clone()),
        problem: all.clone(),
        answer: all.clone(),
        text: all.clone(),
        finish: Finish::Stop,
        reward: f32::NAN,
        accuracy: 0.0,
        parts: [(all.clone(), f32::NAN), ("__proto__".to_owned(), 1.0)].into(),
        tokens: Some(tokens.clone()),
    };
    let compared = vec![inspector::Comparison { name: all.clone(), tokens }];
    let picture = |name: &str, media_type: &str, bytes: &str| Picture {
        name: name.to_owned(),
        media_type: media_type.to_owned(),
        bytes: bytes.as_bytes().to_vec(),
    };
    let svg = "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(5)</script><image href='http://127.0.0.1:9/x.png'/></svg>";
    let pictures =
        vec![picture(&all, "image/svg+xml", svg), picture("broken", "image/png", "<script>alert(6)</script>")];
    let metrics = json!({ "step": 1, "__proto__": 1.0, (all.clone()): 2.0, "reward/overall": null });
    Page {
        title: all.clone(),
        configuration: all,
        metrics: metrics.as_object().cloned().into_iter().collect(),
        rollouts: vec![
            Rollout { record: record.clone(), compared },
            Rollout { record: RolloutRecord { response: 1, tokens: None, ..record }, compared: vec![] },
        ],
        pictures: vec![GroupPictures { step: 1, group: 0, pictures }],
    }
}

#[test]
fn hostile_text_is_shown_and_does_nothing() {
    let (_folder, file) = written(&page());
    let window = Window::open(&file, "").expect("a page");
    opened(&window, 0, "response");
    let inert = || {
        let strangers = "document.querySelectorAll('iframe, object, embed, base, link:not([rel=icon]), svg script, [onerror], [onload]').length";
        assert_eq!(number(&window, strangers), 0.0);
        assert_eq!(number(&window, "document.querySelectorAll('script:not([type=\"text/plain\"])').length"), 1.0);
        assert_eq!(number(&window, "document.querySelectorAll('head *').length"), 8.0, "the head is as it was written");
    };
    inert();
    let wide = "document.documentElement.scrollWidth <= innerWidth && document.getElementById('detail').getBoundingClientRect().right <= innerWidth";
    assert_eq!(window.value(wide).expect("a width"), true, "long words do not push the page apart");
    keep(&window, "hostile");
    let title = text(&window, "document.title");
    assert!(title.starts_with("</script><script>alert(1)</script><img") && title.ends_with("Sightline"), "{title}");
    let shown = texts(&window, "[...document.querySelectorAll('.token')].map((n) => n.textContent)");
    assert_eq!(shown[0], HARM[0]);
    assert_eq!(
        shown[3],
        "⟨202E⟩drowssap⟨202C⟩ ␀␛[2J⟨7F⟩⟨FEFF⟩⟨E0041⟩".replace("⟨7F⟩", "⟨007F⟩"),
        "what cannot be seen is shown"
    );
    let turning = "/[\\u202a-\\u202e\\u2066-\\u2069\\u0000]/.test(document.getElementById('page').textContent)";
    assert_eq!(window.value(turning).expect("a test"), false);
    for key in ["1", "2", "3", "4", "5", "6", "7", "0", "g", "g", "c", "c", "j"] {
        window.press(key).expect("a key");
    }
    opened(&window, 1, "response");
    assert!(text(&window, "document.querySelector('.plain').textContent").contains(HARM[1]));
    for tab in ["curves", "configuration", "rollouts"] {
        window.click(&format!("#tab-{tab}")).expect("a click");
    }
    window.press("k").expect("a key");
    opened(&window, 0, "response");
    window.value("(document.querySelector('.tokens').focus(), true)").expect("a focus");
    window.press("ArrowRight").expect("a key");
    assert!(text(&window, "document.getElementById('card').textContent").contains("NaN"));
    window.click(".pictures button").expect("a click");
    window.wait("document.getElementById('enlarged').open").expect("enlarged");
    inert();
    at_peace(&window);
}

#[test]
fn a_page_without_anything_opens() {
    let (_folder, file) = written(&Page::default());
    let window = Window::open(&file, "").expect("a page");
    for key in ["j", "k", "g", "c", "1", "9", "Escape"] {
        window.press(key).expect("a key");
    }
    assert_eq!(text(&window, "document.getElementById('count').textContent"), "0 of 0 responses");
    at_peace(&window);
}
