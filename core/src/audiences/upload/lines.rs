//! Rows of JSON, an object a line.

use serde_json::Value;

use super::{
    ROW_BYTES, Read,
    rows::{Row, attribute, identity, rejected},
};

/// Reads rows from bytes as they come.
#[derive(Default)]
pub(super) struct JsonLines {
    /// How many lines have ended.
    ended: u64,
    /// The line so far, as much of it as may be used.
    line: Vec<u8>,
}

impl JsonLines {
    pub(super) fn feed(&mut self, bytes: &[u8], read: &mut Vec<Read>) {
        let mut lines = bytes.split(|&byte| byte == b'\n').peekable();
        while let Some(part) = lines.next() {
            let room = (ROW_BYTES + 1).saturating_sub(self.line.len());
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            if lines.peek().is_some() {
                self.end(read);
            }
        }
    }

    /// There is no more.
    pub(super) fn finish(&mut self, read: &mut Vec<Read>) {
        if !self.line.is_empty() {
            self.end(read);
        }
    }

    fn end(&mut self, read: &mut Vec<Read>) {
        self.ended += 1;
        if !self.line.trim_ascii().is_empty() {
            read.push(row(self.ended, &self.line));
        }
        self.line.clear();
    }
}

fn row(line: u64, text: &[u8]) -> Read {
    if text.len() > ROW_BYTES {
        return Err(rejected(
            line,
            format!("the line is longer than {ROW_BYTES} bytes"),
        ));
    }
    let mut fields = match serde_json::from_slice(text) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) => {
            return Err(rejected(
                line,
                "the line must be a JSON object, such as {\"identity\": \"alice\"}",
            ));
        }
        Err(cause) => return Err(rejected(line, format!("the line is not valid JSON: {cause}"))),
    };
    let identity = match fields.remove("identity") {
        Some(Value::String(text)) => identity(line, &text)?,
        Some(_) => return Err(rejected(line, "identity must be a text")),
        None => return Err(rejected(line, "identity is missing")),
    };
    let mut settings = Vec::new();
    match fields.remove("attributes") {
        None | Some(Value::Null) => {}
        Some(Value::Object(attributes)) => {
            settings.extend(attributes.into_iter().map(|(name, value)| attribute(name, value)));
        }
        Some(_) => return Err(rejected(line, "attributes must be an object")),
    }
    settings.extend(fields.into_iter().map(|(name, value)| attribute(name, value)));
    Ok(Row {
        line,
        identity,
        settings,
    })
}
