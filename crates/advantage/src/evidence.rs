//! What is known about one batch before credit is assigned.

use burn::tensor::{Bool, Device, FloatDType, Tensor};

use crate::{CreditError, Fraction, Groups};

/// One optimizer batch: what was sampled, what it earned and, as far as it was measured, what is known about its tokens.
///
/// Its parts agree with each other (checked once, when they are handed over), so that components need not check them again.
/// What stands on padding is never read. All numbers are taken to f32.
#[derive(Clone, Debug)]
pub struct Evidence {
    rewards: Tensor<1>,
    groups: Groups,
    response: Tensor<2, Bool>,
    visual: Tensor<1, Bool>,
    dependency: Option<Tensor<2>>,
    entropy: Option<Tensor<2>>,
    token_rewards: Option<Tensor<2>>,
    progress: Fraction,
}

impl Evidence {
    /// Starts a batch: every response to a prompt with an image, nothing measured, at the end of training.
    ///
    /// `response` is true on response tokens, the end-of-sequence token included; a row may be empty. A reward that is not
    /// finite makes the advantages of its group, and of no other, not finite; of the whole batch if the estimator whitens.
    ///
    /// # Shapes
    /// - `rewards`: `[responses]`, below 1e18 in magnitude
    /// - `groups`: sizes that add up to `responses`
    /// - `response`: `[responses, tokens]`
    ///
    /// # Errors
    /// - [`CreditError::EmptyBatch`] if there is no response or no token column.
    /// - [`CreditError::Shape`] if a part does not fit the response mask.
    /// - [`CreditError::Device`] if a part is on another device than the response mask.
    pub fn new(rewards: Tensor<1>, groups: Groups, response: Tensor<2, Bool>) -> Result<Self, CreditError> {
        let [responses, tokens] = response.dims();
        if responses == 0 || tokens == 0 {
            return Err(CreditError::EmptyBatch { responses, tokens });
        }
        check_shape("rewards", &rewards.dims(), &[responses])?;
        check_shape("the total of the groups", &[groups.responses()], &[responses])?;
        check_device("rewards", &rewards.device(), &response.device())?;
        let visual = rewards.ones_like().greater_scalar(0.0);
        Ok(Self {
            rewards: rewards.cast(FloatDType::F32),
            groups,
            response,
            visual,
            dependency: None,
            entropy: None,
            token_rewards: None,
            progress: const { Fraction::literal(1.0) },
        })
    }

    /// Says which responses answer a prompt with an image: `[responses]`. Shapers that read the dependency leave the others
    /// alone.
    ///
    /// # Errors
    /// [`CreditError::Shape`] or [`CreditError::Device`] if the mask does not fit the response mask.
    pub fn with_visual(self, visual: Tensor<1, Bool>) -> Result<Self, CreditError> {
        check_shape("the mask of visual responses", &visual.dims(), &self.response.dims()[..1])?;
        check_device("the mask of visual responses", &visual.device(), &self.response.device())?;
        Ok(Self { visual, ..self })
    }

    /// Adds how much each token depends on the image: `[responses, tokens]`, in nats.
    ///
    /// A dependency that is not a number is kept, and each shaper says what it makes of it.
    ///
    /// # Errors
    /// [`CreditError::Shape`] or [`CreditError::Device`] if it does not fit the response mask.
    pub fn with_dependency(self, dependency: Tensor<2>) -> Result<Self, CreditError> {
        let dependency = Some(self.fitting("the dependency", dependency)?);
        Ok(Self { dependency, ..self })
    }

    /// Adds the entropy of the distribution each token was drawn from: `[responses, tokens]`, in nats.
    ///
    /// # Errors
    /// [`CreditError::Shape`] or [`CreditError::Device`] if it does not fit the response mask.
    pub fn with_entropy(self, entropy: Tensor<2>) -> Result<Self, CreditError> {
        let entropy = Some(self.fitting("the entropy", entropy)?);
        Ok(Self { entropy, ..self })
    }

