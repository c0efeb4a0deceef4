//! What stands in a page, and what does not.

mod pages;
mod reader;

use inspector::{
    Comparison, GroupPictures, InspectorError, Page, Picture, Rollout, RolloutRecord, TokenRecord, read_rollouts,
};
use proptest::prelude::*;

fn written(page: &Page) -> String {
    let mut bytes = Vec::new();
    page.write(&mut bytes).expect("memory takes a page");
    String::from_utf8(bytes).expect("HTML is text")
}

/// The document without the insides of elements that hold data, and those insides.
fn taken_apart(document: &str) -> (String, Vec<&str>) {
    let (mut rest, mut shell, mut data) = (document, String::new(), Vec::new());
    while let Some((before, element)) = rest.split_once(reader::OPENING) {
        let (_, inside) = element.split_once("\">").expect("an id ends");
        let (inside, after) = inside.split_once("</script>\n").expect("an element ends");
        shell.push_str(before);
        data.push(inside);
        rest = after;
    }
    (shell + rest, data)
}

/// A page with NaN told apart by its bits.
fn to_the_bit(page: &Page) -> String {
    let bits = |list: &[f32]| list.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    let tokens = |tokens: &TokenRecord| {
        let contrasts = tokens.contrasts.iter().map(|c| (&c.name, bits(&c.log_probs), bits(&c.divergence)));
        let lists = [&tokens.log_probs, &tokens.sampling_log_probs, &tokens.entropy, &tokens.advantage, &tokens.gate];
        let dependency = tokens.dependency.as_deref().map(bits);
        let contrasts: Vec<_> = contrasts.collect();
        format!("{:?}", (&tokens.ids, &tokens.texts, lists.map(|list| bits(list)), dependency, contrasts))
    };
    let rollouts = page.rollouts.iter().map(|rollout| {
        let record = RolloutRecord { tokens: None, ..rollout.record.clone() };
        let compared: Vec<_> = rollout.compared.iter().map(|other| (&other.name, tokens(&other.tokens))).collect();
        format!("{:?}", (record, rollout.record.tokens.as_ref().map(tokens), compared))
    });
    let rollouts: Vec<_> = rollouts.collect();
    format!("{:?}", (&page.title, &page.configuration, &page.metrics, rollouts, &page.pictures))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_page_reads_back_to_the_bit(page in pages::page()) {
        prop_assert_eq!(to_the_bit(&reader::read(&written(&page))), to_the_bit(&page));
    }

    #[test]
    fn nothing_sampled_stands_outside_of_base64(page in pages::page()) {
        let document = written(&page);
        let (shell, data) = taken_apart(&document);
        let empty = written(&Page { title: page.title.clone(), ..Page::default() });
        prop_assert_eq!(shell, taken_apart(&empty).0);
        for inside in data {
            prop_assert!(inside.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte)));
        }
    }

    #[test]
    fn a_title_adds_no_element(title in pages::text()) {
        let elements = |page: &Page| written(page).matches('<').count();
        prop_assert_eq!(elements(&Page { title, ..Page::default() }), elements(&Page::default()));
    }
}

#[test]
fn the_page_allows_itself_nothing_from_elsewhere() {
    let document = written(&Page::default());
    let (_, policy) = document.split_once("http-equiv=\"Content-Security-Policy\" content=\"").expect("a policy");
    let (policy, _) = policy.split_once('"').expect("the policy ends");
    let mut words: Vec<&str> = policy.split("; ").map(|rule| rule.split(" 'sha256-").next().unwrap_or(rule)).collect();
    words.sort_unstable();
    let allowed =
        ["base-uri 'none'", "default-src 'none'", "form-action 'none'", "img-src data:", "script-src", "style-src"];
    assert_eq!(words, allowed);
    assert_eq!(policy.matches("'sha256-").count(), 2);
    for attribute in [" src=", "<base", "<iframe", "<object", " style=", " onclick="] {
        assert!(!document.contains(attribute), "{attribute}");
    }
}

/// Deterministic values without a pattern, from 0 to 1.
fn noise(seed: u32) -> f32 {
    let mixed = seed.wrapping_mul(0x9E37_79B9) ^ (seed.wrapping_mul(0x85EB_CA6B) >> 13);
    (mixed.wrapping_mul(0xC2B2_AE35) >> 8) as f32 / (1 << 24) as f32
}

