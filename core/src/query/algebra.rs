//! Conditions as sets of ids, put together by the database as sets are: each is read once from end to end. That is how
//! very many items are counted; to look each of them up would take far longer.

use super::{
    ground::Ground,
    statement::{Search, Spine},
    term::Term,
};
use crate::sql::Sql;

impl Ground {
    /// Writes a query for the ids of the items that answer to all of these.
    pub(super) fn ids_of_all(&self, sql: &mut Sql, terms: &[Term]) {
        let (not, are): (Vec<&Term>, Vec<&Term>) =
            terms.iter().partition(|term| matches!(term, Term::Not(_)));
        if are.is_empty() {
            self.ids_of_everything(sql);
        }
        for (number, term) in are.into_iter().enumerate() {
            if number > 0 {
                sql.push(" INTERSECT ");
            }
            self.nested(sql, term);
        }
        for term in not {
            if let Term::Not(term) = term {
                sql.push(" EXCEPT ");
                self.nested(sql, term);
            }
        }
    }

    /// Writes a query for the ids of all items that are still there.
    pub(super) fn ids_of_everything(&self, sql: &mut Sql) {
        sql.push("SELECT t.id AS id FROM ")
            .push(self.table.name)
            .push(" t WHERE ");
        self.own_rows(sql, "t");
    }

    fn nested(&self, sql: &mut Sql, term: &Term) {
        sql.push("SELECT x.id FROM (");
        self.ids_of(sql, term);
        sql.push(") x");
    }

    fn ids_of(&self, sql: &mut Sql, term: &Term) {
        match term {
            term if term.is_own() => {
                self.ids_of_everything(sql);
                sql.push(" AND ");
                self.direct(sql, term, "t");
            }
            Term::All(terms) => self.ids_of_all(sql, terms),
            Term::Any(terms) => {
                for (number, term) in terms.iter().enumerate() {
                    if number > 0 {
                        sql.push(" UNION ");
                    }
                    self.nested(sql, term);
                }
            }
            Term::Not(_) => self.ids_of_all(sql, std::slice::from_ref(term)),
            term => {
                let one = std::slice::from_ref(term);
                let spine = Spine::of(one, 0);
                let search = Search {
                    ground: self,
                    terms: one,
                    spine,
                    sets: &[],
                    set: 0,
                };
                sql.push("SELECT ").push(&spine.id("s")).push(" AS id FROM ");
                search.from(sql, "s", None);
                sql.push(" WHERE ");
                search.direct(sql, "s");
            }
        }
    }
}
