//! A JSON document whose texts are templates. Its form is fixed when it is saved: whatever a user's fields hold, they
//! end up inside of the texts.

use super::{MissingField, Person, Template};
use crate::error::{Error, Result};

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    /// JSON as it was given.
    Json(String),
    /// A text to be filled in.
    Text(Template),
}

/// A JSON document whose texts are templates; the names of its fields are not.
#[derive(Debug, Clone, PartialEq)]
pub struct DocumentTemplate {
    pieces: Vec<Piece>,
}

impl DocumentTemplate {
    /// Reads the JSON of the parameter `field`. What is no template stays byte by byte as it was given.
    ///
    /// # Errors
    /// 20001 naming `field` when it is not valid JSON, or as [`Template::parse`].
    pub fn parse(field: &str, json: &str) -> Result<Self> {
        serde_json::from_str::<serde::de::IgnoredAny>(json)
            .map_err(|cause| Error::parameter(field, &format!("is not valid JSON: {cause}")))?;
        let (mut pieces, mut plain) = (Vec::new(), String::new());
        let mut rest = json;
        while let Some(begin) = rest.find('"') {
            let end = begin + text_length(&rest[begin..]);
            let (before, token, behind) = (&rest[..begin], &rest[begin..end], &rest[end..]);
            plain.push_str(before);
            // Behind the name of a field stands a colon, and behind nothing else.
            let is_name = behind.trim_start().starts_with(':');
            let template = if is_name {
                None
            } else {
                let text: String = serde_json::from_str(token).map_err(Error::internal)?;
                Some(Template::parse(field, &text)?).filter(|template| !template.is_constant())
            };
            match template {
                Some(template) => {
                    pieces.push(Piece::Json(std::mem::take(&mut plain)));
                    pieces.push(Piece::Text(template));
                }
                None => plain.push_str(token),
            }
            rest = behind;
        }
        plain.push_str(rest);
        pieces.push(Piece::Json(plain));
        Ok(Self { pieces })
    }

    /// The document for this person.
    ///
    /// # Errors
    /// The first field that it lacks and for which there is no default.
    pub fn render(&self, person: &Person<'_>) -> std::result::Result<String, MissingField> {
        let mut json = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Json(plain) => json.push_str(plain),
                Piece::Text(template) => {
                    json.push_str(&serde_json::Value::from(template.render(person)?).to_string());
                }
            }
        }
        Ok(json)
    }

    /// Whether it is the same for everybody.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        self.pieces.iter().all(|piece| matches!(piece, Piece::Json(_)))
    }
}

/// How long the text is that valid JSON begins with, its quotes included.
fn text_length(json: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in json.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    json.len()
}
