//! Number formats of weights, and models whose layers compute in one of them.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use burn::module::{Module as _, ModuleMapper, Param};
use burn::tensor::{DType, Tensor};
use safetensors::Dtype;
use serde::{Deserialize, Serialize};

use crate::model::QwenVl;

/// Number format of weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Precision {
    /// 32-bit floating point: a training run resumes bit for bit.
    #[default]
    #[serde(rename = "f32")]
    Float32,
    /// Brain floating point, rounded to nearest even: half the size, eight bits of each number.
    #[serde(rename = "bf16")]
    BFloat16,
}

impl Display for Precision {
    /// As it is read.
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Float32 => "f32",
            Self::BFloat16 => "bf16",
        })
    }
}

impl FromStr for Precision {
    type Err = &'static str;

    /// `f32` or `bf16`.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "f32" => Ok(Self::Float32),
            "bf16" => Ok(Self::BFloat16),
            _ => Err("use f32 or bf16"),
        }
    }
}

impl Precision {
    /// As `config.json` names it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::BFloat16 => "bfloat16",
        }
    }

    pub(crate) const fn burn(self) -> DType {
        match self {
            Self::Float32 => DType::F32,
            Self::BFloat16 => DType::BF16,
        }
    }

    pub(crate) const fn on_disk(self) -> Dtype {
        match self {
            Self::Float32 => Dtype::F32,
            Self::BFloat16 => Dtype::BF16,
        }
    }
}

impl QwenVl {
    /// The same model with its layers computing in `precision`: matrices are rounded to it, and so is what comes out of each
    /// product and what layers hand to each other. Norms, biases, rotations and the softmax are computed in f32, and sums over
    /// many terms are taken in it. In f32 it is the model itself, and shares its memory.
    ///
    /// Parameters keep their identity, and on a device with autodiff a trained one is a leaf of its own: gradients found with
    /// the rounded model belong to the parameters it was made from.
    ///
    /// # Panics
    /// If the device does not have the format ([`Device::supports_dtype`](burn::tensor::Device::supports_dtype)).
    ///
    /// # Departures
    /// transformers rounds norms' scales, biases and the language model's rotations as well, and a normed value before it is
    /// scaled.
    #[must_use]
    pub fn in_precision(&self, precision: Precision) -> Self {
        match precision {
            Precision::Float32 => self.clone(),
            Precision::BFloat16 => self.clone().map(&mut Round(precision.burn())),
        }
    }
}

/// Rounds matrices, outside of any graph.
struct Round(DType);

impl ModuleMapper for Round {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if D == 1 {
            return param;
        }
        param.map(|values| {
            let (trained, with_autodiff) = (values.is_require_grad(), values.is_autodiff());
            let rounded = values.inner().cast(self.0);
            let rounded = if with_autodiff { rounded.autodiff() } else { rounded };
            rounded.set_require_grad(trained)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_precision_is_written_as_it_is_read() {
        for (precision, name) in [(Precision::Float32, "f32"), (Precision::BFloat16, "bf16")] {
            assert_eq!((precision.to_string().as_str(), name.parse()), (name, Ok(precision)));
            assert_eq!(serde_json::to_value(precision).expect("a name"), name);
        }
        assert_eq!("fp16".parse::<Precision>(), Err("use f32 or bf16"));
    }
}
