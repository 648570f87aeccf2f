"""Several processes as one platform: two gateways, and a broker that goes away while people talk."""

import asyncio

import httpx
import pytest

from harness.services import restart_rabbitmq
from harness.talker import Talker
from harness.waiting import eventually

pytestmark = pytest.mark.topologies("two-gateways")

ACKED_WITHIN = 5
HEALED_WITHIN = 20


@pytest.fixture
async def both(chat):
    """Alice on one gateway, Bob on the other."""
    chat.channel("general", "alice", "bob")
    first, second = chat.cluster.gateways
    return await chat.person("alice", gateway=first), await chat.person("bob", gateway=second)


async def test_messages_cross_between_gateways_in_both_directions(both):
    alice, bob = both
    await alice.sends("general", "hello over there")
    await bob.receives("messageAdded", body="hello over there")
    await bob.sends("general", "hello back")
    await alice.receives("messageAdded", body="hello back")


async def test_typing_crosses_between_gateways(both):
    alice, bob = both
    await alice.asks("typing", channel="general")
    await bob.receives("typingStarted", identity="alice")
    await alice.sends("general", "done")
    await bob.receives("typingEnded", identity="alice")


async def test_a_role_taken_away_by_rest_counts_on_every_gateway(chat, both):
    for person in both:
        await person.sends("general", "allowed")
        chat.service.channels("general").members(person.identity).delete()
        await person.receives("channelLeft")
        await person.is_refused("sendMessage", channel="general", body="no more", code=50400)


async def test_a_broker_restart_loses_nothing_and_heals_by_itself(chat, both, receiver):
    chat.service.update(post_webhook_url=receiver.url, webhook_filters=["onMessageSent"])
    alice, bob = both
    carol = await chat.person("carol", gateway=chat.cluster.gateways[0])
    await carol.asks("joinChannel", channel="general")
    channel = chat.service.channels("general").fetch()
    talkers = [Talker(alice), Talker(bob)]
    await eventually(lambda: all(len(talker.acked) >= 5 for talker in talkers), because="both talk")
    await asyncio.to_thread(restart_rabbitmq)
    during = [len(talker.acked) for talker in talkers]
    await eventually(
        lambda: all(len(talker.acked) > count + 5 for talker, count in zip(talkers, during, strict=True)),
        because="both still talk",
    )
    acked = [message for talker in talkers for message in await talker.stop()]
    assert max(talker.slowest for talker in talkers) < ACKED_WITHIN + 0.5
    sids = {message["sid"] for message in acked}
    events = await carol.has_heard(len(acked), "messageAdded", within=HEALED_WITHIN)
    assert len(events) == len(acked) and {event["message"]["sid"] for event in events} == sids
    heard = [event["seq"] for event in carol.heard_of(channel.sid)]
    assert heard == list(range(heard[0], heard[0] + len(heard))), "in order, no gap, nothing twice"
    for listener, other in ((alice, "bob"), (bob, "alice")):
        theirs = [message["sid"] for message in acked if message["from"] == other]
        found = await listener.has_heard(len(theirs), "messageAdded", within=HEALED_WITHIN, identity=other)
        assert [event["message"]["sid"] for event in found] == theirs
    await eventually(
        lambda: sids <= {request["MessageSid"] for request in receiver.of("onMessageSent")},
        within=HEALED_WITHIN,
        because="the webhooks of all arrive",
    )
    assert all(node.is_alive() for node in chat.cluster.nodes)
    for node in chat.cluster.nodes:
        await eventually(
            lambda url=node.url: httpx.get(f"{url}/readyz").status_code == httpx.codes.OK,
            within=HEALED_WITHIN,
            because=f"{node.name} is ready again",
        )
