//! What signs an endpoint's calls: its own secret, sealed at rest, and for a day the one before it.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};

use super::ED25519;
use crate::{
    ctx::Core, entities::webhook_endpoint, error::Result, secrets::Secret, sid::WebhookEndpointSid,
    timestamp::Timestamp,
};

/// For how long the secret before a rotation signs beside the new one.
const OVERLAP: Duration = Duration::from_secs(24 * 3600);
/// How long an ed25519 key is, in bytes: each of its two halves.
const HALF: usize = 32;

fn context(id: WebhookEndpointSid) -> String {
    id.to_string()
}

/// Gives the endpoint a new secret of the kind that it signs with.
pub(super) fn renew(core: &Core, row: &mut webhook_endpoint::Model, is_new: bool) -> Result<Secret> {
    let secret = if row.signing == ED25519 {
        Secret::random_ed25519()
    } else {
        Secret::random_webhook()
    };
    let sealed = core.vault.seal(&secret, &context(row.id))?;
    let before = std::mem::replace(&mut row.secret, sealed);
    if !is_new {
        row.previous_secret = Some(before);
        row.previous_secret_until = Some(Timestamp::now().plus(OVERLAP));
    }
    Ok(secret)
}

/// What signs the endpoint's calls in the Standard Webhooks way, `whsec_…` or `whsk_…`: the current secret, and the one
/// before it for 24 hours after a rotation.
///
/// # Errors
/// When one was sealed under another master key.
pub fn secrets(core: &Core, endpoint: &webhook_endpoint::Model) -> Result<Vec<Secret>> {
    let context = context(endpoint.id);
    let mut secrets = vec![core.vault.open(&endpoint.secret, &context)?];
    if let (Some(before), Some(until)) = (&endpoint.previous_secret, endpoint.previous_secret_until)
        && until > Timestamp::now()
    {
        secrets.push(core.vault.open(before, &context)?);
    }
    Ok(secrets)
}

/// What verifies the endpoint's calls, `whpk_…`, when they are signed with ed25519.
pub(super) fn public_key(core: &Core, endpoint: &webhook_endpoint::Model) -> Result<Option<String>> {
    if endpoint.signing != ED25519 {
        return Ok(None);
    }
    let secret = core.vault.open(&endpoint.secret, &context(endpoint.id))?;
    Ok(public_half(&secret))
}

fn public_half(secret: &Secret) -> Option<String> {
    let key = BASE64_STANDARD
        .decode(secret.expose().strip_prefix("whsk_")?)
        .ok()?;
    let public = key.get(HALF..)?;
    Some(format!("whpk_{}", BASE64_STANDARD.encode(public)))
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer, SigningKey, Verifier, VerifyingKey};

    use super::*;

    #[test]
    fn the_public_half_verifies_what_the_secret_signs() {
        let secret = Secret::random_ed25519();
        let pair = BASE64_STANDARD
            .decode(secret.expose().strip_prefix("whsk_").unwrap())
            .unwrap();
        let signing = SigningKey::from_keypair_bytes(&pair.try_into().unwrap()).unwrap();
        let public = public_half(&secret).unwrap();
        let public = BASE64_STANDARD
            .decode(public.strip_prefix("whpk_").unwrap())
            .unwrap();
        let verifying = VerifyingKey::from_bytes(&public.try_into().unwrap()).unwrap();
        verifying.verify(b"said", &signing.sign(b"said")).unwrap();
        assert_eq!(public_half(&Secret::random_webhook()), None);
    }
}
