//! What a notice says: a template with the fields of a user, and those of the message that was missed.

use super::Notice;
use crate::{
    error::{Error, Result},
    templates::{Person, Template},
};

/// The longest template, in characters.
const CHARACTERS: usize = 10_000;
/// How much of a message is told, in characters.
const TOLD: usize = 4000;

/// The subject unless there is one.
pub const SUBJECT: &str = "{{message.author}} wrote to you";
/// The text unless there is one.
pub const BODY: &str =
    "{{message.author}} wrote in {{channel.friendly_name|a conversation}}:\n\n{{message.body}}\n";

/// A field of the message that was missed.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Field {
    Body,
    Author,
    Channel,
}

impl Field {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "message.body" => Some(Self::Body),
            "message.author" => Some(Self::Author),
            "channel.friendly_name" => Some(Self::Channel),
            _ => None,
        }
    }

    fn of(self, notice: &Notice) -> Option<&str> {
        match self {
            Self::Body => notice.body.as_deref(),
            Self::Author => Some(&notice.author),
            Self::Channel => notice.channel_name.as_deref(),
        }
    }
}

enum Part {
    Text(String),
    Field(Field, String),
    User(Template),
}

/// A text with fields in it, ready to be filled in.
pub struct NoticeText(Vec<Part>);

impl NoticeText {
    /// Reads the text of the parameter `field`.
    ///
    /// # Errors
    /// 20001 naming `field`, and what in it is no field.
    pub fn parse(field: &str, text: &str) -> Result<Self> {
        if text.chars().count() > CHARACTERS {
            return Err(Error::parameter(
                field,
                &format!("is too long (at most {CHARACTERS} characters)"),
            ));
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once("{{") {
            parts.push(Part::Text(before.to_owned()));
            let Some((inner, after)) = behind.split_once("}}") else {
                return Err(Error::parameter(field, "has {{ without }} behind it"));
            };
            let (name, default) = inner.split_once('|').unwrap_or((inner, ""));
            parts.push(match Field::parse(name.trim()) {
                Some(known) => Part::Field(known, default.trim().to_owned()),
                None if name.trim_start().starts_with("user.") => {
                    Part::User(Template::parse(field, &format!("{{{{{inner}}}}}"))?)
                }
                None => {
                    let shown: String = name.trim().chars().take(80).collect();
                    return Err(Error::parameter(
                        field,
                        &format!(
                            "has the unknown field '{shown}'; there are user.identity, user.friendly_name, \
                             user.attributes. and a path, message.body, message.author and channel.friendly_name"
                        ),
                    ));
                }
            });
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self(parts))
    }

    /// The text for this notice. What is not there is left out, or has its default.
    #[must_use]
    pub fn fill(&self, notice: &Notice) -> String {
        let person = Person {
            identity: &notice.identity,
            friendly_name: notice.friendly_name.as_deref(),
            attributes: &notice.attributes,
        };
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(given) => text.push_str(given),
                Part::Field(field, default) => {
                    let value = field
                        .of(notice)
                        .filter(|value| !value.is_empty())
                        .unwrap_or(default);
                    text.extend(value.chars().take(TOLD));
                }
                Part::User(template) => {
                    if let Ok(value) = template.render(&person) {
                        text.push_str(&value);
                    }
                }
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sid::{ChannelSid, ServiceSid};

    #[test]
    fn what_is_in_a_message_is_no_template() {
        let notice = Notice {
            service: ServiceSid::generate(),
            channel: ChannelSid::generate(),
            identity: "ada".to_owned(),
            message_index: 0,
            attempts: 1,
            friendly_name: None,
            attributes: json!({"secret": "hush", "city": "Lyon"}),
            channel_name: None,
            body: Some("{{user.attributes.secret}}".to_owned()),
            author: "bob".to_owned(),
        };
        let fill = |text: &str| NoticeText::parse("NoticeBody", text).unwrap().fill(&notice);
        assert_eq!(
            fill(
                "{{ user.friendly_name | you }} in {{user.attributes.city}}{{user.attributes.x}}: {{message.body}}"
            ),
            "you in Lyon: {{user.attributes.secret}}"
        );
        assert_eq!(fill(SUBJECT), "bob wrote to you");
        assert_eq!(
            fill(BODY),
            "bob wrote in a conversation:\n\n{{user.attributes.secret}}\n"
        );
        for wrong in ["{{message.sid}}", "{{user.password}}", "{{message.body"] {
            let refused = NoticeText::parse("NoticeBody", wrong).err().unwrap();
            assert!(refused.message().starts_with("NoticeBody"), "{refused}");
        }
    }
}
