//! Whole steps under recipes with every term.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use advantage::{AdvantageEstimator, CreditError, Evidence, NonNegative};
use burn::tensor::Tensor;
use trainer::{
    BuiltInLoss, Cispo, Gspo, ImplicitPerception, ImportanceCorrection, KlEstimator, MaskedImportance, Objective,
    Recipe, Reduction, ReferenceKl, StepReport, Trainer, grpo, vppo,
};

use crate::workspace::{EveryOther, Workspace};

/// Praises every other response and remembers what it was told.
#[derive(Clone, Default)]
struct Witness {
    progress: Arc<Mutex<Vec<f64>>>,
    paid: Arc<Mutex<Vec<f64>>>,
}

impl AdvantageEstimator for Witness {
    fn estimate(&self, evidence: &Evidence) -> Result<Tensor<2>, CreditError> {
        self.progress.lock().expect("one thread").push(evidence.progress().value());
        if let Some(rewards) = evidence.token_rewards() {
            let total: f64 = rewards.abs().into_data().iter::<f64>().sum();
            self.paid.lock().expect("one thread").push(total);
        }
        EveryOther.estimate(evidence)
    }
}

/// A trainer whose recipe differs from GRPO, one optimizer step to each of its three steps.
fn start(workspace: &Workspace, recipe: &Recipe) -> (Trainer, Witness) {
    let path = workspace.recipe(recipe);
    let mut config = workspace.config(&recipe.name, &path);
    (config.update.updates_per_step, config.update.learning_rate, config.schedule.steps) = (1, 3e-4, 3);
    let mut trainer = Trainer::start(config).expect("starts");
    let witness = Witness::default();
    trainer.algorithm.estimator = Box::new(witness.clone());
    (trainer, witness)
}

fn named(name: &str) -> Recipe {
    Recipe { name: name.to_owned(), ..grpo() }
}

fn steps(trainer: &mut Trainer, count: usize) -> Vec<StepReport> {
    (0..count).map(|_| trainer.step().expect("a step")).collect()
}

/// The full divergence is zero at first and grows as the policy moves; entropies are those of the sampling distribution before
/// the first update.
#[test]
fn whole_distributions_are_compared() {
    let workspace = Workspace::new();
    let reference_kl = Some(ReferenceKl { estimator: KlEstimator::Full, coefficient: 1e-3 });
    let objective =
        Objective { reference_kl, entropy_bonus: 1e-3, reduction: Reduction::TokenMean, ..Objective::default() };
    let (mut trainer, _) = start(&workspace, &Recipe { objective, ..named("full") });
    assert!(trainer.reference.is_some());
    let reports = steps(&mut trainer, 2);
    assert!(reports[0].reference_kl.abs() < 1e-5 && reports[1].reference_kl > 1e-4, "{reports:?}");
    for report in &reports {
        assert!((report.entropy_at_update - report.entropy).abs() < 1e-4 * report.entropy, "{report:?}");
        assert!(report.gradient_norm > 0.0 && report.perception_kl == 0.0 && report.masked_entropy == 0.0);
        assert!((report.importance - 1.0).abs() < 1e-6 && (report.effective_share - 1.0).abs() < 1e-5);
    }
}

/// A divergence in the rewards loads the reference, and is paid as soon as the policy has moved.
#[test]
fn divergence_can_be_paid_from_rewards() {
    let workspace = Workspace::new();
    let reward_kl = Some(ReferenceKl { estimator: KlEstimator::K2, coefficient: 0.1 });
    let (mut trainer, witness) = start(&workspace, &Recipe { reward_kl, ..named("reward") });
    let reports = steps(&mut trainer, 2);
    let paid = witness.paid.lock().expect("one thread").clone();
    assert!(paid.len() == 2 && paid[0] < 1e-6 && paid[1] > 1e-6, "{paid:?}");
    assert!(reports.iter().all(|report| report.reference_kl == 0.0), "it is no term of the loss");
    let (mut plain, witness) = start(&workspace, &named("plain"));
    plain.step().expect("a step");
    assert!(plain.reference.is_none() && witness.paid.lock().expect("one thread").is_empty());
}

