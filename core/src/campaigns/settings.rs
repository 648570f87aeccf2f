//! What a campaign can be told, and what goes together.

use super::{CHAT, EMAIL, GROUP, INDIVIDUAL, Message, ONE_WAY, QuietHours, SMS};
use crate::{
    audiences,
    entities::campaign,
    error::{Error, ErrorCode, Result},
    input::{self, Identity},
    timestamp::Timestamp,
};

/// The most recipients a second that can be asked for.
const FASTEST: i64 = 10_000;

/// What to set of a campaign; `None` leaves it as it is, an empty text clears what may be missing.
#[derive(Debug, Clone, Default)]
pub struct CampaignSettings {
    /// A name for people.
    pub friendly_name: Option<String>,
    /// `group`, `individual` or `broadcast`.
    pub mode: Option<String>,
    /// `chat`, `sms` or `email`.
    pub via: Option<String>,
    /// Whom it goes to.
    pub audience_sid: Option<String>,
    /// Whom it goes to, one by one.
    pub identities: Option<Vec<String>>,
    /// A template for the unique names of its channels.
    pub channel_unique_name: Option<String>,
    /// The author of its messages, or who SMS and e-mail are from.
    pub from: Option<String>,
    /// A template for the text.
    pub body: Option<String>,
    /// A template for the subject of e-mail.
    pub subject: Option<String>,
    /// JSON text whose texts are templates.
    pub attributes: Option<String>,
    /// A media file.
    pub media_sid: Option<String>,
    /// When it is to start; `Some(None)` clears it.
    pub send_at: Option<Option<Timestamp>>,
    /// How many recipients a second, at most; `Some(None)` clears it.
    pub rate_per_second: Option<Option<i64>>,
    /// JSON text.
    pub quiet_hours: Option<String>,
    /// Whether it only goes through the motions.
    pub dry_run: Option<bool>,
    /// The SID of the pool that a reply attaches.
    pub attach_pool: Option<String>,
}

impl CampaignSettings {
    /// Whether nothing is to be set.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        let texts = [
            &self.friendly_name,
            &self.mode,
            &self.via,
            &self.audience_sid,
            &self.channel_unique_name,
            &self.from,
            &self.body,
            &self.subject,
            &self.attributes,
            &self.media_sid,
            &self.quiet_hours,
            &self.attach_pool,
        ];
        texts.into_iter().all(Option::is_none)
            && self.identities.is_none()
            && self.send_at.is_none()
            && self.rate_per_second.is_none()
            && self.dry_run.is_none()
    }

    /// Sets what is given in the row, and checks that it goes together.
    ///
    /// # Errors
    /// 20001, or the code of the parameter, naming it and what would be right.
    pub(super) fn apply(&self, row: &mut campaign::Model, now: Timestamp) -> Result<()> {
        if let Some(name) = &self.friendly_name {
            row.friendly_name = input::friendly_name(name)?;
        }
        if let Some(mode) = &self.mode {
            row.mode = one_of("Mode", mode, &[GROUP, INDIVIDUAL, ONE_WAY])?;
        }
        if let Some(via) = &self.via {
            row.via = one_of("Via", via, &[CHAT, SMS, EMAIL])?;
        }
        self.apply_audience(row)?;
        self.apply_message(row)?;
        self.apply_pace(row, now)?;
        if let Some(sid) = &self.attach_pool {
            row.attach_pool = match sid.as_str() {
                "" => None,
                sid => Some(sid.parse().map_err(|_| {
                    Error::parameter("AttachPool", "must be the SID of an operator pool (OP…)")
                })?),
            };
        }
        check(row)
    }

    fn apply_audience(&self, row: &mut campaign::Model) -> Result<()> {
        if self.audience_sid.as_deref().is_some_and(|sid| !sid.is_empty()) && self.identities.is_some() {
            return Err(Error::parameter(
                "Identities",
                "must not be given with AudienceSid: leave one of them out",
            ));
        }
        if let Some(sid) = &self.audience_sid {
            row.audience_id = match sid.as_str() {
                "" => None,
                sid => {
                    row.identities = None;
                    Some(sid.parse().map_err(|_| no_audience(sid))?)
                }
            };
        }
        if let Some(given) = &self.identities {
            let identities = audiences::parse_identities(given)?;
            let texts: Vec<&str> = identities.iter().map(Identity::as_str).collect();
            row.identities = (!texts.is_empty())
                .then(|| serde_json::to_string(&texts))
                .transpose()
                .map_err(Error::internal)?;
            if row.identities.is_some() {
                row.audience_id = None;
            }
        }
        Ok(())
    }

    fn apply_message(&self, row: &mut campaign::Model) -> Result<()> {
        let set = |of: &mut Option<String>, given: &Option<String>| {
            if let Some(text) = given {
                *of = (!text.is_empty()).then(|| text.clone());
            }
        };
        set(&mut row.channel_unique_name, &self.channel_unique_name);
        set(&mut row.body, &self.body);
        set(&mut row.subject, &self.subject);
        set(&mut row.attributes, &self.attributes);
        if let Some(text) = &row.attributes {
            input::attributes(text)?;
        }
        if let Some(text) = &row.body {
            input::body(text)?;
        }
        if let Some(from) = &self.from {
            row.sender = match from.as_str() {
                "" => None,
                from => Some(input::author("From", from, ErrorCode::AuthorTooLong)?),
            };
        }
        match self.media_sid.as_deref() {
            None | Some("") => Ok(()),
            Some(sid) => {
                let shown: String = sid.chars().take(80).collect();
                Err(Error::with(
                    ErrorCode::MediaNotFound,
                    format!("MediaSid: media {shown} not found"),
                ))
            }
        }
    }

    fn apply_pace(&self, row: &mut campaign::Model, now: Timestamp) -> Result<()> {
        if let Some(send_at) = self.send_at {
            if send_at.is_some_and(|moment| moment <= now) {
                return Err(Error::parameter(
                    "SendAt",
                    "must be in the future; leave it out to start with Status=running",
                ));
            }
            row.send_at = send_at;
        }
        if let Some(rate) = self.rate_per_second {
            let fits = |rate: i64| {
                i32::try_from(rate)
                    .ok()
                    .filter(|_| (1..=FASTEST).contains(&rate))
                    .ok_or_else(|| {
                        Error::parameter(
                            "RatePerSecond",
                            &format!("must be a whole number from 1 to {FASTEST}"),
                        )
                    })
            };
            row.rate_per_second = rate.map(fits).transpose()?;
        }
        if let Some(json) = &self.quiet_hours {
            row.quiet_hours = match json.as_str() {
                "" => None,
                json => {
                    QuietHours::parse(json)?;
                    Some(json.to_owned())
                }
            };
        }
        if let Some(dry_run) = self.dry_run {
            row.dry_run = dry_run;
        }
        Ok(())
    }
}

