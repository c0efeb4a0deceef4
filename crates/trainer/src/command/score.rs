//! `sightline score`.

use burn::tensor::{Int, Tensor, TensorData};
use clap::{Args, ValueEnum};
use dependency::{
    Blur, BuiltInDivergence, BuiltInPerturbation, Contrast, DependencyMetric as _, Divergence, ForwardKl,
    GaussianNoise, Metric, PatchBlackout, Perturbation as _, PerturbedImage, SampledK3, SolidFill, View,
    VisualDependency,
};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use trainer::{Recipe, TrainError, Vocabulary};
use vlm_model::image_input::ImagePatches;
use vlm_model::{PromptTokens, TokenBatch, TokenGroup};

use super::print;
use super::question::{Asked, Question};

/// Positions whose logits exist at once.
const CHUNK: usize = 1024;

/// Arguments of `score`.
#[derive(Args)]
pub(crate) struct Score {
    #[command(flatten)]
    question: Question,
    /// The response to score
    #[arg(long)]
    response: String,
    /// Recipe whose dependency to measure: a built-in name or a file
    #[arg(long)]
    recipe: String,
    /// Compare with this view instead of the recipe's
    #[arg(long)]
    contrast: Option<ContrastName>,
    /// Seed of the view's random draws
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Views by name, with the strengths of the VPPO paper.
#[derive(Clone, Copy, ValueEnum)]
enum ContrastName {
    /// Image tokens hidden, positions kept
    Blind,
    /// Half of the 14-pixel squares black
    Blackout,
    /// Every pixel 128
    Grey,
    /// Gaussian noise of standard deviation 189
    Noise,
    /// Gaussian blur of radius 6
    Blur,
}

#[derive(Serialize)]
struct Scores {
    ids: Vec<u32>,
    tokens: Vec<String>,
    log_probs: Vec<f32>,
    entropy: Vec<f32>,
    contrasts: Vec<ContrastValues>,
    dependency: Vec<f32>,
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
        let metric = self.metric()?;
        let asked = self.question.ask()?;
        let ids = asked.processor.tokenizer.encode(&self.response)?;
        if ids.is_empty() {
            return Err(TrainError::Usage("the response has no tokens to score".to_owned()));
        }
        let scores = score(&asked, ids, metric.as_ref(), self.seed)?;
        if self.json {
            let text = serde_json::to_string(&scores);
            print(&text.map_err(|source| TrainError::Json { place: "scores".to_owned(), source })?)?;
        } else {
            scores.table().iter().try_for_each(|line| print(line))?;
        }
        Ok(())
    }

    /// The recipe's metric, or one that compares with the named view by the recipe's divergence.
    fn metric(&self) -> Result<Option<Metric>, TrainError> {
        let metric = Recipe::find(&self.recipe)?.dependency;
        let Some(name) = self.contrast else { return Ok(metric) };
        let of_recipe =
            metric.as_ref().and_then(|metric| metric.contrasts().first()).map(|contrast| contrast.divergence);
        let divergence = of_recipe.unwrap_or(BuiltInDivergence::SampledK3(SampledK3::default()));
        let name_text = name.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
        let contrast = Contrast::new(name_text, name.view(), divergence);
        Ok(Some(Metric::VisualDependency(VisualDependency { contrast })))
    }
}

impl ContrastName {
    fn view(self) -> View {
        let perturbation = match self {
            Self::Blind => return View::Blind,
            Self::Blackout => BuiltInPerturbation::PatchBlackout(PatchBlackout::default()),
            Self::Grey => BuiltInPerturbation::SolidFill(SolidFill::default()),
            Self::Noise => BuiltInPerturbation::GaussianNoise(GaussianNoise::default()),
            Self::Blur => BuiltInPerturbation::Blur(Blur::default()),
        };
        View::from(perturbation)
    }
}

