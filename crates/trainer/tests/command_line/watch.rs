use crate::program::{device_name, sightline, sightline_in};
use crate::train::configuration;

/// Without a terminal every step is a line of the log, with the time left and without colour; flags come before variables.
#[test]
fn steps_are_lines_of_the_log() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (config, device) = (configuration(folder.path()), device_name());
    let path = |name: &str| folder.path().join(name).display().to_string();
    let train = |output: &str, environment: &[(&str, &str)], flags: &[&str]| {
        let output = path(output);
        let arguments = ["train", "--config", &config, "--output", &output, "--device", &device, "schedule.steps=2"];
        let ended = sightline_in(environment, &[&arguments[..], flags].concat(), "");
        assert!(ended.success, "{}", ended.errors);
        ended.errors
    };
    let told = train("plain", &[("CLICOLOR_FORCE", "1")], &[]);
    let step = |number: usize| {
        let start = format!("step {number}/2: ");
        told.lines()
            .find_map(|line| Some(line.split_once(&start)?.1))
            .unwrap_or_else(|| panic!("no step {number}: {told}"))
    };
    for name in
        ["reward 0.000", "accuracy 0.0 %", "length ", "entropy ", "depend. ", "selected ", "gradient ", "tokens/s "]
    {
        assert!(step(1).contains(name) && step(2).contains(name), "{name}: {told}");
    }
    assert!(step(1).contains("left 0:0") && step(2).ends_with("left 0:00:00"), "{told}");
    assert!(!told.contains('\x1b'), "no terminal, no colour: {told:?}");

    let shows_steps = |told: &str| told.contains("step 1/2: ");
    assert!(!shows_steps(&train("quiet", &[("RUST_LOG", "info")], &["--quiet"])));
    assert!(
        !shows_steps(&train("variable", &[("SIGHTLINE_LOG", "warn"), ("RUST_LOG", "info")], &[])),
        "ours comes first"
    );
    assert!(!shows_steps(&train("general", &[("RUST_LOG", "error")], &[])));
    assert!(shows_steps(&train("flag", &[("SIGHTLINE_LOG", "warn")], &["--log", "warn,trainer=info"])));
    assert!(shows_steps(&train("verbose", &[("SIGHTLINE_LOG", "warn")], &["-v"])));
    for file in ["metrics.jsonl", "rollouts/step-1.jsonl", "rollouts/step-2.jsonl", "tensorboard"] {
        assert!(folder.path().join("plain").join(file).exists(), "{file} is left");
    }
}

#[test]
fn mistakes_are_explained() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = configuration(folder.path());
    let output = folder.path().join("run");
    let path = output.display().to_string();
    sightline(&["train", "--config", &config, "--output", &path, "--tui"], "").fails_with("needs a terminal");
    assert!(!output.exists(), "nothing has begun");
    sightline(&["recipe", "list", "--log", "trainer=loud"], "").fails_with("error, warn, info, debug or trace");
    sightline_in(&[("SIGHTLINE_LOG", "a=[")], &["recipe", "list"], "").fails_with("SIGHTLINE_LOG");
    let both = sightline(&["recipe", "list", "-q", "-v"], "");
    assert!(!both.success && both.errors.contains("cannot be used with"), "{}", both.errors);
}
