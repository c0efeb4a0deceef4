//! `sightline recipe`.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use trainer::{Difference, Recipe, TrainError, catalogue};

use super::print;

/// Arguments of `recipe`.
#[derive(Args)]
pub(crate) struct RecipeCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Name the built-in recipes, their papers and what sets them apart
    List,
    /// Print a recipe as a file that --recipe takes
    Show {
        /// Recipe: a built-in name or a file
        recipe: String,
        /// Form of the file
        #[arg(long, value_enum, default_value_t = Format::Json)]
        format: Format,
    },
    /// Print what sets two recipes apart, a line for each place
    Diff {
        /// Recipe: a built-in name or a file
        before: String,
        /// Recipe: a built-in name or a file
        after: String,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// Forms of a recipe file.
#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// A file whose name ends in .json
    Json,
    /// A file whose name ends in .toml
    Toml,
}

impl RecipeCommand {
    pub(crate) fn run(self) -> Result<(), TrainError> {
        match self.action {
            Action::List => list(),
            Action::Show { recipe, format } => {
                let recipe = Recipe::find(&recipe)?;
                recipe.clone().build().check()?;
                print(&match format {
                    Format::Json => recipe.to_json()?,
                    Format::Toml => recipe.to_toml()?,
                })
            }
            Action::Diff { before, after, json } => {
                let (before, after) = (Recipe::find(&before)?, Recipe::find(&after)?);
                let differences = before.differences(&after)?;
                if json {
                    print(&object(&before, &after, &differences).to_string())
                } else {
                    table(&before, &after, &differences)
                }
            }
        }
    }
}

fn list() -> Result<(), TrainError> {
    let catalogue = catalogue();
    let width = |text: fn(&trainer::BuiltIn) -> usize| catalogue.iter().map(text).max().unwrap_or(0);
    let (name, paper) = (width(|entry| entry.recipe.name.len()), width(|entry| entry.paper.len()));
    for entry in &catalogue {
        let caveat = entry.recipe.caveat.as_ref().map_or_else(String::new, |caveat| format!(" ({caveat})"));
        print(&format!("{:name$}  {:paper$}  {}{caveat}", entry.recipe.name, entry.paper, entry.summary))?;
    }
    Ok(())
}

fn table(before: &Recipe, after: &Recipe, differences: &[Difference]) -> Result<(), TrainError> {
    print(&format!("{before} -> {after}"))?;
    if differences.is_empty() {
        return print("nothing differs");
    }
    differences.iter().try_for_each(|difference| print(&difference.to_string()))
}

fn object(before: &Recipe, after: &Recipe, differences: &[Difference]) -> Value {
    let named = |recipe: &Recipe| match &recipe.caveat {
        Some(caveat) => json!({ "name": recipe.name, "caveat": caveat }),
        None => json!({ "name": recipe.name }),
    };
    let place = |difference: &Difference| {
        let mut place = json!({ "path": difference.path });
        for (key, value) in [("before", &difference.before), ("after", &difference.after)] {
            if let Some(value) = value {
                place[key] = value.clone();
            }
        }
        place
    };
    let places: Vec<Value> = differences.iter().map(place).collect();
    json!({ "before": named(before), "after": named(after), "differences": places })
}
