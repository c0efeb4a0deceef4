//! Attention inside runs of a packed batch, and to a context that several runs share.

mod composed;
mod gradient;
mod host;

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Device, Tensor};

use crate::host::{Host, is_host};
use composed::Classes;
pub(crate) use composed::{ContextKeys, attend};

/// Consecutive tokens that attend among themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its tokens' places in the batch.
    pub tokens: Range<usize>,
    /// Whether a token sees only itself and those before it; if not, it sees the whole run.
    pub causal: bool,
    /// Places of other tokens that all of them see, empty if there are none.
    pub context: Range<usize>,
}

/// Who sees whom in a packed batch: made once, used by every layer.
#[derive(Debug)]
pub struct AttentionPlan {
    runs: Vec<Run>,
    /// Whether each token is hidden from all others; it still sees itself. Empty if none is.
    hidden: Vec<bool>,
    classes: OnceLock<Classes>,
}

impl AttentionPlan {
    /// A plan for a batch of as many tokens as the runs have.
    ///
    /// `hidden` says of each token whether the others cannot see it; it may be empty.
    ///
    /// # Panics
    /// If the runs are not one after another from 0 on, a context lies outside of the batch, or `hidden` is neither empty
    /// nor one flag for each token.
    #[must_use]
    pub fn new(runs: Vec<Run>, hidden: Vec<bool>) -> Self {
        let mut end = 0;
        for run in &runs {
            assert_eq!(run.tokens.start, end, "runs lie one after another");
            end = run.tokens.end;
        }
        assert!(runs.iter().all(|run| run.context.end <= end), "contexts lie in the batch");
        assert!(hidden.is_empty() || hidden.len() == end, "a flag for each token");
        let hidden = if hidden.contains(&true) { hidden } else { Vec::new() };
        let runs = runs.into_iter().filter(|run| !run.tokens.is_empty()).collect();
        Self { runs, hidden, classes: OnceLock::new() }
    }

    /// Number of tokens.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.runs.last().map_or(0, |run| run.tokens.end)
    }

    fn classes(&self, device: &Device) -> &Classes {
        self.classes.get_or_init(|| Classes::new(&self.runs, &self.hidden, device))
    }

    fn is_hidden(&self, token: usize) -> bool {
        self.hidden.get(token).copied().unwrap_or(false)
    }
}

/// `softmax(q kᵀ / √width) v` over the keys that the plan lets each query see. A key head serves `heads / key heads`
/// query heads. Scores are never kept: the gradient computes them again, block by block.
///
/// # Shapes
/// - `query`: `[tokens, heads, width]`
/// - `key`, `value`: `[tokens, key heads, width]`
/// - returns `[tokens, heads · width]`
///
/// # Panics
/// If the batch is not the plan's, or the shapes do not fit together.
///
/// # Source
/// Vaswani et al. 2017, arXiv:1706.03762, equation 1; grouped key heads: Ainslie et al. 2023, arXiv:2305.13245;
/// recomputation: Dao et al. 2022, arXiv:2205.14135.
#[must_use]
pub fn attention(query: Tensor<3>, key: Tensor<3>, value: Tensor<3>, plan: &Arc<AttentionPlan>) -> Tensor<2> {
    let ([tokens, heads, width], [_, key_heads, _]) = (query.dims(), key.dims());
    assert_eq!(tokens, plan.tokens(), "the batch is the plan's");
    assert_eq!(
        [key.dims(), value.dims()],
        [[tokens, key_heads, width]; 2],
        "keys and values of the queries' tokens and width"
    );
    assert!(heads.is_multiple_of(key_heads), "{heads} heads share {key_heads} key heads");
    if is_host(&query) && is_host(&key) && is_host(&value) {
        let (query, key, value) = (query.into_dispatch(), key.into_dispatch(), value.into_dispatch());
        return Tensor::from_dispatch(<Dispatch as Attention>::attention(query, key, value, plan.clone()));
    }
    let device = query.device();
    plan.classes(&device).attend(&query, &key, &value)
}

#[backend_extension(Autodiff, Flex)]
trait Attention: Backend {
    fn attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        plan: Arc<AttentionPlan>,
    ) -> FloatTensor<Self>;
}

impl Attention for Flex {
    fn attention(query: Host, key: Host, value: Host, plan: Arc<AttentionPlan>) -> Host {
        host::forward(&query, &key, &value, &plan).output
    }
}

impl<C: CheckpointStrategy> Attention for Autodiff<Flex, C> {
    fn attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        plan: Arc<AttentionPlan>,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Step;
        impl Backward<Flex, 3> for Step {
            type State = (gradient::Forward, Arc<AttentionPlan>);
            fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
                let upstream = gradients.consume::<Flex>(&ops.node);
                let (forward, plan) = ops.state;
                let found = gradient::backward(&forward, &upstream, &plan);
                for (node, gradient) in ops.parents.into_iter().zip(found) {
                    if let Some(node) = node {
                        gradients.register::<Flex>(node.id, gradient);
                    }
                }
            }
        }
        let ((query, of_query), (key, of_key)) = (query.into_parts(), key.into_parts());
        let (value, of_value) = value.into_parts();
        match Step.prepare::<C>([of_query, of_key, of_value]).compute_bound().stateful() {
            OpsKind::Tracked(step) => {
                let host::Attended { output, log_sums } = host::forward(&query, &key, &value, &plan);
                let forward =
                    gradient::Forward { query, key, value, output: output.clone(), log_sums: log_sums.into() };
                step.finish((forward, plan), output)
            }
            OpsKind::UnTracked(step) => step.finish(Flex::attention(query, key, value, plan)),
        }
    }
}
