//! `sightline score`.

use burn::tensor::Tensor;
use clap::{Args, ValueEnum};
use dependency::{
    Blur, BrightnessContrast, BuiltInDivergence, BuiltInPerturbation, Contrast, CropShift, DependencyMetric,
    DiffusionNoise, ForwardKl, GaussianNoise, Metric, PatchBlackout, Rescale, SampledK3, SolidFill, Unknown, View,
    VisualDependency,
};
use reward::{Truth, Verdict};
use rollout::{Completion, Finish};
use serde::Serialize;
use trainer::{Group, Recipe, Scorer, Task, TrainError, Vocabulary};

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

/// Views by name; those of the VPPO paper with its strengths.
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
    /// Diffusion noise of step 500, as in NoisyRollout
    Diffusion,
    /// Gaussian noise of standard deviation 16
    MildNoise,
    /// Gaussian blur of radius 1.5
    MildBlur,
    /// Brightness and contrast changed by up to a tenth
    Jitter,
    /// Shrunk by a tenth and enlarged again
    Rescale,
    /// Shifted by up to a twentieth of each side
    Shift,
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
        let scores = score(asked, ids, metric.as_ref(), self.seed)?;
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
        Ok(Some(Metric::VisualDependency(VisualDependency { contrast, unknown: Unknown::default() })))
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
            Self::Diffusion => BuiltInPerturbation::DiffusionNoise(DiffusionNoise::default()),
            Self::MildNoise => BuiltInPerturbation::GaussianNoise(GaussianNoise::mild()),
            Self::MildBlur => BuiltInPerturbation::Blur(Blur::mild()),
            Self::Jitter => BuiltInPerturbation::BrightnessContrast(BrightnessContrast::default()),
            Self::Rescale => BuiltInPerturbation::Rescale(Rescale::default()),
            Self::Shift => BuiltInPerturbation::CropShift(CropShift::default()),
        };
        View::from(perturbation)
    }
}

fn score(asked: Asked, ids: Vec<u32>, metric: Option<&Metric>, seed: u64) -> Result<Scores, TrainError> {
    let Asked { model, processor, prompt, images, patches, features } = asked;
    let text = |&id: &u32| processor.tokenizer.decode(&[id], false);
    let tokens = ids.iter().map(text).collect::<Result<_, _>>()?;
    let (truth, problem) = (Truth { answer: String::new() }, String::new());
    let task = Task { prompt, images, patches, truth, problem, place: None, index: None };
    let completion = Completion { tokens: ids.clone(), log_probs: Vec::new(), finish: Finish::Stop };
    let (texts, verdicts) = (vec![String::new()], vec![Verdict::default()]);
    let group = Group { task, features, completions: vec![completion], texts, verdicts, asked: 1, ungraded: 0 };
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
