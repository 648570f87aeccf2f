"""The tenant's post-event webhooks at a real receiver: what arrives, how it is signed, when it comes again."""

import asyncio
import re

import pytest

from harness.chat import Chat
from harness.cluster import running
from harness.receiver import CLOSE
from harness.waiting import eventually

MILLISECONDS = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")


@pytest.fixture
def hooked(chat, receiver):
    """A service that tells the receiver about messages."""
    chat.service.update(post_webhook_url=receiver.url, webhook_filters=["onMessageSent"], post_webhook_retry_count=2)
    chat.channel("general", "alice", "bob")
    return chat


def secret_of(chat):
    return chat.rest.get(chat.path).json()["webhook_secret"]


async def deliveries(chat, **filters):
    return chat.rest.get(f"{chat.path}/WebhookDeliveries", **filters).json()["deliveries"]


async def test_a_message_of_a_user_is_told_with_all_its_parameters(hooked, receiver):
    alice = await hooked.person("alice")
    sent = await alice.sends("general", "Grüße & more = 100 %", attributes='{"a":"b c"}')
    [request] = await receiver.gets("onMessageSent")
    assert request.method == "POST"
    assert request.headers["content-type"].startswith("application/x-www-form-urlencoded")
    created = request.params.pop("DateCreated")
    assert MILLISECONDS.match(created)
    assert {name: value for name, value in request.params.items() if name != "DateCreated"} == {
        "EventType": "onMessageSent",
        "AccountSid": hooked.cluster.account_sid,
        "InstanceSid": hooked.sid,
        "Source": "SDK",
        "ClientIdentity": "alice",
        "RetryCount": "0",
        "MessageSid": sent["sid"],
        "Index": "0",
        "ChannelSid": sent["channel_sid"],
        "Body": "Grüße & more = 100 %",
        "Attributes": '{"a":"b c"}',
        "From": "alice",
    }


async def test_both_signatures_verify(hooked, receiver):
    alice = await hooked.person("alice")
    await alice.sends("general", "signed: ü + ?&=")
    [request] = await receiver.gets("onMessageSent")
    assert request.is_signed_for_twilio(hooked.cluster.auth_token)
    assert not request.is_signed_for_twilio("another token")
    secret = secret_of(hooked)
    assert secret.startswith("whsec_")
    assert request.is_signed_with(secret)
    assert abs(int(request.headers["webhook-timestamp"]) - request.at) < 10


async def test_a_rotated_secret_signs_beside_the_old_one(hooked, receiver):
    old = secret_of(hooked)
    alice = await hooked.person("alice")
    await alice.sends("general", "before")
    await receiver.gets("onMessageSent")
    rotated = hooked.rest.post(hooked.path, {"RotateWebhookSecret": "true"})
    assert rotated.status_code == 200, rotated.text
    new = secret_of(hooked)
    assert new != old
    await alice.sends("general", "rotated")
    [request] = await receiver.gets("onMessageSent", Body="rotated")
    assert request.is_signed_with(new) and request.is_signed_with(old)


async def test_a_receiver_that_answers_503_twice_gets_it_a_third_time(hooked, receiver):
    receiver.answers(503, 503, 200)
    alice = await hooked.person("alice")
    sent = await alice.sends("general", "try again")
    requests = await receiver.gets("onMessageSent", count=3, within=20)
    assert [request["RetryCount"] for request in requests] == ["0", "1", "2"]
    assert {request["MessageSid"] for request in requests} == {sent["sid"]}
    assert len({request.headers["webhook-id"] for request in requests}) == 1, "one event, one id"
    assert all(request.is_signed_for_twilio(hooked.cluster.auth_token) for request in requests)
    assert all(request.is_signed_with(secret_of(hooked)) for request in requests)
    first, second = requests[1].at - requests[0].at, requests[2].at - requests[1].at
    assert 0.7 < first < 3 and 3.5 < second < 8, (first, second)
    [delivery] = await eventually(lambda: deliveries(hooked, Status="delivered"), because="the ledger says delivered")
    assert (delivery["event_type"], delivery["attempts"]) == ("onMessageSent", 3)
    assert delivery["webhook_id"] == requests[0].headers["webhook-id"]


async def test_a_closed_connection_counts_as_a_timeout_and_is_tried_again(hooked, receiver):
    receiver.answers(CLOSE, 200)
    alice = await hooked.person("alice")
    await alice.sends("general", "hello?")
    requests = await receiver.gets("onMessageSent", count=2)
    assert [request["RetryCount"] for request in requests] == ["0", "1"]


async def test_a_final_refusal_is_not_tried_again_and_can_be_sent_again_by_hand(hooked, receiver):
    receiver.answers(500)
    alice = await hooked.person("alice")
    sent = await alice.sends("general", "refused")
    [delivery] = await eventually(lambda: deliveries(hooked, Status="dead"), because="the ledger says dead")
    assert delivery["attempts"] == 1
    again = hooked.rest.post(f"{hooked.path}/WebhookDeliveries/{delivery['sid']}", {"Status": "pending"})
    assert again.status_code == 200, again.text
    requests = await receiver.gets("onMessageSent", count=2)
    assert {request["MessageSid"] for request in requests} == {sent["sid"]}
    assert len({request.headers["webhook-id"] for request in requests}) == 1
    await eventually(lambda: deliveries(hooked, Status="delivered"), because="the ledger says delivered")
    assert await deliveries(hooked, Status="dead") == []


