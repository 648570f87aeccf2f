"""Talking: messages between the two official clients over every transport, and what each side hears of it."""

import asyncio
import re

import pytest

# Two people, each on a client of their own: one of them always restricted to polling or to the other library.
PAIRS = [
    ("js", "js-polling"),
    ("js-polling", "python"),
    ("python-polling", "js-websocket"),
    ("python-websocket", "python-polling"),
]
MILLISECONDS = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=[" + ".join(pair) for pair in PAIRS])
async def test_messages_go_both_ways_between_clients(chat, first, second):
    channel = chat.channel("general", "alice", "bob")
    alice = await chat.person("alice", first)
    bob = await chat.person("bob", second)
    sent = await alice.sends("general", "hello")
    event = await bob.receives("messageAdded", body="hello")
    assert event["message"]["sid"] == sent["sid"]
    assert event["channel_sid"] == channel.sid
    await bob.sends(channel.sid, "hi yourself", attributes='{"tone":"friendly"}')
    heard = await alice.receives("messageAdded", body="hi yourself")
    assert heard["message"]["attributes"] == '{"tone":"friendly"}'


async def test_the_ack_and_the_event_carry_the_message_as_rest_shows_it(chat, published):
    chat.channel("general", "alice", "bob")
    alice = await chat.person("alice")
    bob = await chat.person("bob")
    sent = await alice.sends("general", "Grüße 🙂", client_id="c-1")
    assert sent["replayed"] is False
    event = await bob.receives("messageAdded")
    shown = chat.rest.get(f"{chat.path}/Channels/general/Messages/{sent['sid']}").json()
    published.check("chat.v2.service.channel.message", event["message"])
    for name in ("sid", "index", "body", "from", "attributes", "channel_sid", "date_created", "was_edited", "type"):
        assert sent[name] == event["message"][name] == shown[name], name
    assert (shown["body"], shown["from"]) == ("Grüße 🙂", "alice")
    assert event["id"].startswith("EV") and event["identity"] == "alice" and event["service_sid"] == chat.sid
    assert MILLISECONDS.match(event["timestamp"]) and MILLISECONDS.match(bob.initialized["server_time"])
    assert event["seq"] >= 1


async def test_the_sending_socket_hears_nothing_but_the_ack_while_the_senders_other_socket_hears_it(chat):
    chat.channel("general", "alice", "bob")
    phone = await chat.person("alice", "js-polling")
    laptop = await chat.person("alice", "python-websocket")
    bob = await chat.person("bob")
    sent = await phone.sends("general", "from the phone")
    event = await laptop.receives("messageAdded")
    assert event["message"]["sid"] == sent["sid"]
    await bob.sends("general", "a later message")
    await phone.receives("messageAdded", body="a later message")
    assert phone.all_heard("messageAdded", body="from the phone") == []


async def test_a_message_sent_by_rest_arrives_everywhere(chat):
    channel = chat.channel("general", "alice", "bob")
    people = [await chat.person("alice", "js"), await chat.person("alice", "python-polling"), await chat.person("bob")]
    message = chat.service.channels(channel.sid).messages.create(body="from the backend", from_="alice")
    for person in people:
        event = await person.receives("messageAdded", body="from the backend")
        assert event["message"]["sid"] == message.sid


async def test_only_members_hear_a_channel(chat):
    chat.channel("general", "alice", "bob")
    chat.channel("elsewhere", "alice", "carol")
    alice, bob, carol = [await chat.person(name) for name in ("alice", "bob", "carol")]
    await alice.sends("general", "for bob")
    await alice.sends("elsewhere", "for carol")
    await bob.receives("messageAdded", body="for bob")
    await carol.receives("messageAdded", body="for carol")
    assert [event["message"]["body"] for event in bob.all_heard("messageAdded")] == ["for bob"]
    assert [event["message"]["body"] for event in carol.all_heard("messageAdded")] == ["for carol"]


async def test_another_service_with_the_same_names_hears_nothing(chat):
    chat.channel("general", "alice", "bob")
    alice, bob = await chat.person("alice"), await chat.person("bob")
    other = chat.client.chat.v2.services.create(friendly_name="other")
    other.channels.create(unique_name="general")
    other.channels("general").members.create(identity="bob")
    namesake = await chat.person("bob", token=chat.token("bob", service_sid=other.sid))
    await alice.sends("general", "private matter")
    await bob.receives("messageAdded", body="private matter")
    other.channels("general").messages.create(body="fence")
    await namesake.receives("messageAdded", body="fence")
    assert len(namesake.all_heard("messageAdded")) == 1
    assert bob.all_heard("messageAdded", body="fence") == []
    other.delete()


