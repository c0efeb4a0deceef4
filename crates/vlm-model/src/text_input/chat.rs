//! Conversations, and the text a checkpoint turns them into.

use std::path::Path;
use std::thread;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, ErrorKind, context};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ModelError;
use crate::limits::{MAX_TEMPLATE_BYTES, read_json, read_text};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Standing instructions.
    System,
    /// The person asking.
    User,
    /// The model.
    Assistant,
}

/// A piece of a message.
///
/// Its serialized form is the one chat templates expect: `{"type": "image"}`, `{"type": "text", "text": …}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "text", rename_all = "lowercase")]
pub enum Part {
    /// The place of an image; the images themselves travel separately, in order.
    Image,
    /// Plain text.
    Text(String),
}

impl Part {
    /// The text, if it is text.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Image => None,
            Self::Text(text) => Some(text),
        }
    }
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// Text and images in reading order.
    pub content: Vec<Part>,
}

impl Message {
    /// A message of text alone.
    #[must_use]
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self { role, content: vec![Part::Text(text.into())] }
    }
}

/// What to render besides the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenderOptions {
    /// End with the opening of the assistant's turn, so that the model answers.
    pub add_generation_prompt: bool,
    /// Number the images in the text ("Picture 1: ").
    pub add_vision_id: bool,
}

impl Default for RenderOptions {
    /// Ready for an answer, images not numbered.
    fn default() -> Self {
        Self { add_generation_prompt: true, add_vision_id: false }
    }
}

/// Stack of the thread that compiles a template: so much, and so much for each of its bytes. The compiler calls itself
/// for every operator of a chain, and an operator may be one byte.
const STACK: usize = 2 << 20;
const STACK_PER_BYTE: usize = 4 << 10;

/// A checkpoint's chat template (Jinja).
#[derive(Clone, Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
}

impl ChatTemplate {
    const NAME: &'static str = "chat";

    /// Steps a template may take for one conversation. Qwen's takes some hundred for a question about ten images.
    pub const FUEL: u64 = 1_000_000;

    /// Compiles a template.
    ///
    /// The environment is that of transformers: block tags swallow their line, Python's string and dictionary methods
    /// work, and `raise_exception(message)` fails the rendering.
    ///
    /// # Errors
    /// A syntax error, or a text of more than [`MAX_TEMPLATE_BYTES`](crate::MAX_TEMPLATE_BYTES).
    pub fn new(source: impl Into<String>) -> Result<Self, ModelError> {
        let mut environment = Environment::new();
        environment.set_fuel(Some(Self::FUEL));
        environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |message: String| -> Result<String, minijinja::Error> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
        });
        let source = source.into();
        if source.len() as u64 > MAX_TEMPLATE_BYTES {
            let message = format!("it has {} bytes, the limit is {MAX_TEMPLATE_BYTES}", source.len());
            return Err(minijinja::Error::new(ErrorKind::InvalidOperation, message).into());
        }
        let stack = STACK + STACK_PER_BYTE * source.len();
        thread::scope(|scope| {
            let compile = || environment.add_template_owned(Self::NAME, source);
            let failed = |message: String| minijinja::Error::new(ErrorKind::InvalidOperation, message);
            let compiling = thread::Builder::new().stack_size(stack).spawn_scoped(scope, compile);
            let compiling = compiling.map_err(|error| failed(format!("there is no thread to compile it: {error}")))?;
            compiling.join().unwrap_or_else(|_| Err(failed("its compiler gave up".to_owned())))
        })?;
        Ok(Self { environment })
    }

    /// Finds the template of a checkpoint.
    ///
    /// Looks at `chat_template.jinja`, then `chat_template.json`, then `tokenizer_config.json`, whose template may be a
    /// list of named ones (the one called `default` is taken).
    ///
    /// # Errors
    /// None of them holds a template, or one cannot be read or compiled.
    pub fn from_folder(folder: &Path) -> Result<Self, ModelError> {
        let plain = folder.join("chat_template.jinja");
        if plain.exists() {
            return Self::new(read_text(&plain, MAX_TEMPLATE_BYTES)?);
        }
        for name in ["chat_template.json", "tokenizer_config.json"] {
            let path = folder.join(name);
            if path.exists()
                && let Some(source) = default_template(&read_json::<Value>(&path)?["chat_template"])
            {
                return Self::new(source);
            }
        }
        Err(ModelError::MissingChatTemplate { folder: folder.into() })
    }

    /// The text of a conversation.
    ///
    /// Qwen's template puts a default system message in front unless the first message is one.
    ///
    /// # Errors
    /// The template refuses the messages, or takes more than [`Self::FUEL`] steps.
    pub fn render(&self, messages: &[Message], options: RenderOptions) -> Result<String, ModelError> {
        let RenderOptions { add_generation_prompt, add_vision_id } = options;
        let template = self.environment.get_template(Self::NAME)?;
        Ok(template.render(context! { messages => Serde(messages), add_generation_prompt, add_vision_id })?)
    }
}

fn default_template(value: &Value) -> Option<&str> {
    match value {
        Value::Array(named) => named.iter().find(|entry| entry["name"] == "default")?["template"].as_str(),
        single => single.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(source: &str, messages: &[Message]) -> Result<String, ModelError> {
        ChatTemplate::new(source)?.render(messages, RenderOptions::default())
    }

    #[test]
    fn templates_may_use_what_transformers_offers() {
        let source = "{% for message in messages %}\n  {% if loop.last %}\n{{ message.content[0].text.strip().split(' ')[1] }}\n  {% break %}\n  {% endif %}\n{% endfor %}\n";
        let messages = [Message::text(Role::User, "a b"), Message::text(Role::Assistant, " c d ")];
        assert_eq!(render(source, &messages).expect("renders"), "d\n");
    }

    #[test]
    fn a_template_can_refuse() {
        let error = render("{{ raise_exception('no system message') }}", &[]).expect_err("refused");
        assert!(error.to_string().contains("no system message"), "{error}");
    }

    #[test]
    fn the_template_named_default_is_taken() {
        let named = serde_json::json!([{"name": "tool_use", "template": "a"}, {"name": "default", "template": "b"}]);
        assert_eq!(default_template(&named), Some("b"));
        assert_eq!(default_template(&serde_json::json!("c")), Some("c"));
        assert_eq!(default_template(&Value::Null), None);
    }
}
