//! `sightline score`.

mod painting;
mod scale;
mod table;
mod view;

use std::io::IsTerminal as _;

use anstyle::Style;
use burn::tensor::Tensor;
use clap::{Args, ValueEnum};
use dependency::{
    BuiltInDivergence, Contrast, DependencyMetric, ForwardKl, Metric, SampledK3, Unknown, VisualDependency,
};
use reward::{Truth, Verdict};
use rollout::{Completion, Finish, NativeEngine, RolloutPrompt, Sampling};
use serde::Serialize;
use trainer::{Group, Recipe, Scorer, Task, TrainError, Vocabulary};

use self::scale::{Depth, Scale, Spread};
use self::view::ContrastName;
use super::print;
use super::question::{Asked, Question};

/// Positions whose logits exist at once.
const CHUNK: usize = 1024;

/// Columns of a line where nobody says how many there are, and the fewest that are of use.
const COLUMNS: usize = 80;
const FEWEST_COLUMNS: usize = 20;

/// Arguments of `score`.
#[derive(Args)]
pub(crate) struct Score {
    #[command(flatten)]
    question: Question,
    /// The response to score; without one, the model answers first
    #[arg(long)]
    response: Option<String>,
    /// Let the model answer first, as without --response
    #[arg(long, conflicts_with = "response")]
    generate: bool,
    /// Temperature of that answer; 0 takes the likeliest token
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true, conflicts_with = "response")]
    temperature: f64,
    /// Length limit of that answer
    #[arg(long, default_value_t = 256, conflicts_with = "response")]
    max_new_tokens: usize,
    /// Recipe whose dependency to measure: a built-in name or a file
    #[arg(long, default_value = "vppo")]
    recipe: String,
    /// Compare with this view instead of the recipe's
    #[arg(long)]
    contrast: Option<ContrastName>,
    /// Seed of the view's random draws, and of the answer's
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// What colours stand for on a terminal [default: dependency, or entropy if the recipe measures none]
    #[arg(long, value_name = "VALUE")]
    color: Option<Quantity>,
    /// Print the table of all values below the coloured response too
    #[arg(long)]
    table: bool,
    /// Print one JSON object
    #[arg(long, conflicts_with_all = ["table", "color"])]
    json: bool,
}

/// What is known of a token and can be shown by a colour. Of several contrasts, k3 and KL are the first one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Quantity {
    /// How much it depends on the images, as the recipe measures it
    Dependency,
    /// Entropy of its prediction, in nats
    Entropy,
    /// Its log-probability, in nats
    LogProb,
    /// k3 estimate of the divergence from the prediction of the view, in nats
    K3,
    /// KL divergence over the whole vocabulary from the prediction of the view, in nats
    Kl,
}

#[derive(Serialize)]
struct Scores {
    ids: Vec<u32>,
    tokens: Vec<String>,
    log_probs: Vec<f32>,
    entropy: Vec<f32>,
    contrasts: Vec<ContrastValues>,
    dependency: Vec<f32>,
    /// What each token adds to the text: a character of several tokens stands at its last one.
    #[serde(skip)]
    texts: Vec<String>,
}

#[derive(Serialize)]
struct ContrastValues {
    name: String,
    log_probs: Vec<f32>,
    k3: Vec<f32>,
    kl: Vec<f32>,
}

impl Score {
    pub(crate) fn run(self) -> Result<(), TrainError> {
        let recipe = Recipe::find(&self.recipe)?;
        let metric = self.metric(&recipe);
        let quantity = self.quantity(&recipe, metric.as_ref())?;
        let asked = self.question.ask()?;
        let ids = self.ids(&asked)?;
        if ids.is_empty() {
            return Err(TrainError::Usage("the response has no tokens to score".to_owned()));
        }
        let scores = score(asked, ids, metric.as_ref(), self.seed)?;
        if self.json {
            let text = serde_json::to_string(&scores);
            return print(&text.map_err(|source| TrainError::Json { place: "scores".to_owned(), source })?);
        }
        let coloured = anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never;
        if coloured {
            let name = self.contrast.map_or_else(|| recipe.to_string(), ContrastName::name);
            scores.painted(quantity, &name).iter().try_for_each(|line| print(line))?;
        }
        if self.table || !coloured {
            scores.table().iter().try_for_each(|line| print(line))?;
        }
        Ok(())
    }

    /// The recipe's metric, or one that compares with the named view by the recipe's divergence.
    fn metric(&self, recipe: &Recipe) -> Option<Metric> {
        let metric = recipe.dependency.clone();
        let Some(name) = self.contrast else { return metric };
        let of_recipe =
            metric.as_ref().and_then(|metric| metric.contrasts().first()).map(|contrast| contrast.divergence);
        let divergence = of_recipe.unwrap_or(BuiltInDivergence::SampledK3(SampledK3::default()));
        let contrast = Contrast::new(name.name(), name.view(), divergence);
        Some(Metric::VisualDependency(VisualDependency { contrast, unknown: Unknown::default() }))
    }

