//! A line of input and the tensors in it.

use advantage::Fraction;
use burn::tensor::{Device, Tensor, TensorData};
use dependency::{BuiltInDivergence, Contrast, DependencyMetric};
use serde::Deserialize;
use trainer::{Algorithm, Ragged, TrainError};

/// A number for each token of each response; null for a response that has none.
type Rows = Vec<Option<Vec<f32>>>;

/// One optimizer batch.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Batch {
    /// Reward of each response.
    pub(super) rewards: Vec<f32>,
    /// Sizes of consecutive groups.
    pub(super) groups: Vec<usize>,
    /// Length of each response.
    pub(super) tokens: Vec<usize>,
    /// How far training has come.
    pub(super) progress: Option<Fraction>,
    dependency: Option<Rows>,
    divergences: Option<Vec<Rows>>,
    log_probs: Option<LogProbs>,
    entropy: Option<Vec<Vec<f32>>>,
    token_rewards: Option<Vec<Vec<f32>>>,
}

/// Log-probabilities of the tokens.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogProbs {
    /// With the image as it is.
    clean: Vec<Vec<f32>>,
    /// Under each contrast of the recipe's metric.
    contrasts: Vec<Rows>,
}

/// How much each token depends on the image.
pub(super) struct Measured {
    /// `[responses, longest]`.
    pub(super) dependency: Tensor<2>,
    /// Which responses answer a prompt with an image.
    pub(super) visual: Vec<bool>,
}

impl Batch {
    /// Whether the dependency is to be made from its parts.
    pub(super) const fn has_parts_of_dependency(&self) -> bool {
        self.divergences.is_some() || self.log_probs.is_some()
    }

    /// The entropies, `[responses, longest]`.
    pub(super) fn entropy(&self, rows: &Ragged, device: &Device) -> Result<Option<Tensor<2>>, TrainError> {
        self.entropy.as_deref().map(|table| full("entropy", table, rows, device)).transpose()
    }

    /// The tokens' own rewards, `[responses, longest]`.
    pub(super) fn token_rewards(&self, rows: &Ragged, device: &Device) -> Result<Option<Tensor<2>>, TrainError> {
        self.token_rewards.as_deref().map(|table| full("token_rewards", table, rows, device)).transpose()
    }

    /// The dependency as it was given, or as the recipe's metric makes it from its parts.
    pub(super) fn dependency(
        &self,
        algorithm: &Algorithm,
        rows: &Ragged,
        device: &Device,
    ) -> Result<Option<Measured>, TrainError> {
        match (&self.dependency, &self.divergences, &self.log_probs) {
            (None, None, None) => Ok(None),
            (Some(given), None, None) => {
                let visual = given.iter().map(Option::is_some).collect();
                Ok(Some(Measured { dependency: padded("dependency", given, rows, device)?, visual }))
            }
            (None, Some(given), None) => {
                let (metric, visual) = fitting("divergences", algorithm, given)?;
                let part = |part: &Rows| padded("divergences", part, rows, device);
                let divergences = given.iter().map(part).collect::<Result<Vec<_>, _>>()?;
                Ok(Some(Measured { dependency: metric.score(&divergences, &rows.mask(device))?, visual }))
            }
            (None, None, Some(given)) => {
                let (metric, visual) = fitting("log_probs.contrasts", algorithm, &given.contrasts)?;
                let clean = full("log_probs.clean", &given.clean, rows, device)?;
                let compared = |(contrast, other): (&Contrast, &Rows)| {
                    between(contrast, clean.clone(), padded("log_probs.contrasts", other, rows, device)?)
                };
                let divergences =
                    metric.contrasts().iter().zip(&given.contrasts).map(compared).collect::<Result<Vec<_>, _>>()?;
                Ok(Some(Measured { dependency: metric.score(&divergences, &rows.mask(device))?, visual }))
            }
            _ => Err(TrainError::Usage("give one of `dependency`, `divergences` and `log_probs`".to_owned())),
        }
    }
}

