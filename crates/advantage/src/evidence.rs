//! What is known about one batch before credit is assigned.

use burn::tensor::{Bool, Device, FloatDType, Tensor};

use crate::{CreditError, Groups};

/// One optimizer batch: what was sampled, what it earned and how much it depends on the image.
///
/// Its parts agree with each other (checked once, in [`Evidence::new`]), so that components need not check them again.
/// What stands on padding is never read.
#[derive(Clone, Debug)]
pub struct Evidence {
    rewards: Tensor<1>,
    groups: Groups,
    response: Tensor<2, Bool>,
    dependency: Option<Tensor<2>>,
    visual: Tensor<1, Bool>,
}

impl Evidence {
    /// Puts a batch together. Rewards and dependency are taken to f32.
    ///
    /// `response` is true on response tokens, the end-of-sequence token included; a row may be empty. `visual` is true for
    /// responses whose prompt has an image; shapers that read the dependency leave the others alone. A dependency is at
    /// least 0 (nats); one that is not a number is kept, and each shaper says what it makes of it. A reward that is not
    /// finite makes the advantages of its group, and of no other, not finite.
    ///
    /// # Shapes
    /// - `rewards`: `[responses]`, below 1e18 in magnitude
    /// - `groups`: sizes that add up to `responses`
    /// - `response`: `[responses, tokens]`
    /// - `dependency`: `[responses, tokens]`
    /// - `visual`: `[responses]`
    ///
    /// # Errors
    /// - [`CreditError::EmptyBatch`] if there is no response or no token column.
    /// - [`CreditError::Shape`] if a part does not fit the response mask.
    /// - [`CreditError::Device`] if a part is on another device than the response mask.
    pub fn new(
        rewards: Tensor<1>,
        groups: Groups,
        response: Tensor<2, Bool>,
        dependency: Option<Tensor<2>>,
        visual: Tensor<1, Bool>,
    ) -> Result<Self, CreditError> {
        let [responses, tokens] = response.dims();
        if responses == 0 || tokens == 0 {
            return Err(CreditError::EmptyBatch { responses, tokens });
        }
        check_shape("rewards", &rewards.dims(), &[responses])?;
        check_shape("the total of the groups", &[groups.responses()], &[responses])?;
        check_shape("the mask of visual responses", &visual.dims(), &[responses])?;
        let device = response.device();
        check_device("rewards", &rewards.device(), &device)?;
        check_device("the mask of visual responses", &visual.device(), &device)?;
        if let Some(dependency) = &dependency {
            check_shape("the dependency", &dependency.dims(), &[responses, tokens])?;
            check_device("the dependency", &dependency.device(), &device)?;
        }
        Ok(Self {
            rewards: rewards.cast(FloatDType::F32),
            groups,
            response,
            dependency: dependency.map(|dependency| dependency.cast(FloatDType::F32)),
            visual,
        })
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
