"""What the database does for the hot paths, in tables that have grown: nothing is found by reading a whole table.

Postgres itself tells the plan of every statement (`auto_explain`), while clients and a backend do what they do all day.
"""

import collections
import json
import os
import pathlib
import re

import psycopg
import pytest

from harness.chat import Chat
from harness.cluster import Cluster
from harness.node import ROOT
from harness.store import uuid_of
from harness.waiting import eventually

# Tables of which a part is much less than all of it.
LARGE = {"channels", "members", "users", "messages", "channel_events"}
MANY = 100_000

EXPLAINING = {
    "session_preload_libraries": "auto_explain",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_format": "json",
}

FILL = """
INSERT INTO users (service_id, id, identity, role_id, attributes, joined_channels_count, date_created, date_updated)
SELECT %(service)s, gen_random_uuid(), 'user-' || i, %(user_role)s, '{}', 1, i, i FROM generate_series(1, %(many)s) i;

INSERT INTO channels (service_id, id, unique_name, attributes, kind, created_by, members_count, messages_count,
  next_index, last_seq, last_event_at, last_message_at, listed_at, date_created, date_updated)
SELECT %(service)s, gen_random_uuid(), 'room-' || i, '{}', 'private', 'system', 2, 1, 1, 4, i, i, i, i, i
FROM generate_series(1, %(many)s) i;

-- Alice is in every one of them, with one other each, who was there before.
INSERT INTO members (service_id, channel_id, id, identity, role_id, attributes, notification_level, joined_seq,
  date_created, date_updated)
SELECT c.service_id, c.id, gen_random_uuid(), who.identity, %(member_role)s, '{}', 'default', 2, 1, 1
FROM channels c, LATERAL (VALUES ('alice'), ('user-' || substr(c.unique_name, 6))) who (identity)
WHERE c.service_id = %(service)s AND c.unique_name LIKE 'room-%%';

INSERT INTO messages (service_id, channel_id, idx, id, seq, author, body, attributes, was_edited, committed_at,
  date_created, date_updated)
SELECT c.service_id, c.id, 0, gen_random_uuid(), 4, 'alice', 'hello', '{}', false, c.last_event_at, 1, 1
FROM channels c WHERE c.service_id = %(service)s AND c.unique_name LIKE 'room-%%';

INSERT INTO channel_events (service_id, channel_id, seq, id, kind, identity, subject, payload, committed_at)
SELECT m.service_id, m.channel_id, 2 + (m.identity = 'alice')::int, gen_random_uuid(), 'memberJoined', 'system',
  m.identity, '{}', 1
FROM members m WHERE m.service_id = %(service)s;

-- And one channel is where everybody is and all is said.
INSERT INTO messages (service_id, channel_id, idx, id, seq, author, body, attributes, was_edited, committed_at,
  date_created, date_updated)
SELECT %(service)s, %(forum)s, i, gen_random_uuid(), 100000 + i, 'user-' || i, 'hello', '{}', false, i, i, i
FROM generate_series(0, %(many)s - 1) i;
INSERT INTO members (service_id, channel_id, id, identity, role_id, attributes, notification_level, joined_seq,
  date_created, date_updated)
SELECT %(service)s, %(forum)s, gen_random_uuid(), 'user-' || i, %(member_role)s, '{}', 'default', 2 + i, 1, 1
FROM generate_series(1, %(many)s) i;
UPDATE channels SET next_index = %(many)s, messages_count = %(many)s, members_count = %(many)s + 1,
  last_seq = 100000 + %(many)s WHERE service_id = %(service)s AND id = %(forum)s;
"""


@pytest.fixture
def explained(tmp_path):
    """A cluster whose database tells its plans."""
    cluster = Cluster("cluster", tmp_path, HUBBUB_LIMIT_CEILING="1000000")
    with psycopg.connect(cluster.backend.postgres, autocommit=True) as connection:
        for name, value in EXPLAINING.items():
            connection.execute(f"ALTER DATABASE {cluster.backend.name} SET {name} = '{value}'")
    try:
        yield cluster.start()
    finally:
        cluster.stop()


