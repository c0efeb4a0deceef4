//! Everything that stands between a conversation with images and the model: the checkpoint's processor.

use std::io::ErrorKind;
use std::path::Path;

use image::RgbImage;

use crate::ModelError;
use crate::image_input::{ImagePatches, ImageProcessor};
use crate::limits::{MAX_TOKENIZER_BYTES, read};
use crate::text_input::{ChatTemplate, Message, Part, RenderOptions, Role, Tokenizer};

const IMAGE_PAD: &str = "<|image_pad|>";
/// Marks the place of an image in the text of a problem.
const IMAGE_MARKER: &str = "<image>";

/// Files that make up a processor, and the settings it generates with. A checkpoint has some of them.
const FILES: [&str; 12] = [
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
    "merges.txt",
    "preprocessor_config.json",
    "processor_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "video_preprocessor_config.json",
    "vocab.json",
];

/// The three readers of a checkpoint, and the token that binds them together.
#[derive(Clone, Debug)]
pub struct Processor {
    /// Images to patches.
    pub image: ImageProcessor,
    /// Text to ids.
    pub tokenizer: Tokenizer,
    /// Messages to text.
    pub template: ChatTemplate,
    image_pad: u32,
}

/// The files of a checkpoint's processor and its `generation_config.json`, as bytes: they can be written beside other weights
/// whatever has become of the checkpoint since.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessorFiles(Vec<(&'static str, Vec<u8>)>);

/// What the model is given.
#[derive(Clone, Debug, PartialEq)]
pub struct Prompt {
    /// Token ids. Every image stands there as a run of [`image pads`](Processor::image_pad), one per merged patch.
    pub ids: Vec<u32>,
    /// The images in the order of their runs.
    pub images: Vec<ImagePatches>,
}

impl ProcessorFiles {
    /// Reads those that a checkpoint folder has.
    ///
    /// # Errors
    /// One is there and cannot be read, or is larger than any of them is.
    pub fn read(folder: &Path) -> Result<Self, ModelError> {
        let mut files = Vec::new();
        for name in FILES {
            let path = folder.join(name);
            match read(&path, MAX_TOKENIZER_BYTES) {
                Ok(bytes) => files.push((name, bytes)),
                Err(ModelError::ReadFile { source, .. }) if source.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self(files))
    }

    /// Writes them into another folder, byte for byte; files of these names there are replaced.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), ModelError> {
        for (name, bytes) in &self.0 {
            let path = folder.join(name);
            std::fs::write(&path, bytes).map_err(|source| ModelError::WriteFile { path, source })?;
        }
        Ok(())
    }
}

impl Processor {
    /// Reads tokenizer, chat template and image settings from a checkpoint.
    ///
    /// # Errors
    /// A file is missing or faulty, or the tokenizer has no `<|image_pad|>`.
    pub fn from_folder(folder: &Path) -> Result<Self, ModelError> {
        let tokenizer = Tokenizer::from_file(&folder.join("tokenizer.json"))?;
        let image_pad = tokenizer.id_of(IMAGE_PAD).ok_or(ModelError::MissingToken { token: IMAGE_PAD })?;
        Ok(Self {
            image: ImageProcessor::from_folder(folder)?,
            tokenizer,
            template: ChatTemplate::from_folder(folder)?,
            image_pad,
        })
    }

    /// The token that holds the place of image features.
    #[must_use]
    pub fn image_pad(&self) -> u32 {
        self.image_pad
    }

    /// The user's message for the text of a problem; every `<image>` in it is the place of an image.
    #[must_use]
    pub fn user_message(problem: &str) -> Message {
        let mut content = Vec::new();
        for (index, text) in problem.split(IMAGE_MARKER).enumerate() {
            if index > 0 {
                content.push(Part::Image);
            }
            if !text.is_empty() {
                content.push(Part::Text(text.to_owned()));
            }
        }
        Message { role: Role::User, content }
    }

    /// Renders and tokenizes `messages`, ready for the assistant's answer, and processes their `images`, given in order.
    ///
    /// # Errors
    /// Messages and images differ in number, a message spells out a special token (which could open another turn or
    /// claim an image), or an image cannot be processed.
    pub fn prompt(&self, messages: &[Message], images: &[RgbImage]) -> Result<Prompt, ModelError> {
        self.require_plain_text(messages)?;
        let text = self.template.render(messages, RenderOptions::default())?;
        let ids = self.tokenizer.encode(&text)?;
        let pads = ids.iter().filter(|&&id| id == self.image_pad).count();
        if pads != images.len() {
            return Err(ModelError::ImageCount { pads, images: images.len() });
        }
        let images = images.iter().map(|image| self.image.patches(image)).collect::<Result<Vec<_>, _>>()?;
        Ok(Prompt { ids: self.expand(&ids, &images), images })
    }

    /// Patches of a changed view of an image already in a prompt.
    ///
    /// A view of the same size has the same grid, so the prompt's ids and positions hold for it too.
    ///
    /// # Errors
    /// As [`ImageProcessor::patches`].
    pub fn patches_for_view(&self, view: &RgbImage) -> Result<ImagePatches, ModelError> {
        self.image.patches(view)
    }

    /// Neighboring texts are looked at together, since the template joins them.
    fn require_plain_text(&self, messages: &[Message]) -> Result<(), ModelError> {
        for (index, message) in messages.iter().enumerate() {
            for run in message.content.split(|part| *part == Part::Image) {
                let joined: String = run.iter().filter_map(Part::as_text).collect();
                if let Some(token) = self.tokenizer.special_token_in(&joined) {
                    return Err(ModelError::SpecialTokenInText { message: index, token: token.to_owned() });
                }
            }
        }
        Ok(())
    }

    /// Repeats the `i`-th image pad once per token of the `i`-th image.
    fn expand(&self, ids: &[u32], images: &[ImagePatches]) -> Vec<u32> {
        let mut tokens = images.iter().map(|image| image.grid.tokens());
        ids.iter()
            .flat_map(|&id| {
                let count = if id == self.image_pad { tokens.next().unwrap_or(1) } else { 1 };
                std::iter::repeat_n(id, count)
            })
            .collect()
    }
}
