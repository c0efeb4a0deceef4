//! `sightline data`.

mod examine;
mod report;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use dataset::{Layout, Selection, Template};
use serde::Deserialize;
use trainer::{DataConfig, Hub, TrainError};

use super::print;
use examine::Examiner;

/// Arguments of `data`.
#[derive(Args)]
pub(crate) struct Data {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Subcommand)]
enum DataCommand {
    /// Read every problem and its images as training would, and report what is there and what is wrong
    Check(Check),
}

/// Arguments of `data check`.
#[derive(Args)]
struct Check {
    /// Parquet or JSON lines files, folders, or folders with @split behind them
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// standard, geometry3k, virl39k, mmk12, verl, trl, ms-swift, sharegpt, or a table such as '{problem = "question"}'
    #[arg(long, value_parser = layout)]
    layout: Option<Layout>,
    /// Folder where relative paths of images start [default: that of the data file]
    #[arg(long)]
    image_folder: Option<PathBuf>,
    /// Take images outside of that folder too
    #[arg(long)]
    images_outside_folder: bool,
    /// none, vppo, math, r1v, dapo, or a Jinja file
    #[arg(long, default_value = "none")]
    template: String,
    /// Checkpoint folder whose processor counts the prompts' tokens
    #[arg(long)]
    model: Option<PathBuf>,
    /// Longest prompt, in tokens
    #[arg(long, default_value_t = DataConfig::default().max_prompt_tokens, requires = "model")]
    max_prompt_tokens: usize,
    /// Fetch data sets of the Hub that are given by name, and the model too
    #[arg(long)]
    download: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Data {
    pub(crate) fn run(self) -> Result<(), TrainError> {
        match self.command {
            DataCommand::Check(check) => check.run(),
        }
    }
}

impl Check {
    fn run(self) -> Result<(), TrainError> {
        let mut data = DataConfig {
            train: Selection::from_iter(self.files),
            layout: self.layout.unwrap_or_default(),
            image_folder: self.image_folder,
            images_outside_folder: self.images_outside_folder,
            template: Template::find(&self.template)?,
            max_prompt_tokens: self.max_prompt_tokens,
            ..DataConfig::default()
        };
        let mut model = self.model;
        if self.download {
            let hub = Hub::from_env()?;
            data.train = hub.selection(&data.train)?;
            if let Some(name) = model.as_mut().filter(|name| name.to_str().is_some_and(Hub::is_name)) {
                *name = hub.model(&name.display().to_string())?;
            }
        }
        let report = Examiner::new(data, model.as_deref())?.report()?;
        print(&if self.json { report.to_json()? } else { report.to_string() })?;
        report.verdict()
    }
}

/// A layout as it would stand in a configuration; a bare word is a name.
fn layout(text: &str) -> Result<Layout, String> {
    #[derive(Deserialize)]
    struct Setting {
        layout: Layout,
    }
    if !text.trim_start().starts_with('{') {
        return text.parse().map_err(|error: dataset::DatasetError| error.to_string());
    }
    let setting: Result<Setting, _> = toml::from_str(&format!("layout = {text}"));
    setting.map(|setting| setting.layout).map_err(|error| error.to_string())
}
