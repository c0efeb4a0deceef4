//! Both sides of every piece of work by turns, and the table.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

use crate::checkpoint;
use crate::contender::{Contender, has_weights};
use crate::dimensions::Dimensions;
use crate::failure::Failure;
use crate::header::header;
use crate::print::print;
use crate::row::{Row, heading};
use crate::scene::Setting;
use crate::session::Repetition;
use crate::throughput::{Peaks, throughputs};
use crate::work::Work;

/// Arguments of the comparison.
#[derive(Args)]
pub(crate) struct Compare {
    /// Python interpreter that has what `benches/peers/requirements.txt` lists; without it, ours alone
    #[arg(long)]
    peer: Option<PathBuf>,
    /// Measured repetitions of each side
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Times a repetition is taken again because something else ran on the machine
    #[arg(long, default_value_t = 3)]
    retries: u16,
    /// Only these pieces of work
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Work>,
    /// Threads of both sides; by default as many as there are processors
    #[arg(long)]
    threads: Option<usize>,
    /// Responses of each measurement of decoding; by default 8, on a GPU 8, 64 and 256
    #[arg(long, value_delimiter = ',')]
    decode_responses: Vec<usize>,
    #[command(flatten)]
    pub(crate) setting: Setting,
    #[command(flatten)]
    peaks: Peaks,
    /// Write every measurement as JSON to this file
    #[arg(long)]
    out: Option<PathBuf>,
}

impl Compare {
    /// Measures everything that was asked for and prints the tables.
    ///
    /// # Errors
    /// If a side fails.
    pub(crate) fn run(mut self) -> Result<(), Failure> {
        if let Some(flag) = self.setting.of_ours_alone().filter(|_| self.peer.is_some()) {
            return Err(format!("{flag} changes our side alone; leave it or --peer out").into());
        }
        if self.setting.dims != Dimensions::Bench {
            self.setting.folder.set_file_name(self.setting.dims.name());
        }
        checkpoint::write(&self.setting.folder, self.setting.dims)?;
        let threads = self.threads()?;
        let (mut rows, mut failures) = (Vec::new(), Vec::new());
        for (work, setting) in self.chosen() {
            let name = format!("{}, {} responses", work.name(), setting.responses);
            eprintln!("{name}");
            // What takes too much memory, or a library that a peer lacks, costs a line and not the table.
            let failure = match self.row(work, &setting, threads) {
                Ok((row, failure)) => {
                    rows.push(row);
                    failure
                }
                Err(failure) => Some(failure),
            };
            failures.extend(failure.map(|failure| format!("{name}: {failure}")));
        }
        let named = rows.iter().filter_map(|row| row.other_ready["versions"].as_object()).flatten();
        let versions: Map<String, Value> = named.map(|(name, version)| (name.clone(), version.clone())).collect();
        print(&header(threads, &self.setting, &versions)?)?;
        print(heading(self.peer.is_some()))?;
        for line in rows.iter().flat_map(Row::lines) {
            print(&line)?;
        }
        print(&remarks(&rows, self.by_turns()))?;
        if let Some(table) = throughputs(&rows, &self.peaks) {
            print(&table)?;
        }
        if let Some(path) = &self.out {
            let measured = json!({ "threads": threads, "versions": versions, "rows": rows, "failures": failures });
            std::fs::write(path, format!("{measured:#}\n"))?;
        }
        if failures.is_empty() { Ok(()) } else { Err(format!("not measured: {}", failures.join("\n")).into()) }
    }

    /// Threads of each side.
    ///
    /// # Errors
    /// If the system does not say how many processors there are.
    pub(crate) fn threads(&self) -> Result<usize, Failure> {
        Ok(self.threads.map_or_else(|| std::thread::available_parallelism().map(usize::from), Ok)?)
    }

