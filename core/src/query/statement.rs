//! The statements that find items. Their texts depend on the form of what is asked and never on what a page holds, so
//! that the databases prepare them once; and they leave the databases no choice of the order of their joins, which
//! the statistics of a table that many services share would only mislead.

use sea_orm::DbBackend;

use super::{
    column::ordered_column,
    ground::Ground,
    order::{By, Order, Step},
    table::Tie,
    term::Term,
};
use crate::{filter::OwnField, sid::AttributeIndexSid, sql::Sql};

/// From where items are read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Spine {
    /// Their own table.
    Own,
    /// Their entries in an index.
    Entries(AttributeIndexSid),
    /// The elements that are equal to the one of the term at this place.
    Elements(AttributeIndexSid, usize),
}

impl Spine {
    /// Where the items of this term are found.
    pub(super) fn of(terms: &[Term], number: usize) -> Self {
        match &terms[number] {
            Term::Entry(index, _) => Self::Entries(*index),
            Term::Element(index, _) => Self::Elements(*index, number),
            _ => Self::Own,
        }
    }

    /// Where the items are in the order of this step.
    pub(super) fn in_order(order: &Order, step: Step) -> Self {
        match step {
            Step::Key(number) | Step::Rest(number) => match order.parts[number].by {
                By::Entry(index) => Self::Entries(index),
                By::Own(_) => Self::Own,
            },
            Step::Tie => Self::Own,
        }
    }

    /// Whether the term at this place is answered by what is read here.
    pub(super) fn answers(self, terms: &[Term], number: usize) -> bool {
        match (self, &terms[number]) {
            (Self::Own, term) => term.is_own(),
            (_, Term::Tie(_, Tie::Id(_))) => true,
            (Self::Entries(own), Term::Entry(index, _)) => own == *index,
            (Self::Elements(_, own), _) => own == number,
            _ => false,
        }
    }

    /// The declared index, if it is one.
    pub(super) fn index(self) -> Option<AttributeIndexSid> {
        match self {
            Self::Own => None,
            Self::Entries(index) | Self::Elements(index, _) => Some(index),
        }
    }

    pub(super) fn id(self, alias: &str) -> String {
        match self {
            Self::Own => format!("{alias}.id"),
            Self::Entries(_) | Self::Elements(..) => format!("{alias}.item_id"),
        }
    }
}

/// What is asked of items, and how they are found.
#[derive(Clone, Copy)]
pub(super) struct Search<'a> {
    pub(super) ground: &'a Ground,
    /// All of these.
    pub(super) terms: &'a [Term],
    pub(super) spine: Spine,
    /// The terms of which all items are read first, to look each item up in memory. They must be few.
    pub(super) sets: &'a [usize],
    /// How large a set may become; the planner reads from it that a set fits into memory.
    pub(super) set: usize,
}

