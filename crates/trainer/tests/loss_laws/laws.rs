use proptest::prelude::*;
use trainer::{ClipRange, ClippedSurrogate, KlEstimator, Objective, Reduction, ReferenceKl};

use crate::host::{self, Clip};
use crate::table::Batch;

fn batches() -> impl Strategy<Value = Batch> {
    let lengths =
        prop::collection::vec(0_usize..7, 1..5).prop_filter("some token", |lengths| lengths.iter().any(|&n| n > 0));
    lengths.prop_flat_map(|lengths| {
        let width = lengths.iter().copied().max().unwrap_or(0) + 2;
        let table = move |values: std::ops::Range<f64>, rows: usize| {
            prop::collection::vec(prop::collection::vec(values, width), rows)
        };
        let rows = lengths.len();
        // Some tokens do not speak at all.
        let gate =
            prop::collection::vec(prop::collection::vec(prop_oneof![Just(0.0), Just(1.0), 0.0..1.0], width), rows);
        (table(-4.0..0.0, rows), table(-4.0..0.0, rows), table(-4.0..0.0, rows), table(-2.0..2.0, rows), gate).prop_map(
            move |(log_probs, old, reference, advantage, gate)| {
                // As the device sees them.
                let rounded = |table: Vec<Vec<f64>>| -> Vec<Vec<f64>> {
                    table.iter().map(|row| row.iter().map(|&x| f64::from(x as f32)).collect()).collect()
                };
                Batch {
                    lengths: lengths.clone(),
                    width,
                    log_probs: rounded(log_probs),
                    old: rounded(old),
                    reference: rounded(reference),
                    advantage: rounded(advantage),
                    gate: rounded(gate),
                }
            },
        )
    })
}

fn objectives() -> impl Strategy<Value = (ClippedSurrogate, Objective, Clip)> {
    let clip = (0.0..0.9, 0.0..1.5).prop_map(|(low, high)| Clip { low, high });
    let reduction = prop_oneof![Just(Reduction::TokenMean), Just(Reduction::SequenceMean)];
    let estimator = prop_oneof![Just(KlEstimator::K1), Just(KlEstimator::K2), Just(KlEstimator::K3)];
    let kl = prop::option::of(
        (estimator, 0.0..0.5).prop_map(|(estimator, coefficient)| ReferenceKl { estimator, coefficient }),
    );
    let dual = prop::option::of(1.1..4.0);
    (clip, reduction, kl, dual, prop_oneof![Just(0.0), -0.1..0.1]).prop_map(
        |(clip, reduction, reference_kl, dual, entropy_penalty)| {
            let range = ClipRange::new(clip.low, clip.high).expect("a valid range");
            let surrogate = ClippedSurrogate { clip: range, dual };
            (surrogate, Objective { reduction, entropy_penalty, reference_kl }, clip)
        },
    )
}

