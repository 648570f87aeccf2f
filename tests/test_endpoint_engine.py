"""How webhook endpoints are called: strict order, the ladder of retries, what a receiver may ask for, and its end."""

import asyncio
import time

import pytest

from harness.bad_receiver import BadReceiver
from harness.chat import Chat
from harness.cluster import running
from harness.waiting import eventually


class Endpoints:
    """A service on a cluster with short ladders, and endpoints of it."""

    def __init__(self, chat):
        self.chat, self.rest, self.path = chat, chat.rest, f"{chat.path}/WebhookEndpoints"

    def makes(self, url, **settings):
        made = self.rest.post(self.path, {"Url": url, "Events": "onMessageSent", **settings})
        assert made.status_code == 201, made.text
        return f"{self.path}/{made.json()['sid']}"

    def sets(self, endpoint, **settings):
        changed = self.rest.post(endpoint, settings)
        assert changed.status_code == 200, changed.text

    def shows(self, endpoint):
        return self.rest.get(endpoint).json()

    async def says(self, channel, body):
        return await asyncio.to_thread(self.chat.service.channels(channel).messages.create, body=body)

    def deliveries(self, **filters):
        return self.rest.get(f"{self.chat.path}/WebhookDeliveries", PageSize=100, **filters).json()["deliveries"]

    async def ends(self, count):
        def all_ended():
            found = self.deliveries()
            return len(found) == count and all(one["status"] != "pending" for one in found) and found

        return await eventually(all_ended, within=60, because=f"{count} deliveries end")

    def attempts(self, delivery):
        return self.rest.http.get(delivery["links"]["attempts"]).json()["attempts"]


@pytest.fixture(params=["embedded", "split"])
def endpoints_with(request, tmp_path, driver):
    """Endpoints on a cluster of the test's own settings."""
    started = []

    def start(**settings):
        cluster = running(request.param, tmp_path, **settings)
        started.append(cluster)
        return Endpoints(Chat(cluster.__enter__(), driver, "endpoints"))

    yield start
    for cluster in started:
        cluster.__exit__(None, None, None)


@pytest.fixture
def bad():
    made = BadReceiver()
    yield made
    made.close()


async def test_the_ladder_is_climbed_to_its_end_for_any_answer_but_2xx(endpoints_with, bad):
    endpoints = endpoints_with(HUBBUB_WEBHOOK_RETRY_LADDER="1s,2s")
    endpoints.makes(bad.url)
    endpoints.chat.channel("general")
    bad.later = "404"
    await endpoints.says("general", "500 / a")
    [delivery] = await endpoints.ends(1)
    assert (delivery["status"], delivery["attempts"], delivery["target_kind"]) == ("dead", 3, "endpoint")
    (_, _, first), (_, _, second), (_, _, third) = bad.of("500 / a")
    assert 0.7 < second - first < 2.5 and 1.5 < third - second < 4
    assert [attempt["response_status"] for attempt in endpoints.attempts(delivery)] == [500, 404, 404]


async def test_a_receiver_may_ask_for_a_longer_pause(endpoints_with, bad):
    endpoints = endpoints_with(HUBBUB_WEBHOOK_RETRY_LADDER="2s,2s")
    endpoints.makes(bad.url)
    endpoints.chat.channel("general")
    await endpoints.says("general", "429 / a")  # It asks for one second: less than the rung.
    [delivery] = await endpoints.ends(1)
    (_, _, first), (_, _, second) = bad.of("429 / a")
    assert 1.9 < second - first < 4, "no sooner than the rung"
    assert delivery["status"] == "delivered"


async def test_410_disables_an_endpoint_and_ends_what_waits(endpoints_with, bad):
    endpoints = endpoints_with(HUBBUB_WEBHOOK_RETRY_LADDER="30s")
    endpoint = endpoints.makes(bad.url)
    for n in range(3):
        endpoints.chat.channel(f"room {n}")
    await endpoints.says("room 0", "503 / waits")
    await eventually(lambda: bad.of("503 / waits"), because="it was attempted")
    await endpoints.says("room 1", "410 / gone")
    await endpoints.ends(2)
    await eventually(lambda: endpoints.shows(endpoint)["status"] == "disabled", because="410 disables")
    assert "410" in endpoints.shows(endpoint)["disabled_reason"]
    assert {one["status"] for one in endpoints.deliveries()} == {"dead"}
    await endpoints.says("room 2", "200 / unheard")
    endpoints.sets(endpoint, Status="enabled")
    again = endpoints.rest.post(f"{endpoint}/Redeliver", {"Status": "dead"})
    assert again.status_code == 200 and again.json()["redelivered"] == 2, again.text
    await eventually(lambda: len(endpoints.deliveries(Status="delivered")) == 2, because="both are delivered")
    assert bad.of("200 / unheard") == []


