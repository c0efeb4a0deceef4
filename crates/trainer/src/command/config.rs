//! `sightline config`.

mod import;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use dataset::Selection;
use trainer::{Key, Recipe, TrainConfig, TrainError, documentation, explanation};

use super::print;

/// Arguments of `config`.
#[derive(Args)]
pub(crate) struct ConfigCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Print the resolved configuration with every default, as a file that --config takes
    Print {
        /// Configuration file (TOML) [default: the defaults]
        #[arg(long)]
        config: Option<PathBuf>,
        /// Settings to override, such as `update.learning_rate=2e-6`
        #[arg(value_name = "KEY=VALUE")]
        overrides: Vec<String>,
        /// Recipe: a built-in name or a file
        #[arg(long)]
        recipe: Option<String>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Say whether a configuration and its recipe can be used, or what is wrong and where
    Validate {
        /// Configuration file (TOML)
        file: PathBuf,
        /// Settings to override, such as `update.learning_rate=2e-6`
        #[arg(value_name = "KEY=VALUE")]
        overrides: Vec<String>,
    },
    /// Explain a key, the keys of a section, or all
    Explain {
        /// Key or section, such as `update.learning_rate` or `rollout` [default: all]
        #[arg(default_value = "")]
        key: String,
        /// Print the page docs/configuration.md
        #[arg(long, conflicts_with = "key")]
        markdown: bool,
    },
    /// Convert a configuration of EasyR1, VPPO-RL or PAPO (YAML), and say what became of each key
    Import(import::Import),
}

impl ConfigCommand {
    pub(crate) fn run(self) -> Result<(), TrainError> {
        match self.action {
            Action::Print { config, mut overrides, recipe, json } => {
                let recipe = recipe.map(|recipe| format!("recipe={}", toml::Value::String(recipe)));
                overrides.extend(recipe);
                let config = match config {
                    Some(path) => TrainConfig::read(&path, &overrides)?,
                    None => defaults().with_overrides(&overrides)?,
                };
                check(&config)?;
                if json { print_json(&config) } else { print(&commented(&config)?) }
            }
            Action::Validate { file, overrides } => {
                let config = TrainConfig::read(&file, &overrides)?;
                let recipe = check(&config)?;
                print(&format!("{}: ok, recipe {recipe}", file.display()))
            }
            Action::Explain { markdown: true, .. } => print(documentation()?.trim_end()),
            Action::Explain { key, .. } => print(&explanation(&key)?),
            Action::Import(import) => import.run(),
        }
    }
}

/// The defaults, with nothing in the place of what has to be given.
fn defaults() -> TrainConfig {
    let mut config = TrainConfig::of_model("".as_ref(), Selection::default());
    config.data.held_out = None;
    config
}

/// Finds the recipe and whether its terms fit together and with the settings.
fn check(config: &TrainConfig) -> Result<Recipe, TrainError> {
    let recipe = Recipe::find(&config.recipe)?;
    recipe.clone().build().check_for(config)?;
    Ok(recipe)
}

/// The configuration as TOML, and behind it what it does not set.
fn commented(config: &TrainConfig) -> Result<String, TrainError> {
    let table = config.to_table()?;
    let is_set = |name: &str| {
        let mut words = name.split('.');
        let first = words.next().and_then(|word| table.get(word));
        words.try_fold(first, |value, word| value.map(|value| value.get(word))).flatten().is_some()
    };
    let mut text = config.to_toml()?;
    let to_give: Vec<&str> = [
        ("model", config.model.as_os_str().is_empty()),
        ("output", config.output.as_os_str().is_empty()),
        ("data.train", config.data.train.parts().next().is_none()),
    ]
    .into_iter()
    .filter_map(|(key, is_missing)| is_missing.then_some(key))
    .collect();
    if !to_give.is_empty() {
        text.push_str(&format!("\n# To be given: {}\n", to_give.join(", ")));
    }
    let unset: Vec<String> = Key::all()
        .iter()
        .filter_map(|key| Some((key, key.absent.as_ref()?)))
        .filter(|(key, _)| !key.name.starts_with("reward.parts.") && !is_set(&key.name))
        .map(|(key, absent)| format!("#   {}: {absent}\n", key.name))
        .collect();
    if !unset.is_empty() {
        text.push_str("\n# Not set:\n");
        text.extend(unset);
    }
    Ok(text.trim_end().to_owned())
}

fn print_json(config: &TrainConfig) -> Result<(), TrainError> {
    let json = serde_json::to_string_pretty(&config.to_table()?);
    print(&json.map_err(|source| TrainError::Json { place: "resolved configuration".to_owned(), source })?)
}
