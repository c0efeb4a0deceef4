//! What is said around a problem.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::thread;

use minijinja::{Environment, UndefinedBehavior, context};
use serde::{Deserialize, Serialize};

use crate::DatasetError;

/// Instructions a template of which is known by name: its name and text.
///
/// # Source
/// `vppo`: arXiv:2510.09285, appendix, and the released `math_format_perception.jinja`, which PAPO and PGPO use too.
/// `math`, `r1v` and `dapo`: the files of these names of EasyR1.
const KNOWN: [(&str, &str); 5] = [
    ("none", "{{ content }}"),
    (
        "vppo",
        "{{ content | trim }}\n\nYou first think through the reasoning process as an internal monologue, enclosed within \
         <think> </think> tags. Then, provide your final answer enclosed within \\boxed{}.",
    ),
    (
        "math",
        "{{ content | trim }} You FIRST think about the reasoning process as an internal monologue and then provide the \
         final answer. The reasoning process MUST BE enclosed within <think> </think> tags. The final answer MUST BE put in \
         \\boxed{}.",
    ),
    (
        "r1v",
        "{{ content | trim }} A conversation between User and Assistant. The user asks a question, and the Assistant solves \
         it. The assistant first thinks about the reasoning process in the mind and then provides the user with the answer. \
         The reasoning process and answer are enclosed within <think> </think> and <answer> </answer> tags, respectively, \
         i.e., <think> reasoning process here </think><answer> answer here </answer>",
    ),
    (
        "dapo",
        "Solve the following math problem step by step. The last line of your response should be of the form Answer: $Answer \
         (without quotes) where $Answer is the answer to the problem.\n\n{{ content | trim }}\n\nRemember to put your answer \
         on its own line after \"Answer:\".",
    ),
];

/// Stack of the thread that renders: so much, and so much for each byte of the template. The template's compiler calls
/// itself for every operator of a chain, and an operator may be one byte.
const STACK: usize = 2 << 20;
const STACK_PER_BYTE: usize = 4 << 10;

/// Steps a template may take for one problem.
const FUEL: u64 = 100_000;

/// A Jinja template of the user's turn; `content` stands for the problem's text.
///
/// In files it is a name (`none`, `vppo`, `math`, `r1v`, `dapo`), the path of a file, or `{"text": …}` with the
/// template itself. A file is read when the setting is, and written back as its text, so that a run does not change
/// with the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Form", into = "Form")]
pub struct Template {
    text: String,
}

impl Template {
    /// Bytes of the largest template there can be.
    pub const MAX_BYTES: u64 = 64 << 10;

    /// The names of the built-in templates.
    pub fn names() -> impl Iterator<Item = &'static str> {
        KNOWN.iter().map(|(name, _)| *name)
    }

    /// The built-in template of a name, or that of a file.
    ///
    /// # Errors
    /// There is neither, or as [`Self::new`].
    pub fn find(name: &str) -> Result<Self, DatasetError> {
        if let Some((_, text)) = KNOWN.iter().find(|(known, _)| *known == name) {
            return Self::new(text);
        }
        let path = Path::new(name);
        if !path.is_file() {
            let known = Self::names().collect::<Vec<_>>().join(", ");
            return Err(DatasetError::UnknownTemplate { name: name.to_owned(), known });
        }
        let failed = |source| DatasetError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let bytes = file.metadata().map_err(failed)?.len();
        if bytes > Self::MAX_BYTES {
            return Err(DatasetError::TemplateTooLarge { path: path.to_owned(), bytes, limit: Self::MAX_BYTES });
        }
        let mut text = String::new();
        file.take(Self::MAX_BYTES).read_to_string(&mut text).map_err(failed)?;
        Self::new(&text)
    }

    /// A template of one's own.
    ///
    /// # Errors
    /// It is not well-formed, fails on an ordinary problem, or leaves the problem out.
    pub fn new(text: &str) -> Result<Self, DatasetError> {
        const TRIAL: &str = "<image>What is 2 + 2?";
        let template = Self { text: text.to_owned() };
        if template.render(TRIAL)?.contains(TRIAL) {
            return Ok(template);
        }
        let reason = "it leaves the problem out or changes it; put {{ content }} where the problem belongs".to_owned();
        Err(DatasetError::Template { reason })
    }

    /// The user's turn for a problem's text. The text itself is never taken for a template.
    ///
    /// # Errors
    /// The template fails on this text, or takes too many steps.
    pub fn render(&self, problem: &str) -> Result<String, DatasetError> {
        let failed = |reason: String| DatasetError::Template { reason };
        let (bytes, limit) = (self.text.len(), Self::MAX_BYTES);
        if bytes as u64 > limit {
            return Err(failed(format!("it has {bytes} bytes, the limit is {limit}")));
        }
        thread::scope(|scope| {
            let builder = thread::Builder::new().stack_size(STACK + STACK_PER_BYTE * bytes);
            let rendering = builder.spawn_scoped(scope, || self.render_here(problem));
            let rendering = rendering.map_err(|error| failed(format!("there is no thread for it: {error}")))?;
            rendering.join().unwrap_or_else(|_| Err(failed("its engine gave up".to_owned())))
        })
    }

    /// As [`Self::render`], on a stack that is large enough.
    fn render_here(&self, problem: &str) -> Result<String, DatasetError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        let rendered = environment.render_str(&self.text, context! { content => problem });
        rendered.map_err(|error| DatasetError::Template { reason: format!("{error:#}") })
    }
}

impl Default for Template {
    /// The problem as it stands.
    fn default() -> Self {
        Self { text: KNOWN[0].1.to_owned() }
    }
}

/// A template as it is written.
#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "a template is a built-in name, the path of a file, or a table with its `text`")]
enum Form {
    Name(String),
    Own(Own),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    text: String,
}

impl TryFrom<Form> for Template {
    type Error = DatasetError;

    fn try_from(form: Form) -> Result<Self, DatasetError> {
        match form {
            Form::Name(name) => Self::find(&name),
            Form::Own(Own { text }) => Self::new(&text),
        }
    }
}

impl From<Template> for Form {
    fn from(template: Template) -> Self {
        match KNOWN.iter().find(|(_, text)| *text == template.text) {
            Some((name, _)) => Self::Name((*name).to_owned()),
            None => Self::Own(Own { text: template.text }),
        }
    }
}
