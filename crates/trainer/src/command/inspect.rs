//! `sightline inspect`.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use clap::Args;
use indicatif::HumanBytes;
use inspector::{InspectorError, Page, Server};
use trainer::{Inspection, Other, Steps, TrainError};

use super::print;

/// Arguments of `inspect`.
#[derive(Args)]
pub(crate) struct Inspect {
    /// Folder of the run
    run: PathBuf,
    /// File to write [default: inspect.html in the run's folder]
    #[arg(long, value_name = "FILE", conflicts_with = "serve")]
    output: Option<PathBuf>,
    /// Serve the page to the browsers of this machine instead, until the program is ended; a reload shows what the run did since
    #[arg(long)]
    serve: bool,
    /// Port to serve on; 0 takes any that is free
    #[arg(long, default_value_t = 8765, requires = "serve")]
    port: u16,
    /// Steps whose responses are shown, such as 7, 10..20 or 1,50,100.. [default: all that were recorded]
    #[arg(long)]
    steps: Option<Steps>,
    /// About how many responses are shown: whole groups, from the first of each step, spread evenly over the steps
    #[arg(long, value_name = "N", default_value_t = 1000)]
    limit: usize,
    /// Score the same responses again: recipe=NAME|FILE, checkpoint=step-N|start|DIR, or both with a comma between; may be given
    /// several times
    #[arg(long, value_name = "WHAT")]
    compare: Vec<Other>,
    /// Leave out the images
    #[arg(long)]
    no_images: bool,
    /// Where to score again: cpu, wgpu or cuda:0 [default: the run's device]
    #[arg(long, requires = "compare")]
    device: Option<String>,
}

/// Files of a run that a page is made from, as they were found: path, length and time of the last change.
type Found = Vec<(PathBuf, u64, Option<SystemTime>)>;

impl Inspect {
    pub(crate) fn run(self) -> Result<(), TrainError> {
        let inspection = Inspection {
            run: self.run.clone(),
            steps: self.steps,
            limit: self.limit,
            images: !self.no_images,
            others: self.compare,
            device: self.device,
        };
        if self.serve {
            return serve(&inspection, self.port);
        }
        let file = self.output.unwrap_or_else(|| self.run.join("inspect.html"));
        let page = inspection.page()?;
        let size = write(&page, &file)?;
        let (responses, pictures) =
            (page.rollouts.len(), page.pictures.iter().map(|group| group.pictures.len()).sum::<usize>());
        print(&format!("{}: {}, {responses} responses, {pictures} images", file.display(), HumanBytes(size)))
    }
}

/// Writes a page aside and renames it, and returns its size in bytes.
fn write(page: &Page, file: &Path) -> Result<u64, TrainError> {
    let mut name = file.file_name().map(ToOwned::to_owned).unwrap_or_default();
    name.push(".writing");
    let aside = file.with_file_name(name);
    let failed = |action| {
        let path = file.to_owned();
        move |source| TrainError::File { action, path, source }
    };
    let mut to = BufWriter::new(File::create(&aside).map_err(failed("create"))?);
    let written = page.write(&mut to);
    drop(to);
    let renamed = match written {
        Ok(()) => fs::metadata(&aside).and_then(|found| fs::rename(&aside, file).map(|()| found.len())),
        Err(InspectorError::Write(source)) => Err(source),
        Err(error) => {
            let _ = fs::remove_file(&aside);
            return Err(error.into());
        }
    };
    renamed.map_err(|source| {
        let _ = fs::remove_file(&aside);
        failed("write")(source)
    })
}

/// Serves the page until the program is asked to end. It is made anew when the run has gone on.
fn serve(inspection: &Inspection, port: u16) -> Result<(), TrainError> {
    let made = |found| -> Result<(Found, Vec<u8>), TrainError> {
        let mut page = Vec::new();
        inspection.page()?.write(&mut page)?;
        Ok((found, page))
    };
    let server = Server::bind(port)?;
    let mut latest = made(found(&inspection.run))?;
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    ctrlc::set_handler(move || asked.store(true, Ordering::Relaxed))
        .map_err(|error| TrainError::Usage(format!("cannot wait for the signal to end: {error}")))?;
    print(&format!("http://{}/", server.address()))?;
    server.run(&stop, || {
        let now = found(&inspection.run);
        if now != latest.0 {
            latest = made(now)?;
        }
        Ok::<_, TrainError>(latest.1.clone())
    });
    Ok(())
}

/// What there is of a run at the moment; what cannot be read is not there.
fn found(run: &Path) -> Found {
    let rollouts = fs::read_dir(run.join("rollouts")).into_iter().flatten().flatten().map(|entry| entry.path());
    let files = ["config.toml", "recipe.json", "metrics.jsonl"].map(|name| run.join(name));
    let mut found: Found = files
        .into_iter()
        .chain(rollouts)
        .filter_map(|path| {
            let found = fs::metadata(&path).ok()?;
            Some((path, found.len(), found.modified().ok()))
        })
        .collect();
    found.sort();
    found
}
