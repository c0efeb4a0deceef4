use advantage::NonNegative;
use trainer::{ImplicitPerception, KlEstimator, Objective, ReferenceKl};

use super::{assert_close, cases, number};
use crate::table::part;

#[test]
fn papo_loss() {
    for case in cases("papo_loss", 8) {
        let factor = |key: &str| NonNegative::new(case.number(key)).expect("not negative");
        let coefficient = case.number("kl_coef");
        let reference_kl = (coefficient != 0.0).then_some(ReferenceKl { estimator: KlEstimator::K3, coefficient });
        let objective = Objective {
            entropy_penalty: case.number("eta1"),
            reference_kl,
            perception: Some(ImplicitPerception { coefficient: factor("gamma"), masked_entropy: factor("eta2") }),
            ..case.objective()
        };
        let found = case.batch().evaluate(&case.surrogate(), &objective);
        case.assert_loss(&found);
        for (place, key) in [(part::PERCEPTION, "kl_prcp"), (part::PROXY, "entropy"), (part::MASKED, "entropy_mask")] {
            assert_close(&format!("{}: {key}", case.id), found.parts[place], number(&case.output[key]));
        }
    }
}
