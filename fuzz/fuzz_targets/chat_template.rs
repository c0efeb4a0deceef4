//! A checkpoint's chat template of any text: refused, or rendered within its limits.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vlm_model::text_input::{ChatTemplate, Message, Part, RenderOptions, Role};

fuzz_target!(|source: &str| {
    let Ok(template) = ChatTemplate::new(source) else { return };
    let asked = Message { role: Role::User, content: vec![Part::Image, Part::Text("How long is AB?".to_owned())] };
    let messages = [Message::text(Role::System, "You see."), asked, Message::text(Role::Assistant, "12")];
    for count in 0..=messages.len() {
        let _ = template.render(&messages[..count], RenderOptions::default());
    }
});
