#!/usr/bin/env python3
"""Lets one thing in a service grow past the doors, as if it had been there for long: what `hubbub-bench curves` measures
through them is the service before and after.

    grow.py (--sqlite FILE | --postgres URL) --service IS… --channel CH… --identity WHO --dimension WHAT --from M --to N

    messages        the channel gets N - M more messages
    members         the channel gets N - M more members, `grown-M` and so on, who are new users
    user-channels   the user is put into N - M new channels of two members, each with a message
    channels        the service gets N - M more channels, each with a member, a thousand of whom share them

What grows is written by the database itself, in portions, so that the server's own writes come in between.
"""

import argparse
import sqlite3
import subprocess
import time
import uuid

PSQL = "/usr/lib/postgresql/15/bin/psql"
PORTION = 50_000
SECOND = 1_000_000
HOUR = 3600 * SECOND

# `i` counts what is made. `{made}` is when a channel, a member or a user was made, `{said}` when something was said in the
# channel: a log never goes back in time, so that is now.
CHANNEL_COLUMNS = (
    "service_id, id, unique_name, friendly_name, attributes, kind, created_by, members_count, messages_count, next_index,"
    " last_seq, last_event_at, last_message_id, last_message_at, listed_at, date_created, date_updated"
)
MEMBER_COLUMNS = (
    "service_id, channel_id, id, identity, role_id, attributes, notification_level, joined_seq, date_created, date_updated"
)
MESSAGE_COLUMNS = (
    "service_id, channel_id, idx, id, seq, author, body, attributes, was_edited, committed_at, date_created, date_updated"
)
ROLE = "(SELECT role_id FROM members WHERE service_id = {service} AND channel_id = {channel} LIMIT 1)"

GROWTH = {
    "messages": (
        f"INSERT INTO messages ({MESSAGE_COLUMNS}) SELECT c.service_id, c.id, c.next_index + s.i - {{start}}, "
        "sid(s.i, 1), c.last_seq + 1 + s.i - {start}, 'grown-' || s.i % 100, 'hello', '{{}}', false, {said} + s.i, "
        "{said} + s.i, {said} + s.i FROM channels c, {series} WHERE c.service_id = {service} AND c.id = {channel}",
        "UPDATE channels SET next_index = next_index + {count}, messages_count = messages_count + {count}, "
        "last_seq = last_seq + {count}, last_event_at = {said} + {end} - 1, last_message_at = {said} + {end} - 1, "
        "last_message_id = sid({end} - 1, 1) WHERE service_id = {service} AND id = {channel}",
    ),
    "members": (
        "INSERT INTO users (service_id, id, identity, role_id, attributes, joined_channels_count, date_created, date_updated)"
        " SELECT {service}, sid(s.i, 2), 'grown-' || s.i, (SELECT default_service_role_id FROM services WHERE id = {service}),"
        " '{{}}', 1, {made} + s.i, {made} + s.i FROM {series}",
        f"INSERT INTO members ({MEMBER_COLUMNS}) SELECT {{service}}, {{channel}}, sid(s.i, 3), 'grown-' || s.i, {ROLE}, "
        "'{{}}', 'default', 1, {made} + s.i, {made} + s.i FROM {series}",
        "UPDATE channels SET members_count = members_count + {count} WHERE service_id = {service} AND id = {channel}",
    ),
    "user-channels": (
        f"INSERT INTO channels ({CHANNEL_COLUMNS}) SELECT {{service}}, sid(s.i, 4), 'grown-' || s.i, 'Room ' || s.i, '{{{{}}}}', "
        "'private', 'system', 2, 1, 1, 4, {made} + s.i * {gap}, sid(s.i, 5), {made} + s.i * {gap}, {made} + s.i * {gap}, {made} + s.i * {gap}, {made} + s.i * {gap} "
        "FROM {series}",
        f"INSERT INTO members ({MEMBER_COLUMNS}) SELECT {{service}}, sid(s.i, 4), sid(s.i, 6), 'grown-' || s.i % 1000, {ROLE}, "
        "'{{}}', 'default', 2, {made} + s.i * {gap}, {made} + s.i * {gap} FROM {series}",
        f"INSERT INTO members ({MEMBER_COLUMNS}) SELECT {{service}}, sid(s.i, 4), sid(s.i, 7), {{identity}}, {ROLE}, "
        "'{{}}', 'default', 3, {made} + s.i * {gap}, {made} + s.i * {gap} FROM {series}",
        f"INSERT INTO messages ({MESSAGE_COLUMNS}) SELECT {{service}}, sid(s.i, 4), 0, sid(s.i, 5), 4, 'grown-' || s.i % 1000, "
        "'hello', '{{}}', false, {made} + s.i * {gap}, {made} + s.i * {gap}, {made} + s.i * {gap} FROM {series}",
        "UPDATE users SET joined_channels_count = joined_channels_count + {count} "
        "WHERE service_id = {service} AND identity = {identity}",
    ),
    "channels": (
        f"INSERT INTO channels ({CHANNEL_COLUMNS}) SELECT {{service}}, sid(s.i, 4), 'grown-' || s.i, 'Room ' || s.i, '{{{{}}}}', "
        "'public', 'system', 1, 0, 0, 2, {made} + s.i * {gap}, NULL, NULL, {made} + s.i * {gap}, {made} + s.i * {gap}, {made} + s.i * {gap} FROM {series}",
        f"INSERT INTO members ({MEMBER_COLUMNS}) SELECT {{service}}, sid(s.i, 4), sid(s.i, 6), 'grown-' || s.i % 1000, {ROLE}, "
        "'{{}}', 'default', 2, {made} + s.i * {gap}, {made} + s.i * {gap} FROM {series}",
    ),
}

