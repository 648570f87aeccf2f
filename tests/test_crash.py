"""kill -9 under load: what was acknowledged is there afterwards, once, and is still told to everybody."""

import asyncio

import pytest

from harness.chat import Chat
from harness.cluster import running
from harness.waiting import eventually

SENDERS = 4
ENOUGH = 150


async def talk_until_cut_off(person, acked):
    """Sends with a client_id each until the connection dies; returns the one send whose fate is unknown."""
    number = 0
    while True:
        wanted = {"body": f"{person.identity} {number}", "client_id": f"{person.identity}-{number}"}
        try:
            acked.append(await asyncio.wait_for(person.asks("sendMessage", channel="general", **wanted), 5))
        except (ConnectionError, TimeoutError):
            return person.identity, wanted
        number += 1


async def cut_off_under_load(chat, cluster):
    """Several people talk at full speed; then every process is killed. Returns the acked and the uncertain sends."""
    names = [f"sender {number}" for number in range(SENDERS)]
    kinds = ["js-websocket", "js-polling", "python-websocket", "js"]
    people = [await chat.person(name, kind) for name, kind in zip(names, kinds, strict=True)]
    acked = []
    talks = [asyncio.create_task(talk_until_cut_off(person, acked)) for person in people]
    await eventually(lambda: len(acked) >= ENOUGH, within=30, because=f"{ENOUGH} messages are acked")
    cluster.kill()
    return acked, await asyncio.gather(*talks)


@pytest.mark.parametrize("topology", ["embedded", "cluster", "split"])
async def test_acknowledged_messages_survive_kill_9_once_with_their_events_and_webhooks(
    tmp_path, driver, receiver, topology
):
    with running(topology, tmp_path) as cluster:
        chat = Chat(cluster, driver, "crash")
        chat.service.update(
            post_webhook_url=receiver.url, webhook_filters=["onMessageSent"], post_webhook_retry_count=3
        )
        channel = chat.channel("general", *(f"sender {number}" for number in range(SENDERS)), "listener")
        listener = await chat.person("listener")
        cursor = listener.cursor
        acked, uncertain = await cut_off_under_load(chat, cluster)
        cluster.restart()

        history = [message.sid for message in chat.messages_of(channel.sid)]
        assert len(history) == len(set(history))
        assert {message["sid"] for message in acked} <= set(history), "every acknowledged message is there"

        for identity, wanted in uncertain:
            sender = await chat.person(identity)
            first = await sender.asks("sendMessage", channel="general", **wanted)
            again = await sender.asks("sendMessage", channel="general", **wanted)
            assert again["sid"] == first["sid"] and again["replayed"] is True
        messages = chat.messages_of(channel.sid)
        assert len({(message._from, message.body) for message in messages}) == len(messages), "nothing is there twice"
        assert len(messages) == len(acked) + len(uncertain)

        back = await chat.person("listener", cursor=cursor)
        assert (await back.is_synced(within=20))["complete"] is True
        replayed = back.all_heard("messageAdded")
        assert [event["message"]["sid"] for event in replayed] == [message.sid for message in messages]
        seqs = [event["seq"] for event in back.heard_of(channel.sid)]
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))

        await eventually(
            lambda: (
                {message.sid for message in messages}
                <= {request["MessageSid"] for request in receiver.of("onMessageSent")}
            ),
            within=40,
            because="the webhooks of all messages arrive",
        )
        await chat.close()


async def test_a_restarted_gateway_takes_its_clients_back(tmp_path, driver):
    with running("two-gateways", tmp_path) as cluster:
        chat = Chat(cluster, driver, "one gateway dies")
        chat.channel("general", "alice", "bob")
        first, second = cluster.gateways
        alice, bob = await chat.person("alice", gateway=first), await chat.person("bob", gateway=second)
        await alice.sends("general", "heard")
        await bob.receives("messageAdded", body="heard")
        dying = next(node for node in cluster.nodes if node.url == second)
        dying.kill()
        await bob.is_disconnected()
        await alice.sends("general", "missed")
        elsewhere = await chat.person("bob", gateway=first, cursor=bob.cursor)
        await elsewhere.is_synced()
        assert [event["message"]["body"] for event in elsewhere.all_heard("messageAdded")] == ["missed"]
        dying.start().wait_ready()
        again = await chat.person("bob", gateway=second, cursor=bob.cursor)
        await again.is_synced()
        await alice.sends("general", "to both")
        for socket in (elsewhere, again):
            await socket.receives("messageAdded", body="to both")
        await chat.close()