/// 20404 for an audience that a parameter names.
pub(super) fn no_audience(sid: impl std::fmt::Display) -> Error {
    let shown: String = sid.to_string().chars().take(80).collect();
    Error::with(
        ErrorCode::NotFound,
        format!("AudienceSid: audience {shown} was not found in this service"),
    )
}

fn one_of(field: &str, given: &str, choices: &[&str]) -> Result<String> {
    if choices.contains(&given) {
        return Ok(given.to_owned());
    }
    let (last, rest) = choices.split_last().unwrap_or((&"", &[]));
    Err(Error::parameter(
        field,
        &format!("must be {} or {last}", rest.join(", ")),
    ))
}

/// Checks what goes together.
///
/// # Errors
/// 20001 naming the parameter and what would be right.
pub(super) fn check(row: &campaign::Model) -> Result<()> {
    if row.mode != ONE_WAY && row.via != CHAT {
        return Err(Error::parameter(
            "Via",
            &format!(
                "must be chat with Mode={}; {} goes with Mode=broadcast",
                row.mode, row.via
            ),
        ));
    }
    if row.audience_id.is_none() && row.identities.is_none() {
        return Err(Error::parameter(
            "AudienceSid",
            "is missing: give an AudienceSid or Identities",
        ));
    }
    if row.via == EMAIL && row.subject.is_none() {
        return Err(Error::parameter("Subject", "is missing: e-mail needs one"));
    }
    let chat = row.via == CHAT;
    for (field, is_there, fits, with) in [
        ("Subject", row.subject.is_some(), row.via == EMAIL, "Via=email"),
        (
            "ChannelUniqueName",
            row.channel_unique_name.is_some(),
            chat,
            "Via=chat",
        ),
        ("Attributes", row.attributes.is_some(), chat, "Via=chat"),
        (
            "AttachPool",
            row.attach_pool.is_some(),
            row.mode != ONE_WAY,
            "Mode=group and Mode=individual, where users can reply",
        ),
    ] {
        if is_there && !fits {
            return Err(Error::parameter(
                field,
                &format!("goes with {with} only: leave it out"),
            ));
        }
    }
    let message = Message::of(row)?;
    let one_message = chat && row.mode != INDIVIDUAL;
    if let Some(field) = message.varies().filter(|_| one_message) {
        return Err(Error::parameter(
            field,
            &format!(
                "must be the same for all users with Mode={}, which has one channel and one message: take the fields \
                 such as {{{{user.identity}}}} out, or use Mode=individual",
                row.mode
            ),
        ));
    }
    if let Some(name) = row.channel_unique_name.as_deref().filter(|_| one_message) {
        input::unique_name(name).map_err(|refused| {
            Error::with(
                refused.code(),
                format!("ChannelUniqueName: {}", refused.message()),
            )
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
