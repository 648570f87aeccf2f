//! Registering a device.

use sea_orm::{ActiveModelTrait, ColumnTrait, IntoActiveModel, QueryFilter};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{kind, scoped};
use crate::{
    audit::Edit,
    change::Change,
    credentials,
    ctx::Ctx,
    entities::binding,
    error::{Error, ErrorCode, Result},
    input::{NAME_CHARACTERS, UserRef},
    secrets::Secret,
    sid::{BindingSid, CredentialSid},
    timestamp::Timestamp,
    users,
};

/// What a device can be told.
pub const MESSAGE_TYPES: [&str; 4] = [
    "new_message",
    "added_to_channel",
    "invited_to_channel",
    "removed_from_channel",
];

/// The longest address, in bytes.
const ADDRESS_BYTES: usize = 4096;

/// A device to register.
#[derive(Debug, Clone)]
pub struct NewBinding {
    /// `gcm`, `apn` or `fcm`.
    pub kind: String,
    /// The app's own name for the device.
    pub endpoint: Option<String>,
    /// The device's token at the push service.
    pub address: Secret,
    /// The credentials to reach it with.
    pub credential_sid: Option<String>,
    /// What it is told; everything when none is named.
    pub message_types: Vec<String>,
}

/// Registers a device of a user. The same device again (of the same type, with the same endpoint, or the same address
/// when it has none) replaces what was registered and keeps its SID.
///
/// # Errors
/// 20404 when there is no such user; 50209 or 20001 naming the field that is wrong; 20006 when a user names another.
pub async fn register(ctx: &Ctx, user: &UserRef, new: NewBinding) -> Result<binding::Model> {
    let owner = users::own(ctx, user).await?;
    let kind = kind(&new.kind)?;
    let endpoint = new.endpoint.filter(|text| !text.is_empty());
    if endpoint
        .as_ref()
        .is_some_and(|text| text.chars().count() > NAME_CHARACTERS)
    {
        return Err(Error::parameter(
            "Endpoint",
            &format!("is too long (at most {NAME_CHARACTERS} characters)"),
        ));
    }
    if new.address.expose().is_empty() || new.address.expose().len() > ADDRESS_BYTES {
        return Err(Error::parameter(
            "Address",
            &format!("must have 1 to {ADDRESS_BYTES} bytes: the device's token at the push service"),
        ));
    }
    let message_types = json!(message_types(&new.message_types)?);
    let place = match &endpoint {
        Some(name) => format!("endpoint:{name}"),
        None => format!("address:{}", hex::encode(Sha256::digest(new.address.expose()))),
    };
    let mut change = Change::begin(ctx).await?;
    // Held, so that the user is not deleted meanwhile, and its devices are registered one after the other.
    users::lock(&change.tx, ctx.scope(), &UserRef::Sid(owner.id))
        .await?
        .ok_or_else(|| ctx.not_found(format_args!("Users/{user}")))?;
    let credential_id = match new.credential_sid.as_deref() {
        None | Some("") => None,
        Some(sid) => Some(credential(ctx, &change, sid, kind).await?),
    };
    let known = scoped(ctx.scope())
        .filter(binding::Column::UserId.eq(owner.id))
        .filter(binding::Column::Kind.eq(kind))
        .filter(binding::Column::Place.eq(&*place))
        .one(&change.tx)
        .await?;
    let now = Timestamp::now();
    let id = known.as_ref().map_or_else(BindingSid::generate, |known| known.id);
    let row = binding::Model {
        service_id: ctx.scope(),
        id,
        user_id: owner.id,
        identity: owner.identity,
        kind: kind.to_owned(),
        endpoint,
        place,
        address: ctx.core.vault.seal(&new.address, &id.to_string())?,
        credential_id,
        message_types,
        date_created: known.as_ref().map_or(now, |known| known.date_created),
        date_updated: now,
    };
    let row = row.into_active_model();
    let row = match known {
        Some(before) => {
            let row = row.reset_all().update(&change.tx).await?;
            change.audit(Edit::Updated {
                before: &before,
                after: &row,
            })?;
            row
        }
        None => {
            let row = row.insert(&change.tx).await?;
            change.audit(Edit::Created(&row))?;
            row
        }
    };
    change.commit().await?;
    Ok(row)
}

async fn credential(ctx: &Ctx, change: &Change<'_>, sid: &str, kind: &str) -> Result<CredentialSid> {
    let unknown = || Error::parameter("CredentialSid", "names no credential of this account");
    let id: CredentialSid = sid.parse().map_err(|_| unknown())?;
    let row = credentials::hold(&change.tx, ctx.account(), id)
        .await?
        .ok_or_else(unknown)?;
    if row.kind == kind {
        Ok(id)
    } else {
        Err(Error::parameter(
            "CredentialSid",
            &format!(
                "names a credential of type {}, the binding is of type {kind}",
                row.kind
            ),
        ))
    }
}

/// In the order of [`MESSAGE_TYPES`], each once.
fn message_types(given: &[String]) -> Result<Vec<&'static str>> {
    if given.iter().all(String::is_empty) {
        return Ok(MESSAGE_TYPES.to_vec());
    }
    if let Some(unknown) = given.iter().find(|name| !MESSAGE_TYPES.contains(&name.as_str())) {
        return Err(Error::with(
            ErrorCode::InvalidParameter,
            format!(
                "MessageTypes must be among {}; '{}' is not",
                MESSAGE_TYPES.join(", "),
                unknown.chars().take(80).collect::<String>()
            ),
        ));
    }
    Ok(MESSAGE_TYPES
        .into_iter()
        .filter(|known| given.iter().any(|name| name == known))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_types_are_all_of_them_unless_some_are_named() {
        let of = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            message_types(&names)
        };
        assert_eq!(of(&[]).unwrap(), MESSAGE_TYPES);
        assert_eq!(of(&[""]).unwrap(), MESSAGE_TYPES);
        let named = ["removed_from_channel", "new_message", "new_message"];
        assert_eq!(of(&named).unwrap(), ["new_message", "removed_from_channel"]);
        assert!(
            of(&["new_message", "typing"])
                .unwrap_err()
                .message()
                .contains("'typing'")
        );
    }
}
