//! A scale of colours that people with any colour vision can read, and where values stand on it.

use std::ops::RangeInclusive;

use anstyle::{Ansi256Color, Color, RgbColor, Style};

/// Viridis at nine places, from dark to light: lightness alone tells them apart.
///
/// # Source
/// S. van der Walt and N. Smith, matplotlib 2.0; in the public domain.
const VIRIDIS: [RgbColor; 9] = [
    RgbColor(68, 1, 84),
    RgbColor(71, 44, 122),
    RgbColor(59, 81, 139),
    RgbColor(44, 113, 142),
    RgbColor(33, 144, 141),
    RgbColor(39, 173, 129),
    RgbColor(92, 200, 99),
    RgbColor(170, 220, 50),
    RgbColor(253, 231, 37),
];

/// The first place that is light enough for black letters.
const LIGHT: usize = 4;

/// The brightnesses of a channel in the 256 colours' cube.
const CUBE: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// Which colours a terminal has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// 256.
    Cube,
    /// 16 million.
    Full,
}

/// How values are spread over the colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spread {
    /// Evenly.
    Linear,
    /// By their square root: most values lie near the low end, a few far above.
    Root,
}

/// Where values stand among the colours.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    range: RangeInclusive<f32>,
    spread: Spread,
    depth: Depth,
}

impl Depth {
    /// What the terminal says of itself in `COLORTERM`; 256 colours if nothing.
    pub(super) fn of_terminal() -> Self {
        match std::env::var("COLORTERM") {
            Ok(value) if value == "truecolor" || value == "24bit" => Self::Full,
            _ => Self::Cube,
        }
    }
}

impl Scale {
    /// A scale over `range`, made wider to hold all finite values.
    pub(super) fn over(range: RangeInclusive<f32>, values: &[f32], spread: Spread, depth: Depth) -> Self {
        let finite = || values.iter().copied().filter(|value| value.is_finite());
        let range = finite().fold(*range.start(), f32::min)..=finite().fold(*range.end(), f32::max);
        Self { range, spread, depth }
    }

    /// The colours of a value; none if it is not finite.
    pub(super) fn style(&self, value: f32) -> Style {
        let (low, high) = (*self.range.start(), *self.range.end());
        if !value.is_finite() {
            return Style::new();
        }
        let share = if high > low { (value - low) / (high - low) } else { 0.0 };
        let share = match self.spread {
            Spread::Linear => share,
            Spread::Root => share.sqrt(),
        };
        self.colours(((share * VIRIDIS.len() as f32) as usize).min(VIRIDIS.len() - 1))
    }

    /// The lowest value of each colour beside the colour, and the highest value of all.
    pub(super) fn legend(&self) -> String {
        let (low, high) = (*self.range.start(), *self.range.end());
        let digits = if high - low < 0.1 { 4 } else { 2 };
        let places = VIRIDIS.len();
        let swatch = |place: usize| {
            let share = place as f32 / places as f32;
            let share = if self.spread == Spread::Root { share * share } else { share };
            let (style, edge) = (self.colours(place), low + share * (high - low));
            format!("{style} {edge:.digits$} {style:#}")
        };
        format!("{} to {high:.digits$}", (0..places).map(swatch).collect::<String>())
    }

    fn colours(&self, place: usize) -> Style {
        let letters = if place < LIGHT { RgbColor(255, 255, 255) } else { RgbColor(0, 0, 0) };
        let colour = |colour| match self.depth {
            Depth::Full => Color::Rgb(colour),
            Depth::Cube => Color::Ansi256(nearest(colour)),
        };
        Style::new().fg_color(Some(colour(letters))).bg_color(Some(colour(VIRIDIS[place])))
    }
}

/// The nearest of the 256 colours' cube.
fn nearest(RgbColor(red, green, blue): RgbColor) -> Ansi256Color {
    let level = |value: u8| (0..6_u8).min_by_key(|&level| CUBE[usize::from(level)].abs_diff(value)).unwrap_or_default();
    Ansi256Color(16 + 36 * level(red) + 6 * level(green) + level(blue))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn background(scale: &Scale, value: f32) -> Option<Color> {
        scale.style(value).get_bg_color()
    }

    #[test]
    fn values_find_their_colours() {
        let linear = Scale::over(0.0..=0.0, &[9.0, f32::NAN, 4.5], Spread::Linear, Depth::Full);
        let place = |value: f32| VIRIDIS.iter().position(|&colour| background(&linear, value) == Some(colour.into()));
        let places: Vec<_> = [0.0, 0.9, 1.1, 4.5, 8.9, 9.0].map(place).to_vec();
        assert_eq!(places, [Some(0), Some(0), Some(1), Some(4), Some(8), Some(8)]);
        assert_eq!(linear.style(f32::NAN), Style::new());
        let root = Scale::over(0.0..=0.0, &[81.0], Spread::Root, Depth::Full);
        assert_eq!(background(&root, 26.0), background(&linear, 5.0), "more of the scale for small values");
        let still = Scale::over(0.0..=0.0, &[], Spread::Root, Depth::Full);
        assert_eq!(background(&still, 0.0), Some(VIRIDIS[0].into()));
    }

    #[test]
    fn the_legend_says_where_colours_begin() {
        let legend = Scale::over(0.0..=0.0, &[81.0], Spread::Root, Depth::Full).legend();
        let edges: Vec<&str> = legend.split(' ').filter(|part| part.parse::<f32>().is_ok()).collect();
        assert_eq!(edges, ["0.00", "1.00", "4.00", "9.00", "16.00", "25.00", "36.00", "49.00", "64.00", "81.00"]);
    }

    #[test]
    fn few_colours_are_the_nearest_ones() {
        assert_eq!(nearest(RgbColor(255, 255, 255)), Ansi256Color(231));
        assert_eq!(nearest(RgbColor(0, 0, 0)), Ansi256Color(16));
        assert_eq!(nearest(RgbColor(253, 231, 37)), Ansi256Color(220));
        let mut colours = VIRIDIS.map(|colour| nearest(colour).0).to_vec();
        colours.dedup();
        assert_eq!(colours.len(), VIRIDIS.len(), "all of them differ");
    }
}
