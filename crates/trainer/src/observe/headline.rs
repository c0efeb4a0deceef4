//! The figures of a step that a person wants to see at once.

use std::time::Duration;

use crate::report::StepReport;

/// A figure with its short name.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Figure {
    pub(super) name: &'static str,
    /// The value with its unit; a dash where there is none.
    pub(super) text: String,
    /// Whether something is wrong.
    pub(super) alarming: bool,
}

/// The figures of a step, in one order; a recipe that measures no dependency has none of it.
pub(super) fn headline(report: &StepReport) -> Vec<Figure> {
    let share = |value: Option<f64>| number(value.map(|value| 100.0 * value), 1, " %");
    let known = |value: f64| Some(value).filter(|value| value.is_finite());
    let figure = |name, text| Figure { name, text, alarming: false };
    let mut figures = vec![
        figure("reward", number(report.reward, 3, "")),
        figure("accuracy", share(report.accuracy)),
        figure("length", number(known(report.response_length), 1, "")),
        figure("entropy", number(known(report.entropy), 3, "")),
    ];
    if report.dependencies.is_some() {
        figures.push(figure("depend.", number(report.dependency, 4, "")));
    }
    figures.push(figure("selected", share(known(report.selected))));
    let gradient = number(known(report.gradient_norm), 3, "");
    figures.push(Figure { name: "gradient", text: gradient, alarming: report.skipped_updates > 0 });
    let groups = format!("{}/{}", report.kept_groups, report.sampled_groups);
    figures.push(Figure { name: "groups", text: groups, alarming: report.kept_groups == 0 });
    if report.ungraded > 0 {
        figures.push(Figure { name: "ungraded", text: report.ungraded.to_string(), alarming: true });
    }
    figures.push(figure("tokens/s", number(known(report.cost.throughput), 0, "")));
    figures
}

fn number(value: Option<f64>, digits: usize, unit: &str) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}{unit}"))
}

/// The time that the steps to come will take, if they are as long as those from `first` to `step` were.
pub(super) fn time_left(elapsed: Duration, first: usize, step: usize, steps: usize) -> Option<Duration> {
    let taken = step.checked_sub(first).filter(|taken| *taken > 0)?;
    Some(elapsed.mul_f64(steps.saturating_sub(step) as f64 / taken as f64))
}

/// Hours, minutes and seconds.
pub(super) fn clock(time: Option<Duration>) -> String {
    time.map_or_else(
        || "-:--:--".to_owned(),
        |time| format!("{}:{:02}:{:02}", time.as_secs() / 3600, time.as_secs() / 60 % 60, time.as_secs() % 60),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Cost, DependencyFigures};

    fn texts(report: &StepReport) -> Vec<(&'static str, String, bool)> {
        headline(report).into_iter().map(|figure| (figure.name, figure.text, figure.alarming)).collect()
    }

    #[test]
    fn figures_have_units_and_alarms() {
        let report = StepReport {
            reward: Some(0.5312),
            accuracy: Some(0.4688),
            response_length: 118.25,
            entropy: 0.4,
            dependency: Some(0.08),
            dependencies: Some(DependencyFigures::default()),
            selected: 0.401,
            gradient_norm: f64::NAN,
            skipped_updates: 2,
            kept_groups: 3,
            sampled_groups: 8,
            ungraded: 1,
            cost: Cost { throughput: 512.4, ..Cost::default() },
            ..StepReport::default()
        };
        let calm = |name, text: &str| (name, text.to_owned(), false);
        let expected = [
            calm("reward", "0.531"),
            calm("accuracy", "46.9 %"),
            calm("length", "118.2"),
            calm("entropy", "0.400"),
            calm("depend.", "0.0800"),
            calm("selected", "40.1 %"),
            ("gradient", "-".to_owned(), true),
            calm("groups", "3/8"),
            ("ungraded", "1".to_owned(), true),
            calm("tokens/s", "512"),
        ];
        assert_eq!(texts(&report), expected);
        let plain = StepReport { dependencies: None, ungraded: 0, reward: None, kept_groups: 0, ..report };
        let texts = texts(&plain);
        assert!(texts.iter().all(|(name, ..)| *name != "depend." && *name != "ungraded"), "{texts:?}");
        assert!(texts.contains(&calm("reward", "-")) && texts.contains(&("groups", "0/8".to_owned(), true)));
    }

    #[test]
    fn the_time_left_is_of_this_process() {
        let minute = Duration::from_secs(60);
        assert_eq!(time_left(minute, 0, 1, 11), Some(10 * minute));
        assert_eq!(time_left(minute, 10, 12, 20), Some(4 * minute), "two steps since it went on");
        assert_eq!(time_left(minute, 10, 10, 20), None);
        assert_eq!(time_left(minute, 0, 20, 20), Some(Duration::ZERO));
        assert_eq!(
            (clock(Some(Duration::from_secs(36_605))), clock(None)),
            ("10:10:05".to_owned(), "-:--:--".to_owned())
        );
    }
}
