use trainer::{Gspo, Objective};

use super::{assert_close, cases, list};
use crate::table::{Batch, filled};

#[test]
fn gspo_loss() {
    for case in cases("gspo_loss", 8) {
        let token_level = case.input["token_level"].as_bool().expect("a flag");
        let gspo = Gspo { clip: case.clip(), token_level };
        let batch = case.batch();
        case.assert_loss(&batch.evaluate(&gspo, &case.objective()));
        // The recorded advantages of a response are all one, so that both forms have the recorded gradient.
        case.assert_loss(&batch.evaluate(&Gspo { token_level: !token_level, ..gspo }, &case.objective()));
        // An advantage of −1 and no lower bound to speak of shows the ratio itself.
        let (rows, width) = (batch.lengths.len(), batch.width);
        let ratios = list(&case.output["seq_ratio"]);
        for (row, &length) in batch.lengths.iter().enumerate().filter(|(_, length)| **length > 0) {
            let mut alone =
                Batch { advantage: filled(rows, width, -1.0), gate: filled(rows, width, 0.0), ..batch.clone() };
            alone.gate[row].fill(1.0);
            let open = Gspo { clip: trainer::ClipRange::new(0.999, 0.0).expect("a valid range"), token_level };
            let tokens = batch.lengths.iter().sum::<usize>() as f64;
            let found = alone.evaluate(&open, &Objective::default()).total * tokens / length as f64;
            assert_close(&format!("{}: ratio of row {row}", case.id), found, ratios[row]);
        }
    }
}
