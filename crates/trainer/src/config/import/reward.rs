//! The section `worker.reward`: which of the released reward functions is meant, and what ours pays for instead.

use std::path::Path;

use super::Fate;
use super::conversion::Conversion;
use crate::TrainError;

const KWARGS: &str = "worker.reward.reward_function_kwargs";

/// Converts the section and returns the weight of the form in the reward.
pub(super) fn convert(of: &mut Conversion) -> Result<f64, TrainError> {
    // Newer and older names.
    let mut function = of.optional_text("worker.reward.reward_function")?;
    if function.value.is_none() {
        let older = of.optional_text("worker.reward.score_function")?;
        if older.given {
            function = older;
        }
    }
    let weight = of.number("worker.reward.reward_function_kwargs.format_weight", 0.1)?;
    let text = function.value.clone().unwrap_or_default();
    let (path, name) = text.rsplit_once(':').unwrap_or((&text, ""));
    let stem = Path::new(path).file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let paid = match (stem.as_str(), name) {
        ("math", "compute_score" | "main" | "") => {
            of.put_in_others(
                &function,
                "reward.profile = \"mathruler\", reward.format_weight, by its name; the file was not read",
            );
            of.set("reward.profile", "mathruler");
            of.convert(&weight, "reward.format_weight", weight.value);
            weight.value
        }
        ("math", "compute_score_wo_format") => {
            of.put_in_others(&function, "reward.profile = \"mathruler\", by its name; the file was not read");
            of.set("reward.profile", "mathruler");
            of.imply(&weight, "this function does not pay for the form");
            0.0
        }
        _ => {
            let why = "Python is not run; the right answer is paid for as by default. Write the function as a program that \
                       reads and writes JSON lines: reward.parts, kind = \"subprocess\"";
            of.lose(&function, why);
            if weight.given {
                of.lose(&weight, "goes with the reward function");
            }
            0.0
        }
    };
    of.account_for_section(KWARGS, &Fate::Lost { why: "goes with the reward function".to_owned(), matters: true });
    of.account_for(
        &["worker.reward.reward_type", "worker.reward.num_cpus", "worker.reward.score_function"],
        &Fate::Implied { why: "a round's responses are judged together, side by side".to_owned() },
    );
    let special = of.flag("worker.reward.skip_special_tokens", true)?;
    if special.value {
        of.imply(&special, "a reward reads responses without special tokens");
    } else {
        of.lose(&special, "a reward reads responses without special tokens");
    }
    Ok(paid)
}
