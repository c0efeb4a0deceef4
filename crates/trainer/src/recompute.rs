//! Whether a pass keeps its activations or computes the layers again.

use std::cell::Cell;

use burn::tensor::DType;
use serde::{Deserialize, Serialize};
use sysinfo::{MemoryRefreshKind, RefreshKind, System};
use vlm_model::{ModelConfig, QwenVl};

use crate::activations::{Activations, Computed, PassSizes};
use crate::collect::Group;
use crate::config::UpdateConfig;
use crate::device;
use crate::micro_batch::Piece;

/// Bytes of a gibibyte.
pub(crate) const GIBI: f64 = 1_073_741_824.0;

/// Share of the free memory that activations may take; gradients, logits and copies in flight need the rest.
const SHARE: f64 = 0.5;

/// When a pass of the update computes the layers again in its backward pass, instead of keeping what they computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recompute {
    /// Where what they computed would not fit.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Decides for the passes of an update.
#[derive(Debug)]
pub(crate) struct Recomputation {
    mode: Recompute,
    /// What activations may take, in GiB; 0 asks the machine.
    activation_gib: f64,
    /// The last decision.
    said: Cell<Option<bool>>,
}

impl Recomputation {
    pub(crate) const fn of(config: &UpdateConfig) -> Self {
        Self { mode: config.recompute, activation_gib: config.activation_gib, said: Cell::new(None) }
    }

    /// Whether the layers are computed again for these passes, decided by the largest of them. A decision that differs from
    /// the last one is logged.
    pub(crate) fn decide(&self, policy: &QwenVl, groups: &[Group], passes: &[Vec<Piece>], vision: bool) -> bool {
        let sizes: Vec<PassSizes> = passes.iter().map(|pieces| PassSizes::of(groups, pieces, vision)).collect();
        let on_host = device::cpu().is_some_and(|cpu| cpu == policy.device().inner());
        let fused = on_host && policy.output_weight().dtype() == DType::F32;
        let needed = largest(&policy.config, &sizes, fused);
        let budget = self.budget(on_host.then(free_memory));
        let recompute = self.mode.decide(needed, budget);
        if self.said.replace(Some(recompute)) != Some(recompute) {
            let choice = if recompute { "computed again in the backward pass" } else { "kept for the backward pass" };
            tracing::info!(
                "what layers compute is {choice} (update.recompute): it takes about {:.2} GiB of {:.2} GiB allowed",
                needed / GIBI,
                budget / GIBI
            );
        }
        recompute
    }

    /// Bytes that activations may take, where so many are free; of a GPU that is not known.
    fn budget(&self, free: Option<u64>) -> f64 {
        match free {
            _ if self.activation_gib > 0.0 => self.activation_gib * GIBI,
            Some(free) => free as f64 * SHARE,
            None => 0.0,
        }
    }

    /// What [`Self::decide`] will say where so many bytes are free, `None` of a GPU, and operations are `fused` or not.
    pub(crate) fn foresee(&self, model: &ModelConfig, sizes: &[PassSizes], fused: bool, free: Option<u64>) -> bool {
        self.mode.decide(largest(model, sizes, fused), self.budget(free))
    }
}

impl Recompute {
    fn decide(self, needed: f64, budget: f64) -> bool {
        match self {
            Self::Auto => needed > budget,
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// Bytes that the largest of some passes would keep.
fn largest(model: &ModelConfig, sizes: &[PassSizes], fused: bool) -> f64 {
    let how = Computed { fused, recompute: false };
    sizes.iter().map(|sizes| Activations::of(model, sizes, how).total()).fold(0.0, f64::max)
}

/// Bytes of the host's memory that can be taken, within the limits of a container.
pub(crate) fn free_memory() -> u64 {
    let memory = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(memory);
    let available = system.available_memory();
    // What a container has read from files counts as used there, and makes room when it is wanted.
    system.cgroup_limits().map_or(available, |limits| available.min(limits.total_memory.saturating_sub(limits.rss)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(activation_gib: f64, free: Option<u64>) -> f64 {
        let config = UpdateConfig { activation_gib, ..UpdateConfig::default() };
        Recomputation::of(&config).budget(free)
    }

    #[test]
    fn a_budget_that_is_given_counts_whatever_is_free() {
        assert_eq!(budget(2.0, Some(1)), 2.0 * GIBI);
        assert_eq!(budget(2.0, None), 2.0 * GIBI);
        assert_eq!(budget(0.0, Some(1000)), 500.0);
        assert_eq!(budget(0.0, None), 0.0, "of a GPU without a budget nothing is known");
    }

    #[test]
    fn layers_are_computed_again_where_they_do_not_fit() {
        assert!(Recompute::Auto.decide(2.0, 1.0) && !Recompute::Auto.decide(1.0, 1.0));
        assert!(Recompute::Always.decide(0.0, 1.0) && !Recompute::Never.decide(2.0, 1.0));
        assert!(free_memory() > 0);
    }
}
