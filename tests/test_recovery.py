"""Socket.IO's connection state recovery, for clients that ask for it: the official client comes back as the socket it
was, with what it missed, whatever node it comes back to and however long it was away."""

import json
import time

import aiohttp
import pytest

from harness.chat import Chat
from harness.cluster import running
from harness.history import KINDS, told, unfolds
from harness.waiting import eventually

pytestmark = pytest.mark.topologies("embedded", "two-gateways")

CLIENTS = ["js-websocket", "js-polling", "js"]


async def two_talk(chat, client="js-websocket"):
    """Alice, Bob with recovery, and Carol, who stays and hears everything; a first message has been heard by all."""
    channel = chat.channel("general", "alice", "bob", "carol")
    alice, carol = await chat.person("alice"), await chat.person("carol")
    bob = await chat.person("bob", client, gateway=chat.cluster.gateways[0], recovery=True)
    await alice.sends("general", "heard")
    for listener in (bob, carol):
        await listener.receives("messageAdded", body="heard")
    return channel, alice, bob, carol


@pytest.mark.parametrize("client", CLIENTS)
async def test_300_missed_events_of_all_kinds_come_once_and_in_order(chat, client):
    channel, alice, bob, carol = await two_talk(chat, client)
    before = bob.id
    assert bob.recovered is False and bob.initialized["connection_id"] == before
    kept = await bob.private()
    assert kept["pid"] and kept["offset"] == bob.cursor
    await bob.loses_the_connection()
    await unfolds(chat, alice, channel.sid, 300)
    await bob.comes_back(chat.cluster.gateways[-1])
    assert (bob.recovered, bob.id) == (True, before)
    assert bob.initialized["connection_id"] == before
    assert (await bob.is_synced())["complete"] is True
    await alice.sends("general", "live again")
    for listener in (bob, carol):
        await listener.receives("messageAdded", body="live again")
    heard = told(bob.heard_of(channel.sid))
    assert heard == told(carol.heard_of(channel.sid))[-len(heard) :]
    assert len(heard) == 302 and {kind for _, kind, _ in heard} == KINDS
    seqs = [seq for seq, _, _ in heard]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
    assert await bob.private() == {"pid": kept["pid"], "offset": bob.cursor}


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_client_that_does_not_ask_for_it_sees_nothing_of_it(chat, client):
    channel = chat.channel("general", "alice", "bob")
    alice, bob = await chat.person("alice"), await chat.person("bob", client)
    await alice.sends("general", "heard")
    await bob.receives("messageAdded", body="heard")
    before = bob.id
    assert await bob.private() == {"pid": None, "offset": None}
    cursor = await bob.loses_the_connection()
    await alice.sends("general", "missed")
    # Not even when it shows a private id: of its own wish, or left over from when it asked.
    pid = await pid_of(chat, "bob")
    await bob.comes_back(chat.cluster.gateways[0], pid=pid, offset=cursor)
    assert (bob.recovered, bob.id != before) == (False, True)
    assert await bob.private() == {"pid": None, "offset": None}
    await alice.sends(channel.sid, "after")
    await bob.receives("messageAdded", body="after")
    assert bob.all_heard("messageAdded", body="missed") == []


async def pid_of(chat, identity, **token):
    """The private id of a socket of somebody's."""
    other = await chat.person(identity, token=chat.token(identity, **token), recovery=True)
    return (await other.private())["pid"]


WRONG = ["tampered", "rubbish", "another identity's", "another service's"]


@pytest.mark.parametrize("wrong", WRONG)
async def test_a_wrong_private_id_recovers_nothing(chat, wrong):
    _, alice, bob, _ = await two_talk(chat)
    before, own = bob.id, (await bob.private())["pid"]
    if wrong == "tampered":
        pid = own[:20] + ("A" if own[20] != "A" else "B") + own[21:]
    elif wrong == "rubbish":
        pid = "bm90IGEgcGlk"
    elif wrong == "another identity's":
        pid = await pid_of(chat, "mallory")
    else:
        other = chat.client.chat.v2.services.create(friendly_name="other")
        pid = await pid_of(chat, "bob", service_sid=other.sid)
    await bob.loses_the_connection()
    await alice.sends("general", "missed")
    await bob.comes_back(chat.cluster.gateways[-1], pid=pid)
    assert bob.recovered is False and bob.id != before
    assert (await bob.private())["pid"] not in (own, pid), "a new one, which is good from now on"
    await alice.sends("general", "after")
    await bob.receives("messageAdded", body="after")
    assert bob.all_heard("messageAdded", body="missed") == [], "nothing is told to who was not recognised"
    before = bob.id
    await bob.loses_the_connection()
    await alice.sends("general", "missed too")
    await bob.comes_back(chat.cluster.gateways[0])
    assert (bob.recovered, bob.id) == (True, before)
    await bob.receives("messageAdded", body="missed too")


