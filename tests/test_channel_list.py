"""Users of very many channels: their list page by page, and their coming back."""

import time

import psycopg
import pytest

from harness.crowd import Crowd
from harness.store import uuid_of
from harness.waiting import eventually

MANY = 10_000


async def pages(person, **argument):
    """Every page of the list, as it is asked for."""
    token = None
    while True:
        page = await person.asks("getChannels", **argument, **({"page_token": token} if token else {}))
        yield page["channels"]
        token = page["next_page_token"]
        if not token:
            return


def scans(cluster):
    """How often whole tables were read, by their names, once the database has counted what was asked."""
    with psycopg.connect(cluster.backend.database_url, autocommit=True) as connection:
        connection.execute("select pg_stat_force_next_flush()")
        rows = connection.execute("select relname, seq_scan, idx_scan from pg_stat_user_tables").fetchall()
    return {name: (whole, indexed) for name, whole, indexed in rows}


def statements(cluster):
    """How many transactions there were, single questions included."""
    with psycopg.connect(cluster.backend.database_url, autocommit=True) as connection:
        [row] = connection.execute(
            "select xact_commit from pg_stat_database where datname = current_database()"
        ).fetchall()
    return row[0]


@pytest.mark.parametrize(("many", "seconds"), [(MANY, 3600), (2_000, 1)], ids=["spread", "crowded"])
async def test_thousands_of_channels_are_listed_in_order_once(chat, many, seconds):
    """Whether something was said in them one after the other, or everywhere in one second."""
    expected = Crowd(chat).joins("alice", many, besides=2_000, seconds=seconds)
    alice = await chat.person("alice")
    began = time.monotonic()
    first = await alice.asks("getChannels")
    took = time.monotonic() - began
    assert [entry["channel"]["sid"] for entry in first["channels"]] == [room.sid for room in expected[:50]]
    entry, room = first["channels"][0], expected[0]
    assert entry["last_message"]["body"] == f"said in {room.name}"
    assert (entry["status"], entry["member"]["identity"]) == ("joined", "alice")
    assert took < 2, "even without optimisation"
    listed = []
    async for page in pages(alice, limit=100):
        if not listed:
            # What is said while the list is read moves a channel ahead of it, and nothing else.
            chat.service.channels(expected[-1].sid).messages.create(body="news")
        listed += [entry["channel"]["sid"] for entry in page]
    assert listed == [room.sid for room in expected[:-1]]
    again = await alice.asks("getChannels", limit=1)
    assert [entry["channel"]["sid"] for entry in again["channels"]] == [expected[-1].sid]


async def test_a_page_token_is_good_for_its_place_only(chat):
    for number in range(3):
        chat.channel(f"c{number}", "alice")
    alice = await chat.person("alice")
    await alice.is_refused("getChannels", page_token="PTnonsense", code=20001)
    await alice.is_refused("getChannels", page_token="", code=20001)
    page = await alice.asks("getChannels", limit=2)
    chat.service.channels("c1").delete()
    rest = await alice.asks("getChannels", limit=2, page_token=page["next_page_token"])
    assert [entry["channel"]["unique_name"] for entry in rest["channels"]] == ["c0"]
    assert rest["next_page_token"] is None


@pytest.mark.topologies("cluster")
async def test_the_list_reads_no_table_as_a_whole(chat):
    """Of a service in which the user's channels are a small part."""
    Crowd(chat).joins("alice", MANY, besides=90_000)
    alice = await chat.person("alice")
    before = scans(chat.cluster)
    for _ in range(5):
        assert len((await alice.asks("getChannels"))["channels"]) == 50
    after = await eventually(
        lambda: (now := scans(chat.cluster))["members"][1] >= before["members"][1] + 5 and now,
        because="the database has counted",
    )
    for table in ("channels", "members", "messages", "invites"):
        assert after[table][0] == before[table][0], f"{table} was read as a whole"


async def test_a_user_of_ten_thousand_channels_comes_back(chat):
    rooms = Crowd(chat).joins("alice", MANY)
    alice = await chat.person("alice", "python")
    cursor = await alice.loses_the_connection()
    busy = rooms[:: MANY // 40]
    for room in busy:
        for body in ("one", "two"):
            chat.service.channels(room.sid).messages.create(body=body)
    began = time.monotonic()
    back = await chat.person("alice", "python", cursor=cursor)
    assert (await back.is_synced())["complete"] is True
    assert time.monotonic() - began < 10
    assert len(back.heard) == 2 * len(busy)
    for room in busy:
        assert [event["seq"] for event in back.heard_of(room.sid)] == [2, 3]
    chat.service.channels(rooms[0].sid).messages.create(body="live")
    assert (await back.receives("messageAdded", body="live"))["seq"] == 4


@pytest.mark.topologies("cluster")
async def test_coming_back_asks_few_questions_however_many_channels_were_active(chat):
    rooms = Crowd(chat).joins("alice", MANY)
    alice = await chat.person("alice")
    cursor = await alice.loses_the_connection()
    # All of them, in one statement, as if somebody had spoken everywhere.
    with psycopg.connect(chat.cluster.backend.database_url) as connection:
        now = int(time.time() * 1_000_000)
        connection.execute(
            "insert into messages (service_id, channel_id, idx, id, seq, author, body, attributes, was_edited,"
            " committed_at, date_created, date_updated) select service_id, id, 1, gen_random_uuid(), 2, 'system',"
            " 'news', '{}', false, %s, %s, %s from channels where service_id = %s",
            (now, now, now, uuid_of(chat.sid)),
        )
        connection.execute(
            "update channels set next_index = 2, last_seq = 2, messages_count = 2, last_event_at = %s,"
            " last_message_at = %s, listed_at = %s where service_id = %s",
            (now, now, now, uuid_of(chat.sid)),
        )
    before = statements(chat.cluster)
    began = time.monotonic()
    back = await chat.person("alice", cursor=cursor)
    assert (await back.is_synced(within=60))["complete"] is True
    took = time.monotonic() - began
    assert len(back.all_heard("messageAdded")) == len(rooms)
    asked = await eventually(
        lambda: (count := statements(chat.cluster) - before) >= 2 * len(rooms) / 500 and count,
        because="the database has counted",
    )
    assert asked < 600, "two questions for 500 events, one for 200 channels"
    assert took < 30
