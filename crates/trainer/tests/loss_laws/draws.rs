//! Random batches, losses and objectives.

use std::num::NonZeroUsize;

use advantage::{AtLeastOne, Fraction, NonNegative};
use proptest::prelude::*;
use trainer::{
    BuiltInLoss, Cispo, ClipRange, ClippedSurrogate, Gspo, ImplicitPerception, ImportanceCorrection, ImportanceLevel,
    KlEstimator, MaskedImportance, Objective, PolicyGradient, Reduction, ReferenceKl, TruncatedImportance,
};

use crate::table::{Batch, Table};

/// As the device sees it.
fn rounded(table: Table) -> Table {
    table.into_iter().map(|row| row.into_iter().map(|x| f64::from(x as f32)).collect()).collect()
}

pub(crate) fn batches() -> impl Strategy<Value = Batch> {
    let lengths =
        prop::collection::vec(0_usize..7, 1..5).prop_filter("some token", |lengths| lengths.iter().any(|&n| n > 0));
    lengths.prop_flat_map(|lengths| {
        let (rows, width) = (lengths.len(), lengths.iter().copied().max().unwrap_or(0) + 2);
        let table = move |values: std::ops::Range<f64>| {
            prop::collection::vec(prop::collection::vec(values, width), rows).prop_map(rounded)
        };
        // Some tokens do not speak at all.
        let gate =
            prop::collection::vec(prop::collection::vec(prop_oneof![Just(0.0), Just(1.0), 0.0..1.0], width), rows)
                .prop_map(rounded);
        let log_probs = [(); 4].map(|()| table(-4.0..0.0));
        // The engine's numbers are near those recomputed, but not equal.
        let others = (table(-0.4..0.4), table(0.0..5.0), table(0.0..2.0), table(-2.0..2.0), gate);
        (log_probs, others, prop::collection::vec(any::<bool>(), rows)).prop_map(
            move |([log_probs, old, reference, contrast], (gap, entropy, divergence, advantage, gate), visual)| {
                let add = |(a, b): (&Vec<f64>, &Vec<f64>)| a.iter().zip(b).map(|(a, b)| a + b).collect();
                let sampling = rounded(old.iter().zip(&gap).map(add).collect());
                Batch {
                    lengths: lengths.clone(),
                    width,
                    visual,
                    log_probs,
                    old,
                    sampling,
                    reference,
                    contrast,
                    entropy,
                    divergence,
                    advantage,
                    gate,
                }
            },
        )
    })
}

pub(crate) fn losses() -> impl Strategy<Value = BuiltInLoss> {
    let clip = || {
        let range = |(low, high)| ClipRange::new(low, high).expect("a valid range");
        prop_oneof![(0.0..0.9, 0.0..1.5), Just((3e-4, 4e-4)), Just((0.0, 0.0))].prop_map(range)
    };
    let low = prop_oneof![Just(1.0), 0.0..1.0].prop_map(|low| Fraction::new(low).expect("a share"));
    let high = (0.0..4.0).prop_map(|high| NonNegative::new(high).expect("not negative"));
    prop_oneof![
        (clip(), prop::option::of(1.1..4.0))
            .prop_map(|(clip, dual)| BuiltInLoss::ClippedSurrogate(ClippedSurrogate { clip, dual })),
        (clip(), any::<bool>()).prop_map(|(clip, token_level)| BuiltInLoss::Gspo(Gspo { clip, token_level })),
        (low, high).prop_map(|(low, high)| BuiltInLoss::Cispo(Cispo { low, high })),
        Just(BuiltInLoss::PolicyGradient(PolicyGradient {})),
    ]
}

pub(crate) fn reductions() -> impl Strategy<Value = Reduction> {
    prop_oneof![
        Just(Reduction::TokenMean),
        Just(Reduction::SequenceMean),
        Just(Reduction::NonEmptySequenceMean),
        Just(Reduction::SequenceSum),
        (0_usize..20).prop_map(|max_length| Reduction::DrGrpo { max_length: NonZeroUsize::new(max_length) }),
        Just(Reduction::Selected),
    ]
}

fn corrections() -> impl Strategy<Value = ImportanceCorrection> {
    let level =
        || prop::sample::select(vec![ImportanceLevel::Token, ImportanceLevel::Sequence, ImportanceLevel::SequenceMean]);
    let cap = || (1.0..1.6).prop_map(|cap| AtLeastOne::new(cap).expect("at least one"));
    let low = (0.6..1.0).prop_map(|low| Fraction::new(low).expect("a share"));
    prop_oneof![
        (cap(), level()).prop_map(|(cap, level)| ImportanceCorrection::Truncated(TruncatedImportance { cap, level })),
        (low, cap(), level(), any::<bool>()).prop_map(|(low, high, level, weighted)| {
            ImportanceCorrection::Masked(MaskedImportance { low, high, level, weighted })
        }),
    ]
}

pub(crate) fn objectives() -> impl Strategy<Value = Objective> {
    let estimators = vec![KlEstimator::K1, KlEstimator::K2, KlEstimator::K3, KlEstimator::Full];
    let kl = (prop::sample::select(estimators), 0.0..0.5)
        .prop_map(|(estimator, coefficient)| ReferenceKl { estimator, coefficient });
    let number = |range: std::ops::Range<f64>| range.prop_map(|x| NonNegative::new(x).expect("not negative"));
    let perception = (number(0.0..0.3), number(0.0..0.3))
        .prop_map(|(coefficient, masked_entropy)| ImplicitPerception { coefficient, masked_entropy });
    let coefficient = || prop_oneof![Just(0.0), -0.1..0.1];
    let terms = (prop::option::of(kl), prop::option::of(perception), prop::option::of(corrections()));
    (reductions(), coefficient(), coefficient(), terms).prop_map(
        |(reduction, entropy_penalty, entropy_bonus, (reference_kl, perception, importance))| Objective {
            reduction,
            entropy_penalty,
            entropy_bonus,
            reference_kl,
            perception,
            importance,
        },
    )
}
