//! Groups with everything known about their tokens, and how they are handed on to credit and loss.

use advantage::{Credit, Evidence, Groups};
use burn::tensor::{Bool, Device, Tensor, TensorData};
use rollout::{Completion, Finish};

use crate::TrainError;
use crate::collect::Group;
use crate::loss::{LossInput, ReferenceKl};
use crate::micro_batch::GroupLengths;
use crate::ragged::Ragged;
use crate::recipe::Algorithm;
use crate::vocabulary::{ContrastScores, TokenScores};

/// Groups with everything known about their tokens under the policy that sampled them.
#[derive(Clone, Debug)]
pub struct Scored {
    /// The groups.
    pub groups: Vec<Group>,
    /// Lengths of all responses, group after group.
    pub rows: Ragged,
    /// Log-probability (nats) and entropy (nats) of each token; packed, `[tokens]`.
    pub clean: TokenScores,
    /// Whether those log-probabilities are the ones seen at sampling. Then nobody knows the entropies, and they are not numbers.
    pub as_sampled: bool,
    /// Each contrast's log-probabilities and divergence; packed.
    pub contrasts: Vec<ContrastScores>,
    /// Dependency of each token, `[tokens]`; `None` if the recipe measures none.
    pub dependency: Option<Tensor<1>>,
    /// Log-probabilities under the reference policy, `[tokens]`.
    pub reference: Option<Tensor<1>>,
}

impl Scored {
    /// Prompt and response lengths of each group.
    #[must_use]
    pub fn lengths(&self) -> Vec<GroupLengths> {
        lengths_of(&self.groups)
    }

    /// How many of the log-probabilities are not finite: the policy's, those of its contrasts and the reference policy's.
    ///
    /// A dependency that is not finite does not count; each shaper says what it makes of one.
    #[must_use]
    pub fn not_finite(&self) -> usize {
        let contrasts = self.contrasts.iter().map(|contrast| &contrast.log_probs);
        let all = [&self.clean.log_probs].into_iter().chain(&self.reference).chain(contrasts);
        let all: Vec<Tensor<1>> = all.filter(|values| values.dims() != [0]).cloned().collect();
        if all.is_empty() {
            return 0;
        }
        // Counted where they are: one number comes to the host.
        let count = Tensor::cat(all, 0).is_finite().bool_not().int().sum();
        count.into_data().iter::<i64>().sum::<i64>() as usize
    }

    /// What credit assignment reads. `reward_kl` takes its share of the sampling policy's divergence from the reference off
    /// the reward of each token.
    ///
    /// # Source
    /// The penalty in the reward of Ziegler et al., arXiv:1909.08593, equation 2, token by token as in the released code
    /// (`core_algos.py`, `apply_kl_penalty`).
    ///
    /// # Errors
    /// If a group has no responses, or `reward_kl` cannot be estimated from what was scored.
    pub fn evidence(&self, reward_kl: Option<ReferenceKl>) -> Result<Evidence, TrainError> {
        let device = self.clean.log_probs.device();
        let rewards: Vec<f32> = self.groups.iter().flat_map(|group| group.verdicts.iter().map(|v| v.overall)).collect();
        let rows = self.rows.rows();
        let evidence = Evidence::new(
            Tensor::from_data(TensorData::new(rewards, [rows]), &device),
            Groups::new(self.groups.iter().map(|group| group.completions.len()).collect())?,
            self.rows.mask(&device),
        )?
        .with_visual(self.visual())?;
        let evidence = match self.as_sampled {
            true => evidence,
            false => evidence.with_entropy(self.rows.pad(self.clean.entropy.clone()))?,
        };
        let evidence = match &self.dependency {
            Some(dependency) => evidence.with_dependency(self.rows.pad(dependency.clone()))?,
            None => evidence,
        };
        match reward_kl {
            Some(kl) => Ok(evidence.with_token_rewards(self.rows.pad(self.penalty(kl)?))?),
            None => Ok(evidence),
        }
    }

    /// What each token pays for leaving the reference policy, `[tokens]`; at most 0 on average.
    fn penalty(&self, kl: ReferenceKl) -> Result<Tensor<1>, TrainError> {
        let missing = |needs| TrainError::Objective { term: "reward_kl", needs };
        let reference = self.reference.clone().ok_or(missing("a reference policy"))?;
        let estimate = kl.estimator.sampled(self.clean.log_probs.clone(), reference);
        Ok(estimate.ok_or(missing("an estimator that reads the sampled token alone, k1, k2 or k3"))? * -kl.coefficient)
    }

    /// Which responses answer a prompt with an image, `[responses]`.
    fn visual(&self) -> Tensor<1, Bool> {
        let visual = |group: &Group| {
            std::iter::repeat_n(group.task.prompt.image_tokens() > 0, group.completions.len()).collect::<Vec<bool>>()
        };
        let visual: Vec<bool> = self.groups.iter().flat_map(visual).collect();
        let rows = visual.len();
        Tensor::from_data(TensorData::new(visual, [rows]), &self.clean.log_probs.device())
    }

