//! The ledger as CSV, portion by portion.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::recipients::{message_sid, told};
use crate::{
    ctx::Ctx,
    entities::{campaign, campaign_recipient},
    error::Result,
};

/// The first line.
pub const EXPORT_HEADER: &str = "identity,status,channel_sid,message_sid,error,date_updated\r\n";
/// How many recipients one portion has.
const ROWS: u64 = 1000;

/// The next lines behind a recipient's place, and the place that they come to; `None` at the end.
///
/// # Errors
/// Whatever the database refuses.
pub async fn export_portion(
    ctx: &Ctx,
    campaign: &campaign::Model,
    behind: Option<i64>,
) -> Result<Option<(String, i64)>> {
    let rows = campaign_recipient::Entity::find()
        .filter(campaign_recipient::Column::ServiceId.eq(ctx.scope()))
        .filter(campaign_recipient::Column::CampaignId.eq(campaign.id))
        .filter(campaign_recipient::Column::Place.gt(behind.unwrap_or(-1)))
        .order_by_asc(campaign_recipient::Column::Place)
        .limit(ROWS)
        .all(ctx.reader())
        .await?;
    let Some(last) = rows.last().map(|row| row.place) else {
        return Ok(None);
    };
    let mut lines = String::new();
    for row in &rows {
        let channel = row.channel_id.map(|id| id.to_string());
        let message = message_sid(row);
        let date = row.date_updated.to_seconds_text();
        for (number, text) in [
            row.identity.as_str(),
            told(campaign, row),
            channel.as_deref().unwrap_or_default(),
            message.as_deref().unwrap_or_default(),
            row.error.as_deref().unwrap_or_default(),
            &date,
        ]
        .into_iter()
        .enumerate()
        {
            if number > 0 {
                lines.push(',');
            }
            cell(text, &mut lines);
        }
        lines.push_str("\r\n");
    }
    Ok(Some((lines, last)))
}

/// Writes a cell. An apostrophe goes before what a spreadsheet would take for a formula; a plain number with a sign,
/// such as a telephone number, is none.
fn cell(text: &str, into: &mut String) {
    let formula = match text.as_bytes().first() {
        Some(b'=' | b'@' | b'\t' | b'\r' | b'\n') => true,
        Some(b'+' | b'-') => !text[1..].bytes().all(|byte| byte.is_ascii_digit()),
        _ => false,
    };
    let quoted = text.contains(['"', ',', '\r', '\n']);
    if quoted {
        into.push('"');
    }
    if formula {
        into.push('\'');
    }
    for part in text.split_inclusive('"') {
        into.push_str(part);
        if part.ends_with('"') {
            into.push('"');
        }
    }
    if quoted {
        into.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_text_to_csv_and_to_a_spreadsheet() {
        for (text, expected) in [
            ("alice", "alice"),
            ("", ""),
            ("a,b", "\"a,b\""),
            ("a \"b\"", "\"a \"\"b\"\"\""),
            ("a\nb", "\"a\nb\""),
            ("=1+1", "'=1+1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("+SUM(A1)", "'+SUM(A1)"),
            ("-1+cmd|'/c'!A1", "'-1+cmd|'/c'!A1"),
            ("\tx", "'\tx"),
            ("=a,b", "\"'=a,b\""),
            ("+491701234567", "+491701234567"),
            ("-5", "-5"),
        ] {
            let mut line = String::new();
            cell(text, &mut line);
            assert_eq!(line, expected);
        }
    }
}
