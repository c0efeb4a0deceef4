//! What a run did, put on a page: its curves and responses, the images its contrasts drew, and its responses scored again by
//! another recipe or checkpoint.
//!
//! Nothing of the run is written, and it may be going on. What of its data is gone is left out, and the page says so.

mod originals;
mod other;
mod pictures;
mod rescore;
mod run_folder;
mod steps;

use std::collections::BTreeMap;
use std::path::PathBuf;

use burn::tensor::Device;
use dependency::DependencyMetric as _;
use inspector::{Comparison, GroupPictures, Page, Rollout};
use rayon::prelude::*;
use vlm_model::Precision;

use self::originals::Originals;
use self::other::{Policy, Scoring};
use self::pictures::{Painter, missing};
use self::rescore::{Judge, contrast_seed};
use self::run_folder::{Era, RunFolder, StepRecords};
use crate::TrainError;
use crate::config::TrainConfig;
use crate::device::{device, device_for};
use crate::recipe::Recipe;

pub use other::Other;
pub use steps::Steps;

/// What is to be shown of a run.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// The run's folder.
    pub run: PathBuf,
    /// Steps whose responses are shown; `None` takes all that were recorded.
    pub steps: Option<Steps>,
    /// Responses shown, at most, but for one group that has more: whole groups, as many of one step as of another, from the first
    /// of each; evenly spaced steps if there are more than groups fit.
    pub limit: usize,
    /// Whether images are shown: those of the problems as the model sees them, and each contrast's. Larger ones than 512 × 512
    /// pixels in area are reduced to it.
    pub images: bool,
    /// What the responses are scored by again.
    pub others: Vec<Other>,
    /// Where they are; `None` takes the run's own device.
    pub device: Option<String>,
}

/// Responses scored again, by step, group and place in the group; each with the number of what scored it.
type Compared = BTreeMap<(usize, usize, usize), Vec<(usize, Comparison)>>;

/// Who scores a step again: the comparison's place, its policy, and the step's records.
type Planned<'a> = (usize, Policy, &'a StepRecords);

impl Inspection {
    /// Reads the run and makes the page.
    ///
    /// Images of problems that are gone or have changed are left out. Scoring again takes the groups of a step whose tokens were
    /// recorded; where they are not all of them, what a recipe takes over the whole optimizer batch is taken over those, and the
    /// comparison's name says how many they are. A recipe's accuracy band plays no part: the groups are those the run trained on.
    ///
    /// # Errors
    /// If the folder holds no run, a file of it cannot be understood, or there is no such recipe, checkpoint or device.
    pub fn page(&self) -> Result<Page, TrainError> {
        let run = RunFolder::open(&self.run)?;
        let find = |other| Scoring::find(other, &run.path, &run.config.model, &run.recipe);
        let scorings = self.others.iter().map(find).collect::<Result<Vec<_>, _>>()?;
        let mut chosen = run.choose(self.steps.as_ref(), self.limit)?;
        if scorings.is_empty() {
            chosen.steps.iter_mut().for_each(|step| step.records.truncate(step.shown));
        }
        let mut notes: Vec<String> = chosen.left_out.into_iter().collect();
        let mut originals = BTreeMap::new();
        for step in &chosen.steps {
            let era = run.era(step.step);
            originals.entry(era).or_insert_with(|| Originals::open(&run.config_of(era).data));
        }
        let mut drawn = Vec::new();
        for steps in chosen.steps.chunk_by(|a, b| run.era(a.step) == run.era(b.step)).filter(|_| self.images) {
            let era = run.era(steps[0].step);
            if let Some(originals) = originals.get_mut(&era) {
                drawn.extend(pictures(run.config_of(era), run.recipe_of(era), steps, originals, &mut notes)?);
            }
        }
        let mut compared = self.compare(&run, &chosen.steps, &scorings, &mut originals, &mut notes)?;
        let rollouts =
            chosen.steps.into_iter().flat_map(|step| step.records.into_iter().take(step.shown)).map(|record| {
                let mut again = compared.remove(&(record.step, record.group, record.response)).unwrap_or_default();
                again.sort_by_key(|&(asked, _)| asked);
                Rollout { record, compared: again.into_iter().map(|(_, comparison)| comparison).collect() }
            });
        let rollouts = rollouts.collect();
        for note in &notes {
            tracing::warn!("{note}");
        }
        let name = run.path.canonicalize().unwrap_or_else(|_| run.path.clone());
        let name = name.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let remarks: String = notes.iter().map(|note| format!("# {}\n", note.replace(char::is_control, " "))).collect();
        Ok(Page {
            title: format!("{name}: {}", run.recipe),
            configuration: format!("{remarks}{}", run.configuration),
            metrics: run.metrics()?,
            rollouts,
            pictures: drawn,
        })
    }

