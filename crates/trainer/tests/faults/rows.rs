//! Problems that become unreadable while a run goes on.

use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;
use std::rc::Rc;

use trainer::{MetricsFile, StepReport, TrainError, TrainObserver, Trainer};

use crate::workspace::{Workspace, steps};

/// Spoils images and rows after the first step, and counts what is passed over.
struct Vandal {
    images: Vec<PathBuf>,
    rows: PathBuf,
    skipped: Rc<RefCell<Vec<usize>>>,
}

impl TrainObserver for Vandal {
    fn on_step(&mut self, report: &StepReport) -> Result<(), TrainError> {
        if report.step == 1 {
            fs::write(&self.images[0], b"\x89PNG\r\n\x1a\nand no more").expect("a writable file");
            fs::remove_file(&self.images[1]).expect("a file");
            let text = fs::read_to_string(&self.rows).expect("rows");
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            // Of the same length, so that the others stay where they are.
            lines[2] = "x".repeat(lines[2].len());
            fs::write(&self.rows, lines.join("\n") + "\n").expect("a writable file");
        }
        self.skipped.borrow_mut().push(report.skipped_problems);
        Ok(())
    }
}

/// Two images and a row of six problems are lost while the run goes on: they are passed over and counted, the others are trained
/// on. To go on later with the changed rows needs consent.
#[test]
fn problems_that_are_lost_are_passed_over() {
    let workspace = Workspace::new();
    let config = workspace.config("run", &["schedule.steps=6", "schedule.save_every=6"]);
    let rows = workspace.path("problems/train.jsonl");
    let mut trainer = Trainer::start(config.clone()).expect("starts");
    let image = |row: usize| {
        let problem = trainer.problems.dataset().problem(row).expect("a good row");
        match &problem.images[0] {
            dataset::ImageSource::File(path) => path.clone(),
            dataset::ImageSource::Bytes(_) => unreachable!("shapes are files"),
        }
    };
    let skipped = Rc::new(RefCell::new(Vec::new()));
    let vandal = Vandal { images: vec![image(0), image(1)], rows, skipped: Rc::clone(&skipped) };
    let metrics = MetricsFile::open(&config.output).expect("a writable folder");
    trainer.run(&mut [Box::new(vandal), Box::new(metrics)]).expect("no row is fatal");
    assert_eq!((trainer.step, trainer.problems.bad()), (6, 3), "each was met");
    let skipped = skipped.borrow();
    assert!(skipped[0] == 0 && skipped.iter().sum::<usize>() >= 3, "{skipped:?}");
    for (line, skipped) in steps(&config.output).iter().zip(skipped.iter()) {
        assert_eq!((&line["data/skipped"], &line["groups/kept"]), (&(*skipped).into(), &2.into()), "{line}");
    }
    drop(trainer);

    let ended = workspace.train("run", &["schedule.steps=9", "schedule.save_every=6"]);
    let log = ended.fails_with(&["the files of data.train", "--accept-changes"]);
    assert!(!log.contains("changed:"), "{log}");
    let more = ["schedule.steps=9", "schedule.save_every=6", "--accept-changes"];
    let log = workspace.train("run", &more).succeeds();
    assert!(log.contains("changed: the files of data.train") && log.contains("skipped: "), "{log}");
    assert_eq!(steps(&config.output).len(), 9);
}
