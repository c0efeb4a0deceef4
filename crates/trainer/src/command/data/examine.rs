//! Reading every problem as training would.

use std::collections::{HashMap, hash_map::DefaultHasher};
use std::hash::{Hash as _, Hasher as _};
use std::path::Path;

use dataset::{DatasetError, ImageSource, Place, Problem};
use image::RgbImage;
use rayon::prelude::*;
use trainer::{DataConfig, Problems, TrainError, bare, decode, prepare};
use vlm_model::processor::Processor;
use vlm_model::{ModelConfig, ModelError};

use super::report::{Finding, Kind, Report};

/// Problems in memory at once.
const CHUNK: usize = 64;

/// Reads problems and looks at them.
pub(super) struct Examiner {
    data: DataConfig,
    problems: Problems,
    model: Option<(Processor, ModelConfig)>,
}

/// What was seen of one problem.
struct Seen {
    /// Width and height of each image.
    sizes: Vec<(u32, u32)>,
    /// Tokens of the prompt, if a model counted them.
    tokens: Option<usize>,
    /// Differs between problems, as far as 64 bits go.
    identity: u64,
    understood: bool,
    category: Option<String>,
    place: Place,
}

impl Examiner {
    pub(super) fn new(data: DataConfig, model: Option<&Path>) -> Result<Self, TrainError> {
        let problems = data.open(&data.train)?;
        let model = model.map(|folder| Ok((Processor::from_folder(folder)?, ModelConfig::from_folder(folder)?)));
        Ok(Self { problems, data, model: model.transpose().map_err(|error: ModelError| TrainError::from(error))? })
    }

    /// Looks at all problems.
    pub(super) fn report(&self) -> Result<Report, TrainError> {
        let limit = self.model.as_ref().map(|_| self.data.max_prompt_tokens);
        let mut report = Report::new(self.data.train.parts().map(str::to_owned).collect(), limit);
        let mut known: HashMap<u64, Place> = HashMap::new();
        for start in (0..self.problems.len()).step_by(CHUNK) {
            let rows = start..self.problems.len().min(start + CHUNK);
            // Read in order, which is cheap, and looked at side by side.
            let read: Vec<_> = rows.map(|index| self.problems.dataset().problem(index)).collect();
            let seen: Vec<Result<Seen, TrainError>> =
                read.into_par_iter().map(|problem| self.look(&problem?)).collect();
            for seen in seen {
                report.problems += 1;
                match seen {
                    Ok(seen) => count(seen, &mut report, &mut known),
                    Err(error) => {
                        let Some(place) = error.place() else { return Err(error) };
                        let (place, kind) = (place.to_string(), kind(&error));
                        report.add(Finding { place, kind, message: error.to_string() });
                    }
                }
            }
        }
        Ok(report)
    }

    /// Does what training does with a problem before it is answered.
    fn look(&self, problem: &Problem) -> Result<Seen, TrainError> {
        let named = |source| TrainError::Problem { place: problem.place.clone(), source: Box::new(source) };
        let (images, tokens): (Vec<RgbImage>, _) = match &self.model {
            Some((processor, model)) => {
                let task = prepare(problem, processor, model, &self.data)?;
                (task.images, Some(task.prompt.ids.len()))
            }
            None => {
                let render = self.data.template.render(&problem.problem);
                render.map_err(|source| TrainError::Template {
                    place: problem.place.clone(),
                    source: Box::new(source),
                })?;
                (problem.images.iter().map(decode).collect::<Result<_, _>>().map_err(named)?, None)
            }
        };
        Ok(Seen {
            sizes: images.iter().map(RgbImage::dimensions).collect(),
            tokens,
            identity: identity(problem).map_err(named)?,
            understood: grader::is_understood(bare(&problem.answer)),
            category: problem.category.clone(),
            place: problem.place.clone(),
        })
    }
}

/// Counts a problem that can be used.
fn count(seen: Seen, report: &mut Report, known: &mut HashMap<u64, Place>) {
    let place = seen.place.to_string();
    report.usable += 1;
    report.without_images += usize::from(seen.sizes.is_empty());
    for (width, height) in seen.sizes {
        report.widths.push(width.into());
        report.heights.push(height.into());
        report.pixels.push(u64::from(width) * u64::from(height));
    }
    report.tokens.extend(seen.tokens.map(|tokens| tokens as u64));
    if let Some(category) = seen.category {
        *report.categories.entry(category).or_default() += 1;
    }
    if !seen.understood {
        let message = format!("{place}: the grader does not understand the answer and will compare it as text");
        report.add(Finding { place: place.clone(), kind: Kind::AnswerNotUnderstood, message });
    }
    match known.get(&seen.identity) {
        Some(first) => {
            let message = format!("{place}: the same text and images as {first}");
            report.add(Finding { place, kind: Kind::Duplicate, message });
        }
        None => {
            known.insert(seen.identity, seen.place);
        }
    }
}

/// A number that is the same for the same text and the same images.
fn identity(problem: &Problem) -> Result<u64, ModelError> {
    let mut hasher = DefaultHasher::new();
    (&problem.system, &problem.problem).hash(&mut hasher);
    for image in &problem.images {
        match image {
            ImageSource::Bytes(bytes) => bytes.hash(&mut hasher),
            ImageSource::File(path) => {
                let read = std::fs::read(path);
                read.map_err(|source| ModelError::ReadFile { path: path.clone(), source })?.hash(&mut hasher);
            }
        }
    }
    Ok(hasher.finish())
}

fn kind(error: &TrainError) -> Kind {
    match error {
        TrainError::PromptTooLong { .. } => Kind::PromptTooLong,
        TrainError::Dataset(DatasetError::MarkerCount { .. }) => Kind::MarkerMismatch,
        TrainError::Dataset(
            DatasetError::MissingImage { .. }
            | DatasetError::RemoteImage { .. }
            | DatasetError::NoImage { .. }
            | DatasetError::ImageOutside { .. },
        ) => Kind::ImageMissing,
        TrainError::Dataset(DatasetError::ImageBytes { .. }) => Kind::ImageTooLarge,
        TrainError::Problem { source, .. } => of_model(source),
        _ => Kind::MalformedRow,
    }
}

fn of_model(error: &ModelError) -> Kind {
    match error {
        ModelError::ImageFile { source, .. } => of_model(source),
        ModelError::ImageTooLarge { .. } | ModelError::ImageBytes { .. } => Kind::ImageTooLarge,
        ModelError::SpecialTokenInText { .. } | ModelError::ImageCount { .. } => Kind::MalformedRow,
        _ => Kind::ImageUnreadable,
    }
}
