//! Opens a page and writes what is seen.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use browser_tests::{Theme, Window};
use clap::Parser;

/// Write what a page looks like as a PNG file
#[derive(Parser)]
struct CommandLine {
    /// The page
    #[arg(long)]
    page: PathBuf,
    /// The picture
    #[arg(long)]
    screenshot: PathBuf,
    /// What is open: STEP/GROUP/RESPONSE, and behind it /VALUE and /group or /compare; or curves, or configuration
    #[arg(long, default_value = "")]
    open: String,
    /// On a dark screen
    #[arg(long)]
    dark: bool,
}

fn main() -> Result<()> {
    let arguments = CommandLine::parse();
    let place = if arguments.open.is_empty() { String::new() } else { format!("#{}", arguments.open) };
    let window = Window::open(&arguments.page, &place)?;
    if arguments.dark {
        window.theme(Theme::Dark)?;
    }
    window.screenshot(&arguments.screenshot)?;
    let complaints = window.complaints();
    ensure!(complaints.is_empty(), "the page complained: {complaints:?}");
    Ok(())
}
