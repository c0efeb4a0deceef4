//! The folder of an evaluation: what was asked, every response, the figures.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::BLOCK;
use super::protocol::Protocol;
use super::record::Record;
use super::tally::Tally;
use crate::TrainError;

/// What was asked.
const PROTOCOL_FILE: &str = "protocol.json";
/// Every response, a line each.
pub(super) const RESPONSES_FILE: &str = "responses.jsonl";
/// The figures.
const SUMMARY_FILE: &str = "summary.json";

/// An evaluation's folder, open for writing.
///
/// `responses.jsonl` grows by whole blocks. When an evaluation is taken up again, what a killed process left of a block is cut
/// off and the block is answered anew, so that file and figures are those of an undisturbed evaluation, byte for byte.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    responses: File,
    tally: Tally,
    /// Files that `responses` has taken the place of, held for their locks.
    replaced: Vec<File>,
}

impl Journal {
    /// Opens a folder for an evaluation, makes it if it is not there, and reads what it already holds.
    ///
    /// # Errors
    /// - [`TrainError::EvaluationChanged`] if it holds an evaluation under another protocol; the error lists what differs.
    /// - [`TrainError::Occupied`] if it holds other files, or another process writes to it.
    /// - If it cannot be read or written.
    pub fn open(folder: &Path, protocol: &Protocol) -> Result<Self, TrainError> {
        let (path, known) = (folder.join(RESPONSES_FILE), folder.join(PROTOCOL_FILE));
        let occupied = |reason: &str| TrainError::Occupied { folder: folder.to_owned(), reason: reason.to_owned() };
        if known.exists() {
            let differences = Protocol::read(folder)?.differences(protocol)?;
            if !differences.is_empty() {
                let lines: Vec<String> = differences.iter().map(ToString::to_string).collect();
                return Err(TrainError::EvaluationChanged {
                    folder: folder.to_owned(),
                    differences: lines.join("\n  "),
                });
            }
        } else {
            fs::create_dir_all(folder).map_err(TrainError::file("create", folder))?;
            if fs::read_dir(folder).map_err(TrainError::file("list", folder))?.next().is_some() {
                return Err(occupied("it holds files and no evaluation"));
            }
            write(folder, PROTOCOL_FILE, protocol)?;
        }
        let mut options = OpenOptions::new();
        let responses = options.read(true).append(true).create(true).open(&path);
        let responses = responses.map_err(TrainError::file("open", &path))?;
        match responses.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(occupied("another process writes to it")),
            Err(TryLockError::Error(source)) => return Err(TrainError::file("lock", &path)(source)),
        }
        let (tally, whole) = whole_blocks(&responses, protocol).map_err(TrainError::file("read", &path))?;
        let length = responses.metadata().map_err(TrainError::file("read", &path))?.len();
        if whole < length {
            tracing::warn!(
                "{}: the last {} bytes are no whole block and are answered again",
                path.display(),
                length - whole
            );
            responses.set_len(whole).map_err(TrainError::file("cut", &path))?;
        }
        Ok(Self { folder: folder.to_owned(), responses, tally, replaced: Vec::new() })
    }

    /// What it holds.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Appends the records of a block.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn append(&mut self, records: &[Record]) -> Result<(), TrainError> {
        let path = self.folder.join(RESPONSES_FILE);
        let text = lines(&path, records)?;
        let written = self.responses.write_all(text.as_bytes()).and_then(|()| self.responses.sync_data());
        written.map_err(TrainError::file("append to", path))?;
        self.tally.add(records);
        Ok(())
    }

    /// If there are responses without a verdict, hands over all records, a block at a time, and keeps what they have
    /// become. A new file takes the old one's place at once, so that a killed process leaves one or the other.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub(super) fn judge_again(&mut self, mut judge: impl FnMut(&mut [Record])) -> Result<(), TrainError> {
        let ungraded = |tally: &Tally| tally.attempts().filter(|attempt| attempt.marks.is_none()).count();
        let before = ungraded(&self.tally);
        if before == 0 {
            return Ok(());
        }
        let path = self.folder.join(RESPONSES_FILE);
        tracing::info!("{}: {before} responses have no verdict and are judged again", path.display());
        let text = fs::read_to_string(&path).map_err(TrainError::file("read", &path))?;
        let parse = |line| serde_json::from_str(line);
        let mut records = text.lines().map(parse).collect::<Result<Vec<Record>, _>>().map_err(json(&path))?;
        for block in records.chunk_by_mut(|a, b| a.problem() / BLOCK == b.problem() / BLOCK) {
            judge(block);
        }
        let mut tally = Tally::new(self.tally.samples);
        tally.add(&records);
        tracing::info!("{} of them have one now", before - ungraded(&tally));
        let changed = lines(&path, &records)?;
        if changed != text {
            self.replace(&path, &changed)?;
            self.tally = tally;
        }
        Ok(())
    }

    /// Writes the responses aside, locked, and puts them in their place.
    fn replace(&mut self, path: &Path, text: &str) -> Result<(), TrainError> {
        let aside = self.folder.join(format!(".{RESPONSES_FILE}.writing"));
        // What a killed process left.
        fs::write(&aside, "").map_err(TrainError::file("write", &aside))?;
        let file = OpenOptions::new().read(true).append(true).open(&aside);
        let mut file = file.map_err(TrainError::file("open", &aside))?;
        file.lock().map_err(TrainError::file("lock", &aside))?;
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_data());
        written.map_err(TrainError::file("write", &aside))?;
        fs::rename(&aside, path).map_err(TrainError::file("rename", &aside))?;
        self.replaced.push(std::mem::replace(&mut self.responses, file));
        Ok(())
    }

    /// Writes the figures, of whatever form, to `summary.json`.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn finish(&self, summary: &impl Serialize) -> Result<(), TrainError> {
        write(&self.folder, SUMMARY_FILE, summary)
    }
}

