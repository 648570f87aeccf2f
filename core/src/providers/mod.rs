//! What a service sends SMS and e-mail through: settings here, the sending itself is the workers' business. Secrets go
//! in and never come out over REST.

mod actions;
pub mod address;
pub mod recipients;
mod settings;
mod trial;
mod view;

use std::fmt;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Select};

pub use actions::{Saved, delete, get, list, save};
pub use settings::ProviderSettings;
pub use trial::{Outcome, Trial, test};
pub use view::{ProviderView, view};

use crate::{
    entities::provider,
    error::{Error, Result},
    secrets::{Secret, Vault},
    sid::ServiceSid,
};

/// No encryption.
pub const PLAIN: &str = "none";
/// The connection begins in plain text and is encrypted before anything is said.
pub const STARTTLS: &str = "starttls";
/// Encrypted from the first byte.
pub const TLS: &str = "tls";

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Through an HTTP API of Twilio's `Messages.json` shape.
    Sms,
    /// Through SMTP.
    Email,
}

impl Kind {
    /// Both, in the order of lists.
    pub const ALL: [Self; 2] = [Self::Email, Self::Sms];

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == text)
    }

    /// `sms` or `email`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::Email => "email",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn scoped(service: ServiceSid) -> Select<provider::Entity> {
    provider::Entity::find().filter(provider::Column::ServiceId.eq(service))
}

/// The service's provider of this kind, if there is one: for what the platform does by itself.
///
/// # Errors
/// Whatever the database refuses.
pub async fn find(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    kind: Kind,
) -> Result<Option<provider::Model>> {
    Ok(scoped(service)
        .filter(provider::Column::Kind.eq(kind.name()))
        .one(db)
        .await?)
}

/// Removes what a service had, with the service.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn forget(db: &impl ConnectionTrait, service: ServiceSid) -> Result<()> {
    provider::Entity::delete_many()
        .filter(provider::Column::ServiceId.eq(service))
        .exec(db)
        .await?;
    Ok(())
}

/// What its secret is sealed for.
fn context(provider: &provider::Model) -> String {
    format!("{}/{}", provider.service_id, provider.kind)
}

fn seal(vault: &Vault, provider: &mut provider::Model, secret: &str) -> Result<()> {
    provider.secret = Some(vault.seal(&Secret::new(secret), &context(provider))?);
    Ok(())
}

/// The auth token or the password.
///
/// # Errors
/// When it was sealed under another master key.
pub fn secret(vault: &Vault, provider: &provider::Model) -> Result<Option<Secret>> {
    provider
        .secret
        .as_deref()
        .map(|sealed| vault.open(sealed, &context(provider)))
        .transpose()
}

fn missing(service: ServiceSid, kind: Kind) -> Error {
    Error::not_found(format_args!("/Services/{service}/Providers/{kind}"))
}
