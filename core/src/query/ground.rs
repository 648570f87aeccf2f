//! The tables of a list's items, and terms written over them.

use sea_orm::DbBackend;
use uuid::Uuid;

use super::{
    key_test::{KeyTest, write_tests},
    table::Table,
    term::Term,
};
use crate::{
    sid::{AttributeIndexSid, ChannelSid, ServiceSid},
    sql::Sql,
};

/// The items that a list is about, and how their tables are reached.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ground {
    pub(super) table: &'static Table,
    pub(super) backend: DbBackend,
    pub(super) service: ServiceSid,
    /// The channel, of members and messages.
    pub(super) channel: Option<ChannelSid>,
}

impl Ground {
    /// What entries are confined to.
    pub(super) fn scope(&self) -> Uuid {
        self.channel.map_or(self.service.0, |channel| channel.0)
    }

    /// Writes the beginning of every condition over `alias`, a row of the items' own table that is still there.
    pub(super) fn own_rows(&self, sql: &mut Sql, alias: &str) {
        sql.push(alias).push(".service_id = ").bind(self.service);
        if let Some(channel) = self.channel {
            sql.push(" AND ").push(alias).push(".channel_id = ").bind(channel);
        }
        self.alive(sql, alias);
    }

    /// Writes that `alias`, a row of the items' own table, is still there, after another condition.
    pub(super) fn alive(&self, sql: &mut Sql, alias: &str) {
        if let Some(gone) = self.table.gone {
            sql.push(" AND ")
                .push(alias)
                .push(".")
                .push(gone)
                .push(" IS NULL");
        }
    }

    /// Writes the beginning of every condition over `alias`, an entry or element of this index.
    pub(super) fn entries(&self, sql: &mut Sql, alias: &str, index: AttributeIndexSid) {
        sql.push(alias)
            .push(".service_id = ")
            .bind(self.service)
            .push(" AND ")
            .push(alias)
            .push(".index_id = ")
            .bind(index)
            .push(" AND ")
            .push(alias)
            .push(".scope_id = ")
            .bind(self.scope());
    }

    /// Writes the term over a row that has all of it at hand. The result may be null in place of false.
    pub(super) fn direct(&self, sql: &mut Sql, term: &Term, alias: &str) {
        match term {
            Term::Own(own) => own.write(sql, alias, self.backend),
            Term::Entry(_, tests) => write_tests(tests, sql, alias),
            Term::Element(_, element) => write_tests(&KeyTest::is(element), sql, alias),
            Term::Tie(sign, tie) => {
                sql.push(alias)
                    .push(".")
                    .push(self.table.tie)
                    .push(sign)
                    .bind(*tie);
            }
            term => self.whole(sql, term, &format!("{alias}.id"), Some(alias)),
        }
    }

    /// Writes the term over an item of which the id is at hand, and perhaps its row. The result is true or false.
    ///
    /// Each part is a subquery of its own that yields one value: the database looks it up by its key for each item,
    /// and cannot turn it into a join of its own liking.
    pub(super) fn whole(&self, sql: &mut Sql, term: &Term, id: &str, row: Option<&str>) {
        match term {
            Term::Own(_) | Term::Tie(..) => match row {
                Some(alias) => {
                    sql.push("(");
                    self.direct(sql, term, alias);
                    sql.push(") IS TRUE");
                }
                None => self.own_probe(sql, &[term], id, false),
            },
            Term::Entry(index, tests) => {
                sql.push("(SELECT (");
                write_tests(tests, sql, "p");
                sql.push(") FROM attribute_entries p WHERE ");
                self.entries(sql, "p", *index);
                sql.push(" AND p.item_id = ").push(id).push(") IS TRUE");
            }
            Term::Element(index, element) => {
                sql.push("(SELECT 1 FROM attribute_elements p WHERE ");
                self.entries(sql, "p", *index);
                sql.push(" AND p.item_id = ").push(id).push(" AND ");
                write_tests(&KeyTest::is(element), sql, "p");
                sql.push(" LIMIT 1) IS NOT NULL");
            }
            Term::Joined(identity) => {
                sql.push("(SELECT 1 FROM members j WHERE j.service_id = ")
                    .bind(self.service)
                    .push(" AND j.channel_id = ")
                    .push(id)
                    .push(" AND j.identity = ")
                    .bind(identity.as_str())
                    .push(") IS NOT NULL");
            }
            Term::All(terms) => self.joined(sql, terms, " AND ", "1 = 1", id, row),
            Term::Any(terms) => self.joined(sql, terms, " OR ", "1 = 0", id, row),
            Term::Not(term) => {
                sql.push("NOT (");
                self.whole(sql, term, id, row);
                sql.push(")");
            }
        }
    }

    fn joined(&self, sql: &mut Sql, terms: &[Term], by: &str, none: &str, id: &str, row: Option<&str>) {
        sql.push("(");
        if terms.is_empty() {
            sql.push(none);
        }
        for (number, term) in terms.iter().enumerate() {
            if number > 0 {
                sql.push(by);
            }
            self.whole(sql, term, id, row);
        }
        sql.push(")");
    }

    /// Writes that the item's row answers to these terms, and with `alive` that it is still there.
    pub(super) fn own_probe(&self, sql: &mut Sql, terms: &[&Term], id: &str, alive: bool) {
        sql.push("(SELECT 1 FROM ")
            .push(self.table.name)
            .push(" p WHERE ");
        if alive {
            self.own_rows(sql, "p");
        } else {
            sql.push("p.service_id = ").bind(self.service);
            if let Some(channel) = self.channel {
                sql.push(" AND p.channel_id = ").bind(channel);
            }
        }
        sql.push(" AND p.id = ").push(id);
        for term in terms {
            sql.push(" AND ");
            self.direct(sql, term, "p");
        }
        sql.push(") IS NOT NULL");
    }
}
