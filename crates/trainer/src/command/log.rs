//! What the program says of its work on standard error.

use std::sync::LazyLock;

use clap::{ArgAction, Args};
use tracing_subscriber::EnvFilter;
use trainer::{LogLines, TrainError, has_color};

/// What is shown if nothing else is said.
const DEFAULT: &str = "warn,sightline=info,trainer=info";

/// Variables that may hold a filter, the first that is set counts.
const VARIABLES: [&str; 2] = ["SIGHTLINE_LOG", "RUST_LOG"];

static LINES: LazyLock<LogLines> = LazyLock::new(LogLines::default);

/// How much is said. Flags count before SIGHTLINE_LOG and RUST_LOG.
#[derive(Args)]
#[command(next_help_heading = "Log")]
pub(super) struct Log {
    /// Say more: once for details, twice for everything
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// Say only what went wrong
    #[arg(short, long, global = true, conflicts_with_all = ["verbose", "log"])]
    quiet: bool,
    /// What to say: error, warn, info, debug, trace, or a filter such as `warn,trainer=debug`; also by SIGHTLINE_LOG or RUST_LOG
    #[arg(long, global = true, value_name = "LEVEL", conflicts_with = "verbose")]
    log: Option<String>,
}

impl Log {
    /// Begins to log.
    ///
    /// # Errors
    /// If a filter cannot be understood.
    pub(super) fn start(&self) -> Result<(), TrainError> {
        let wrong = |place: &str, text: &str, reason: String| {
            let levels = "use error, warn, info, debug or trace, or a filter such as `warn,trainer=debug`";
            TrainError::Usage(format!("{place}: `{text}` is no filter of the log ({reason}); {levels}"))
        };
        let variable =
            VARIABLES.iter().find_map(|&name| Some((name, std::env::var(name).ok().filter(|v| !v.is_empty())?)));
        let (place, text) = match (&self.log, self.quiet, self.verbose, variable) {
            (Some(text), ..) => ("--log", text.clone()),
            (None, true, ..) => ("--quiet", "warn".to_owned()),
            (None, false, 0, Some((name, text))) => (name, text),
            (None, false, 0, None) => ("default", DEFAULT.to_owned()),
            (None, false, 1, _) => ("--verbose", "info,sightline=debug,trainer=debug".to_owned()),
            (None, false, ..) => ("--verbose", "debug,sightline=trace,trainer=trace".to_owned()),
        };
        let filter = EnvFilter::try_new(&text).map_err(|error| wrong(place, &text, error.to_string()))?;
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(LINES.clone())
            .with_ansi(has_color())
            .with_target(false)
            .init();
        Ok(())
    }
}

/// The log's lines, which a dashboard may keep from the terminal.
pub(super) fn lines() -> &'static LogLines {
    &LINES
}
