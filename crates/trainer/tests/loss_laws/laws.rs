//! Laws over random batches, losses and objectives.

use advantage::NonNegative;
use proptest::prelude::*;
use trainer::{BuiltInLoss, ClipRange, Gspo, ImplicitPerception, ImportanceCorrection, Objective, Reduction};

use crate::draws::{batches, losses, objectives, reductions};
use crate::host;
use crate::table::part;

proptest! {

    /// Total and parts are those of the f64 loops, and the gradient is their finite difference, what the loss takes for a
    /// constant held constant.
    #[test]
    fn agrees_with_the_host(batch in batches(), loss in losses(), objective in objectives()) {
        let jumps = |correction: &ImportanceCorrection| {
            batch.tokens().any(|(row, token)| host::distance_to_jump(correction, &batch, row, token) < 1e-5)
        };
        prop_assume!(!objective.importance.as_ref().is_some_and(jumps));
        let ours = batch.evaluate(&loss, &objective);
        let theirs = host::evaluate(&loss, &objective, &batch, &batch.log_probs);
        let tolerance = 1e-5 * (1.0 + theirs.magnitude);
        prop_assert!((ours.total - theirs.total).abs() <= tolerance, "{} but {}", ours.total, theirs.total);
        let near = |(row, token)| host::distance_to_kink(&loss, &batch, row, token) < 1e-4;
        let kinked = batch.tokens().any(near);
        prop_assert_eq!(ours.parts.len(), theirs.parts.len());
        for (index, (ours, theirs)) in ours.parts.iter().zip(&theirs.parts).enumerate() {
            // The clip shares jump at a kink.
            prop_assert!(kinked || (ours - theirs).abs() <= tolerance, "part {index}: {ours} but {theirs}");
        }
        let step = 1e-5;
        for (row, token) in batch.tokens().filter(|&place| !near(place)) {
            let moved = |by: f64| {
                let mut moved = batch.clone();
                moved.log_probs[row][token] += by;
                host::evaluate(&loss, &objective, &moved, &batch.log_probs).total
            };
            let slope = (moved(step) - moved(-step)) / (2.0 * step);
            let found = ours.gradient[row][token];
            let tolerance = 2e-5 + 1e-4 * slope.abs() + 2e-6 * theirs.magnitude;
            prop_assert!((found - slope).abs() <= tolerance, "row {row}, token {token}: {found} but {slope}");
        }
    }

    /// Entropies and divergences from the reference enter linearly, at their coefficient and the reduction's weight.
    #[test]
    fn whole_distributions_enter_linearly(batch in batches(), loss in losses(), objective in objectives()) {
        let ours = batch.evaluate(&loss, &objective);
        for (row, token) in batch.tokens() {
            let slope = |table: fn(&mut crate::table::Batch) -> &mut crate::table::Table| {
                let mut moved = batch.clone();
                table(&mut moved)[row][token] += 1.0;
                let of = |batch| host::evaluate(&loss, &objective, batch, &batch.log_probs).total;
                of(&moved) - of(&batch)
            };
            let expected = [slope(|batch| &mut batch.entropy), slope(|batch| &mut batch.divergence)];
            let found = [ours.entropy_gradient[row][token], ours.divergence_gradient[row][token]];
            for (found, expected) in found.into_iter().zip(expected) {
                prop_assert!((found - expected).abs() <= 1e-6 * (1.0 + expected.abs()), "{found} but {expected}");
            }
        }
    }

    /// What stands in the padding, NaN and infinity included, changes no bit of value, parts and gradients, and gets none.
    #[test]
    fn padding_is_never_read(batch in batches(), loss in losses(), objective in objectives(), pick in 0_usize..5) {
        let junk = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e30, -7.0];
        let mut at = pick;
        let dirty = batch.padded_with(|| {
            at += 1;
            junk[at % junk.len()]
        });
        let (clean, dirty) = (batch.padded_with(|| 0.0).evaluate(&loss, &objective), dirty.evaluate(&loss, &objective));
        prop_assert_eq!(clean.total, dirty.total);
        prop_assert_eq!(clean.parts, dirty.parts);
        prop_assert_eq!(&clean.gradient, &dirty.gradient);
        prop_assert_eq!(&clean.entropy_gradient, &dirty.entropy_gradient);
        prop_assert_eq!(&clean.divergence_gradient, &dirty.divergence_gradient);
        for gradient in [dirty.gradient, dirty.entropy_gradient, dirty.divergence_gradient] {
            for (row, &length) in batch.lengths.iter().enumerate() {
                prop_assert!(gradient[row][length..].iter().all(|&slope| slope == 0.0));
            }
        }
    }

    /// Evaluated in two halves the batch has the same total, parts and gradient as in one.
    #[test]
    fn micro_batches_add_up(batch in batches(), loss in losses(), objective in objectives(), cut in 0_usize..6) {
        let rows = batch.lengths.len();
        let cut = cut.min(rows);
        let whole = batch.evaluate(&loss, &objective);
        let halves: Vec<_> = [0..cut, cut..rows]
            .into_iter()
            .filter(|range| !range.is_empty())
            .map(|range| batch.evaluate_rows(&loss, &objective, range).expect("everything is known"))
            .collect();
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-5 * (1.0 + a.abs());
        let scale = 1.0 + host::evaluate(&loss, &objective, &batch, &batch.log_probs).magnitude;
        let total: f64 = halves.iter().map(|half| half.total).sum();
        prop_assert!((total - whole.total).abs() <= 1e-5 * scale, "{total} but {}", whole.total);
        for (index, &part) in whole.parts.iter().enumerate() {
            let sum: f64 = halves.iter().map(|half| half.parts[index]).sum();
            prop_assert!((sum - part).abs() <= 1e-5 * scale, "part {index}: {sum} but {part}");
        }
        let gradient: Vec<Vec<f64>> = halves.into_iter().flat_map(|half| half.gradient).collect();
        for (halves, whole) in gradient.iter().flatten().zip(whole.gradient.iter().flatten()) {
            prop_assert!(close(*halves, *whole), "{halves} but {whole}");
        }
    }

    /// The order of the responses means nothing.
    #[test]
    fn rows_may_be_permuted(batch in batches(), loss in losses(), objective in objectives()) {
        let (ours, mut theirs) = (batch.evaluate(&loss, &objective), batch.reversed().evaluate(&loss, &objective));
        theirs.gradient.reverse();
        let scale = 1.0 + host::evaluate(&loss, &objective, &batch, &batch.log_probs).magnitude;
        prop_assert!((ours.total - theirs.total).abs() <= 1e-5 * scale);
        for (ours, theirs) in ours.gradient.iter().flatten().zip(theirs.gradient.iter().flatten()) {
            prop_assert!((ours - theirs).abs() <= 1e-5 * (1.0 + ours.abs()), "{ours} but {theirs}");
        }
    }

    /// A closed gate takes a token out of the policy gradient, and of nothing else.
    #[test]
    fn closed_gates_leave_the_other_terms(mut batch in batches(), loss in losses(), objective in objectives()) {
        batch.gate.iter_mut().flatten().for_each(|gate| *gate = 0.0);
        let closed = batch.evaluate(&loss, &objective);
        batch.advantage.iter_mut().flatten().for_each(|advantage| *advantage = 0.0);
        batch.gate.iter_mut().flatten().for_each(|gate| *gate = 1.0);
        let silent = batch.evaluate(&loss, &objective);
        prop_assert_eq!(closed.total, silent.total);
        prop_assert_eq!(closed.gradient, silent.gradient);
        prop_assert_eq!(closed.parts[part::SURROGATE], 0.0);
    }

    /// Dividing by the gates makes the policy term that of the tokens that speak, alone.
    #[test]
    fn selected_tokens_are_averaged_alone(mut batch in batches(), loss in losses(), keep in any::<u8>()) {
        for (row, token) in batch.tokens().collect::<Vec<_>>() {
            batch.gate[row][token] = f64::from(keep >> ((row + 3 * token) % 8) & 1);
        }
        let selected = batch.evaluate(&loss, &Objective { reduction: Reduction::Selected, ..Objective::default() });
        let all = batch.evaluate(&loss, &Objective::default());
        let speaking: f64 = batch.tokens().map(|(row, token)| batch.gate[row][token]).sum();
        let tokens = batch.lengths.iter().sum::<usize>() as f64;
        let expected = if speaking == 0.0 { 0.0 } else { all.total * tokens / speaking };
        prop_assert!((selected.total - expected).abs() <= 1e-5 * (1.0 + expected.abs() + tokens), "{} but {expected}", selected.total);
    }

    /// An engine that agrees with the recomputed policy needs no correction.
    #[test]
    fn agreement_needs_no_correction(mut batch in batches(), loss in losses(), objective in objectives()) {
        batch.sampling = batch.old.clone();
        let corrected = batch.evaluate(&loss, &objective);
        let plain = batch.evaluate(&loss, &Objective { importance: None, ..objective });
        prop_assert_eq!(corrected.total, plain.total);
        prop_assert_eq!(corrected.gradient, plain.gradient);
        prop_assert_eq!(&corrected.parts, &plain.parts);
        prop_assert!((plain.parts[part::WEIGHT] - 1.0).abs() < 1e-6 && plain.parts[part::LIMITED] == 0.0);
    }

    /// With one advantage and one gate for a response, GSPO-token is GSPO; both reduce by equal weights within a response.
    #[test]
    fn gspo_token_generalizes_gspo(mut batch in batches(), reduction in reductions(), low in 0.0..0.9, high in 0.0..1.5) {
        for row in 0..batch.lengths.len() {
            let (advantage, gate) = (batch.advantage[row][0], batch.gate[row][0]);
            batch.advantage[row].fill(advantage);
            batch.gate[row].fill(gate);
        }
        let clip = ClipRange::new(low, high).expect("a valid range");
        let objective = Objective { reduction, ..Objective::default() };
        let of = |token_level| batch.evaluate(&BuiltInLoss::Gspo(Gspo { clip, token_level }), &objective);
        let (sequence, token) = (of(false), of(true));
        let scale = 1.0 + sequence.total.abs();
        prop_assert!((sequence.total - token.total).abs() <= 1e-5 * scale);
        for (sequence, token) in sequence.gradient.iter().flatten().zip(token.gradient.iter().flatten()) {
            prop_assert!((sequence - token).abs() <= 1e-5 * (1.0 + token.abs()), "{sequence} but {token}");
        }
    }

    /// A response without an image is not drawn away from anything.
    #[test]
    fn imageless_responses_have_nothing_to_perceive(mut batch in batches(), loss in losses()) {
        batch.visual.fill(false);
        let number = const { NonNegative::literal(0.5) };
        let perception = Some(ImplicitPerception { coefficient: number, masked_entropy: const { NonNegative::literal(0.0) } });
        let ours = batch.evaluate(&loss, &Objective { perception, ..Objective::default() });
        let plain = batch.evaluate(&loss, &Objective::default());
        prop_assert_eq!((ours.total, ours.parts[part::PERCEPTION]), (plain.total, 0.0));
        prop_assert_eq!(ours.gradient, plain.gradient);
    }
}