async def test_200_rapid_messages_of_four_senders_reach_every_listener_in_one_order_without_gaps(chat):
    senders = ["ann", "ben", "cat", "dan"]
    channel = chat.channel("general", *senders, "listener", "observer")
    kinds = ["js", "js-polling", "python-websocket", "python-polling"]
    people = [await chat.person(name, kind) for name, kind in zip(senders, kinds, strict=True)]
    listeners = [await chat.person("listener", "js-websocket"), await chat.person("observer", "python-polling")]
    sends = [person.sends(channel.sid, f"{person.identity} {n}") for n in range(50) for person in people]
    acked = await asyncio.gather(*sends)
    assert len({message["sid"] for message in acked}) == 200
    for listener in listeners:
        events = await listener.has_heard(200, "messageAdded", within=20)
        assert len(events) == 200
        sids = [event["message"]["sid"] for event in events]
        assert set(sids) == {message["sid"] for message in acked} and len(set(sids)) == 200
        seqs = [event["seq"] for event in events]
        assert seqs == list(range(seqs[0], seqs[0] + 200))
        indexes = [event["message"]["index"] for event in events]
        assert indexes == sorted(set(indexes))
        for person in people:
            own = [body for event in events if (body := event["message"]["body"]).startswith(person.identity)]
            assert own == [f"{person.identity} {n}" for n in range(50)], "a socket's sends keep their order"
    history = chat.messages_of(channel.sid)
    assert [message.sid for message in history] == [event["message"]["sid"] for event in events]


async def test_a_sender_hears_the_others_without_gaps_too(chat):
    channel = chat.channel("general", "ann", "ben")
    ann, ben = await chat.person("ann", "js"), await chat.person("ben", "python")
    sends = [person.sends(channel.sid, f"{person.identity} {n}") for n in range(25) for person in (ann, ben)]
    acked = await asyncio.gather(*sends)
    for me, other in ((ann, "ben"), (ben, "ann")):
        events = await me.has_heard(25, "messageAdded", identity=other)
        assert [event["message"]["body"] for event in events] == [f"{other} {n}" for n in range(25)]
        assert me.all_heard("messageAdded", identity=me.identity) == []
    assert sorted(message["index"] for message in acked) == list(range(50))


async def test_a_repeated_client_id_returns_the_first_message_and_is_heard_once(chat):
    chat.channel("general", "alice", "bob")
    alice, bob = await chat.person("alice"), await chat.person("bob", "python-polling")
    first = await alice.sends("general", "once", client_id="unique-1")
    again = await alice.sends("general", "once", client_id="unique-1")
    assert (first["replayed"], again["replayed"]) == (False, True)
    assert again["sid"] == first["sid"]
    await alice.is_refused("sendMessage", channel="general", body="other words", client_id="unique-1", code=20409)
    theirs = await bob.sends("general", "once", client_id="unique-1")
    assert theirs["sid"] != first["sid"], "a client_id belongs to its author"
    await alice.sends("general", "fence")
    await bob.receives("messageAdded", body="fence")
    assert len(bob.all_heard("messageAdded", body="once")) == 1


async def test_twenty_simultaneous_sends_of_one_client_id_make_one_message(chat):
    channel = chat.channel("general", "alice")
    sockets = [await chat.person("alice", kind) for kind in ("js", "python-websocket")]
    answers = await asyncio.gather(
        *(socket.sends("general", "only me", client_id="race") for socket in sockets for _ in range(10))
    )
    assert len({answer["sid"] for answer in answers}) == 1
    assert [answer["replayed"] for answer in answers].count(False) == 1
    assert len(chat.messages_of(channel.sid)) == 1


async def test_edits_and_removals_are_heard(chat):
    chat.channel("general", "alice", "bob")
    alice, bob = await chat.person("alice"), await chat.person("bob", "js-polling")
    sent = await alice.sends("general", "helo")
    edited = await alice.asks("updateMessage", channel="general", message=sent["sid"], body="hello")
    assert (edited["body"], edited["was_edited"]) == ("hello", True)
    event = await bob.receives("messageUpdated")
    assert (event["message"]["sid"], event["message"]["body"]) == (sent["sid"], "hello")
    assert await alice.asks("removeMessage", channel="general", message=sent["sid"]) == {}
    removed = await bob.receives("messageRemoved")
    assert removed["message"]["sid"] == sent["sid"]
    seqs = [event["seq"] for event in bob.heard if "seq" in event]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))


async def test_an_edit_by_rest_is_heard(chat):
    channel = chat.channel("general", "alice")
    alice = await chat.person("alice", "python")
    message = chat.service.channels(channel.sid).messages.create(body="draft")
    message.update(body="final")
    event = await alice.receives("messageUpdated", body="final")
    assert event["message"]["sid"] == message.sid
    message.delete()
    await alice.receives("messageRemoved")
