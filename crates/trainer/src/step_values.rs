//! What a step knows of its responses and their tokens, on the host: one copy of each tensor, for the report and the records.

use advantage::{Credit, CreditShaper as _, Evidence, Shaper};
use burn::tensor::Tensor;

use crate::TrainError;
use crate::recipe::Recipe;
use crate::scored::Scored;
use crate::update::Recomputed;

/// Values of all tokens, response after response, and of all responses.
#[derive(Clone, Debug, Default)]
pub(crate) struct StepValues {
    /// Log-probability, recomputed, nats.
    pub(crate) log_probs: Vec<f32>,
    /// Log-probability as seen at sampling, nats; not a number where the engine told none.
    pub(crate) sampling_log_probs: Vec<f32>,
    /// Entropy, nats.
    pub(crate) entropy: Vec<f32>,
    /// Dependency, if the recipe measures it.
    pub(crate) dependency: Option<Vec<f32>>,
    /// Each contrast's log-probabilities and divergences, if they are to be recorded.
    pub(crate) contrasts: Vec<(Vec<f32>, Vec<f32>)>,
    /// Advantage after shaping.
    pub(crate) advantage: Vec<f32>,
    /// Gate.
    pub(crate) gate: Vec<f32>,
    /// What each response earned, less what its tokens paid.
    pub(crate) rewards: Vec<f32>,
    /// Factor of trajectory shaping of each response, if the recipe has it.
    pub(crate) factors: Vec<f32>,
}

impl StepValues {
    /// What scoring says; `contrasts` are copied only if asked for.
    pub(crate) fn of(scored: &Scored, contrasts: bool) -> Self {
        let compared = if contrasts { scored.contrasts.as_slice() } else { &[] };
        let sampling = |completion: &rollout::Completion| {
            let told = completion.log_probs.iter().copied();
            told.chain(std::iter::repeat(f32::NAN)).take(completion.tokens.len()).collect::<Vec<f32>>()
        };
        Self {
            // Not known before the update's forward pass, if scoring made none.
            log_probs: match scored.as_sampled {
                true => vec![f32::NAN; scored.rows.tokens()],
                false => host(&scored.clean.log_probs),
            },
            sampling_log_probs: scored.groups.iter().flat_map(|group| &group.completions).flat_map(sampling).collect(),
            entropy: host(&scored.clean.entropy),
            dependency: scored.dependency.as_ref().map(host),
            contrasts: compared.iter().map(|scores| (host(&scores.log_probs), host(&scores.divergences[0]))).collect(),
            ..Self::default()
        }
    }

    /// Fills in what the update's forward pass said, if scoring made none.
    pub(crate) fn complete(&mut self, recomputed: Recomputed) {
        (self.log_probs, self.entropy) = (recomputed.log_probs, recomputed.entropy);
    }

    /// Adds the credit of the next optimizer batch.
    ///
    /// # Errors
    /// If the recipe's trajectory shaping lacks what it reads.
    pub(crate) fn add(
        &mut self,
        batch: &Scored,
        evidence: &Evidence,
        credit: &Credit,
        recipe: &Recipe,
    ) -> Result<(), TrainError> {
        self.advantage.extend(host(&batch.rows.pack(credit.advantage.clone())));
        self.gate.extend(host(&batch.rows.pack(credit.gate.clone())));
        self.rewards.extend(host(&evidence.total_rewards()));
        for shaper in &recipe.shapers {
            if let Shaper::TrajectoryShaping(shaping) = shaper {
                // What it makes of an advantage of 1 is its factor.
                let ones = credit.advantage.ones_like();
                let shaped = shaping.shape(evidence, Credit { advantage: ones.clone(), gate: ones })?;
                self.factors.extend(host(&shaped.advantage.narrow(1, 0, 1).squeeze_dim::<1>(1)));
            }
        }
        Ok(())
    }

    /// Notes of all tokens that were given no credit that they have none: nothing is learned from them.
    pub(crate) fn fill_up(&mut self) {
        self.advantage.resize(self.log_probs.len(), f32::NAN);
        self.gate.resize(self.log_probs.len(), 0.0);
    }
}

fn host(values: &Tensor<1>) -> Vec<f32> {
    values.to_data().iter::<f32>().collect()
}
