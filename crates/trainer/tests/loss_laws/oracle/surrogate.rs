use super::{assert_close, cases, number, table};
use crate::table::{Batch, filled, part};

#[test]
fn aggregate() {
    for case in cases("aggregate", 10) {
        // The likelihood term averages −log-probability.
        let x = case.table("x").into_iter().map(|row| row.into_iter().map(|x| -x).collect()).collect();
        let lengths = case.lengths();
        let batch = Batch::of(lengths, case.table("mask")[0].len(), x);
        let objective = trainer::Objective { entropy_penalty: 1.0, ..case.objective() };
        let found = batch.evaluate(&trainer::PolicyGradient {}, &objective);
        assert_close(&case.id, found.total, number(&case.output));
        // So does the policy term of a policy that praises every token alike.
        let (rows, width) = (batch.lengths.len(), batch.width);
        let batch = Batch { advantage: filled(rows, width, 1.0), gate: filled(rows, width, 1.0), ..batch };
        let found = batch.evaluate(&trainer::PolicyGradient {}, &case.objective());
        assert_close(&case.id, found.total, number(&case.output));
    }
}

#[test]
fn ppo_loss() {
    for case in cases("ppo_loss", 12) {
        let batch = case.batch();
        let found = batch.evaluate(&case.surrogate(), &case.objective());
        case.assert_loss(&found);
        assert_close(&case.id, found.parts[part::SURROGATE], number(&case.output["loss"]));
        for (place, key) in
            [(part::CLIPPED_HIGH, "clip_frac_high"), (part::CLIPPED_LOW, "clip_frac_low"), (part::DRIFT, "approx_kl")]
        {
            assert_close(&format!("{}: {key}", case.id), found.parts[place], number(&case.output[key]));
        }
        // A token's loss shows where it alone speaks, each of its own row.
        let expected = table(&case.output["token_loss"]);
        for (row, token) in batch.tokens() {
            let mut alone = Batch { gate: filled(batch.lengths.len(), batch.width, 0.0), ..batch.clone() };
            alone.gate[row][token] = batch.gate[row][token];
            let found = alone.evaluate(&case.surrogate(), &trainer::Objective::default()).total;
            let tokens = batch.lengths.iter().sum::<usize>() as f64;
            assert_close(&format!("{}, row {row}, token {token}", case.id), found * tokens, expected[row][token]);
        }
    }
}
