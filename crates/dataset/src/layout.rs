//! Which column says what.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::DatasetError;

/// How the columns of a data set are named: one of the usual ways, or a table of names.
///
/// In files it is the name of a [`Preset`], or a table of the names that differ from the standard ones:
/// `"virl39k"`, `{"problem": "question", "images": "figure"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Form", into = "Form")]
pub enum Layout {
    /// As a known data set or framework has them.
    Preset(Preset),
    /// By name.
    Named(NamedColumns),
}

/// The usual layouts. A column is looked for under its names in order; the first one that says something counts, and a dot leads into
/// a structure.
///
/// | name | problem | images | answer | category | worked response |
/// |---|---|---|---|---|---|
/// | `standard`, `geometry3k` | `problem` | `images` | `answer` | `category` | `teacher` |
/// | `virl39k` | `question`, `problem` | `image`, `images` | `answer` | `category` | |
/// | `mmk12` | `question`, `problem` | `image`, `images` | `answer` | `subject` | |
/// | `verl` | `extra_info.question`, `prompt` | `images` | `reward_model.ground_truth` | `data_source` | |
/// | `trl` | `prompt`, `problem` | `images`, `image` | `solution`, `answer` | | |
/// | `ms-swift` | `messages`, `query` | `images`, `image` | `solution`, `answer` | | |
/// | `sharegpt` | `messages`, `conversations` | `images`, `image` | `answer`, `solution` | `category` | |
///
/// A problem may be text or a list of messages (`role` and `content`, or `from` and `value`) with one question in it. Without a column
/// for the answer, the assistant's message is the answer. `standard` and `geometry3k` want one `<image>` in the text for every image;
/// the others put the images before a text that has none, as the frameworks do.
///
/// `virl39k` and `mmk12` read the data sets as their authors publish them and as VPPO does, who renamed the columns. `verl` reads the
/// bare question where there is one, since its `prompt` carries an instruction of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Preset {
    /// EasyR1's columns, which PAPO and VPPO took over, and two of our own.
    #[default]
    Standard,
    /// hiyouga/geometry3k.
    Geometry3k,
    /// TIGER-Lab/ViRL39K and chamber111/VPPO_ViRL39K_train.
    Virl39k,
    /// FanqingM/MMK12 and chamber111/VPPO_MMK12_validation.
    Mmk12,
    /// Data prepared for verl.
    Verl,
    /// Data prepared for TRL.
    Trl,
    /// Data prepared for ms-swift.
    MsSwift,
    /// Conversations, as LLaMA-Factory and VPPO's evaluation have them.
    Sharegpt,
}

/// Names of columns; a dot leads into a structure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NamedColumns {
    /// The problem's text or messages.
    pub problem: String,
    /// The image or images.
    pub images: String,
    /// The answer.
    pub answer: String,
    /// The sort of problem.
    pub category: String,
    /// A worked response.
    pub teacher: String,
    /// Whether the images come before a text that has no `<image>`; if not, such a row is an error.
    pub images_first: bool,
}

impl Default for NamedColumns {
    /// Those of [`Preset::Standard`].
    fn default() -> Self {
        let [problem, images, answer, category, teacher] =
            ["problem", "images", "answer", "category", "teacher"].map(str::to_owned);
        Self { problem, images, answer, category, teacher, images_first: false }
    }
}

/// The names each field of a problem is looked for under, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Columns {
    pub(crate) problem: Vec<String>,
    pub(crate) images: Vec<String>,
    pub(crate) answer: Vec<String>,
    pub(crate) category: Vec<String>,
    pub(crate) teacher: Vec<String>,
    pub(crate) images_first: bool,
    /// Names that the user gave, and that a table therefore must have.
    pub(crate) required: Vec<String>,
}

impl Default for Layout {
    fn default() -> Self {
        Self::Preset(Preset::default())
    }
}

