use std::num::NonZeroUsize;

use advantage::{Ceiling, Shaper};
use trainer::{Objective, vppo};

use super::{assert_close, assert_tables_close, cases, list, shaped, table};

/// From log-probabilities to loss: dependency on the image, trajectory shaping, token filter, surrogate and entropy penalty,
/// with the built-in recipe's shapers.
#[test]
fn vppo_loss() {
    for case in cases("vppo_loss", 8) {
        assert_eq!((case.number("k"), case.number("beta_min")), (0.4, 0.9), "the recipe's");
        let used = |key: &str| case.input[key].as_bool().expect("a flag");
        let sizes = (!case.input["micro_sizes"].is_null()).then(|| list(&case.input["micro_sizes"]));
        let (per, reversed) = chunk(sizes.as_deref());
        let shapers: Vec<Shaper> = vppo()
            .shapers
            .into_iter()
            .filter_map(|shaper| match shaper {
                Shaper::TrajectoryShaping(mut shaping) => {
                    shaping.ceiling = per.map_or(Ceiling::MeanOne, Ceiling::MeanOnePer);
                    used("use_tas").then_some(Shaper::TrajectoryShaping(shaping))
                }
                other => used("use_tgf").then_some(other),
            })
            .collect();
        assert_eq!(shapers.len(), usize::from(used("use_tas")) + usize::from(used("use_tgf")));

        let turned = |mut table: Vec<Vec<f64>>| {
            if reversed {
                table.reverse();
            }
            table
        };
        let (batch, contrast) = (case.batch(), turned(case.table("corrupt_logp")));
        let batch = if reversed { batch.reversed() } else { batch };
        let (shaped, dependency) = shaped(&batch, &contrast, &shapers);
        let expected = |key: &str| turned(table(&case.output[key]));
        assert_tables_close(&format!("{}: dependency", case.id), &dependency, &expected("dependency"));
        let mut factors = list(&case.output["alpha"]);
        if reversed {
            factors.reverse();
        }
        for (row, token) in batch.tokens() {
            let what = format!("{}, row {row}, token {token}", case.id);
            assert_close(&what, shaped.advantage[row][token], factors[row] * batch.advantage[row][token]);
            assert_eq!(shaped.gate[row][token], expected("select")[row][token], "{what} speaks");
        }

        let objective = Objective { entropy_penalty: case.number("entropy_coef"), ..case.objective() };
        let found = shaped.evaluate(&case.surrogate(), &objective);
        assert_close(&case.id, found.total, super::number(&case.output["loss"]));
        assert_tables_close(&case.id, &found.gradient, &expected("dlogp"));
    }
}

/// The rows that share a mean, and whether the batch must be turned around so that all shares but the last are full.
fn chunk(sizes: Option<&[f64]>) -> (Option<NonZeroUsize>, bool) {
    let Some(sizes) = sizes else { return (None, false) };
    let largest = sizes.iter().copied().fold(0.0, f64::max);
    let full = |sizes: &[f64]| sizes.iter().all(|&size| size == largest);
    let reversed = !full(&sizes[..sizes.len() - 1]);
    assert!(!reversed || full(&sizes[1..]), "{sizes:?} cannot be cut into equal shares");
    (NonZeroUsize::new(largest as usize), reversed)
}
