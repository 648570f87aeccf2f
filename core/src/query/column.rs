//! Conditions on own columns, written.

use sea_orm::{DbBackend, Value};

use super::own::{Is, OwnTerm, SECOND};
use crate::{
    filter::{Kind, OwnField},
    sql::Sql,
};

impl OwnTerm {
    /// Writes it over the row `alias`; the result may be null in place of false.
    pub(super) fn write(&self, sql: &mut Sql, alias: &str, backend: DbBackend) {
        let field = self.field;
        match &self.is {
            Is::Anything(true) => {
                sql.push("1 = 1");
            }
            Is::Anything(false) => {
                sql.push("1 = 0");
            }
            Is::Null(null) => {
                sql.push(&column(field, alias))
                    .push(if *null { " IS NULL" } else { " IS NOT NULL" });
            }
            Is::OneOf(values) if field.kind == Kind::Date => {
                for (number, value) in values.iter().enumerate() {
                    let from = match value {
                        Value::BigInt(Some(from)) => *from,
                        _ => continue,
                    };
                    sql.push(if number == 0 { "(" } else { " OR " })
                        .push(&column(field, alias))
                        .push(" >= ")
                        .bind(from)
                        .push(" AND ")
                        .push(&column(field, alias))
                        .push(" < ")
                        .bind(from.saturating_add(SECOND));
                }
                sql.push(")");
            }
            Is::OneOf(values) => {
                let collated = if field.indexed && field.kind == Kind::Text {
                    ordered_column(field, alias, backend)
                } else {
                    column(field, alias)
                };
                sql.push(&collated);
                if let [value] = values.as_slice() {
                    sql.push(" = ").bind(value.clone());
                } else {
                    sql.push(" IN (").list(values.iter().cloned()).push(")");
                }
            }
            Is::Within(from, to) => {
                let column = ordered_column(field, alias, backend);
                let bounds = [(" >= ", from), (" < ", to)];
                let given = bounds
                    .iter()
                    .filter_map(|(sign, bound)| bound.as_ref().map(|it| (sign, it)));
                for (number, (sign, bound)) in given.enumerate() {
                    if number > 0 {
                        sql.push(" AND ");
                    }
                    sql.push(&column).push(sign).bind(bound.clone());
                }
            }
            Is::Ordered(sign, text) => {
                sql.push(&ordered_column(field, alias, backend))
                    .push(sign)
                    .bind(text.as_str());
            }
            Is::SidText(sign, text) => {
                sql.push(&sid_text(field, alias, backend))
                    .push(sign)
                    .bind(text.as_str());
            }
        }
    }
}

/// The column, or the expression in its place.
fn column(field: &OwnField, alias: &str) -> String {
    if field.column.starts_with('\'') {
        field.column.to_owned()
    } else if field.column.starts_with('(') {
        field.column.replace("{}", alias)
    } else {
        format!("{alias}.{}", field.column)
    }
}

/// The column in the order of its values: texts by code point, whatever the database's locale.
pub(super) fn ordered_column(field: &OwnField, alias: &str, backend: DbBackend) -> String {
    let column = column(field, alias);
    if field.kind == Kind::Text && backend == DbBackend::Postgres {
        format!("{column} COLLATE \"C\"")
    } else {
        column
    }
}

fn sid_text(field: &OwnField, alias: &str, backend: DbBackend) -> String {
    let (column, prefix) = (
        column(field, alias),
        match field.kind {
            Kind::Sid(prefix) => prefix,
            _ => "",
        },
    );
    if backend == DbBackend::Postgres {
        format!("('{prefix}' || replace({column}::text, '-', '')) COLLATE \"C\"")
    } else {
        format!("('{prefix}' || lower(hex({column})))")
    }
}