/// The recipe's metric, if it has as many contrasts as were given, and which responses have an image.
fn fitting<'a>(
    what: &str,
    algorithm: &'a Algorithm,
    given: &[Rows],
) -> Result<(&'a dyn DependencyMetric, Vec<bool>), TrainError> {
    let Some(metric) = algorithm.metric.as_deref() else {
        let recipe = &algorithm.recipe;
        return Err(TrainError::Usage(format!("{recipe} measures no dependency; leave out `{what}`")));
    };
    let names: Vec<&str> = metric.contrasts().iter().map(|contrast| contrast.name.as_str()).collect();
    if given.len() != names.len() {
        return Err(TrainError::Usage(format!(
            "{} lists in `{what}`, but the metric of {} has {} contrasts; give a list for each of: {}",
            given.len(),
            algorithm.recipe,
            names.len(),
            names.join(", ")
        )));
    }
    let visual = |part: &Rows| part.iter().map(Option::is_some).collect::<Vec<bool>>();
    let mut parts = given.iter().map(visual);
    let first = parts.next().unwrap_or_default();
    if let Some(odd) = parts.position(|part| part != first) {
        return Err(TrainError::Usage(format!(
            "the lists of {} and {} in `{what}` have their nulls in different places; a response without an image has none",
            names[0],
            names[odd + 1]
        )));
    }
    Ok((metric, first))
}

/// The divergence of a contrast that reads the sampled tokens alone.
fn between(contrast: &Contrast, clean: Tensor<2>, other: Tensor<2>) -> Result<Tensor<2>, TrainError> {
    let whole = |reason: &str| {
        let name = &contrast.name;
        TrainError::Usage(format!("the contrast {name} {reason}; give `divergences` instead of `log_probs`"))
    };
    if !contrast.base.is_clean() {
        return Err(whole("starts from a view of its own"));
    }
    match contrast.divergence {
        BuiltInDivergence::SampledK1(divergence) => Ok(divergence.between(clean, other)),
        BuiltInDivergence::SampledK2(divergence) => Ok(divergence.between(clean, other)),
        BuiltInDivergence::SampledK3(divergence) => Ok(divergence.between(clean, other)),
        BuiltInDivergence::SampledAbsolute(divergence) => Ok(divergence.between(clean, other)),
        BuiltInDivergence::ProbabilityDrop(divergence) => Ok(divergence.between(clean, other)),
        BuiltInDivergence::ForwardKl(_) | BuiltInDivergence::JensenShannon(_) | BuiltInDivergence::Entropy(_) => {
            Err(whole("compares whole distributions"))
        }
    }
}

/// Ragged values as `[responses, longest]`, 0 where a row is null.
fn padded(what: &str, table: &[Option<Vec<f32>>], rows: &Ragged, device: &Device) -> Result<Tensor<2>, TrainError> {
    spread(what, table.iter().map(Option::as_ref), ", null if its prompt has no image", rows, device)
}

/// As [`padded`], where no row may be missing.
fn full(what: &str, table: &[Vec<f32>], rows: &Ragged, device: &Device) -> Result<Tensor<2>, TrainError> {
    spread(what, table.iter().map(Some), "", rows, device)
}

fn spread<'a>(
    what: &str,
    table: impl ExactSizeIterator<Item = Option<&'a Vec<f32>>>,
    or_else: &str,
    rows: &Ragged,
    device: &Device,
) -> Result<Tensor<2>, TrainError> {
    if table.len() != rows.rows() {
        let (found, expected) = (table.len(), rows.rows());
        let text = format!("{found} rows of {what} for {expected} responses; give one for each{or_else}");
        return Err(TrainError::Usage(text));
    }
    let mut values = Vec::with_capacity(rows.tokens());
    for (row, (numbers, &length)) in table.zip(rows.lengths()).enumerate() {
        let Some(numbers) = numbers else {
            values.resize(values.len() + length, 0.0);
            continue;
        };
        if numbers.len() != length {
            let found = numbers.len();
            let text = format!("response {row} has {length} tokens but {found} of {what}; give one for each");
            return Err(TrainError::Usage(text));
        }
        values.extend(numbers);
    }
    let count = values.len();
    Ok(rows.pad(Tensor::from_data(TensorData::new(values, [count]), device)))
}