impl Preset {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Standard,
        Self::Geometry3k,
        Self::Virl39k,
        Self::Mmk12,
        Self::Verl,
        Self::Trl,
        Self::MsSwift,
        Self::Sharegpt,
    ];

    /// The name in files and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Geometry3k => "geometry3k",
            Self::Virl39k => "virl39k",
            Self::Mmk12 => "mmk12",
            Self::Verl => "verl",
            Self::Trl => "trl",
            Self::MsSwift => "ms-swift",
            Self::Sharegpt => "sharegpt",
        }
    }

    pub(crate) fn columns(self) -> Columns {
        let named = |[problem, images, answer, category, teacher]: [&[&str]; 5], images_first| {
            let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
            Columns {
                problem: names(problem),
                images: names(images),
                answer: names(answer),
                category: names(category),
                teacher: names(teacher),
                images_first,
                required: Vec::new(),
            }
        };
        let original =
            |category| named([&["question", "problem"], &["image", "images"], &["answer"], category, &[]], true);
        match self {
            Self::Standard | Self::Geometry3k => NamedColumns::default().columns(),
            Self::Virl39k => original(&["category"]),
            Self::Mmk12 => original(&["subject"]),
            Self::Verl => named(
                [
                    &["extra_info.question", "prompt"],
                    &["images"],
                    &["reward_model.ground_truth"],
                    &["data_source"],
                    &[],
                ],
                true,
            ),
            Self::Trl => named([&["prompt", "problem"], &["images", "image"], &["solution", "answer"], &[], &[]], true),
            Self::MsSwift => {
                named([&["messages", "query"], &["images", "image"], &["solution", "answer"], &[], &[]], true)
            }
            Self::Sharegpt => named(
                [&["messages", "conversations"], &["images", "image"], &["answer", "solution"], &["category"], &[]],
                true,
            ),
        }
    }
}

impl Layout {
    pub(crate) fn columns(&self) -> Columns {
        match self {
            Self::Preset(preset) => preset.columns(),
            Self::Named(names) => names.columns(),
        }
    }
}

impl NamedColumns {
    fn columns(&self) -> Columns {
        let fields = |it: &Self| [&it.problem, &it.images, &it.answer, &it.category, &it.teacher].map(Clone::clone);
        let (names, standard) = (fields(self), fields(&Self::default()));
        let given = names.iter().zip(&standard).filter(|(name, standard)| name != standard);
        let required = given.map(|(name, _)| name.clone()).collect();
        let [problem, images, answer, category, teacher] = names.map(|name| vec![name]);
        Columns { problem, images, answer, category, teacher, images_first: self.images_first, required }
    }
}

impl Columns {
    /// Every name that is looked for.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        [&self.problem, &self.images, &self.answer, &self.category, &self.teacher]
            .into_iter()
            .flatten()
            .map(String::as_str)
    }
}

impl FromStr for Layout {
    type Err = DatasetError;

    /// The layout of a preset's name.
    fn from_str(name: &str) -> Result<Self, DatasetError> {
        let preset = Preset::ALL.into_iter().find(|preset| preset.name() == name);
        preset.map(Self::Preset).ok_or_else(|| DatasetError::UnknownLayout {
            name: name.to_owned(),
            known: Preset::ALL.map(Preset::name).join(", "),
        })
    }
}

/// A layout as it is written.
#[derive(Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "a layout is a preset's name or a table with `problem`, `images`, `answer`, `category`, `teacher` and `images_first`"
)]
enum Form {
    Name(String),
    Table(NamedColumns),
}

impl TryFrom<Form> for Layout {
    type Error = DatasetError;

    fn try_from(form: Form) -> Result<Self, DatasetError> {
        match form {
            Form::Name(name) => name.parse(),
            Form::Table(columns) => Ok(Self::Named(columns)),
        }
    }
}

impl From<Layout> for Form {
    fn from(layout: Layout) -> Self {
        match layout {
            Layout::Preset(preset) => Self::Name(preset.name().to_owned()),
            Layout::Named(columns) => Self::Table(columns),
        }
    }
}
