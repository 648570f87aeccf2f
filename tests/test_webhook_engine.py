"""The engine behind webhooks: every event ends delivered or dead whatever receivers do, nobody waits for somebody
else's receiver, and what ended can be sent again."""

import asyncio
import time

import pytest

from harness.bad_receiver import KINDS, BadReceiver
from harness.chat import Chat
from harness.cluster import running
from harness.receiver import Receiver
from harness.services import rabbitmq_address
from harness.valve import valve
from harness.waiting import eventually

LOUD = {"x_twilio_webhook_enabled": "true"}


@pytest.fixture
def bad():
    made = BadReceiver()
    yield made
    made.close()


@pytest.fixture
def second():
    made = Receiver()
    yield made
    made.close()


def hook(chat, url, retries=3):
    chat.service.update(post_webhook_url=url, webhook_filters=["onMessageSent"], post_webhook_retry_count=retries)


def ledger(chat, **filters):
    """All deliveries, over all pages."""
    found, page = [], chat.rest.get(f"{chat.path}/WebhookDeliveries", PageSize=100, **filters).json()
    while True:
        found += page["deliveries"]
        if not (following := page["meta"]["next_page_url"]):
            return found
        page = chat.rest.http.get(following).json()


def has_ended(chat, count):
    found = ledger(chat)
    return len(found) == count and all(delivery["status"] != "pending" for delivery in found) and found


async def says(chat, channel, body):
    """A message of a backend, off the loop's thread."""
    return await asyncio.to_thread(chat.service.channels(channel).messages.create, body=body, **LOUD)


async def test_every_event_ends_whatever_the_receiver_does(chat, bad):
    hook(chat, bad.url)
    for kind in KINDS:
        chat.channel(kind)
    await asyncio.gather(*(says(chat, kind, f"{kind} / {n}") for kind in KINDS for n in range(2)))
    deliveries = await eventually(lambda: has_ended(chat, 2 * len(KINDS)), within=60, because="every delivery ends")
    for kind in KINDS:
        for n in range(2):
            attempts = bad.of(f"{kind} / {n}")
            assert attempts, kind
            assert len({webhook_id for _, webhook_id, _ in attempts}) == 1, f"{kind}: one event, one id"
    by_id = {delivery["webhook_id"]: delivery for delivery in deliveries}
    final = {"301", "404", "410", "500"}
    for kind in KINDS:
        delivery = by_id[bad.of(f"{kind} / 0")[0][1]]
        if kind in final:
            assert (delivery["status"], delivery["attempts"]) == ("dead", 1), delivery
        else:
            assert delivery["status"] == "delivered", delivery
            assert delivery["attempts"] == len(bad.of(f"{kind} / 0")) >= (1 if kind in ("200", "204") else 2), delivery


async def test_every_attempt_is_in_the_ledger(chat, receiver):
    hook(chat, receiver.url, retries=1)
    chat.channel("general")
    receiver.answers(503)
    await says(chat, "general", "twice")
    [delivery] = await eventually(lambda: has_ended(chat, 1), because="it ends")
    assert (delivery["status"], delivery["attempts"], delivery["next_attempt_at"]) == ("delivered", 2, None)
    assert (delivery["target_kind"], delivery["target_sid"]) == ("service", chat.sid)
    page = chat.rest.http.get(delivery["links"]["attempts"]).json()
    first, second = page["attempts"]
    assert (first["number"], first["response_status"], first["error"]) == (1, 503, "answered with status 503")
    assert first["next_attempt_at"] and first["duration_ms"] >= 0
    assert (second["number"], second["response_status"], second["error"]) == (2, 200, None)
    assert second["next_attempt_at"] is None
    page = chat.rest.get(f"{chat.path}/WebhookDeliveries/{delivery['sid']}/Attempts", PageSize=1).json()
    assert [attempt["number"] for attempt in page["attempts"]] == [1]
    page = chat.rest.http.get(page["meta"]["next_page_url"]).json()
    assert [attempt["number"] for attempt in page["attempts"]] == [2]


async def test_the_ledger_is_filtered(chat, receiver):
    chat.service.update(post_webhook_url=receiver.url, post_webhook_retry_count=0)
    one, two = chat.service.channels.create(unique_name="one", **LOUD), chat.channel("two")
    await says(chat, "one", "a")
    await eventually(lambda: has_ended(chat, 2), because="two deliveries end")
    receiver.answers(500)
    await says(chat, "two", "b")
    await eventually(lambda: has_ended(chat, 3), because="three deliveries end")

    def listed(**filters):
        return sorted(delivery["event_type"] for delivery in ledger(chat, **filters))

    everything = ["onChannelAdded", "onMessageSent", "onMessageSent"]
    assert listed(ChannelSid=one.sid) == ["onChannelAdded", "onMessageSent"]
    assert listed(ChannelSid=two.sid, Status="dead") + listed(ChannelSid=one.sid, Status="dead") == ["onMessageSent"]
    assert listed(EventType="onChannelAdded") == ["onChannelAdded"]
    assert listed(TargetSid=chat.sid) == everything
    assert listed(EndpointSid="WE" + "0" * 32) == []
    assert listed(DateCreatedAfter="2020-01-01") == everything == listed(DateCreatedBefore="2999-01-01T00:00:00Z")
    assert listed(DateCreatedBefore="2020-01-01") == []
    for wrong in ({"Status": "lost"}, {"TargetSid": "AC1"}, {"DateCreatedAfter": "soon"}, {"EndpointSid": "WE1"}):
        refused = chat.rest.get(f"{chat.path}/WebhookDeliveries", **wrong)
        assert refused.status_code == 400 and next(iter(wrong)) in refused.json()["message"], refused.text


