//! A check: something to be computed on a device.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::tensor::{Device, Tensor};

use super::Through;
use super::compare::Tolerance;
use crate::TrainError;

/// How much is examined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// What every run needs: arithmetic, the model's forward and backward pass, the optimizer.
    Quick,
    /// Every divergence, metric, estimator and shaper besides.
    Full,
}

/// Values that a check computed.
pub(super) struct Output {
    /// What they are.
    pub(super) name: String,
    /// What the device made of it.
    pub(super) values: Vec<f32>,
    /// The answer, if the host knows it.
    pub(super) known: Option<Vec<f32>>,
}

impl Output {
    /// Values whose answer is what the CPU computes.
    pub(super) fn new<const D: usize>(name: impl Into<String>, values: Tensor<D>) -> Self {
        Self { name: name.into(), values: values.into_data().iter::<f32>().collect(), known: None }
    }

    /// Values whose answer is known.
    pub(super) fn known<const D: usize>(name: impl Into<String>, values: Tensor<D>, known: Vec<f32>) -> Self {
        Self { known: Some(known), ..Self::new(name, values) }
    }
}

/// Computes something on a device.
pub(super) type Run = dyn Fn(&Device) -> Result<Vec<Output>, TrainError>;

/// Something to be computed on a device, and how far off it may be.
pub(super) struct Check {
    /// What is computed.
    pub(super) name: String,
    /// The least extent of an examination that has it.
    pub(super) extent: Extent,
    /// How far off it may be.
    pub(super) tolerance: Tolerance,
    /// What the program does instead where devices are known to differ; then a difference is no failure.
    pub(super) allowed_for: Option<&'static str>,
    run: Box<Run>,
}

impl Check {
    pub(super) fn new(name: impl Into<String>, extent: Extent, tolerance: Tolerance, run: Box<Run>) -> Self {
        Self { name: name.into(), extent, tolerance, allowed_for: None, run }
    }

    /// The check as one whose failure is known and does no harm.
    pub(super) fn allowed_for(self, remedy: &'static str) -> Self {
        Self { allowed_for: Some(remedy), ..self }
    }

    /// Computes it on a device; what comes of it goes `through`.
    ///
    /// # Errors
    /// Why it could not be computed; the message of a panic among that.
    pub(super) fn run(&self, device: &Device, through: &Through) -> Result<Vec<Output>, String> {
        // What was in use when a backend panicked is dropped; what it keeps in the process may be broken, and further
        // checks show it.
        let attempt = catch_unwind(AssertUnwindSafe(|| {
            let outputs = (self.run)(device)?.into_iter();
            Ok(outputs.map(|output| Output { values: through(&output.name, output.values), ..output }).collect())
        }));
        match attempt {
            Ok(result) => result.map_err(|error: TrainError| error.to_string()),
            Err(payload) => Err(format!("the backend panicked: {}", message(payload.as_ref()))),
        }
    }
}

fn message(payload: &(dyn Any + Send)) -> &str {
    match (payload.downcast_ref::<String>(), payload.downcast_ref::<&str>()) {
        (Some(text), _) => text,
        (None, Some(text)) => text,
        (None, None) => "without a message",
    }
}
