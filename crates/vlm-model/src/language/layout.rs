//! Where each group's tokens lie in a packed batch, and who may see whom: made once per batch, used by every layer.

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use kernels::{AttentionPlan, Run};

use crate::batch::TokenBatch;
use crate::cache::hiding_bias;

/// The layout of a batch: first the tokens that continue cached groups, one for each response, then whole groups.
pub(crate) struct Layout {
    /// Places of the tokens that continue each cached group.
    pub(crate) continued: Vec<Range<usize>>,
    /// The first token of the whole groups.
    pub(crate) first: usize,
    /// Who sees whom among the tokens from `first` on.
    pub(crate) plan: Arc<AttentionPlan>,
    /// The prompts of the whole groups.
    pub(crate) prompts: Vec<PromptLayout>,
}

/// A prompt, for the cache.
pub(crate) struct PromptLayout {
    /// Its tokens' places from [`Layout::first`] on.
    pub(crate) tokens: Range<usize>,
    /// −∞ at keys hidden from the responses; `[prompt]`.
    pub(crate) hidden: Option<Tensor<1>>,
}

impl Layout {
    /// # Panics
    /// If a group without a prompt follows one with a prompt.
    pub(crate) fn new(batch: &TokenBatch, device: &Device) -> Self {
        let (mut continued, mut runs, mut hidden, mut prompts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut first = 0;
        for group in &batch.groups {
            let Some(prompt) = &group.prompt else {
                assert!(prompts.is_empty(), "cached groups come first");
                continued.push(first..first + group.len());
                first += group.len();
                continue;
            };
            let tokens = hidden.len()..hidden.len() + prompt.ids.len();
            runs.push(Run { tokens: tokens.clone(), causal: true, context: 0..0 });
            hidden.extend(prompt.visual.iter().map(|&visual| visual && prompt.blind));
            for response in &group.responses {
                let start = hidden.len();
                hidden.resize(start + response.len(), false);
                runs.push(Run { tokens: start..hidden.len(), causal: true, context: tokens.clone() });
            }
            let hides = prompt.blind && prompt.image_tokens() > 0;
            prompts.push(PromptLayout { tokens, hidden: hides.then(|| hiding_bias(&prompt.visual, device)) });
        }
        Self { continued, first, plan: Arc::new(AttentionPlan::new(runs, hidden)), prompts }
    }
}