    /// Pieces of work with their settings.
    fn chosen(&self) -> Vec<(Work, Setting)> {
        let wanted = |work: &Work| self.only.is_empty() || self.only.contains(work);
        let possible = |work: &Work| *work != Work::Start || has_weights(&self.setting);
        let of = |work: Work| {
            let sizes = match (work, self.decode_responses.as_slice()) {
                (Work::Decode, []) if self.setting.device != "cpu" => vec![8, 64, 256],
                (Work::Decode, sizes) if !sizes.is_empty() => sizes.to_vec(),
                _ => vec![self.setting.responses],
            };
            sizes.into_iter().map(move |responses| (work, Setting { responses, ..self.setting.clone() }))
        };
        Work::ALL.into_iter().filter(wanted).filter(possible).flat_map(of).collect()
    }

    /// Whether both sides exist at once and work by turns. A GPU's memory need not hold both, and nothing else runs on it.
    fn by_turns(&self) -> bool {
        self.setting.device == "cpu"
    }

    /// Measures one piece of work. What keeps the other side from it is returned beside ours.
    ///
    /// # Errors
    /// If our side fails.
    fn row(&self, work: Work, setting: &Setting, threads: usize) -> Result<(Row, Option<Failure>), Failure> {
        let mut ours = Contender::ours(work, setting, threads)?;
        let other = || match (&self.peer, work) {
            (_, work) if work.is_beside_grpo() => Contender::ours(Work::GrpoStep, setting, threads).map(Some),
            (Some(python), _) => Contender::peer(python, work, setting, threads).map(Some),
            (None, _) => Ok(None),
        };
        let setting = setting.clone();
        let ready = ours.ready();
        let mut row =
            Row { work, setting, pairs: Vec::new(), ready, other_ready: Value::Null, peak: None, other_peak: None };
        if self.by_turns() {
            let mut other = other()?;
            for round in 0..self.rounds {
                row.pairs.push(self.pair(&mut ours, other.as_mut(), round % 2 == 0)?);
            }
            row.peak = ours.end()?;
            row.end_other(other)?;
            return Ok((row, None));
        }
        for _ in 0..self.rounds {
            row.pairs.push(self.pair(&mut ours, None, true)?);
        }
        row.peak = ours.end()?;
        let failure = other().and_then(|other| self.complete(&mut row, other)).err();
        Ok((row, failure))
    }

    /// Puts the other side's repetitions beside ours.
    fn complete(&self, row: &mut Row, other: Option<Contender>) -> Result<(), Failure> {
        let Some(mut other) = other else { return Ok(()) };
        for round in 0..row.pairs.len() {
            row.pairs[round].1 = Some(self.pair(&mut other, None, true)?.0);
        }
        row.end_other(Some(other))
    }

    /// One repetition of each side, right after each other; taken again while something else runs on the machine.
    fn pair(
        &self,
        ours: &mut Contender,
        mut other: Option<&mut Contender>,
        ours_first: bool,
    ) -> Result<(Repetition, Option<Repetition>), Failure> {
        let mut best: Option<(Repetition, Option<Repetition>)> = None;
        for _ in 0..=self.retries {
            let early = if ours_first { Some(ours.go()?) } else { None };
            let theirs = other.as_deref_mut().map(Contender::go).transpose()?;
            let pair = match early {
                Some(repetition) => (repetition, theirs),
                None => (ours.go()?, theirs),
            };
            let noise = |pair: &(Repetition, Option<Repetition>)| {
                pair.0.elsewhere.max(pair.1.map_or(0.0, |repetition| repetition.elsewhere))
            };
            if best.as_ref().is_none_or(|best| noise(&pair) < noise(best)) {
                best = Some(pair);
            }
            if pair.0.is_quiet() && pair.1.is_none_or(|repetition| repetition.is_quiet()) {
                break;
            }
        }
        Ok(best.ok_or("nothing was measured")?)
    }
}

/// What a reader has to know about some rows.
fn remarks(rows: &[Row], by_turns: bool) -> String {
    let pairs = if by_turns {
        "pairs measured right after each other"
    } else {
        "both sides' repetitions in order, one side measured after the other"
    };
    let mut text = format!(
        "\nTimes are medians with the smallest and largest in parentheses, in seconds; ratios are of {pairs}. A repetition is a \
         process's own, after one that is not counted.",
    );
    if rows.iter().any(|row| row.disturbed() > 0) {
        text.push_str(
            " `†`: during so many of the pairs something else kept more than a tenth of a processor busy, however often they were \
             taken again.",
        );
    }
    text
}