async def test_what_is_dead_is_sent_again_all_at_once(chat, receiver):
    hook(chat, receiver.url, retries=0)
    chat.channel("general")
    receiver.answers(*[500] * 5)
    for n in range(6):
        await says(chat, "general", str(n))
    await eventually(lambda: has_ended(chat, 6), because="all end")
    assert len(ledger(chat, Status="dead")) == 5
    path = f"{chat.path}/WebhookDeliveries/Redeliver"
    none = chat.rest.post(path, {"Until": "2020-01-01"}).json()
    assert (none["redelivered"], none["complete"], none["status"]) == (0, True, "dead")
    again = chat.rest.post(path, {"TargetSid": chat.sid, "Since": "2020-01-01"}).json()
    assert (again["redelivered"], again["complete"]) == (5, True)
    await eventually(lambda: len(ledger(chat, Status="delivered")) == 6, because="all are delivered")
    for n in range(6):
        ids = {request.headers["webhook-id"] for request in receiver.of("onMessageSent", Body=str(n))}
        assert len(ids) == 1, "one event, one id"
    assert chat.rest.post(path, {"Status": "pending"}).status_code == 400


async def test_nobody_waits_for_somebody_elses_receiver(chat, receiver, bad):
    """Many hanging receivers of one account, each with a queue, beside one that answers."""
    others = [chat.client.chat.v2.services.create(friendly_name=f"hangs {n}") for n in range(12)]
    for other in others:
        other.update(post_webhook_url=bad.url, webhook_filters=["onMessageSent"], post_webhook_retry_count=3)

    def fill(other):
        for room in range(4):
            channel = other.channels.create(unique_name=f"room {room}")
            for n in range(5):
                channel.messages.create(body=f"hangs / {other.sid} {room} {n}", **LOUD)

    await asyncio.gather(*(asyncio.to_thread(fill, other) for other in others))
    hook(chat, receiver.url)
    rooms = [chat.channel(f"room {n}").sid for n in range(10)]
    sent_at = {}
    for n in range(100):
        body = f"quick {n}"
        sent_at[body] = time.time()
        await says(chat, rooms[n % len(rooms)], body)
    await receiver.gets("onMessageSent", count=100, within=10)
    late = sorted(request.at - sent_at[request["Body"]] for request in receiver.of("onMessageSent"))
    assert late[-5] < 1.5, f"the slowest took {late[-5:]}"
    for other in others:
        other.delete()


@pytest.mark.topologies("cluster", "split", "two-gateways")
async def test_a_busy_channel_keeps_its_order_and_many_channels_go_side_by_side(chat, receiver):
    hook(chat, receiver.url)
    rooms = [chat.channel(f"room {n}").sid for n in range(5)]

    async def talk(room):
        for n in range(40):
            await says(chat, room, str(n))

    await asyncio.gather(*(talk(room) for room in rooms))
    await receiver.gets("onMessageSent", count=200, within=20)
    for room in rooms:
        heard = [int(request["Index"]) for request in receiver.of("onMessageSent", ChannelSid=room)]
        assert heard == list(range(40)), "post-events of one channel come in the order of their seq"


async def test_nothing_is_missing_when_workers_are_killed_and_the_broker_goes_away(tmp_path, driver, receiver):
    async with valve(rabbitmq_address()) as broker:
        with running("split", tmp_path, broker=broker.address) as cluster:
            chat = Chat(cluster, driver, "engine")
            hook(chat, receiver.url)
            rooms = [chat.channel(f"room {n}").sid for n in range(8)]
            workers = next(node for node in cluster.nodes if node.name == "workers")
            sent = []

            async def talk(room):
                for n in range(60):
                    sent.append((await says(chat, room, f"{room} {n}")).sid)

            talking = asyncio.gather(*(talk(room) for room in rooms))
            await receiver.gets("onMessageSent", count=40, within=20)
            workers.kill()
            workers.start().wait_ready()
            await receiver.gets("onMessageSent", count=200, within=40)
            await broker.shut()
            await receiver.gets("onMessageSent", count=260, within=40)
            workers.kill()
            await talking
            await broker.open()
            workers.start().wait_ready()
            await eventually(lambda: has_ended(chat, len(sent)), within=60, because="every delivery ends")
            assert {delivery["status"] for delivery in ledger(chat)} == {"delivered"}
            ids = {}
            for request in receiver.of("onMessageSent"):
                ids.setdefault(request["MessageSid"], set()).add(request.headers["webhook-id"])
            assert set(ids) == set(sent), "nothing is missing"
            assert all(len(each) == 1 for each in ids.values()), "one event, one id"
            await chat.close()
