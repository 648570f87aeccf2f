"""Every verb and every event of the contract, through every official client and transport. What the gateway learns to
do or to tell makes these fail by its name until the table knows it."""

import re
from typing import Any, NamedTuple

import pytest

from harness.clients import CLIENTS
from harness.node import ROOT

pytestmark = pytest.mark.topologies("embedded", "two-gateways")


def known_verbs():
    source = (ROOT / "gateway" / "src" / "verbs" / "mod.rs").read_text()
    verbs = set(re.findall(r'^ +"(\w+)" => (?:return )?self\.', source, re.MULTILINE)) | set(
        re.findall(r'event\.name == "(\w+)"', source)
    )
    assert "sendMessage" in verbs and "typing" in verbs
    return verbs


def known_events():
    """What sockets are told: the kinds of core, and what the gateway says of tokens."""
    kinds = (ROOT / "core" / "src" / "events" / "mod.rs").read_text().split("\nkinds! {", 1)[1].split("\n}", 1)[0]
    told = set(re.findall(r'"(\w+)"', kinds)) - FOR_WEBHOOKS_ONLY
    assert "messageAdded" in told
    return told | set(re.findall(r'"(token\w+)"', (ROOT / "gateway" / "src" / "hub" / "audit.rs").read_text()))


FOR_WEBHOOKS_ONLY = {"userAdded", "channelStateUpdated"}


class Step(NamedTuple):
    """Somebody asks for something; then Alice hears of it."""

    verb: str
    argument: Any
    agrees: Any = lambda data: data == {}
    hears: tuple = ()
    by: str = "alice"


def named(name, value):
    return lambda data: data[name] == value


def tour(asked, pool):
    """What Alice and Bob do; `asked` has the last answer to each verb. Alice is an operator of the pool."""
    tea, club = {"channel": "tea"}, {"channel": "club"}
    return [
        Step("createChannel", {"unique_name": "tea"}, named("created_by", "alice"), ("channelAdded", "channelJoined")),
        Step("updateChannel", {**tea, "friendly_name": "Tea"}, named("friendly_name", "Tea"), ("channelUpdated",)),
        Step("addMember", {**tea, "identity": "bob"}, named("identity", "bob"), ("memberJoined",)),
        Step(
            "updateMember",
            {**tea, "identity": "bob", "attributes": '{"a":1}'},
            named("attributes", '{"a":1}'),
            ("memberUpdated",),
        ),
        Step("getMembers", tea, lambda data: [member["identity"] for member in data["members"]] == ["alice", "bob"]),
        Step("sendMessage", {**tea, "body": "zero"}, named("index", 0), ("messageAdded",), by="bob"),
        Step("sendMessage", {**tea, "body": "one", "client_id": "c-1"}, named("replayed", False)),
        Step(
            "updateMessage",
            lambda: {**tea, "message": asked["sendMessage"]["sid"], "body": "uno"},
            named("body", "uno"),
            ("messageUpdated",),
        ),
        Step("getMessages", tea, lambda data: [message["body"] for message in data["messages"]] == ["zero", "uno"]),
        Step("removeMessage", lambda: {**tea, "message": asked["sendMessage"]["sid"]}, hears=("messageRemoved",)),
        Step("typing", tea, hears=("typingStarted",), by="bob"),
        Step("sendMessage", {**tea, "body": "two"}, named("index", 2), ("messageAdded", "typingEnded"), by="bob"),
        Step("typing", tea),
        Step("setLastConsumedMessageIndex", {**tea, "index": 0}, named("unread_messages_count", 1)),
        Step("updateUserChannel", {**tea, "notification_level": "muted"}, named("notification_level", "muted")),
        Step("getChannel", tea, lambda data: (data["status"], data["notification_level"]) == ("joined", "muted")),
        Step("getChannels", {}, lambda data: [entry["last_message"]["body"] for entry in data["channels"]] == ["two"]),
        Step("getDesk", {"pool": pool}, named("channels", [])),
        Step("updateUser", {"friendly_name": "Alice"}, named("friendly_name", "Alice"), ("userUpdated",)),
        Step("getUser", {"identity": "bob"}, named("identity", "bob")),
        Step("createChannel", {"unique_name": "club"}, named("unique_name", "club"), by="bob"),
        Step("getPublicChannels", {}, lambda data: {"tea", "club"} == {c["unique_name"] for c in data["channels"]}),
        Step("joinChannel", club, named("status", "joined"), ("channelJoined",)),
        Step("leaveChannel", club, hears=("channelLeft",)),
        Step("inviteMember", {**club, "identity": "alice"}, named("identity", "alice"), ("channelInvited",), by="bob"),
        Step("declineInvite", club),
        Step("inviteMember", {**club, "identity": "alice"}, named("identity", "alice"), ("channelInvited",), by="bob"),
        Step("acceptInvite", club, named("status", "joined"), ("channelJoined",)),
        Step("inviteMember", {**tea, "identity": "dora"}, named("identity", "dora")),
        Step("removeMember", {**tea, "identity": "bob"}, hears=("memberLeft",)),
        Step("removeChannel", tea, hears=("channelRemoved",)),
    ]


