"""Presence: who is online, who hears of it, and that each coming and going is told once."""

import asyncio
import signal
import time

import pytest

from harness.chat import Chat
from harness.cluster import running
from harness.rest import Rest
from harness.waiting import eventually

pytestmark = pytest.mark.topologies("embedded", "cluster", "two-gateways")

TOLD_WITHIN = 10


@pytest.fixture
def reachable(chat):
    """The chat, whose service tells who is online."""
    chat.service.update(reachability_enabled=True)
    return chat


def online(chat, identity):
    """What REST says."""
    return chat.service.users(identity).fetch().is_online


async def hears(person, identity, is_online, within=TOLD_WITHIN):
    event = await person.receives(
        "userUpdated", within=within, identity=identity, user={"identity": identity, "is_online": is_online}
    )
    assert not {"seq", "cursor", "channel_sid"} & set(event), event
    return event


def told_of(person, identity):
    """Every coming and going that was heard."""
    return [event["user"]["is_online"] for event in person.all_heard("userUpdated", user={"identity": identity})]


async def fence(chat, person, channel="general"):
    """Whatever was on its way to the person when this is called is there when it returns."""
    chat.service.channels(channel).messages.create(body="fence")
    await person.receives("messageAdded", body="fence")


@pytest.mark.parametrize("kind", ["js", "python"])
async def test_members_of_a_channel_hear_who_comes_and_goes(reachable, kind):
    reachable.channel("general", "alice", "bob")
    assert online(reachable, "alice") is False
    bob = await reachable.person("bob", kind)
    assert bob.initialized["user"]["is_online"] is True
    alice = await reachable.person("alice", kind)
    await hears(bob, "alice", True)
    assert online(reachable, "alice") is True
    assert (await bob.asks("getUser", identity="alice"))["is_online"] is True
    assert (await alice.asks("getUser"))["is_online"] is True
    seen = reachable.rest.get(f"{reachable.path}/Users/alice").json()["date_last_seen"]
    await alice.leaves()
    event = await hears(bob, "alice", False)
    assert online(reachable, "alice") is False
    assert event["user"]["date_last_seen"] > seen
    assert told_of(bob, "alice") == [True, False]
    assert told_of(bob, "bob") == [], "who comes knows"


async def test_a_user_is_online_while_any_device_is_connected(reachable):
    reachable.channel("general", "alice", "bob")
    bob = await reachable.person("bob")
    phone = await reachable.person("alice")
    await hears(bob, "alice", True)
    laptop = await reachable.person("alice", gateway=reachable.cluster.gateways[-1])
    carol = await reachable.person("carol")
    await carol.asks("joinChannel", channel="general")
    await eventually(lambda: online(reachable, "carol"), because="carol is online")
    await phone.leaves()
    # Carol goes later than the phone: when that is told, the phone's going would have been.
    await carol.leaves()
    await hears(bob, "carol", False)
    assert online(reachable, "alice") is True
    await laptop.leaves()
    await hears(bob, "alice", False)
    assert told_of(bob, "alice") == [True, False]


async def test_a_short_absence_is_not_told(reachable):
    reachable.channel("general", "alice", "bob", "carol")
    bob = await reachable.person("bob")
    alice, carol = await reachable.person("alice"), await reachable.person("carol")
    await hears(bob, "alice", True)
    await hears(bob, "carol", True)
    await alice.loses_the_connection()
    # On two gateways it comes back to the other one.
    back = await reachable.person("alice", cursor=alice.cursor)
    await carol.leaves()
    await hears(bob, "carol", False)
    assert told_of(bob, "alice") == [True]
    await back.leaves()
    await hears(bob, "alice", False)
    assert told_of(bob, "alice") == [True, False]


async def test_it_is_told_once_however_many_channels_are_shared(reachable):
    for number in range(6):
        reachable.channel(f"shared {number}", "alice", "bob")
    reachable.channel("general", "bob", "stranger")
    devices = [await reachable.person("bob") for _ in range(2)]
    stranger = await reachable.person("stranger")
    alice = await reachable.person("alice")
    for device in devices:
        await hears(device, "alice", True)
    await alice.leaves()
    for device in devices:
        await hears(device, "alice", False)
        await fence(reachable, device)
        assert told_of(device, "alice") == [True, False]
    assert told_of(stranger, "alice") == [], "they share no channel"


