//! All that a filter means, counted: lists need a page and stop there, an audience is counted to its end.

use sea_orm::DatabaseConnection;

use super::{
    ATTEMPTS, declared,
    explain::Gap,
    finder::{Finder, seeks},
    ground::Ground,
    order::Order,
    served::Served,
    statement::Spine,
    still_ready,
    table::Listed,
    term::{Term, conjuncts},
};
use crate::{
    attribute_indexes::Declared,
    ctx::Ctx,
    error::{Error, Result},
    filter::{Filter, Sort},
    sid::{AttributeIndexSid, ServiceSid},
    sql::Sql,
};

/// A filter, as far as the database can tell what it means.
pub(super) struct Meaning {
    pub(super) filter: Filter,
    declared: Vec<Declared>,
    pub(super) terms: Vec<Term>,
    /// Whether it can tell all of it.
    pub(super) exact: bool,
    /// The indexes that it is asked of.
    pub(super) used: Vec<AttributeIndexSid>,
}

impl Meaning {
    pub(super) async fn of<T: Listed>(
        db: &DatabaseConnection,
        service: ServiceSid,
        text: &str,
    ) -> Result<Self> {
        let mut filter = Filter::parse(text, T::TABLE.subject)?;
        let declared = declared(db, service, T::COVERED, &filter, &Sort::default()).await?;
        filter.settle(&declared);
        let served = Served::of(&filter, &declared);
        let terms = conjuncts(served.term);
        let mut used = Vec::new();
        terms.iter().for_each(|term| term.indexes(&mut used));
        used.sort_unstable();
        used.dedup();
        Ok(Self {
            filter,
            declared,
            terms,
            exact: served.exact,
            used,
        })
    }
}

/// Passes when no index is missing, or so few items have to be read one by one that the operator allows it.
///
/// # Errors
/// 20001 naming `Filter`.
pub(crate) async fn affordable<T: Listed>(ctx: &Ctx, filter: &str) -> Result<()> {
    let meaning = Meaning::of::<T>(ctx.reader(), ctx.scope(), filter).await?;
    if !meaning.exact {
        count_once::<T>(ctx, &meaning).await?;
    }
    Ok(())
}

/// How many items of the service the filter means, exactly.
///
/// # Errors
/// 20001 naming `Filter`, also when more items would have to be read one by one than the operator allows.
pub(crate) async fn count<T: Listed>(ctx: &Ctx, filter: &str) -> Result<u64> {
    for _ in 0..ATTEMPTS {
        let meaning = Meaning::of::<T>(ctx.reader(), ctx.scope(), filter).await?;
        let count = count_once::<T>(ctx, &meaning).await?;
        if still_ready(ctx.reader(), ctx.scope(), T::COVERED, &meaning.used).await? {
            return Ok(count);
        }
    }
    Err(Error::unavailable("declared indexes come and go too fast"))
}

async fn count_once<T: Listed>(ctx: &Ctx, meaning: &Meaning) -> Result<u64> {
    let ground = Ground {
        table: T::TABLE,
        backend: ctx.core.db.backend(),
        service: ctx.scope(),
        channel: None,
    };
    let (sort, order) = (Sort::default(), Order::in_memory(false));
    let limits = ctx.core.settings.lists;
    let mut finder = Finder::new(
        ctx.reader(),
        &ground,
        (&meaning.filter, &sort),
        &order,
        None,
        limits.scan_budget.saturating_add(1),
        limits,
    );
    if meaning.exact {
        return finder.count_all(&meaning.terms).await;
    }
    match finder.scan::<T>(&meaning.terms).await? {
        Some(rows) => Ok(rows.len() as u64),
        None => {
            let gap = Gap::in_filter(&meaning.filter, &meaning.declared)
                .ok_or_else(|| Error::internal("a filter that no index tells has no gap"))?;
            let budget = limits.scan_budget;
            Err(gap
                .refusal(ctx, ground.table, &meaning.filter, &meaning.declared, budget)
                .await?)
        }
    }
}

impl Finder<'_> {
    /// Counts the items that answer to the terms, which are exact.
    async fn count_all(&mut self, terms: &[Term]) -> Result<u64> {
        if let [Term::Not(term)] = terms {
            // All but those whom it is not: both are counted sooner than they are told apart.
            let all = self.count_from(&[], Spine::Own).await?;
            let others = self.count_these(std::slice::from_ref(&**term)).await?;
            return Ok(all.saturating_sub(others));
        }
        self.count_these(terms).await
    }

    async fn count_these(&mut self, terms: &[Term]) -> Result<u64> {
        if terms.iter().all(Term::is_own) {
            return self.count_from(terms, Spine::Own).await;
        }
        match (self.fewest(terms).await?, terms) {
            (Some(spine), _) => self.count_from(terms, spine).await,
            (None, [term]) if term.seeks() => self.count_from(terms, Spine::of(terms, 0)).await,
            (None, _) => {
                let mut sql = Sql::new("SELECT count(*) AS found FROM (");
                self.ids_of_all(&mut sql, terms).await?;
                sql.push(") c");
                self.found(sql).await
            }
        }
    }

    /// Counts what the spine leads to, looking up for each whatever else is asked.
    async fn count_from(&self, terms: &[Term], spine: Spine) -> Result<u64> {
        let search = self.search(terms, spine, &[]);
        let own = terms.iter().any(Term::is_own);
        let own_row = spine != Spine::Own && (own || self.has_leftovers().await?);
        let mut sql = Sql::new("SELECT count(*) AS found FROM ");
        search.from(&mut sql, "s", None);
        sql.push(" WHERE ");
        search.direct(&mut sql, "s");
        search.probe(&mut sql, &spine.id("s"), search.left(), own_row);
        self.found(sql).await
    }

    async fn found(&self, sql: Sql) -> Result<u64> {
        let found: i64 = match sql.all(self.db).await?.first() {
            Some(row) => row.try_get("", "found")?,
            None => 0,
        };
        Ok(found.unsigned_abs())
    }

    /// Writes a query for the ids of the items that answer to the terms.
    async fn ids_of_all(&self, sql: &mut Sql, terms: &[Term]) -> Result<()> {
        if self.has_leftovers().await? {
            self.ground.ids_of_everything(sql);
            sql.push(" INTERSECT SELECT y.id FROM (");
            self.ground.ids_of_all(sql, terms);
            sql.push(") y");
        } else {
            self.ground.ids_of_all(sql, terms);
        }
        Ok(())
    }

    /// Whether there may be entries without their rows, which wait for the sweep.
    async fn has_leftovers(&self) -> Result<bool> {
        let mut sql = Sql::new("SELECT 1 AS one FROM attribute_leftovers WHERE service_id = ");
        sql.bind(self.ground.service).push(" LIMIT 1");
        Ok(!sql.all(self.db).await?.is_empty())
    }

    /// The condition that so few items answer to that each of them can be looked up.
    pub(super) async fn fewest(&mut self, terms: &[Term]) -> Result<Option<Spine>> {
        let seeks = seeks(terms);
        let sets = self.sets(terms, &seeks).await?;
        let spine = sets.first().map(|seek| Spine::of(terms, *seek));
        // Their own table is read from end to end.
        Ok(spine.filter(|spine| *spine != Spine::Own))
    }
}
