//! A question about images, as `generate` and `score` take it.

use std::path::PathBuf;

use burn::tensor::{Device, Tensor};
use clap::Args;
use image::RgbImage;
use trainer::TrainError;
use vlm_model::image_input::{Decoding, ImagePatches, PatchGrid};
use vlm_model::processor::Processor;
use vlm_model::text_input::{Message, Part, Role};
use vlm_model::{Precision, PromptTokens, QwenVl};

/// Model and user turn.
#[derive(Args)]
pub(crate) struct Question {
    /// Checkpoint folder in Hub layout
    #[arg(long)]
    model: PathBuf,
    /// Image file; may be given several times
    #[arg(long)]
    image: Vec<PathBuf>,
    /// Text of the user's turn, after the images
    #[arg(long)]
    prompt: String,
    /// System message instead of the template's own
    #[arg(long)]
    system: Option<String>,
    /// cpu, wgpu or cuda:0
    #[arg(long, default_value = "cpu")]
    device: String,
    /// What layers compute in: f32 or bf16
    #[arg(long, default_value = "f32")]
    precision: Precision,
}

/// A loaded model with the question laid out for it.
pub(crate) struct Asked {
    pub(crate) model: QwenVl,
    pub(crate) processor: Processor,
    pub(crate) prompt: PromptTokens,
    pub(crate) images: Vec<RgbImage>,
    pub(crate) patches: Vec<ImagePatches>,
    pub(crate) features: Option<Tensor<2>>,
}

impl Question {
    pub(crate) fn ask(&self) -> Result<Asked, TrainError> {
        let device: Device = trainer::device_for(&self.device, self.precision)?;
        let decoding = Decoding::default();
        let images: Vec<RgbImage> = self.image.iter().map(|path| decoding.file(path)).collect::<Result<_, _>>()?;
        let processor = Processor::from_folder(&self.model)?;
        let model = vlm_model::load(&self.model, &device)?.in_precision(self.precision);
        let mut content = vec![Part::Image; images.len()];
        content.push(Part::Text(self.prompt.clone()));
        let mut messages = vec![Message { role: Role::User, content }];
        if let Some(system) = &self.system {
            messages.insert(0, Message::text(Role::System, system.clone()));
        }
        let prompt = processor.prompt(&messages, &images)?;
        let patches = prompt.images;
        let grids: Vec<PatchGrid> = patches.iter().map(|image| image.grid).collect();
        let features = model.image_features(&patches.iter().collect::<Vec<_>>());
        let prompt = PromptTokens::new(prompt.ids, &grids, &model.config)?;
        Ok(Asked { model, processor, prompt, images, patches, features })
    }
}
