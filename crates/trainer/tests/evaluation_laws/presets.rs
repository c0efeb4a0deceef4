use std::path::Path;

use trainer::{Preset, TrainConfig, presets};

/// Every preset sets what the papers' harness sets, in settings that a configuration takes, and says what is not published.
#[test]
fn presets_are_configurations() {
    let presets = presets().expect("well-formed");
    let names: Vec<&str> = presets.iter().map(|preset| preset.name).collect();
    let expected =
        ["geo3k", "mmk12", "mathverse", "mathverse-v", "mathvision", "we-math", "dynamath", "logicvista", "mmmu-pro"];
    assert_eq!(names, expected);
    for preset in &presets {
        let config = TrainConfig::of_model(Path::new("model"), Path::new("data.jsonl").into());
        let config = config.with_overrides(&preset.overrides()).expect(preset.name);
        let sampling = &config.rollout.sampling;
        assert_eq!(
            (sampling.temperature, sampling.top_p, sampling.top_k, sampling.max_new_tokens),
            (1.0, 1.0, 50, 2048)
        );
        assert_eq!((config.data.min_pixels, config.data.max_pixels), (Some(3136), Some(768 * 768)));
        assert_eq!((config.schedule.validation_samples, config.rollout.judge_truncated), (8, true));
        assert!(
            config.data.template == dataset::Template::find("vppo").expect("built in")
                && config.data.max_prompt_tokens == 9216
        );
        assert_eq!(config.reward.profile, Some(reward::Profile::Mathruler));
        let texts = [&preset.harness.documented, &preset.harness.undocumented, &preset.harness.unpublished];
        assert!(texts.iter().all(|texts| !texts.is_empty()) && !preset.harness.departures.is_empty());
        assert!(preset.benchmark.problems > 400 && !preset.benchmark.data.is_empty(), "{}", preset.name);
        let published = preset.benchmark.published.values().flat_map(|numbers| numbers.values());
        assert!(published.clone().count() > 0 && published.clone().all(|number| (15.0..90.0).contains(number)));
    }
}

#[test]
fn sizes_are_the_published_ones() {
    let size = |name: &str| Preset::find(name).expect(name).benchmark.problems;
    let found =
        ["geo3k", "we-math", "mmk12", "mathverse", "mathverse-v", "logicvista", "mmmu-pro", "dynamath", "mathvision"]
            .map(size);
    assert_eq!(found, [601, 1740, 2000, 2180, 1308, 447, 1730, 3666, 2907]);
    let error = Preset::find("geo3").expect_err("no such preset").to_string();
    assert!(error.contains("`geo3`") && error.contains("geo3k, mmk12"), "{error}");
}

/// Who reports a benchmark stands in its published numbers: PGPO has no We-Math, VPPO no MathVerse-V.
#[test]
fn papers_are_those_with_numbers() {
    for preset in presets().expect("well-formed") {
        let expected: &[&str] = match preset.name {
            "we-math" => &["VPPO"],
            "mathverse-v" => &["PGPO"],
            _ => &["PGPO", "VPPO"],
        };
        assert_eq!(preset.papers(), expected, "{}", preset.name);
        assert!(["VPPO", "PGPO"].iter().all(|paper| !preset.harness.title.contains(paper)), "{}", preset.harness.title);
    }
}

/// The averages that the papers print are those of the numbers kept here.
#[test]
fn published_averages_are_met() {
    let presets = presets().expect("well-formed");
    let average = |source: &str, model: &str| {
        let number = |preset: &Preset| {
            let (_, numbers) = preset.benchmark.published.iter().find(|(name, _)| name.contains(source))?;
            numbers.get(model).copied()
        };
        let numbers: Vec<f64> = presets.iter().filter_map(number).collect();
        assert_eq!(numbers.len(), 8, "{model} in {source}");
        numbers.iter().sum::<f64>() / 8.0
    };
    let within = |found: f64, printed: f64, half_a_unit: f64| (found - printed).abs() <= half_a_unit;
    for (model, printed) in [("Qwen2.5-VL-7B", 38.3), ("GRPO", 53.1), ("DAPO", 55.0), ("VPPO", 57.5)] {
        let found = average("2510.09285", model);
        assert!(within(found, printed, 0.051), "{model}: {found}");
    }
    for (source, printed) in [("table 1 (7B)", 54.70), ("table 1 (3B)", 46.00)] {
        let found = average(&format!("2604.01840, {source}"), "PGPO");
        assert!(within(found, printed, 0.0051), "{source}: {found}");
    }
}