fn score(asked: &Asked, ids: Vec<u32>, metric: Option<&Metric>, seed: u64) -> Result<Scores, TrainError> {
    let (model, vocabulary) = (&asked.model, Vocabulary::plain(CHUNK));
    let batch = |prompt: PromptTokens, features| {
        TokenBatch::new(vec![TokenGroup { prompt: Some(prompt), responses: vec![ids.clone()] }], features)
    };
    let states = |batch: &TokenBatch| {
        let places: Vec<i64> = batch.predicting_places().into_iter().flatten().flatten().map(|p| p as i64).collect();
        let places = Tensor::<1, Int>::from_data(TensorData::new(places, [ids.len()]), &model.device());
        model.hidden(batch, None).select(0, places)
    };
    let sampled: Vec<i64> = ids.iter().map(|&id| i64::from(id)).collect();
    let sampled = Tensor::<1, Int>::from_data(TensorData::new(sampled, [ids.len()]), &model.device());
    let host = |x: &Tensor<1>| x.to_data().iter::<f32>().collect::<Vec<f32>>();

    let clean = states(&batch(asked.prompt.clone(), asked.features.clone())?);
    let own = vocabulary.score(model, &clean, &sampled);
    let (mut contrasts, mut divergences) = (Vec::new(), Vec::new());
    let named = metric.map_or(&[] as &[Contrast], |metric| metric.contrasts());
    for (index, contrast) in named.iter().enumerate() {
        let view = match contrast.view {
            View::Clean => batch(asked.prompt.clone(), asked.features.clone())?,
            View::Blind => batch(asked.prompt.clone().blinded(), asked.features.clone())?,
            View::Perturbed(PerturbedImage { perturbation, .. }) => {
                let mut random = ChaCha8Rng::seed_from_u64(seed);
                random.set_stream(index as u64);
                let patches = asked
                    .images
                    .iter()
                    .map(|image| asked.processor.image.patches(&perturbation.apply(image, &mut random)));
                let patches: Vec<ImagePatches> = patches.collect::<Result<_, _>>()?;
                batch(asked.prompt.clone(), model.image_features(&patches.iter().collect::<Vec<_>>()))?
            }
        };
        let (k3, kl) = (SampledK3::default(), ForwardKl::default());
        let wanted: [&dyn Divergence; 3] = [&k3, &kl, &contrast.divergence];
        let compared = vocabulary.contrast(model, &clean, &states(&view), &sampled, &wanted);
        contrasts.push(ContrastValues {
            name: contrast.name.clone(),
            log_probs: host(&compared.log_probs),
            k3: host(&compared.divergences[0]),
            kl: host(&compared.divergences[1]),
        });
        divergences.push(compared.divergences[2].clone().unsqueeze::<2>());
    }
    let dependency = match metric {
        Some(metric) => {
            let response = Tensor::<2>::ones([1, ids.len()], &model.device()).bool();
            metric.score(&divergences, &response)?.into_data().iter::<f32>().collect()
        }
        None => Vec::new(),
    };
    let text = |&id: &u32| asked.processor.tokenizer.decode(&[id], false);
    Ok(Scores {
        tokens: ids.iter().map(text).collect::<Result<_, _>>()?,
        log_probs: host(&own.log_probs),
        entropy: host(&own.entropy),
        contrasts,
        dependency,
        ids,
    })
}

impl Scores {
    /// One line per token.
    fn table(&self) -> Vec<String> {
        let names = self.contrasts.iter().map(|contrast| format!("{:>12} {:>9} {:>9}", contrast.name, "k3", "kl"));
        let mut lines = vec![format!(
            "{:>8}  {:<16} {:>9} {:>9} {} {:>11}",
            "id",
            "token",
            "log prob",
            "entropy",
            names.collect::<Vec<_>>().join(" "),
            "dependency"
        )];
        for (index, id) in self.ids.iter().enumerate() {
            let contrasts = self.contrasts.iter().map(|contrast| {
                format!("{:>12.4} {:>9.4} {:>9.4}", contrast.log_probs[index], contrast.k3[index], contrast.kl[index])
            });
            let dependency = self.dependency.get(index).map_or_else(String::new, |value| format!("{value:.4}"));
            lines.push(format!(
                "{id:>8}  {:<16} {:>9.4} {:>9.4} {} {dependency:>11}",
                format!("{:?}", self.tokens[index]),
                self.log_probs[index],
                self.entropy[index],
                contrasts.collect::<Vec<_>>().join(" "),
            ));
        }
        lines
    }
}
