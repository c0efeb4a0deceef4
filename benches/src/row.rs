//! A measured piece of work, and its lines in the table.

use serde::ser::{Serialize, SerializeStruct as _, Serializer};
use serde_json::Value;
use vlm_model::Precision;

use crate::contender::Contender;
use crate::dimensions::Dimensions;
use crate::failure::Failure;
use crate::scene::Setting;
use crate::session::Repetition;
use crate::statistics::{Spread, three_digits};
use crate::work::Work;

/// What a ratio should be.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Bar {
    AtLeast(f64),
    AtMost(f64),
}

impl Bar {
    fn is_met(self, ratio: f64) -> bool {
        match self {
            Self::AtLeast(bar) => ratio >= bar,
            Self::AtMost(bar) => ratio <= bar,
        }
    }

    fn written(self) -> String {
        match self {
            Self::AtLeast(bar) => format!("≥ {bar}"),
            Self::AtMost(bar) => format!("≤ {bar}"),
        }
    }
}

/// The goal of the small model on a CPU, as the other side's time over ours; of VPPO, its time over that of GRPO.
const fn bar(work: Work) -> Option<Bar> {
    match work {
        Work::Decode => Some(Bar::AtLeast(2.0)),
        Work::Prefill => None,
        Work::LogProbs | Work::GrpoStep | Work::GrpoStepReusing => Some(Bar::AtLeast(3.0)),
        Work::Divergence => Some(Bar::AtLeast(3.5)),
        Work::Update => Some(Bar::AtLeast(2.5)),
        Work::VppoStep | Work::VppoPaperStep => Some(Bar::AtMost(1.15)),
        Work::Start => Some(Bar::AtLeast(20.0)),
    }
}

/// The goal of the update's memory, as ours over the other's.
const MEMORY_BAR: Bar = Bar::AtMost(0.5);

/// A measured piece of work.
pub(crate) struct Row {
    pub(crate) work: Work,
    pub(crate) setting: Setting,
    /// Ours and the other's, pair by pair.
    pub(crate) pairs: Vec<(Repetition, Option<Repetition>)>,
    /// What our side said when it was ready.
    pub(crate) ready: Value,
    /// What the other said.
    pub(crate) other_ready: Value,
    /// Our peak of memory, in bytes.
    pub(crate) peak: Option<u64>,
    /// The other's.
    pub(crate) other_peak: Option<u64>,
}

/// The head of the table.
pub(crate) const fn heading(with_peer: bool) -> &'static str {
    match with_peer {
        true => "| work | peer | ours | ratio | bar | |\n|---|---|---|---|---|---|",
        false => "| work | other | ours | ratio | bar | |\n|---|---|---|---|---|---|",
    }
}

impl Row {
    /// Pairs during which the machine did something else.
    pub(crate) fn disturbed(&self) -> usize {
        let loud = |pair: &&(Repetition, Option<Repetition>)| {
            !pair.0.is_quiet() || pair.1.is_some_and(|repetition| !repetition.is_quiet())
        };
        self.pairs.iter().filter(loud).count()
    }

    /// Lets the other side end, and notes what it says.
    ///
    /// # Errors
    /// If it fails at that.
    pub(crate) fn end_other(&mut self, other: Option<Contender>) -> Result<(), Failure> {
        self.other_ready = other.as_ref().map_or(Value::Null, Contender::ready);
        self.other_peak = other.map(Contender::end).transpose()?.flatten();
        Ok(())
    }

    /// The goal, where one is set for its setting.
    fn bar(&self) -> Option<Bar> {
        let Setting { dims, dtype, .. } = self.setting;
        let is_set = self.on_host() && dims == Dimensions::Bench && dtype == Precision::Float32;
        bar(self.work).filter(|_| is_set || self.work.is_beside_grpo())
    }

    fn on_host(&self) -> bool {
        self.setting.device == "cpu"
    }

    /// Our seconds.
    pub(crate) fn ours(&self) -> Option<Spread> {
        Spread::of(self.pairs.iter().map(|pair| pair.0.seconds))
    }

    /// The other's seconds.
    pub(crate) fn other(&self) -> Option<Spread> {
        Spread::of(self.pairs.iter().filter_map(|pair| pair.1).map(|repetition| repetition.seconds))
    }

    fn ratio(&self) -> Option<Spread> {
        Spread::of(self.pairs.iter().filter_map(|(ours, other)| {
            let ratio = other.as_ref()?.seconds / ours.seconds;
            Some(if self.work.is_beside_grpo() { 1.0 / ratio } else { ratio })
        }))
    }

    /// Its lines in the table: time, and for the update memory.
    pub(crate) fn lines(&self) -> Vec<String> {
        let seconds = |spread: Option<Spread>| spread.map_or("–".to_owned(), |spread| spread.written(three_digits));
        let mut name = format!("`{}`", self.work.name());
        match self.work {
            Work::Decode => {
                name.push_str(&format!(", {} × {} tokens", self.setting.responses, self.setting.new_tokens));
            }
            work if work.is_beside_grpo() => name.push_str(", beside our `grpo-step`"),
            _ => {}
        }
        match self.disturbed() {
            0 => {}
            count => name.push_str(&format!(" †{count}/{}", self.pairs.len())),
        }
        let mut lines = vec![line(&name, &seconds(self.other()), &seconds(self.ours()), self.ratio(), self.bar())];
        // A GPU's memory is not the process's.
        if let (Work::Update, Some(peak), true) = (self.work, self.peak, self.on_host()) {
            let other = self.other_peak;
            let ratio = other.and_then(|other| Spread::of([peak as f64 / other as f64]));
            let written = |bytes: u64| format!("{} GiB", three_digits(bytes as f64 / (1_u64 << 30) as f64));
            let other = other.map_or("–".to_owned(), written);
            lines.push(line("peak memory of `update`", &other, &written(peak), ratio, self.bar().map(|_| MEMORY_BAR)));
        }
        lines
    }
}

fn line(name: &str, other: &str, ours: &str, ratio: Option<Spread>, bar: Option<Bar>) -> String {
    let met = match (bar, ratio) {
        (Some(bar), Some(ratio)) if bar.is_met(ratio.median) => "met",
        (Some(_), Some(_)) => "not met",
        _ => "",
    };
    let ratio = ratio.map_or("–".to_owned(), |ratio| match ratio.least == ratio.most {
        true => format!("{:.2}", ratio.median),
        false => ratio.written(|value| format!("{value:.2}")),
    });
    let bar = bar.map_or(String::new(), Bar::written);
    format!("| {name} | {other} | {ours} | {ratio} | {bar} | {met} |")
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut row = serializer.serialize_struct("Row", 9)?;
        let repetition = |r: &Repetition| [r.seconds, r.processors, r.elsewhere];
        row.serialize_field("work", self.work.name())?;
        row.serialize_field("responses", &self.setting.responses)?;
        row.serialize_field("new_tokens", &self.setting.new_tokens)?;
        row.serialize_field("columns", &["seconds", "processors", "processors_elsewhere"])?;
        row.serialize_field("ours", &self.pairs.iter().map(|pair| repetition(&pair.0)).collect::<Vec<_>>())?;
        let other: Vec<_> = self.pairs.iter().filter_map(|pair| pair.1.as_ref().map(repetition)).collect();
        row.serialize_field("other", &other)?;
        row.serialize_field("peak_bytes", &self.peak)?;
        row.serialize_field("other_peak_bytes", &self.other_peak)?;
        row.serialize_field("parameters", &self.ready["parameters"])?;
        row.end()
    }
}
