"""Coming back after a lost connection: with a cursor exactly what was missed follows, once, in order."""

import pytest

from harness.history import KINDS, told, unfolds

CLIENTS = ["js-websocket", "js-polling", "python-polling"]


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_cursor_brings_exactly_the_missed_messages_once(chat, client):
    channel = chat.channel("general", "alice", "bob")
    alice, bob = await chat.person("alice"), await chat.person("bob", client)
    await alice.sends("general", "heard")
    await bob.receives("messageAdded", body="heard")
    cursor = await bob.loses_the_connection()
    missed = [await alice.sends("general", f"missed {number}") for number in range(30)]
    back = await chat.person("bob", client, cursor=cursor)
    assert (await back.is_synced())["complete"] is True
    await alice.sends("general", "after")
    await back.receives("messageAdded", body="after")
    bodies = [event["message"]["body"] for event in back.all_heard("messageAdded")]
    assert bodies == [*(message["body"] for message in missed), "after"]
    seqs = [event["seq"] for event in bob.heard_of(channel.sid) + back.heard_of(channel.sid)]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))


@pytest.mark.parametrize("client", ["python-websocket", "python-polling", "js-websocket"])
async def test_300_missed_events_of_all_kinds_come_once_and_in_order(chat, client):
    channel = chat.channel("general", "alice", "bob", "carol")
    alice, carol = await chat.person("alice"), await chat.person("carol")
    bob = await chat.person("bob", client, gateway=chat.cluster.gateways[0])
    await alice.sends("general", "heard")
    for listener in (bob, carol):
        await listener.receives("messageAdded", body="heard")
    cursor = await bob.loses_the_connection()
    await unfolds(chat, alice, channel.sid, 300)
    back = await chat.person("bob", client, cursor=cursor, gateway=chat.cluster.gateways[-1])
    assert (await back.is_synced())["complete"] is True
    await alice.sends("general", "live again")
    for listener in (back, carol):
        await listener.receives("messageAdded", body="live again")
    heard = told(bob.heard_of(channel.sid) + back.heard_of(channel.sid))
    assert heard == told(carol.heard_of(channel.sid))[-len(heard) :]
    assert len(heard) == 302 and {kind for _, kind, _ in heard} == KINDS
    seqs = [seq for seq, _, _ in heard]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))


async def test_every_kind_of_event_is_replayed_with_one_event_for_each_seq(chat):
    channel = chat.channel("general", "alice", "bob")
    alice, bob = await chat.person("alice"), await chat.person("bob")
    await alice.sends("general", "heard")
    await bob.receives("messageAdded", body="heard")
    cursor = await bob.loses_the_connection()
    kept = await alice.sends("general", "kept")
    removed = await alice.sends("general", "removed")
    await alice.asks("updateMessage", channel="general", message=kept["sid"], body="edited")
    await alice.asks("removeMessage", channel="general", message=removed["sid"])
    chat.service.channels("general").members.create(identity="carol")
    chat.service.channels("general").update(friendly_name="Renamed")
    chat.channel("second", "bob")
    back = await chat.person("bob", cursor=cursor)
    assert (await back.is_synced())["complete"] is True
    general = back.heard_of(channel.sid)
    assert [event["type"] for event in general] == [
        "messageAdded",
        "messageAdded",
        "messageUpdated",
        "messageRemoved",
        "memberJoined",
        "channelUpdated",
    ]
    seqs = [event["seq"] for event in general]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
    assert seqs[0] == bob.heard_of(channel.sid)[-1]["seq"] + 1
    assert len(back.all_heard("channelJoined", channel={"unique_name": "second"})) == 1


async def test_nothing_said_after_the_own_removal_is_replayed(chat):
    channel = chat.channel("general", "alice", "bob")
    alice, bob = await chat.person("alice"), await chat.person("bob")
    await alice.sends("general", "heard")
    await bob.receives("messageAdded", body="heard")
    cursor = await bob.loses_the_connection()
    await alice.sends("general", "before the removal")
    chat.service.channels("general").members("bob").delete()
    await alice.sends("general", "not for bob")
    back = await chat.person("bob", cursor=cursor)
    await back.is_synced()
    assert [event["type"] for event in back.heard_of(channel.sid)] == ["messageAdded", "channelLeft"]
    assert back.all_heard("messageAdded", body="not for bob") == []


