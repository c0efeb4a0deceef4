//! `cargo xtask browser`: the inspector's page in a real browser.

use std::env;
use std::path::PathBuf;

use crate::cargo;
use crate::error::TaskError;

/// What Chromium is called, and the variable that names another.
const PROGRAMS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const VARIABLE: &str = "CHROME";

/// What to do in the browser.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Open this page and write what is seen, in the place of running the tests
    #[arg(long, requires = "screenshot")]
    page: Option<PathBuf>,
    /// Where to write it: a PNG file with --page, else a folder for the pictures of the tests
    #[arg(long)]
    screenshot: Option<PathBuf>,
    /// What is open: STEP/GROUP/RESPONSE, behind it /VALUE and /group or /compare; or curves, or configuration
    #[arg(long, requires = "page")]
    open: Option<String>,
    /// On a dark screen
    #[arg(long, requires = "page")]
    dark: bool,
}

/// Runs the tests of `tests/browser`, or takes a picture of a page.
pub(crate) fn run(arguments: &Arguments) -> Result<(), TaskError> {
    let folders = env::var_os("PATH").unwrap_or_default();
    let installed = env::split_paths(&folders).any(|folder| PROGRAMS.iter().any(|name| folder.join(name).is_file()));
    if !installed && env::var_os(VARIABLE).is_none() {
        return Err(TaskError::NoBrowser { variable: VARIABLE });
    }
    let here = env::current_dir().unwrap_or_default();
    let picture = arguments.screenshot.as_ref().map(|path| here.join(path));
    let chore = if arguments.page.is_some() { "run" } else { "test" };
    // A workspace of its own, whose build must not push the other's out.
    let target = cargo::workspace_root().join("target").join("browser");
    let mut command = cargo::cargo([chore, "--manifest-path", "tests/browser/Cargo.toml", "--target-dir"]);
    command.arg(target);
    let Some(page) = &arguments.page else {
        if let Some(folder) = picture {
            command.env("SCREENSHOTS", folder);
        }
        // The figures of the large page are printed, and two browsers at a time are enough.
        return cargo::run(command.args(["--", "--show-output", "--test-threads", "2"]));
    };
    command.args(["--bin", "screenshot", "--", "--page"]).arg(here.join(page));
    command.arg("--screenshot").args(picture);
    command.args(arguments.open.iter().flat_map(|place| ["--open", place]));
    command.args(arguments.dark.then_some("--dark"));
    cargo::run(&mut command)
}
