//! Finding a page: which index to read, in which order, and when to change one's mind.
//!
//! Two ways lead to a page. *Walking* reads an index in the order that was asked for and looks at each item until
//! the page is full: good when many match. *Sifting* reads all that match some condition and sorts them in memory: good
//! when few do. In between lies the walk that looks items up in a set of those that match, read beforehand. Bounded
//! counts tell the cases apart.

use std::{future::Future, pin::Pin};

use sea_orm::DatabaseConnection;
use uuid::Uuid;

use super::{
    ground::Ground,
    limits::Limits,
    order::{Order, Step, Stretch},
    statement::{Search, Spine},
    table::{Listed, Place, Row},
    term::{Term, add},
};
use crate::{
    error::Result,
    filter::{Filter, Sort},
    sid::AttributeIndexSid,
    sql::Sql,
};

/// How items were found, for `Explain`.
#[derive(Debug, Clone, Default)]
pub(super) struct Trace {
    /// What was read first of all.
    pub(super) spine: Option<Spine>,
    /// The declared index that narrowed most, when the spine is none.
    pub(super) by: Option<AttributeIndexSid>,
    /// Rows that were read and evaluated one by one, because the database could not tell.
    pub(super) scanned: usize,
}

/// Finds items for one page.
pub(super) struct Finder<'a> {
    pub(super) db: &'a DatabaseConnection,
    pub(super) ground: &'a Ground,
    pub(super) filter: &'a Filter,
    pub(super) sort: &'a Sort,
    pub(super) order: &'a Order,
    /// Behind which place the page lies.
    pub(super) behind: Option<&'a Place>,
    /// The most items.
    pub(super) limit: usize,
    pub(super) trace: Trace,
    pub(super) limits: Limits,
    /// What was counted: the condition, to which limit, how many.
    pub(super) counts: Vec<(Term, usize, usize)>,
}

/// Of so many items with one value of a key, the group is worth a statement of its own.
const GROUP: i64 = 8;

/// What a walk goes along, and how many items it is to find.
#[derive(Clone, Copy)]
struct Along {
    spine: Spine,
    step: Step,
    limit: usize,
}

type Found<'f, T> = Pin<Box<dyn Future<Output = Result<Vec<Row<T>>>> + Send + 'f>>;

/// What a walk has found.
enum Walked<T> {
    /// In the order of one step; whether there may be more.
    Ordered(Vec<Row<T>>, bool),
    /// In the order that was asked for, as many as there are.
    Sorted(Vec<Row<T>>),
}

impl<'a> Finder<'a> {
    pub(super) fn new(
        db: &'a DatabaseConnection,
        ground: &'a Ground,
        (filter, sort): (&'a Filter, &'a Sort),
        order: &'a Order,
        behind: Option<&'a Place>,
        limit: usize,
        limits: Limits,
    ) -> Self {
        Self {
            db,
            ground,
            filter,
            sort,
            order,
            behind,
            limit,
            trace: Trace::default(),
            limits,
            counts: Vec::new(),
        }
    }

    /// The page's items, when the terms are exact and the database has every key of the order.
    pub(super) async fn page<T: Listed>(&mut self, terms: Vec<Term>) -> Result<Vec<Row<T>>> {
        let (first, behind) = (self.order.first(), self.behind.is_some());
        self.find(terms, first, behind).await
    }

