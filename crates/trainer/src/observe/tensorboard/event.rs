//! The messages of TensorBoard's event files, as far as they are written here.
//!
//! # Source
//! `event.proto`, `summary.proto`, `histogram.proto` and `tensor.proto` of TensorBoard 2.21. Numbers are those of the fields there.

/// An entry of an event file.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    pub(super) wall_time: f64,
    #[prost(int64, tag = "2")]
    pub(super) step: i64,
    #[prost(oneof = "What", tags = "3, 5, 7")]
    pub(super) what: Option<What>,
}

/// What an entry says.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum What {
    /// Stands first in every file.
    #[prost(string, tag = "3")]
    FileVersion(String),
    #[prost(message, tag = "5")]
    Summary(Summary),
    #[prost(message, tag = "7")]
    SessionLog(SessionLog),
}

/// That a process begins: entries of its step and later ones, in this and earlier files, are void.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SessionLog {
    /// 1 for a start.
    #[prost(int32, tag = "1")]
    pub(super) status: i32,
}

/// Some values of a step.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Summary {
    #[prost(message, repeated, tag = "1")]
    pub(super) value: Vec<Value>,
}

/// A value with its name.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Value {
    #[prost(string, tag = "1")]
    pub(super) tag: String,
    #[prost(oneof = "Content", tags = "2, 5, 8")]
    pub(super) content: Option<Content>,
    #[prost(message, optional, tag = "9")]
    pub(super) metadata: Option<Metadata>,
}

/// A value.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Content {
    #[prost(float, tag = "2")]
    Scalar(f32),
    #[prost(message, tag = "5")]
    Histogram(Histogram),
    #[prost(message, tag = "8")]
    Tensor(Tensor),
}

/// How often values fall between limits.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Histogram {
    #[prost(double, tag = "1")]
    pub(super) min: f64,
    #[prost(double, tag = "2")]
    pub(super) max: f64,
    #[prost(double, tag = "3")]
    pub(super) count: f64,
    #[prost(double, tag = "4")]
    pub(super) sum: f64,
    #[prost(double, tag = "5")]
    pub(super) sum_squares: f64,
    /// Upper limits.
    #[prost(double, repeated, tag = "6")]
    pub(super) bucket_limit: Vec<f64>,
    /// Values up to each of them and above the one before.
    #[prost(double, repeated, tag = "7")]
    pub(super) bucket: Vec<f64>,
}

/// A list of texts.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Tensor {
    /// 7 for texts.
    #[prost(int32, tag = "1")]
    pub(super) dtype: i32,
    #[prost(message, optional, tag = "2")]
    pub(super) shape: Option<Shape>,
    #[prost(bytes = "vec", repeated, tag = "8")]
    pub(super) texts: Vec<Vec<u8>>,
}

/// A tensor's dimensions.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Shape {
    #[prost(message, repeated, tag = "2")]
    pub(super) dimensions: Vec<Dimension>,
}

/// One dimension.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct Dimension {
    #[prost(int64, tag = "1")]
    pub(super) size: i64,
}

/// Which of TensorBoard's pages shows a value.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Metadata {
    #[prost(message, optional, tag = "1")]
    pub(super) plugin: Option<Plugin>,
    /// 2 for tensors.
    #[prost(int32, tag = "4")]
    pub(super) class: i32,
}

/// A page by its name.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Plugin {
    #[prost(string, tag = "1")]
    pub(super) name: String,
}

impl Event {
    /// The entry that stands first in a file.
    pub(super) fn version(wall_time: f64) -> Self {
        Self { wall_time, step: 0, what: Some(What::FileVersion("brain.Event:2".to_owned())) }
    }

    /// That a process goes on with this step.
    pub(super) fn start(wall_time: f64, step: usize) -> Self {
        Self { wall_time, step: step as i64, what: Some(What::SessionLog(SessionLog { status: 1 })) }
    }

    /// Values of a step.
    pub(super) fn values(wall_time: f64, step: usize, value: Vec<Value>) -> Self {
        Self { wall_time, step: step as i64, what: Some(What::Summary(Summary { value })) }
    }
}

impl Value {
    /// A number.
    pub(super) fn scalar(tag: &str, value: f64) -> Self {
        Self { tag: tag.to_owned(), content: Some(Content::Scalar(value as f32)), metadata: None }
    }

    /// A text, Markdown.
    pub(super) fn text(tag: &str, text: &str) -> Self {
        let shape = Shape { dimensions: vec![Dimension { size: 1 }] };
        let tensor = Tensor { dtype: 7, shape: Some(shape), texts: vec![text.as_bytes().to_vec()] };
        let metadata = Metadata { plugin: Some(Plugin { name: "text".to_owned() }), class: 2 };
        Self { tag: tag.to_owned(), content: Some(Content::Tensor(tensor)), metadata: Some(metadata) }
    }

    /// How finite values are spread, in `buckets` equal steps from the least to the largest; nothing of none.
    pub(super) fn histogram(tag: &str, values: &[f64], buckets: usize) -> Option<Self> {
        let finite = || values.iter().copied().filter(|value| value.is_finite());
        let (min, max) = (finite().reduce(f64::min)?, finite().reduce(f64::max)?);
        let width = (max - min) / buckets as f64;
        let mut histogram = Histogram {
            min,
            max,
            count: finite().count() as f64,
            sum: finite().sum(),
            sum_squares: finite().map(|value| value * value).sum(),
            bucket_limit: (1..buckets).map(|step| min + width * step as f64).chain([max]).collect(),
            bucket: vec![0.0; buckets],
        };
        for value in finite() {
            let place = histogram.bucket_limit.partition_point(|limit| *limit < value);
            histogram.bucket[place.min(buckets - 1)] += 1.0;
        }
        Some(Self { tag: tag.to_owned(), content: Some(Content::Histogram(histogram)), metadata: None })
    }
}
