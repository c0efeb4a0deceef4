//! The crate's one error type.

use std::path::PathBuf;

use dataset::{DatasetError, Place};

/// Why a run could not start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The model or its files.
    #[error(transparent)]
    Model(#[from] vlm_model::ModelError),
    /// Sampling.
    #[error(transparent)]
    Rollout(#[from] rollout::RolloutError),
    /// The problems.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// Credit assignment.
    #[error(transparent)]
    Credit(#[from] advantage::CreditError),
    /// Dependency measurement.
    #[error(transparent)]
    Dependency(#[from] dependency::DependencyError),
    /// The reward.
    #[error(transparent)]
    Reward(#[from] reward::RewardError),
    /// Records of a run, or a page of them.
    #[error(transparent)]
    Inspector(#[from] inspector::InspectorError),
    /// A problem that cannot be made into a prompt.
    #[error("{place}: {source}")]
    Problem {
        /// Where it stands.
        place: Place,
        /// Why not.
        source: Box<vlm_model::ModelError>,
    },
    /// A prompt longer than allowed.
    #[error(
        "{place}: the prompt has {tokens} tokens, the limit is {limit}; shrink its images or raise data.max_prompt_tokens"
    )]
    PromptTooLong {
        /// Where the problem stands.
        place: Place,
        /// Its tokens, image tokens included.
        tokens: usize,
        /// The limit.
        limit: usize,
    },
    /// A problem that the prompt template cannot take.
    #[error("{place}: {source}")]
    Template {
        /// Where the problem stands.
        place: Place,
        /// Why not.
        source: Box<DatasetError>,
    },
    /// Problems of which none can be used.
    #[error("none of {problems} problems can be used; `sightline data check` says what is wrong with each")]
    NoUsableProblem {
        /// Problems there are.
        problems: usize,
    },
    /// Something of a Hub that could not be fetched.
    #[error("cannot download {name}: {reason}")]
    Download {
        /// Its name.
        name: String,
        /// Why not.
        reason: String,
    },
    /// Data in which a check found errors.
    #[error("{bad} of {problems} problems cannot be used")]
    BadData {
        /// Problems that training would pass over.
        bad: usize,
        /// All problems.
        problems: usize,
    },
    /// A folder that holds no run.
    #[error("{} holds no run: there is no config.toml in it", folder.display())]
    NoRun {
        /// The folder.
        folder: PathBuf,
    },
    /// A checkpoint that a run has not kept and that is no folder.
    #[error("there is no checkpoint `{name}`; the run has {known}, or give the path of a checkpoint folder")]
    UnknownCheckpoint {
        /// What was asked for.
        name: String,
        /// What the run has.
        known: String,
    },
    /// Problems other than those a run began with.
    #[error("the checkpoint was trained on {recorded} problems, now there are {found}; bring the data back to go on")]
    DataChanged {
        /// Problems when the checkpoint was written.
        recorded: usize,
        /// Problems there are now.
        found: usize,
    },
    /// A configuration file or override that cannot be understood.
    #[error("configuration: {place}: {reason}")]
    Config {
        /// File, key or `command line`.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// A recipe that is neither built in nor a readable file.
    #[error("there is no recipe `{name}`; built in are {known}, or give the path of a .toml or .json file")]
    UnknownRecipe {
        /// What was asked for.
        name: String,
        /// The built-in names.
        known: String,
    },
    /// A clip range outside its bounds.
    #[error("clip range low {low}, high {high}; use 0 <= low < 1 and high >= 0")]
    ClipRange {
        /// Distance below one.
        low: f64,
        /// Distance above one.
        high: f64,
    },
    /// A term of a recipe's objective or rewards that cannot be computed.
    #[error("the recipe's `{term}` needs {needs}; give it that or leave the term out")]
    Objective {
        /// Its field in the recipe.
        term: &'static str,
        /// What is missing.
        needs: &'static str,
    },
    /// A device this program does not know or was built without.
    #[error("device `{name}` is not available: {reason}")]
    Device {
        /// What was asked for.
        name: String,
        /// Why not, and what to do.
        reason: String,
    },
    /// A device that does not compute what it should.
    #[error(
        "{name} fails {failed} checks of `sightline doctor`:\n{table}\nchoose another device, or train on it all the same with --skip-doctor"
    )]
    UnsoundDevice {
        /// The device.
        name: String,
        /// Checks that failed.
        failed: usize,
        /// What was found.
        table: String,
    },
    /// Devices of which the doctor has shown what is wrong.
    #[error("{names} computed what it should not; see the checks marked FAILED")]
    UnsoundDevices {
        /// The devices.
        names: String,
    },
    /// A file operation failed.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// The verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A text file is larger than anything it could hold.
    #[error("{} has {bytes} bytes, the limit is {limit}; is it another file?", path.display())]
    FileTooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The most that is read.
        limit: u64,
    },
    /// A JSON document that cannot be understood or written.
    #[error("{place}: {source}")]
    Json {
        /// Where it stands.
        place: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A checkpoint whose optimizer state cannot be read or written.
    #[error("optimizer state in {}: {reason}", path.display())]
    OptimizerState {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A checkpoint that is not as it was written.
    #[error("{} is damaged: {reason}", checkpoint.display())]
    Damaged {
        /// Its folder.
        checkpoint: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A checkpoint that could not be written.
    #[error(
        "step {step} could not be saved: {source}; {kept}; make room or make the folder writable, and give the same command"
    )]
    NotSaved {
        /// Its step.
        step: usize,
        /// Why not.
        source: Box<Self>,
        /// What is left.
        kept: String,
    },
    /// A policy with weights that are no numbers, which no step can mend.
    #[error(
        "step {step} has left weights that are not finite, which are not saved; {kept}; a lower update.learning_rate may help, with --accept-changes"
    )]
    SpoiltPolicy {
        /// The step.
        step: usize,
        /// What is left.
        kept: String,
    },
    /// Checkpoints of which none is whole.
    #[error("every checkpoint in {} is damaged; bring one back, or begin again in another folder:\n  {reasons}", folder.display())]
    AllDamaged {
        /// Where they are.
        folder: PathBuf,
        /// What is wrong with each, a line each.
        reasons: String,
    },
    /// A run that learns nothing any more.
    #[error(
        "step {step}: nothing was learned from {steps} steps on end, since log-probabilities or gradients were not finite; {kept}; a lower update.learning_rate may help, with --accept-changes"
    )]
    NotFinite {
        /// The last step.
        step: usize,
        /// How many on end.
        steps: usize,
        /// What is left.
        kept: String,
    },
    /// A run that was asked to stop and did.
    #[error("stopped after step {step}; the same command goes on from there")]
    Stopped {
        /// Steps that are taken.
        step: usize,
        /// The exit status its process is to have.
        status: u8,
    },
    /// Signals that cannot be listened to.
    #[error("cannot listen to signals: {source}")]
    Signals {
        /// What the system said.
        source: std::io::Error,
    },
    /// A run's folder that another process writes to.
    #[error("another process{process} trains in {}; wait until it ends, or choose another output folder", folder.display())]
    RunLocked {
        /// The folder.
        folder: PathBuf,
        /// The process's id in parentheses, if it is known.
        process: String,
    },
    /// A run that is to go on in another way.
    #[error(
        "{} holds a run that was trained otherwise; take the changes over with --accept-changes, or choose another output folder:\n  {differences}", folder.display()
    )]
    RunChanged {
        /// The folder.
        folder: PathBuf,
        /// What differs, a line for each place.
        differences: String,
    },
    /// A reference policy that cannot be read.
    #[error(
        "the reference policy is the model a run starts from, and {} cannot be read: {source}; put that model back there, or name its new place with model=FOLDER and --accept-changes", folder.display()
    )]
    NoReference {
        /// The model's folder.
        folder: PathBuf,
        /// What is wrong with it.
        source: Box<Self>,
    },
    /// There is nothing to resume from.
    #[error("no complete checkpoint in {}; start without --resume", folder.display())]
    NothingToResume {
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// An output folder that is already in use.
    #[error("{} already holds a run or other files; resume with --resume or choose another output folder", folder.display())]
    RunExists {
        /// The folder.
        folder: PathBuf,
    },
    /// An evaluation's folder holds another evaluation.
    #[error(
        "{} holds an evaluation that asked something else; choose another output folder, or ask the same:\n  {differences}", folder.display()
    )]
    EvaluationChanged {
        /// The folder.
        folder: PathBuf,
        /// What differs, a line for each place.
        differences: String,
    },
    /// A folder that an evaluation cannot be written to.
    #[error("cannot evaluate into {}: {reason}; choose another output folder", folder.display())]
    Occupied {
        /// The folder.
        folder: PathBuf,
        /// What is in the way.
        reason: String,
    },
    /// An evaluation without a single graded response.
    #[error("nothing was evaluated: {reason}")]
    NothingEvaluated {
        /// Why, and what to do.
        reason: String,
    },
    /// A preset that is not built in.
    #[error("there is no preset `{name}`; there are {known}")]
    UnknownPreset {
        /// What was asked for.
        name: String,
        /// The built-in names.
        known: String,
    },
    /// Two evaluations of different problems.
    #[error(
        "problem {number} is not the same in both evaluations: \"{before}\" and \"{after}\"; compare evaluations of one data set"
    )]
    OtherProblems {
        /// The problem's number, from 1.
        number: usize,
        /// Question and expected answer in the first.
        before: String,
        /// Question and expected answer in the second.
        after: String,
    },
    /// The program's input is malformed.
    #[error("{0}")]
    Usage(String),
}

impl TrainError {
    /// The problem it is about, if it is about one, so that others can be used without it.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Dataset(error) => error.place(),
            Self::Problem { place, .. } | Self::PromptTooLong { place, .. } | Self::Template { place, .. } => {
                Some(place)
            }
            _ => None,
        }
    }

    /// Wraps a system error with what was attempted.
    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}
