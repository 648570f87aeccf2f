//! Reading all items that answer to a condition, and sorting them in memory.

use uuid::Uuid;

use super::{
    finder::{Finder, seeks},
    statement::Spine,
    table::{Listed, Place, Row},
    term::Term,
};
use crate::{error::Result, sql::Sql};

/// How many rows are fetched at a time; a statement has one of these sizes.
const FETCHES: [usize; 3] = [8, 64, 512];

impl Finder<'_> {
    /// Reads the items of one condition and sorts them here.
    pub(super) async fn sift<T: Listed>(
        &mut self,
        terms: &[Term],
        seek: usize,
        sets: &[usize],
        behind: bool,
    ) -> Result<Vec<Row<T>>> {
        let spine = Spine::of(terms, seek);
        let ids = self
            .ids(self.search(terms, spine, sets).ids(self.limits.many * 2))
            .await?;
        self.tell(spine, None);
        Ok(self.sift_ids(ids, behind, false).await?.0)
    }

    /// Reads every item that answers to the terms, as far as they tell, and keeps those that are meant; `None` when
    /// more would have to be read than the operator allows.
    pub(super) async fn scan<T: Listed>(&mut self, terms: &[Term]) -> Result<Option<Vec<Row<T>>>> {
        let budget = self.limits.scan_budget;
        let mut narrowest = (Spine::Own, budget);
        for seek in seeks(terms) {
            let count = self.count(terms, seek, &[], budget + 1).await?;
            if count < narrowest.1 {
                narrowest = (Spine::of(terms, seek), count);
            }
        }
        let spine = narrowest.0;
        let mut ids = self.ids(self.search(terms, spine, &[]).ids(budget + 1)).await?;
        self.tell(spine, None);
        if ids.len() > budget {
            return Ok(None);
        }
        let in_order = self.sort.0.is_empty() && (spine == Spine::Own || self.ground.table.tie == "id");
        if in_order && spine != Spine::Own {
            ids.sort_unstable();
        }
        if in_order && self.order.backward {
            ids.reverse();
        }
        let (rows, read) = self.sift_ids(ids, self.behind.is_some(), in_order).await?;
        self.trace.scanned = read;
        Ok(Some(rows))
    }

    /// Fetches these items and keeps the first of those that are meant; tells how many it has read.
    pub(super) async fn sift_ids<T: Listed>(
        &mut self,
        ids: Vec<Uuid>,
        behind: bool,
        in_order: bool,
    ) -> Result<(Vec<Row<T>>, usize)> {
        let behind = self.behind.filter(|_| behind);
        let mut rows: Vec<Row<T>> = Vec::new();
        let (mut ids, mut read) = (ids.as_slice(), 0);
        if in_order
            && let Some(place) = behind
            && let Some(at) = ids.iter().position(|id| *id == place.id)
        {
            ids = &ids[at + 1..];
        }
        while !ids.is_empty() {
            if in_order && rows.len() >= self.limit {
                break;
            }
            // What is in order may end soon.
            let least = if in_order { FETCHES[1] } else { FETCHES[2] };
            let (now, later) = ids.split_at(ids.len().min(least));
            ids = later;
            for model in self.fetch(now).await? {
                let row = Row::<T>::new(model, self.sort);
                let ahead = behind.is_none_or(|place| self.compare(&row.place, place).is_gt());
                if ahead && self.filter.matches(&row) {
                    rows.push(row);
                }
            }
            read += now.len();
            if rows.len() > self.limit {
                self.arrange(&mut rows);
                rows.truncate(self.limit);
            }
        }
        self.arrange(&mut rows);
        Ok((rows, read))
    }

    async fn fetch<T: Listed>(&self, ids: &[Uuid]) -> Result<Vec<T>> {
        let size = FETCHES
            .into_iter()
            .find(|size| *size >= ids.len())
            .unwrap_or(ids.len());
        let Some(last) = ids.last() else {
            return Ok(Vec::new());
        };
        let padding = std::iter::repeat_n(last, size - ids.len());
        let mut sql = Sql::new("SELECT r.* FROM ");
        sql.push(self.ground.table.name).push(" r WHERE ");
        self.ground.own_rows(&mut sql, "r");
        sql.push(" AND r.id IN (")
            .list(ids.iter().chain(padding).map(|id| (*id).into()))
            .push(")");
        let rows = sql.all(self.db).await?;
        Ok(rows
            .iter()
            .map(|row| T::from_query_result(row, ""))
            .collect::<Result<_, _>>()?)
    }

    /// The row at a place, for tokens that do not tell all of it.
    pub(super) async fn place_of<T: Listed>(&self, id: Uuid) -> Result<Option<Place>> {
        let found = self.fetch::<T>(&[id]).await?;
        Ok(found
            .into_iter()
            .next()
            .map(|model| Row::new(model, self.sort).place))
    }
}
