//! `Idempotency-Key` on requests other than sends: a repeat answers like the first. (A message keeps its key itself,
//! as its `client_id`, for as long as it lives.)
//!
//! A key is claimed before the work and gets the answer after it. A process that dies in between leaves a claim
//! without an answer; after [`ABANDONED`] a repeat takes it over and does the work, which may then be done twice.

use std::time::Duration;

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter,
    sea_query::{Expr, OnConflict},
};
use sha2::{Digest, Sha256};

use crate::{
    ctx::{Caller, Core},
    db::Db,
    entities::idempotency_key,
    error::{Error, ErrorCode, Result},
    input,
    secrets::Secret,
    sid::AccountSid,
    timestamp::Timestamp,
};

/// After this a claim without an answer is taken to be abandoned.
pub const ABANDONED: Duration = Duration::from_secs(60);
/// For how long answers are kept.
pub const KEPT: Duration = Duration::from_secs(24 * 3600);

/// Whose key it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    account: AccountSid,
    caller: String,
    text: String,
}

impl Key {
    /// The caller's key.
    ///
    /// # Errors
    /// 20001 when it is empty or longer than 255 characters.
    pub fn new(caller: &Caller, text: &str) -> Result<Self> {
        let text = input::client_id("Idempotency-Key", text)?;
        let name = match caller {
            Caller::Account { key, .. } => key.map_or_else(String::new, |key| key.sid.to_string()),
            Caller::User {
                service, identity, ..
            } => format!("{service}/{identity}"),
        };
        Ok(Self {
            account: caller.account(),
            caller: name,
            text,
        })
    }
}

/// What a claim finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// The key is new: do the work, then [`keep`] or [`release`].
    Mine,
    /// The first answer.
    Replay {
        /// Its HTTP status.
        status: u16,
        /// Its body.
        answer: String,
    },
}

/// Claims the key for a request, of which `request` is a text that is the same whenever the request is.
///
/// # Errors
/// 20409 when the key was used for another request, or its first request is still under way.
pub async fn claim(core: &Core, key: &Key, request: &str) -> Result<Claim> {
    let fingerprint = Sha256::digest(request.as_bytes()).to_vec();
    let now = Timestamp::now();
    let row = idempotency_key::Model {
        account_id: key.account,
        caller: key.caller.clone(),
        key: key.text.clone(),
        fingerprint: fingerprint.clone(),
        status: None,
        answer: None,
        date_created: now,
    };
    let columns = [
        idempotency_key::Column::AccountId,
        idempotency_key::Column::Caller,
        idempotency_key::Column::Key,
    ];
    let inserted = idempotency_key::Entity::insert(row.into_active_model())
        .on_conflict(OnConflict::columns(columns).do_nothing().to_owned())
        .exec_without_returning(core.db.writer())
        .await?;
    if inserted > 0 {
        return Ok(Claim::Mine);
    }
    let id = (key.account, key.caller.clone(), key.text.clone());
    let Some(known) = idempotency_key::Entity::find_by_id(id)
        .one(core.db.writer())
        .await?
    else {
        return Err(Error::with(
            ErrorCode::Conflict,
            "Conflict: the first request with this Idempotency-Key just failed; repeat it",
        ));
    };
    if known.fingerprint != fingerprint {
        return Err(Error::with(
            ErrorCode::Conflict,
            "Conflict: this Idempotency-Key was used for another request or another body",
        ));
    }
    match (
        known.status.and_then(|status| u16::try_from(status).ok()),
        known.answer,
    ) {
        (Some(status), Some(sealed)) => {
            let answer = core.vault.open(&sealed, &key.text)?.expose().to_owned();
            Ok(Claim::Replay { status, answer })
        }
        _ if take_over(&core.db, key, known.date_created, now).await? => Ok(Claim::Mine),
        _ => Err(Error::with(
            ErrorCode::Conflict,
            "Conflict: the first request with this Idempotency-Key is still under way; repeat it later",
        )),
    }
}

/// Takes an abandoned claim over; one of several callers does.
async fn take_over(db: &Db, key: &Key, claimed: Timestamp, now: Timestamp) -> Result<bool> {
    if now.since(claimed) < ABANDONED {
        return Ok(false);
    }
    let taken = idempotency_key::Entity::update_many()
        .col_expr(idempotency_key::Column::DateCreated, Expr::value(now))
        .filter(of(key))
        .filter(idempotency_key::Column::DateCreated.eq(claimed))
        .exec(db.writer())
        .await?;
    Ok(taken.rows_affected > 0)
}

fn of(key: &Key) -> sea_orm::Condition {
    sea_orm::Condition::all()
        .add(idempotency_key::Column::AccountId.eq(key.account))
        .add(idempotency_key::Column::Caller.eq(key.caller.as_str()))
        .add(idempotency_key::Column::Key.eq(key.text.as_str()))
}

/// Keeps the answer for repeats.
///
/// # Errors
/// Whatever the database refuses.
pub async fn keep(core: &Core, key: &Key, status: u16, answer: &str) -> Result<()> {
    let id = (key.account, key.caller.clone(), key.text.clone());
    let Some(mut row) = idempotency_key::Entity::find_by_id(id)
        .one(core.db.writer())
        .await?
    else {
        return Ok(());
    };
    row.status = Some(i32::from(status));
    row.answer = Some(core.vault.seal(&Secret::new(answer), &key.text)?);
    row.into_active_model()
        .reset_all()
        .update(core.db.writer())
        .await?;
    Ok(())
}

/// Gives the key back: the request failed, and a corrected or repeated one may have it.
///
/// # Errors
/// Whatever the database refuses.
pub async fn release(core: &Core, key: &Key) -> Result<()> {
    idempotency_key::Entity::delete_many()
        .filter(of(key))
        .exec(core.db.writer())
        .await?;
    Ok(())
}

/// Forgets answers older than [`KEPT`]; answers how many.
///
/// # Errors
/// Whatever the database refuses.
pub async fn forget(db: &impl ConnectionTrait) -> Result<u64> {
    let oldest = Timestamp::now().minus(KEPT);
    let gone = idempotency_key::Entity::delete_many()
        .filter(idempotency_key::Column::DateCreated.lt(oldest))
        .exec(db)
        .await?;
    Ok(gone.rows_affected)
}
