//! What the dashboard knows and how it is laid out.

use std::time::{Duration, Instant};

use inspector::RolloutRecord;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Gauge, Paragraph, Wrap};

use super::curves::{self, Curve};
use super::sample;
use crate::evaluate::Evaluation;
use crate::observe::Phase;
use crate::observe::headline::{Figure, clock, headline, time_left};
use crate::report::StepReport;

/// Names of the curves, in the order of [`Dashboard::step`]; the third is of validations.
const CURVES: [&str; 6] = ["reward", "accuracy", "held-out accuracy", "dependency", "gradient norm", "response length"];
const HELD_OUT: usize = 2;

#[derive(Debug)]
pub(super) struct Dashboard {
    title: String,
    started: Instant,
    /// Steps taken before this process.
    first: usize,
    step: usize,
    steps: usize,
    curves: Vec<Curve>,
    figures: Vec<Figure>,
    /// Seconds of the last step's phases, and of what was done besides the steps last.
    phases: [(&'static str, f64); 5],
    besides: [(&'static str, Option<f64>); 2],
    /// The newest response whose tokens are known.
    sample: Option<RolloutRecord>,
    pub(super) log: Vec<String>,
    /// Whether the run was asked to stop.
    pub(super) stopping: bool,
}

impl Dashboard {
    pub(super) fn new(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            started: Instant::now(),
            first: 0,
            step: 0,
            steps: 0,
            curves: CURVES.map(|name| Curve { name, points: Vec::new() }).into(),
            figures: headline(&StepReport::default()),
            phases: ["sampling", "judging", "scoring", "credit", "update"].map(|name| (name, 0.0)),
            besides: [("validation", None), ("checkpoint", None)],
            sample: None,
            log: Vec::new(),
            stopping: false,
        }
    }

    pub(super) fn start(&mut self, first: usize, steps: usize) {
        (self.started, self.first, self.step, self.steps) = (Instant::now(), first, first, steps);
    }

    pub(super) fn step(&mut self, report: &StepReport) {
        self.step = report.step;
        let values = [
            report.reward,
            report.accuracy,
            None,
            report.dependency,
            Some(report.gradient_norm),
            Some(report.response_length),
        ];
        for (place, (curve, value)) in self.curves.iter_mut().zip(values).enumerate() {
            if place != HELD_OUT {
                curve.add(report.step, value);
            }
        }
        self.figures = headline(report);
        let cost = &report.cost;
        let seconds =
            [cost.rollout_seconds, cost.reward_seconds, cost.score_seconds, cost.credit_seconds, cost.update_seconds];
        self.phases.iter_mut().zip(seconds).for_each(|(phase, seconds)| phase.1 = seconds);
        let mut records = report.rollouts.iter().flatten();
        if let Some(record) = records.rfind(|record| record.tokens.is_some()) {
            self.sample = Some(record.clone());
        }
    }

    pub(super) fn validation(&mut self, step: usize, evaluation: &Evaluation) {
        self.curves[HELD_OUT].add(step, evaluation.overall.accuracy);
    }

    pub(super) fn phase(&mut self, phase: Phase, seconds: f64) {
        let place = match phase {
            Phase::Validation => 0,
            Phase::Checkpoint => 1,
        };
        self.besides[place].1 = Some(seconds);
    }

    pub(super) fn draw(&self, frame: &mut Frame) {
        self.draw_after(self.started.elapsed(), frame);
    }

    /// As it is so long after the start.
    fn draw_after(&self, elapsed: Duration, frame: &mut Frame) {
        let rows = [
            Constraint::Length(1),
            Constraint::Length(1),
            Constraint::Fill(3),
            Constraint::Length(2),
            Constraint::Fill(2),
        ];
        let [head, progress, curves, figures, rest] = Layout::vertical(rows).areas(frame.area());
        self.draw_head(elapsed, frame, head);
        let share = self.step as f64 / self.steps.max(1) as f64;
        let gauge = Gauge::default().ratio(share.clamp(0.0, 1.0)).gauge_style(Style::new().fg(Color::Cyan));
        frame.render_widget(gauge.label(format!("step {}/{}", self.step, self.steps)), progress);
        let steps = [(self.first + 1) as f64, self.step.max(self.first + 2) as f64];
        curves::draw(&self.curves, frame, curves, steps);
        self.draw_figures(frame, figures);
        let [left, right] = Layout::horizontal([Constraint::Fill(3), Constraint::Fill(2)]).areas(rest);
        self.draw_sample(frame, left);
        let [times, log] = Layout::vertical([Constraint::Length(4), Constraint::Fill(1)]).areas(right);
        self.draw_times(frame, times);
        self.draw_log(frame, log);
    }

    fn draw_head(&self, elapsed: Duration, frame: &mut Frame, area: Rect) {
        let left = clock(time_left(elapsed, self.first, self.step, self.steps));
        let times = format!("  {} passed, {left} left  ", clock(Some(elapsed)));
        let hint = if self.stopping { "stopping; q ends at once".bold() } else { "q stops".dim() };
        frame.render_widget(Line::from(vec![self.title.clone().bold(), times.into(), hint]), area);
    }

    fn draw_figures(&self, frame: &mut Frame, area: Rect) {
        let names: String = self.figures.iter().map(|figure| format!(" {:>9}", figure.name)).collect();
        let value = |figure: &Figure| {
            let text = Span::raw(format!(" {:>9}", figure.text));
            if figure.alarming { text.red().bold() } else { text.bold() }
        };
        let values: Vec<Span> = self.figures.iter().map(value).collect();
        frame.render_widget(Paragraph::new(vec![Line::from(names).dim(), Line::from(values)]), area);
    }

    fn draw_sample(&self, frame: &mut Frame, area: Rect) {
        let block = Block::bordered().border_style(Style::new().dim());
        let Some(record) = &self.sample else {
            let nothing = "no response with its tokens yet; record.every and record.token_groups say which are kept";
            let paragraph = Paragraph::new(nothing).wrap(Wrap { trim: true });
            return frame.render_widget(paragraph.block(block.title(" response ")), area);
        };
        let title = format!(" response of step {}, reward {:.2} ", record.step, record.reward);
        let mut lines = vec![Line::from(format!("{} [{}]", record.problem.replace('\n', " "), record.answer)).dim()];
        lines.extend(sample::lines(record));
        frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }).block(block.title(title)), area);
    }

