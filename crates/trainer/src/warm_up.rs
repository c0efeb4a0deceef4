//! Supervised learning on worked responses, until a policy can answer at all.
//!
//! Reinforcement learning needs a policy that is right sometimes. A released model is; one built from scratch first learns
//! from teacher text by the same passes that reinforcement uses.

use burn::module::Module as _;
use dataset::{Dataset, Problem, Sampler};
use rollout::{Completion, Finish};
use serde::{Deserialize, Serialize};
use vlm_model::QwenVl;

use crate::TrainError;
use crate::collect::{Group, Source};
use crate::config::UpdateConfig;
use crate::evaluate::{Evaluation, evaluate};
use crate::gradients::Gradients;
use crate::loss::LossOutput;
use crate::micro_batch::{GroupLengths, micro_batches};
use crate::prepare::prepare;
use crate::problems::Problems;
use crate::seeds::{Purpose, derive};
use crate::step::updater;
use crate::update::{Pass, Updater};
use crate::vocabulary::Vocabulary;

/// Settings of a warm-up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WarmUp {
    /// Categories of problems that are taught; none means all. The others are left to reinforcement.
    #[serde(default)]
    pub categories: Vec<String>,
    /// Most optimizer steps.
    pub max_steps: usize,
    /// Problems in each step.
    pub problems_per_step: usize,
    /// AdamW's learning rate.
    pub learning_rate: f64,
    /// Steps over which it rises from zero.
    pub rise_steps: usize,
    /// Steps between looks at the accuracy.
    pub check_every: usize,
    /// Problems answered at each look.
    pub check_problems: usize,
    /// Stops at the first look whose accuracy reaches this share.
    pub enough: f64,
}

/// What a warm-up shows while it goes on.
#[derive(Clone, Debug)]
pub struct WarmUpProgress {
    /// Steps taken.
    pub step: usize,
    /// Mean negative log-likelihood of a teacher token, in nats.
    pub loss: f64,
    /// The last look at the accuracy.
    pub checked: Option<Box<Evaluation>>,
}

impl WarmUp {
    /// Trains `policy` on the problems that have teacher text and returns it with the number of steps taken.
    ///
    /// # Errors
    /// If no problem has teacher text, or a problem cannot be prepared.
    pub fn run(
        &self,
        mut policy: QwenVl,
        problems: &[Problem],
        source: &Source,
        mut show: impl FnMut(WarmUpProgress),
    ) -> Result<(QwenVl, usize), TrainError> {
        let config = source.config;
        let (checked_problems, taught) = self.split(problems)?;
        let checked_problems = Problems::new(Dataset::of(checked_problems.to_vec()));
        let vocabulary = Vocabulary::plain(config.update.vocabulary_chunk);
        let update = UpdateConfig { learning_rate: self.learning_rate, ..config.update };
        let mut updater = updater(&update, config.precision);
        let mut sampler = Sampler::new(derive(config.seed, Purpose::Teacher, &[]), taught.len())?;
        for step in 0..self.max_steps {
            let batch: Vec<&Problem> =
                sampler.next_batch(self.problems_per_step).into_iter().map(|i| taught[i]).collect();
            let groups = batch.iter().map(|problem| teach(problem, source)).collect::<Result<Vec<_>, _>>()?;
            let (gradients, loss) = likelihood(&policy, &groups, &vocabulary, &updater)?;
            let clipped = gradients.clip(&policy, config.update.max_gradient_norm);
            if clipped.norm.is_finite() {
                let rise = ((step + 1) as f64 / self.rise_steps.max(1) as f64).min(1.0);
                policy = updater.optimizer.step(self.learning_rate * rise, policy, clipped.gradient);
            }
            let look = (step + 1).is_multiple_of(self.check_every.max(1));
            let checked = look.then(|| {
                let frozen = policy.valid().in_precision(config.precision);
                evaluate(&Source { policy: &frozen, ..*source }, &checked_problems, 1, |_| {})
            });
            let checked = checked.transpose()?;
            let enough = checked
                .as_ref()
                .is_some_and(|evaluation| evaluation.overall.accuracy.is_some_and(|accuracy| accuracy >= self.enough));
            show(WarmUpProgress { step: step + 1, loss, checked: checked.map(Box::new) });
            if enough {
                return Ok((policy, step + 1));
            }
        }
        Ok((policy, self.max_steps))
    }

    /// Problems to look at, kept apart from those that are taught.
    fn split<'a>(&self, problems: &'a [Problem]) -> Result<(&'a [Problem], Vec<&'a Problem>), TrainError> {
        let (checked, others) = problems.split_at(self.check_problems.min(problems.len() / 2));
        let in_categories = |problem: &Problem| {
            self.categories.is_empty()
                || problem.category.as_ref().is_some_and(|category| self.categories.contains(category))
        };
        let taught: Vec<&Problem> =
            others.iter().filter(|problem| problem.teacher.is_some() && in_categories(problem)).collect();
        if taught.is_empty() {
            return Err(TrainError::Usage(
                "no problem to warm up on has a `teacher` text; add some or start from a trained model".to_owned(),
            ));
        }
        Ok((checked, taught))
    }
}

/// A problem whose only response is the teacher's.
fn teach(problem: &Problem, source: &Source) -> Result<Group, TrainError> {
    let task = prepare(problem, source.processor, &source.policy.config, &source.config.data)?;
    let named = |source| TrainError::Problem { place: problem.place.clone(), source: Box::new(source) };
    let mut tokens =
        source.processor.tokenizer.encode(problem.teacher.as_deref().unwrap_or_default()).map_err(named)?;
    tokens.push(source.policy.config.tokens.eos);
    let completion = Completion { tokens, log_probs: Vec::new(), finish: Finish::Stop };
    Ok(Group {
        task,
        features: None,
        completions: vec![completion],
        texts: Vec::new(),
        verdicts: Vec::new(),
        asked: 0,
        ungraded: 0,
    })
}

/// Gradient and value of the mean negative log-likelihood over all teacher tokens.
fn likelihood(
    policy: &QwenVl,
    groups: &[Group],
    vocabulary: &Vocabulary,
    updater: &Updater,
) -> Result<(Gradients, f64), TrainError> {
    let lengths: Vec<GroupLengths> = groups
        .iter()
        .map(|group| GroupLengths {
            prompt: group.task.prompt.ids.len(),
            responses: group.completions.iter().map(|completion| completion.tokens.len()).collect(),
        })
        .collect();
    let tokens: usize = lengths.iter().flat_map(|lengths| &lengths.responses).sum();
    let policy = &policy.in_precision(updater.precision);
    let mut gradients = Gradients::default();
    let mut loss = 0.0;
    let trains_vision = !updater.freeze_vision;
    let passes = micro_batches(&lengths, updater.tokens_per_micro_batch);
    let recompute = updater.recompute.decide(policy, groups, &passes, trains_vision);
    for pieces in &passes {
        let (entropy, reference) = (false, None);
        let pass = Pass { policy, vocabulary, groups, pieces, trains_vision, entropy, reference, recompute };
        let parts = pass.backward(&mut gradients, |current, _| {
            let total = current.log_probs.sum().neg() / tokens as f64;
            Ok(LossOutput { parts: total.clone().detach(), total })
        })?;
        loss += parts.iter().sum::<f64>();
    }
    Ok((gradients, loss))
}
