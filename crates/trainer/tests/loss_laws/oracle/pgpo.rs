use advantage::{PerceptionGate, Shaper};

use super::{assert_tables_close, cases, shaped, table};

/// From log-probabilities to loss: dependency on the image, weights of the advantages, surrogate.
#[test]
fn pgpo_loss() {
    for case in cases("pgpo_loss", 8) {
        assert_eq!((case.number("tau"), case.number("beta")), (0.4, 2.0), "the defaults");
        let batch = case.batch();
        let blind = case.table("blind_logp");
        let gate = [Shaper::PerceptionGate(PerceptionGate::default())];
        let (shaped, dependency) = shaped(&batch, &blind, &gate);
        assert_tables_close(&format!("{}: dependency", case.id), &dependency, &table(&case.output["dependency"]));
        let weighted = |advantage: &[Vec<f64>]| -> Vec<Vec<f64>> {
            let weights = table(&case.output["weights"]);
            let product = |(a, w): (&Vec<f64>, &Vec<f64>)| a.iter().zip(w).map(|(a, w)| a * w).collect();
            advantage.iter().zip(&weights).map(product).collect()
        };
        assert_tables_close(&format!("{}: advantages", case.id), &shaped.advantage, &weighted(&batch.advantage));
        case.assert_loss(&shaped.evaluate(&case.surrogate(), &case.objective()));
    }
}
