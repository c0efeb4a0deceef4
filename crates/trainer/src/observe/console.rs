//! A run on the terminal.

use std::io::IsTerminal as _;
use std::time::Instant;

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};

use super::TrainObserver;
use super::headline::{Figure, clock, headline, time_left};
use crate::TrainError;
use crate::evaluate::Evaluation;
use crate::report::StepReport;

/// Rows of the table under one head.
const ROWS: usize = 20;

/// A table with a row for every step and, below it, the progress with the time left; where standard error is no terminal, a line
/// of the log for every step. Nothing if the log does not show what is of level `info`.
///
/// There is colour only on a terminal, and if the environment does not speak against it (`NO_COLOR`, `CLICOLOR`, `TERM`).
#[derive(Debug)]
pub struct Console {
    bar: ProgressBar,
    colored: bool,
    rows: usize,
    started: Instant,
    first: usize,
    steps: usize,
}

impl Default for Console {
    fn default() -> Self {
        let (bar, started) = (ProgressBar::hidden(), Instant::now());
        Self { bar, colored: false, rows: 0, started, first: 0, steps: 0 }
    }
}

impl TrainObserver for Console {
    fn on_start(&mut self, first: usize, steps: usize) -> Result<(), TrainError> {
        if tracing::enabled!(tracing::Level::INFO) {
            self.bar = progress_bar("steps", steps);
        }
        self.bar.set_position(first as u64);
        self.bar.reset_eta();
        self.colored = has_color();
        (self.started, self.first, self.steps) = (Instant::now(), first, steps);
        Ok(())
    }

    fn on_step(&mut self, report: &StepReport) -> Result<(), TrainError> {
        let figures = headline(report);
        self.bar.set_position(report.step as u64);
        if self.bar.is_hidden() {
            let left = clock(time_left(self.started.elapsed(), self.first, report.step, self.steps));
            tracing::info!("step {}/{}: {}  left {left}", report.step, self.steps, line(&figures));
            return Ok(());
        }
        if self.rows.is_multiple_of(ROWS) {
            self.bar.println(head(&figures, self.colored));
        }
        self.rows += 1;
        self.bar.println(row(report.step, &figures, self.colored));
        Ok(())
    }

    fn on_validation(&mut self, step: usize, evaluation: &Evaluation) -> Result<(), TrainError> {
        self.bar.suspend(|| tracing::info!("step {step}: held-out accuracy {evaluation}"));
        Ok(())
    }

    fn on_finish(&mut self) -> Result<(), TrainError> {
        self.bar.abandon();
        Ok(())
    }
}

/// A bar of known length for the terminal, hidden where there is none.
#[must_use]
pub fn progress_bar(unit: &str, length: usize) -> ProgressBar {
    let template = format!("{{elapsed_precise}} {{wide_bar}} {{pos}}/{{len}} {unit}, {{eta}} left\n{{msg}}");
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length as u64).with_style(style)
}

/// Whether messages on standard error may have colour: it is a terminal, and the environment does not speak against it.
#[must_use]
pub fn has_color() -> bool {
    let stream = std::io::stderr();
    stream.is_terminal() && anstream::AutoStream::choice(&stream) != anstream::ColorChoice::Never
}

/// Names and values, one after the other.
fn line(figures: &[Figure]) -> String {
    let pairs = figures.iter().map(|figure| format!("{} {}", figure.name, figure.text));
    pairs.collect::<Vec<_>>().join("  ")
}

/// The names above the columns.
fn head(figures: &[Figure], colored: bool) -> String {
    let names: String = figures.iter().map(|figure| format!(" {:>9}", figure.name)).collect();
    painted(&format!("{:>6}{names}", "step"), Style::new().dimmed(), colored)
}

/// The values below them.
fn row(step: usize, figures: &[Figure], colored: bool) -> String {
    let alarm = Style::new().fg_color(Some(AnsiColor::Red.into())).bold();
    let cell = |figure: &Figure| {
        let text = format!(" {:>9}", figure.text);
        if figure.alarming { painted(&text, alarm, colored) } else { text }
    };
    let cells: String = figures.iter().map(cell).collect();
    format!("{}{cells}", painted(&format!("{step:>6}"), Style::new().bold(), colored))
}

fn painted(text: &str, style: Style, colored: bool) -> String {
    if colored { format!("{style}{text}{style:#}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_their_names() {
        let figure = |name, text: &str, alarming| Figure { name, text: text.to_owned(), alarming };
        let figures = [figure("reward", "0.531", false), figure("gradient", "-", true)];
        assert_eq!(head(&figures, false), "  step    reward  gradient");
        assert_eq!(row(12, &figures, false), "    12     0.531         -");
        assert_eq!(line(&figures), "reward 0.531  gradient -");
        let colored = row(12, &figures, true);
        assert!(colored.contains("\x1b[31m") && colored.contains("     0.531"), "{colored:?}");
        let bare = anstream::adapter::strip_str(&colored).to_string();
        assert_eq!(bare, row(12, &figures, false), "colour changes no column");
    }
}