/// Perception reads the dependency's contrast, in every optimizer step of a step.
#[test]
fn perception_reads_the_contrast() {
    let workspace = Workspace::new();
    let number = const { NonNegative::literal(0.02) };
    let perception = Some(ImplicitPerception { coefficient: number, masked_entropy: number });
    let objective = Objective { perception, entropy_penalty: 0.05, ..grpo().objective };
    let recipe = Recipe { objective, dependency: vppo().dependency, ..named("perception") };
    let (mut trainer, _) = start(&workspace, &recipe);
    trainer.config.update.updates_per_step = 2;
    let report = trainer.step().expect("a step");
    assert!(report.perception_kl > 0.0 && report.masked_entropy > 0.1, "{report:?}");
    let missing = Recipe { dependency: None, ..trainer.algorithm.recipe.clone() };
    let config = workspace.config("blind", &workspace.recipe(&Recipe { name: "blind".to_owned(), ..missing }));
    let output = config.output.clone();
    let error = Trainer::start(config).err().expect("nothing to read").to_string();
    assert!(error.contains("`perception`") && !output.exists(), "{error}");
}

/// This engine samples from the policy itself, so that a correction changes next to nothing; losses of whole responses and of
/// clipped weights train.
#[test]
fn corrections_and_losses_train() {
    let workspace = Workspace::new();
    let importance = Some(ImportanceCorrection::Masked(MaskedImportance::default()));
    for (name, max_length, loss) in [("budget", None, -1.0 / 3.0), ("twice", NonZeroUsize::new(14), -1.0 / 6.0)] {
        let objective = Objective { importance, reduction: Reduction::DrGrpo { max_length }, ..Objective::default() };
        let (mut trainer, _) = start(&workspace, &Recipe { objective, ..named(name) });
        trainer.config.rollout.prompts_per_step = 1;
        let report = trainer.step().expect("a step");
        assert!((report.importance - 1.0).abs() < 1e-4 && report.limited == 0.0, "{report:?}");
        assert!((report.effective_share - 1.0).abs() < 1e-4 && report.gradient_norm > 0.0, "{report:?}");
        // Two of three responses are praised, each of seven tokens, which is the budget.
        assert!((report.policy_loss - loss).abs() < 1e-4, "{report:?}");
    }
    let open = const { NonNegative::literal(4.0) };
    let cispo = BuiltInLoss::Cispo(Cispo { low: const { advantage::Fraction::literal(1.0) }, high: open });
    for (name, loss) in [("gspo", BuiltInLoss::Gspo(Gspo::default())), ("cispo", cispo)] {
        let objective = Objective { reduction: Reduction::NonEmptySequenceMean, ..Objective::default() };
        let (mut trainer, _) = start(&workspace, &Recipe { loss, objective, ..named(name) });
        let reports = steps(&mut trainer, 2);
        assert!(reports.iter().all(|report| report.gradient_norm > 0.0 && report.skipped_updates == 0), "{reports:?}");
    }
}

/// An untrained policy never stops: with the filter nothing of its responses is learned.
#[test]
fn cut_responses_can_be_left_out() {
    let workspace = Workspace::new();
    let (mut trainer, _) = start(&workspace, &Recipe { overlong_filter: true, ..named("filter") });
    let report = trainer.step().expect("a step");
    assert_eq!((report.truncated, report.gradient_norm, report.updates), (1.0, 0.0, 1), "{report:?}");
    assert_eq!(report.policy_loss, 0.0, "the mean is over responses");
    assert!(report.clipped_high.is_nan() && report.importance.is_nan(), "no token counts");
    assert_eq!((report.advantage, report.skipped_updates), (1.0, 0), "they have an advantage all the same");
}

/// Scheduled components see the run's progress, from 0 at the first step to 1 at the last and beyond.
#[test]
fn progress_is_told() {
    let workspace = Workspace::new();
    let (mut trainer, witness) = start(&workspace, &named("progress"));
    steps(&mut trainer, 4);
    assert_eq!(*witness.progress.lock().expect("one thread"), [0.0, 0.5, 1.0, 1.0]);
    trainer.config.schedule.steps = 1;
    trainer.step = 0;
    trainer.step().expect("a step");
    assert_eq!(witness.progress.lock().expect("one thread")[4], 0.0, "a single step is the first");
}
