//! One seed for every random draw of a run, derived from the run's seed and the draw's place in it.
//!
//! Nothing random is carried from step to step, so a resumed run draws what the undisturbed run would have drawn.

/// Purposes a seed is derived for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    Rollout = 1,
    Contrast = 2,
    Validation = 3,
    Teacher = 4,
}

/// Mixes the run's seed with a purpose and a place (step, prompt, view …).
pub(crate) fn derive(seed: u64, purpose: Purpose, place: &[u64]) -> u64 {
    let start = mix(seed ^ mix(purpose as u64));
    place.iter().fold(start, |state, &part| mix(state ^ mix(part.wrapping_add(0x9e37_79b9_7f4a_7c15))))
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood 2014): a bijection whose output bits all depend on all input bits.
const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_purposes_have_seeds_of_their_own() {
        let mut seeds = std::collections::BTreeSet::new();
        for seed in 0..4 {
            for purpose in [Purpose::Rollout, Purpose::Contrast, Purpose::Validation] {
                for step in 0..10 {
                    for prompt in 0..10 {
                        assert!(seeds.insert(derive(seed, purpose, &[step, prompt])));
                    }
                }
            }
        }
    }
}
