//! Problems made into prompts.

use dataset::Problem;
use image::RgbImage;
use reward::Truth;
use vlm_model::image_input::{Decoding, ImagePatches, PatchGrid};
use vlm_model::processor::Processor;
use vlm_model::{ModelConfig, PromptTokens};

use crate::TrainError;
use crate::config::DataConfig;

/// A problem, ready to be answered.
#[derive(Clone, Debug)]
pub struct Task {
    /// The prompt, laid out for the model.
    pub prompt: PromptTokens,
    /// Its images as decoded, for contrast views.
    pub images: Vec<RgbImage>,
    /// Its images as the model sees them.
    pub patches: Vec<ImagePatches>,
    /// The right answer.
    pub truth: Truth,
    /// The problem's text.
    pub problem: String,
}

/// Reads a problem's images and lays out its prompt through the checkpoint's own processor and chat template.
///
/// # Errors
/// If an image cannot be read, or the prompt is longer than allowed; the error names the problem's line.
pub fn prepare(
    problem: &Problem,
    processor: &Processor,
    model: &ModelConfig,
    data: &DataConfig,
) -> Result<Task, TrainError> {
    let named = |source| TrainError::Problem { line: problem.line, source };
    let decoding = Decoding::default();
    let images: Vec<RgbImage> =
        problem.images.iter().map(|path| decoding.file(path)).collect::<Result<_, _>>().map_err(named)?;
    let text = match data.instruction.as_str() {
        "" => problem.problem.clone(),
        instruction => format!("{}\n\n{instruction}", problem.problem),
    };
    let prompt = processor.prompt(&[Processor::user_message(&text)], &images).map_err(named)?;
    let (tokens, limit) = (prompt.ids.len(), data.max_prompt_tokens);
    if tokens > limit {
        return Err(TrainError::PromptTooLong { line: problem.line, tokens, limit });
    }
    let grids: Vec<PatchGrid> = prompt.images.iter().map(|image| image.grid).collect();
    Ok(Task {
        prompt: PromptTokens::new(prompt.ids, &grids, model).map_err(named)?,
        images,
        patches: prompt.images,
        truth: Truth { answer: problem.answer.clone() },
        problem: problem.problem.clone(),
    })
}
