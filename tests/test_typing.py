"""Who types: told once, ended with the last device, and cheap."""

import asyncio
import contextlib
import time

import psycopg
import pytest

from harness.chat import Chat
from harness.cluster import running


async def settled(chat, listener, speaker):
    """Whatever was told before has arrived: typing goes the way that messages go."""
    marker = f"marker {len(listener.heard)}"
    await speaker.sends("general", marker)
    await listener.receives("messageAdded", body=marker)


async def devices(chat, identity, count=2):
    """The same user on several devices, on different gateways where there are any."""
    gateways = chat.cluster.gateways
    return [await chat.person(identity, gateway=gateways[number % len(gateways)]) for number in range(count)]


@contextlib.contextmanager
def nothing_is_read(cluster, *tables):
    """Whoever asks these tables waits until this ends. On SQLite nobody can be kept from reading."""
    if not cluster.backend:
        yield
        return
    with psycopg.connect(cluster.backend.database_url) as connection:
        connection.execute(f"lock table {', '.join(tables)} in access exclusive mode")
        yield
        connection.rollback()


@pytest.mark.parametrize("client", ["js-websocket", "js-polling", "python"])
async def test_signs_that_follow_tell_nothing_new_and_ask_nothing(chat, client):
    chat.service.update(typing_indicator_timeout=20)
    chat.channel("general", "alice", "bob")
    alice, bob = await chat.person("alice", client), await chat.person("bob")
    await alice.asks("typing", channel="general")
    await bob.receives("typingStarted", identity="alice")
    with nothing_is_read(chat.cluster, "members", "channels", "roles", "services"):
        began = time.monotonic()
        for _ in range(20):
            assert await asyncio.wait_for(alice.asks("typing", channel="general"), 2) == {}
        assert time.monotonic() - began < 4, "longer than the permission holds, the test would show nothing"
    await alice.sends("general", "done")
    await bob.receives("messageAdded", body="done")
    await bob.receives("typingEnded", identity="alice")
    assert [event["type"] for event in bob.heard if event["type"].startswith("typing")] == [
        "typingStarted",
        "typingEnded",
    ]


async def test_whoever_types_on_goes_on_typing(chat):
    chat.service.update(typing_indicator_timeout=1)
    chat.channel("general", "alice", "bob")
    alice, bob = await chat.person("alice"), await chat.person("bob")
    began = time.monotonic()
    while time.monotonic() - began < 3:
        await alice.asks("typing", channel="general")
        await asyncio.sleep(0.3)
    assert len(bob.all_heard("typingStarted", identity="alice")) == 1
    assert bob.all_heard("typingEnded") == []
    await bob.receives("typingEnded", identity="alice")


async def test_a_user_types_until_its_last_device_stops(chat):
    chat.service.update(typing_indicator_timeout=20)
    chat.channel("general", "alice", "bob", "carol")
    phone, laptop = await devices(chat, "alice")
    listeners = [*await devices(chat, "bob"), await chat.person("carol")]
    await phone.asks("typing", channel="general")
    for listener in listeners:
        await listener.receives("typingStarted", identity="alice")
    await laptop.asks("typing", channel="general")
    await settled(chat, listeners[0], listeners[2])
    await phone.leaves()
    await settled(chat, listeners[0], listeners[2])
    for listener in listeners:
        assert listener.all_heard("typingEnded") == [], "the other device goes on"
    await laptop.leaves()
    for listener in listeners:
        await listener.receives("typingEnded", identity="alice")
        assert len(listener.all_heard("typingStarted", identity="alice")) == 1


