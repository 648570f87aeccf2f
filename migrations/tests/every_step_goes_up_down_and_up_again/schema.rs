//! What the database itself says that it holds: tables, columns in order, constraints, indexes.

use sea_orm_migration::sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend, Statement};

/// SQLite keeps the statements that made things.
const SQLITE: &str = "SELECT tbl_name || ' ' || type || ' ' || name || ' ' || coalesce(sql, '') AS line \
     FROM sqlite_schema ORDER BY line";

/// Postgres describes columns (by their places, whose numbers have a gap where a column was dropped), constraints, indexes and whatever else stands in the schema.
const POSTGRES: &str = "\
    SELECT format('%s column %s %s %s %s %s', c.relname, \
                  row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum), a.attname, \
                  format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid)) AS line \
      FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
      LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped \
    UNION ALL \
    SELECT format('%s constraint %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) \
      FROM pg_constraint WHERE connamespace = 'public'::regnamespace \
    UNION ALL \
    SELECT format('%s index %s', tablename, indexdef) FROM pg_indexes WHERE schemaname = 'public' \
    UNION ALL \
    SELECT format('%s relation %s', relname, relkind) \
      FROM pg_class WHERE relnamespace = 'public'::regnamespace \
    UNION ALL \
    SELECT format('%s function', oid::regprocedure) FROM pg_proc WHERE pronamespace = 'public'::regnamespace \
    UNION ALL \
    SELECT format('%s type %s', typname, typtype) \
      FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typtype IN ('e', 'd') \
    ORDER BY line";

/// One line for each thing, in a fixed order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Schema(Vec<String>);

impl Schema {
    /// Reads all but the migrator's own table.
    pub(crate) async fn read(db: &DatabaseConnection) -> Self {
        let backend = db.get_database_backend();
        let sql = if backend == DbBackend::Postgres {
            POSTGRES
        } else {
            SQLITE
        };
        let rows = db
            .query_all_raw(Statement::from_string(backend, sql))
            .await
            .unwrap();
        let lines = rows.iter().map(|row| row.try_get::<String>("", "line").unwrap());
        Self(
            lines
                .filter(|line| !line.starts_with("seaql_migrations"))
                .collect(),
        )
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
