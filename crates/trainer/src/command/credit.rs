//! `sightline credit`: the algorithms as a filter for any language.

use std::io::{BufRead as _, stdin};

use advantage::{Evidence, Groups};
use burn::tensor::{Bool, Device, Tensor, TensorData};
use clap::Args;
use serde::{Deserialize, Serialize};
use trainer::{Algorithm, Ragged, Recipe, TrainError};

use super::print;

/// Arguments of `credit`.
#[derive(Args)]
pub(crate) struct Credit {
    /// Recipe: a built-in name or a file
    #[arg(long)]
    recipe: String,
    /// cpu, wgpu or cuda:0
    #[arg(long, default_value = "cpu")]
    device: String,
}

/// One optimizer batch.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    /// Reward of each response.
    rewards: Vec<f32>,
    /// Sizes of consecutive groups.
    groups: Vec<usize>,
    /// Length of each response.
    tokens: Vec<usize>,
    /// Dependency of each token; null for a response to a prompt without an image.
    dependency: Option<Vec<Option<Vec<f32>>>>,
}

#[derive(Serialize)]
struct Assigned {
    advantage: Vec<Vec<f32>>,
    gate: Vec<Vec<f32>>,
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
            let assigned = assign(&algorithm, batch, &device)
                .map_err(|error| TrainError::Usage(format!("{}: {error}", place())))?;
            print(&serde_json::to_string(&assigned).map_err(|source| TrainError::Json { place: place(), source })?)?;
        }
        Ok(())
    }
}

fn assign(algorithm: &Algorithm, batch: Batch, device: &Device) -> Result<Assigned, TrainError> {
    let responses = batch.rewards.len();
    let rows = Ragged::new(batch.tokens);
    if rows.rows() != responses {
        return Err(TrainError::Usage(format!("{responses} rewards but {} token counts", rows.rows())));
    }
    if responses == 0 {
        return Ok(Assigned { advantage: Vec::new(), gate: Vec::new() });
    }
    let (dependency, visual) = match batch.dependency {
        Some(dependency) => {
            let (values, visual) = packed(dependency, &rows)?;
            let count = values.len();
            (Some(rows.pad(Tensor::from_data(TensorData::new(values, [count]), device))), visual)
        }
        None => (None, vec![true; responses]),
    };
    let evidence = Evidence::new(
        Tensor::from_data(TensorData::new(batch.rewards, [responses]), device),
        Groups::new(batch.groups)?,
        rows.mask(device),
    )?
    .with_visual(Tensor::<1, Bool>::from_data(TensorData::new(visual, [responses]), device))?;
    let evidence = match dependency {
        Some(dependency) => evidence.with_dependency(dependency)?,
        None => evidence,
    };
    let credit = advantage::assign(&*algorithm.estimator, &algorithm.shapers, &evidence)?;
    let ragged = |x: Tensor<2>| rows.split(&rows.pack(x).into_data().iter::<f32>().collect::<Vec<f32>>());
    Ok(Assigned { advantage: ragged(credit.advantage), gate: ragged(credit.gate) })
}

/// Packs ragged dependencies, zeros where there is no image, and says which responses have one.
fn packed(dependency: Vec<Option<Vec<f32>>>, rows: &Ragged) -> Result<(Vec<f32>, Vec<bool>), TrainError> {
    if dependency.len() != rows.rows() {
        return Err(TrainError::Usage(format!(
            "{} rows of dependency for {} responses",
            dependency.len(),
            rows.rows()
        )));
    }
    let visual = dependency.iter().map(Option::is_some).collect();
    let mut values = Vec::with_capacity(rows.tokens());
    for (row, (scores, &length)) in dependency.into_iter().zip(rows.lengths()).enumerate() {
        let scores = scores.unwrap_or_else(|| vec![0.0; length]);
        if scores.len() != length {
            let text = format!("response {row} has {length} tokens but {} dependency scores", scores.len());
            return Err(TrainError::Usage(text));
        }
        values.extend(scores);
    }
    Ok((values, visual))
}