proptest! {

    /// Total and parts are those of the f64 loops, and the gradient is their finite difference.
    #[test]
    fn agrees_with_the_host(batch in batches(), (surrogate, objective, clip) in objectives()) {
        let ours = batch.evaluate(&surrogate, &objective);
        let theirs = host::evaluate(surrogate, &objective, clip, &batch);
        let tolerance = 1e-5 * (1.0 + theirs.magnitude);
        prop_assert!((ours.total - theirs.total).abs() <= tolerance, "{} but {}", ours.total, theirs.total);
        let near = |(row, token)| host::distance_to_kink(surrogate, clip, &batch, row, token) < 1e-4;
        let kinked = batch.tokens().any(near);
        for (index, (ours, theirs)) in ours.parts.iter().zip(&theirs.parts).enumerate() {
            // The clip shares jump at a kink.
            prop_assert!(kinked || (ours - theirs).abs() <= tolerance, "part {index}: {ours} but {theirs}");
        }
        let step = 1e-5;
        for (row, token) in batch.tokens().filter(|&place| !near(place)) {
            let moved = |by: f64| {
                let mut batch = batch.clone();
                batch.log_probs[row][token] += by;
                host::evaluate(surrogate, &objective, clip, &batch).total
            };
            let slope = (moved(step) - moved(-step)) / (2.0 * step);
            let found = ours.gradient[row][token];
            prop_assert!((found - slope).abs() <= 2e-5 + 1e-4 * slope.abs(), "row {row}, token {token}: {found} but {slope}");
        }
    }

    /// What stands in the padding, NaN and infinity included, changes no bit of value, parts and gradient, and gets none.
    #[test]
    fn padding_is_never_read(batch in batches(), (surrogate, objective, _) in objectives(), pick in 0_usize..5) {
        let junk = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e30, -7.0];
        let mut at = pick;
        let dirty = batch.padded_with(|| {
            at += 1;
            junk[at % junk.len()]
        });
        let (clean, dirty) = (batch.padded_with(|| 0.0).evaluate(&surrogate, &objective), dirty.evaluate(&surrogate, &objective));
        prop_assert_eq!(clean.total, dirty.total);
        prop_assert_eq!(clean.parts, dirty.parts);
        prop_assert_eq!(&clean.gradient, &dirty.gradient);
        for (row, &length) in batch.lengths.iter().enumerate() {
            prop_assert!(dirty.gradient[row][length..].iter().all(|&slope| slope == 0.0));
        }
    }

    /// Evaluated in two halves the batch has the same total, parts and gradient as in one.
    #[test]
    fn micro_batches_add_up(batch in batches(), (surrogate, objective, _) in objectives(), cut in 0_usize..6) {
        let rows = batch.lengths.len();
        let cut = cut.min(rows);
        let whole = batch.evaluate(&surrogate, &objective);
        let halves: Vec<_> =
            [0..cut, cut..rows].into_iter().filter(|range| !range.is_empty()).map(|range| batch.evaluate_rows(&surrogate, &objective, range)).collect();
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-5 * (1.0 + a.abs());
        prop_assert!(close(halves.iter().map(|half| half.total).sum(), whole.total));
        for (index, &part) in whole.parts.iter().enumerate() {
            prop_assert!(close(halves.iter().map(|half| half.parts[index]).sum(), part), "part {index}");
        }
        let gradient: Vec<Vec<f64>> = halves.into_iter().flat_map(|half| half.gradient).collect();
        for (halves, whole) in gradient.iter().flatten().zip(whole.gradient.iter().flatten()) {
            prop_assert!(close(*halves, *whole), "{halves} but {whole}");
        }
    }

    /// A closed gate takes a token out of the policy gradient, and of nothing else.
    #[test]
    fn closed_gates_leave_the_other_terms(mut batch in batches(), (surrogate, objective, _) in objectives()) {
        batch.gate.iter_mut().flatten().for_each(|gate| *gate = 0.0);
        let closed = batch.evaluate(&surrogate, &objective);
        batch.advantage.iter_mut().flatten().for_each(|advantage| *advantage = 0.0);
        batch.gate.iter_mut().flatten().for_each(|gate| *gate = 1.0);
        let silent = batch.evaluate(&surrogate, &objective);
        prop_assert_eq!(closed.total, silent.total);
        prop_assert_eq!(closed.gradient, silent.gradient);
        prop_assert_eq!(closed.parts[0], 0.0);
    }
}

#[test]
fn clip_ranges_are_checked() {
    for (low, high) in [(-0.1, 0.2), (1.0, 0.2), (0.2, -0.1), (f64::NAN, 0.2), (0.2, f64::NAN), (0.2, f64::INFINITY)] {
        let error = ClipRange::new(low, high).expect_err("outside its bounds").to_string();
        assert!(error.contains(&format!("low {low}, high {high}")), "{error}");
    }
    assert!(ClipRange::new(0.0, 0.0).is_ok());
}