async def test_profile_changes_are_told_like_comings_and_goings(chat, receiver):
    chat.service.update(post_webhook_url=receiver.url, webhook_filters=["onUserUpdated"])
    for number in range(3):
        chat.channel(f"shared {number}", "alice", "bob")
    chat.channel("general", "bob", "stranger")
    bob, stranger = await chat.person("bob"), await chat.person("stranger")
    alice, other = await chat.person("alice"), await chat.person("alice")
    await alice.asks("updateUser", friendly_name="Alice!")
    for person in (bob, other):
        event = await person.receives("userUpdated", user={"friendly_name": "Alice!", "is_online": None})
        assert not {"seq", "cursor"} & set(event), event
        assert event["user"]["is_notifiable"] is None
    chat.service.update(reachability_enabled=True)
    chat.service.users("alice").update(friendly_name="by REST", x_twilio_webhook_enabled="true")
    event = await bob.receives("userUpdated", user={"friendly_name": "by REST"})
    assert event["identity"] == "system" and event["user"]["is_notifiable"] is False
    await fence(chat, bob)
    assert len([one for one in bob.all_heard("userUpdated", user={"identity": "alice"}) if one["identity"] == "alice" and one["user"]["friendly_name"] == "Alice!"]) == 1
    assert not stranger.all_heard("userUpdated", user={"identity": "alice"})
    [first, second] = await eventually(
        lambda: len(told := receiver.of("onUserUpdated")) == 2 and told, because="both changes are called"
    )
    assert "IsOnline" not in first.params, "only with reachability"
    assert {second["IsOnline"], second["IsNotifiable"]} <= {"true", "false"}


async def test_it_is_told_as_long_as_the_service_wants_it(chat):
    chat.channel("general", "alice", "bob")
    alice, bob = await chat.person("alice"), await chat.person("bob")
    assert alice.initialized["user"]["is_online"] is None
    assert online(chat, "alice") is None
    assert (await bob.asks("getUser", identity="alice"))["is_online"] is None
    chat.service.update(reachability_enabled=True)
    for person, other in ((alice, "bob"), (bob, "alice")):
        await hears(person, other, True)
        await hears(person, person.identity, True)
        assert online(chat, other) is True
    chat.service.update(reachability_enabled=False)
    shown = chat.rest.get(f"{chat.path}/Users/alice").json()
    assert [shown[name] for name in ("is_online", "is_notifiable", "date_last_seen")] == [None] * 3
    await alice.leaves()
    heard = len(bob.all_heard("userUpdated"))
    chat.service.update(reachability_enabled=True)
    await eventually(lambda: online(chat, "alice") is False, because="alice is gone")
    await fence(chat, bob)
    assert len(bob.all_heard("userUpdated", user={"is_online": False})) <= 1, "told once, when it is told again"
    assert len(bob.all_heard("userUpdated")) <= heard + 2
    back = await chat.person("alice")
    await hears(bob, "alice", True)
    await back.leaves()
    await hears(bob, "alice", False)


def test_devices_make_a_user_notifiable(chat):
    chat.service.users.create(identity="alice")
    chat.service.users.create(identity="bob")
    path = f"{chat.path}/Users"

    def notifiable():
        users = {user["identity"]: user["is_notifiable"] for user in chat.rest.get(path).json()["users"]}
        assert users["alice"] == chat.rest.get(f"{path}/alice").json()["is_notifiable"]
        assert users["alice"] == chat.service.users("alice").fetch().is_notifiable
        return users

    form = {"BindingType": "fcm", "Endpoint": "phone", "Address": "token"}
    binding = chat.rest.post(f"{path}/alice/Bindings", form).json()
    assert notifiable() == {"alice": None, "bob": None}
    chat.service.update(reachability_enabled=True)
    assert notifiable() == {"alice": True, "bob": False}
    assert chat.rest.post(f"{path}/alice", {"FriendlyName": "Alice"}).json()["is_notifiable"] is True
    assert chat.rest.delete(f"{path}/alice/Bindings/{binding['sid']}").status_code == 204
    assert notifiable() == {"alice": False, "bob": False}


async def test_lists_show_who_is_online(reachable, published):
    for identity in ("alice", "bob", "carol"):
        reachable.service.users.create(identity=identity)
    bob = await reachable.person("bob")
    await eventually(lambda: online(reachable, "bob"), because="bob is online")
    listed = reachable.rest.get(f"{reachable.path}/Users").json()["users"]
    assert {user["identity"]: user["is_online"] for user in listed} == {"alice": False, "bob": True, "carol": False}
    never, seen = (next(user for user in listed if user["identity"] == name) for name in ("alice", "bob"))
    assert never["date_last_seen"] is None and seen["date_last_seen"].endswith("Z")
    for user in listed:
        published.check("chat.v2.service.user", user)
    await bob.leaves()


async def test_a_deleted_user_leaves_nothing_behind(reachable):
    reachable.channel("general", "alice", "bob")
    bob, alice = await reachable.person("bob"), await reachable.person("alice")
    await hears(bob, "alice", True)
    reachable.service.users("alice").delete()
    await alice.is_disconnected()
    await bob.receives("memberLeft", identity="system")
    again = reachable.rest.post(f"{reachable.path}/Users", {"Identity": "alice"}).json()
    assert (again["is_online"], again["date_last_seen"]) == (False, None)
    reachable.service.channels("general").members.create(identity="alice")
    back = await reachable.person("alice")
    await hears(bob, "alice", True)
    await back.leaves()
    await hears(bob, "alice", False)
    assert told_of(bob, "alice") == [True, True, False]


