//! What a check of data found.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use comfy_table::Table;
use comfy_table::presets::UTF8_BORDERS_ONLY;
use serde::Serialize;
use serde_json::json;
use trainer::TrainError;

/// Findings of one kind that people are shown.
const SHOWN: usize = 5;

/// What may be noticed about a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    MalformedRow,
    MarkerMismatch,
    ImageMissing,
    ImageUnreadable,
    ImageTooLarge,
    PromptTooLong,
    AnswerNotUnderstood,
    Duplicate,
}

impl Kind {
    /// Whether a problem of this kind cannot be trained on.
    const fn is_error(self) -> bool {
        !matches!(self, Self::AnswerNotUnderstood | Self::Duplicate)
    }

    const fn words(self) -> &'static str {
        match self {
            Self::MalformedRow => "malformed rows",
            Self::MarkerMismatch => "markers and images differ in number",
            Self::ImageMissing => "images missing",
            Self::ImageUnreadable => "images that cannot be decoded",
            Self::ImageTooLarge => "images too large to be decoded",
            Self::PromptTooLong => "prompts too long",
            Self::AnswerNotUnderstood => "answers compared as text",
            Self::Duplicate => "duplicates",
        }
    }
}

/// Something noticed about one problem.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    pub(super) place: String,
    pub(super) kind: Kind,
    pub(super) message: String,
}

/// Everything that was seen.
#[derive(Debug, Default)]
pub(super) struct Report {
    files: Vec<String>,
    /// Longest prompt, if prompts are counted.
    limit: Option<usize>,
    pub(super) problems: usize,
    pub(super) usable: usize,
    pub(super) without_images: usize,
    pub(super) widths: Vec<u64>,
    pub(super) heights: Vec<u64>,
    pub(super) pixels: Vec<u64>,
    pub(super) tokens: Vec<u64>,
    pub(super) categories: BTreeMap<String, usize>,
    findings: Vec<Finding>,
}

/// The ends and the middle of some numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Spread {
    min: u64,
    /// Of an even number of values, the lower of the two in the middle.
    median: u64,
    max: u64,
}

impl Spread {
    fn of(values: &[u64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_unstable();
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        Some(Self { min, median: sorted[(sorted.len() - 1) / 2], max })
    }
}

impl Report {
    pub(super) fn new(files: Vec<String>, limit: Option<usize>) -> Self {
        Self { files, limit, ..Self::default() }
    }

    pub(super) fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// An error if training could not use every problem.
    pub(super) fn verdict(&self) -> Result<(), TrainError> {
        match self.problems - self.usable {
            0 => Ok(()),
            bad => Err(TrainError::BadData { bad, problems: self.problems }),
        }
    }

    fn counts(&self) -> BTreeMap<Kind, usize> {
        let mut counts = BTreeMap::new();
        for finding in &self.findings {
            *counts.entry(finding.kind).or_default() += 1;
        }
        counts
    }

    pub(super) fn to_json(&self) -> Result<String, TrainError> {
        let (errors, warnings): (BTreeMap<Kind, usize>, _) =
            self.counts().into_iter().partition(|(kind, _)| kind.is_error());
        let object = json!({
            "files": self.files,
            "problems": self.problems,
            "usable": self.usable,
            "without_images": self.without_images,
            "images": {
                "count": self.widths.len(),
                "width": Spread::of(&self.widths),
                "height": Spread::of(&self.heights),
                "pixels": Spread::of(&self.pixels),
            },
            "prompt_tokens": self.limit.map(|limit| json!({ "limit": limit, "spread": Spread::of(&self.tokens) })),
            "categories": self.categories,
            "errors": errors,
            "warnings": warnings,
            "findings": self.findings,
        });
        serde_json::to_string(&object).map_err(|source| TrainError::Json { place: "the report".to_owned(), source })
    }
}

impl Display for Report {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(UTF8_BORDERS_ONLY);
        let mut row = |name: &str, value: String| {
            table.add_row([name.to_owned(), value]);
        };
        row("problems", self.problems.to_string());
        row("usable", self.usable.to_string());
        row("without images", self.without_images.to_string());
        row("images", self.widths.len().to_string());
        let mut spread = |name: &str, values: &[u64]| {
            if let Some(Spread { min, median, max }) = Spread::of(values) {
                row(name, format!("{min} … {median} … {max}"));
            }
        };
        spread("image width, min … median … max", &self.widths);
        spread("image height", &self.heights);
        spread("image pixels", &self.pixels);
        spread("prompt tokens", &self.tokens);
        for (category, count) in &self.categories {
            row(&format!("category {category}"), count.to_string());
        }
        let counts = self.counts();
        for (kind, count) in &counts {
            row(&format!("{}: {}", if kind.is_error() { "ERROR" } else { "note" }, kind.words()), count.to_string());
        }
        write!(formatter, "{table}")?;
        for (kind, count) in counts {
            for finding in self.findings.iter().filter(|finding| finding.kind == kind).take(SHOWN) {
                write!(formatter, "\n{}", finding.message)?;
            }
            if count > SHOWN {
                write!(formatter, "\n… and {} more {}", count - SHOWN, kind.words())?;
            }
        }
        Ok(())
    }
}
