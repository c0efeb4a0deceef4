//! What the pieces of work are done on: a trainer with a model, prompts and responses.

use std::path::{Path, PathBuf};

use burn::module::{Module as _, ModuleMapper, Param};
use burn::tensor::{Device, Distribution, Tensor, TensorData};
use clap::Args;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use reward::{Answer, Reward, Ungraded, Verdict};
use rollout::{Completion, Finish};
use tempfile::TempDir;
use trainer::{Group, Task, TrainConfig, Trainer, prepare, trainable, vocabulary};
use vlm_model::image_input::PatchGrid;
use vlm_model::{Init, ModelError, Precision, PromptTokens, QwenVl, WeightSource};

use crate::checkpoint;
use crate::dimensions::Dimensions;
use crate::failure::Failure;

/// What is worked on.
#[derive(Args, Clone, Debug)]
pub(crate) struct Setting {
    /// Folder of the checkpoint, pictures and problems
    #[arg(long, default_value = "target/side-by-side/bench")]
    pub(crate) folder: PathBuf,
    /// cpu, wgpu or cuda:0
    #[arg(long, default_value = "cpu")]
    pub(crate) device: String,
    /// Sizes of the model
    #[arg(long, value_enum, default_value_t = Dimensions::Bench)]
    pub(crate) dims: Dimensions,
    /// Number format that layers compute in, f32 or bf16; ours trains parameters of 32 bits, the peers those of this format
    #[arg(long, default_value_t = Precision::Float32)]
    pub(crate) dtype: Precision,
    /// Responses to the prompt
    #[arg(long, default_value_t = 8)]
    pub(crate) responses: usize,
    /// Tokens of each response
    #[arg(long, default_value_t = 128)]
    pub(crate) new_tokens: usize,
    /// Lengthens the prompt to so many tokens
    #[arg(long)]
    pub(crate) prompt_tokens: Option<usize>,
    /// Another number of tokens in the vocabulary, its rows drawn from a seed
    #[arg(long)]
    pub(crate) vocabulary: Option<usize>,
    /// GiB that a pass may keep for its backward pass before layers are computed again; by default what the machine has, and
    /// on a GPU nothing
    #[arg(long)]
    pub(crate) activation_gib: Option<f64>,
    /// Put each response behind a prompt of its own instead of sharing one
    #[arg(long)]
    pub(crate) unshared: bool,
}

impl Setting {
    /// A flag that changes what is worked on and which the peers do not have.
    pub(crate) fn of_ours_alone(&self) -> Option<&'static str> {
        let given = [
            (self.prompt_tokens.is_some(), "--prompt-tokens"),
            (self.vocabulary.is_some(), "--vocabulary"),
            (self.unshared, "--unshared"),
        ];
        given.into_iter().find_map(|(is_given, flag)| is_given.then_some(flag))
    }
}

/// A trainer that can work.
pub(crate) struct Scene {
    /// Holds policy, optimizer and problems.
    pub(crate) trainer: Trainer,
    /// Responses to a prompt.
    pub(crate) responses: usize,
    /// Tokens of each of them.
    pub(crate) new_tokens: usize,
    prompt_tokens: Option<usize>,
    _run: TempDir,
}

impl Scene {
    /// Loads the checkpoint, or draws a model on the device, for steps of one prompt under a recipe without an accuracy band, which
    /// take the log-probabilities seen at sampling for the old ones if `reuse`.
    ///
    /// # Errors
    /// If something cannot be loaded.
    pub(crate) fn new(setting: &Setting, recipe: &str, reuse: bool) -> Result<Self, Failure> {
        let run = tempfile::tempdir()?;
        let mut config = config(setting, recipe, run.path())?;
        config.update.reuse_sampling_log_probs = reuse;
        let mut trainer = Trainer::start(config)?;
        let device = trainer.policy.device();
        let model = setting.dims.config(setting.vocabulary);
        if setting.dims != Dimensions::Bench || setting.vocabulary.is_some() {
            let drawn = drawn(QwenVl::build(&model, &mut Blank, &device)?, &device);
            trainer.policy = trainable(drawn, &trainer.config.update);
            trainer.vocabulary = vocabulary(&trainer.config, &trainer.policy, &device.inner());
        }
        // Tokens that are never sampled cannot end a response.
        trainer.policy.config.tokens.eos = model.tokens.video_pad;
        trainer.policy.config.tokens.bos = model.tokens.video_pad;
        trainer.algorithm.accuracy_band = None;
        trainer.reward = Box::new(ByLetters);
        let Setting { responses, new_tokens, prompt_tokens, .. } = *setting;
        Ok(Self { trainer, responses, new_tokens, prompt_tokens, _run: run })
    }

    /// The policy as it samples and scores.
    pub(crate) fn policy(&self) -> QwenVl {
        let Trainer { policy, config, .. } = &self.trainer;
        policy.valid().in_precision(config.precision)
    }

