"""The event stream: every durable event of a service, once, in one order, for whoever reads and whenever."""

import asyncio
import itertools
import time

import httpx
import pytest

from harness.chat import Chat
from harness.cluster import running
from harness.history import KINDS, unfolds
from harness.rest import Rest, error_of
from harness.stream import StreamReader, are_waiting, assert_whole
from harness.waiting import eventually

# In one process on SQLite, over Postgres, and between two processes that share it.
pytestmark = pytest.mark.topologies("embedded", "cluster", "two-doors")

CHANNELS = 6
WRITERS = 12


@pytest.fixture
async def reader(chat):
    # URLs in answers are those of the door.
    made = StreamReader(chat, doors=chat.cluster.apis[:1])
    yield made
    await made.close()


async def test_a_page_has_what_sockets_heard_in_the_order_of_seq(chat, reader):
    channel = chat.channel("general", "alice", "bob")
    alice, bob = await chat.person("alice"), await chat.person("bob")
    await unfolds(chat, alice, channel.sid, 40)
    await bob.receives("channelUpdated", friendly_name="Renamed 5")
    events = await reader.reads_all()
    assert assert_whole(events)[channel.sid] == len(reader.of(channel.sid))
    told = {event["id"]: event for event in reader.of(channel.sid)}
    heard = [event for event in bob.heard_of(channel.sid) if event["seq"]]
    assert {event["type"] for event in heard} == KINDS
    for event in heard:
        expected = {name: value for name, value in event.items() if name != "cursor"}
        if event["type"] in ("messageAdded", "messageRemoved"):
            # Read back, an arrival shows the message as it is now, and a removal no more what was said.
            expected.pop("message")
            assert told[event["id"]].pop("message")["sid"] == event["message"]["sid"]
        assert told[event["id"]] == expected


async def test_pages_go_on_where_the_one_before_ended(chat):
    channel = chat.channel("general", "alice")
    for number in range(20):
        chat.service.channels(channel.sid).messages.create(body=str(number), from_="alice")
    whole, by_threes = (StreamReader(chat, limit=limit, doors=chat.cluster.apis[:1]) for limit in (500, 3))
    await whole.reads_all()
    pages = [await by_threes.reads()]
    while pages[-1]["has_more"]:
        pages.append(await by_threes.reads())
    assert by_threes.events == whole.events
    assert len(pages) == -(-len(whole.events) // 3)
    assert all(page["complete"] for page in pages)
    nothing = await by_threes.reads()
    assert nothing["events"] == [] and nothing["has_more"] is False
    chat.service.channels(channel.sid).messages.create(body="later")
    assert [event["message"]["body"] for event in (await by_threes.reads())["events"]] == ["later"]
    for reader in (whole, by_threes):
        await reader.close()


async def test_a_removed_message_is_told_without_what_it_said(chat, reader):
    channel = chat.channel("general")
    message = chat.service.channels(channel.sid).messages.create(body="unspeakable")
    chat.service.channels(channel.sid).messages(message.sid).delete()
    await reader.reads_all()
    added, removed = reader.of(channel.sid)[-2:]
    assert (added["type"], removed["type"]) == ("messageAdded", "messageRemoved")
    assert added["message"]["sid"] == removed["message"]["sid"] == message.sid
    assert "unspeakable" not in str(reader.events)


async def test_a_deleted_channel_stays_in_the_stream(chat, reader):
    channel = chat.channel("general", "alice")
    chat.service.channels(channel.sid).delete()
    await reader.reads_all()
    assert reader.of(channel.sid)[-1]["type"] == "channelRemoved"
    assert_whole(reader.events)


async def test_now_is_the_present_position(chat, reader):
    channel = chat.channel("general")
    now = (await reader.ask(After="now")).json()
    assert (now["events"], now["complete"], now["has_more"]) == ([], True, False)
    chat.service.channels(channel.sid).messages.create(body="new")
    later = (await reader.ask(After=now["after"])).json()
    assert [event["message"]["body"] for event in later["events"]] == ["new"]


async def test_a_waiting_call_is_answered_within_a_second_wherever_somebody_writes(chat, reader):
    channel = chat.channel("general", "alice")
    alice = await chat.person("alice")
    doors = [Rest(url, (chat.cluster.account_sid, chat.cluster.auth_token)) for url in chat.cluster.apis]
    for number, door in zip(range(8), itertools.cycle(doors)):
        waiting = asyncio.create_task(reader.ask(After="now", Wait=30))
        await are_waiting(chat.cluster, 1)
        written = time.monotonic()
        if number % 2:
            await alice.sends(channel.sid, f"{number}")
        else:
            made = await asyncio.to_thread(
                door.post, f"{chat.path}/Channels/{channel.sid}/Messages", {"Body": f"{number}"}
            )
            assert made.status_code == 201
        [event] = (await waiting).json()["events"]
        assert event["message"]["body"] == f"{number}"
        assert time.monotonic() - written < 1
    for door in doors:
        door.close()


async def test_a_call_waits_no_longer_than_it_was_told_to(chat, reader):
    began = time.monotonic()
    page = (await reader.ask(After="now", Wait=1)).json()
    assert page["events"] == [] and 0.9 < time.monotonic() - began < 2
    began = time.monotonic()
    assert (await reader.ask(After="now")).json()["events"] == []
    assert time.monotonic() - began < 0.9


async def test_many_may_wait_at_once(chat):
    channel = chat.channel("general")
    readers = [StreamReader(chat, after="now") for _ in range(100)]
    waiting = [asyncio.create_task(reader.reads(wait=30)) for reader in readers]
    other = Chat(chat.cluster, None, "another service")
    lonely = StreamReader(other, after="now")
    silence = asyncio.create_task(lonely.reads(wait=3))
    await are_waiting(chat.cluster, 101)
    chat.service.channels(channel.sid).messages.create(body="to all")
    pages = await asyncio.wait_for(asyncio.gather(*waiting), 5)
    assert {page["events"][0]["id"] for page in pages} == {pages[0]["events"][0]["id"]}
    assert (await silence)["events"] == [], "nothing of another service"
    for reader in (*readers, lonely):
        await reader.close()
    await other.close()


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"Limit": "0"}, "Limit"),
        ({"Limit": "501"}, "Limit"),
        ({"Limit": "all"}, "Limit"),
        ({"Wait": "-1"}, "Wait"),
        ({"Wait": "61"}, "Wait"),
        ({"Wait": "1.5"}, "Wait"),
        ({"After": "yesterday"}, "After"),
        ({"After": ""}, "After"),
        ({"After": "A" * 44}, "After"),
    ],
)
async def test_a_wrong_parameter_is_named(chat, reader, query, field):
    assert field in error_of(await reader.ask(**query), 400, 20001)