async def test_only_the_listed_events_are_told(hooked, receiver):
    hooked.service.update(webhook_filters=["onMemberAdded", "onMessageRemoved"])
    alice, carol = await hooked.person("alice"), await hooked.person("carol")
    sent = await alice.sends("general", "not told")
    await carol.asks("joinChannel", channel="general")
    await alice.asks("removeMessage", channel="general", message=sent["sid"])
    [added] = await receiver.gets("onMemberAdded")
    assert (added["Identity"], added["Reason"], added["Source"]) == ("carol", "JOINED", "SDK")
    [removed] = await receiver.gets("onMessageRemoved")
    assert (removed["MessageSid"], removed["RemovedBy"]) == (sent["sid"], "alice")
    assert {request["EventType"] for request in receiver.requests} == {"onMemberAdded", "onMessageRemoved"}


async def test_rest_actions_are_told_only_when_they_ask_for_it(hooked, receiver):
    messages = hooked.service.channels("general").messages
    messages.create(body="quiet", from_="alice")
    messages.create(body="also quiet", from_="alice", x_twilio_webhook_enabled="false")
    loud = messages.create(body="loud", from_="alice", x_twilio_webhook_enabled="true")
    [request] = await receiver.gets("onMessageSent")
    assert (request["MessageSid"], request["Source"]) == (loud.sid, "API")
    assert "ClientIdentity" not in request.params


async def test_channels_and_members_changed_by_rest_are_told(hooked, receiver):
    told = [
        "onChannelAdded",
        "onChannelUpdated",
        "onChannelDestroyed",
        "onMemberAdded",
        "onMemberUpdated",
        "onMemberRemoved",
    ]
    hooked.service.update(webhook_filters=told)
    loud = {"x_twilio_webhook_enabled": "true"}
    channel = hooked.service.channels.create(unique_name="told", friendly_name="Told", **loud)
    member = channel.members.create(identity="dora", **loud)
    member.update(attributes='{"a":1}', **loud)
    hooked.service.channels("told").update(friendly_name="Told again", **loud)
    # The library takes the header on deletes and does not send it.
    for path in ("Channels/told/Members/dora", "Channels/told"):
        assert hooked.rest.delete(f"{hooked.path}/{path}", **loud).status_code == 204
    await receiver.gets("onChannelDestroyed")
    assert [request["EventType"] for request in receiver.requests] == [
        "onChannelAdded",
        "onMemberAdded",
        "onMemberUpdated",
        "onChannelUpdated",
        "onMemberRemoved",
        "onChannelDestroyed",
    ], "post-events of one channel come in the order of their seq"
    created, added = receiver.requests[0], receiver.requests[1]
    assert (created["UniqueName"], created["ChannelType"], created["ChannelSid"]) == ("told", "public", channel.sid)
    assert (added["Identity"], added["MemberSid"], added["Reason"]) == ("dora", member.sid, "ADDED")


async def test_forty_messages_of_one_channel_are_told_in_their_order(hooked, receiver):
    alice, bob = await hooked.person("alice", "js"), await hooked.person("bob", "python-polling")
    await asyncio.gather(*(person.sends("general", str(n)) for n in range(20) for person in (alice, bob)))
    requests = await receiver.gets("onMessageSent", count=40, within=20)
    assert [int(request["Index"]) for request in requests] == list(range(40))
    assert len({request.headers["webhook-id"] for request in requests}) == 40


async def test_a_get_webhook_carries_its_parameters_in_the_query(hooked, receiver):
    hooked.service.update(webhook_method="GET", post_webhook_url=f"{receiver.url}?tenant=acme")
    alice = await hooked.person("alice")
    sent = await alice.sends("general", "with a blank & ü")
    [request] = await receiver.gets("onMessageSent")
    assert (request.method, request.body) == ("GET", b"")
    assert (request["tenant"], request["Body"], request["MessageSid"]) == ("acme", "with a blank & ü", sent["sid"])
    assert request.is_signed_for_twilio(hooked.cluster.auth_token)
    assert request.is_signed_with(secret_of(hooked))


async def test_a_dead_receiver_does_not_hold_up_another_tenants(hooked, receiver, cluster, driver):
    silent = hooked.client.chat.v2.services.create(friendly_name="silent")
    silent.update(
        post_webhook_url="http://127.0.0.1:9/nobody", webhook_filters=["onMessageSent"], post_webhook_retry_count=3
    )
    channel = silent.channels.create(unique_name="general")
    for number in range(20):
        channel.messages.create(body=str(number), x_twilio_webhook_enabled="true")
    alice = await hooked.person("alice")
    await alice.sends("general", "in time")
    await receiver.gets("onMessageSent", within=5, Body="in time")
    silent.delete()


async def test_private_addresses_are_not_called_unless_the_operator_allows_it(tmp_path, driver, receiver):
    with running("embedded", tmp_path, HUBBUB_WEBHOOK_ALLOW_PRIVATE="false") as cluster:
        chat = Chat(cluster, driver, "guarded")
        hook = {"PostWebhookUrl": receiver.url, "WebhookFilters": "onMessageSent"}
        saved = chat.rest.post(chat.path, hook)
        if saved.status_code == 200:  # Not refused when it was saved: then when it is called.
            chat.channel("general")
            chat.service.channels("general").messages.create(body="x", x_twilio_webhook_enabled="true")
            await eventually(lambda: deliveries(chat, Status="dead"), because="the ledger says dead")
        else:
            assert saved.status_code == 400, saved.text
        await chat.close()
    assert receiver.requests == []
