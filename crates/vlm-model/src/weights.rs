//! Where a model's numbers come from: one verb, [`WeightSource::take`].
//!
//! A module asks for each of its tensors by its Hub name and shape, so the same building code serves a checkpoint on
//! disk ([`crate::Checkpoint`]) and a seeded initialisation ([`SeededInit`]).
//! A parameter's burn identity is a hash of its Hub name: optimizer state therefore finds its parameter again in another
//! process.

use burn::module::{Param, ParamId};
use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::ModelError;

/// How a tensor is filled when it is not read from a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// Every element one (norm scales).
    Ones,
    /// Every element zero (biases).
    Zeros,
    /// Normal with mean zero and this standard deviation.
    Normal(f32),
}

/// A supply of named tensors.
pub trait WeightSource {
    /// Hands out the tensor with this Hub name, in f32.
    ///
    /// # Errors
    /// If there is none of that name, or it has another shape.
    fn take(&mut self, name: &str, shape: &[usize], init: Init) -> Result<TensorData, ModelError>;
}

/// Fills every tensor from a seed. Each tensor has a stream of its own, so its values do not depend on the order of
/// construction.
#[derive(Clone, Copy, Debug)]
pub struct SeededInit {
    /// Seed of the whole initialisation.
    pub seed: u64,
}

impl WeightSource for SeededInit {
    fn take(&mut self, name: &str, shape: &[usize], init: Init) -> Result<TensorData, ModelError> {
        let count = shape.iter().product();
        let values = match init {
            Init::Ones => vec![1.0; count],
            Init::Zeros => vec![0.0; count],
            Init::Normal(deviation) => {
                let mut generator = ChaCha8Rng::seed_from_u64(self.seed ^ name_hash(name));
                (0..count).map(|_| deviation * standard_normal(&mut generator)).collect()
            }
        };
        Ok(TensorData::new(values, shape.to_vec()))
    }
}

/// One draw from the standard normal distribution (Box–Muller).
fn standard_normal(generator: &mut ChaCha8Rng) -> f32 {
    let radius = (-2.0 * (1.0 - generator.random::<f64>()).ln()).sqrt();
    (radius * (std::f64::consts::TAU * generator.random::<f64>()).cos()) as f32
}

/// FNV-1a of a Hub name: the same in every process and on every machine.
fn name_hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Builds parameters on a device from a source, keeping track of the name of the module under construction.
pub(crate) struct Builder<'a> {
    source: &'a mut dyn WeightSource,
    device: &'a Device,
    path: Vec<String>,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(source: &'a mut dyn WeightSource, device: &'a Device) -> Self {
        Self { source, device, path: Vec::new() }
    }

    /// Builds a child module under `name`.
    pub(crate) fn child<T>(
        &mut self,
        name: impl std::fmt::Display,
        build: impl FnOnce(&mut Self) -> Result<T, ModelError>,
    ) -> Result<T, ModelError> {
        self.path.push(name.to_string());
        let module = build(self);
        self.path.pop();
        module
    }

    /// The parameter `name` of the module under construction.
    pub(crate) fn param<const D: usize>(
        &mut self,
        name: &str,
        shape: [usize; D],
        init: Init,
    ) -> Result<Param<Tensor<D>>, ModelError> {
        let name = format!("{}.{name}", self.path.join("."));
        let data = self.source.take(&name, &shape, init)?;
        let mut param = Param::from_tensor(Tensor::from_data(data, self.device));
        param.id = ParamId::from(name_hash(&name));
        Ok(param)
    }
}