# Identifiers of version 7 that grow with `i`, as those of what is made one after the other do.
POSTGRES_SID = """
CREATE FUNCTION pg_temp.sid(i bigint, kind int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
  SELECT (lpad(to_hex(1717986918400 + i), 12, '0') || '7' || lpad(to_hex(kind), 3, '0') || '8' ||
          substr(md5({seed} || i || ' ' || kind), 1, 15))::uuid
$$;
"""


def statements(given, start, end, literal, series):
    now = time.time_ns() // 1000
    values = {
        "service": literal(given.service),
        "channel": literal(given.channel),
        "identity": "'" + given.identity.replace("'", "''") + "'",
        "start": start,
        "end": end,
        "count": end - start,
        "made": now - 30 * 24 * HOUR,
        "gap": SECOND,
        "said": now - end,
        "series": series(start, end),
    }
    return [statement.format(**values) for statement in GROWTH[given.dimension]]


def into_sqlite(given, portions):
    database = sqlite3.connect(given.sqlite, timeout=60, isolation_level=None)
    seed = uuid.UUID(given.service[2:]).int

    def sid(i, kind):
        random = hash((seed, i, kind)) % 2**60
        return uuid.UUID(int=(1_717_986_918_400 + i) << 80 | 7 << 76 | kind << 64 | 2 << 62 | random).bytes

    def series(start, end):
        # Of the row at which it would end there is none: the limit comes first.
        return (
            f"(WITH RECURSIVE counted (i) AS (SELECT {start} UNION ALL SELECT i + 1 FROM counted WHERE i < {end} - 1) "
            "SELECT i FROM counted) s"
        )

    database.create_function("sid", 2, sid, deterministic=True)
    for start, end in portions:
        database.execute("BEGIN IMMEDIATE")
        for statement in statements(given, start, end, lambda text: f"x'{text[2:]}'", series):
            database.execute(statement)
        database.execute("COMMIT")
    database.close()


def into_postgres(given, portions):
    def series(start, end):
        return f"(SELECT generate_series({start}::bigint, {end}::bigint - 1) AS i) s"

    script = [POSTGRES_SID.format(seed=f"'{given.service}'")]
    for start, end in portions:
        made = statements(given, start, end, lambda text: f"'{uuid.UUID(text[2:])}'::uuid", series)
        script += ["BEGIN", *(statement.replace("sid(", "pg_temp.sid(") for statement in made), "COMMIT"]
    script.append("VACUUM ANALYZE channels, members, messages, users")
    psql = [PSQL, "-q", "-v", "ON_ERROR_STOP=1", given.postgres]
    subprocess.run(psql, input=";\n".join(script) + ";\n", text=True, check=True)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--service", required=True)
    options.add_argument("--channel", required=True)
    options.add_argument("--identity", required=True)
    options.add_argument("--dimension", required=True, choices=GROWTH)
    options.add_argument("--from", dest="start", type=int, required=True)
    options.add_argument("--to", dest="end", type=int, required=True)
    store = options.add_mutually_exclusive_group(required=True)
    store.add_argument("--sqlite")
    store.add_argument("--postgres")
    given = options.parse_args()
    portions = [(start, min(start + PORTION, given.end)) for start in range(given.start, given.end, PORTION)]
    (into_postgres if given.postgres else into_sqlite)(given, portions)


if __name__ == "__main__":
    main()
