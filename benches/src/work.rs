//! The pieces of work that are measured.

use std::hint::black_box;
use std::time::{Duration, Instant};

use burn::module::Module as _;
use burn::tensor::Tensor;
use clap::ValueEnum;
use rollout::{NativeEngine, RolloutPrompt, Sampling};
use trainer::{Group, Lesson, Scored, Scorer};
use vlm_model::QwenVl;

use crate::failure::Failure;
use crate::scene::{Scene, Setting};

/// A piece of work. All of them begin at the patches of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// Write responses to one prompt
    Decode,
    /// Write their first tokens
    Prefill,
    /// Log-probabilities of responses to one prompt
    LogProbs,
    /// Those, and under a masked image, and the divergence over the whole vocabulary
    Divergence,
    /// Forward, backward, clipping and AdamW on responses to one prompt
    Update,
    /// A whole step of GRPO
    GrpoStep,
    /// One that takes the log-probabilities seen at sampling for the old ones
    GrpoStepReusing,
    /// A whole step of VPPO as released
    VppoStep,
    /// A whole step of VPPO as printed
    VppoPaperStep,
    /// From the start of the process to the first token
    Start,
}

impl Work {
    /// All, in the order of the table.
    pub(crate) const ALL: [Self; 10] = [
        Self::Decode,
        Self::Prefill,
        Self::LogProbs,
        Self::Divergence,
        Self::Update,
        Self::GrpoStep,
        Self::GrpoStepReusing,
        Self::VppoStep,
        Self::VppoPaperStep,
        Self::Start,
    ];

    /// As it is written on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Prefill => "prefill",
            Self::LogProbs => "log-probs",
            Self::Divergence => "divergence",
            Self::Update => "update",
            Self::GrpoStep => "grpo-step",
            Self::GrpoStepReusing => "grpo-step-reusing",
            Self::VppoStep => "vppo-step",
            Self::VppoPaperStep => "vppo-paper-step",
            Self::Start => "start",
        }
    }

    /// Whether it is compared with our own step of GRPO: no peer has it.
    pub(crate) const fn is_beside_grpo(self) -> bool {
        matches!(self, Self::VppoStep | Self::VppoPaperStep)
    }

    /// The recipe whose terms it computes.
    const fn recipe(self) -> &'static str {
        match self {
            // The divergence over the whole vocabulary.
            Self::Divergence | Self::VppoPaperStep => "vppo-paper",
            Self::VppoStep => "vppo",
            _ => "grpo",
        }
    }
}

/// Work that can be done again and again.
pub(crate) struct Prepared {
    scene: Scene,
    work: Work,
    /// What samples and scores, where it does nothing else; a step makes its own.
    policy: Option<QwenVl>,
    /// Responses with what is known of them, for the update alone.
    scored: Option<Scored>,
    groups: Vec<Group>,
}

impl Prepared {
    /// Loads everything that the work needs, outside of what is measured.
    ///
    /// # Errors
    /// If something cannot be loaded; [`Work::Start`] is a process and cannot be prepared.
    pub(crate) fn new(work: Work, setting: &Setting) -> Result<Self, Failure> {
        if work == Work::Start {
            return Err("`start` is measured from outside: the process is the work".into());
        }
        if work.is_beside_grpo() && setting.responses == 1 {
            return Err(format!("`{}` needs two responses or more; leave --responses 1 out", work.name()).into());
        }
        // One response alone can only be compared over the batch.
        let recipe = if setting.responses == 1 { "reinforce-pp" } else { work.recipe() };
        let scene = Scene::new(setting, recipe, work == Work::GrpoStepReusing)?;
        let groups = if setting.unshared { alone(&scene.group()?) } else { vec![scene.group()?] };
        let scored = (work == Work::Update).then(|| score(&scene, &scene.policy(), &groups)).transpose()?;
        let policy = matches!(work, Work::Decode | Work::Prefill | Work::LogProbs | Work::Divergence);
        let policy = policy.then(|| scene.policy());
        Ok(Self { scene, work, policy, scored, groups })
    }

    /// Parameters of the model.
    pub(crate) fn parameters(&self) -> usize {
        self.scene.trainer.policy.num_params()
    }

    /// Tokens of the prompt.
    pub(crate) fn prompt_tokens(&self) -> usize {
        self.groups[0].task.prompt.ids.len()
    }