async def test_an_endpoint_that_fails_for_too_long_is_disabled_and_says_so_before(endpoints_with, bad):
    endpoints = endpoints_with(HUBBUB_WEBHOOK_RETRY_LADDER="1s,1s,1s,1s,1s,1s", HUBBUB_WEBHOOK_DISABLE_AFTER="3s")
    endpoint = endpoints.makes(bad.url)
    endpoints.chat.channel("general")
    bad.later = "500"
    await endpoints.says("general", "500 / a")
    shown = await eventually(lambda: (it := endpoints.shows(endpoint))["failing_since"] and it, because="it fails")
    assert shown["status"] == "enabled" and "500" in shown["last_failure"]
    assert shown["disables_at"] > shown["failing_since"]
    await eventually(lambda: endpoints.shows(endpoint)["status"] == "disabled", within=20, because="it is disabled")
    await endpoints.ends(1)
    audit = endpoints.rest.get(f"{endpoints.chat.path}/AuditEvents").json()["audit_events"]
    assert audit[0]["action"] == "webhook_endpoint.update" and audit[0]["after"]["status"] == "disabled"


async def test_success_ends_the_count_of_failures(endpoints_with, bad):
    endpoints = endpoints_with(HUBBUB_WEBHOOK_RETRY_LADDER="2s")
    endpoint = endpoints.makes(bad.url)
    endpoints.chat.channel("general")
    await endpoints.says("general", "500 / a")
    await eventually(lambda: endpoints.shows(endpoint)["failing_since"], because="it fails")
    await endpoints.ends(1)
    await eventually(lambda: endpoints.shows(endpoint)["failing_since"] is None, because="it is well again")


async def test_an_ordered_endpoint_hears_one_event_of_a_channel_after_the_other(endpoints_with, bad):
    endpoints = endpoints_with(HUBBUB_WEBHOOK_RETRY_LADDER="2s,2s")
    endpoints.makes(bad.url, Ordered="true")
    for room in ("slow", "quick"):
        endpoints.chat.channel(room)
    for n in range(4):
        await endpoints.says("slow", f"{503 if n == 1 else 200} / slow {n}")
        await endpoints.says("quick", f"200 / quick {n}")
    await endpoints.ends(8)
    slow = [body for body, *_ in bad.attempts if "slow" in body]
    assert slow == ["200 / slow 0", "503 / slow 1", "503 / slow 1", "200 / slow 2", "200 / slow 3"]
    quick = [at for body, _, at in bad.attempts if "quick" in body]
    assert max(quick) < bad.of("503 / slow 1")[1][2], "other channels do not wait"


async def test_a_paused_endpoints_events_wait_for_it(endpoints_with, receiver):
    endpoints = endpoints_with()
    endpoint = endpoints.makes(receiver.url)
    endpoints.chat.channel("general")
    await endpoints.says("general", "before")
    await receiver.gets("onMessageSent", Body="before")
    endpoints.sets(endpoint, Status="paused")
    for n in range(3):
        await endpoints.says("general", f"waits {n}")
    began = time.monotonic()
    while time.monotonic() - began < 2:
        assert len(receiver.of("onMessageSent")) == 1
        await asyncio.sleep(0.1)
    assert {one["status"] for one in endpoints.deliveries(Status="pending")} == {"pending"}
    endpoints.sets(endpoint, Status="enabled")
    heard = await receiver.gets("onMessageSent", count=4)
    assert [request["Body"] for request in heard] == ["before", "waits 0", "waits 1", "waits 2"]


async def test_what_waits_for_a_deleted_endpoint_is_cancelled(endpoints_with, bad):
    endpoints = endpoints_with(HUBBUB_WEBHOOK_RETRY_LADDER="60s")
    endpoint = endpoints.makes(bad.url)
    endpoints.chat.channel("general")
    await endpoints.says("general", "503 / a")
    await eventually(lambda: endpoints.deliveries()[0]["attempts"] == 1, because="it was attempted")
    assert endpoints.rest.delete(endpoint).status_code == 204
    [delivery] = await endpoints.ends(1)
    assert delivery["status"] == "cancelled"
