use advantage::{Fraction, NonNegative};
use trainer::Cispo;

use super::{assert_close, cases, table};

#[test]
fn cispo_loss() {
    for case in cases("cispo_loss", 8) {
        let cispo = Cispo {
            low: Fraction::new(case.number("clip_low")).expect("a share"),
            high: NonNegative::new(case.number("clip_high")).expect("not negative"),
        };
        let batch = case.batch();
        let found = batch.evaluate(&cispo, &case.objective());
        case.assert_loss(&found);
        // The gradient is −A times weight, ratio included.
        let (ratios, advantages) = (table(&case.output["ratio"]), &batch.advantage);
        let tokens = batch.lengths.iter().sum::<usize>() as f64;
        let gradient = batch.evaluate(&cispo, &trainer::Objective::default()).gradient;
        for (row, token) in batch.tokens() {
            let expected = -advantages[row][token] * ratios[row][token];
            assert_close(&format!("{}, row {row}, token {token}", case.id), gradient[row][token] * tokens, expected);
        }
    }
}
