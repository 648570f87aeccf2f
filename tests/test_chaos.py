"""Processes die again and again while people talk. Nobody gives up, and in the end an independent count must come out
even: what was acknowledged, what history holds, what a listener heard, what webhooks told.

`CHAOS_KILLS` says how many processes are killed for each topology; the short form kills a few.
"""

import asyncio
import os
import random

import pytest

from harness.chat import Chat
from harness.cluster import running
from harness.stubborn import Stubborn
from harness.waiting import eventually

KILLS = int(os.environ.get("CHAOS_KILLS", "4"))
SEED = int(os.environ.get("CHAOS_SEED", "7"))
TALKERS = {"talker 0": "js-websocket", "talker 1": "python-websocket", "talker 2": "js-polling"}
# Messages between two kills: everybody is at it again.
BETWEEN = 30


@pytest.mark.parametrize("topology", ["embedded", "split", "two-gateways"])
async def test_nothing_is_lost_and_nothing_is_twice_whatever_dies(tmp_path, driver, receiver, topology):
    chance = random.Random(SEED)
    with running(topology, tmp_path) as cluster:
        chat = Chat(cluster, driver, "chaos")
        chat.service.update(
            post_webhook_url=receiver.url, webhook_filters=["onMessageSent"], post_webhook_retry_count=3
        )
        channel = chat.channel("general", *TALKERS, "listener")
        over = asyncio.Event()
        talkers = [Stubborn(chat, identity, client) for identity, client in TALKERS.items()]
        listener = Stubborn(chat, "listener", "python-websocket")
        await listener.connects()
        listening = asyncio.create_task(listener.listens_until(over))
        talks = [asyncio.create_task(talker.talks_until(over, "general")) for talker in talkers]

        def acked():
            for task in (listening, *talks):
                assert not task.done() or task.result() is None
            return sum(len(talker.acked) for talker in talkers)

        for _ in range(KILLS):
            goal = acked() + BETWEEN
            await eventually(lambda goal=goal: acked() >= goal, within=60, because=f"{goal} messages are acked")
            node = chance.choice(cluster.nodes)
            node.kill()
            await asyncio.to_thread(lambda node=node: node.start().wait_ready())
        goal = acked() + BETWEEN
        await eventually(lambda: acked() >= goal, within=60, because=f"{goal} messages are acked")
        over.set()
        await asyncio.gather(listening, *talks)

        sent = {message["sid"]: message for talker in talkers for message in talker.acked}
        messages = chat.service.channels(channel.sid).messages.list(page_size=100)
        assert [message.index for message in messages] == list(range(len(messages))), "indexes have no gap"
        assert {message.sid for message in messages} == set(sent), "history is what was acknowledged"
        assert len(messages) == sum(len(talker.acked) for talker in talkers), "and nothing twice"
        for talker in talkers:
            own = [message.body for message in messages if message._from == talker.identity]
            assert own == [f"{talker.identity} {number}" for number in range(len(own))], "in the order of saying"

        def heard():
            return [*listener.heard, *(listener.person.heard if listener.person else [])]

        await eventually(
            lambda: sum(event["type"] == "messageAdded" for event in heard()) >= len(messages),
            within=30,
            because=f"the listener hears {len(messages)} messages",
        )
        said = [event for event in heard() if event.get("channel_sid") == channel.sid and "seq" in event]
        seqs = [event["seq"] for event in said]
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs))), "every event once, in order, over all connections"
        arrived = [event["message"]["sid"] for event in said if event["type"] == "messageAdded"]
        assert arrived == [message.sid for message in messages]

        await eventually(
            lambda: {request["MessageSid"] for request in receiver.of("onMessageSent")} == set(sent),
            within=60,
            because="webhooks tell of every message",
        )
        told = {}
        for request in receiver.of("onMessageSent"):
            told.setdefault(request["MessageSid"], set()).add(request.headers["webhook-id"])
        assert all(len(ids) == 1 for ids in told.values()), "what is told again has the same id"
        await listener.leaves()
        for talker in talkers:
            await talker.leaves()
        await chat.close()
