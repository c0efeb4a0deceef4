//! Curves over the steps.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize as _};
use ratatui::symbols::Marker;
use ratatui::text::Line;
use ratatui::widgets::{Axis, Block, Chart, Dataset, GraphType};

/// A figure over the steps.
#[derive(Clone, Debug, Default)]
pub(super) struct Curve {
    pub(super) name: &'static str,
    /// Step and value; steps without one are left out.
    pub(super) points: Vec<(f64, f64)>,
}

impl Curve {
    /// Adds what is known of a step. A step that is taken again replaces what was known of it and of later ones.
    pub(super) fn add(&mut self, step: usize, value: Option<f64>) {
        self.points.retain(|(at, _)| *at < step as f64);
        self.points.extend(value.filter(|value| value.is_finite()).map(|value| (step as f64, value)));
    }

    fn range(&self) -> Option<(f64, f64)> {
        let values = || self.points.iter().map(|(_, value)| *value);
        values().reduce(f64::min).zip(values().reduce(f64::max))
    }

    fn draw(&self, frame: &mut Frame, area: Rect, steps: [f64; 2]) {
        let latest = self.points.last().map_or_else(|| "-".to_owned(), |(_, value)| written(*value));
        let title = Line::from(vec![format!(" {} ", self.name).into(), format!("{latest} ").bold()]);
        let block = Block::bordered().title(title).border_style(Style::new().dim());
        let Some((low, high)) = self.range() else {
            return frame.render_widget(block, area);
        };
        // A constant stands in the middle.
        let room = if high > low { 0.0 } else { (0.05 * high.abs()).max(1e-9) };
        let curve = Dataset::default().marker(Marker::Braille).graph_type(GraphType::Line).fg(Color::Cyan);
        let chart = Chart::new(vec![curve.data(&self.points)])
            .block(block)
            .x_axis(Axis::default().bounds(steps))
            .y_axis(Axis::default().bounds([low - room, high + room]).labels([written(low), written(high)]));
        frame.render_widget(chart, area);
    }
}

/// All curves side by side, in rows of three.
pub(super) fn draw(curves: &[Curve], frame: &mut Frame, area: Rect, steps: [f64; 2]) {
    let rows = Layout::vertical(vec![Constraint::Fill(1); curves.len().div_ceil(3)]).split(area);
    for (row, curves) in rows.iter().zip(curves.chunks(3)) {
        for (area, curve) in Layout::horizontal([Constraint::Fill(1); 3]).split(*row).iter().zip(curves) {
            curve.draw(frame, *area, steps);
        }
    }
}

/// About four digits.
fn written(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if !(1e-3..1e5).contains(&size) => format!("{value:.1e}"),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_taken_again_replace_theirs() {
        let mut curve = Curve::default();
        for (step, value) in [(1, Some(1.0)), (2, Some(2.0)), (3, Some(f64::NAN)), (4, None), (5, Some(5.0))] {
            curve.add(step, value);
        }
        assert_eq!(curve.points, [(1.0, 1.0), (2.0, 2.0), (5.0, 5.0)]);
        curve.add(2, Some(7.0));
        assert_eq!(curve.points, [(1.0, 1.0), (2.0, 7.0)]);
        assert_eq!(curve.range(), Some((1.0, 7.0)));
    }

    #[test]
    fn numbers_are_short() {
        let texts = [0.0, 1e-4, 0.1234, 12.345, 512.3, 2e6].map(written);
        assert_eq!(texts, ["0", "1.0e-4", "0.123", "12.35", "512", "2.0e6"]);
    }
}