async def test_it_is_for_backends_with_a_position_of_the_service(chat, reader):
    chat.channel("general", "alice")
    after = (await reader.reads())["after"]
    error_of(chat.bearer("alice").get(f"{chat.path}/Events"), 403, 20006)
    other = Chat(chat.cluster, None, "another service")
    assert "After" in error_of(other.rest.get(f"{other.path}/Events", After=after), 400, 20001)
    await other.close()
    stranger = Rest(chat.cluster.api, ("AC" + "0" * 32, "x" * 32))
    error_of(stranger.get(f"{chat.path}/Events"), 401, 20003)
    keys = f"/2010-04-01/Accounts/{chat.cluster.account_sid}/Keys.json"
    made = chat.rest.post(keys, {"FriendlyName": "reads", "ReadOnly": "true", "ServiceSid": chat.sid}).json()
    key = Rest(chat.cluster.api, (made["sid"], made["secret"]))
    assert key.get(f"{chat.path}/Events", After=after).json()["events"] == []
    key.close()
    stranger.close()


async def test_a_key_that_ends_while_it_waits_hears_nothing_more(chat):
    channel = chat.channel("general")
    keys = f"/2010-04-01/Accounts/{chat.cluster.account_sid}/Keys"
    made = chat.rest.post(f"{keys}.json", {"FriendlyName": "ends"}).json()
    async with httpx.AsyncClient(auth=(made["sid"], made["secret"]), timeout=40) as key:
        url = f"{chat.cluster.api}{chat.path}/Events"
        waiting = asyncio.create_task(key.get(url, params={"After": "now", "Wait": 30}))
        await are_waiting(chat.cluster, 1)
        assert chat.rest.delete(f"{keys}/{made['sid']}.json").status_code == 204
        chat.service.channels(channel.sid).messages.create(body="secret")
        error_of(await waiting, 401, 20003)


class Writer:
    """A backend that writes at one door until told to stop: messages, and changes of members and of the channel."""

    def __init__(self, chat, door, number, channels):
        self.acked = []
        self._http = httpx.AsyncClient(
            base_url=door, auth=(chat.cluster.account_sid, chat.cluster.auth_token), timeout=10
        )
        self._path = f"{chat.path}/Channels"
        self._name = f"writer {number}"
        self._channels = itertools.islice(itertools.cycle(channels), number, None)

    async def writes(self, until):
        for number, channel in enumerate(self._channels):
            if until.is_set():
                break
            body = f"{self._name} {number}"
            try:
                made = await self._http.post(f"{self._path}/{channel}/Messages", data={"Body": body, "From": "alice"})
                if number % 4 == 0:
                    form = {"Attributes": f'{{"number":{number}}}'}
                    await self._http.post(f"{self._path}/{channel}/Members/alice", data=form)
                if number % 7 == 0:
                    await self._http.post(f"{self._path}/{channel}", data={"FriendlyName": body})
            except httpx.TransportError:
                break  # The door is gone.
            if made.status_code == 201:
                self.acked.append(made.json()["sid"])
        await self._http.aclose()
        return self.acked


