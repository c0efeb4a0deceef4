//! Problems that are written as conversations.

use crate::cell::Cell;
use crate::problem::IMAGE_MARKER;

/// One question, what precedes it and what follows.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Conversation {
    pub(crate) system: Option<String>,
    /// The user's text, with a marker for every image among its parts.
    pub(crate) user: String,
    /// The images that stand in the message itself, in order.
    pub(crate) images: Vec<Cell>,
    /// The assistant's last word, if the conversation ends with it.
    pub(crate) assistant: Option<String>,
}

impl Conversation {
    /// Reads a list of messages.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub(crate) fn read(messages: &[Cell]) -> Result<Self, String> {
        let mut conversation = Self::default();
        let mut asked = false;
        for message in messages {
            let role = field(message, ["role", "from"]).and_then(Cell::as_text);
            let Some(role) = role else { return Err(format!("{} has no `role`", message.shown())) };
            let Some(content) = field(message, ["content", "value"]) else {
                return Err(format!("{} has no `content`", message.shown()));
            };
            let (text, images) = parts(content)?;
            match role {
                "system" if asked || conversation.system.is_some() => {
                    return Err("a system message that is not the first".to_owned());
                }
                "system" => conversation.system = Some(text).filter(|text| !text.trim().is_empty()),
                "user" | "human" if asked => {
                    return Err("more than one question; only the first turn can be trained on".to_owned());
                }
                "user" | "human" => {
                    asked = true;
                    (conversation.user, conversation.images) = (text, images);
                }
                "assistant" | "gpt" if asked && conversation.assistant.is_none() => conversation.assistant = Some(text),
                "assistant" | "gpt" => return Err("an assistant's message that follows no question".to_owned()),
                other => return Err(format!("the role `{other}`; use system, user and assistant")),
            }
        }
        if asked { Ok(conversation) } else { Err("no message of the user".to_owned()) }
    }
}

/// The first of two keys that says something.
fn field<'a>(message: &'a Cell, keys: [&str; 2]) -> Option<&'a Cell> {
    keys.into_iter().filter_map(|key| message.at(key)).find(|cell| **cell != Cell::Null)
}

/// A message's text, with markers, and the images it carries itself.
fn parts(content: &Cell) -> Result<(String, Vec<Cell>), String> {
    if let Some(text) = content.as_text() {
        return Ok((text.to_owned(), Vec::new()));
    }
    let Cell::List(parts) = content else {
        return Err(format!("the content {}; it should be text or a list of parts", content.shown()));
    };
    let (mut text, mut images) = (String::new(), Vec::new());
    for part in parts {
        let kind = part.at("type").and_then(Cell::as_text).unwrap_or_default();
        match (kind, field(part, ["text", "content"]).and_then(Cell::as_text)) {
            ("text", Some(words)) => text.push_str(words),
            ("image" | "image_url", _) => {
                text.push_str(IMAGE_MARKER);
                images.extend(field(part, ["image", "image_url"]).cloned());
            }
            _ => return Err(format!("the part {}; it should be a text or an image", part.shown())),
        }
    }
    Ok((text, images))
}
