//! A dashboard in the terminal.
//!
//! It is no renderer of burn-train, since that draws the metrics of burn-train's own learner, and this program has neither.

mod curves;
mod dashboard;
mod sample;
mod screen;

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use self::dashboard::Dashboard;
use self::screen::Screen;
use super::log::LogLines;
use super::{Phase, TrainObserver};
use crate::TrainError;
use crate::evaluate::Evaluation;
use crate::report::StepReport;

/// Shows a run as a dashboard: curves, times, the log, and a response with its tokens coloured by their dependency.
///
/// A thread of its own draws it, so that it follows the size of the terminal and hears keys in the middle of a step. `q`, Escape and
/// Ctrl-C ask the run to stop; asked again, they end the program. When this is dropped, or anything panics, the terminal is as it was.
pub struct Tui {
    dashboard: Arc<Mutex<Dashboard>>,
    closing: Arc<AtomicBool>,
    screen: Option<JoinHandle<()>>,
    log: LogLines,
}

impl Tui {
    /// Takes the terminal and keeps the log from it. `title` says which run it is; `stop` asks the run to stop.
    ///
    /// # Errors
    /// If standard output is no terminal, or cannot be drawn on.
    pub fn open(title: &str, log: &LogLines, stop: impl Fn() + Send + 'static) -> Result<Self, TrainError> {
        Self::check()?;
        let unusable = |source| TrainError::File { action: "draw on", path: "the terminal".into(), source };
        let dashboard = Arc::new(Mutex::new(Dashboard::new(title)));
        let closing = Arc::new(AtomicBool::new(false));
        let terminal = ratatui::try_init().map_err(unusable)?;
        log.hold();
        close_on_panic(&closing);
        let screen = Screen {
            terminal,
            dashboard: Arc::clone(&dashboard),
            closing: Arc::clone(&closing),
            log: log.clone(),
            stop: Box::new(stop),
        };
        let mut tui = Self { dashboard, closing, screen: None, log: log.clone() };
        let thread = std::thread::Builder::new().name("dashboard".to_owned()).spawn(move || screen.run());
        tui.screen = Some(thread.map_err(unusable)?);
        Ok(tui)
    }

    /// Whether there is a terminal to draw on.
    ///
    /// # Errors
    /// If standard input or output is none.
    pub fn check() -> Result<(), TrainError> {
        if std::io::stdout().is_terminal() && std::io::stdin().is_terminal() {
            return Ok(());
        }
        let reason = "--tui needs a terminal on standard input and output; leave it out to get a line for every step";
        Err(TrainError::Usage(reason.to_owned()))
    }

    fn tell(&self, change: impl FnOnce(&mut Dashboard)) {
        change(&mut self.dashboard.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Nothing is drawn after a panic, whose message is for the terminal as it was.
fn close_on_panic(closing: &Arc<AtomicBool>) {
    let (closing, before) = (Arc::clone(closing), std::panic::take_hook());
    std::panic::set_hook(Box::new(move |panic| {
        closing.store(true, Ordering::SeqCst);
        before(panic);
    }));
}

impl TrainObserver for Tui {
    fn on_start(&mut self, first: usize, steps: usize) -> Result<(), TrainError> {
        self.tell(|dashboard| dashboard.start(first, steps));
        Ok(())
    }

    fn on_step(&mut self, report: &StepReport) -> Result<(), TrainError> {
        self.tell(|dashboard| dashboard.step(report));
        Ok(())
    }

    fn on_validation(&mut self, step: usize, evaluation: &Evaluation) -> Result<(), TrainError> {
        tracing::info!("step {step}: held-out accuracy {evaluation}");
        self.tell(|dashboard| dashboard.validation(step, evaluation));
        Ok(())
    }

    fn on_phase(&mut self, _step: usize, phase: Phase, seconds: f64) -> Result<(), TrainError> {
        self.tell(|dashboard| dashboard.phase(phase, seconds));
        Ok(())
    }
}

impl Drop for Tui {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        if let Some(screen) = self.screen.take() {
            // One that panicked has been told of.
            let _ = screen.join();
        }
        ratatui::restore();
        self.log.release();
    }
}