    /// Scores the chosen steps by everything they are compared with. A policy is loaded once for all of them.
    fn compare(
        &self,
        run: &RunFolder,
        steps: &[StepRecords],
        scorings: &[Scoring],
        originals: &mut BTreeMap<Era, Originals>,
        notes: &mut Vec<String>,
    ) -> Result<Compared, TrainError> {
        let mut planned: BTreeMap<(PathBuf, Precision), Vec<Planned>> = BTreeMap::new();
        for (index, scoring) in scorings.iter().enumerate() {
            for step in steps {
                let policy = scoring.policy(step.step, &run.path, &run.config.model)?;
                let precision = run.config_of(run.era(step.step)).precision;
                planned.entry((policy.folder.clone(), precision)).or_default().push((index, policy, step));
            }
        }
        let mut compared = Compared::new();
        if planned.is_empty() {
            return Ok(compared);
        }
        let config = &run.config;
        let name = self.device.as_ref().unwrap_or(&config.device);
        let device: Device = device(name)?;
        let processors = originals.keys().map(|&era| {
            let config = run.config_of(era);
            Ok((era, config.data.processor(&config.model)?))
        });
        let processors = processors.collect::<Result<BTreeMap<_, _>, TrainError>>()?;
        let needs_reference = scorings.iter().any(|scoring| scoring.algorithm.scores_reference());
        let reference = needs_reference.then(|| vlm_model::load(&config.model, &device)).transpose()?;
        for ((folder, precision), steps) in planned {
            let device = device_for(name, precision)?;
            let reference = reference.as_ref().map(|reference| reference.in_precision(precision));
            let policy = match vlm_model::load(&folder, &device) {
                Err(error) if !folder.exists() => {
                    notes.push(format!("not compared with a checkpoint that the run has removed: {error}"));
                    continue;
                }
                loaded => &loaded?.in_precision(precision),
            };
            for (index, named, step) in steps {
                let scoring = &scorings[index];
                let algorithm = &scoring.algorithm;
                let reference = reference.as_ref().filter(|_| algorithm.scores_reference());
                let era = run.era(step.step);
                let (Some(processor), Some(originals)) = (processors.get(&era), originals.get_mut(&era)) else {
                    continue;
                };
                let judge = Judge { config: run.config_of(era), processor, policy, reference, algorithm };
                let rebuilt = match judge.rebuild(&step.records, originals) {
                    Ok(rebuilt) => rebuilt,
                    Err(reason) => {
                        notes.push(format!("step {} is not scored again: {reason}", step.step));
                        continue;
                    }
                };
                let lost = rebuilt.missing.iter();
                notes.extend(lost.map(|reason| format!("step {}: not all is scored again: {reason}", step.step)));
                let groups = step.records.last().map_or(0, |record| record.group + 1);
                let name = scoring.name(&named, rebuilt.scored, groups);
                for (record, tokens) in step.records.iter().zip(judge.score(step.step, rebuilt)?) {
                    let place = (record.step, record.group, record.response);
                    let again = tokens.map(|tokens| (index, Comparison { name: name.clone(), tokens }));
                    compared.entry(place).or_default().extend(again);
                }
            }
        }
        Ok(compared)
    }
}

/// The pictures of the groups that are shown, of steps taken with one configuration and recipe. Where there are none, a blank
/// says why.
fn pictures(
    config: &TrainConfig,
    recipe: &Recipe,
    steps: &[StepRecords],
    originals: &mut Originals,
    notes: &mut Vec<String>,
) -> Result<Vec<GroupPictures>, TrainError> {
    let processor = match config.data.processor(&config.model) {
        Ok(processor) => processor,
        Err(error) => {
            notes.push(format!("images are not shown: {error}"));
            return Ok(Vec::new());
        }
    };
    let contrasts = recipe.dependency.as_ref().map_or(&[][..], |metric| metric.contrasts());
    let shown = steps.iter().flat_map(|step| step.records[..step.shown].chunk_by(|a, b| a.group == b.group));
    let asked: Vec<_> = shown.map(|records| (records, originals.problem(&records[0]))).collect();
    let drawn: Vec<(GroupPictures, Option<String>)> = asked
        .into_par_iter()
        .map(|(records, problem)| {
            let (step, group) = (records[0].step, records[0].group);
            let painter = Painter { processor: &processor.image, contrasts, seed: contrast_seed(config.seed, step) };
            let pictures =
                problem.and_then(|problem| painter.pictures(&problem, records).map_err(|error| error.to_string()));
            let reason = pictures.as_ref().err().cloned();
            let pictures = pictures.unwrap_or_else(|reason| missing(&reason));
            (GroupPictures { step, group, pictures }, reason)
        })
        .collect();
    let lost: Vec<&String> = drawn.iter().filter_map(|(_, reason)| reason.as_ref()).collect();
    if let Some(first) = lost.first() {
        notes.push(format!("{} of {} groups are shown without their images: {first}", lost.len(), drawn.len()));
    }
    Ok(drawn.into_iter().map(|(pictures, _)| pictures).collect())
}
