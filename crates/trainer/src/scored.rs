//! Groups with everything known about their tokens, and how they are handed on to credit and loss.

use advantage::{Evidence, Groups};
use burn::tensor::{Bool, Tensor, TensorData};

use crate::TrainError;
use crate::collect::Group;
use crate::loss::LossInput;
use crate::micro_batch::GroupLengths;
use crate::ragged::Ragged;
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

    /// What credit assignment reads.
    ///
    /// # Errors
    /// If a group has no responses.
    pub fn evidence(&self) -> Result<Evidence, TrainError> {
        let device = self.clean.log_probs.device();
        let rewards: Vec<f32> = self.groups.iter().flat_map(|group| group.verdicts.iter().map(|v| v.overall)).collect();
        let visual: Vec<bool> = self
            .groups
            .iter()
            .flat_map(|group| std::iter::repeat_n(group.task.prompt.image_tokens() > 0, group.completions.len()))
            .collect();
        let rows = self.rows.rows();
        let evidence = Evidence::new(
            Tensor::from_data(TensorData::new(rewards, [rows]), &device),
            Groups::new(self.groups.iter().map(|group| group.completions.len()).collect())?,
            self.rows.mask(&device),
        )?
        .with_visual(Tensor::<1, Bool>::from_data(TensorData::new(visual, [rows]), &device))?
        .with_entropy(self.rows.pad(self.clean.entropy.clone()))?;
        match &self.dependency {
            Some(dependency) => Ok(evidence.with_dependency(self.rows.pad(dependency.clone()))?),
            None => Ok(evidence),
        }
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
                    contrasts: Vec::new(),
                    dependency: self.dependency.as_ref().map(take),
                    reference: self.reference.as_ref().map(take),
                }
            })
            .collect()
    }

    /// The loss's view of `count` rows from `first` on. The log-probabilities are those of the policy that sampled, to be
    /// replaced by the current ones. `weights` holds one weight per row of the whole batch.
    pub(crate) fn loss_input(
        &self,
        first: usize,
        count: usize,
        credit: &advantage::Credit,
        weights: &[f32],
    ) -> LossInput {
        let device = self.clean.log_probs.device();
        let rows = Ragged::new(self.rows.lengths()[first..first + count].to_vec());
        let start: usize = self.rows.lengths()[..first].iter().sum();
        let take = |x: &Tensor<1>| rows.pad(part_of(x, start, rows.tokens()));
        let cut = |x: &Tensor<2>| x.clone().narrow(0, first, count).narrow(1, 0, rows.longest());
        let weight = TensorData::new(weights[first..first + count].to_vec(), [count, 1]);
        let old_log_probs = take(&self.clean.log_probs);
        LossInput {
            log_probs: old_log_probs.clone(),
            old_log_probs,
            reference_log_probs: self.reference.as_ref().map(take),
            advantage: cut(&credit.advantage),
            gate: cut(&credit.gate),
            response: rows.mask(&device),
            weight: Tensor::from_data(weight, &device),
        }
    }
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
