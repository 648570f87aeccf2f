//! What a provider reports of an SMS by itself, at the address that was named to it with the message.

use sea_orm::ConnectionTrait;
use subtle::ConstantTimeEq;

use super::{
    portion_of,
    settling::{Counts, Known},
    standing::Standing,
};
use crate::{
    ctx::Core,
    error::{Error, ErrorCode, Result},
    providers::{self, Kind},
    secrets::Vault,
    sid::{CampaignSid, ServiceSid},
    sql::Sql,
    timestamp::Timestamp,
    twilio_signature,
};

/// A report, as it came in.
pub struct Report {
    /// The service in the path.
    pub service: ServiceSid,
    /// The campaign in the path.
    pub campaign: CampaignSid,
    /// The recipient in the path.
    pub place: i64,
    /// What proves that the provider was told this address.
    pub token: String,
    /// `X-Twilio-Signature`, if there is one.
    pub signature: Option<String>,
    /// The parameters of the form.
    pub parameters: Vec<(String, String)>,
}

impl Report {
    fn parameter(&self, name: &str) -> Option<&str> {
        let (_, value) = self.parameters.iter().find(|(known, _)| known == name)?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }
}

/// Nobody can make it up who was not told it.
fn token(vault: &Vault, service: ServiceSid, campaign: CampaignSid, place: i64) -> String {
    hex::encode(vault.derive(&format!("status of {service}/{campaign}/{place}")))
}

/// Where a provider is to report what became of a recipient's message; `None` without `HUBBUB_PUBLIC_URL`.
#[must_use]
pub fn status_url(core: &Core, service: ServiceSid, campaign: CampaignSid, place: i64) -> Option<String> {
    let base = core.settings.public_url.as_ref()?;
    let token = token(&core.vault, service, campaign, place);
    Some(format!(
        "{base}/v2/Services/{service}/Campaigns/{campaign}/Recipients/{place}/Status?token={token}"
    ))
}

/// Takes a report in. What tells nothing new changes nothing.
///
/// # Errors
/// 20404 when nobody was told this address; 20006 when the signature is not the provider's; 20001 without a status.
pub async fn accept(core: &Core, report: &Report) -> Result<()> {
    let Report {
        service,
        campaign,
        place,
        ..
    } = *report;
    let missing = || {
        Error::not_found(format_args!(
            "/Services/{service}/Campaigns/{campaign}/Recipients/{place}/Status"
        ))
    };
    let expected = token(&core.vault, service, campaign, place);
    if !bool::from(expected.as_bytes().ct_eq(report.token.as_bytes())) {
        return Err(missing());
    }
    check_signature(core, report).await?;
    let said = report
        .parameter("MessageStatus")
        .or_else(|| report.parameter("SmsStatus"))
        .ok_or_else(|| Error::parameter("MessageStatus", "is missing"))?;
    let Some(news) = standing_of(said) else {
        return Ok(());
    };
    let error = (news == Standing::Failed).then(|| match report.parameter("ErrorCode") {
        Some(code) => format!("{said}: error {code} of the provider"),
        None => format!("{said} by the provider"),
    });
    let tx = core.db.begin().await?;
    let known = lock(&tx, report).await?.ok_or_else(missing)?;
    let sid = report
        .parameter("MessageSid")
        .or_else(|| report.parameter("SmsSid"));
    if known.sid.is_some() && sid.is_some() && known.sid.as_deref() != sid {
        // It is about another message: of an attempt before.
        tx.rollback().await?;
        return Ok(());
    }
    if !known.standing.gives_way_to(news, known.error.as_deref()) {
        tx.rollback().await?;
        return Ok(());
    }
    let mut sql = Sql::new("UPDATE campaign_recipients SET status = ");
    sql.bind(news.name())
        .push(", error = ")
        .bind(error)
        .push(", provider_sid = COALESCE(provider_sid, ")
        .bind(sid)
        .push("), date_updated = ")
        .bind(Timestamp::now());
    at(&mut sql, report);
    sql.execute(&tx).await?;
    let mut counts = Counts::default();
    counts.moves(known.standing, news);
    counts.store(&tx, service, campaign, portion_of(place)).await?;
    tx.commit().await?;
    Ok(())
}

/// What a status of the provider's means.
fn standing_of(status: &str) -> Option<Standing> {
    match status {
        "accepted" | "scheduled" | "queued" | "sending" | "sent" => Some(Standing::Sent),
        "delivered" => Some(Standing::Delivered),
        "read" => Some(Standing::Read),
        "undelivered" | "failed" | "canceled" => Some(Standing::Failed),
        _ => None,
    }
}

/// The token is proof enough; but who signs has to sign right.
async fn check_signature(core: &Core, report: &Report) -> Result<()> {
    let Some(given) = &report.signature else {
        return Ok(());
    };
    let Some(provider) = providers::find(core.db.reader(), report.service, Kind::Sms).await? else {
        return Ok(());
    };
    let Some(secret) = providers::secret(&core.vault, &provider)? else {
        return Ok(());
    };
    let Some(url) = status_url(core, report.service, report.campaign, report.place) else {
        return Ok(());
    };
    let parameters = report
        .parameters
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let expected = twilio_signature::sign_form(secret.expose(), &url, parameters);
    if bool::from(expected.as_bytes().ct_eq(given.as_bytes())) {
        Ok(())
    } else {
        Err(Error::with(
            ErrorCode::AccessDenied,
            "Access denied: X-Twilio-Signature is not the provider's",
        ))
    }
}

fn at(sql: &mut Sql, report: &Report) {
    sql.push(" WHERE service_id = ")
        .bind(report.service)
        .push(" AND campaign_id = ")
        .bind(report.campaign)
        .push(" AND place = ")
        .bind(report.place);
}

async fn lock(tx: &impl ConnectionTrait, report: &Report) -> Result<Option<Known>> {
    let mut sql = Sql::new("SELECT status, error, provider_sid FROM campaign_recipients");
    at(&mut sql, report);
    sql.for_update(tx.get_database_backend());
    let rows = sql.all(tx).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let status: String = row.try_get("", "status")?;
    Ok(Some(Known {
        standing: Standing::parse(&status).unwrap_or(Standing::Failed),
        error: row.try_get("", "error")?,
        sid: row.try_get("", "provider_sid")?,
    }))
}
