//! One side of a comparison: a worker, or a whole process where its start is the work.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::checkpoint::{QUESTION, picture};
use crate::dimensions::Dimensions;
use crate::failure::Failure;
use crate::process;
use crate::scene::Setting;
use crate::session::{Repetition, Session, watched};
use crate::work::Work;

/// Something that can do a piece of work again and again.
pub(crate) enum Contender {
    /// A process that stays.
    Worker(Box<Session>),
    /// A command that is run anew each time.
    Process(Box<dyn Fn() -> Command>),
}

impl Contender {
    /// Our side.
    ///
    /// # Errors
    /// If it cannot be started.
    pub(crate) fn ours(work: Work, setting: &Setting, threads: usize) -> Result<Self, Failure> {
        let program = std::env::current_exe()?;
        if work == Work::Start {
            let program = program.with_file_name("sightline");
            let setting = setting.clone();
            return Ok(Self::Process(Box::new(move || first_token(&program, &setting, threads))));
        }
        let mut command = Command::new(program);
        command.args(["work", work.name()]).args(own_flags(setting)).env("RAYON_NUM_THREADS", threads.to_string());
        Ok(Self::Worker(Box::new(Session::start(command, work.name())?)))
    }

    /// The peer's side, run by the Python interpreter `python`.
    ///
    /// # Errors
    /// If it cannot be started.
    pub(crate) fn peer(python: &Path, work: Work, setting: &Setting, threads: usize) -> Result<Self, Failure> {
        let script = match work {
            Work::GrpoStep | Work::GrpoStepReusing => "trl_side.py",
            _ => "transformers_side.py",
        };
        // TRL has one step: it takes the current log-probabilities for the old ones.
        let named = if work == Work::GrpoStepReusing { Work::GrpoStep } else { work };
        let command = {
            let (python, setting) = (python.to_owned(), setting.clone());
            let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("peers").join(script);
            move || {
                let mut command = Command::new(&python);
                command.arg(&script).arg(named.name()).args(flags(&setting));
                command.args(["--threads", &threads.to_string()]);
                command.env("OMP_NUM_THREADS", threads.to_string()).env("HF_HUB_OFFLINE", "1");
                command
            }
        };
        Ok(match work {
            Work::Start => Self::Process(Box::new(command)),
            _ => Self::Worker(Box::new(Session::start(command(), script)?)),
        })
    }

    /// Has it work once.
    ///
    /// # Errors
    /// If it fails.
    pub(crate) fn go(&mut self) -> Result<Repetition, Failure> {
        match self {
            Self::Worker(session) => session.go(),
            Self::Process(command) => watched(
                || process::processor_time(std::process::id(), true),
                || {
                    let mut command = command();
                    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status()?;
                    if status.success() { Ok(None) } else { Err(format!("{command:?} ended with {status}").into()) }
                },
            ),
        }
    }

    /// What it said when it was ready.
    pub(crate) fn ready(&self) -> Value {
        match self {
            Self::Worker(session) => session.ready.clone(),
            Self::Process(_) => Value::Null,
        }
    }

    /// Lets it end; returns its peak of memory in bytes, if it has one of its own.
    ///
    /// # Errors
    /// If it fails at that.
    pub(crate) fn end(self) -> Result<Option<u64>, Failure> {
        match self {
            Self::Worker(session) => session.end().map(Some),
            Self::Process(_) => Ok(None),
        }
    }
}

/// `sightline generate` of one token about a picture.
fn first_token(program: &Path, setting: &Setting, threads: usize) -> Command {
    let mut command = Command::new(program);
    command.arg("generate").arg("--model").arg(&setting.folder).arg("--image").arg(picture(&setting.folder));
    command.args(["--prompt", QUESTION, "--max-new-tokens", "1", "--device", &setting.device]);
    command.args(["--precision", &setting.dtype.to_string()]);
    command.env("RAYON_NUM_THREADS", threads.to_string());
    command
}

/// The setting as both sides take it.
fn flags(setting: &Setting) -> Vec<String> {
    vec![
        "--folder".to_owned(),
        setting.folder.display().to_string(),
        "--device".to_owned(),
        setting.device.clone(),
        "--dtype".to_owned(),
        setting.dtype.to_string(),
        "--dims".to_owned(),
        setting.dims.name().to_owned(),
        "--responses".to_owned(),
        setting.responses.to_string(),
        "--new-tokens".to_owned(),
        setting.new_tokens.to_string(),
    ]
}

/// The setting as our side takes it, with what the peers do not have.
pub(crate) fn own_flags(setting: &Setting) -> Vec<String> {
    let options = [
        ("--prompt-tokens", setting.prompt_tokens.map(|value| value.to_string())),
        ("--vocabulary", setting.vocabulary.map(|value| value.to_string())),
        ("--activation-gib", setting.activation_gib.map(|value| value.to_string())),
    ];
    let options = options.into_iter().filter_map(|(name, value)| Some([name.to_owned(), value?])).flatten();
    flags(setting).into_iter().chain(setting.unshared.then(|| "--unshared".to_owned())).chain(options).collect()
}

/// Whether the checkpoint's weights lie in its folder, so that other programs can load them.
pub(crate) fn has_weights(setting: &Setting) -> bool {
    setting.dims == Dimensions::Bench && setting.vocabulary.is_none()
}