    /// The first items of those that answer to the terms, which differ in the keys from `step` on. With `behind` only
    /// those behind the page's beginning, with which they are equal in the keys before.
    fn find<'f, T: Listed + 'f>(&'f mut self, terms: Vec<Term>, step: Step, behind: bool) -> Found<'f, T> {
        Box::pin(async move {
            if let Some(seek) = self.few(&terms).await? {
                return self.sift(&terms, seek, &[], behind).await;
            }
            let behind = self.behind.filter(|_| behind);
            if step == Step::Tie {
                let mut terms = terms;
                if let Some(place) = behind {
                    let sign = if self.order.backward { " < " } else { " > " };
                    terms.push(Term::Tie(sign, place.tie));
                }
                return match self.walk(&terms, step, self.limit).await? {
                    Walked::Ordered(rows, _) | Walked::Sorted(rows) => Ok(rows),
                };
            }
            let mut rows: Vec<Row<T>> = Vec::new();
            if let Some(place) = behind
                && let Some(Stretch::Group(group, next)) = self.order.group(step, place)
            {
                rows = self.find(with(&terms, group), next, true).await?;
            }
            for stretch in self.order.stretches(step, behind) {
                if rows.len() >= self.limit {
                    break;
                }
                match stretch {
                    Stretch::Group(group, next) => {
                        rows.append(&mut self.find(with(&terms, group), next, false).await?);
                    }
                    Stretch::Ordered(values) => {
                        let terms = with(&terms, values);
                        rows.append(&mut self.ordered(terms, step).await?);
                    }
                }
            }
            rows.truncate(self.limit);
            Ok(rows)
        })
    }

    /// The first items of a stretch. The walk has them in the order of one key; the groups that it has read to their
    /// ends are put in order here, and the one in which it stopped is asked for anew, ordered by the keys behind.
    async fn ordered<T: Listed>(&mut self, mut terms: Vec<Term>, step: Step) -> Result<Vec<Row<T>>> {
        let mut rows: Vec<Row<T>> = Vec::new();
        // Where a key has few values, most of a page would be read to know the first one, and asked for anew.
        while self.lies_in_groups(&terms, step).await? {
            let two = match self.walk(&terms, step, 2).await? {
                Walked::Sorted(mut last) => {
                    rows.append(&mut last);
                    return Ok(rows);
                }
                Walked::Ordered(two, _) => two,
            };
            let [one, two] = two.as_slice() else { break };
            if !self.order.same_group(step, &one.place, &two.place) {
                break;
            }
            let Some(Stretch::Group(group, next)) = self.order.group(step, &one.place) else {
                break;
            };
            let place = one.place.clone();
            rows.append(&mut self.find(with(&terms, group), next, false).await?);
            if rows.len() >= self.limit {
                return Ok(rows);
            }
            terms = with(&terms, self.order.behind_group(step, &place));
        }
        // One more than the page has: it tells that the last one's group is read to its end.
        let most = self.limit + 1;
        let (mut walked, more) = match self.walk(&terms, step, most).await? {
            Walked::Sorted(mut last) => {
                rows.append(&mut last);
                return Ok(rows);
            }
            Walked::Ordered(walked, more) => (walked, more),
        };
        let last = walked.last().filter(|_| more).map(|row| row.place.clone());
        if let Some(last) = &last {
            walked.retain(|row| !self.order.same_group(step, &row.place, last));
        }
        rows.append(&mut walked);
        if rows.len() < self.limit
            && let Some(last) = &last
            && let Some(Stretch::Group(group, next)) = self.order.group(step, last)
        {
            rows.append(&mut self.find(with(&terms, group), next, false).await?);
        }
        Ok(rows)
    }

    /// Whether many of the first items of a stretch share one value of its key, and further keys order them.
    async fn lies_in_groups(&self, terms: &[Term], step: Step) -> Result<bool> {
        if !(self.order.has_more_keys(step) && self.order.is_walkable(step)) {
            return Ok(false);
        }
        let spine = Spine::in_order(self.order, step);
        let sql = self.search(terms, spine, &[]).values(self.order, step, GROUP * 4);
        let Some(row) = sql.all(self.db).await?.into_iter().next() else {
            return Ok(false);
        };
        let (items, values): (i64, i64) = (row.try_get("", "items")?, row.try_get("", "kinds")?);
        Ok(items >= values.saturating_mul(GROUP))
    }

    /// Reads the items in the order of the step, by whatever leads to the first `limit` soonest; those that it sorts
    /// in memory are as many as the page may have.
    async fn walk<T: Listed>(&mut self, terms: &[Term], step: Step, limit: usize) -> Result<Walked<T>> {
        let mut spine = Spine::in_order(self.order, step);
        let seeks = seeks(terms);
        if step == Step::Tie
            && let Some(seek) = self.in_order_of_ids(terms, &seeks).await?
        {
            spine = Spine::of(terms, seek);
        }
        let others: Vec<usize> = seeks
            .iter()
            .copied()
            .filter(|seek| !spine.answers(terms, *seek))
            .collect();
        let along = Along { spine, step, limit };
        if others.is_empty() {
            return self.walk_along(terms, along, &[], None).await;
        }
        let walkable = self.order.is_walkable(step);
        // How far a walk must go, as far as a glance tells.
        let mut far = usize::MAX;
        if walkable {
            let glance = self.limits.glance.max(1);
            let walked = self.walk_along(terms, along, &[], Some(glance)).await?;
            let seen = match walked {
                Walked::Ordered(rows, false) | Walked::Sorted(rows) => rows.len(),
                full @ Walked::Ordered(_, true) => return Ok(full),
            };
            // Half as much again, for they do not lie evenly; and few different statements.
            if let Some(steps) = (glance * limit * 3 / 2).checked_div(seen) {
                far = steps.next_power_of_two();
            }
            if far <= self.limits.nearby
                && let full @ Walked::Ordered(_, true) = self.walk_along(terms, along, &[], Some(far)).await?
            {
                return Ok(full);
            }
        }
        let sets = self.sets(terms, &others).await?;
        if let Some((&smallest, rest)) = sets.split_first() {
            let spine = Spine::of(terms, smallest);
            if walkable && !rest.is_empty() {
                let most = self.limits.few + 1;
                let ids = self.ids(self.search(terms, spine, rest).ids(most)).await?;
                if ids.len() < most {
                    self.tell(spine, None);
                    return Ok(Walked::Sorted(self.sift_ids(ids, false, false).await?.0));
                }
            }
            if walkable
                && let full @ Walked::Ordered(_, true) = self
                    .walk_along(terms, along, &sets, Some(self.limits.walk))
                    .await?
            {
                return Ok(full);
            }
            return Ok(Walked::Sorted(self.sift(terms, smallest, rest, false).await?));
        }
        if others.len() > 1 {
            if walkable
                && let full @ Walked::Ordered(_, true) = self
                    .walk_along(terms, along, &[], Some(self.limits.stroll))
                    .await?
            {
                return Ok(full);
            }
            let search = self.search(terms, along.spine, &[]);
            let ids = self
                .ids(search.intersection(&others, self.limits.many + 1))
                .await?;
            if ids.len() <= self.limits.many {
                self.tell(Spine::of(terms, others[0]), None);
                return Ok(Walked::Sorted(self.sift_ids(ids, false, false).await?.0));
            }
        }
        self.walk_along(terms, along, &[], None).await
    }

    /// The condition of which an index has the items in the order of their ids, when that is the list's order.
    async fn in_order_of_ids(&mut self, terms: &[Term], seeks: &[usize]) -> Result<Option<usize>> {
        if self.ground.table.tie != "id" {
            return Ok(None);
        }
        let one_value: Vec<usize> = seeks
            .iter()
            .copied()
            .filter(|seek| terms[*seek].is_one_value())
            .collect();
        Ok(match one_value.as_slice() {
            [] => None,
            [one] => Some(*one),
            several => self
                .sets(terms, several)
                .await?
                .first()
                .or(several.first())
                .copied(),
        })
    }

    async fn walk_along<T: Listed>(
        &mut self,
        terms: &[Term],
        Along { spine, step, limit }: Along,
        sets: &[usize],
        among: Option<usize>,
    ) -> Result<Walked<T>> {
        let sql = self
            .search(terms, spine, sets)
            .walk(self.order, step, limit, among);
        let found = sql.all(self.db).await?;
        let more = found.len() >= limit;
        let mut rows = Vec::with_capacity(found.len());
        for row in &found {
            let row = Row::new(T::from_query_result(row, "")?, self.sort);
            if self.filter.matches(&row) {
                rows.push(row);
            }
        }
        // No database promises to keep the order of what it joins. Groups stay where they are.
        self.arrange(&mut rows);
        let by = sets.first().and_then(|set| Spine::of(terms, *set).index());
        self.tell(spine, by);
        Ok(Walked::Ordered(rows, more))
    }

    pub(super) fn search<'s>(&'s self, terms: &'s [Term], spine: Spine, sets: &'s [usize]) -> Search<'s> {
        Search {
            ground: self.ground,
            terms,
            spine,
            sets,
            // A little more than what was counted, so that what comes meanwhile is in it.
            set: self.limits.many * 2,
        }
    }

    pub(super) async fn ids(&self, sql: Sql) -> Result<Vec<Uuid>> {
        let rows = sql.all(self.db).await?;
        Ok(rows
            .iter()
            .map(|row| row.try_get("", "id"))
            .collect::<Result<_, _>>()?)
    }

    pub(super) fn tell(&mut self, spine: Spine, by: Option<AttributeIndexSid>) {
        self.trace.spine.get_or_insert(spine);
        self.trace.by = self.trace.by.or(spine.index()).or(by);
    }

    pub(super) fn compare(&self, one: &Place, other: &Place) -> std::cmp::Ordering {
        one.compare(other, self.sort, self.order.backward)
    }

    /// Puts rows in the order that was asked for.
    pub(super) fn arrange<T>(&self, rows: &mut [Row<T>]) {
        rows.sort_by(|one, other| self.compare(&one.place, &other.place));
    }
}

fn with(terms: &[Term], more: Vec<Term>) -> Vec<Term> {
    let mut all = terms.to_vec();
    for term in more {
        add(&mut all, term);
    }
    all
}

/// The terms that find their items by an index.
pub(super) fn seeks(terms: &[Term]) -> Vec<usize> {
    (0..terms.len()).filter(|number| terms[*number].seeks()).collect()
}
