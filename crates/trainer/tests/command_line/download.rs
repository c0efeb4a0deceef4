//! Models and data sets by the names they have on a Hub.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use burn::tensor::Device;
use dataset::shapes::{self, ShapesConfig};
use serde_json::Value;
use trainer::TrainConfig;

use crate::hub::{Hub, Repositories};
use crate::program::{Ended, device_name, fixtures, sightline_in};

/// The files of a folder and of its inner folders, by name.
fn files(folder: &Path, prefix: &str) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = format!("{prefix}{}", path.file_name().expect("a name").to_str().expect("Unicode"));
        if path.is_dir() {
            found.extend(files(&path, &format!("{name}/")));
        } else {
            found.insert(name, fs::read(path).expect("a file"));
        }
    }
    found
}

/// A Hub with a data set of two splits, one that cannot be fetched whole and one that reaches out of its folder.
fn repositories() -> Repositories {
    let table = |name: &str| fs::read(fixtures().join("parquet").join(name)).expect("a fixture");
    let geometry = [
        ("README.md", Vec::new()),
        ("data/train-00000-of-00001.parquet", table("geometry3k_zstd_rg5.parquet")),
        ("data/test-00000-of-00001.parquet", table("geometry3k_layout.parquet")),
    ];
    let owned = |files: &[(&str, Vec<u8>)]| -> BTreeMap<String, Vec<u8>> {
        files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.clone())).collect()
    };
    BTreeMap::from([
        ("datasets/some/geometry3k".to_owned(), owned(&geometry)),
        ("datasets/some/broken".to_owned(), owned(&[("broken.parquet", table("geometry3k_layout.parquet"))])),
        ("datasets/some/escape".to_owned(), owned(&[("../../../evil.parquet", table("geometry3k_layout.parquet"))])),
        ("datasets/some/words".to_owned(), owned(&[("README.md", b"words".to_vec())])),
    ])
}

fn check(hub: &Hub, cache: &Path, files: &str) -> Ended {
    let cache = cache.display().to_string();
    // With a slash behind it, as people write addresses.
    let environment = [("HF_ENDPOINT", format!("{}/", hub.address)), ("HF_HOME", cache)];
    let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    sightline_in(&environment, &["data", "check", files, "--download", "--json"], "")
}

#[test]
fn data_sets_come_by_name_and_stay() {
    let hub = Hub::start(repositories());
    let cache = tempfile::tempdir().expect("a temporary folder");
    let report = check(&hub, cache.path(), "some/geometry3k@train").output();
    let report: Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(
        (&report["problems"], &report["usable"], &report["images"]["count"]),
        (&12.into(), &12.into(), &14.into())
    );
    let asked = hub.asked();
    assert!(asked.iter().any(|path| path.contains("/data/train-00000")), "{asked:?}");
    assert!(!asked.iter().any(|path| path.contains("/data/test-") || path.contains("README")), "{asked:?}");
    // The second time only the list of files is asked for.
    check(&hub, cache.path(), "some/geometry3k@train").output();
    assert_eq!(hub.asked(), ["/api/datasets/some/geometry3k/revision/main"]);
    // Without a split there are two.
    check(&hub, cache.path(), "some/geometry3k").fails_with("has the splits test, train");
    check(&hub, cache.path(), "some/geometry3k@test").output();
}

#[test]
fn what_cannot_be_fetched_is_named() {
    let hub = Hub::start(repositories());
    let cache = tempfile::tempdir().expect("a temporary folder");
    let home = cache.path().join("inner/cache");
    let nothing = check(&hub, &home, "some/nothing");
    nothing.fails_with("cannot download some/nothing: ");
    nothing.fails_with(&format!("{}/api/datasets/some/nothing/revision/main replied with status 404", hub.address));
    nothing.fails_with("check the name");
    nothing.fails_with("HF_TOKEN");
    assert_eq!(hub.asked().len(), 1, "what is not there is asked for once");
    check(&hub, &home, "some/words").fails_with("cannot download some/words: it has no file of the kind");
    check(&hub, &home, "some/broken").fails_with("cannot download some/broken: ");
    check(&hub, &home, "some/escape").fails_with("lies outside of it");
    assert!(!cache.path().join("evil.parquet").exists());
    // A path that merely looks like a name is a path if it is there; a longer one never is a name.
    check(&hub, &home, "some/geometry3k/data").fails_with("no data file or folder some/geometry3k/data");
    let mut gone = Hub::start(Repositories::new());
    gone.address = "http://127.0.0.1:9".to_owned();
    check(&gone, &home, "some/geometry3k").fails_with("cannot download some/geometry3k: http://127.0.0.1:9/api/");
    let named = sightline_in(&[], &["data", "check", "some/geometry3k@train"], "");
    named.fails_with("a data set of the Hub has to be downloaded first");
}

