use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use inspector::read_rollouts;
use serde_json::Value;

use crate::program::{device_name, sightline};
use crate::train::configuration;

/// Trains a small model for two steps and returns the run's folder.
fn run(folder: &Path) -> String {
    let (config, output) = (configuration(folder), folder.join("run").display().to_string());
    let device = device_name();
    sightline(&["train", "--config", &config, "--output", &output, "--device", &device, "schedule.steps=2"], "")
        .output();
    output
}

/// All of a page but tokens and images, which the page unpacks in the same way.
fn index(page: &str) -> Value {
    let (_, rest) = page.split_once("id=\"index\">").expect("the index");
    let packed = STANDARD.decode(rest.split_once('<').expect("its end").0).expect("base64");
    serde_json::from_reader(GzDecoder::new(&packed[..])).expect("JSON")
}

/// The program in the background, ended with the test however that ends.
struct Background(Child);

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a server on this machine answers to a request for its page.
fn get(address: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    write!(stream, "GET / HTTP/1.0\r\nHost: {address}\r\n\r\n").expect("it takes the request");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers");
    String::from_utf8_lossy(&answer).into_owned()
}

/// The page of a run holds its records, its configuration and its images, and what they were compared with.
#[test]
fn a_page_holds_the_run() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = run(folder.path());
    let said = sightline(&["inspect", &run], "").output();
    let file = format!("{run}/inspect.html");
    assert!(said.starts_with(&file) && said.contains("8 responses, 8 images"), "{said}");
    let page = fs::read_to_string(&file).expect("a page");
    let index = index(&page);
    let records = read_rollouts(&Path::new(&run).join("rollouts")).expect("recorded");
    let texts: Vec<&str> = records.iter().map(|record| record.text.as_str()).collect();
    assert_eq!(index["rollouts"]["text"], serde_json::json!(texts));
    assert_eq!(index["metrics"].as_array().map(Vec::len), Some(3), "two steps and a validation");
    assert!(index["configuration"].as_str().is_some_and(|text| text.contains("prompts_per_step = 2")));
    assert!(index["title"].as_str().is_some_and(|title| title.contains("unfiltered")));

    let other = folder.path().join("other.html").display().to_string();
    let compare = ["--compare", "recipe=pgpo", "--compare", "checkpoint=step-2"];
    let said =
        sightline(&[&["inspect", &run, "--output", &other, "--no-images", "--steps", "2"], &compare[..]].concat(), "");
    assert!(said.output().contains("4 responses, 0 images"));
    let page = fs::read_to_string(&other).expect("a page");
    for name in ["pgpo @ step-1", "unfiltered @ step-2"] {
        assert!(self::index(&page)["rollouts"]["compared"].to_string().contains(name), "{name}");
    }
    let left: Vec<_> = fs::read_dir(&run).expect("a folder").flatten().map(|entry| entry.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("writing")), "{left:?}");
}

/// Steps that were not recorded leave the page that is there, and are named beside those that were.
#[test]
fn unrecorded_steps_overwrite_no_page() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = run(folder.path());
    sightline(&["inspect", &run], "").output();
    let before = fs::read(format!("{run}/inspect.html")).expect("a page");
    let refused = sightline(&["inspect", &run, "--steps", "99"], "");
    refused.fails_with("--steps 99");
    refused.fails_with("recorded steps 1..2");
    assert!(fs::read(format!("{run}/inspect.html")).expect("a page") == before, "the page is the one it was");
    fs::remove_dir_all(format!("{run}/rollouts")).expect("a writable folder");
    let empty = sightline(&["inspect", &run, "--steps", "99"], "");
    assert!(empty.success && empty.errors.contains("record.every"), "{empty:?}");
}

/// Steps up to a change are drawn with the recipe and the configuration they were taken with.
#[test]
fn earlier_steps_are_drawn_as_they_were_taken() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = run(folder.path());
    let without_contrasts = trainer::dapo().to_json().expect("finite numbers");
    fs::write(format!("{run}/recipe.step-1.json"), without_contrasts).expect("a writable folder");
    let said = sightline(&["inspect", &run], "").output();
    assert!(said.contains("8 responses, 6 images"), "step 1 has its clean images alone: {said}");
    let config = fs::read_to_string(format!("{run}/config.toml")).expect("a configuration");
    let elsewhere = config.replacen("\ntrain = \"", "\ntrain = \"/nowhere", 1);
    assert!(elsewhere != config, "{config}");
    fs::write(format!("{run}/config.step-1.toml"), elsewhere).expect("a writable folder");
    sightline(&["inspect", &run], "").output();
    let page = fs::read_to_string(format!("{run}/inspect.html")).expect("a page");
    let shown = index(&page)["configuration"].to_string();
    assert!(shown.contains("2 of 2 groups are shown without their images"), "{shown}");
}

/// A page on this machine is the one of the file, is made anew when the run has gone on, and ends with a signal.
#[cfg(unix)]
#[test]
fn a_page_is_served_until_a_signal() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = run(folder.path());
    let mut server = Command::new(env!("CARGO_BIN_EXE_sightline"))
        .args(["inspect", &run, "--serve", "--port", "0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map(Background)
        .expect("the program starts");
    let mut said = String::new();
    let output = server.0.stdout.take().expect("a pipe");
    BufReader::new(output).read_line(&mut said).expect("it says where it listens");
    let address = said.trim().strip_prefix("http://").and_then(|rest| rest.strip_suffix('/')).expect("an address");
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    let answer = get(address);
    assert!(answer.lines().next().is_some_and(|status| status.contains("200")), "{}", &answer[..200.min(answer.len())]);
    sightline(&["inspect", &run], "").output();
    let page = fs::read_to_string(format!("{run}/inspect.html")).expect("a page");
    assert_eq!(index(&answer), index(&page));
    fs::remove_file(format!("{run}/rollouts/step-1.jsonl")).expect("a writable folder");
    assert_eq!(index(&get(address))["rollouts"]["step"], serde_json::json!([2, 2, 2, 2]));

    let pid = server.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("a signal is sent").success());
    let deadline = Instant::now() + Duration::from_secs(60);
    let status = loop {
        if let Some(status) = server.0.try_wait().expect("a process") {
            break status;
        }
        assert!(Instant::now() < deadline, "it goes on after the signal");
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(status.success(), "{status}");
}

#[test]
fn mistakes_are_explained() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let nowhere = folder.path().display().to_string();
    sightline(&["inspect", &nowhere], "").fails_with("holds no run");
    for (arguments, word) in [
        (&["--steps", "9..2"][..], "10..20"),
        (&["--compare", "pgpo"], "recipe=NAME"),
        (&["--port", "1"], "--serve"),
        (&["--serve", "--output", "x"], "--output"),
        (&["--device", "cpu"], "--compare"),
    ] {
        let ended = sightline(&[&["inspect", &nowhere], arguments].concat(), "");
        assert!(!ended.success && ended.errors.contains(word), "{ended:?}");
    }
}