    /// Does it once, up to the last operation of the device.
    ///
    /// # Errors
    /// If it fails.
    pub(crate) fn run(&mut self) -> Result<Duration, Failure> {
        let clock = Instant::now();
        match (self.work, &self.policy) {
            (Work::Decode, Some(policy)) => {
                generate(policy, &self.groups[0], self.scene.responses, self.scene.new_tokens)?;
            }
            (Work::Prefill, Some(policy)) => generate(policy, &self.groups[0], self.scene.responses, 1)?,
            (_, Some(policy)) => drop(black_box(score(&self.scene, policy, &self.groups)?)),
            (Work::Update, None) => update(&mut self.scene, self.scored.as_ref())?,
            (_, None) => step(&mut self.scene)?,
        }
        self.scene.trainer.policy.device().sync()?;
        Ok(clock.elapsed())
    }
}

/// The same responses, each behind a prompt of its own.
fn alone(group: &Group) -> Vec<Group> {
    let of = |index: usize| Group {
        completions: vec![group.completions[index].clone()],
        texts: vec![group.texts[index].clone()],
        verdicts: vec![group.verdicts[index].clone()],
        asked: 1,
        ..group.clone()
    };
    (0..group.completions.len()).map(of).collect()
}

fn generate(policy: &QwenVl, group: &Group, responses: usize, new_tokens: usize) -> Result<(), Failure> {
    let sampling = Sampling { max_new_tokens: new_tokens, ..Sampling::default() };
    let engine = NativeEngine::new(policy, &sampling, &[], responses)?;
    let prompt = RolloutPrompt { tokens: group.task.prompt.clone(), image_features: features(policy, group), seed: 1 };
    let written = engine.generate(&[prompt], responses)?;
    let tokens: usize = written.iter().flatten().map(|response| response.tokens.len()).sum();
    match tokens == responses * new_tokens {
        true => Ok(()),
        false => Err(format!("{tokens} tokens were written instead of {responses} × {new_tokens}").into()),
    }
}

fn features(policy: &QwenVl, group: &Group) -> Option<Tensor<2>> {
    policy.image_features(&group.task.patches.iter().collect::<Vec<_>>())
}

fn score(scene: &Scene, policy: &QwenVl, groups: &[Group]) -> Result<Scored, Failure> {
    let trainer = &scene.trainer;
    let scorer = Scorer {
        policy,
        reference: None,
        metric: trainer.algorithm.metric.as_deref(),
        vocabulary: &trainer.vocabulary,
        processor: &trainer.processor.image,
        tokens_per_micro_batch: trainer.updater.tokens_per_micro_batch,
        seed: 1,
    };
    // All have the same picture.
    let features = features(policy, &groups[0]);
    let seen = |group: &Group| Group { features: features.clone(), ..group.clone() };
    let scored = scorer.score(groups.iter().map(seen).collect())?;
    match scored.not_finite() {
        0 => Ok(scored),
        count => Err(format!("{count} log-probabilities are not finite").into()),
    }
}

fn update(scene: &mut Scene, scored: Option<&Scored>) -> Result<(), Failure> {
    let batch = scored.ok_or("an update needs scored responses")?;
    let trainer = &mut scene.trainer;
    let credit = advantage::assign(&*trainer.algorithm.estimator, &trainer.algorithm.shapers, &batch.evidence(None)?)?;
    let lesson = Lesson {
        batch,
        credit: &credit,
        algorithm: &trainer.algorithm,
        vocabulary: &trainer.vocabulary,
        reference: None,
        max_new_tokens: scene.new_tokens,
    };
    let (gradients, report) = trainer.updater.gradients(&trainer.policy, &lesson)?;
    let report = trainer.apply(gradients, report, 1e-6);
    match report.skipped {
        true => Err("the gradient is not finite".into()),
        false => Ok(()),
    }
}

fn step(scene: &mut Scene) -> Result<(), Failure> {
    let report = scene.trainer.step()?;
    let (updates, shortest) = (report.updates, report.response_length_min);
    match updates == 1 && shortest == scene.new_tokens as f64 {
        true => Ok(()),
        false => {
            let wanted = scene.new_tokens;
            Err(format!("a step of one update made {updates}, on responses of {shortest} instead of {wanted} tokens")
                .into())
        }
    }
}