    /// A problem made into a prompt.
    ///
    /// # Errors
    /// If it cannot be read or is longer than asked for.
    pub(crate) fn task(&self) -> Result<Task, Failure> {
        let Trainer { problems, processor, policy, config, .. } = &self.trainer;
        let problem = problems.dataset().problem(0)?;
        let mut task = prepare(&problem, processor, &policy.config, &config.data)?;
        if let Some(wanted) = self.prompt_tokens {
            let ids = lengthened(&task.prompt.ids, wanted)?;
            let grids: Vec<PatchGrid> = task.patches.iter().map(|patches| patches.grid).collect();
            task.prompt = PromptTokens::new(ids, &grids, &policy.config)?;
        }
        Ok(task)
    }

    /// Responses of full length to that prompt, of tokens drawn from a seed, half of them right.
    ///
    /// # Errors
    /// As [`Self::task`].
    pub(crate) fn group(&self) -> Result<Group, Failure> {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let mut tokens = || (0..self.new_tokens).map(|_| random.random_range(0..8000)).collect::<Vec<u32>>();
        let completions: Vec<Completion> = (0..self.responses)
            .map(|_| Completion { tokens: tokens(), log_probs: vec![-9.0; self.new_tokens], finish: Finish::Length })
            .collect();
        let verdict = |index: usize| {
            let accuracy = (index % 2) as f32;
            Verdict { overall: accuracy, accuracy, parts: Vec::new() }
        };
        Ok(Group {
            task: self.task()?,
            features: None,
            texts: vec![String::new(); self.responses],
            verdicts: (0..self.responses).map(verdict).collect(),
            asked: self.responses,
            ungraded: 0,
            completions,
        })
    }
}

fn config(setting: &Setting, recipe: &str, run: &Path) -> Result<TrainConfig, Failure> {
    let text = |path: &Path| path.display().to_string();
    let model = match setting.dims {
        Dimensions::Bench => setting.folder.clone(),
        // Its processor; the weights are drawn.
        _ => small_beside(&setting.folder),
    };
    let Setting { responses, new_tokens, device, dtype, .. } = setting;
    let text = format!(
        "model = {:?}\noutput = {:?}\nrecipe = {recipe:?}\ndevice = {device:?}\nprecision = \"{dtype}\"\nseed = 1\n[data]\ntrain = {:?}\n\
         max_prompt_tokens = 16384\n[rollout]\nprompts_per_step = 1\nresponses = {responses}\nmax_rows = {responses}\n\
         sampling = {{ max_new_tokens = {new_tokens} }}\n[update]\nactivation_gib = {:?}\n",
        text(&model),
        text(&run.join("run")),
        text(&checkpoint::problems(&setting.folder)),
        setting.activation_gib.unwrap_or(0.0),
    );
    Ok(TrainConfig::parse(&text, "the benchmark's settings")?)
}

/// The folder of the small checkpoint, beside that of a larger one.
pub(crate) fn small_beside(folder: &Path) -> PathBuf {
    folder.with_file_name(Dimensions::Bench.name())
}

/// A prompt of `wanted` tokens: words are put before the end of the user's turn.
fn lengthened(ids: &[u32], wanted: usize) -> Result<Vec<u32>, Failure> {
    /// `<|im_end|>`, a line break, `<|im_start|>`, `assistant` and a line break, at most.
    const END: usize = 5;
    let missing = wanted.checked_sub(ids.len()).ok_or_else(|| {
        format!("the prompt has {} tokens; --prompt-tokens {wanted} would cut it, choose at least as many", ids.len())
    })?;
    let (start, end) = ids.split_at(ids.len().saturating_sub(END));
    let words = (0..missing as u32).map(|index| 300 + index * 7 % 7000);
    Ok(start.iter().copied().chain(words).chain(end.iter().copied()).collect())
}

/// Rewards that differ within a group, and cost nothing to know.
struct ByLetters;

impl Reward for ByLetters {
    fn judge(&self, answers: &[Answer<'_>]) -> Vec<Result<Verdict, Ungraded>> {
        let verdict = |answer: &Answer| {
            let overall = (answer.response.len() % 7) as f32 / 7.0;
            Ok(Verdict { overall, accuracy: overall, parts: Vec::new() })
        };
        answers.iter().map(verdict).collect()
    }
}

/// Weights that cost no time to make: ones for scales, else zeros.
struct Blank;

impl WeightSource for Blank {
    fn take(&mut self, _name: &str, shape: &[usize], init: Init) -> Result<TensorData, ModelError> {
        let value = if init == Init::Ones { 1.0_f32 } else { 0.0 };
        Ok(TensorData::new(vec![value; shape.iter().product()], shape.to_vec()))
    }
}

/// Fills every matrix on its device from a seed, as released models were before their training.
fn drawn(model: QwenVl, device: &Device) -> QwenVl {
    struct Draw;
    impl ModuleMapper for Draw {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            if D == 1 {
                return param;
            }
            param.map(|blank| Tensor::random_like(&blank, Distribution::Normal(0.0, 0.02)))
        }
    }
    device.seed(1);
    model.map(&mut Draw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_grow_before_their_end() {
        let ids: Vec<u32> = (1..=10).collect();
        let longer = lengthened(&ids, 13).expect("longer");
        assert_eq!((longer.len(), &longer[..5], &longer[8..]), (13, &ids[..5], &ids[5..]));
        assert_eq!(lengthened(&ids, 10).expect("as it is"), ids);
        let error = lengthened(&ids, 9).expect_err("it cannot shrink").to_string();
        assert!(error.contains("10 tokens"), "{error}");
    }
}