async def test_a_private_id_is_no_use_to_another_identity(chat):
    _, alice, bob, _ = await two_talk(chat)
    stolen = await bob.private()
    mallory = await chat.person("mallory", recovery=True)
    await mallory.loses_the_connection()
    await alice.sends("general", "not for mallory")
    await mallory.comes_back(chat.cluster.gateways[0], **stolen)
    assert mallory.recovered is False and mallory.id != bob.id
    assert mallory.heard == [] and bob.ended is None


async def test_who_is_not_recovered_goes_on_from_its_cursor_if_it_has_one(chat):
    _, alice, bob, _ = await two_talk(chat)
    cursor = await bob.loses_the_connection()
    await alice.sends("general", "missed")
    await bob.comes_back(chat.cluster.gateways[-1], pid="bm90IGEgcGlk", cursor=cursor)
    assert bob.recovered is False
    assert (await bob.is_synced())["complete"] is True
    assert [event["message"]["body"] for event in bob.all_heard("messageAdded")] == ["heard", "missed"]


@pytest.mark.parametrize("client", ["js-websocket", "js-polling"])
async def test_a_recovery_that_is_cut_short_goes_on_where_it_was(chat, client):
    channel, alice, bob, carol = await two_talk(chat, client)
    before = bob.id
    await bob.loses_the_connection()
    padding = "x" * 3_000
    for number in range(200):
        await alice.sends("general", f"missed {number} {padding}")
    heard = 1
    for _ in range(3):
        await bob.loses_the_connection_at("messageAdded", 1)
        await bob.comes_back(chat.cluster.gateways[-1])
        assert (bob.recovered, bob.id) == (True, before)
        await bob.is_disconnected()
        assert bob.synced is None and heard < len(bob.all_heard("messageAdded")) < 201, "cut in the middle"
        heard = len(bob.all_heard("messageAdded"))
    await bob.comes_back(chat.cluster.gateways[0])
    assert bob.recovered is True and (await bob.is_synced())["complete"] is True
    await carol.has_heard(201, "messageAdded")
    heard = told(bob.heard_of(channel.sid))
    assert heard == told(carol.heard_of(channel.sid))[-len(heard) :] and len(heard) == 201


async def test_nothing_missed_is_recovered_too(chat):
    chat.channel("general", "bob")
    bob = await chat.person("bob", recovery=True)
    before = bob.id
    for gateway in (*chat.cluster.gateways, *chat.cluster.gateways):
        await bob.loses_the_connection()
        await bob.comes_back(gateway)
        assert (bob.recovered, bob.id) == (True, before)
        assert (await bob.is_synced())["complete"] is True
    assert bob.heard == []


async def test_a_new_token_recovers_as_well(chat):
    _, alice, bob, _ = await two_talk(chat)
    before = bob.id
    await bob.loses_the_connection()
    await alice.sends("general", "missed")
    key = chat.client.new_keys.create(friendly_name="another")
    await bob.comes_back(chat.cluster.gateways[-1], token=chat.token("bob", key_sid=key.sid, secret=key.secret))
    assert (bob.recovered, bob.id) == (True, before)
    await bob.receives("messageAdded", body="missed")


class Wire:
    """A bare WebSocket: what is on the wire, packet by packet."""

    def __init__(self, socket):
        self.socket = socket

    @classmethod
    async def open(cls, session, url, auth):
        wire = cls(await session.ws_connect(f"{url.replace('http', 'ws', 1)}/socket.io/?EIO=4&transport=websocket"))
        assert (await wire.socket.receive(10)).data.startswith("0{")
        await wire.socket.send_str("40" + json.dumps(auth))
        return wire

    async def packet(self):
        """The next one that is no ping: what it is, and its JSON."""
        while (text := (await self.socket.receive(10)).data) == "2":
            await self.socket.send_str("3")
        return text[:2], json.loads(text[2:])


