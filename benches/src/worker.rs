//! A process that does one piece of work whenever it is told to.
//!
//! It prepares, does the work once unmeasured, and prints `{"ready": …}`. For every line `go` it does the work and prints its
//! seconds; when its input ends it prints its peak of memory and ends. The peers speak the same lines.

use std::io::{BufRead as _, Write as _};
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use crate::checkpoint;
use crate::dimensions::Dimensions;
use crate::failure::Failure;
use crate::process;
use crate::scene::{Setting, small_beside};
use crate::work::{Prepared, Work};

/// Exit status of a worker whose time was up.
const LATE: i32 = 124;

/// Arguments of `work`.
#[derive(Args)]
pub(crate) struct Worker {
    /// The piece of work
    #[arg(value_enum)]
    work: Work,
    #[command(flatten)]
    setting: Setting,
    /// Measure the peak of memory from where everything is loaded
    #[arg(long)]
    peak_of_work: bool,
    /// End after so many seconds, whatever is done until then
    #[arg(long)]
    limit: Option<u64>,
}

impl Worker {
    /// Works until its input ends.
    ///
    /// # Errors
    /// If the work fails or nobody reads its answers.
    pub(crate) fn run(&self) -> Result<(), Failure> {
        if let Some(seconds) = self.limit {
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_secs(seconds));
                eprintln!("the work takes longer than {seconds} s");
                std::process::exit(LATE);
            });
        }
        let folder = &self.setting.folder;
        checkpoint::write(folder, self.setting.dims)?;
        if self.setting.dims != Dimensions::Bench {
            checkpoint::write(&small_beside(folder), Dimensions::Bench)?;
        }
        let mut prepared = Prepared::new(self.work, &self.setting)?;
        let resident = process::memory(None)?;
        if self.peak_of_work {
            process::forget_peak()?;
        }
        prepared.run()?;
        say(&json!({ "ready": {
            "parameters": prepared.parameters(),
            "prompt_tokens": prepared.prompt_tokens(),
            "resident_bytes": resident.now,
        }}))?;
        for line in std::io::stdin().lock().lines() {
            if line?.trim() != "go" {
                return Err("a worker understands the line `go` alone".into());
            }
            let seconds = prepared.run()?.as_secs_f64();
            say(&json!({ "seconds": seconds }))?;
        }
        say(&json!({ "peak_bytes": process::memory(None)?.peak }))
    }
}

fn say(value: &Value) -> Result<(), Failure> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{value}")?;
    Ok(output.flush()?)
}
