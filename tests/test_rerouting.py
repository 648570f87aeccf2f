"""Gateways behind a balancer that knows nothing of sessions, and gateways that go away in good order."""

import asyncio
import json
import time

import httpx
import pytest

from harness.balancer import Balancer
from harness.chat import Chat
from harness.cluster import running
from harness.raw import Closed, RawSocket
from harness.waiting import eventually

UNKNOWN_SESSION = {"code": 1, "message": "Session ID unknown"}
CLIENTS = ("js-polling", "python-polling")


def bodies(person):
    return [event["message"]["body"] for event in person.all_heard("messageAdded")]


@pytest.mark.topologies("two-gateways")
@pytest.mark.parametrize("client", ["js-websocket", "python-websocket"])
async def test_websockets_need_no_sticky_routing(chat, client):
    chat.channel("general", "alice", "bob")
    async with Balancer(chat.cluster.gateways) as balancer:
        alice, bob = [await chat.person(name, client, gateway=balancer.url) for name in ("alice", "bob")]
        assert sorted(balancer.websockets) == sorted(chat.cluster.gateways), "one on each"
        for number in range(10):
            await alice.sends("general", f"a {number}")
            await bob.sends("general", f"b {number}")
        await bob.has_heard(10, "messageAdded")
        await alice.has_heard(10, "messageAdded")
        assert (bodies(bob), bodies(alice)) == (
            [f"a {number}" for number in range(10)],
            [f"b {number}" for number in range(10)],
        )
        assert balancer.refusals() == []
        await chat.close()


@pytest.mark.topologies("two-gateways")
@pytest.mark.parametrize("client", CLIENTS)
async def test_a_poll_that_lands_elsewhere_sends_the_client_back_with_its_cursor(chat, client):
    channel = chat.channel("general", "alice", "bob")
    first, second = chat.cluster.gateways
    alice = await chat.person("alice", gateway=first)
    sent, talking = [], True

    async def talk():
        while talking:
            sent.append(f"message {len(sent)}")
            await alice.sends("general", sent[-1])

    async with Balancer(chat.cluster.gateways) as balancer:
        balancer.only = first
        bob = await chat.person("bob", client, gateway=balancer.url, returns=True)
        talker = asyncio.create_task(talk())
        await bob.has_heard(20, "messageAdded")
        for times, gateway in enumerate((second, first), start=1):
            balancer.only = gateway
            began = time.monotonic()
            await bob.is_back(times)
            assert time.monotonic() - began < 5, "at once, not after a time-out"
            await bob.has_heard(len(sent), "messageAdded")
        talking = False
        await talker
        await bob.has_heard(len(sent), "messageAdded")
        assert bodies(bob) == sent, "nothing is lost or doubled"
        seqs = [event["seq"] for event in bob.heard_of(channel.sid)]
        assert seqs == list(range(seqs[0], seqs[0] + len(sent)))
        assert bob.synced["complete"] is True and bob.connections == 3
        refusals = balancer.refusals()
        assert refusals, "the polls that went astray were answered"
        for _, request, status, body in refusals:
            assert (status, json.loads(body)) == (400, UNKNOWN_SESSION), request
        await chat.close()


@pytest.mark.topologies("two-gateways")
async def test_every_request_of_a_foreign_session_gets_the_same_clean_answer(chat):
    first, second = chat.cluster.gateways
    opened = httpx.get(f"{first}/socket.io/?EIO=4&transport=polling").text
    sid = json.loads(opened[1:])["sid"]
    where = f"{second}/socket.io/?EIO=4&transport=polling&sid={sid}"
    for answer in (httpx.get(where), httpx.post(where, content="40")):
        assert (answer.status_code, answer.json()) == (400, UNKNOWN_SESSION)
    upgrade = {
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "aHViYnViLWJlbmNoLi4uLg==",
    }
    answer = httpx.get(where.replace("polling", "websocket"), headers=upgrade)
    assert (answer.status_code, answer.json()) == (400, UNKNOWN_SESSION)
    own = where.replace(second, first)
    assert httpx.post(own, content="40{}").status_code == 200, "at home it goes on"


async def test_a_drain_spreads_the_clients_who_come_back_elsewhere_with_everything(tmp_path, driver):
    many = 400
    with running("two-gateways", tmp_path) as cluster:
        chat = Chat(cluster, driver, "drain")
        channel = chat.channel("general", "alice", "bob", "carol")
        first, second = cluster.gateways
        alice = await chat.person("alice", gateway=first)
        async with Balancer(cluster.gateways) as balancer:
            balancer.only = second
            returning = [
                await chat.person("bob", "js-polling", gateway=balancer.url, returns=True),
                await chat.person("carol", "python-websocket", gateway=balancer.url, returns=True),
            ]
            raw = await asyncio.gather(
                *(RawSocket.joined(second, chat.token(f"guest {number}")) for number in range(many))
            )
            ends = [asyncio.create_task(end_of(socket)) for socket in raw]
            for number in range(10):
                await alice.sends("general", f"before {number}")
            balancer.only = first
            leaving = next(node for node in cluster.nodes if node.url == second)
            began = time.monotonic()
            stopping = asyncio.create_task(asyncio.to_thread(leaving.stop))
            await eventually(lambda: refused_for_now(second), within=5, because="nobody new is let in")
            for number in range(10):
                await alice.sends("general", f"during {number}")
            assert await stopping == 0
            assert time.monotonic() - began < 10
            codes, moments = zip(*await asyncio.gather(*ends), strict=True)
            assert set(codes) == {1001}, "at the transport"
            spread = max(moments) - min(moments)
            assert spread > many * 0.0005, f"{many} clients were sent away within {spread:.3f} s"
            for person in returning:
                await person.is_back()
                assert person.losses[0] != "io server disconnect"
                await person.has_heard(20, "messageAdded")
                assert bodies(person) == [f"{when} {n}" for when in ("before", "during") for n in range(10)]
                seqs = [event["seq"] for event in person.heard_of(channel.sid)]
                assert seqs == list(range(seqs[0], seqs[0] + 20))
            await chat.close()
        leaving.start().wait_ready()


async def end_of(socket):
    """The code that it was closed with, and when."""
    try:
        while True:
            await socket.reads(within=60)
    except Closed as closed:
        return closed.code, time.monotonic()


async def refused_for_now(gateway):
    """503, and when to come again."""
    try:
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"{gateway}/socket.io/?EIO=4&transport=polling")
    except httpx.TransportError:
        return None
    if answer.status_code == 200:
        return None
    assert answer.status_code == 503 and int(answer.headers["retry-after"]) >= 1
    return True
