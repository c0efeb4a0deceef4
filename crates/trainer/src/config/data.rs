//! The section `data`: where problems come from, and how they are asked.

use std::path::{Path, PathBuf};

use dataset::{Dataset, DatasetConfig, Layout, Limits, Selection, Template};
use serde::{Deserialize, Serialize};
use vlm_model::image_input::PixelLimits;
use vlm_model::processor::Processor;

use crate::TrainError;
use crate::problems::Problems;

/// Problems and prompts.
///
/// [`Selection`], [`Layout`] and [`Template`] say how they are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Files of training problems.
    pub train: Selection,
    /// Files of held-out problems; without them there is no validation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_out: Option<Selection>,
    /// How the files' columns are named.
    #[serde(default)]
    pub layout: Layout,
    /// Where relative paths of images start; if absent, at the folder of the data file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_folder: Option<PathBuf>,
    /// Whether images may lie outside of that folder, by an absolute path, `..` or a link. If not, such rows are passed
    /// over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub images_outside_folder: bool,
    /// What is said around a problem.
    #[serde(default)]
    pub template: Template,
    /// Longest prompt, in tokens, image tokens included. Problems with a longer one are passed over.
    #[serde(default = "default_prompt_tokens")]
    pub max_prompt_tokens: usize,
    /// Smaller images are enlarged to this area in pixels; by default what the checkpoint says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_pixels: Option<u32>,
    /// Larger images are reduced to this area in pixels; by default what the checkpoint says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_pixels: Option<u32>,
    /// How large rows and images may be; problems with larger ones are passed over.
    #[serde(default, skip_serializing_if = "is_default")]
    pub limits: Limits,
}

impl Default for DataConfig {
    /// No files, the standard columns, the problem as it stands in up to 4096 tokens.
    fn default() -> Self {
        Self {
            train: Selection::default(),
            held_out: None,
            layout: Layout::default(),
            image_folder: None,
            images_outside_folder: false,
            template: Template::default(),
            max_prompt_tokens: default_prompt_tokens(),
            min_pixels: None,
            max_pixels: None,
            limits: Limits::default(),
        }
    }
}

impl DataConfig {
    /// Opens some of its files, or others of the same layout.
    ///
    /// # Errors
    /// As [`Dataset::open`].
    pub fn open(&self, files: &Selection) -> Result<Problems, TrainError> {
        let config = DatasetConfig {
            files: files.clone(),
            layout: self.layout.clone(),
            image_folder: self.image_folder.clone(),
            images_outside_folder: self.images_outside_folder,
            limits: self.limits,
        };
        Ok(Problems::new(Dataset::open(&config)?))
    }

    /// The processor of a checkpoint, with these limits on its images.
    ///
    /// # Errors
    /// If a file is missing or faulty.
    pub fn processor(&self, model: &Path) -> Result<Processor, TrainError> {
        let mut processor = Processor::from_folder(model)?;
        let limits = &mut processor.image.limits;
        *limits = PixelLimits::new(
            self.min_pixels.unwrap_or(limits.min_pixels),
            self.max_pixels.unwrap_or(limits.max_pixels),
        );
        Ok(processor)
    }

    /// Refuses limits that no image can meet.
    pub(super) fn validate(&self) -> Result<(), String> {
        let (least, most) = (self.min_pixels.unwrap_or(1), self.max_pixels.unwrap_or(u32::MAX));
        if least == 0 || least > most {
            return Err(format!(
                "data.min_pixels is {least} and data.max_pixels {most}; use 1 <= min_pixels <= max_pixels"
            ));
        }
        Ok(())
    }
}

fn is_default(limits: &Limits) -> bool {
    *limits == Limits::default()
}

const fn default_prompt_tokens() -> usize {
    4096
}
