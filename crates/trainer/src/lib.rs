//! Reinforcement learning of Qwen2.5-VL from verifiable rewards, with credit token by token.
//!
//! This is where the other crates meet: problems become prompts, prompts responses, responses rewards, scores and credit,
//! and credit a change of the policy. One training step is one function, [`Trainer::step`]; read it first.
//!
//! It knows everything but formulas: which advantage a token gets is the business of the crates `advantage` and
//! `dependency`, and it executes the two streams they produce. It alone names execution backends.
//!
//! ```
//! let vppo = trainer::Recipe::find("vppo")?;
//! assert_eq!(vppo.shapers.len(), 2);
//! println!("{}", vppo.to_json()?);
//! # Ok::<(), trainer::TrainError>(())
//! ```

mod step;
mod step_values;

mod activations;
mod collect;
mod evaluate;
mod features;
mod micro_batch;
mod optimizer;
mod prepare;
mod problems;
mod recompute;
mod requirements;
mod reuse;
mod score;
mod scored;
mod update;
mod view;
mod warm_up;

mod gradients;
mod loss;
mod ragged;
mod vocabulary;

mod checkpoint;
mod config;
pub mod demo;
mod device;
mod disk;
pub mod doctor;
mod download;
mod dry_run;
mod error;
mod inspect;
mod limits;
mod observe;
mod recipe;
mod record;
mod report;
mod run;
mod seeds;
mod stop;

pub use checkpoint::{RunState, Validation, newest, restore, save};
pub use collect::{Collected, Group, RewardSums, Source};
pub use config::{
    DataConfig, Fate, ImportedConfig, ImportedKey, Key, RecipeKey, RecordConfig, RolloutConfig, ScheduleConfig,
    TrainConfig, UpdateConfig, documentation, explanation,
};
pub use device::{Backend, FoundDevice, backends, device, device_for};
pub use download::Hub;
pub use dry_run::{Check, CheckState, DryRun, Memory, MemoryItem};
pub use error::TrainError;
pub use evaluate::{
    Attempt, Comparison, Evaluation, Exam, Harness, Journal, Lengths, Marks, Outcome, Paired, Preset, ProblemSet,
    Protocol, Record, Response, Score, Skipped, Tally, evaluate, presets,
};
pub use features::FeatureCache;
pub use gradients::{ClippedGradient, Gradients};
pub use inspect::{Inspection, Other, Steps};
pub use limits::{MAX_TEXT_BYTES, read_text};
pub use loss::{
    BuiltInLoss, Cispo, ClipRange, ClippedSurrogate, Counts, Gspo, ImplicitPerception, ImportanceCorrection,
    ImportanceLevel, KlEstimator, LossInput, LossOutput, MaskedImportance, Objective, PolicyGradient, PolicyLoss,
    Reduction, ReferenceKl, TokenLoss, TruncatedImportance, Weights,
};
pub use micro_batch::{GroupLengths, Piece, TokenCounts, micro_batches};
pub use observe::{
    Console, LogLines, MetricsFile, Phase, RolloutFiles, TensorBoard, TrainObserver, Tui, has_color, progress_bar,
};
pub use prepare::{Task, bare, decode, prepare};
pub use problems::{Drawn, Problems};
pub use ragged::Ragged;
pub use recipe::{
    AccuracyBand, Algorithm, BuiltIn, Difference, Recipe, built_in, catalogue, cispo, dapo, dr_grpo, grpo, gspo, papo,
    pgpo, pgpo_dev, prpo, reinforce_pp, rloo, vppo, vppo_paper,
};
pub use recompute::Recompute;
pub use report::{Cost, DependencyFigures, FactorFigures, StepReport};
pub use run::{Reopened, Resumption, holds_run};
pub use score::Scorer;
pub use scored::{Scored, is_overlong};
pub use step::{Trainer, trainable, updater, vocabulary};
pub use stop::{Stop, hear_of_file_limits};
pub use update::{Lesson, Recomputed, UpdateReport, Updater};
pub use view::{Draw, PromptView, Side, perturbed_image, perturbed_patches};
pub use vocabulary::{Clean, ContrastScores, KeptLogits, Positions, Predictions, TokenScores, ViewPair, Vocabulary};
pub use warm_up::{WarmUp, WarmUpProgress};
