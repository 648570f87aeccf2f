"""A look into a cluster's database, for what no door shows. Reading only."""

import contextlib
import sqlite3
import uuid

import psycopg


def rows(cluster, query, *values):
    """The rows of a query with `?` for its values, UUIDs as such."""
    if cluster.backend:
        with psycopg.connect(cluster.backend.database_url) as connection:
            return connection.execute(query.replace("?", "%s"), values).fetchall()
    path = cluster.nodes[0].settings["HUBBUB_DATA_DIR"] / "hubbub.db"
    own = [value.bytes if isinstance(value, uuid.UUID) else value for value in values]
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as connection:
        return connection.execute(query, own).fetchall()


def uuid_of(sid):
    return uuid.UUID(sid[2:])


def as_uuid(value):
    """SQLite keeps the bytes, Postgres the UUID itself."""
    return value if isinstance(value, uuid.UUID) else uuid.UUID(bytes=bytes(value))