async def test_on_the_wire(chat):
    channel = chat.channel("general", "alice", "bob")
    alice = await chat.person("alice")
    auth = {"token": chat.token("bob"), "recovery": True}
    gateway = chat.cluster.gateways[0]
    async with aiohttp.ClientSession() as session:
        first = await Wire.open(session, gateway, auth)
        kind, accepted = await first.packet()
        assert kind == "40" and set(accepted) == {"sid", "pid"}
        kind, [name, initialized, offset] = await first.packet()
        assert (kind, name) == ("42", "initialized") and initialized["cursor"] == offset
        await alice.sends(channel.sid, "heard")
        _, [name, heard, offset] = await first.packet()
        assert name == "messageAdded" and heard["cursor"] == offset
        await alice.asks("typing", channel=channel.sid)
        _, typing = await first.packet()
        assert typing[0] == "typingStarted" and len(typing) == 2, "what is not replayed has no offset"

        # It is back before anybody noticed that it had gone: the socket whose place it takes is over, and at the
        # transport, as a packet would tell the client to stay away.
        missed = await alice.sends(channel.sid, "missed")
        second = await Wire.open(session, gateway, {**auth, "pid": accepted["pid"], "offset": offset})
        assert await second.packet() == ("40", accepted)
        _, [name, _, again] = await second.packet()
        assert (name, again) == ("initialized", offset)
        _, [name, replayed, after] = await second.packet()
        assert name == "messageAdded" and replayed["message"]["sid"] == missed["sid"]
        assert "cursor" not in replayed and after != offset
        _, [name, synced, end] = await second.packet()
        assert name == "synced" and synced == {"cursor": end, "complete": True}
        last = []
        async for message in first.socket:
            last.append(message.data)
        assert not any(packet.startswith("41") for packet in last), last

        for wrong in (
            {"offset": 7},
            {"offset": None},
            {"offset": "bm90IGEgY3Vyc29y"},
            {"pid": 7},
            {"pid": [], "offset": {}},
        ):
            third = await Wire.open(session, gateway, {**auth, "pid": accepted["pid"], "offset": end, **wrong})
            kind, answer = await third.packet()
            assert kind == "40" and answer["sid"] != accepted["sid"] and answer["pid"] != accepted["pid"], wrong
            await third.socket.close()
        for recovery in (False, None, "yes", 1):
            plain = await Wire.open(
                session, gateway, {**auth, "recovery": recovery, "pid": accepted["pid"], "offset": end}
            )
            kind, answer = await plain.packet()
            assert kind == "40" and set(answer) == {"sid"} and answer["sid"] != accepted["sid"]
            _, told_first = await plain.packet()
            assert told_first[0] == "initialized" and len(told_first) == 2
            await plain.socket.close()


async def test_a_server_that_was_killed_recovers_its_clients(tmp_path, driver):
    with running("embedded", tmp_path) as cluster:
        chat = Chat(cluster, driver, "recovery over a crash")
        channel, alice, bob, _ = await two_talk(chat)
        before = bob.id
        await bob.loses_the_connection()
        await alice.sends(channel.sid, "missed")
        cluster.kill()
        cluster.restart()
        await bob.comes_back(cluster.gateways[0])
        assert (bob.recovered, bob.id) == (True, before)
        await bob.receives("messageAdded", body="missed")
        await chat.close()


async def test_who_was_away_for_longer_than_events_are_kept_is_not_recovered(tmp_path, driver):
    with running("embedded", tmp_path, HUBBUB_EVENT_RETENTION="2s") as cluster:
        chat = Chat(cluster, driver, "away too long")
        channel, alice, bob, _ = await two_talk(chat)
        before, left = bob.id, time.monotonic()
        await bob.loses_the_connection()
        await alice.sends(channel.sid, "missed")
        # A cursor is as old as the audit before it.
        await eventually(lambda: time.monotonic() - left > 2.5, because="more time passes than events are kept")
        await bob.comes_back(cluster.gateways[0])
        assert bob.recovered is False and bob.id != before
        await alice.sends(channel.sid, "after")
        await bob.receives("messageAdded", body="after")
        assert bob.all_heard("messageAdded", body="missed") == []
        await chat.close()