    /// What colours stand for.
    fn quantity(&self, recipe: &Recipe, metric: Option<&Metric>) -> Result<Quantity, TrainError> {
        let measured = metric.is_some();
        let quantity = self.color.unwrap_or(if measured { Quantity::Dependency } else { Quantity::Entropy });
        if !measured && quantity.needs_contrast() {
            return Err(TrainError::Usage(format!(
                "the recipe {recipe} measures no dependency; give --contrast, another --recipe, or --color entropy"
            )));
        }
        Ok(quantity)
    }

    /// The response's tokens: those given, or those the model answers with.
    fn ids(&self, asked: &Asked) -> Result<Vec<u32>, TrainError> {
        let Asked { model, processor, prompt, features, .. } = asked;
        match &self.response {
            Some(response) if !self.generate => Ok(processor.tokenizer.encode(response)?),
            _ => {
                let sampling = Sampling {
                    temperature: self.temperature,
                    max_new_tokens: self.max_new_tokens,
                    ..Sampling::default()
                };
                let stop = [model.config.tokens.eos, model.config.tokens.bos];
                let engine = NativeEngine::new(model, &sampling, &stop, 1)?;
                let prompt =
                    RolloutPrompt { tokens: prompt.clone(), image_features: features.clone(), seed: self.seed };
                let answers = engine.generate(&[prompt], 1)?;
                Ok(answers.into_iter().flatten().flat_map(|answer| answer.tokens).collect())
            }
        }
    }
}

impl Quantity {
    fn needs_contrast(self) -> bool {
        matches!(self, Self::Dependency | Self::K3 | Self::Kl)
    }
}

fn score(asked: Asked, ids: Vec<u32>, metric: Option<&Metric>, seed: u64) -> Result<Scores, TrainError> {
    let Asked { model, processor, prompt, images, patches, features } = asked;
    let text = |&id: &u32| processor.tokenizer.decode(&[id], false);
    let tokens = ids.iter().map(text).collect::<Result<_, _>>()?;
    let texts = processor.tokenizer.decode_each(&ids)?;
    let (truth, problem) = (Truth { answer: String::new() }, String::new());
    let task = Task { prompt, images, patches, truth, problem, place: None, index: None };
    let completion = Completion { tokens: ids.clone(), log_probs: Vec::new(), finish: Finish::Stop };
    let (responses, verdicts) = (vec![String::new()], vec![Verdict::default()]);
    let completions = vec![completion];
    let group = Group { task, features, completions, texts: responses, verdicts, asked: 1, ungraded: 0 };
    let scorer = Scorer {
        policy: &model,
        reference: None,
        metric: metric.map(|metric| metric as &dyn DependencyMetric),
        vocabulary: &Vocabulary::plain(CHUNK),
        processor: &processor.image,
        tokens_per_micro_batch: usize::MAX,
        seed,
    };
    let scored = scorer.score_besides(vec![group], &[&SampledK3::default(), &ForwardKl::default()])?;

    let host = |values: &Tensor<1>| values.to_data().iter::<f32>().collect::<Vec<f32>>();
    let named = metric.map_or(&[] as &[Contrast], |metric| metric.contrasts());
    let contrasts = named.iter().zip(&scored.contrasts).map(|(contrast, scores)| ContrastValues {
        name: contrast.name.clone(),
        log_probs: host(&scores.log_probs),
        k3: host(&scores.divergences[1]),
        kl: host(&scores.divergences[2]),
    });
    Ok(Scores {
        ids,
        tokens,
        log_probs: host(&scored.clean.log_probs),
        entropy: host(&scored.clean.entropy),
        contrasts: contrasts.collect(),
        dependency: scored.dependency.as_ref().map_or_else(Vec::new, host),
        texts,
    })
}

impl Scores {
    /// The response in colours, and what they say. `measured_by` names the recipe or the view.
    fn painted(&self, quantity: Quantity, measured_by: &str) -> Vec<String> {
        let first = self.contrasts.first();
        let view = first.map_or("", |contrast| &contrast.name);
        let (values, name, spread) = match quantity {
            Quantity::Dependency => (&self.dependency[..], format!("dependency by {measured_by}"), Spread::Root),
            Quantity::Entropy => (&self.entropy[..], "entropy".to_owned(), Spread::Linear),
            Quantity::LogProb => (&self.log_probs[..], "log-probability".to_owned(), Spread::Linear),
            Quantity::K3 => (first.map_or(&[][..], |contrast| &contrast.k3), format!("k3 from {view}"), Spread::Root),
            Quantity::Kl => (first.map_or(&[][..], |contrast| &contrast.kl), format!("KL from {view}"), Spread::Root),
        };
        let scale = Scale::over(0.0..=0.0, values, spread, Depth::of_terminal());
        let styles: Vec<Style> = values.iter().map(|&value| scale.style(value)).collect();
        let mut lines = painting::lines(&self.texts, &styles, columns());
        lines.extend([String::new(), format!("{name}, nats, from {}", scale.legend())]);
        lines
    }
}

/// Columns of a line: those of `COLUMNS`, or of the terminal.
fn columns() -> usize {
    let said = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let terminal = || {
        let size = std::io::stdout().is_terminal().then(ratatui::crossterm::terminal::size);
        size.and_then(Result::ok).map(|(columns, _)| usize::from(columns))
    };
    said.or_else(terminal).unwrap_or(COLUMNS).max(FEWEST_COLUMNS)
}
