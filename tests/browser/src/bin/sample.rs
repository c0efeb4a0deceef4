//! Writes a page as a run might leave it.

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;

use anyhow::Result;
use browser_tests::sample::{Size, run};
use clap::Parser;

/// Write a page of a run that never was
#[derive(Parser)]
struct CommandLine {
    /// The page
    output: PathBuf,
    /// Steps
    #[arg(long, default_value_t = 4)]
    steps: usize,
    /// Groups of a step
    #[arg(long, default_value_t = 4)]
    groups: usize,
    /// Responses of a group
    #[arg(long, default_value_t = 8)]
    responses: usize,
    /// About how many tokens a response has
    #[arg(long, default_value_t = 180)]
    tokens: usize,
}

fn main() -> Result<()> {
    let CommandLine { output, steps, groups, responses, tokens } = CommandLine::parse();
    Ok(run(Size { steps, groups, responses, tokens }).write(&mut BufWriter::new(File::create(output)?))?)
}