async def test_a_cursor_of_nothing_missed_is_complete_and_silent(chat):
    chat.channel("general", "alice")
    alice = await chat.person("alice")
    cursor = await alice.loses_the_connection()
    back = await chat.person("alice", cursor=cursor)
    assert (await back.is_synced())["complete"] is True
    assert back.heard == []


@pytest.mark.parametrize("foreign", ["identity", "service", "rubbish"])
async def test_a_foreign_or_unreadable_cursor_is_not_complete(chat, foreign):
    chat.channel("general", "alice", "bob")
    alice = await chat.person("alice")
    cursor = "bm90IGEgY3Vyc29y"
    if foreign == "identity":
        cursor = (await chat.person("bob")).cursor
    if foreign == "service":
        other = chat.client.chat.v2.services.create(friendly_name="other")
        cursor = (await chat.person("alice", token=chat.token("alice", service_sid=other.sid))).cursor
    await alice.sends("general", "not to be replayed by a foreign cursor")
    back = await chat.person("alice", cursor=cursor)
    assert (await back.is_synced())["complete"] is False
    assert back.all_heard("messageAdded") == []


async def test_a_client_may_come_back_to_any_gateway(chat):
    chat.channel("general", "alice", "bob")
    first, last = chat.cluster.gateways[0], chat.cluster.gateways[-1]
    alice, bob = await chat.person("alice", gateway=last), await chat.person("bob", gateway=first)
    await alice.sends("general", "heard")
    await bob.receives("messageAdded", body="heard")
    cursor = await bob.loses_the_connection()
    await alice.sends("general", "missed")
    back = await chat.person("bob", gateway=last, cursor=cursor)
    assert (await back.is_synced())["complete"] is True
    assert [event["message"]["body"] for event in back.all_heard("messageAdded")] == ["missed"]


async def test_a_backlog_larger_than_a_polling_answer_arrives_whole(chat):
    chat.channel("general", "alice", "bob")
    alice, bob = await chat.person("alice"), await chat.person("bob")
    cursor = await bob.loses_the_connection()
    for number in range(120):
        await alice.sends("general", str(number))
    back = await chat.person("bob", "python-polling", cursor=cursor)
    assert (await back.is_synced())["complete"] is True
    assert [event["message"]["body"] for event in back.all_heard("messageAdded")] == [str(n) for n in range(120)]


async def test_a_channel_that_was_left_is_not_told_again(chat):
    chat.channel("general", "alice", "bob")
    alice, bob = await chat.person("alice"), await chat.person("bob")
    await alice.sends("general", "heard")
    await bob.receives("messageAdded", body="heard")
    await bob.asks("leaveChannel", channel="general")
    await bob.receives("channelLeft")
    cursor = await bob.loses_the_connection()
    for _ in range(3):
        back = await chat.person("bob", cursor=cursor)
        assert (await back.is_synced())["complete"] is True
        assert back.heard == []
        cursor = await back.loses_the_connection()
    fresh = await chat.person("bob")
    back = await chat.person("bob", cursor=await fresh.loses_the_connection())
    assert (await back.is_synced())["complete"] is True
    assert back.heard == []


async def test_what_a_removed_message_said_is_not_replayed(chat):
    channel = chat.channel("general", "alice", "bob")
    alice, bob = await chat.person("alice"), await chat.person("bob")
    cursor = await bob.loses_the_connection()
    regretted = await alice.sends("general", "regretted", attributes='{"said":"regretted"}')
    await alice.asks("removeMessage", channel="general", message=regretted["sid"])
    back = await chat.person("bob", cursor=cursor)
    await back.is_synced()
    told = back.heard_of(channel.sid)
    assert [event["type"] for event in told] == ["messageAdded", "messageRemoved"]
    assert {event["message"]["sid"] for event in told} == {regretted["sid"]}
    assert "regretted" not in repr(told)