async def busy(chat, disturb=None, enough=800):
    """Many write to few channels, at all doors at once, while one follows the stream. Returns who followed, and what
    was acknowledged."""
    channels = [chat.channel(f"channel {number}", "alice").sid for number in range(CHANNELS)]
    doors = itertools.cycle(chat.cluster.apis)
    writers = [Writer(chat, next(doors), number, channels) for number in range(WRITERS)]
    follower = StreamReader(chat, limit=50, doors=chat.cluster.apis[:1])
    written, over = asyncio.Event(), asyncio.Event()
    following = asyncio.create_task(follower.follows(over))
    writing = [asyncio.create_task(writer.writes(written)) for writer in writers]
    acked = lambda: sum(len(writer.acked) for writer in writers)  # noqa: E731
    await eventually(lambda: acked() >= enough / 2, within=60, because="all write")
    if disturb:
        disturb()
        count = acked()
        await eventually(lambda: acked() >= count + enough / 2, within=60, because="the others write on")
    await eventually(lambda: acked() >= enough, within=60, because="enough is written")
    written.set()
    sids = {sid for part in await asyncio.gather(*writing) for sid in part}
    told = lambda: {event["message"]["sid"] for event in follower.events if event["type"] == "messageAdded"}  # noqa: E731
    await eventually(lambda: sids <= told(), within=15, because="the follower has it all")
    over.set()
    await following
    return follower, sids, channels


async def is_whole_for_all(chat, follower, channels):
    """The follower has got all there is, once and in order; and who comes later gets the same."""
    last = assert_whole(follower.events)
    for sid in channels:
        messages = chat.messages_of(sid)
        told = [event["message"]["sid"] for event in follower.of(sid) if event["type"] == "messageAdded"]
        assert told == [message.sid for message in messages]
        assert last[sid] == len(follower.of(sid))
    later = StreamReader(chat, limit=500, doors=chat.cluster.apis[:1])
    same = [event["id"] for event in await later.reads_all()]
    assert same[: len(follower.events)] == [event["id"] for event in follower.events]
    for reader in (follower, later):
        await reader.close()


async def test_who_reads_while_many_write_gets_everything_once_and_in_order(chat):
    follower, sids, channels = await busy(chat)
    assert len(follower.events) > len(sids)
    await is_whole_for_all(chat, follower, channels)


@pytest.mark.topologies("two-doors")
async def test_kill_9_of_a_writer_leaves_no_hole_and_holds_nobody_up(tmp_path, driver):
    with running("two-doors", tmp_path) as cluster:
        chat = Chat(cluster, driver, "a writer dies")
        dying = cluster.nodes[1]
        follower, _, channels = await busy(chat, disturb=dying.kill)
        await is_whole_for_all(chat, follower, channels)
        dying.start().wait_ready()
        again = StreamReader(chat, after=follower.after, doors=[dying.url])
        chat.service.channels(channels[0]).messages.create(body="to the node that is back")
        assert (await again.reads())["events"][-1]["message"]["body"] == "to the node that is back"
        await again.close()
        await chat.close()


async def test_an_old_position_says_that_something_may_be_missing(tmp_path, driver):
    with running("embedded", tmp_path, HUBBUB_EVENT_RETENTION="2s") as cluster:
        chat = Chat(cluster, driver, "kept for two seconds")
        channel = chat.channel("general")
        say = chat.service.channels(channel.sid).messages.create
        reader = StreamReader(chat)
        await reader.reads_all()
        old, began = reader.after, time.monotonic()
        say(body="long ago")
        await eventually(lambda: time.monotonic() - began > 2.5, because="more time passes than events are kept")
        say(body="lately")
        for after in ({"After": old}, {}):
            page = (await reader.ask(**after)).json()
            assert page["complete"] is (not after)
            assert [event["message"]["body"] for event in page["events"]] == ["lately"]
        assert (await reader.ask(After=page["after"])).json()["complete"] is True
        await reader.close()
        await chat.close()


async def test_the_end_of_a_process_ends_the_waiting(tmp_path, driver):
    with running("embedded", tmp_path) as cluster:
        chat = Chat(cluster, driver, "waiting at the end")
        reader = StreamReader(chat, after="now")
        waiting = asyncio.create_task(reader.reads(wait=60))
        await are_waiting(cluster, 1)
        assert await asyncio.to_thread(cluster.nodes[0].stop, 3) == 0
        assert (await waiting)["events"] == []
        cluster.restart()
        await reader.close()
        await chat.close()
