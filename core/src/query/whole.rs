//! All that a filter means: counted, or walked through from one identity to the next.
//!
//! Lists need a page and stop there. An audience is counted to its end, and walked by whoever takes a snapshot of it,
//! in portions that each are a short statement.

use sea_orm::{DatabaseConnection, DbBackend, FromQueryResult};

use super::{
    ATTEMPTS, declared,
    explain::Gap,
    finder::{Finder, seeks},
    ground::Ground,
    limits::Limits,
    order::Order,
    served::Served,
    statement::Spine,
    still_ready,
    table::{Listed, Row},
    term::{Term, conjuncts},
};
use crate::{
    attribute_indexes::{Covered, Declared},
    ctx::Ctx,
    db::Db,
    entities::user,
    error::{Error, Result},
    filter::{Filter, Sort},
    sid::{AttributeIndexSid, ServiceSid},
    sql::Sql,
};

/// To how many items conditions are counted before the narrowest is chosen.
const GLANCE: usize = 100_000;
/// The most rows that one step of a walk looks at.
const SLICE: usize = 8_192;
/// How many rows are evaluated at a time.
const ROWS: usize = 500;

/// A filter, as far as the database can tell what it means.
struct Meaning {
    filter: Filter,
    declared: Vec<Declared>,
    terms: Vec<Term>,
    exact: bool,
    used: Vec<AttributeIndexSid>,
}

impl Meaning {
    async fn of<T: Listed>(db: &DatabaseConnection, service: ServiceSid, text: &str) -> Result<Self> {
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
            // Far fewer entries are read for what it is not.
            let (all, others) = (
                self.count_from(&[], Spine::Own).await?,
                std::slice::from_ref(&**term),
            );
            let spine = self.narrowest(others).await?;
            return Ok(all.saturating_sub(self.count_from(others, spine).await?));
        }
        let spine = self.narrowest(terms).await?;
        self.count_from(terms, spine).await
    }

    /// From where the fewest items are read.
    async fn narrowest(&mut self, terms: &[Term]) -> Result<Spine> {
        let seeks = seeks(terms);
        if let [seek] = seeks.as_slice() {
            return Ok(Spine::of(terms, *seek));
        }
        let mut narrowest = (Spine::Own, usize::MAX);
        for seek in seeks {
            let count = self.count(terms, seek, &[], GLANCE).await?;
            if count < narrowest.1 {
                narrowest = (Spine::of(terms, seek), count);
            }
        }
        Ok(narrowest.0)
    }

    async fn count_from(&self, terms: &[Term], spine: Spine) -> Result<u64> {
        let search = self.search(terms, spine, &[]);
        let own = terms.iter().any(Term::is_own);
        // An entry without its row is a leftover that waits for the sweep.
        let own_row = spine != Spine::Own && (own || self.has_leftovers().await?);
        let mut sql = Sql::new("SELECT count(*) AS found FROM ");
        search.from(&mut sql, "s", None);
        sql.push(" WHERE ");
        search.direct(&mut sql, "s");
        search.probe(&mut sql, &spine.id("s"), search.left(), own_row);
        let found: i64 = match sql.all(self.db).await?.first() {
            Some(row) => row.try_get("", "found")?,
            None => 0,
        };
        Ok(found.unsigned_abs())
    }

    async fn has_leftovers(&self) -> Result<bool> {
        let mut sql = Sql::new("SELECT 1 AS one FROM attribute_leftovers WHERE service_id = ");
        sql.bind(self.ground.service).push(" LIMIT 1");
        Ok(!sql.all(self.db).await?.is_empty())
    }
}

/// The identities of the users whom a filter means, in the order of the database. Nothing is refused for its size: each
/// user is looked at once over a whole walk.
pub(crate) struct Everyone<'a> {
    db: &'a DatabaseConnection,
    backend: DbBackend,
    limits: Limits,
    service: ServiceSid,
    filter: &'a str,
}

/// What a step of a walk came to.
struct Stride {
    identities: Vec<String>,
    /// The last identity that was looked at; `None` at the end.
    through: Option<String>,
}

impl<'a> Everyone<'a> {
    pub(crate) fn new(db: &'a Db, limits: Limits, service: ServiceSid, filter: &'a str) -> Self {
        Self {
            db: db.reader(),
            backend: db.backend(),
            limits,
            service,
            filter,
        }
    }

    /// The next ones behind `after`, at most so many; fewer only at the end.
    ///
    /// # Errors
    /// 20001 naming `Filter` when it cannot be read.
    pub(crate) async fn behind(&self, after: Option<&str>, most: usize) -> Result<Vec<String>> {
        for _ in 0..ATTEMPTS {
            let meaning = Meaning::of::<user::Model>(self.db, self.service, self.filter).await?;
            let found = self.walk(&meaning, after, most).await?;
            if still_ready(self.db, self.service, Covered::Users, &meaning.used).await? {
                return Ok(found);
            }
        }
        Err(Error::unavailable("declared indexes come and go too fast"))
    }