/// What accepts connections and stays silent, at once or in the middle of a file, is not waited for.
#[test]
fn silence_is_not_waited_for() {
    let table = fs::read(fixtures().join("parquet/geometry3k_layout.parquet")).expect("a fixture");
    let stalls = BTreeMap::from([("stalls.parquet".to_owned(), table)]);
    let hub = Hub::start(BTreeMap::from([("datasets/some/stalls".to_owned(), stalls)]));
    // Nobody accepts, but the system does.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let mute = format!("http://{}", silent.local_addr().expect("its address"));
    let cache = tempfile::tempdir().expect("a temporary folder");
    for endpoint in [&mute, &hub.address] {
        let started = Instant::now();
        let fetched = trainer::Hub::at(endpoint, cache.path(), Duration::from_millis(500))
            .expect("a client")
            .dataset("some/stalls", None);
        let message = fetched.expect_err("it never comes").to_string();
        assert!(message.starts_with(&format!("cannot download some/stalls: {endpoint}/")), "{message}");
        assert!(message.contains("sent nothing for 0.5 s"), "{message}");
        assert!(started.elapsed() < Duration::from_secs(20), "it took {:?}", started.elapsed());
    }
}

/// A connection that breaks off is made again, and goes on where it broke off.
#[test]
fn what_breaks_off_is_asked_for_again() {
    let table = fs::read(fixtures().join("parquet/geometry3k_layout.parquet")).expect("a fixture");
    let files = BTreeMap::from([("halves.parquet".to_owned(), table.clone())]);
    let hub = Hub::start(BTreeMap::from([("datasets/some/halves".to_owned(), files)]));
    let cache = tempfile::tempdir().expect("a temporary folder");
    let fetched = trainer::Hub::at(&hub.address, cache.path(), Duration::from_secs(20))
        .expect("a client")
        .dataset("some/halves", None)
        .expect("it comes in two parts");
    assert!(fs::read(fetched.join("halves.parquet")).expect("it is there") == table, "not as it was sent");
}

/// A run takes model and data by name, and notes where they lie, so that it goes on without a Hub.
#[test]
fn a_run_starts_from_names() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name);
    trainer::demo::untrained(&path("model"), 4, &Device::default()).expect("a writable folder");
    let shapes = ShapesConfig {
        train: 4,
        held_out: 2,
        sides: vec![56],
        min_shapes: 1,
        max_shapes: 2,
        ..ShapesConfig::default()
    };
    shapes::write(&shapes, &path("problems")).expect("a writable folder");
    let mut problems = files(&path("problems"), "");
    let held_out = problems.remove("held_out.jsonl").expect("held-out problems");
    problems.insert("test.jsonl".to_owned(), held_out);
    let mut model = files(&path("model"), "");
    model.insert("pytorch_model.bin".to_owned(), Vec::new());
    let hub =
        Hub::start(BTreeMap::from([("some/model".to_owned(), model), ("datasets/some/shapes".to_owned(), problems)]));
    let text = format!(
        "model = \"some/model\"\noutput = {:?}\nrecipe = \"grpo\"\ndevice = {:?}\n\
         [data]\ntrain = \"some/shapes@train\"\nheld_out = [\"some/shapes@test\"]\ntemplate = \"vppo\"\n\
         [rollout]\nprompts_per_step = 2\nresponses = 2\nsampling = {{ max_new_tokens = 4 }}\n\
         [schedule]\nsteps = 1\nvalidation_samples = 1\n",
        path("run"),
        device_name(),
    );
    fs::write(path("run.toml"), text).expect("a writable folder");
    let (config, home) = (path("run.toml").display().to_string(), path("cache").display().to_string());
    let environment = [("HF_ENDPOINT", hub.address.as_str()), ("HF_HOME", home.as_str())];
    sightline_in(&environment, &["train", "--config", &config], "").fails_with("some/model");
    let ended = sightline_in(&environment, &["train", "--config", &config, "--download"], "").output();
    assert!(ended.contains("(2 problems × 1)"), "{ended}");
    let asked = hub.asked();
    assert!(asked.iter().any(|path| path.ends_with("model.safetensors")), "{asked:?}");
    assert!(!asked.iter().any(|path| path.ends_with(".bin")), "{asked:?}");

    let resolved = TrainConfig::read(&path("run/config.toml"), &[]).expect("a configuration");
    assert!(resolved.model.is_dir() && resolved.model.starts_with(path("cache")), "{}", resolved.model.display());
    let resumed = sightline_in(
        &[("HF_ENDPOINT", "http://127.0.0.1:9")],
        &["train", "--config", &path("run/config.toml").display().to_string(), "--resume", "schedule.steps=2"],
        "",
    );
    resumed.output();
}
