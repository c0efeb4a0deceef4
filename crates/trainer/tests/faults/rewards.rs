//! Rewards outside of the program that misbehave during a run.

use crate::workspace::{Workspace, metrics, steps};

/// A run whose reward is a shell script, with much patience or with little.
fn settings(script: &str, retries: usize) -> String {
    let timeout = if retries > 1 { 20.0 } else { 0.5 };
    format!(
        "reward.parts=[{{ kind = 'subprocess', command = ['sh', '-c', '''{script}'''], \
         limits = {{ timeout = {timeout}, deadline = 20, retries = {retries}, back_off = 0, workers = 1 }} }}]"
    )
}

/// A program that hangs, dies, floods or talks nonsense judges nothing. The run goes on to its end: such responses are in no mean
/// and no update, they are counted, and the log has a line about each round.
#[test]
fn rewards_that_judge_nothing_end_no_run() {
    let workspace = Workspace::new();
    let mut weights = Vec::new();
    for (name, script) in [
        ("hangs", "cat > /dev/null"),
        ("dies", "read -r line; exit 3"),
        ("floods", "yes aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        ("floods-a-line", "while :; do printf aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; done"),
        ("nonsense", "while read -r line; do echo '}{'; done"),
        ("others", "while read -r line; do echo '{\"id\": 77, \"score\": 1}'; done"),
    ] {
        let reward = settings(script, 0);
        let log = workspace.train(name, &[&reward, "schedule.steps=2", "schedule.validate_every=0"]).succeeds();
        assert!(log.contains("4 of 4 responses could not be judged"), "{name}: {log}");
        assert!(log.contains("step 2: none of 2 groups could be used"), "{name}: {log}");
        let lines = steps(&workspace.path(name));
        assert_eq!(lines.len(), 2, "{name}");
        for line in &lines {
            assert_eq!((&line["rollout/ungraded"], &line["groups/ungraded"]), (&4.into(), &2.into()), "{name}: {line}");
            assert!(line["reward/overall"].is_null() && line["reward/accuracy"].is_null(), "{name}: {line}");
            assert_eq!(
                (&line["groups/kept"], &line["actor/skipped_updates"]),
                (&0.into(), &0.into()),
                "{name}: {line}"
            );
        }
        let last = metrics(&workspace.path(name)).pop().expect("a validation");
        assert!(last["val/accuracy"].is_null() && last["val/ungraded"] == 2, "{name}: {last}");
        weights.push(std::fs::read(workspace.checkpoint(name, 2).join("model.safetensors")).expect("a checkpoint"));
    }
    assert!(weights.iter().all(|other| other == &weights[0]), "nobody learns anything");
}

/// One that judges some and then dies, again and again, is started again: the run learns from what was judged.
#[test]
fn a_reward_that_dies_now_and_then_is_asked_again() {
    let workspace = Workspace::new();
    let reply = r#"read -r line; id=${line#*:}; echo "{\"id\":${id%%,*},\"score\":0.5}""#;
    let reward = settings(reply, 9);
    let log = workspace.train("run", &[&reward, "schedule.steps=2"]).succeeds();
    let lines = steps(&workspace.path("run"));
    assert_eq!(lines.len(), 2);
    for line in &lines {
        assert_eq!((&line["rollout/ungraded"], &line["groups/kept"]), (&0.into(), &2.into()), "{line} {log}");
        assert_eq!(line["reward/overall"], 0.5);
    }
}