class Plans:
    """What Postgres has logged from here on."""

    def __init__(self):
        services = os.environ.get("HUBBUB_SERVICES_DIR") or ROOT / ".services"
        self.log = pathlib.Path(services) / "postgres" / "log"
        self.begin = self.log.stat().st_size

    def statements(self):
        """Each statement's text and plan."""
        with self.log.open("rb") as log:
            log.seek(self.begin)
            text = log.read().decode(errors="replace")
        for logged in re.finditer(r"plan:\n((?:\t.*\n)+)", text):
            told = json.loads(logged[1])
            yield told["Query Text"], told["Plan"]

    def whole_tables_read(self):
        """By table, the statements that read all of a large one."""
        found = collections.defaultdict(set)
        for query, plan in self.statements():
            for node in nodes_of(plan):
                if node["Node Type"] == "Seq Scan" and node["Relation Name"] in LARGE:
                    found[node["Relation Name"]].add(query if len(query) < 500 else f"{query[:100]} … {query[-400:]}")
        return dict(found)


def nodes_of(plan):
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes_of(below)


def fill(chat, forum):
    values = {
        "service": uuid_of(chat.sid),
        "forum": uuid_of(forum.sid),
        "user_role": uuid_of(chat.role("service user").sid),
        "member_role": uuid_of(chat.role("channel user").sid),
        "many": MANY,
    }
    with psycopg.connect(chat.cluster.backend.database_url, autocommit=True) as connection:
        with connection.cursor() as cursor:
            cursor.execute("SET auto_explain.log_min_duration = -1")
            for statement in FILL.split(";\n"):
                if statement.strip():
                    cursor.execute(statement, values)
            cursor.execute("VACUUM ANALYZE")


@pytest.mark.topologies("cluster")
async def test_no_large_table_is_read_whole(explained, driver):
    chat = Chat(explained, driver, "plans")
    ceiling = {"Limits.ChannelMembers": "1000000", "Limits.UserChannels": "1000000"}
    assert chat.rest.post(chat.path, ceiling).status_code == 200
    forum = chat.channel("forum", "alice")
    fill(chat, forum)
    await day(chat, forum, "rehearsal")
    plans = Plans()
    # Often enough for prepared statements to get their generic plans.
    for number in range(7):
        await day(chat, forum, f"day-{number}")
    texts = await eventually(lambda: {query for query, _ in plans.statements()}, because="plans are told")
    assert any("INSERT INTO" in text and "messages" in text for text in texts), "sends are among what was explained"
    whole = plans.whole_tables_read()
    assert not whole, json.dumps({table: sorted(queries) for table, queries in whole.items()}, indent=1)
    await chat.close()


async def day(chat, forum, name):
    """What an app and a backend do."""
    alice, other = await chat.person("alice", "python-websocket"), await chat.person("user-7", "python-websocket")
    rooms = (await alice.asks("getChannels", limit=50))["channels"]
    room = rooms[0]["channel"]["sid"]
    await alice.sends("room-7", name, client_id=name)
    heard = await other.receives("messageAdded", body=name)
    await other.asks("setLastConsumedMessageIndex", channel="room-7", index=heard["message"]["index"])
    await alice.sends(room, name)
    await alice.sends("forum", name)
    page = await alice.asks("getMessages", channel="forum", limit=30)
    await alice.asks("getMessages", channel="forum", limit=30, before=page["messages"][0]["index"])
    await alice.asks("getMembers", channel="forum", limit=30)
    await alice.asks("typing", channel="room-7")
    cursor = await other.loses_the_connection()
    await alice.sends("room-7", f"{name}, missed")
    back = await chat.person("user-7", "python-websocket", cursor=cursor)
    await back.receives("messageAdded", body=f"{name}, missed")
    for person in (alice, back):
        await person.leaves()
        await person.is_disconnected()

    for path, query in (
        ("Channels", {"Type": "private"}),
        ("Channels/room-9", {}),
        (f"Channels/{forum.sid}/Messages", {"Order": "desc"}),
        (f"Channels/{forum.sid}/Members", {}),
        (f"Channels/{forum.sid}/Members/user-11", {}),
        ("Users", {}),
        ("Users/user-12", {}),
        ("Users/alice/Channels", {}),
        ("WebhookDeliveries", {}),
        ("AuditEvents", {}),
    ):
        answer = chat.rest.get(f"{chat.path}/{path}", PageSize=50, **query)
        assert answer.status_code == 200, f"{path}: {answer.text}"
    made = chat.rest.post(f"{chat.path}/Channels", {"UniqueName": f"made-{name}"})
    assert made.status_code == 201, made.text
    below = f"{chat.path}/Channels/{made.json()['sid']}"
    for collection, form in (("Members", {"Identity": "user-13"}), ("Messages", {"Body": name, "From": "user-13"})):
        assert chat.rest.post(f"{below}/{collection}", form).status_code == 201
    assert chat.rest.delete(below).status_code == 204
