//! What a campaign says, read once for a slice.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    campaigns::{Message, QuietHours, Rendered},
    entities::campaign,
    error::Result,
    input,
    templates::Person,
    timestamp::Timestamp,
};

/// What a campaign says, and when.
pub(super) struct Templates {
    message: Message,
    /// What a channel's name begins with when the campaign has no template for it.
    prefix: String,
    quiet: Option<QuietHours>,
}

impl Templates {
    pub(super) fn of(campaign: &campaign::Model) -> Result<Self> {
        Ok(Self {
            message: Message::of(campaign)?,
            prefix: format!("{}:", campaign.id),
            quiet: campaign
                .quiet_hours
                .as_deref()
                .map(QuietHours::parse)
                .transpose()?,
        })
    }

    /// When the recipient's quiet hours are over, if it has them now.
    pub(super) fn quiet_until(&self, now: Timestamp, attributes: &Value) -> Option<Timestamp> {
        self.quiet.as_ref()?.over_at(now, attributes)
    }

    /// What the recipient is told, or why nothing can be.
    pub(super) fn render(&self, person: &Person<'_>) -> Result<Rendered, String> {
        self.message.render(person)
    }

    /// What all recipients together are told.
    pub(super) fn render_for_all(&self) -> Result<Rendered, String> {
        self.render(&Person {
            identity: "",
            friendly_name: None,
            attributes: &Value::Null,
        })
    }

    /// The unique name of a recipient's channel when the campaign has no template for it.
    pub(super) fn own_name(&self, identity: &str) -> String {
        let name = format!("{}{identity}", self.prefix);
        if name.chars().count() <= input::NAME_CHARACTERS {
            return name;
        }
        // An identity may be as long as a name.
        format!("{}{}", self.prefix, hex::encode(Sha256::digest(identity)))
    }
}
