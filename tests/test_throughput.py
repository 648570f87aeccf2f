"""Many talk at once, over every transport: everybody hears everything, in one order, once."""

import asyncio

import httpx
import pytest

pytestmark = pytest.mark.topologies("embedded", "two-gateways")

KINDS = ["js", "js-polling", "js-websocket", "python-websocket", "python-polling"]
EACH = 400
# How many sends of one person may be on their way.
AT_ONCE = 40


async def says_all(person, channel):
    """In its own order, several at a time; returns the acknowledged messages."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def say(number):
        try:
            return await person.sends(channel, f"{person.identity} {number}")
        finally:
            turns.release()

    sends = []
    for number in range(EACH):
        await turns.acquire()
        sends.append(asyncio.create_task(say(number)))
    return await asyncio.gather(*sends)


async def test_2000_messages_of_five_senders_reach_five_readers_in_order_and_once(chat):
    senders = [f"sender {kind}" for kind in KINDS]
    readers = [f"reader {kind}" for kind in KINDS]
    channel = chat.channel("general", *senders, *readers)
    speaking = [await chat.person(name, kind) for name, kind in zip(senders, KINDS, strict=True)]
    listening = [await chat.person(name, kind) for name, kind in zip(readers, KINDS, strict=True)]
    acked = await asyncio.gather(*(says_all(person, channel.sid) for person in speaking))
    sids = {message["sid"] for messages in acked for message in messages}
    assert len(sids) == EACH * len(KINDS)
    for reader in listening:
        events = await reader.has_heard(len(sids), "messageAdded", within=60)
        assert len(events) == len(sids) and {event["message"]["sid"] for event in events} == sids
        seqs = [event["seq"] for event in events]
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
        for sender in senders:
            own = [event["message"]["body"] for event in events if event["identity"] == sender]
            assert own == [f"{sender} {number}" for number in range(EACH)], "a socket's sends keep their order"
    for person in speaking:
        others = await person.has_heard(len(sids) - EACH, "messageAdded", within=60)
        assert len(others) == len(sids) - EACH and person.all_heard("messageAdded", identity=person.identity) == []


def written(chat):
    """What all gateways wrote to WebSockets so far: messages, and calls into the kernel."""
    sums = [0, 0]
    for node in chat.cluster.nodes:
        for line in httpx.get(f"{node.url}/metrics").text.splitlines():
            for place, name in enumerate(["hubbub_gateway_messages_written_total", "hubbub_gateway_writes_total"]):
                if line.startswith(name):
                    sums[place] += int(line.split()[-1])
    return sums


async def test_what_is_said_at_once_reaches_a_client_with_few_writes(chat):
    people = ["backend's friend", "js-websocket", "python-websocket"]
    channel = chat.channel("announcements", *people)
    listening = [await chat.person(identity, kind) for identity, kind in zip(people[1:], people[1:], strict=True)]
    before = written(chat)
    said = [{"from": people[0], "body": f"item {number}"} for number in range(200)]
    answer = chat.rest.post(f"{chat.path}/Channels/{channel.sid}/Messages/Batch", json={"Items": said})
    assert {result["status"] for result in answer.json()["results"]} == {201}
    for person in listening:
        events = await person.has_heard(len(said), "messageAdded")
        assert [event["message"]["body"] for event in events] == [item["body"] for item in said]
    messages, writes = (after - start for after, start in zip(written(chat), before, strict=True))
    assert messages >= len(said) * len(listening)
    assert writes * 10 <= messages, f"{messages} messages left with {writes} writes"