/// Records as lines of the file at `path`.
fn lines(path: &Path, records: &[Record]) -> Result<String, TrainError> {
    let mut text = String::new();
    for record in records {
        text += &serde_json::to_string(record).map_err(json(path))?;
        text.push('\n');
    }
    Ok(text)
}

fn json(path: &Path) -> impl Fn(serde_json::Error) -> TrainError + use<> {
    let place = path.display().to_string();
    move |source| TrainError::Json { place: place.clone(), source }
}

/// Reads the whole blocks a file begins with; returns what they hold and their length in bytes.
fn whole_blocks(file: &File, protocol: &Protocol) -> std::io::Result<(Tally, u64)> {
    let (samples, problems) = (protocol.samples, protocol.problems.count);
    let mut reader = BufReader::new(file);
    let (mut tally, mut whole) = (Tally::new(samples), 0);
    let (mut block, mut offset, mut next) = (Vec::new(), 0, (0, 0));
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line)?;
        if read == 0 || line.last() != Some(&b'\n') {
            return Ok((tally, whole));
        }
        let Ok(record) = serde_json::from_slice::<Record>(&line) else { return Ok((tally, whole)) };
        next = match (&record, next) {
            (Record::Skipped(skipped), (problem, 0)) if skipped.problem == problem => (problem + 1, 0),
            (Record::Response(response), (problem, sample))
                if (response.problem, response.sample) == (problem, sample) && problem < problems =>
            {
                if sample + 1 == samples { (problem + 1, 0) } else { (problem, sample + 1) }
            }
            _ => return Ok((tally, whole)),
        };
        block.push(record);
        offset += read as u64;
        let end = (tally.problems() + BLOCK).min(problems);
        if next == (end, 0) {
            tally.add(&block);
            block.clear();
            whole = offset;
        }
    }
}

/// Writes a JSON file aside and puts it in its place.
fn write(folder: &Path, name: &str, value: &impl Serialize) -> Result<(), TrainError> {
    let (path, aside) = (folder.join(name), folder.join(format!(".{name}.writing")));
    let mut text = serde_json::to_string_pretty(value).map_err(json(&path))?;
    text.push('\n');
    fs::write(&aside, text).map_err(TrainError::file("write", &aside))?;
    fs::rename(&aside, &path).map_err(TrainError::file("rename", &aside))
}