async def test_a_storm_of_comings_is_told_to_each_once(reachable):
    names = [f"user {number}" for number in range(20)]
    watcher = await reachable.person("watcher")
    reachable.channel("general", "watcher", *names)
    people = await asyncio.gather(*(reachable.person(name) for name in names))
    await watcher.has_heard(len(names), "userUpdated", user={"is_online": True})
    await asyncio.gather(*(person.leaves() for person in people))
    await watcher.has_heard(len(names), "userUpdated", user={"is_online": False})
    await fence(reachable, watcher)
    for name in names:
        assert told_of(watcher, name) == [True, False]


# --- clusters of the test's own


@pytest.mark.parametrize("topology", ["embedded", "two-gateways"])
async def test_big_channels_tell_nothing(tmp_path, driver, topology):
    with running(topology, tmp_path, HUBBUB_PRESENCE_CHANNEL_LIMIT="3") as cluster:
        chat = Chat(cluster, driver, "big channels")
        chat.service.update(reachability_enabled=True)
        chat.channel("general", "alice", "bob", "carol", "dave")
        chat.channel("small", "alice", "carol")
        bob, carol = await chat.person("bob"), await chat.person("carol")
        alice = await chat.person("alice")
        await hears(carol, "alice", True)
        await alice.asks("updateUser", friendly_name="Alice!")
        await carol.receives("userUpdated", user={"friendly_name": "Alice!"})
        await fence(chat, bob)
        assert told_of(bob, "alice") == []
        assert online(chat, "alice") is True, "REST knows"
        await chat.close()


async def cast(chat):
    """Alice on the first gateway; bob, carol and dave on the second; dave on both."""
    chat.service.update(reachability_enabled=True)
    chat.channel("general", "alice", "bob", "carol", "dave")
    first, second = chat.cluster.gateways
    alice = await chat.person("alice", gateway=first)
    others = {name: await chat.person(name, gateway=second) for name in ("bob", "carol", "dave")}
    await chat.person("dave", gateway=first)
    for name in others:
        await hears(alice, name, True)
    return alice, others, next(node for node in chat.cluster.nodes if node.url == second)


async def test_a_gateway_that_dies_takes_its_users_offline_once(tmp_path, driver):
    with running("two-gateways", tmp_path) as cluster:
        chat = Chat(cluster, driver, "a gateway dies")
        alice, others, dying = await cast(chat)
        dying.kill()
        died = time.monotonic()
        await hears(alice, "bob", False)
        await hears(alice, "carol", False)
        assert time.monotonic() - died < TOLD_WITHIN
        for name, person in others.items():
            await person.is_disconnected()
            assert online(chat, name) is (name == "dave")
        # It comes back, and its users with it.
        dying.start().wait_ready()
        bob = await chat.person("bob", gateway=dying.url)
        await hears(alice, "bob", True)
        await bob.leaves()
        await hears(alice, "bob", False)
        assert told_of(alice, "bob") == [True, False, True, False]
        assert told_of(alice, "carol") == [True, False]
        assert told_of(alice, "dave") == [True]
        await chat.close()


async def test_a_gateway_that_was_asleep_puts_its_users_back(tmp_path, driver):
    with running("two-gateways", tmp_path) as cluster:
        chat = Chat(cluster, driver, "a gateway sleeps")
        alice, _, sleeping = await cast(chat)
        sleeping.process.send_signal(signal.SIGSTOP)
        await hears(alice, "bob", False)
        await hears(alice, "carol", False)
        sleeping.process.send_signal(signal.SIGCONT)
        await hears(alice, "bob", True)
        await hears(alice, "carol", True)
        assert online(chat, "bob") is True and online(chat, "carol") is True
        assert told_of(alice, "bob") == told_of(alice, "carol") == [True, False, True]
        assert told_of(alice, "dave") == [True]
        await chat.close()


async def test_a_gateway_that_ends_hands_its_users_over(tmp_path, driver):
    with running("two-gateways", tmp_path) as cluster:
        chat = Chat(cluster, driver, "a gateway ends")
        alice, others, ending = await cast(chat)
        assert await asyncio.to_thread(ending.stop) == 0
        await others["bob"].is_disconnected()
        bob = await chat.person("bob", gateway=cluster.gateways[0], cursor=others["bob"].cursor)
        await hears(alice, "carol", False)
        await fence(chat, alice)
        assert told_of(alice, "bob") == [True], "bob was elsewhere at once"
        await bob.leaves()
        await hears(alice, "bob", False)
        await chat.close()
        ending.start().wait_ready()


async def test_a_restart_after_a_crash_clears_what_was_left(tmp_path, driver):
    with running("embedded", tmp_path) as cluster:
        chat = Chat(cluster, driver, "a crash")
        chat.service.update(reachability_enabled=True)
        chat.channel("general", "alice", "bob")
        alice, bob = await chat.person("alice"), await chat.person("bob")
        await hears(alice, "bob", True)
        cluster.kill()
        cluster.restart()
        for person in (alice, bob):
            await person.is_disconnected()
        chat.rest = Rest(cluster.api, (cluster.account_sid, cluster.auth_token))
        back = await chat.person("alice", cursor=alice.cursor)
        await hears(back, "bob", False)
        assert online(chat, "bob") is False and online(chat, "alice") is True
        assert told_of(back, "alice") == [], "alice was back in time"
        await chat.close()