    /// Adds what single tokens earned beside the reward of their response, such as a penalty for leaving a reference policy:
    /// `[responses, tokens]`, in units of the reward.
    ///
    /// # Errors
    /// [`CreditError::Shape`] or [`CreditError::Device`] if it does not fit the response mask.
    pub fn with_token_rewards(self, token_rewards: Tensor<2>) -> Result<Self, CreditError> {
        let token_rewards = Some(self.fitting("the token rewards", token_rewards)?);
        Ok(Self { token_rewards, ..self })
    }

    /// Says how far training has come: 0 at its first step, 1 at its last. Scheduled shapers read it.
    #[must_use]
    pub fn with_progress(self, progress: Fraction) -> Self {
        Self { progress, ..self }
    }

    fn fitting(&self, what: &'static str, values: Tensor<2>) -> Result<Tensor<2>, CreditError> {
        check_shape(what, &values.dims(), &self.response.dims())?;
        check_device(what, &values.device(), &self.response.device())?;
        Ok(values.cast(FloatDType::F32))
    }

    /// What each response earned: `[responses]`, f32.
    pub fn rewards(&self) -> &Tensor<1> {
        &self.rewards
    }

    /// Which responses answer the same prompt.
    pub fn groups(&self) -> &Groups {
        &self.groups
    }

    /// True on response tokens: `[responses, tokens]`.
    pub fn response(&self) -> &Tensor<2, Bool> {
        &self.response
    }

    /// True for responses whose prompt has an image: `[responses]`.
    pub fn visual(&self) -> &Tensor<1, Bool> {
        &self.visual
    }

    /// How much each token depends on the image: `[responses, tokens]`, f32; anything at all on padding.
    ///
    /// # Errors
    /// [`CreditError::MissingDependency`], in the name of `shaper`, if none was measured.
    pub fn dependency(&self, shaper: &'static str) -> Result<&Tensor<2>, CreditError> {
        self.dependency.as_ref().ok_or(CreditError::MissingDependency { shaper })
    }

    /// Entropy of the distribution each token was drawn from: `[responses, tokens]`, f32; anything at all on padding.
    ///
    /// # Errors
    /// [`CreditError::MissingEntropy`], in the name of `shaper`, if none was measured.
    pub fn entropy(&self, shaper: &'static str) -> Result<&Tensor<2>, CreditError> {
        self.entropy.as_ref().ok_or(CreditError::MissingEntropy { shaper })
    }

    /// What single tokens earned beside the reward of their response: `[responses, tokens]`, f32, 0 on padding; `None` if
    /// nothing.
    pub fn token_rewards(&self) -> Option<Tensor<2>> {
        let padding = self.response.clone().bool_not();
        self.token_rewards.clone().map(|rewards| rewards.mask_fill(padding, 0.0))
    }

    /// What each response earned in all, its tokens' own rewards included: `[responses]`, f32.
    pub fn total_rewards(&self) -> Tensor<1> {
        match self.token_rewards() {
            Some(tokens) => self.rewards.clone() + tokens.sum_dim(1).squeeze_dim(1),
            None => self.rewards.clone(),
        }
    }

    /// How far training has come.
    pub const fn progress(&self) -> Fraction {
        self.progress
    }

    /// Number of response tokens of each response: `[responses, 1]`, f32.
    pub fn lengths(&self) -> Tensor<2> {
        self.response.clone().cast(FloatDType::F32).sum_dim(1)
    }

    /// [`Evidence::visual`] for every token, padding included: `[responses, tokens]`.
    pub(crate) fn visual_tokens(&self) -> Tensor<2, Bool> {
        self.visual.clone().unsqueeze_dim::<2>(1).expand(self.response.dims())
    }
}

pub(crate) fn check_shape(what: &'static str, found: &[usize], expected: &[usize]) -> Result<(), CreditError> {
    if found == expected {
        return Ok(());
    }
    Err(CreditError::Shape { what, found: found.to_vec(), expected: expected.to_vec() })
}

fn check_device(what: &'static str, found: &Device, expected: &Device) -> Result<(), CreditError> {
    if found == expected {
        return Ok(());
    }
    Err(CreditError::Device { what, found: format!("{found:?}"), expected: format!("{expected:?}") })
}