@pytest.mark.parametrize("way", ["the other device", "a backend"])
async def test_typing_ends_with_the_message_wherever_it_comes_from(chat, way):
    chat.service.update(typing_indicator_timeout=60)
    chat.channel("general", "alice", "bob")
    phone, laptop = await devices(chat, "alice")
    bobs = await devices(chat, "bob")
    await phone.asks("typing", channel="general")
    for bob in bobs:
        await bob.receives("typingStarted", identity="alice")
    if way == "a backend":
        chat.service.channels("general").messages.create(body="unrelated", from_="carol")
        chat.service.channels("general").messages.create(body="done", from_="alice")
    else:
        await laptop.sends("general", "done")
    for bob in bobs:
        await bob.receives("typingEnded", identity="alice")
        await bob.receives("messageAdded", body="done")
    # A sign that follows is a new one, at once.
    await phone.asks("typing", channel="general")
    for bob in bobs:
        await bob.receives("typingStarted", identity="alice")


@pytest.mark.parametrize("way", ["leaves", "is removed", "disconnects", "is cut off", "is deleted"])
async def test_typing_ends_with_the_place_in_the_channel(chat, way):
    chat.service.update(typing_indicator_timeout=60)
    chat.channel("general", "alice", "bob")
    alice, bobs = await chat.person("alice"), await devices(chat, "bob")
    await alice.asks("typing", channel="general")
    for bob in bobs:
        await bob.receives("typingStarted", identity="alice")
    match way:
        case "leaves":
            await alice.asks("leaveChannel", channel="general")
        case "is removed":
            chat.service.channels("general").members("alice").delete()
        case "disconnects":
            await alice.leaves()
        case "is cut off":
            await alice.loses_the_connection()
        case "is deleted":
            chat.service.users("alice").delete()
    for bob in bobs:
        await bob.receives("typingEnded", identity="alice")
    if way in ("leaves", "is removed"):
        await alice.receives("channelLeft")
        await alice.is_refused("typing", channel="general", code=50400)


async def test_typing_is_refused_without_the_right_to_send(chat):
    chat.channel("general", "bob")
    outsider = await chat.person("outsider")
    await outsider.is_refused("typing", channel="general", code=50400)
    await outsider.is_refused("typing", channel="nowhere", code=20404)
    mute = chat.service.roles.create(friendly_name="mute", type="channel", permission=["leaveChannel"])
    guest = chat.service.roles.create(friendly_name="guest", type="deployment", permission=["joinChannel"])
    chat.service.users.create(identity="alice", role_sid=guest.sid)
    chat.service.channels("general").members.create(identity="alice", role_sid=mute.sid)
    alice = await chat.person("alice")
    refused = await alice.is_refused("typing", channel="general", code=50107)
    assert "sendMessage" in refused.message


async def test_in_large_channels_nobody_is_told(tmp_path, driver):
    with running("embedded", tmp_path, HUBBUB_TYPING_CHANNEL_LIMIT="3") as cluster:
        chat = Chat(cluster, driver, "large channels")
        chat.channel("general", "alice", "bob", "carol")
        chat.channel("large", "alice", "bob", "carol", "dave")
        alice, bob = await chat.person("alice"), await chat.person("bob")
        assert await alice.asks("typing", channel="large") == {}
        await alice.asks("typing", channel="general")
        await bob.receives("typingStarted", identity="alice")
        assert len(bob.all_heard("typingStarted")) == 1
        await chat.close()


async def test_typing_ends_without_the_gateway_that_could_say_so(tmp_path, driver):
    with running("two-gateways", tmp_path) as cluster:
        chat = Chat(cluster, driver, "a dead gateway")
        chat.service.update(typing_indicator_timeout=2)
        chat.channel("general", "alice", "bob")
        first, second = cluster.gateways
        alice = await chat.person("alice", gateway=first)
        bob = await chat.person("bob", gateway=second)
        await alice.asks("typing", channel="general")
        await bob.receives("typingStarted", identity="alice")
        dead = next(node for node in cluster.nodes if node.url == first)
        dead.kill()
        await bob.receives("typingEnded", within=6, identity="alice")
        dead.start().wait_ready()
        await alice.is_disconnected()
        await chat.close()
