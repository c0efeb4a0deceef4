//! The building blocks both halves of the model share, with weights laid out as on disk.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use kernels::{Addends, side_by_side};

use crate::ModelError;
use crate::weights::{Builder, Init};

/// Standard deviation of freshly initialised projections and embeddings, as in the released configuration.
pub(crate) const INITIALIZER_RANGE: f32 = 0.02;

/// Affine map `y = x Wᵀ + b`, its weight kept `[out, in]` as in the checkpoint.
#[derive(Module, Debug)]
pub struct Linear {
    /// Shape `[out, in]`.
    pub weight: Param<Tensor<2>>,
    /// Shape `[out]`.
    pub bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    pub(crate) fn build(b: &mut Builder, input: usize, output: usize, bias: bool) -> Result<Self, ModelError> {
        // Projections start at fan-in scale, so that a small model built from scratch learns at ordinary rates; large
        // models keep the released range.
        let deviation = (1.0 / input as f32).sqrt().max(INITIALIZER_RANGE);
        Ok(Self {
            weight: b.param("weight", [output, input], Init::Normal(deviation))?,
            bias: if bias { Some(b.param("bias", [output], Init::Zeros)?) } else { None },
        })
    }

    /// # Shapes
    /// - `x`: `[tokens, in]`
    /// - returns `[tokens, out]`
    #[must_use]
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.apply(x, None)
    }

    /// `onto + y`, without a pass of its own for the sum.
    ///
    /// # Shapes
    /// - `x`: `[tokens, in]`
    /// - `onto`: `[tokens, out]`
    /// - returns `[tokens, out]`
    #[must_use]
    pub fn forward_onto(&self, onto: Tensor<2>, x: Tensor<2>) -> Tensor<2> {
        self.apply(x, Some(onto))
    }

    fn apply(&self, x: Tensor<2>, onto: Option<Tensor<2>>) -> Tensor<2> {
        kernels::linear(x, self.weight.val(), Addends { bias: self.bias.as_ref().map(Param::val), onto })
    }
}

/// Root-mean-square normalization, reduced in f32: `x / √(mean(x²) + ε) · g`.
///
/// # Source
/// Zhang & Sennrich 2019, arXiv:1910.07467.
#[derive(Module, Debug)]
pub struct RmsNorm {
    /// The scale `g`, shape `[width]`.
    pub weight: Param<Tensor<1>>,
    /// `ε`.
    #[module(skip)]
    pub epsilon: f64,
}

impl RmsNorm {
    pub(crate) fn build(b: &mut Builder, width: usize, epsilon: f64) -> Result<Self, ModelError> {
        Ok(Self { weight: b.param("weight", [width], Init::Ones)?, epsilon })
    }

    /// # Shapes
    /// - `x`: `[tokens, width]`
    /// - returns `[tokens, width]`, in the dtype of `x`
    #[must_use]
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        kernels::rms_norm(x, self.weight.val(), self.epsilon)
    }
}

/// `x Φ(x)`, where `Φ` is the normal distribution function.
#[derive(Module, Debug)]
pub struct Gelu;

impl Gelu {
    /// # Shapes
    /// - `x`: `[tokens, width]`
    /// - returns `[tokens, width]`
    #[must_use]
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        kernels::gelu(x)
    }
}

/// The gated feed-forward layer `down(silu(gate(x)) ⊙ up(x))`.
///
/// # Source
/// Shazeer 2020, arXiv:2002.05202 (SwiGLU).
#[derive(Module, Debug)]
pub struct GatedMlp {
    /// Gate projection, `[inner, width]`.
    pub gate_proj: Linear,
    /// Up projection, `[inner, width]`.
    pub up_proj: Linear,
    /// Down projection, `[width, inner]`.
    pub down_proj: Linear,
}

impl GatedMlp {
    pub(crate) fn build(b: &mut Builder, width: usize, inner: usize, bias: bool) -> Result<Self, ModelError> {
        Ok(Self {
            gate_proj: b.child("gate_proj", |b| Linear::build(b, width, inner, bias))?,
            up_proj: b.child("up_proj", |b| Linear::build(b, width, inner, bias))?,
            down_proj: b.child("down_proj", |b| Linear::build(b, inner, width, bias))?,
        })
    }

    /// Its output is added to `onto`.
    ///
    /// # Shapes
    /// - `onto`, `x`: `[tokens, width]`
    /// - returns `[tokens, width]`
    #[must_use]
    pub fn forward_onto(&self, onto: Tensor<2>, x: &Tensor<2>) -> Tensor<2> {
        let (gate, up) = side_by_side(x, || self.gate_proj.forward(x.clone()), || self.up_proj.forward(x.clone()));
        self.down_proj.forward_onto(onto, kernels::swiglu(gate, up))
    }
}
