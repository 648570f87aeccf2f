//! Bounded counts, by which one way to a page is chosen over another.

use super::{
    finder::{Finder, seeks},
    statement::Spine,
    term::Term,
};
use crate::{error::Result, sql::Sql};

impl Finder<'_> {
    /// The condition that so few items answer to that they are best read at once.
    pub(super) async fn few(&mut self, terms: &[Term]) -> Result<Option<usize>> {
        let mut best: Option<(usize, usize)> = None;
        for seek in seeks(terms) {
            let count = self.count(terms, seek, &[], self.limits.few + 1).await?;
            if count <= self.limits.few && best.is_none_or(|(_, least)| count < least) {
                best = Some((seek, count));
            }
        }
        Ok(best.map(|(seek, _)| seek))
    }

    /// Those of the conditions that not too many items answer to, the smallest first.
    pub(super) async fn sets(&mut self, terms: &[Term], of: &[usize]) -> Result<Vec<usize>> {
        let mut sets = Vec::new();
        for seek in of {
            let count = self.count(terms, *seek, &[], self.limits.many + 1).await?;
            if count <= self.limits.many {
                sets.push((count, *seek));
            }
        }
        sets.sort_unstable();
        Ok(sets.into_iter().map(|(_, seek)| seek).collect())
    }

    /// Counts the items of one condition that are in the sets, to a limit. What is known is not counted again.
    pub(super) async fn count(
        &mut self,
        terms: &[Term],
        seek: usize,
        sets: &[usize],
        limit: usize,
    ) -> Result<usize> {
        let known = self.counts.iter().find(|(term, to, count)| {
            sets.is_empty() && *term == terms[seek] && (*to >= limit || count < to)
        });
        if let Some((_, _, count)) = known {
            return Ok((*count).min(limit));
        }
        let mut parts: Vec<Term> = vec![terms[seek].clone()];
        parts.extend(sets.iter().map(|set| terms[*set].clone()));
        let numbers: Vec<usize> = (1..parts.len()).collect();
        let mut sql = Sql::new("SELECT ");
        self.search(&parts, Spine::of(&parts, 0), &numbers)
            .count(&mut sql, limit);
        sql.push(" AS found");
        let found: Option<i64> = match sql.all(self.db).await?.first() {
            Some(row) => row.try_get("", "found")?,
            None => None,
        };
        let count = usize::try_from(found.unwrap_or_default()).unwrap_or(limit);
        if sets.is_empty() {
            self.counts.push((terms[seek].clone(), limit, count));
        }
        Ok(count)
    }
}
