//! Hand-written set-based statements for the hot paths, one text for both databases.

use std::fmt::{self, Write as _};

use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement, Value};

use crate::timestamp::Timestamp;

/// The type of a column of long texts in [`Sql::table`].
pub(crate) const LONG: &str = "long text";

/// What stands for a value in the text until it is known how the database writes placeholders.
const PLACE: char = '\u{1}';

/// A statement under construction.
pub(crate) struct Sql {
    text: String,
    values: Vec<Value>,
}

impl Sql {
    /// Begins with this text.
    pub(crate) fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            values: Vec::new(),
        }
    }

    /// Appends text.
    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Appends a placeholder bound to `value`.
    pub(crate) fn bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push(value.into());
        self.text.push(PLACE);
        self
    }

    /// Appends placeholders bound to `values`, with commas between them.
    pub(crate) fn list(&mut self, values: impl IntoIterator<Item = Value>) -> &mut Self {
        for (number, value) in values.into_iter().enumerate() {
            if number > 0 {
                self.push(",");
            }
            self.bind(value);
        }
        self
    }

    /// Appends `(VALUES (…),(…))` of the rows, which both databases accept behind `IN`.
    pub(crate) fn values<const N: usize>(&mut self, rows: impl IntoIterator<Item = [Value; N]>) -> &mut Self {
        self.push("(VALUES ");
        self.rows(rows);
        self.push(")")
    }

    /// Appends `(…),(…)`.
    pub(crate) fn rows<const N: usize>(&mut self, rows: impl IntoIterator<Item = [Value; N]>) -> &mut Self {
        for (row_number, row) in rows.into_iter().enumerate() {
            self.push(if row_number == 0 { "(" } else { ",(" });
            self.list(row).push(")");
        }
        self
    }

    /// Appends `name(column, …) AS (…)` with these rows, for a `WITH`; each column is given with its type. On Postgres the
    /// rows travel as one array a column: the text, and with it the plan, stays the same whatever their number. Long texts
    /// ([`LONG`]) are bound one by one, since reading an array of them takes longer than writing them down; their number
    /// is rounded up, so that there are few texts of the statement. The first column must not be null.
    pub(crate) fn table<const N: usize>(
        &mut self,
        backend: DbBackend,
        name: &str,
        columns: [(&str, &str); N],
        rows: impl IntoIterator<Item = [Value; N]>,
    ) -> &mut Self {
        self.push(name).push("(");
        for (number, (column, _)) in columns.iter().enumerate() {
            self.push(if number == 0 { "" } else { ", " }).push(column);
        }
        self.push(") AS (");
        if backend != DbBackend::Postgres {
            self.push("VALUES ");
            return self.rows(rows).push(")");
        }
        let mut arrays: [(Array, Vec<Value>); N] = std::array::from_fn(|_| Default::default());
        for row in rows {
            for ((array, long), (value, (_, kind))) in arrays.iter_mut().zip(row.into_iter().zip(columns)) {
                if kind == LONG {
                    long.push(value);
                } else {
                    array.add(&value);
                }
            }
        }
        self.push("SELECT * FROM unnest(");
        for (number, ((array, long), (_, kind))) in arrays.into_iter().zip(columns).enumerate() {
            self.push(if number == 0 { "" } else { ", " });
            if kind == LONG {
                let missing = long.len().next_power_of_two() - long.len();
                let padding = std::iter::repeat_n(Value::String(None), missing);
                self.push("CAST(ARRAY[").list(long.into_iter().chain(padding));
                self.push("] AS text[])");
            } else {
                self.array(array, kind);
            }
        }
        self.push(") AS padded(");
        for (number, (column, _)) in columns.iter().enumerate() {
            self.push(if number == 0 { "" } else { ", " }).push(column);
        }
        self.push(") WHERE ")
            .push(columns.first().map_or("true", |(column, _)| column));
        self.push(" IS NOT NULL)")
    }

    /// Appends the condition that `column`, of this type, is one of these values. On Postgres they travel as one array.
    pub(crate) fn one_of_values(
        &mut self,
        backend: DbBackend,
        (column, kind): (&str, &str),
        values: impl IntoIterator<Item = Value>,
    ) -> &mut Self {
        self.push(column);
        if backend != DbBackend::Postgres {
            return self.push(" IN (").list(values).push(")");
        }
        let mut array = Array::default();
        for value in values {
            array.add(&value);
        }
        self.push(" = ANY(").array(array, kind).push(")")
    }

    fn array(&mut self, array: Array, kind: &str) -> &mut Self {
        self.push("CAST(CAST(").bind(array.end());
        self.push(" AS text) AS ").push(kind).push("[])")
    }

    /// Appends the condition that `column` is one of what `query` answers, to be looked up one by one. Left to itself,
    /// Postgres reads all of a large table rather than look for some thousands of its rows.
    pub(crate) fn one_of(
        &mut self,
        backend: DbBackend,
        column: &str,
        query: impl FnOnce(&mut Self),
    ) -> &mut Self {
        let (begin, end) = if backend == DbBackend::Postgres {
            (" = ANY(ARRAY(", "))")
        } else {
            (" IN (", ")")
        };
        self.push(column).push(begin);
        query(self);
        self.push(end)
    }

    /// Appends ` FOR UPDATE` where rows are locked one by one; SQLite's transaction holds the whole file.
    pub(crate) fn for_update(&mut self, backend: DbBackend) -> &mut Self {
        if backend == DbBackend::Postgres {
            self.push(" FOR UPDATE")
        } else {
            self
        }
    }

    /// Appends ` FOR UPDATE SKIP LOCKED` where rows are locked one by one.
    pub(crate) fn for_update_skipping_locked(&mut self, backend: DbBackend) -> &mut Self {
        if backend == DbBackend::Postgres {
            self.push(" FOR UPDATE SKIP LOCKED")
        } else {
            self
        }
    }

    /// Appends the present moment by the one clock that all processes share: the database's. SQLite's processes share
    /// their machine's.
    pub(crate) fn clock(&mut self, backend: DbBackend) -> &mut Self {
        if backend == DbBackend::Postgres {
            self.push("CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)")
        } else {
            self.bind(Timestamp::now())
        }
    }

    pub(crate) async fn all(self, db: &impl ConnectionTrait) -> Result<Vec<QueryResult>, DbErr> {
        db.query_all_raw(self.statement(db.get_database_backend())).await
    }

    pub(crate) async fn execute(self, db: &impl ConnectionTrait) -> Result<ExecResult, DbErr> {
        db.execute_raw(self.statement(db.get_database_backend())).await
    }

    /// The statement with its placeholders: numbered ones for Postgres. SQLite would take them for names, and look
    /// through all of them for each value that is bound.
    fn statement(self, backend: DbBackend) -> Statement {
        let mut parts = self.text.split(PLACE);
        let mut text = String::with_capacity(self.text.len() + 3 * self.values.len());
        text.push_str(parts.next().unwrap_or_default());
        for (number, part) in (1..).zip(parts) {
            if backend == DbBackend::Postgres {
                // Writing to a text does not fail.
                let _ = write!(text, "${number}");
            } else {
                text.push('?');
            }
            text.push_str(part);
        }
        Statement::from_sql_and_values(backend, text, self.values)
    }
}

