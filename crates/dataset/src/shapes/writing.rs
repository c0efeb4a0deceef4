//! Putting a data set into files.

use std::fs;
use std::path::{Path, PathBuf};

use image::ImageFormat;
use serde_json::json;

use super::{ShapesConfig, ShapesProblem, explain, problems, render};
use crate::{DatasetError, IMAGE_MARKER};

/// The files of a data set, to be read with [`crate::read_json_lines`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapesFiles {
    /// Problems to train on.
    pub train: PathBuf,
    /// Problems held out.
    pub held_out: PathBuf,
}

/// Writes `train.jsonl`, `held_out.jsonl` and their pictures `images/….png` into `folder`, which is made if it does not exist.
///
/// Files of these names are overwritten. A JSON lines file is written after all its pictures.
///
/// # Errors
/// Those of [`problems`]; [`DatasetError::Write`] and [`DatasetError::WriteImage`] if the files cannot be written.
pub fn write(config: &ShapesConfig, folder: &Path) -> Result<ShapesFiles, DatasetError> {
    let problems = problems(config)?;
    let images = folder.join("images");
    fs::create_dir_all(&images).map_err(|source| DatasetError::Write { path: images, source })?;
    Ok(ShapesFiles {
        train: write_split(folder, "train", &problems.train)?,
        held_out: write_split(folder, "held_out", &problems.held_out)?,
    })
}

/// Writes the pictures of some problems, and then their lines.
fn write_split(folder: &Path, name: &str, problems: &[ShapesProblem]) -> Result<PathBuf, DatasetError> {
    let mut lines = String::new();
    for (at, problem) in problems.iter().enumerate() {
        let image = format!("images/{name}-{at:05}.png");
        let path = folder.join(&image);
        render(&problem.scene)
            .save_with_format(&path, ImageFormat::Png)
            .map_err(|source| DatasetError::WriteImage { path, source })?;
        let line = json!({
            "problem": format!("{IMAGE_MARKER}{}", problem.question.text()),
            "images": [image],
            "answer": problem.answer,
            "teacher": explain(&problem.question, &problem.scene),
            "category": problem.question.category(),
        });
        lines.push_str(&line.to_string());
        lines.push('\n');
    }
    let path = folder.join(format!("{name}.jsonl"));
    match fs::write(&path, lines) {
        Ok(()) => Ok(path),
        Err(source) => Err(DatasetError::Write { path, source }),
    }
}