fn plausible(tokens: u32, seed: u32) -> TokenRecord {
    let list =
        |salt: u32, of: &dyn Fn(f32) -> f32| (0..tokens).map(|at| of(noise(at * 31 + salt + seed * 7919))).collect();
    let log_probs: Vec<f32> = list(1, &|value| -value * value);
    let divergence: Vec<f32> = list(2, &|value| value * value * value);
    let contrast = inspector::ContrastRecord {
        name: "blind".to_owned(),
        log_probs: log_probs.iter().zip(&divergence).map(|(own, divergence)| own - divergence).collect(),
        divergence: divergence.clone(),
    };
    TokenRecord {
        ids: (0..tokens).map(|at| (noise(at + seed) * 3000.0) as u32).collect(),
        texts: (0..tokens).map(|at| format!(" word{}", (noise(at + seed) * 3000.0) as u32)).collect(),
        sampling_log_probs: log_probs.iter().map(|value| value * 1.00001).collect(),
        log_probs,
        entropy: list(3, &|value| value),
        dependency: Some(divergence),
        contrasts: vec![contrast],
        advantage: vec![0.7; tokens as usize],
        gate: list(4, &|value| f32::from(u8::from(value < 0.4))),
    }
}

fn record(tokens: Option<TokenRecord>) -> RolloutRecord {
    let line = r#"{"step":2,"group":1,"response":0,"problem":"p","answer":"a","text":"t","finish":"stop","reward":1,"accuracy":1}"#;
    RolloutRecord { tokens, ..serde_json::from_str(line).expect("a record") }
}

#[test]
fn a_page_is_small() {
    assert!(written(&Page::default()).len() < 100_000, "the shell");
    let (responses, tokens) = (40, 500);
    let record = |seed| record(Some(plausible(tokens, seed)));
    let rollouts = (0..responses).map(|seed| Rollout { record: record(seed), compared: vec![] }).collect();
    let page = Page { rollouts, ..Page::default() };
    let per_token = (written(&page).len() - written(&Page::default()).len()) as f64 / f64::from(responses * tokens);
    assert!(per_token < 25.0, "{per_token} bytes for a token of nine columns, 48 as plain base64");
}

#[test]
fn the_same_image_is_kept_once() {
    let picture =
        |name: &str| Picture { name: name.to_owned(), media_type: "image/png".to_owned(), bytes: vec![7; 3000] };
    let group = |group| GroupPictures { step: 1, group, pictures: vec![picture("image"), picture("grey")] };
    let document = written(&Page { pictures: vec![group(0), group(1)], ..Page::default() });
    assert_eq!(document.matches("id=\"image-").count(), 1);
    assert_eq!(reader::read(&document).pictures, [group(0), group(1)]);
}

#[test]
fn lists_of_other_lengths_are_refused_by_name() {
    let mut short = plausible(3, 0);
    short.contrasts[0].divergence.pop();
    let page = |rollout| Page { rollouts: vec![rollout], ..Page::default() };
    let refused = |page: &Page| page.write(&mut Vec::new()).expect_err("a list is short").to_string();
    let own = page(Rollout { record: record(Some(short.clone())), compared: vec![] });
    let said = "step 2, group 1, response 0: `divergence of blind` has 2 values for 3 tokens";
    assert_eq!(refused(&own), said);
    let again = |tokens| vec![Comparison { name: "pgpo".to_owned(), tokens }];
    let other = page(Rollout { record: record(None), compared: again(short) });
    assert_eq!(refused(&other), said.replace("0: ", "0: scored by pgpo: "));
    let others = page(Rollout { record: record(Some(plausible(3, 0))), compared: again(plausible(3, 1)) });
    assert_eq!(refused(&others), "step 2, group 1, response 0: scored by pgpo: its tokens are not the response's");
}

#[test]
fn only_images_are_pictures() {
    for media_type in ["text/html", "image/", "image/png\" onerror=\"x", ""] {
        let picture = Picture { name: "x".to_owned(), media_type: media_type.to_owned(), bytes: vec![] };
        let pictures = vec![GroupPictures { step: 1, group: 0, pictures: vec![picture] }];
        let refused = Page { pictures, ..Page::default() }.write(&mut Vec::new());
        assert!(matches!(refused, Err(InspectorError::MediaType { .. })), "{media_type}");
    }
}

#[test]
fn a_full_disk_is_an_error() {
    let refused = Page::default().write(&mut [0_u8; 100].as_mut_slice());
    assert!(matches!(refused, Err(InspectorError::Write(_))));
}

#[test]
fn what_a_run_writes_is_what_a_page_shows() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("step-2.jsonl");
    let mut tokens = plausible(5, 3);
    tokens.entropy[2] = f32::NAN;
    std::fs::write(&file, serde_json::to_string(&record(Some(tokens.clone()))).expect("JSON") + "\n").expect("written");
    let rollouts = read_rollouts(&file).expect("read");
    let page = |record| Page { rollouts: vec![Rollout { record, compared: vec![] }], ..Page::default() };
    let shown = reader::read(&written(&page(rollouts[0].clone())));
    assert_eq!(to_the_bit(&shown), to_the_bit(&page(record(Some(tokens)))));
}
