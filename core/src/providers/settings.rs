//! What a provider may be set to: every field optional, every wrong one named.

use url::Url;

use super::{Kind, PLAIN, STARTTLS, TLS, address, seal};
use crate::{
    ctx::Core,
    entities::provider,
    error::{Error, ErrorCode, Result},
    notices::NoticeText,
    webhooks::target,
};

/// The longest name of an account, token or password, in characters.
const SECRET_CHARACTERS: usize = 1024;
/// Ports for mail below 1024, which no other call may use.
const MAIL_PORTS: [i64; 3] = [25, 465, 587];
/// The longest time until a notice, in seconds: a week.
const NOTICE_DELAYS: std::ops::RangeInclusive<i64> = 0..=7 * 24 * 3600;

/// What to set; `None` leaves a setting as it is.
#[derive(Default)]
pub struct ProviderSettings {
    /// `sms`: the full address of a `Messages.json`.
    pub url: Option<String>,
    /// `sms`: the provider's account.
    pub account_sid: Option<String>,
    /// `sms`: its token.
    pub auth_token: Option<String>,
    /// `email`: the SMTP server.
    pub host: Option<String>,
    /// `email`: 1 to 65535.
    pub port: Option<i64>,
    /// `email`: empty for none.
    pub username: Option<String>,
    /// `email`: empty for none.
    pub password: Option<String>,
    /// `email`: `none`, `starttls` or `tls`.
    pub tls: Option<String>,
    /// Who sends.
    pub from: Option<String>,
    /// `email`: seconds; 0 for no notices.
    pub notice_delay: Option<i64>,
    /// `email`: a template; empty for our own.
    pub notice_subject: Option<String>,
    /// `email`: a template; empty for our own.
    pub notice_body: Option<String>,
}

fn wrong<T>(field: &str, problem: &str) -> Result<T> {
    Err(Error::parameter(field, problem))
}

fn text(field: &str, given: &str) -> Result<String> {
    if given.chars().count() > SECRET_CHARACTERS || given.chars().any(char::is_control) {
        return wrong(
            field,
            &format!("must have at most {SECRET_CHARACTERS} characters, and no control characters"),
        );
    }
    Ok(given.to_owned())
}

/// Sets what is given.
///
/// # Errors
/// 20001 naming what is missing or wrong; 50054 for a URL that may not be called.
pub(super) fn apply(
    core: &Core,
    row: &mut provider::Model,
    kind: Kind,
    given: ProviderSettings,
) -> Result<()> {
    match kind {
        Kind::Sms => apply_sms(core, row, given),
        Kind::Email => apply_email(core, row, given),
    }
}

fn apply_sms(core: &Core, row: &mut provider::Model, given: ProviderSettings) -> Result<()> {
    let before = row.url.clone();
    if let Some(url) = given.url.filter(|url| !url.is_empty()) {
        target::check(core, "Url", &url)?;
        row.url = Some(url);
    }
    if let Some(login) = given.account_sid.filter(|login| !login.is_empty()) {
        if login.contains(':') {
            return wrong("AccountSid", "must not contain a colon");
        }
        row.login = Some(text("AccountSid", &login)?);
    }
    let token = given.auth_token.filter(|token| !token.is_empty());
    if token.is_none() && row.secret.is_some() && origin(before.as_deref()) != origin(row.url.as_deref()) {
        return wrong(
            "AuthToken",
            "must be given again when Url moves to another server: the old one is not told to a new server",
        );
    }
    if let Some(token) = token {
        seal(&core.vault, row, &text("AuthToken", &token)?)?;
    }
    if let Some(from) = given.from {
        row.sender = match address::sms_sender(&from) {
            Some(sender) => sender,
            None => {
                return wrong(
                    "From",
                    "must be a phone number such as +15017122661, a short code, or a name of at most 11 letters and digits",
                );
            }
        };
    }
    for (field, is_there, what) in [
        ("Url", row.url.is_some(), "the full address of a Messages.json"),
        ("AccountSid", row.login.is_some(), "the account at the provider"),
        (
            "AuthToken",
            row.secret.is_some(),
            "the account's token at the provider",
        ),
        (
            "From",
            !row.sender.is_empty(),
            "the number or name that SMS come from",
        ),
    ] {
        if !is_there {
            return wrong(field, &format!("is missing: {what}"));
        }
    }
    Ok(())
}

