//! Pages of any content.

use inspector::{
    Comparison, ContrastRecord, Finish, GroupPictures, Page, Picture, Rollout, RolloutRecord, TokenRecord,
};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

/// Text that means harm, and any other.
pub(crate) fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "(?s).{0,12}",
        Just("</script><script>alert(1)</script>".to_owned()),
        Just("<!--<script> {{script}} {{data}} \u{2028}".to_owned()),
        Just("\u{202e}\u{0}\"><img src=x onerror=alert(1)>".to_owned()),
    ]
}

fn values(count: usize) -> impl Strategy<Value = Vec<f32>> {
    vec(any::<u32>().prop_map(f32::from_bits), count)
}

fn tokens() -> impl Strategy<Value = TokenRecord> {
    (0..20_usize, any::<bool>()).prop_flat_map(|(count, measured)| {
        let contrast = (text(), values(count), values(count));
        let contrasts = vec(contrast, 0..3);
        let words = (vec(any::<u32>(), count), vec(text(), count));
        let lists = (values(count), values(count), values(count), values(count), values(count), values(count));
        (words, lists, contrasts).prop_map(move |((ids, texts), lists, contrasts)| TokenRecord {
            ids,
            texts,
            log_probs: lists.0,
            sampling_log_probs: lists.1,
            entropy: lists.2,
            dependency: measured.then_some(lists.3),
            contrasts: contrasts
                .into_iter()
                .map(|(name, log_probs, divergence)| ContrastRecord { name, log_probs, divergence })
                .collect(),
            advantage: lists.4,
            gate: lists.5,
        })
    })
}

fn rollout() -> impl Strategy<Value = Rollout> {
    let place = (0..5_usize, 0..3_usize, 0..4_usize, proptest::option::of(0..9_usize), proptest::option::of(text()));
    let words = (text(), text(), text(), any::<bool>());
    let earned = (-1e9_f32..1e9, 0.0_f32..1.0, btree_map(text(), -1.0_f32..1.0, 0..3));
    let compared = vec((text(), tokens()), 0..2);
    (place, words, earned, proptest::option::of(tokens()), compared).prop_map(
        |((step, group, response, problem_index, place), words, (reward, accuracy, parts), tokens, compared)| {
            // What is compared are the same tokens.
            let again = |mut other: TokenRecord| match &tokens {
                Some(own) if own.ids.len() != other.ids.len() => own.clone(),
                Some(own) => {
                    other.ids.clone_from(&own.ids);
                    other
                }
                None => other,
            };
            let compared =
                compared.into_iter().map(|(name, tokens)| Comparison { name, tokens: again(tokens) }).collect();
            let record = RolloutRecord {
                step,
                group,
                response,
                problem_index,
                place,
                problem: words.0,
                answer: words.1,
                text: words.2,
                finish: if words.3 { Finish::Stop } else { Finish::Length },
                reward,
                accuracy,
                parts,
                tokens,
            };
            Rollout { record, compared }
        },
    )
}

/// Any page.
pub(crate) fn page() -> impl Strategy<Value = Page> {
    let picture = (text(), vec(any::<u8>(), 0..9)).prop_map(|(name, bytes)| Picture {
        name,
        media_type: "image/png".to_owned(),
        bytes,
    });
    let group = (0..5_usize, 0..3_usize, vec(picture, 0..3));
    let group = group.prop_map(|(step, group, pictures)| GroupPictures { step, group, pictures });
    let line = (text(), text(), -1e3_f64..1e3).prop_map(|(name, other, value)| {
        [("step".to_owned(), 3.into()), (name, value.into()), (other, "x".into())].into_iter().collect()
    });
    (text(), text(), vec(line, 0..3), vec(rollout(), 0..4), vec(group, 0..3)).prop_map(
        |(title, configuration, metrics, rollouts, pictures)| Page {
            title,
            configuration,
            metrics,
            rollouts,
            pictures,
        },
    )
}
