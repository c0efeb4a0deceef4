//! A response with its tokens coloured.

use inspector::RolloutRecord;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

/// Text on the colours, from the least to the most dependent; lightness alone tells them apart.
const SCALE: [(Color, Color); 5] = [
    (Color::Reset, Color::Reset),
    (Color::Rgb(255, 255, 255), Color::Rgb(66, 46, 12)),
    (Color::Rgb(255, 255, 255), Color::Rgb(128, 84, 10)),
    (Color::Rgb(0, 0, 0), Color::Rgb(214, 140, 22)),
    (Color::Rgb(0, 0, 0), Color::Rgb(255, 206, 96)),
];

/// The response's tokens in lines; those of a large dependency stand on a light colour. Tokens whose gate is closed are dim, and
/// the most dependent ones bold, where there is no colour.
pub(super) fn lines(record: &RolloutRecord) -> Vec<Line<'static>> {
    let Some(tokens) = &record.tokens else {
        return record.text.lines().map(|line| Line::from(line.to_owned())).collect();
    };
    let most = most(tokens.dependency.as_deref().unwrap_or_default());
    let mut lines = vec![Line::default()];
    for (place, text) in tokens.texts.iter().enumerate() {
        let dependency = tokens.dependency.as_ref().and_then(|values| values.get(place)).copied();
        let silent = tokens.gate.get(place).is_some_and(|gate| *gate <= 0.0);
        let style = style(dependency, most, silent);
        for (number, part) in text.split('\n').enumerate() {
            if number > 0 {
                lines.push(Line::default());
            }
            if let (Some(line), false) = (lines.last_mut(), part.is_empty()) {
                line.push_span(Span::styled(part.replace('\t', "    "), style));
            }
        }
    }
    lines
}

/// The dependency that at least 95 % of the tokens do not exceed, by which the scale is set.
fn most(dependency: &[f32]) -> f32 {
    let mut ascending: Vec<f32> = dependency.iter().copied().filter(|value| value.is_finite()).collect();
    ascending.sort_unstable_by(f32::total_cmp);
    let rank = (ascending.len() * 95).div_ceil(100).max(1);
    ascending.get(rank - 1).copied().unwrap_or(0.0)
}

fn style(dependency: Option<f32>, most: f32, silent: bool) -> Style {
    let height = dependency.filter(|value| value.is_finite() && most > 0.0).map_or(0.0, |value| value / most);
    let level = ((height.clamp(0.0, 1.0) * SCALE.len() as f32) as usize).min(SCALE.len() - 1);
    let (text, ground) = SCALE[level];
    let style = Style::new().fg(text).bg(ground);
    let style = if level + 1 == SCALE.len() { style.add_modifier(Modifier::BOLD) } else { style };
    if silent { style.add_modifier(Modifier::DIM) } else { style }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_grows_with_dependency() {
        let ground = |dependency| style(dependency, 2.0, false).bg;
        let all: Vec<_> = [0.1, 0.5, 1.0, 1.3, 2.0].map(|value| ground(Some(value))).into();
        assert_eq!(all, SCALE.map(|(_, ground)| Some(ground)));
        assert_eq!(ground(Some(9.0)), ground(Some(2.0)));
        for nothing in [None, Some(f32::NAN), Some(-1.0), Some(0.0)] {
            assert_eq!(ground(nothing), Some(Color::Reset), "{nothing:?}");
        }
        assert_eq!(style(Some(1.0), 0.0, false).bg, Some(Color::Reset), "all are equally independent");
        assert!(style(None, 1.0, true).add_modifier.contains(Modifier::DIM));
        assert_eq!(most(&[f32::NAN, 3.0, 1.0, 2.0]), 3.0);
        let many: Vec<f32> = (1..=100_u8).map(f32::from).collect();
        assert_eq!(most(&many), 95.0);
    }
}
