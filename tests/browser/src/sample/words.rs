//! What a policy says of a scene, in tokens.

use std::hash::{DefaultHasher, Hash, Hasher};

use rand::{Rng, RngExt};

use super::picture::Scene;

/// A token, and whether it says what is seen.
#[derive(Clone, Debug)]
pub(super) struct Word {
    pub(super) id: u32,
    pub(super) text: String,
    pub(super) sees: bool,
}

/// Words that can only be known from the picture are marked by `*`, a cut between tokens by `|`.
const REMARKS: [&str; 6] = [
    "Going row by row, the top part has a* {color}* {shape}* near the* {side}* edge.",
    "The* {color}* {shape}* is clearly* {size}*er than the one below* it, so they do not overlap.",
    "I should not count the* {other}* one twice; it touches the* {side}* border.",
    "There is also a* {size}* {other}* shape, which the question does not ask about.",
    "So far that makes* {number}* of them, and nothing is hidden behind the* {other}* {shape}*.",
    "Let me check the* {side}* corner again: it holds one* {color}* {shape}*.",
];

/// A response of about `tokens` tokens, and its answer.
pub(super) fn respond(scene: &Scene, right: bool, tokens: usize, rng: &mut impl Rng) -> (Vec<Word>, String) {
    let answer = if right { scene.answer.clone() } else { scene.wrong(rng) };
    let mut words = Vec::new();
    say(&mut words, "<think>|\n|I need to count the {color} shapes in the picture.\n", scene, rng);
    while words.len() + 30 < tokens {
        say(&mut words, REMARKS[rng.random_range(0..REMARKS.len())], scene, rng);
        say(&mut words, if rng.random::<f32>() < 0.3 { "\n" } else { " " }, scene, rng);
    }
    let close = format!("In all I see* {answer}*.\n|</think>|\n\n|The answer is|\\boxed|{{|{answer}*|}}|.|<|im_end|>");
    say(&mut words, &close.replace("<|im_end|>", "<im_end>"), scene, rng);
    (words, answer)
}

fn say(words: &mut Vec<Word>, text: &str, scene: &Scene, rng: &mut impl Rng) {
    let mut one = |options: &[&str]| options[rng.random_range(0..options.len())].to_owned();
    let filled = text
        .replace("{color}", &scene.color)
        .replace("{shape}", &one(&["circle", "square", "triangle"]))
        .replace("{other}", &one(&["green", "yellow", "purple", "grey"]))
        .replace("{size}", &one(&["small", "large", "tall"]))
        .replace("{side}", &one(&["left", "right", "upper", "lower"]))
        .replace("{number}", &one(&["two", "three", "four"]));
    for piece in filled.split('|') {
        let mut rest = piece;
        while !rest.is_empty() {
            let end =
                rest.char_indices().skip(1).find(|(_, c)| " .,:;\n*".contains(*c)).map_or(rest.len(), |(at, _)| at);
            let (word, after) = rest.split_at(end);
            let (sees, after) = after.strip_prefix('*').map_or((false, after), |after| (true, after));
            let text = word.replace("im_end", "|im_end|");
            let mut hasher = DefaultHasher::new();
            text.hash(&mut hasher);
            words.push(Word { id: (hasher.finish() % 150_000) as u32, text, sees });
            rest = after;
        }
    }
}