    async fn walk(&self, meaning: &Meaning, after: Option<&str>, most: usize) -> Result<Vec<String>> {
        let ground = Ground {
            table: user::Model::TABLE,
            backend: self.backend,
            service: self.service,
            channel: None,
        };
        let (sort, order) = (Sort::default(), Order::in_memory(false));
        let mut finder = Finder::new(
            self.db,
            &ground,
            (&meaning.filter, &sort),
            &order,
            None,
            most,
            self.limits,
        );
        let few = finder.fewest(&meaning.terms).await?;
        let (mut found, mut after) = (Vec::new(), after.map(str::to_owned));
        let mut slice = most.clamp(1, SLICE);
        while found.len() < most {
            let behind = after.as_deref();
            let stride = match few {
                Some(spine) => finder.gather(&meaning.terms, spine, behind, most).await?,
                None => finder.slice(&meaning.terms, behind, slice).await?,
            };
            let mut identities = stride.identities;
            if !meaning.exact {
                identities = finder.meant(identities).await?;
            }
            found.append(&mut identities);
            match stride.through {
                Some(through) => after = Some(through),
                None => break,
            }
            slice = (slice * 2).min(SLICE);
        }
        found.truncate(most);
        Ok(found)
    }
}

impl Finder<'_> {
    /// The condition that so few users answer to that all of them can be put in order for each step.
    async fn fewest(&mut self, terms: &[Term]) -> Result<Option<Spine>> {
        let seeks = seeks(terms);
        let sets = self.sets(terms, &seeks).await?;
        let spine = sets.first().map(|seek| Spine::of(terms, *seek));
        // Their own table has them in order already.
        Ok(spine.filter(|spine| *spine != Spine::Own))
    }

    /// The next users of those whom the spine leads to.
    async fn gather(&self, terms: &[Term], spine: Spine, after: Option<&str>, most: usize) -> Result<Stride> {
        let search = self.search(terms, spine, &[]);
        let own: Vec<&Term> = terms.iter().filter(|term| term.is_own()).collect();
        // They are found first and put in order then: walking all users in their order would look at too many.
        let postgres = self.ground.backend == DbBackend::Postgres;
        let identity = if postgres { "u.identity" } else { "+u.identity" };
        let mut sql = Sql::new("SELECT k.identity FROM (SELECT u.identity FROM users u WHERE ");
        self.ground.own_rows(&mut sql, "u");
        for term in own {
            sql.push(" AND ");
            self.ground.direct(&mut sql, term, "u");
        }
        if let Some(after) = after {
            sql.push(&format!(" AND {identity} > ")).bind(after);
        }
        sql.push(" AND ")
            .one_of(self.ground.backend, "u.id", |sql| {
                sql.push("SELECT ").push(&spine.id("s")).push(" FROM ");
                search.from(sql, "s", None);
                sql.push(" WHERE ");
                search.direct(sql, "s");
                let others = search.left().filter(|number| !terms[*number].is_own());
                search.probe(sql, &spine.id("s"), others, false);
            });
        if postgres {
            sql.push(" OFFSET 0) k ORDER BY k.identity");
        } else {
            sql.push(&format!(" ORDER BY {identity}) k ORDER BY +k.identity"));
        }
        sql.push(&format!(" LIMIT {most}"));
        let identities = texts(sql, self.db).await?;
        let through = identities.last().filter(|_| identities.len() >= most).cloned();
        Ok(Stride { identities, through })
    }

    /// The next users of the service, and who of them is meant.
    async fn slice(&self, terms: &[Term], after: Option<&str>, size: usize) -> Result<Stride> {
        let (own, others): (Vec<&Term>, Vec<&Term>) = terms.iter().partition(|term| term.is_own());
        let mut sql = Sql::new("SELECT w.identity, (1 = 1");
        for term in others {
            sql.push(" AND ");
            self.ground.whole(&mut sql, term, "w.id", None);
        }
        sql.push(") AS meant FROM (SELECT u.id, u.identity FROM users u WHERE ");
        self.ground.own_rows(&mut sql, "u");
        for term in own {
            sql.push(" AND ");
            self.ground.direct(&mut sql, term, "u");
        }
        behind(&mut sql, "u", after);
        sql.push(&format!(
            " ORDER BY u.identity LIMIT {size}) w ORDER BY w.identity"
        ));
        let rows = sql.all(self.db).await?;
        let (mut identities, mut last) = (Vec::new(), None);
        for row in &rows {
            let identity: String = row.try_get("", "identity")?;
            if row.try_get("", "meant")? {
                identities.push(identity.clone());
            }
            last = Some(identity);
        }
        let through = last.filter(|_| rows.len() >= size);
        Ok(Stride { identities, through })
    }

    /// Those of these users whom the filter means, in their order.
    async fn meant(&self, identities: Vec<String>) -> Result<Vec<String>> {
        let mut meant = Vec::new();
        for portion in identities.chunks(ROWS) {
            let mut sql = Sql::new("SELECT u.* FROM users u WHERE ");
            self.ground.own_rows(&mut sql, "u");
            sql.push(" AND u.identity IN (")
                .list(portion.iter().map(|identity| identity.as_str().into()))
                .push(") ORDER BY u.identity");
            for row in sql.all(self.db).await? {
                let row = Row::new(user::Model::from_query_result(&row, "")?, self.sort);
                if self.filter.matches(&row) {
                    meant.push(row.model.identity);
                }
            }
        }
        Ok(meant)
    }
}

fn behind(sql: &mut Sql, alias: &str, after: Option<&str>) {
    if let Some(after) = after {
        sql.push(" AND ").push(alias).push(".identity > ").bind(after);
    }
}

async fn texts(sql: Sql, db: &DatabaseConnection) -> Result<Vec<String>> {
    let rows = sql.all(db).await?;
    Ok(rows
        .iter()
        .map(|row| row.try_get("", "identity"))
        .collect::<Result<_, _>>()?)
}
