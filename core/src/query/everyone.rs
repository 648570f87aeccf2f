//! Walking through all users whom a filter means, from one identity to the next, in portions that each are a short
//! statement.

use sea_orm::{DatabaseConnection, DbBackend, FromQueryResult};

use super::{
    ATTEMPTS,
    finder::Finder,
    ground::Ground,
    limits::Limits,
    order::Order,
    statement::Spine,
    still_ready,
    table::{Listed, Row},
    term::Term,
    whole::Meaning,
};
use crate::{
    attribute_indexes::Covered,
    db::Db,
    entities::user,
    error::{Error, Result},
    filter::Sort,
    sid::ServiceSid,
    sql::Sql,
};

/// The most rows that one step looks at.
const SLICE: usize = 8_192;
/// How many rows are evaluated at a time.
const ROWS: usize = 500;

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

    /// The first ones, when it is known how many there are: few are put in order, however they are found.
    ///
    /// # Errors
    /// 20001 naming `Filter` when it cannot be read.
    pub(crate) async fn first(&self, count: u64, most: usize) -> Result<Vec<String>> {
        let meaning = Meaning::of::<user::Model>(self.db, self.service, self.filter).await?;
        let few = usize::try_from(count).is_ok_and(|count| count <= self.limits.many);
        if !few || !meaning.exact || meaning.terms.iter().all(Term::is_own) {
            return self.behind(None, most).await;
        }
        let ground = self.ground();
        let mut sql = Sql::new("SELECT k.identity FROM (SELECT u.identity FROM users u WHERE ");
        ground.own_rows(&mut sql, "u");
        sql.push(" AND ").one_of(self.backend, "u.id", |sql| {
            ground.ids_of_all(sql, &meaning.terms);
        });
        if self.backend == DbBackend::Postgres {
            sql.push(" OFFSET 0");
        }
        sql.push(&format!(
            ") k ORDER BY {} LIMIT {most}",
            in_order(self.backend, "k")
        ));
        texts(sql, self.db).await
    }

    fn ground(&self) -> Ground {
        Ground {
            table: user::Model::TABLE,
            backend: self.backend,
            service: self.service,
            channel: None,
        }
    }

    async fn walk(&self, meaning: &Meaning, after: Option<&str>, most: usize) -> Result<Vec<String>> {
        let ground = self.ground();
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
    /// The next users of those whom the spine leads to.
    async fn gather(&self, terms: &[Term], spine: Spine, after: Option<&str>, most: usize) -> Result<Stride> {
        let search = self.search(terms, spine, &[]);
        let own: Vec<&Term> = terms.iter().filter(|term| term.is_own()).collect();
        let identity = in_order(self.ground.backend, "u");
        // They are found first and put in order then: walking all users in their order would look at too many.
        let mut sql = Sql::new("SELECT k.identity FROM (SELECT u.identity FROM users u WHERE ");
        self.ground.own_rows(&mut sql, "u");
        for term in own {
            sql.push(" AND ");
            self.ground.direct(&mut sql, term, "u");
        }
        if let Some(after) = after {
            sql.push(&format!(" AND {identity} > ")).bind(after);
        }
        sql.push(" AND ").one_of(self.ground.backend, "u.id", |sql| {
            sql.push("SELECT ").push(&spine.id("s")).push(" FROM ");
            search.from(sql, "s", None);
            sql.push(" WHERE ");
            search.direct(sql, "s");
            let others = search.left().filter(|number| !terms[*number].is_own());
            search.probe(sql, &spine.id("s"), others, false);
        });
        if self.ground.backend == DbBackend::Postgres {
            sql.push(" OFFSET 0");
        }
        sql.push(&format!(
            ") k ORDER BY {} LIMIT {most}",
            in_order(self.ground.backend, "k")
        ));
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

/// The identity of a row, not to be read in the order of its index.
fn in_order(backend: DbBackend, alias: &str) -> String {
    if backend == DbBackend::Postgres {
        format!("{alias}.identity")
    } else {
        format!("+{alias}.identity")
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
