//! What was meant by a key that is none.

use std::fmt;

use super::keys::Key;

/// Names less alike than this are not suggested, on a scale from 0 to 1.
const ALIKE: f64 = 0.6;

/// Keys this short are alike by accident.
const SHORT: usize = 3;

/// What a person may have meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Suggestion {
    /// Another key.
    Key(&'static str),
    /// The key of another program for one of ours.
    Counterpart { program: &'static str, key: &'static str },
    /// The key of another program for a place in a recipe.
    OfRecipe { program: &'static str, place: &'static str },
    /// Nothing that comes to mind.
    Nothing,
}

impl fmt::Display for Suggestion {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Key(key) => write!(formatter, "did you mean `{key}`?"),
            Self::Counterpart { program, key } => {
                write!(formatter, "that is a key of {program}; did you mean `{key}`?")
            }
            Self::OfRecipe { program, place } => write!(
                formatter,
                "that is a key of {program}; here it is `{place}` of a recipe, see `sightline recipe show NAME`"
            ),
            Self::Nothing => formatter.write_str("`sightline config explain` lists all keys"),
        }
    }
}

/// What was most likely meant by `name`, a dotted name that is no key.
pub(super) fn suggest(name: &str) -> Suggestion {
    let name = name.trim_start_matches(['+', '~', '-']);
    let whole = |theirs: &str| name.contains('.') && theirs == name;
    let short = |theirs: &str| last_word(theirs) == last_word(name);
    by_counterpart(whole)
        .or_else(|| by_last_word(name))
        .or_else(|| by_counterpart(short))
        .or_else(|| by_likeness(name))
        .unwrap_or(Suggestion::Nothing)
}

/// By the keys of other programs.
fn by_counterpart(is_meant: impl Fn(&str) -> bool) -> Option<Suggestion> {
    let ours = Key::all().iter().map(|key| (key.name.as_str(), key.elsewhere(), false));
    let of_recipes = Key::of_recipes().iter().map(|key| (key.name.as_str(), key.elsewhere(), true));
    ours.chain(of_recipes).find_map(|(key, programs, of_recipe)| {
        let (program, _) = programs.into_iter().find(|(_, keys)| keys.iter().any(|theirs| is_meant(theirs)))?;
        Some(match of_recipe {
            true => Suggestion::OfRecipe { program, place: key },
            false => Suggestion::Counterpart { program, key },
        })
    })
}

/// By a key that ends in the same word, in another section or none.
fn by_last_word(name: &str) -> Option<Suggestion> {
    let mut same = names().filter(|key| last_word(key) == last_word(name));
    let first = same.next()?;
    Some(Suggestion::Key(first))
}

/// By the key that is written most like it, as a whole or in its last word.
fn by_likeness(name: &str) -> Option<Suggestion> {
    let likeness = |key: &str| {
        let whole = strsim::normalized_damerau_levenshtein(name, key);
        let word = last_word(name);
        let last = if word.len() > SHORT { strsim::normalized_damerau_levenshtein(word, last_word(key)) } else { 0.0 };
        // The whole decides between words that are equally alike.
        (whole.max(last) >= ALIKE).then_some(whole + last)
    };
    let scored = names().filter_map(|key| Some((likeness(key)?, key)));
    scored.max_by(|(left, _), (right, _)| left.total_cmp(right)).map(|(_, key)| Suggestion::Key(key))
}

fn names() -> impl Iterator<Item = &'static str> {
    Key::all().iter().flat_map(Key::names)
}

fn last_word(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::{Suggestion, suggest};

    #[test]
    fn what_was_meant_is_found() {
        for (name, key) in [
            ("update.learning_rat", "update.learning_rate"),
            ("learning_rate", "update.learning_rate"),
            ("rollout.top_p", "rollout.sampling.top_p"),
            ("rollouts.responses", "rollout.responses"),
            ("schedule.step", "schedule.steps"),
            ("data.heldout", "data.held_out"),
            ("reward.parts.repetition.word", "reward.parts.repetition.words"),
        ] {
            assert_eq!(suggest(name), Suggestion::Key(key), "{name}");
        }
        for (name, program, key) in [
            ("worker.actor.optim.lr", "EasyR1", "update.learning_rate"),
            ("lr", "EasyR1", "update.learning_rate"),
            ("num_generations", "TRL", "rollout.responses"),
            ("+actor_rollout_ref.actor.grad_clip", "verl", "update.max_gradient_norm"),
            ("max_completion_length", "TRL", "rollout.sampling.max_new_tokens"),
        ] {
            assert_eq!(suggest(name), Suggestion::Counterpart { program, key }, "{name}");
        }
        let place = "objective.reference_kl";
        assert_eq!(suggest("algorithm.kl_coef"), Suggestion::OfRecipe { program: "EasyR1", place });
        assert_eq!(suggest("beta"), Suggestion::OfRecipe { program: "TRL", place });
        assert_eq!(suggest("colour.of.the.sky"), Suggestion::Nothing);
    }
}