impl Search<'_> {
    /// Counts to `limit` how many items there are.
    pub(super) fn count(&self, sql: &mut Sql, limit: usize) {
        sql.push("(SELECT count(*) FROM (SELECT 1 AS one FROM ");
        self.from(sql, "s", None);
        sql.push(" WHERE ");
        self.direct(sql, "s");
        self.looked_up(sql, &self.spine.id("s"));
        sql.push(&format!(" LIMIT {limit}) c)"));
    }

    /// Asks for the ids of at most `limit` items; from their own table, in the order of the list without `Sort`.
    pub(super) fn ids(&self, limit: usize) -> Sql {
        let mut sql = Sql::new("SELECT ");
        sql.push(&self.spine.id("s")).push(" AS id FROM ");
        self.from(&mut sql, "s", None);
        sql.push(" WHERE ");
        self.direct(&mut sql, "s");
        self.rest(&mut sql, "s");
        if self.spine == Spine::Own {
            sql.push(" ORDER BY s.").push(self.ground.table.tie);
        }
        sql.push(&format!(" LIMIT {limit}"));
        sql
    }

    /// Asks for the rows of the first `limit` items in the order of the step; with `among` only of those among the
    /// first so many that the spine has.
    pub(super) fn walk(&self, order: &Order, step: Step, limit: usize, among: Option<usize>) -> Sql {
        let mut sql = Sql::new("SELECT r.* FROM (SELECT ");
        let (field, column, direction) = self.place(order, step);
        let id = self.spine.id("s");
        if let Some(among) = among {
            sql.push("w.id, w.place FROM (SELECT ")
                .push(&id)
                .push(" AS id, ")
                .push(&column);
            sql.push(" AS place FROM ");
            self.from(&mut sql, "s", field);
            sql.push(" WHERE ");
            self.direct(&mut sql, "s");
            sql.push(&format!(
                " ORDER BY {column}{direction} LIMIT {among}) w WHERE 1 = 1"
            ));
            self.looked_up(&mut sql, "w.id");
            // What is asked of the row itself is asked where it is read: it is looked up once.
            self.probe(&mut sql, "w.id", self.left(), false);
            sql.push(") k CROSS JOIN ");
            self.row_of(&mut sql, "k.id", self.spine != Spine::Own);
            if self.ground.backend == DbBackend::Postgres {
                // It is in this order already, which SQLite cannot tell: it would sort all of it first.
                sql.push(&format!(" ORDER BY k.place{direction}"));
            }
            sql.push(&format!(" LIMIT {limit}"));
        } else {
            sql.push(&id).push(" AS id FROM ");
            self.from(&mut sql, "s", field);
            sql.push(" WHERE ");
            self.direct(&mut sql, "s");
            self.rest(&mut sql, "s");
            sql.push(&format!(" ORDER BY {column}{direction}"));
            sql.push(&format!(" LIMIT {limit}) k CROSS JOIN "));
            self.row_of(&mut sql, "k.id", false);
        }
        sql
    }

    /// Asks how many `items` the first `among` of the spine are, at most so many, and how many `kinds` of places they
    /// have in the order of the step.
    pub(super) fn values(&self, order: &Order, step: Step, among: i64) -> Sql {
        let (field, column, direction) = self.place(order, step);
        let mut sql = Sql::new("SELECT count(*) AS items, count(DISTINCT w.place) AS kinds FROM (SELECT ");
        sql.push(&column).push(" AS place FROM ");
        self.from(&mut sql, "s", field);
        sql.push(" WHERE ");
        self.direct(&mut sql, "s");
        sql.push(&format!(" ORDER BY {column}{direction} LIMIT {among}) w"));
        sql
    }

    /// By which own field the items are in the order of the step, if by one; the column; and its direction.
    fn place(&self, order: &Order, step: Step) -> (Option<&'static OwnField>, String, &'static str) {
        let (field, descending) = match step {
            Step::Key(number) | Step::Rest(number) => {
                let part = order.parts[number];
                let field = match part.by {
                    By::Own(field) => Some(field),
                    By::Entry(_) => None,
                };
                (field, part.descending)
            }
            Step::Tie => (None, order.backward),
        };
        let column = match (field, step, self.spine) {
            (Some(field), ..) => ordered_column(field, "s", self.ground.backend),
            (None, Step::Key(_), _) => "s.key".to_owned(),
            (None, Step::Rest(_), _) => "s.rest".to_owned(),
            (None, Step::Tie, Spine::Own) => format!("s.{}", self.ground.table.tie),
            (None, Step::Tie, _) => "s.item_id".to_owned(),
        };
        (field, column, if descending { " DESC" } else { "" })
    }

    /// Asks for the ids of at most `limit` items, read as the sets of these terms that have them in common.
    pub(super) fn intersection(&self, of: &[usize], limit: usize) -> Sql {
        let mut sql = Sql::new("SELECT i.id FROM (");
        for (place, number) in of.iter().enumerate() {
            if place > 0 {
                sql.push(" INTERSECT ");
            }
            sql.push("SELECT ");
            self.members_of(&mut sql, *number);
        }
        sql.push(") i WHERE 1 = 1");
        let search = Search { sets: of, ..*self };
        search.probe_all_but_sets(&mut sql, "i.id");
        sql.push(&format!(" LIMIT {limit}"));
        sql
    }

    /// Writes the row of an item; with `checked` only if it is still there and answers to what is asked of the row.
    fn row_of(&self, sql: &mut Sql, id: &str, checked: bool) {
        let table = self.ground.table.name;
        let keys = |sql: &mut Sql, alias: &str| {
            sql.push(&format!("{alias}.service_id = "))
                .bind(self.ground.service);
            if let Some(channel) = self.ground.channel {
                sql.push(&format!(" AND {alias}.channel_id = ")).bind(channel);
            }
            sql.push(&format!(" AND {alias}.id = {id}"));
            if checked {
                self.ground.alive(sql, alias);
                for term in self.terms.iter().filter(|term| term.is_own()) {
                    sql.push(" AND ");
                    self.ground.direct(sql, term, alias);
                }
            }
        };
        if self.ground.backend == DbBackend::Postgres {
            // OFFSET 0: the row is looked up by its key, whatever the planner expects.
            sql.push(&format!("LATERAL (SELECT * FROM {table} t WHERE "));
            keys(sql, "t");
            sql.push(" OFFSET 0) r");
        } else {
            sql.push(&format!("{table} r ON "));
            keys(sql, "r");
        }
    }

    /// Writes the table that is read, for SQLite with the index to read it by.
    pub(super) fn from(&self, sql: &mut Sql, alias: &str, in_order_of: Option<&OwnField>) {
        let (table, index) = match self.spine {
            Spine::Own => {
                let table = self.ground.table;
                let own = in_order_of
                    .filter(|field| field.indexed && field.column != "id" && field.column != table.tie);
                (
                    table.name,
                    own.map(|field| format!("ix_{}_{}", table.name, field.column)),
                )
            }
            Spine::Entries(_) => ("attribute_entries", Some("ix_attribute_entries_order".to_owned())),
            Spine::Elements(..) => ("attribute_elements", Some("ix_attribute_elements_key".to_owned())),
        };
        sql.push(table).push(" ").push(alias);
        if let Some(index) = index.filter(|_| self.ground.backend == DbBackend::Sqlite) {
            sql.push(" INDEXED BY ").push(&index);
        }
    }

    /// Writes what the spine itself answers.
    pub(super) fn direct(&self, sql: &mut Sql, alias: &str) {
        match self.spine {
            Spine::Own => self.ground.own_rows(sql, alias),
            Spine::Entries(index) | Spine::Elements(index, _) => self.ground.entries(sql, alias, index),
        }
        for (number, term) in self.terms.iter().enumerate() {
            if self.spine.answers(self.terms, number) {
                sql.push(" AND ");
                match (self.spine, term) {
                    (Spine::Own, _) => self.ground.direct(sql, term, alias),
                    (spine, Term::Tie(sign, tie)) => {
                        sql.push(&spine.id(alias)).push(sign).bind(*tie);
                    }
                    _ => self.ground.direct(sql, term, alias),
                }
            }
        }
    }

    fn rest(&self, sql: &mut Sql, alias: &str) {
        let id = self.spine.id(alias);
        self.looked_up(sql, &id);
        self.probed(sql, &id);
    }

    /// Writes that the item is in each set. A set is read once.
    fn looked_up(&self, sql: &mut Sql, id: &str) {
        for number in self.sets {
            sql.push(" AND (").push(id).push(" IN (SELECT ");
            self.members_of(sql, *number);
            sql.push(&format!(" LIMIT {})) IS TRUE", self.set));
        }
    }

    fn members_of(&self, sql: &mut Sql, number: usize) {
        let one = std::slice::from_ref(&self.terms[number]);
        let set = Search {
            terms: one,
            spine: Spine::of(one, 0),
            sets: &[],
            ..*self
        };
        sql.push(&set.spine.id("m")).push(" AS id FROM ");
        set.from(sql, "m", None);
        sql.push(" WHERE ");
        set.direct(sql, "m");
    }

    /// Writes what is looked up for each item: the terms that neither spine nor sets answer.
    fn probed(&self, sql: &mut Sql, id: &str) {
        self.probe(sql, id, self.left(), self.spine != Spine::Own);
    }

    /// The terms that the spine does not answer.
    pub(super) fn left(&self) -> impl Iterator<Item = usize> {
        (0..self.terms.len()).filter(|number| !self.spine.answers(self.terms, *number))
    }

    /// Writes what is looked up for an item that nothing but the sets was read of.
    fn probe_all_but_sets(&self, sql: &mut Sql, id: &str) {
        self.probe(sql, id, 0..self.terms.len(), true);
    }

    pub(super) fn probe(&self, sql: &mut Sql, id: &str, numbers: impl Iterator<Item = usize>, own_row: bool) {
        let (own, others): (Vec<&Term>, Vec<&Term>) = numbers
            .filter(|number| !self.sets.contains(number))
            .map(|number| &self.terms[number])
            .partition(|term| term.is_own());
        for term in others {
            sql.push(" AND ");
            self.ground.whole(sql, term, id, None);
        }
        if own_row {
            sql.push(" AND ");
            self.ground.own_probe(sql, &own, id, true);
        }
    }
}
