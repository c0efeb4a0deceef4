use trainer::{KlEstimator, Objective, PolicyGradient, ReferenceKl};

use super::{assert_close, cases, number};
use crate::table::part;

#[test]
fn sampled_entropy() {
    for case in cases("sampled_entropy", 8) {
        let objective = Objective { entropy_penalty: 1.0, ..case.objective() };
        let found = case.batch().evaluate(&PolicyGradient {}, &objective);
        case.assert_loss(&found);
        assert_close(&case.id, found.parts[part::PROXY], number(&case.output["value"]));
    }
}

#[test]
fn kl_loss() {
    for case in cases("kl_loss", 8) {
        let estimator = match case.input["kind"].as_str() {
            Some("k1") => KlEstimator::K1,
            Some("k2") => KlEstimator::K2,
            Some("k3") => KlEstimator::K3,
            other => panic!("unknown kind {other:?}"),
        };
        let reference_kl = Some(ReferenceKl { estimator, coefficient: 1.0 });
        let found = case.batch().evaluate(&PolicyGradient {}, &Objective { reference_kl, ..case.objective() });
        case.assert_loss(&found);
        assert_close(&case.id, found.parts[part::REFERENCE], number(&case.output["value"]));
    }
}
