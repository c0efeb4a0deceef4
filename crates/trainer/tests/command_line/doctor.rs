//! `sightline doctor`, and what `train` makes of it.

use serde_json::Value;

use crate::program::sightline;

#[test]
fn the_machine_and_its_cpu_are_shown() {
    let shown = sightline(&["doctor", "--device", "cpu", "--quick"], "").output();
    for part in ["sightline", "burn 0.22.1", "features", "memory", "threads", "cpu: compared with recorded values"] {
        assert!(shown.contains(part), "{part} is missing from\n{shown}");
    }
    assert!(shown.trim_end().ends_with("every check is sound"), "{shown}");
    if !cfg!(feature = "cuda") {
        assert!(shown.contains("rebuild with --features cuda"), "{shown}");
    }
}

#[test]
fn scripts_get_one_object() {
    let shown = sightline(&["doctor", "--device", "cpu", "--json"], "").output();
    let object: Value = serde_json::from_str(&shown).expect("one JSON object");
    assert_eq!(object["host"]["burn"], "0.22.1");
    let names: Vec<&str> =
        object["backends"].as_array().expect("a list").iter().filter_map(|backend| backend["name"].as_str()).collect();
    assert_eq!(names, ["cpu", "wgpu", "cuda"]);
    let examinations = object["examinations"].as_array().expect("a list");
    assert!(examinations.len() == 1 && examinations[0]["sound"] == true, "{shown}");
    let findings = examinations[0]["findings"].as_array().expect("a list");
    assert!(findings.iter().any(|finding| finding["check"] == "shaper token-filter, gate"), "the full examination");
}

#[test]
fn devices_that_are_not_there_are_errors() {
    sightline(&["doctor", "--device", "gpu"], "").fails_with("use cpu, wgpu or cuda:0");
    if !cfg!(feature = "cuda") {
        sightline(&["doctor", "--device", "cuda:0"], "").fails_with("rebuild with --features cuda");
    }
}
