//! Writing a page as one HTML file.
//!
//! What a run sampled is untrusted, so that none of it stands in the file as text but the title: the index and the
//! blocks are base64 in elements that hold no script, and the page's own script shows them as text.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::{Page, document, index};
use crate::error::InspectorError;

impl Page {
    /// Writes one HTML file that needs nothing else: no network, no other file.
    ///
    /// # Errors
    ///
    /// [`InspectorError::Tokens`] for a response whose tokens do not have one value each, [`InspectorError::MediaType`]
    /// for a picture that is not an image, [`InspectorError::Write`] if `to` refuses.
    pub fn write(&self, to: &mut impl Write) -> Result<(), InspectorError> {
        self.check()?;
        let parts = index::parts(self)?;
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        serde_json::to_writer(&mut packed, &parts.index)?;
        let (before, after) = document::around(&self.title);
        to.write_all(before.as_bytes())?;
        data(to, "index", &packed.finish()?)?;
        for (number, block) in parts.blocks.iter().enumerate() {
            data(to, &format!("block-{number}"), block)?;
        }
        for (number, image) in parts.images.iter().enumerate() {
            data(to, &format!("image-{number}"), image)?;
        }
        to.write_all(after.as_bytes())?;
        Ok(to.flush()?)
    }

    fn check(&self) -> Result<(), InspectorError> {
        for rollout in &self.rollouts {
            let record = &rollout.record;
            let compared = rollout.compared.iter().map(|other| (Some(&other.name), &other.tokens));
            for (name, tokens) in record.tokens.iter().map(|tokens| (None, tokens)).chain(compared) {
                let wrong = |reason: String| InspectorError::Tokens {
                    step: record.step,
                    group: record.group,
                    response: record.response,
                    reason: name.map_or(reason.clone(), |name| format!("scored by {name}: {reason}")),
                };
                tokens.check().map_err(wrong)?;
                if record.tokens.as_ref().is_some_and(|own| own.ids != tokens.ids) {
                    return Err(wrong("its tokens are not the response's".to_owned()));
                }
            }
        }
        for group in &self.pictures {
            let is_image = |kind: &str| {
                let subtype = kind.strip_prefix("image/").unwrap_or_default();
                !subtype.is_empty()
                    && subtype.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
            };
            if let Some(picture) = group.pictures.iter().find(|picture| !is_image(&picture.media_type)) {
                return Err(InspectorError::MediaType {
                    step: group.step,
                    group: group.group,
                    name: picture.name.clone(),
                    media_type: picture.media_type.clone(),
                });
            }
        }
        Ok(())
    }
}

/// An element that holds bytes.
fn data(to: &mut impl Write, name: &str, bytes: &[u8]) -> Result<(), InspectorError> {
    writeln!(to, "<script type=\"text/plain\" id=\"{name}\">{}</script>", STANDARD.encode(bytes))?;
    Ok(())
}