@pytest.mark.parametrize("client", CLIENTS)
async def test_every_verb_is_answered_and_every_event_is_heard(chat, client):
    pool = chat.rest.post(f"{chat.path}/OperatorPools", {"Identities": '["alice"]'}).json()["sid"]
    dora = await chat.person("dora", client, token=chat.token("dora", ttl=4))
    people = {"alice": await chat.person("alice", client), "bob": await chat.person("bob")}
    alice, asked = people["alice"], {}
    for step in tour(asked, pool):
        argument = step.argument() if callable(step.argument) else step.argument
        asked[step.verb] = data = await people[step.by].asks(step.verb, argument)
        assert step.agrees(data), (step, data)
        for event in step.hears:
            heard = await alice.receives(event)
            assert heard["service_sid"] == chat.sid and heard["id"].startswith("EV") and heard["timestamp"], heard
    told = {"Identities": '["bob"]', "Body": "to nobody", "DryRun": "true"}
    assert chat.rest.post(f"{chat.path}/Broadcasts", told).status_code == 201
    await alice.receives("campaignUpdated", within=10)
    await alice.asks("updateToken", token=chat.token("alice", ttl=600))
    await alice.asks("sync", cursor=alice.initialized["cursor"])
    assert (await alice.is_synced())["complete"] is True
    for warning in ("tokenAboutToExpire", "tokenExpired"):
        await dora.receives(warning, within=8)
    assert await dora.is_disconnected()

    assert {*asked, "updateToken", "sync"} == known_verbs()
    assert {event["type"] for event in alice.heard + dora.heard} == known_events()
    if client.endswith(("polling", "websocket")):
        assert await alice.transport() == client.rsplit("-", maxsplit=1)[-1]
    else:
        assert await alice.transport() == "websocket", "it began with polling, and was upgraded"


@pytest.mark.parametrize("client", CLIENTS)
async def test_every_verb_wants_one_object(chat, client):
    alice = await chat.person("alice", client)
    for verb in sorted(known_verbs()):
        for argument in ("text", 7, ["a", "list"]):
            refusal = await alice.is_refused(verb, argument, code=20001)
            assert "object" in refusal.message, (verb, argument)


# What each verb cannot do without, and what it makes of another type: the refusal names the field.
TYPED = {
    "acceptInvite": {"channel": 7},
    "addMember": {"channel": "tea", "identity": 7},
    "createChannel": {"unique_name": 7},
    "declineInvite": {"channel": 7},
    "getChannel": {"channel": 7},
    "getChannels": {"limit": "ten"},
    "getDesk": {"pool": 7},
    "getMembers": {"channel": "tea", "limit": 0},
    "getMessages": {"channel": "tea", "before": "now"},
    "getPublicChannels": {"limit": -1},
    "getUser": {"identity": 7},
    "inviteMember": {"channel": "tea", "identity": []},
    "joinChannel": {"channel": 7},
    "leaveChannel": {"channel": 7},
    "removeChannel": {"channel": 7},
    "removeMember": {"channel": "tea", "identity": {}},
    "removeMessage": {"channel": "tea", "message": 7},
    "sendMessage": {"channel": "tea", "body": 7},
    "setLastConsumedMessageIndex": {"channel": "tea", "index": "last"},
    "sync": {"cursor": 7},
    "typing": {"channel": 7},
    "updateChannel": {"channel": "tea", "friendly_name": 7},
    "updateMember": {"channel": "tea", "identity": "alice", "attributes": {}},
    "updateMessage": {"channel": "tea", "message": "IM" + "0" * 32, "body": 7},
    "updateToken": {"token": 7},
    "updateUser": {"friendly_name": 7},
    "updateUserChannel": {"channel": "tea", "notification_level": 7},
}


async def test_every_verb_names_the_field_that_is_wrong(chat):
    assert set(TYPED) == known_verbs()
    chat.channel("tea", "alice")
    alice = await chat.person("alice")
    for verb, argument in TYPED.items():
        wrong = list(argument)[-1]
        refusal = await alice.is_refused(verb, argument, status=400)
        assert refusal.message.startswith(f"{wrong} "), (verb, refusal)
