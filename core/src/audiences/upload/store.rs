//! Storing some rows of an upload: the users they name, and who is in the list.

use sea_orm::{ActiveModelTrait, IntoActiveModel};

use super::{
    super::{list, lock},
    Rejected,
    rows::Row,
};
use crate::{
    audit::Edit, change::Change, ctx::Ctx, error::Result, sid::AudienceSid, timestamp::Timestamp, users,
};

/// Stores the rows in one transaction; answers those that could not be.
pub(super) async fn store(ctx: &Ctx, audience: AudienceSid, rows: &[Row]) -> Result<Vec<Rejected>> {
    let mut change = Change::begin(ctx).await?;
    let before = lock(ctx, &change.tx, audience).await?;
    let wanted: Vec<_> = rows
        .iter()
        .map(|row| (row.identity.as_str(), row.settings.as_slice()))
        .collect();
    let problems = users::merge_all(ctx, &mut change, &wanted).await?;
    let taken = rows
        .iter()
        .zip(&problems)
        .filter(|(_, problem)| problem.is_none())
        .map(|(row, _)| row.identity.as_str());
    let added = list::add(&change.tx, &before, taken).await?;
    if added > 0 {
        let mut row = before.clone();
        row.members_count = row
            .members_count
            .saturating_add(i32::try_from(added).unwrap_or(i32::MAX));
        row.date_updated = Timestamp::now();
        let row = row.into_active_model().reset_all().update(&change.tx).await?;
        change.audit(Edit::Updated {
            before: &before,
            after: &row,
        })?;
    }
    change.commit().await?;
    Ok(rows
        .iter()
        .zip(problems)
        .filter_map(|(row, problem)| {
            problem.map(|message| Rejected {
                line: row.line,
                message,
            })
        })
        .collect())
}