    /// Splits the groups into at most `count` consecutive shares whose sizes differ by one at most, one for each
    /// optimizer step.
    #[must_use]
    pub fn optimizer_batches(self, count: usize) -> Vec<Self> {
        let (total, count) = (self.groups.len(), count.min(self.groups.len()));
        let (mut row, mut token) = (0, 0);
        let mut rest = self.groups.into_iter();
        (0..count)
            .map(|share| {
                let size = total * (share + 1) / count - total * share / count;
                let groups: Vec<Group> = rest.by_ref().take(size).collect();
                let rows: usize = groups.iter().map(|group| group.completions.len()).sum();
                let lengths = self.rows.lengths()[row..row + rows].to_vec();
                let (start, tokens) = (token, lengths.iter().sum::<usize>());
                row += rows;
                token += tokens;
                let take = |x: &Tensor<1>| part_of(x, start, tokens);
                Self {
                    groups,
                    rows: Ragged::new(lengths),
                    clean: TokenScores { log_probs: take(&self.clean.log_probs), entropy: take(&self.clean.entropy) },
                    as_sampled: self.as_sampled,
                    contrasts: self.contrasts.iter().map(|contrast| contrast.map(take)).collect(),
                    dependency: self.dependency.as_ref().map(take),
                    reference: self.reference.as_ref().map(take),
                }
            })
            .collect()
    }

    /// The loss's view of the batch. What it reads of the current policy is to be filled in.
    ///
    /// # Errors
    /// If the objective corrects for the engine's log-probabilities and a response has not one for each token.
    pub(crate) fn loss_input(
        &self,
        credit: &Credit,
        algorithm: &Algorithm,
        max_new_tokens: usize,
    ) -> Result<LossInput, TrainError> {
        let (rows, device) = (&self.rows, self.clean.log_probs.device());
        let left_out: Vec<bool> = self.left_out(algorithm, max_new_tokens).collect();
        let counted = self.counted(algorithm, max_new_tokens);
        let left_out = Tensor::<2, Bool>::from_data(TensorData::new(left_out, [rows.rows(), 1]), &device);
        let objective = &algorithm.objective;
        let sampling = objective
            .importance
            .as_ref()
            .map(|_| sampling_log_probs(&self.groups, "importance", &device))
            .transpose()?;
        let old_log_probs = rows.pad(self.clean.log_probs.clone());
        let response = rows.mask(&device);
        Ok(LossInput {
            log_probs: old_log_probs.clone(),
            old_log_probs,
            sampling_log_probs: sampling.map(|packed| rows.pad(packed)),
            reference_log_probs: self.reference.clone().map(|packed| rows.pad(packed)),
            contrast_log_probs: self.contrasts.first().map(|contrast| rows.pad(contrast.log_probs.clone())),
            entropy: None,
            reference_divergence: None,
            advantage: credit.advantage.clone(),
            gate: credit.gate.clone(),
            response: response.clone().bool_and(left_out.bool_not().expand(response.dims())),
            visual: self.visual().unsqueeze_dim(1),
            weights: objective.reduction.weights(&counted, &credit.gate, max_new_tokens),
        })
    }

    /// Whether each response is left out of the loss.
    fn left_out(&self, algorithm: &Algorithm, max_new_tokens: usize) -> impl Iterator<Item = bool> {
        let filter = algorithm.recipe.overlong_filter;
        let completions = self.groups.iter().flat_map(|group| &group.completions);
        completions.map(move |completion| filter && is_overlong(completion, max_new_tokens))
    }

    /// Each response's tokens that count in the loss: all or none.
    pub(crate) fn counted(&self, algorithm: &Algorithm, max_new_tokens: usize) -> Vec<usize> {
        let left_out = self.left_out(algorithm, max_new_tokens);
        self.rows.lengths().iter().zip(left_out).map(|(&n, left_out)| if left_out { 0 } else { n }).collect()
    }
}

/// The engine's log-probabilities of all tokens, `[tokens]`.
///
/// # Errors
/// If a response has not one for each token, which `term` reads.
pub(crate) fn sampling_log_probs(
    groups: &[Group],
    term: &'static str,
    device: &Device,
) -> Result<Tensor<1>, TrainError> {
    let completions = || groups.iter().flat_map(|group| &group.completions);
    if completions().any(|completion| completion.log_probs.len() != completion.tokens.len()) {
        return Err(TrainError::Objective { term, needs: "a log-probability seen at sampling for every token" });
    }
    let values: Vec<f32> = completions().flat_map(|completion| completion.log_probs.iter().copied()).collect();
    let count = values.len();
    Ok(Tensor::from_data(TensorData::new(values, [count]), device))
}

/// Whether a response was cut off at the length limit, which is what the overlong filter leaves out of the loss. Its reward
/// still counts for its group.
///
/// # Source
/// Overlong filtering, DAPO, arXiv:2503.14476, section 3.4.
#[must_use]
pub fn is_overlong(completion: &Completion, max_new_tokens: usize) -> bool {
    completion.finish == Finish::Length && completion.tokens.len() >= max_new_tokens
}

/// Some consecutive elements, maybe none.
fn part_of(x: &Tensor<1>, start: usize, count: usize) -> Tensor<1> {
    if count == 0 { Tensor::zeros([0], &x.device()) } else { x.clone().narrow(0, start, count) }
}

pub(crate) fn lengths_of(groups: &[Group]) -> Vec<GroupLengths> {
    let lengths = |group: &Group| GroupLengths {
        prompt: group.task.prompt.ids.len(),
        responses: group.completions.iter().map(|completion| completion.tokens.len()).collect(),
    };
    groups.iter().map(lengths).collect()
}
