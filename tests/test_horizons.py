"""Read horizons: only forward, few writes however many reports, told to everybody, and what is unread behind them."""

import asyncio
import itertools
import random
import time

import psycopg
import pytest

from harness.chat import Chat
from harness.cluster import running
from harness.store import rows, uuid_of
from harness.waiting import eventually

CLIENTS = ["js-websocket", "js-polling", "python"]


async def sends(person, count, channel="general"):
    return [await person.sends(channel, str(number)) for number in range(count)]


@pytest.mark.parametrize("client", CLIENTS)
async def test_many_reports_become_few_events_and_each_gets_an_answer(chat, client):
    channel = chat.channel("general", "alice", "bob")
    alice, bob = await chat.person("alice"), await chat.person("bob", client)
    messages = await sends(alice, 50)
    indexes = [message["index"] for message in messages]
    random.Random(7).shuffle(indexes)
    answers = await asyncio.gather(
        *(bob.asks("setLastConsumedMessageIndex", channel="general", index=index) for index in indexes)
    )
    for index, answer in zip(indexes, answers, strict=True):
        assert answer["last_consumed_message_index"] >= index
        assert answer["unread_messages_count"] == 49 - answer["last_consumed_message_index"]
    horizons = [
        event["member"]["last_consumed_message_index"]
        for event in await alice.has_heard(1, "memberUpdated", identity="bob", last_consumed_message_index=49)
    ]
    heard = [
        event["member"]["last_consumed_message_index"]
        for event in alice.heard_of(channel.sid)
        if event["type"] == "memberUpdated"
    ]
    assert horizons and heard == sorted(set(heard)) and len(heard) <= 5, heard


async def test_reports_within_a_second_are_gathered(chat):
    """Each awaits its answer, as careful clients do, from two devices."""
    chat.channel("general", "alice", "bob")
    alice = await chat.person("alice")
    bobs = [await chat.person("bob"), await chat.person("bob", "python")]
    await sends(alice, 40)
    began = time.monotonic()
    index = itertools.count()

    async def reads(bob):
        while time.monotonic() - began < 1:
            await bob.asks("setLastConsumedMessageIndex", channel="general", index=next(index))
            await asyncio.sleep(0.02)

    await asyncio.gather(*(reads(bob) for bob in bobs))
    took = time.monotonic() - began
    heard = alice.all_heard("memberUpdated", identity="bob")
    # At most one every half second on each of the two gateways that there may be.
    assert len(heard) <= 2 * (took / 0.5 + 1), (took, len(heard))


async def test_what_follows_a_report_sees_it(chat):
    channel = chat.channel("general", "alice", "bob")
    alice, bob = await chat.person("alice"), await chat.person("bob")
    await sends(alice, 10)
    for index in range(9):
        report = asyncio.create_task(bob.asks("setLastConsumedMessageIndex", channel="general", index=index))
        await asyncio.sleep(0)
        listed = asyncio.create_task(bob.asks("getChannels"))
        assert (await report)["last_consumed_message_index"] == index
        [entry] = (await listed)["channels"]
        assert (entry["last_consumed_message_index"], entry["unread_messages_count"]) == (index, 9 - index)
    place = chat.service.users("bob").user_channels(channel.sid).fetch()
    assert (place.last_consumed_message_index, place.unread_messages_count) == (8, 1)


async def test_a_report_waits_for_the_sends_before_it(chat):
    chat.channel("general", "alice")
    alice = await chat.person("alice")
    sent = [asyncio.create_task(alice.sends("general", str(number))) for number in range(5)]
    await asyncio.sleep(0)
    read = await alice.asks("setLastConsumedMessageIndex", channel="general", index=1000)
    assert read == {"last_consumed_message_index": 4, "unread_messages_count": 0}
    await asyncio.gather(*sent)


