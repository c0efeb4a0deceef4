//! Problems made into prompts.

use dataset::{ImageSource, Place, Problem};
use image::RgbImage;
use reward::{Truth, boxed_content};
use vlm_model::image_input::{Decoding, ImagePatches, PatchGrid};
use vlm_model::processor::Processor;
use vlm_model::text_input::{Message, Role};
use vlm_model::{ModelConfig, ModelError, PromptTokens};

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
    /// The right answer, without a box around it.
    pub truth: Truth,
    /// The problem's text.
    pub problem: String,
    /// Where it stands; `None` if it was made up.
    pub place: Option<Place>,
    /// Its number in its data set, from 0; `None` outside of one.
    pub index: Option<usize>,
}

/// Reads a problem's images and lays out its prompt through the data's template and the checkpoint's own processor and chat template.
///
/// An answer that is one `\\boxed{}` and nothing else, as some data sets write it, becomes what stands in the box.
///
/// # Errors
/// If an image cannot be read, the template fails, or the prompt is longer than allowed; the error names the problem's place.
pub fn prepare(
    problem: &Problem,
    processor: &Processor,
    model: &ModelConfig,
    data: &DataConfig,
) -> Result<Task, TrainError> {
    let place = || problem.place.clone();
    let named = |source| TrainError::Problem { place: place(), source: Box::new(source) };
    let images: Vec<RgbImage> = problem.images.iter().map(decode).collect::<Result<_, _>>().map_err(named)?;
    let text = data.template.render(&problem.problem);
    let text = text.map_err(|source| TrainError::Template { place: place(), source: Box::new(source) })?;
    let mut messages = vec![Processor::user_message(&text)];
    if let Some(system) = &problem.system {
        messages.insert(0, Message::text(Role::System, system.clone()));
    }
    let prompt = processor.prompt(&messages, &images).map_err(named)?;
    let (tokens, limit) = (prompt.ids.len(), data.max_prompt_tokens);
    if tokens > limit {
        return Err(TrainError::PromptTooLong { place: place(), tokens, limit });
    }
    let grids: Vec<PatchGrid> = prompt.images.iter().map(|image| image.grid).collect();
    Ok(Task {
        prompt: PromptTokens::new(prompt.ids, &grids, model).map_err(named)?,
        images,
        patches: prompt.images,
        truth: Truth { answer: bare(&problem.answer).to_owned() },
        problem: problem.problem.clone(),
        place: Some(place()),
        index: None,
    })
}

/// Decodes an image, within the default limits.
///
/// # Errors
/// The file cannot be read, or the image is damaged, of an unknown format or too large.
pub fn decode(image: &ImageSource) -> Result<RgbImage, ModelError> {
    let decoding = Decoding::default();
    match image {
        ImageSource::File(path) => decoding.file(path),
        ImageSource::Bytes(bytes) => decoding.bytes(bytes),
    }
}

/// An answer without the box around the whole of it.
#[must_use]
pub fn bare(answer: &str) -> &str {
    let inside = answer.trim().strip_prefix(r"\boxed{").and_then(|rest| rest.strip_suffix('}')).map(str::trim);
    inside.filter(|inside| boxed_content(answer) == Some(inside)).unwrap_or(answer)
}

#[cfg(test)]
mod tests {
    use super::bare;

    #[test]
    fn a_box_around_the_whole_answer_falls_off() {
        for (answer, expected) in [
            (r"\boxed{12}", "12"),
            (r" \boxed{ \frac{1}{2} } ", r"\frac{1}{2}"),
            ("12", "12"),
            (r"\boxed{1} or \boxed{2}", r"\boxed{1} or \boxed{2}"),
            (r"\boxed{1}{2}", r"\boxed{1}{2}"),
            (r"x = \boxed{1}", r"x = \boxed{1}"),
            (r"\boxed{1", r"\boxed{1"),
        ] {
            assert_eq!(bare(answer), expected, "{answer}");
        }
    }
}
