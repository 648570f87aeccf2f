//! What a campaign says to each recipient.

use crate::{
    entities::campaign,
    error::{Error, Result},
    input,
    templates::{DocumentTemplate, MissingField, Person, Template},
};

/// The longest subject, in characters (RFC 5322).
const SUBJECT_CHARACTERS: usize = 998;

/// The texts of a campaign, ready to be filled in.
#[derive(Debug, Clone)]
pub struct Message {
    body: Template,
    subject: Option<Template>,
    attributes: Option<DocumentTemplate>,
    channel_unique_name: Option<Template>,
}

/// What one recipient is sent. Every length is one that a message and a channel can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The text.
    pub body: String,
    /// The subject of e-mail; in one line.
    pub subject: Option<String>,
    /// JSON text.
    pub attributes: String,
    /// The name of the channel, when the campaign has one.
    pub channel_unique_name: Option<String>,
}

impl Message {
    /// The campaign's.
    ///
    /// # Errors
    /// 20001 naming the parameter that is no template, or `Body` when it is missing.
    pub fn of(campaign: &campaign::Model) -> Result<Self> {
        let template = |field: &str, text: &Option<String>| {
            text.as_deref()
                .map(|text| Template::parse(field, text))
                .transpose()
        };
        Ok(Self {
            body: template("Body", &campaign.body)?
                .ok_or_else(|| Error::parameter("Body", "is missing: give the text to send"))?,
            subject: template("Subject", &campaign.subject)?,
            attributes: campaign
                .attributes
                .as_deref()
                .map(|json| DocumentTemplate::parse("Attributes", json))
                .transpose()?,
            channel_unique_name: template("ChannelUniqueName", &campaign.channel_unique_name)?,
        })
    }

    /// The parameter that differs between recipients, if one does.
    #[must_use]
    pub fn varies(&self) -> Option<&'static str> {
        let texts = [
            ("Body", Some(&self.body)),
            ("Subject", self.subject.as_ref()),
            ("ChannelUniqueName", self.channel_unique_name.as_ref()),
        ];
        let text = texts
            .into_iter()
            .find(|(_, template)| template.is_some_and(|template| !template.is_constant()));
        match (text, &self.attributes) {
            (Some((name, _)), _) => Some(name),
            (None, Some(attributes)) if !attributes.is_constant() => Some("Attributes"),
            _ => None,
        }
    }

    /// What this person is sent.
    ///
    /// # Errors
    /// Why it cannot be, naming the parameter: a field is missing, or something is too long.
    pub fn render(&self, person: &Person<'_>) -> std::result::Result<Rendered, String> {
        let fill = |field: &str, template: &Template| {
            template
                .render(person)
                .map_err(|missing| lacking(field, &missing))
        };
        let body = fill("Body", &self.body)?;
        let attributes = match &self.attributes {
            Some(template) => template
                .render(person)
                .map_err(|missing| lacking("Attributes", &missing))?,
            None => String::new(),
        };
        let subject = self
            .subject
            .as_ref()
            .map(|template| fill("Subject", template))
            .transpose()?
            .map(|subject| one_line(&subject));
        if subject
            .as_ref()
            .is_some_and(|subject| subject.chars().count() > SUBJECT_CHARACTERS)
        {
            return Err(format!(
                "Subject is too long (at most {SUBJECT_CHARACTERS} characters)"
            ));
        }
        let channel_unique_name = match &self.channel_unique_name {
            None => None,
            Some(template) => {
                let name = fill("ChannelUniqueName", template)?;
                let name =
                    input::unique_name(&name).map_err(|refused| said("ChannelUniqueName", &refused))?;
                Some(name.ok_or("ChannelUniqueName is empty for this user")?)
            }
        };
        Ok(Rendered {
            body: input::body(&body).map_err(|refused| said("Body", &refused))?,
            subject,
            attributes: input::attributes(&attributes).map_err(|refused| said("Attributes", &refused))?,
            channel_unique_name,
        })
    }
}

fn lacking(field: &str, missing: &MissingField) -> String {
    format!("{field}: {missing}")
}

fn said(field: &str, refused: &Error) -> String {
    if refused.message().starts_with(field) {
        refused.message().to_owned()
    } else {
        format!("{field}: {}", refused.message())
    }
}

/// Whatever a field holds, it begins no other header.
fn one_line(text: &str) -> String {
    text.replace(['\r', '\n'], " ")
}