async def test_the_members_of_a_channel_report_in_the_same_moment(chat):
    names = [f"reader {number}" for number in range(12)]
    channel = chat.channel("general", "alice", *names)
    alice = await chat.person("alice")
    readers = [await chat.person(name, CLIENTS[number % 3]) for number, name in enumerate(names)]
    [message] = await sends(alice, 1)
    answers = await asyncio.gather(
        *(
            reader.asks("setLastConsumedMessageIndex", channel=channel.sid, index=message["index"])
            for reader in readers
        )
    )
    assert answers == [{"last_consumed_message_index": 0, "unread_messages_count": 0}] * len(readers)
    for listener in (alice, *readers):
        told = await listener.has_heard(len(names), "memberUpdated")
        assert sorted(event["member"]["identity"] for event in told) == sorted(names)
        seqs = [event["seq"] for event in told]
        assert seqs == list(range(seqs[0], seqs[0] + len(names)))


@pytest.mark.topologies("cluster")
async def test_reports_that_wait_for_a_channel_are_stored_together(chat):
    names = [f"reader {number}" for number in range(12)]
    channel = chat.channel("general", "alice", *names)
    alice = await chat.person("alice")
    readers = [await chat.person(name) for name in names]
    await sends(alice, 1)
    with psycopg.connect(chat.cluster.backend.database_url) as connection:
        connection.execute("select 1 from channels where id = %s for update", (uuid_of(channel.sid),))
        reports = [
            asyncio.create_task(reader.asks("setLastConsumedMessageIndex", channel="general", index=0))
            for reader in readers
        ]
        await asyncio.sleep(0)
        # Its answer says that the report before it has been taken.
        await asyncio.gather(*(reader.asks("typing", channel="general") for reader in readers))
        assert not any(report.done() for report in reports)
        connection.rollback()
    await asyncio.gather(*reports)
    [(transactions, events)] = rows(
        chat.cluster,
        "select count(distinct xmin::text), count(*) from channel_events where channel_id = ? and kind = 'memberUpdated'",
        uuid_of(channel.sid),
    )
    assert events == len(names) and transactions <= 2, transactions


async def test_other_devices_hear_of_it_and_agree(chat):
    chat.channel("general", "alice", "bob")
    alice = await chat.person("alice")
    phone, laptop = await chat.person("bob", "python"), await chat.person("bob")
    await sends(alice, 3)
    await phone.asks("setLastConsumedMessageIndex", channel="general", index=1)
    await laptop.receives("memberUpdated", identity="bob", last_consumed_message_index=1)
    [entry] = (await laptop.asks("getChannels"))["channels"]
    assert (entry["last_consumed_message_index"], entry["unread_messages_count"]) == (1, 1)
    # It lags behind, and takes nothing back.
    assert await laptop.asks("setLastConsumedMessageIndex", channel="general", index=0) == {
        "last_consumed_message_index": 1,
        "unread_messages_count": 1,
    }


async def test_reports_that_cannot_be_taken(chat):
    chat.channel("general", "alice")
    chat.channel("empty", "alice")
    alice, outsider = await chat.person("alice"), await chat.person("outsider")
    await alice.sends("general", "one")
    verb = "setLastConsumedMessageIndex"
    await alice.is_refused(verb, channel="general", index=-1, code=50406)
    await alice.is_refused(verb, channel="general", index="1", code=20001)
    await alice.is_refused(verb, channel="general", code=20001)
    await alice.is_refused(verb, index=1, code=50301)
    await alice.is_refused(verb, channel="nowhere", index=1, code=20404)
    await alice.is_refused(verb, channel="CH" + "0" * 32, index=1, code=20404)
    await outsider.is_refused(verb, channel="general", index=0, code=50400)
    nothing = {"last_consumed_message_index": None, "unread_messages_count": None}
    assert await alice.asks(verb, channel="empty", index=3) == nothing


async def test_a_report_is_told_to_the_backend(chat, receiver):
    chat.service.update(post_webhook_url=receiver.url, webhook_filters=["onMemberUpdated"])
    chat.channel("general", "alice")
    alice = await chat.person("alice")
    await alice.sends("general", "one")
    await alice.asks("setLastConsumedMessageIndex", channel="general", index=0)
    [call] = await eventually(lambda: receiver.requests, because="the webhook is called")
    assert (call["EventType"], call["Identity"], call["LastConsumedMessageIndex"], call["ClientIdentity"]) == (
        "onMemberUpdated",
        "alice",
        "0",
        "alice",
    )