    fn draw_times(&self, frame: &mut Frame, area: Rect) {
        let phases = self.phases.iter().map(|(name, seconds)| format!("{name} {seconds:.1}"));
        let besides = self.besides.iter().filter_map(|(name, seconds)| Some(format!("{name} {:.1}", (*seconds)?)));
        let text = phases.chain(besides).collect::<Vec<_>>().join("  ");
        let block = Block::bordered().title(" seconds ").border_style(Style::new().dim());
        frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }).block(block), area);
    }

    fn draw_log(&self, frame: &mut Frame, area: Rect) {
        let room = usize::from(area.height.saturating_sub(2));
        let last = self.log.iter().skip(self.log.len().saturating_sub(room));
        let lines: Vec<Line> = last.map(|line| Line::from(without_date(line))).collect();
        let block = Block::bordered().title(" log ").border_style(Style::new().dim());
        frame.render_widget(Paragraph::new(lines).block(block), area);
    }
}

/// A line of the log that begins with `2026-01-31T12:34:56.789012Z` with the time of day alone.
fn without_date(line: &str) -> String {
    let parts = line.split_once('T').filter(|(date, _)| date.len() == 10 && date.starts_with(char::is_numeric));
    let parts = parts.and_then(|(_, rest)| rest.split_once("Z "));
    parts.map_or_else(
        || line.to_owned(),
        |(time, rest)| format!("{} {}", time.get(..8).unwrap_or(time), rest.trim_start()),
    )
}

#[cfg(test)]
mod tests {
    use inspector::{Finish, TokenRecord};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::buffer::Buffer;
    use ratatui::style::Modifier;

    use super::*;
    use crate::evaluate::Score;
    use crate::report::Cost;

    fn report(step: usize, reward: f64) -> StepReport {
        let tokens = TokenRecord {
            ids: vec![1, 2, 3, 4],
            texts: ["two ", "red\n", "circles", "<|im_end|>"].map(str::to_owned).into(),
            dependency: Some(vec![0.0, 4.0, 1.9, f32::NAN]),
            gate: vec![0.0, 1.0, 1.0, 1.0],
            ..TokenRecord::default()
        };
        let record = RolloutRecord {
            step,
            group: 0,
            response: 0,
            problem_index: None,
            place: None,
            problem: "How many?".to_owned(),
            answer: "2".to_owned(),
            text: String::new(),
            finish: Finish::Stop,
            reward: 0.75,
            accuracy: 1.0,
            parts: std::collections::BTreeMap::new(),
            tokens: Some(tokens),
        };
        StepReport {
            step,
            reward: Some(reward),
            accuracy: Some(0.5),
            dependency: Some(0.08),
            gradient_norm: if step == 2 { f64::NAN } else { 1.5 },
            skipped_updates: usize::from(step == 3),
            response_length: 31.0,
            cost: Cost { rollout_seconds: 12.25, update_seconds: 7.5, ..Cost::default() },
            rollouts: Some(vec![record]),
            ..StepReport::default()
        }
    }

    fn drawn(dashboard: &Dashboard, width: u16, height: u16) -> Buffer {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a buffer");
        let draw = |frame: &mut Frame| dashboard.draw_after(Duration::from_secs(120), frame);
        terminal.draw(draw).expect("a buffer").buffer.clone()
    }

