//! Laws of the sampler: fair, endless, and indifferent to interruption.

use dataset::Sampler;
use proptest::prelude::*;

/// The problems of whole epochs, one list per epoch.
fn epochs(seed: u64, problems: usize, count: usize) -> Vec<Vec<usize>> {
    let mut sampler = Sampler::new(seed, problems).expect("problems");
    (0..count).map(|_| sampler.next_batch(problems)).collect()
}

proptest! {
    #[test]
    fn every_epoch_is_a_permutation(seed in any::<u64>(), problems in 1_usize..200) {
        for mut epoch in epochs(seed, problems, 4) {
            epoch.sort_unstable();
            prop_assert_eq!(epoch, (0..problems).collect::<Vec<_>>());
        }
    }

    /// Two of 20! orders are the same once in 10^18 times.
    #[test]
    fn epochs_and_seeds_differ(seed in any::<u64>(), problems in 20_usize..200) {
        let epochs_of_seed = epochs(seed, problems, 3);
        prop_assert_ne!(&epochs_of_seed[0], &epochs_of_seed[1]);
        prop_assert_ne!(&epochs_of_seed[1], &epochs_of_seed[2]);
        prop_assert_ne!(&epochs_of_seed[0], &epochs(seed.wrapping_add(1), problems, 1)[0]);
    }

    /// However the stream is cut into batches, it is the same stream, also across the ends of epochs.
    #[test]
    fn batches_cut_one_stream(seed in any::<u64>(), problems in 1_usize..50, cuts in prop::collection::vec(0_usize..120, 1..8)) {
        let total: usize = cuts.iter().sum();
        let mut sampler = Sampler::new(seed, problems).expect("problems");
        let stream: Vec<usize> = cuts.iter().flat_map(|&cut| sampler.next_batch(cut)).collect();
        let whole = epochs(seed, problems, total / problems + 1).concat();
        prop_assert_eq!(stream, &whole[..total]);
        prop_assert_eq!((sampler.epoch(), sampler.position()), ((total / problems) as u64, total % problems));
    }

    #[test]
    fn a_restored_sampler_goes_on(seed in any::<u64>(), problems in 1_usize..50, taken in 0_usize..200, next in 0_usize..200) {
        let mut sampler = Sampler::new(seed, problems).expect("problems");
        sampler.next_batch(taken);
        let saved = serde_json::to_string(&sampler).expect("four numbers");
        let mut restored: Sampler = serde_json::from_str(&saved).expect("a sampler");
        prop_assert_eq!(&restored, &sampler);
        prop_assert_eq!(restored.next_batch(next), sampler.next_batch(next));
    }
}

/// Recorded once: a run must be resumable by a later version of this crate.
#[test]
fn the_order_of_a_seed_is_fixed() {
    assert_eq!(epochs(7, 8, 2), [[0, 7, 5, 2, 4, 1, 6, 3], [0, 5, 7, 1, 4, 6, 3, 2]]);
}

#[test]
fn the_state_is_four_numbers() {
    let mut sampler = Sampler::new(7, 10).expect("problems");
    sampler.next_batch(23);
    let state = serde_json::to_string(&sampler).expect("four numbers");
    assert_eq!(state, r#"{"seed":7,"len":10,"epoch":2,"position":3}"#);
}

#[test]
fn impossible_states_are_refused() {
    assert!(Sampler::new(7, 0).is_err());
    for state in [
        r#"{"seed":7,"len":0,"epoch":0,"position":0}"#,
        r#"{"seed":7,"len":10,"epoch":0,"position":10}"#,
        r#"{"seed":7,"len":10,"epoch":0,"position":0,"extra":1}"#,
    ] {
        assert!(serde_json::from_str::<Sampler>(state).is_err(), "{state}");
    }
    let error = serde_json::from_str::<Sampler>(r#"{"seed":7,"len":10,"epoch":0,"position":10}"#);
    let message = error.expect_err("out of range").to_string();
    assert!(message.contains("position 10 of 10 problems"), "{message}");
}
