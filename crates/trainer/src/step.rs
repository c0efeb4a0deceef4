//! The training step, and the state it acts on.

use std::time::Instant;

use advantage::Fraction;
use burn::module::{Module as _, ModuleMapper, Param, ParamGroup};
use burn::tensor::{Device, Tensor};
use dataset::Sampler;
use reward::Reward;
use rollout::RolloutError;
use vlm_model::processor::Processor;
use vlm_model::{Precision, QwenVl};

use crate::TrainError;
use crate::collect::{Collected, Source};
use crate::config::{TrainConfig, UpdateConfig};
use crate::features::FeatureCache;
use crate::gradients::Gradients;
use crate::optimizer::optimizer;
use crate::problems::Problems;
use crate::recipe::Algorithm;
use crate::recompute::Recomputation;
use crate::record::Recorder;
use crate::report::{StepFacts, StepReport, Timings};
use crate::run::Standing;
use crate::score::Scorer;
use crate::scored::Scored;
use crate::seeds::{Purpose, derive};
use crate::step_values::StepValues;
use crate::stop::Stop;
use crate::update::{Lesson, UpdateReport, Updater};
use crate::vocabulary::Vocabulary;

/// A run in progress.
pub struct Trainer {
    /// The run's configuration.
    pub config: TrainConfig,
    /// The recipe, made into components.
    pub algorithm: Algorithm,
    /// The policy, on a device with autodiff.
    pub policy: QwenVl,
    /// The policy the objective or the rewards pull towards, if the recipe has one of those terms.
    pub reference: Option<QwenVl>,
    /// The checkpoint's processor.
    pub processor: Processor,
    /// The judge.
    pub reward: Box<dyn Reward>,
    /// Optimizer and batching.
    pub updater: Updater,
    /// The policy's distribution.
    pub vocabulary: Vocabulary,
    /// Training problems.
    pub problems: Problems,
    /// Position in the problems.
    pub sampler: Sampler,
    /// Steps taken.
    pub step: usize,
    /// Asks the run to stop.
    pub stop: Stop,
    /// Image features, while the vision tower stays as it is.
    pub features: Option<FeatureCache>,
    /// What else a checkpoint holds.
    pub(crate) standing: Standing,
}

impl Trainer {
    /// One training step. Everything the run does to the policy is visible here.
    ///
    /// Log-probabilities that are not finite, at sampling or recomputed, are counted in the report, and nothing is learned from
    /// the step.
    ///
    /// # Errors
    /// If a problem cannot be prepared, nothing can be sampled, or the recipe's components do not fit together;
    /// [`TrainError::Stopped`] if the run was asked to stop before the update, and then it is as if the step had not been.
    pub fn step(&mut self) -> Result<StepReport, TrainError> {
        let mut timings = Timings::default();
        let clock = Instant::now();
        let policy = self.policy.valid().in_precision(self.config.precision);
        let step = self.step as u64;
        let device = policy.device();
        let before = self.sampler.clone();

        let source = Source {
            policy: &policy,
            processor: &self.processor,
            reward: &*self.reward,
            config: &self.config,
            features: self.features.as_ref(),
        };
        let sampled = source.collect(&self.problems, &mut self.sampler, self.algorithm.accuracy_band, step);
        let (mut collected, unsampled) = unless_not_finite(sampled)?;
        timings.reward = collected.judging;
        timings.rollout = clock.elapsed().saturating_sub(collected.judging);
        if self.stop.is_asked() {
            return Err(self.abandon(before));
        }

        let phase = Instant::now();
        let scorer = Scorer {
            policy: &policy,
            reference: self.reference.as_ref().filter(|_| self.algorithm.scores_reference()),
            metric: self.algorithm.metric.as_deref(),
            vocabulary: &self.vocabulary,
            processor: &self.processor.image,
            tokens_per_micro_batch: self.updater.tokens_per_micro_batch,
            seed: derive(self.config.seed, Purpose::Contrast, &[step]),
        };
        let as_sampled = self.reuses_sampling();
        let groups = std::mem::take(&mut collected.groups);
        let scored = if as_sampled { scorer.score_as_sampled(groups)? } else { scorer.score(groups)? };
        let not_finite = unsampled + scored.not_finite();
        let recorded = self.config.record.is_due(self.step + 1);
        let mut values = StepValues::of(&scored, recorded);
        timings.score = phase.elapsed();
        // What sampled and scored shares the parameters' memory, which the update writes to.
        drop(policy);
        if self.stop.is_asked() {
            return Err(self.abandon(before));
        }

        let learning_rate = learning_rate(&self.config.update, self.step);
        let batches = scored.optimizer_batches(self.config.update.updates_per_step);
        self.warn_if_nothing_is_learned(not_finite, &collected, &batches);
        let learned = if not_finite == 0 { batches.as_slice() } else { &[] };
        let mut updates = Vec::with_capacity(learned.len());
        for batch in learned {
            let phase = Instant::now();
            let evidence = batch.evidence(self.algorithm.recipe.reward_kl)?.with_progress(self.progress()?);
            let credit = advantage::assign(&*self.algorithm.estimator, &self.algorithm.shapers, &evidence)?;
            values.add(batch, &evidence, &credit, &self.algorithm.recipe)?;
            timings.credit += phase.elapsed();

            let phase = Instant::now();
            let lesson = Lesson {
                batch,
                credit: &credit,
                algorithm: &self.algorithm,
                vocabulary: &self.vocabulary,
                reference: self.reference.as_ref(),
                max_new_tokens: self.config.rollout.sampling.max_new_tokens,
            };
            let (gradients, mut update) = self.updater.gradients(&self.policy, &lesson)?;
            if let Some(recomputed) = update.recomputed.take() {
                values.complete(recomputed);
            }
            let update = self.apply(gradients, update, learning_rate);
            updates.push(update);
            timings.update += phase.elapsed();
        }
        values.fill_up();
        self.step += 1;

        let recorder = Recorder {
            step: self.step,
            token_groups: self.config.record.token_groups,
            contrasts: self.algorithm.metric.as_ref().map_or(&[], |metric| metric.contrasts()),
            tokenizer: &self.processor.tokenizer,
        };
        let rollouts = recorded.then(|| recorder.records(&batches, &values)).transpose()?;
        timings.step = clock.elapsed();
        let facts = StepFacts {
            step: self.step,
            collected: &collected,
            batches: &batches,
            values: &values,
            updates: &updates,
            learning_rate,
            max_prompt_tokens: self.config.data.max_prompt_tokens,
            timings,
            device: &device,
        };
        let measures_dependency = self.algorithm.metric.is_some();
        let mut report = StepReport { not_finite, rollouts, measures_dependency, ..facts.report() };
        if not_finite > 0 {
            report.skipped_updates = self.config.update.updates_per_step;
        }
        self.standing.count(&report);
        if as_sampled {
            self.watch_gap(&report);
        }
        Ok(report)
    }