    fn rows(buffer: &Buffer) -> Vec<String> {
        let row = |y| (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        (0..buffer.area.height).map(row).collect()
    }

    /// Where a text begins.
    #[track_caller]
    fn find(buffer: &Buffer, text: &str) -> (u16, u16) {
        for (y, row) in rows(buffer).iter().enumerate() {
            if let Some(at) = row.find(text) {
                return (row[..at].chars().count() as u16, y as u16);
            }
        }
        panic!("`{text}` is not on the screen:\n{}", rows(buffer).join("\n"));
    }

    /// Cells that hold part of a curve in the box of that name, whose corner stands two cells left of it.
    fn dots(buffer: &Buffer, name: &str) -> usize {
        let (x, y) = find(buffer, &format!(" {name} "));
        let inside =
            |x: u16, y: u16| ('\u{2801}'..='\u{28ff}').contains(&buffer[(x, y)].symbol().chars().next().unwrap_or(' '));
        (y + 1..y + 8).flat_map(|y| (x..x + 38).map(move |x| (x, y))).filter(|&(x, y)| inside(x, y)).count()
    }

    #[test]
    fn a_run_is_shown() {
        let mut dashboard = Dashboard::new("runs/demo");
        dashboard.start(0, 10);
        let before = drawn(&dashboard, 132, 40);
        find(&before, "step 0/10");
        find(&before, "no response with its tokens yet");
        assert_eq!(dots(&before, "reward"), 0);
        for (step, reward) in [(1, 0.25), (2, 0.5), (3, 0.875)] {
            dashboard.step(&report(step, reward));
        }
        let overall = Score { accuracy: Some(0.625), ..Score::default() };
        dashboard.validation(2, &Evaluation { overall, ..Evaluation::default() });
        dashboard.phase(Phase::Checkpoint, 3.25);
        dashboard.log = (0..50).map(|line| format!("INFO line {line}")).collect();
        let screen = drawn(&dashboard, 132, 40);
        for text in [
            "runs/demo  0:02:00 passed, 0:04:40 left",
            "step 3/10",
            "reward 0.875",
            "held-out accuracy 0.625",
            "gradient norm 1.50",
            "dependency 0.080",
            "sampling 12.2",
            "update 7.5",
            "checkpoint 3.2",
            "response of step 3, reward 0.75",
            "How many? [2]",
            "INFO line 49",
            "q stops",
        ] {
            find(&screen, text);
        }
        assert!(!rows(&screen).join("\n").contains("validation 0"), "it was not timed");
        assert!(dots(&screen, "reward") > 10, "a rising curve");
        assert!((1..=2).contains(&dots(&screen, "held-out accuracy")), "one point");
        // The curve rises from the lower left to the upper right of its box.
        let (x, y) = find(&screen, " reward ");
        let has_dot = |columns: std::ops::Range<u16>, rows: std::ops::Range<u16>| {
            let mut cells = rows.flat_map(|y| columns.clone().map(move |x| (x, y)));
            cells.any(|cell| ('\u{2801}'..='\u{28ff}').contains(&screen[cell].symbol().chars().next().unwrap_or(' ')))
        };
        assert!(has_dot(x + 34..x + 44, y + 1..y + 3) && !has_dot(x + 6..x + 14, y + 1..y + 3));
    }

    #[test]
    fn tokens_are_coloured_by_dependency() {
        let mut dashboard = Dashboard::new("run");
        dashboard.start(0, 10);
        dashboard.step(&report(3, 0.5));
        let screen = drawn(&dashboard, 132, 40);
        let (x, y) = find(&screen, "two red");
        let cell = |x, y| &screen[(x, y)];
        assert_eq!(cell(x, y).bg, Color::Reset);
        assert!(cell(x, y).modifier.contains(Modifier::DIM), "its gate is closed");
        assert_eq!(cell(x + 4, y).bg, Color::Rgb(255, 206, 96), "the most dependent");
        assert!(cell(x + 4, y).modifier.contains(Modifier::BOLD) && !cell(x + 4, y).modifier.contains(Modifier::DIM));
        // The next token stands on the line below.
        assert_eq!(find(&screen, "circles<|im_end|>"), (x, y + 1));
        assert_eq!((cell(x, y + 1).bg, cell(x + 7, y + 1).bg), (Color::Rgb(128, 84, 10), Color::Reset));
        // An update was left out.
        let (x, y) = find(&screen, "1.500");
        assert_eq!(cell(x, y).fg, Color::Red);
    }

    #[test]
    fn lines_of_the_log_begin_with_the_time() {
        let line = "2026-11-21T20:26:28.157293Z  INFO recipe: TZ Z vppo";
        assert_eq!(without_date(line), "20:26:28 INFO recipe: TZ Z vppo");
        for other in ["", "an error: Two Z s", "  at line 2T3Z "] {
            assert_eq!(without_date(other), other);
        }
    }

    #[test]
    fn every_size_of_a_terminal_can_be_drawn() {
        let mut dashboard = Dashboard::new("a run with a name that is longer than the terminal is wide");
        dashboard.step(&report(1, f64::NAN));
        dashboard.stopping = true;
        for (width, height) in [(1, 1), (3, 2), (20, 5), (80, 24), (300, 100)] {
            drawn(&dashboard, width, height);
        }
        find(&drawn(&dashboard, 132, 40), "stopping; q ends at once");
    }
}
