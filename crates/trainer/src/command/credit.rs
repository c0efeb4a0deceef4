//! `sightline credit`: the algorithms as a filter for any language.

mod batch;

use std::io::{BufRead as _, stdin};

use advantage::{CreditError, Evidence, Groups};
use burn::tensor::{Bool, Device, Tensor, TensorData};
use clap::Args;
use serde::Serialize;
use trainer::{Algorithm, Ragged, Recipe, TrainError};

use self::batch::{Batch, Measured};
use super::print;

/// Arguments of `credit`.
#[derive(Args)]
#[command(after_help = INPUT)]
pub(crate) struct Credit {
    /// Recipe: a built-in name or a file
    #[arg(long)]
    recipe: String,
    /// cpu, wgpu or cuda:0
    #[arg(long, default_value = "cpu")]
    device: String,
}

const INPUT: &str = "\
A line of input is a JSON object, one optimizer batch:
  rewards        reward of each response
  groups         sizes of consecutive groups, one group for each prompt
  tokens         number of tokens of each response
and, as far as the recipe reads it, a list with a number for each token, of each response:
  dependency     how much it depends on the image; null for a response to a prompt without an image
  entropy        entropy of the distribution it was drawn from
  token_rewards  what it earned by itself, such as a penalty for leaving a reference policy
In the place of the dependency, what the recipe's metric makes it from:
  divergences    for each of its contrasts, such a list of divergences
  log_probs      {\"clean\": such a list, \"contrasts\": such a list for each contrast}: log-probabilities of the tokens
And for shapers that change with training:
  progress       how far it has come, 0 to 1 [default: 1]

A line of output has the advantage and the gate of each token, and the dependency if it was made here. What a recipe does
with whole groups and responses (its accuracy band, its overlong filter) is left to the caller.";

/// Tokens of a batch, padding included: a tensor of a gibibyte.
const MOST_CELLS: usize = 1 << 28;

#[derive(Serialize)]
struct Assigned {
    advantage: Vec<Vec<f32>>,
    gate: Vec<Vec<f32>>,
    /// Null for a response to a prompt without an image.
    #[serde(skip_serializing_if = "Option::is_none")]
    dependency: Option<Vec<Option<Vec<f32>>>>,
}

impl Credit {
    pub(crate) fn run(self) -> Result<(), TrainError> {
        let algorithm = Recipe::find(&self.recipe)?.build();
        let device = trainer::device(&self.device)?;
        for (index, line) in stdin().lock().lines().enumerate() {
            let line =
                line.map_err(|source| TrainError::File { action: "read", path: "standard input".into(), source })?;
            if line.trim().is_empty() {
                continue;
            }
            let place = || format!("line {}", index + 1);
            let batch: Batch =
                serde_json::from_str(&line).map_err(|source| TrainError::Json { place: place(), source })?;
            let assigned = assign(&algorithm, &batch, &device)
                .map_err(|error| TrainError::Usage(format!("{}: {error}", place())))?;
            print(&serde_json::to_string(&assigned).map_err(|source| TrainError::Json { place: place(), source })?)?;
        }
        Ok(())
    }
}

fn assign(algorithm: &Algorithm, batch: &Batch, device: &Device) -> Result<Assigned, TrainError> {
    let responses = batch.rewards.len();
    let rows = Ragged::new(batch.tokens.clone());
    if rows.rows() != responses {
        let text = format!("{responses} rewards but {} token counts; give one of each for a response", rows.rows());
        return Err(TrainError::Usage(text));
    }
    let cells = rows.longest().checked_mul(responses).filter(|&cells| cells <= MOST_CELLS);
    if cells.is_none() {
        let text = format!(
            "{responses} responses, the longest of {} tokens, are more than {MOST_CELLS} with padding; split the batch",
            rows.longest()
        );
        return Err(TrainError::Usage(text));
    }
    if responses == 0 {
        let dependency = batch.has_parts_of_dependency().then(Vec::new);
        return Ok(Assigned { advantage: Vec::new(), gate: Vec::new(), dependency });
    }
    let measured = batch.dependency(algorithm, &rows, device)?;
    let mut evidence = Evidence::new(
        Tensor::from_data(TensorData::new(batch.rewards.clone(), [responses]), device),
        Groups::new(batch.groups.clone())?,
        rows.mask(device),
    )?;
    if let Some(progress) = batch.progress {
        evidence = evidence.with_progress(progress);
    }
    if let Some(Measured { dependency, visual }) = &measured {
        let visual = Tensor::<1, Bool>::from_data(TensorData::new(visual.clone(), [responses]), device);
        evidence = evidence.with_visual(visual)?.with_dependency(dependency.clone())?;
    }
    if let Some(entropy) = batch.entropy(&rows, device)? {
        evidence = evidence.with_entropy(entropy)?;
    }
    if let Some(token_rewards) = batch.token_rewards(&rows, device)? {
        evidence = evidence.with_token_rewards(token_rewards)?;
    }
    let credit =
        advantage::assign(&*algorithm.estimator, &algorithm.shapers, &evidence).map_err(|error| match error {
            CreditError::MissingDependency { shaper } => TrainError::Usage(format!(
                "the {shaper} shaper of {} reads the dependency; give `dependency`, `divergences` or `log_probs`",
                algorithm.recipe
            )),
            CreditError::MissingEntropy { shaper } => TrainError::Usage(format!(
                "the {shaper} shaper of {} reads the entropy; give `entropy`",
                algorithm.recipe
            )),
            error => error.into(),
        })?;
    let ragged = |x: Tensor<2>| rows.split(&rows.pack(x).into_data().iter::<f32>().collect::<Vec<f32>>());
    let dependency = measured.filter(|_| batch.has_parts_of_dependency()).map(|Measured { dependency, visual }| {
        ragged(dependency).into_iter().zip(visual).map(|(row, visual)| visual.then_some(row)).collect()
    });
    let (advantage, gate) = (ragged(credit.advantage), ragged(credit.gate));
    let unknown = |row: &Vec<f32>| row.iter().any(|value| !value.is_finite());
    if let Some(response) = (0..responses).find(|&row| unknown(&advantage[row]) || unknown(&gate[row])) {
        return Err(TrainError::Usage(format!(
            "the credit of response {response} is not a finite number; look for a reward too large to square, or a \
             dependency of -1 or less where a shaper takes its logarithm"
        )));
    }
    Ok(Assigned { advantage, gate, dependency })
}