async def test_what_was_answered_survives_a_crash(tmp_path, driver):
    with running("embedded", tmp_path) as cluster:
        chat = Chat(cluster, driver, "crash")
        channel = chat.channel("general", "alice")
        alice = await chat.person("alice")
        await sends(alice, 9)
        answers = await asyncio.gather(
            *(alice.asks("setLastConsumedMessageIndex", channel="general", index=index) for index in range(9))
        )
        assert answers[-1]["last_consumed_message_index"] == 8
        cluster.kill()
        cluster.restart()
        place = chat.service.users("alice").user_channels(channel.sid).fetch()
        assert (place.last_consumed_message_index, place.unread_messages_count) == (8, 0)
        await chat.close()


class Model:
    """One channel as one user reads it, without any cleverness."""

    def __init__(self):
        self.living = []
        self.next_index = 0
        self.horizon = None

    def sent(self, message):
        assert message["index"] == self.next_index
        self.living.append(message)
        self.next_index += 1

    def reported(self, index):
        index = min(index, self.next_index - 1)
        if index >= 0:
            self.horizon = index if self.horizon is None else max(self.horizon, index)

    @property
    def unread(self):
        if self.horizon is None:
            return None
        return sum(message["index"] > self.horizon for message in self.living)


@pytest.mark.parametrize("seed", [1, 2])
async def test_what_is_unread_agrees_with_a_plain_model(chat, seed):
    chance = random.Random(seed)
    channels = {f"c{number}": Model() for number in range(3)}
    for name in channels:
        chat.channel(name, "alice", "bob")
    admin = chat.role("channel admin").sid
    for name in channels:
        chat.service.channels(name).members("alice").update(role_sid=admin)
    alice, phone, laptop = await chat.person("alice"), await chat.person("bob"), await chat.person("bob", "python")
    places = chat.service.users("bob").user_channels

    async def agrees(name):
        model, device = channels[name], chance.choice([phone, laptop])
        expected = (model.horizon, model.unread)
        place = places(name).fetch()
        assert (place.last_consumed_message_index, place.unread_messages_count) == expected
        one = await device.asks("getChannel", channel=name)
        assert (one["last_consumed_message_index"], one["unread_messages_count"]) == expected
        for entry in (await device.asks("getChannels"))["channels"]:
            other = channels[entry["channel"]["unique_name"]]
            assert (entry["last_consumed_message_index"], entry["unread_messages_count"]) == (
                other.horizon,
                other.unread,
            )
        listed = chat.rest.get(f"{chat.path}/Users/bob/Channels").json()["channels"]
        unread = {model.unread for model in channels.values()}
        assert {place["unread_messages_count"] for place in listed} == unread

    for _ in range(60):
        name = chance.choice(list(channels))
        model = channels[name]
        match chance.choice(["send", "send", "remove", "remove", "report", "report", "put", "clear"]):
            case "send":
                for _ in range(chance.randrange(1, 4)):
                    model.sent(await alice.sends(name, "x"))
            case "remove" if model.living:
                gone = model.living.pop(chance.randrange(len(model.living)))
                if chance.random() < 0.5:
                    await alice.asks("removeMessage", channel=name, message=gone["sid"])
                else:
                    chat.service.channels(name).messages(gone["sid"]).delete()
            case "report":
                index = chance.randrange(model.next_index + 3)
                model.reported(index)
                answer = await chance.choice([phone, laptop]).asks(
                    "setLastConsumedMessageIndex", channel=name, index=index
                )
                assert answer == {
                    "last_consumed_message_index": model.horizon,
                    "unread_messages_count": model.unread,
                }
            case "put":
                model.horizon = chance.randrange(model.next_index + 3)
                place = places(name).update(last_consumed_message_index=model.horizon)
                assert place.unread_messages_count == model.unread
            case "clear":
                model.horizon = None
                await phone.asks("updateUserChannel", channel=name, last_consumed_message_index=None)
        await agrees(name)
