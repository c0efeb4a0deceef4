//! Asking a run to stop.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::TrainError;

/// How often it is looked whether a signal came, to say so at once.
const GLANCE: Duration = Duration::from_millis(50);

/// A wish that a run ends, shared by whoever may have it and the run, which looks at it between the phases of a step.
///
/// A step whose update has not begun is given up as if it had not been, any other is finished; a checkpoint is written, and the
/// run ends with [`TrainError::Stopped`].
#[derive(Clone, Debug, Default)]
pub struct Stop {
    asked: Arc<AtomicBool>,
    status: Arc<AtomicUsize>,
}

impl Stop {
    /// Asks the run to stop; its process is to end with the exit status `status`, 130 for an interruption from the keyboard.
    pub fn ask(&self, status: u8) {
        self.status.store(status.into(), Ordering::SeqCst);
        self.asked.store(true, Ordering::SeqCst);
    }

    /// Whether the run is to stop.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// The exit status that was asked for.
    #[must_use]
    pub fn status(&self) -> u8 {
        u8::try_from(self.status.load(Ordering::SeqCst)).unwrap_or(u8::MAX)
    }

    /// Lets SIGINT and SIGTERM ask for it, from now on and for the rest of the process's life, with the statuses a shell knows
    /// them by, 130 and 143. A second signal of either kind ends the process at once.
    ///
    /// # Errors
    /// If the system refuses to tell of signals.
    pub fn listen(&self) -> Result<(), TrainError> {
        let register = || -> io::Result<()> {
            for signal in [SIGINT, SIGTERM] {
                let status = 128 + signal;
                // Actions are taken in this order: the first signal arms the second.
                flag::register_conditional_shutdown(signal, status, Arc::clone(&self.asked))?;
                flag::register_usize(signal, Arc::clone(&self.status), status.unsigned_abs() as usize)?;
                flag::register(signal, Arc::clone(&self.asked))?;
            }
            let stop = self.clone();
            thread::Builder::new().name("signals".to_owned()).spawn(move || stop.say_when_asked())?;
            Ok(())
        };
        register().map_err(|source| TrainError::Signals { source })
    }

    fn say_when_asked(&self) {
        while !self.is_asked() {
            thread::sleep(GLANCE);
        }
        tracing::warn!(
            "asked to stop: a step whose update has not begun is given up, and a checkpoint is written; ask again to end at once"
        );
    }
}

/// Lets a write beyond a limit on the size of files (`ulimit -f`) fail with an error, which says what could not be written, instead
/// of ending the process without a word; for the rest of the process's life.
///
/// # Errors
/// If the system refuses to tell of signals.
pub fn hear_of_file_limits() -> Result<(), TrainError> {
    // Heard, the signal does nothing by itself, and nobody asks whether it came.
    #[cfg(unix)]
    flag::register(signal_hook::consts::SIGXFSZ, Arc::default()).map_err(|source| TrainError::Signals { source })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_share_the_wish() {
        let stop = Stop::default();
        let other = stop.clone();
        assert!(!stop.is_asked());
        other.ask(143);
        assert!(stop.is_asked());
        assert_eq!(stop.status(), 143);
        assert!(!Stop::default().is_asked());
    }
}