/// An array as Postgres reads it from a text: `{"a","b",NULL}`.
#[derive(Default)]
struct Array(String);

impl Array {
    fn add(&mut self, value: &Value) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        match value {
            Value::Uuid(Some(id)) => self.write(id),
            Value::BigInt(Some(number)) => self.write(number),
            Value::Int(Some(number)) => self.write(number),
            Value::Bool(Some(truth)) => self.write(truth),
            Value::String(Some(text)) => {
                self.0.push('"');
                for part in text.split_inclusive(['"', '\\']) {
                    match part.strip_suffix(['"', '\\']) {
                        Some(plain) => {
                            self.0.push_str(plain);
                            self.0.push('\\');
                            self.0.push_str(&part[plain.len()..]);
                        }
                        None => self.0.push_str(part),
                    }
                }
                self.0.push('"');
            }
            value => {
                debug_assert!(*value == value.as_null(), "a value that is not put into arrays");
                self.0.push_str("NULL");
            }
        }
    }

    fn write(&mut self, value: impl fmt::Display) {
        // Writing to a text does not fail.
        let _ = write!(self.0, "{value}");
    }

    fn end(mut self) -> String {
        self.0.push_str(if self.0.is_empty() { "{}" } else { "}" });
        self.0
    }
}

/// The most items that [`portions`] puts together.
const MOST: usize = 128;

/// Cuts items into portions whose sizes are powers of two: few sizes make few texts of statements, which are prepared
/// once.
pub(crate) fn portions<T>(items: &[T]) -> impl Iterator<Item = &[T]> {
    let mut rest = items;
    std::iter::from_fn(move || {
        let most = rest.len().min(MOST);
        let size = 1 << most.checked_ilog2()?;
        let (portion, behind) = rest.split_at(size);
        rest = behind;
        Some(portion)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_keep_what_they_are_given() {
        let mut array = Array::default();
        for value in [
            Value::from("plain"),
            Value::from("a \"quoted\" {thing}, and \\"),
            Value::from(""),
            Value::String(None),
            Value::from(-7_i64),
        ] {
            array.add(&value);
        }
        assert_eq!(
            array.end(),
            r#"{"plain","a \"quoted\" {thing}, and \\","",NULL,-7}"#
        );
        assert_eq!(Array::default().end(), "{}");
    }

    #[test]
    fn placeholders_are_those_of_the_database() {
        let statement = |backend| {
            let mut sql = Sql::new("SELECT '$.a' WHERE a = ");
            sql.bind(1).push(" AND b IN (");
            sql.list([2.into(), 3.into()]).push(")");
            sql.statement(backend).sql
        };
        assert_eq!(
            statement(DbBackend::Postgres),
            "SELECT '$.a' WHERE a = $1 AND b IN ($2,$3)"
        );
        assert_eq!(
            statement(DbBackend::Sqlite),
            "SELECT '$.a' WHERE a = ? AND b IN (?,?)"
        );
    }

    #[test]
    fn portions_are_powers_of_two_and_leave_nothing_out() {
        for (items, sizes) in [
            (0, vec![]),
            (1, vec![1]),
            (7, vec![4, 2, 1]),
            (128, vec![128]),
            (300, vec![128, 128, 32, 8, 4]),
        ] {
            let items: Vec<_> = (0..items).collect();
            let cut: Vec<_> = portions(&items).map(<[_]>::len).collect();
            assert_eq!(cut, sizes);
            assert_eq!(portions(&items).flatten().copied().collect::<Vec<_>>(), items);
        }
    }
}