fn origin(url: Option<&str>) -> Option<url::Origin> {
    Some(Url::parse(url?).ok()?.origin())
}

fn apply_email(core: &Core, row: &mut provider::Model, given: ProviderSettings) -> Result<()> {
    let before = (row.host.clone(), row.port);
    if let Some(tls) = given.tls {
        match [PLAIN, STARTTLS, TLS].into_iter().find(|known| *known == tls) {
            Some(known) => row.tls = Some(known.to_owned()),
            None => return wrong("Tls", "must be none, starttls or tls"),
        }
    }
    let tls = row.tls.get_or_insert_with(|| STARTTLS.to_owned()).clone();
    if let Some(port) = given.port {
        row.port = match i32::try_from(port) {
            Ok(fits) if (1..=65_535).contains(&port) => Some(fits),
            _ => return wrong("Port", "must be a whole number, 1 to 65535"),
        };
    }
    let port = *row.port.get_or_insert(match tls.as_str() {
        PLAIN => 25,
        TLS => 465,
        _ => 587,
    });
    if let Some(host) = given.host.filter(|host| !host.is_empty()) {
        row.host = Some(checked_host(&host)?);
    }
    let Some(host) = &row.host else {
        return wrong("Host", "is missing: the name of the SMTP server");
    };
    vet(core, host, port)?;
    if let Some(username) = given.username {
        row.login = Some(text("Username", &username)?).filter(|name| !name.is_empty());
    }
    match given.password {
        Some(password) if password.is_empty() => row.secret = None,
        Some(password) => seal(&core.vault, row, &text("Password", &password)?)?,
        None if row.secret.is_some() && before.0.is_some() && before != (row.host.clone(), row.port) => {
            return wrong(
                "Password",
                "must be given again when Host or Port change: the old one is not told to a new server",
            );
        }
        None => {}
    }
    match (&row.login, &row.secret) {
        (Some(_), None) => return wrong("Password", "is missing: Username needs one"),
        (None, Some(_)) => return wrong("Username", "is missing: Password needs one"),
        _ => {}
    }
    if let Some(from) = given.from {
        row.sender = match address::mailbox(&from) {
            Some(mailbox) => mailbox.to_string(),
            None => {
                return wrong(
                    "From",
                    "must be a mailbox, such as chat@example.com or Chat <chat@example.com>",
                );
            }
        };
    }
    if row.sender.is_empty() {
        return wrong("From", "is missing: the mailbox that e-mail comes from");
    }
    if let Some(delay) = given.notice_delay {
        row.notice_delay = match i32::try_from(delay) {
            Ok(seconds) if NOTICE_DELAYS.contains(&delay) => Some(seconds).filter(|seconds| *seconds > 0),
            _ => {
                return wrong(
                    "NoticeDelay",
                    "must be a whole number of seconds, 0 (no notices) to 604800",
                );
            }
        };
    }
    for (field, slot, given) in [
        ("NoticeSubject", &mut row.notice_subject, given.notice_subject),
        ("NoticeBody", &mut row.notice_body, given.notice_body),
    ] {
        if let Some(text) = given {
            NoticeText::parse(field, &text)?;
            *slot = Some(text).filter(|text| !text.is_empty());
        }
    }
    Ok(())
}

/// A name or an address, as URLs have it.
fn checked_host(given: &str) -> Result<String> {
    let is_host = given
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte));
    let url = Url::parse(&format!("https://{given}/"));
    match url {
        // No port or user hides in it.
        Ok(url) if is_host && url.port().is_none() && url.path() == "/" => {
            Ok(url.host_str().unwrap_or_default().to_owned())
        }
        _ => wrong(
            "Host",
            "must be the name or address of an SMTP server, such as smtp.example.com",
        ),
    }
}

/// Whether mail may be sent there: as webhooks, but for the ports.
fn vet(core: &Core, host: &str, port: i32) -> Result<()> {
    let vetted = |field: &str, url: &str| {
        let refused = |why: &str| Error::with(ErrorCode::WebhookFormat, format!("{field} {why}"));
        let url = Url::parse(url).map_err(|cause| refused(&cause.to_string()))?;
        (core.settings.vet_url)(&url).map_err(|why| refused(&why))
    };
    vetted("Host", &format!("https://{host}/"))?;
    if MAIL_PORTS.contains(&i64::from(port)) {
        return Ok(());
    }
    vetted("Port", &format!("https://{host}:{port}/"))
}