    /// Moves the policy along a gradient, in place.
    pub fn apply(&mut self, gradients: Gradients, report: UpdateReport, learning_rate: f64) -> UpdateReport {
        let policy = taken(&mut self.policy);
        let (policy, report) = self.updater.apply(policy, gradients, report, learning_rate);
        self.policy = policy;
        report
    }

    fn warn_if_nothing_is_learned(&self, not_finite: usize, collected: &Collected, batches: &[Scored]) {
        let (step, sampled) = (self.step + 1, collected.sampled_groups);
        if not_finite > 0 {
            tracing::warn!(
                "step {step}: nothing is learned from it, since log-probabilities are not finite: {not_finite}"
            );
        } else if batches.is_empty() {
            tracing::warn!("step {step}: none of {sampled} groups could be used, and nothing is learned from it");
        }
    }

    /// Undoes what a step has done before its update.
    fn abandon(&mut self, sampler: Sampler) -> TrainError {
        self.sampler = sampler;
        self.stopped()
    }

    fn progress(&self) -> Result<Fraction, TrainError> {
        progress(self.step, self.config.schedule.steps)
    }
}

/// How far a run of `steps` steps has come when it has taken `step` of them: 0 at its first, 1 at its last.
pub(crate) fn progress(step: usize, steps: usize) -> Result<Fraction, TrainError> {
    let last = steps.saturating_sub(1).max(1);
    Ok(Fraction::new((step as f64 / last as f64).min(1.0))?)
}

/// What was collected, or nothing and one if the policy's predictions were not finite.
fn unless_not_finite(sampled: Result<Collected, TrainError>) -> Result<(Collected, usize), TrainError> {
    match sampled {
        Err(TrainError::Rollout(error @ RolloutError::NotFinite { .. })) => {
            tracing::warn!("{error}");
            Ok((Collected::default(), 1))
        }
        sampled => Ok((sampled?, 0)),
    }
}

/// Takes the policy out of its place, where one without values stays, so that nothing else holds its parameters.
fn taken(policy: &mut QwenVl) -> QwenVl {
    struct Emptied;
    impl ModuleMapper for Emptied {
        fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
            parameter.map(|values| Tensor::zeros([0; D], &values.device()))
        }
    }
    let emptied = policy.clone().map(&mut Emptied);
    std::mem::replace(policy, emptied)
}

/// The learning rate of a step: a linear rise, then constant.
fn learning_rate(update: &UpdateConfig, step: usize) -> f64 {
    let rise = (step + 1) as f64 / update.warmup_steps.max(1) as f64;
    update.learning_rate * rise.min(1.0)
}

/// AdamW with the papers' settings, decay on every parameter, for layers that compute in `precision`.
#[must_use]
pub fn updater(config: &UpdateConfig, precision: Precision) -> Updater {
    Updater {
        optimizer: optimizer(config),
        max_gradient_norm: config.max_gradient_norm,
        tokens_per_micro_batch: config.tokens_per_micro_batch,
        freeze_vision: config.freeze_vision,
        recompute: Recomputation::of(config),
        precision,
    }
}

/// Makes a model trainable on a device with autodiff, its vision tower frozen if so configured.
#[must_use]
pub fn trainable(model: QwenVl, update: &UpdateConfig) -> QwenVl {
    let model = model.train();
    if update.freeze_vision { model.freeze_group(ParamGroup::from_predicate("visual")) } else { model }
}

/// The distribution that rollouts of this configuration sample from.
#[must_use]
pub fn vocabulary(config: &TrainConfig, model: &QwenVl, device: &Device) -> Vocabulary {
    Vocabulary::sampled(
        config.rollout.sampling.temperature,
        config.update.vocabulary_chunk,
        model.config.text.vocab_size,
        &model.config.tokens.prompt_only(),
        device,
    )
}