impl Protocol {
    /// What the evaluation in a folder asked.
    ///
    /// # Errors
    /// If the file is not there or is no protocol.
    pub fn read(folder: &Path) -> Result<Self, TrainError> {
        let path = folder.join(PROTOCOL_FILE);
        let bytes = fs::read(&path).map_err(TrainError::file("read", &path))?;
        serde_json::from_slice(&bytes).map_err(json(&path))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use reward::Verdict;
    use rollout::Sampling;
    use serde_json::json;
    use vlm_model::Precision;

    use super::super::protocol::ProblemSet;
    use super::super::record::{Response, Skipped};
    use super::*;

    fn protocol(problems: usize, samples: usize) -> Protocol {
        Protocol {
            program: "test".to_owned(),
            preset: None,
            model: BTreeMap::from([("model.safetensors".to_owned(), "00".to_owned())]),
            problems: ProblemSet { count: problems, sha256: "11".to_owned() },
            prompt: json!({ "instruction": "" }),
            sampling: Sampling::default(),
            samples,
            seed: 3,
            reward: json!({}),
            judge_truncated: true,
            overlong_penalty: None,
            max_rows: 8,
            device: "cpu".to_owned(),
            precision: Precision::Float32,
        }
    }

    /// Every seventh problem is skipped, every third response is right.
    fn records(problems: std::ops::Range<usize>, samples: usize) -> Vec<Record> {
        let of_problem = |problem: usize| {
            let place = format!("line {}", problem + 1);
            if problem % 7 == 6 {
                return vec![Record::Skipped(Skipped { problem, place, reason: "no \"image\"\n".to_owned() })];
            }
            let response = |sample: usize| {
                let accuracy = if (problem + sample).is_multiple_of(3) { 1.0 } else { 0.0 };
                Record::Response(Response {
                    problem,
                    sample,
                    place: place.clone(),
                    category: problem.is_multiple_of(2).then(|| "even".to_owned()),
                    question: "<image>How many?".to_owned(),
                    gold: "3".to_owned(),
                    response: "a\nb".to_owned(),
                    tokens: 3 + sample,
                    truncated: sample == 1,
                    unasked: false,
                    verdict: (problem != 5).then(|| Verdict { overall: accuracy, accuracy, ..Verdict::default() }),
                    ungraded: (problem == 5).then(|| "no reply".to_owned()),
                })
            };
            (0..samples).map(response).collect()
        };
        problems.flat_map(of_problem).collect()
    }

    /// The problems of one block after another, the last one shorter.
    fn blocks(problems: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
        (0..problems).step_by(BLOCK).map(move |first| first..(first + BLOCK).min(problems))
    }

    fn fill(folder: &Path, protocol: &Protocol) -> Tally {
        let mut journal = Journal::open(folder, protocol).expect("opens");
        let done = journal.tally().problems();
        for block in blocks(protocol.problems.count).filter(|block| block.start >= done) {
            journal.append(&records(block, protocol.samples)).expect("a writable file");
        }
        journal.tally().clone()
    }

    /// Cut anywhere and taken up again, the file is the same to the byte, and so are the figures.
    #[test]
    fn any_cut_heals() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let protocol = protocol(75, 2);
        let path = folder.path().join(RESPONSES_FILE);
        let whole = fill(folder.path(), &protocol);
        assert_eq!((whole.outcomes.len(), whole.skipped.len()), (65, 10));
        let bytes = fs::read(&path).expect("responses");
        let first_block: usize = records(0..BLOCK, 2).len();
        let lines: Vec<usize> =
            bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect();
        let ends = [
            0,
            lines[first_block - 1],
            lines[first_block - 1] + 1,
            lines[5],
            lines[5] - 1,
            bytes.len() - 1,
            bytes.len(),
        ];
        for cut in ends.into_iter().chain((0..bytes.len()).step_by(997)) {
            fs::write(&path, &bytes[..cut]).expect("a writable file");
            let journal = Journal::open(folder.path(), &protocol).expect("opens");
            let tally = journal.tally().clone();
            assert!(tally.problems() == 75 || tally.problems().is_multiple_of(BLOCK), "whole blocks");
            assert_eq!(tally.problems() >= BLOCK, cut >= lines[first_block - 1], "as many as there are, cut at {cut}");
            drop(journal);
            assert_eq!(fill(folder.path(), &protocol), whole, "cut at {cut}");
            assert!(fs::read(&path).expect("responses") == bytes, "cut at {cut}");
        }
    }

    /// What does not belong where it stands ends what is believed.
    #[test]
    fn foreign_lines_are_answered_again() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let protocol = protocol(40, 2);
        let path = folder.path().join(RESPONSES_FILE);
        fill(folder.path(), &protocol);
        let text = fs::read_to_string(&path).expect("responses");
        let lines: Vec<&str> = text.lines().collect();
        let with = |at: usize, line: &str| {
            let mut lines = lines.clone();
            lines[at] = line;
            lines.join("\n") + "\n"
        };
        for (changed, problems) in [
            (text.clone(), 40),
            (with(0, lines[1]), 0),
            (with(3, "{}"), 0),
            (with(lines.len() - 1, lines[0]), BLOCK),
            (text.clone() + lines[0] + "\n", 40),
        ] {
            fs::write(&path, changed).expect("a writable file");
            let journal = Journal::open(folder.path(), &protocol).expect("opens");
            assert_eq!(journal.tally().problems(), problems);
        }
        assert!(fs::read_to_string(&path).expect("responses") == text, "what follows the end is cut off");
    }

    #[test]
    fn a_folder_holds_one_evaluation() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ours = protocol(3, 2);
        fill(folder.path(), &ours);
        let mut other = Protocol { samples: 4, ..ours.clone() };
        other.model.insert("model.safetensors".to_owned(), "01".to_owned());
        let error = Journal::open(folder.path(), &other).expect_err("another protocol").to_string();
        for line in ["samples: 2 -> 4", "model.model.safetensors: 00 -> 01"] {
            assert!(error.contains(line), "{error}");
        }
        let open = Journal::open(folder.path(), &ours).expect("opens");
        assert_eq!(open.tally().problems(), 3);
        let error = Journal::open(folder.path(), &ours).expect_err("two at once").to_string();
        assert!(error.contains("another process"), "{error}");
        let foreign = tempfile::tempdir().expect("a temporary folder");
        fs::write(foreign.path().join("thesis.tex"), "").expect("a writable folder");
        let error = Journal::open(foreign.path(), &ours).expect_err("files of others").to_string();
        assert!(error.contains("no evaluation"), "{error}");
    }
}
