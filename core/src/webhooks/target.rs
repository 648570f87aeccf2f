//! Addresses that tenants have called.

use url::Url;

use crate::{
    ctx::Core,
    error::{Error, ErrorCode, Result},
};

/// The longest URL, in characters.
pub(crate) const URL_CHARACTERS: usize = 2048;

/// Checks a URL to call. It is kept as it was given: the signature is over this text.
///
/// # Errors
/// 50054 naming `field` when it is no URL, or may not be called.
pub(crate) fn check(core: &Core, field: &str, text: &str) -> Result<()> {
    let refused = |why: &str| Error::with(ErrorCode::WebhookFormat, format!("{field} {why}"));
    let url = Url::parse(text).map_err(|cause| refused(&format!("is not an absolute URL: {cause}")))?;
    if text.len() > URL_CHARACTERS {
        return Err(refused("is longer than 2048 characters"));
    }
    (core.settings.vet_url)(&url).map_err(|why| refused(&why))
}
