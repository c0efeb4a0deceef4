//! `sightline config import`.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use trainer::{Fate, ImportedConfig, Recipe, TrainError};

use crate::command::print;

/// Arguments of `config import`.
#[derive(Args)]
pub(super) struct Import {
    /// Configuration of EasyR1, VPPO-RL or PAPO (YAML)
    file: PathBuf,
    /// Overrides in its own keys, such as `worker.rollout.n=8`
    #[arg(value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// File for our configuration; a recipe of its own is written beside it [default: standard output]
    #[arg(long)]
    output: Option<PathBuf>,
    /// Training problems, to make steps of epochs [default: counted if the data lies on a local path]
    #[arg(long, value_name = "N")]
    problems: Option<usize>,
    /// Fail if a key that the result may depend on cannot be expressed
    #[arg(long)]
    strict: bool,
    /// Print what became of each key as one JSON list, and no configuration
    #[arg(long, requires = "output")]
    json: bool,
}

impl Import {
    pub(super) fn run(self) -> Result<(), TrainError> {
        let recipe_file = self.recipe_file()?;
        let imported = ImportedConfig::read(&self.file, &self.overrides, self.problems, &recipe_file)?;
        let losses: Vec<&str> = imported.losses().map(|key| key.key.as_str()).collect();
        let refused = self.strict && !losses.is_empty();
        if !refused {
            self.write(&imported, &recipe_file)?;
        }
        if self.json {
            let json = serde_json::to_string_pretty(&imported.keys);
            let json = json.map_err(|source| TrainError::Json { place: "account of keys".to_owned(), source })?;
            print(&json)?;
        } else {
            self.account(&imported)?;
        }
        if refused {
            let keys = losses.join(", ");
            return Err(TrainError::Usage(format!(
                "{} cannot be expressed: {keys}; nothing was written",
                self.file.display()
            )));
        }
        Ok(())
    }

    /// The name of a recipe of its own, as the configuration will have it: the whole path, so that it is found from
    /// every folder.
    fn recipe_file(&self) -> Result<String, TrainError> {
        let Some(output) = &self.output else { return Ok("imported.recipe.toml".to_owned()) };
        let beside = output.with_extension("recipe.toml");
        let path = std::path::absolute(&beside).map_err(|source| TrainError::File {
            action: "find",
            path: beside.clone(),
            source,
        })?;
        Ok(path.display().to_string())
    }

    /// Writes configuration and recipe, without replacing anything.
    fn write(&self, imported: &ImportedConfig, recipe_file: &str) -> Result<(), TrainError> {
        let header = format!("# Made from {} by `sightline config import`.\n\n", self.file.display());
        let config = format!("{header}{}", imported.toml);
        let recipe = imported.recipe.as_ref().map(Recipe::to_toml).transpose()?;
        match &self.output {
            Some(output) => {
                if let Some(recipe) = recipe {
                    create(Path::new(recipe_file), &recipe)?;
                }
                create(output, &config)
            }
            None => {
                print(config.trim_end())?;
                let Some(recipe) = recipe else { return Ok(()) };
                print(&format!("\n# The recipe, to be written to {recipe_file}:\n#"))?;
                recipe.lines().try_for_each(|line| print(format!("# {line}").trim_end()))
            }
        }
    }

    /// What became of each key: behind a configuration on standard output as comments, so that both are one file.
    fn account(&self, imported: &ImportedConfig) -> Result<(), TrainError> {
        let mark = if self.output.is_some() { "" } else { "# " };
        print(mark.trim_end())?;
        let order = |fate: &Fate| match fate {
            Fate::Lost { matters: true, .. } => 0,
            Fate::Lost { matters: false, .. } => 1,
            Fate::Converted { .. } => 2,
            Fate::Implied { .. } => 3,
        };
        for wanted in 0..4 {
            let keys = imported.keys.iter().filter(|key| order(&key.fate) == wanted);
            keys.into_iter().try_for_each(|key| print(&format!("{mark}{key}")))?;
        }
        let losses = imported.losses().count();
        let count = imported.keys.len();
        print(mark.trim_end())?;
        print(&format!(
            "{mark}{count} keys, recipe {}: {losses} that matter could not be expressed",
            imported.config.recipe
        ))
    }
}

/// Writes a file that is not there yet.
fn create(path: &Path, text: &str) -> Result<(), TrainError> {
    use std::io::Write as _;
    let file = fs::OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = file.map_err(|source| TrainError::File { action: "create", path: path.to_owned(), source })?;
    file.write_all(text.as_bytes()).map_err(|source| TrainError::File {
        action: "write",
        path: path.to_owned(),
        source,
    })
}
