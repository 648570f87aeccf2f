"""The tenant's pre-event webhooks at a real receiver: it is asked before anything happens, may change it, and may say no."""

import asyncio
import json
import re
import time

import pytest

from harness.chat import Chat
from harness.cluster import running
from harness.interceptor import ALLOW, CLOSE, HOLD, Interceptor, amend, reject
from harness.services import rabbitmq_address
from harness.valve import valve
from harness.waiting import eventually

pytestmark = pytest.mark.topologies("embedded", "cluster", "split")

MILLISECONDS = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
BUDGET = 5


@pytest.fixture
def hook():
    made = Interceptor()
    yield made
    made.close()


@pytest.fixture
def asked(chat, hook):
    """A service that asks the hook before everything; alice and bob are in a channel."""
    chat.service.update(pre_webhook_url=hook.url)
    chat.general = chat.channel("general", "alice", "bob")
    return chat


def endpoint(chat, url, *events, **settings):
    """A webhook endpoint of our own kind."""
    form = {"Url": url, "Events": list(events), **settings}
    made = chat.rest.post(f"{chat.path}/WebhookEndpoints", form)
    assert made.status_code == 201, made.text
    return made.json()


def bodies(chat):
    return [message.body for message in chat.messages_of(chat.general.sid)]


async def ledger(chat, **filters):
    return chat.rest.get(f"{chat.path}/WebhookDeliveries", **filters).json()["deliveries"]


def params_of(request, *dates):
    """The parameters without those that every event has, and without dates, which only have to be dates."""
    params = request.params
    for name in dates:
        assert MILLISECONDS.match(params.pop(name)), request.params
    return params


# --- every event, with exactly its parameters


def common(asked, event_type, client="alice"):
    return {
        "EventType": event_type,
        "AccountSid": asked.cluster.account_sid,
        "InstanceSid": asked.sid,
        "Source": "SDK",
        "ClientIdentity": client,
        "RetryCount": "0",
    }


async def test_a_message_is_asked_about_before_it_is_there(asked, hook):
    alice, bob = await asked.person("alice"), await asked.person("bob")
    hook.always(HOLD)
    sending = asyncio.create_task(alice.sends("general", "Grüße & more = 100 %", attributes='{"a":"b c"}'))
    [request] = await hook.gets("onMessageSend")
    assert bodies(asked) == []
    hook.release()
    sent = await sending
    assert (sent["body"], sent["index"]) == ("Grüße & more = 100 %", 0)
    await bob.receives("messageAdded", sid=sent["sid"])
    assert params_of(request, "DateCreated") == common(asked, "onMessageSend") | {
        "ChannelSid": asked.general.sid,
        "Body": "Grüße & more = 100 %",
        "Attributes": '{"a":"b c"}',
        "From": "alice",
    }
    assert request.method == "POST"
    assert request.is_signed_for_twilio(asked.cluster.auth_token)
    assert request.is_signed_with(asked.rest.get(asked.path).json()["webhook_secret"])


async def test_edits_and_removals_of_messages_are_asked_about(asked, hook):
    alice = await asked.person("alice")
    sent = await alice.sends("general", "first")
    await alice.asks("updateMessage", channel="general", message=sent["sid"], body="second")
    [request] = await hook.gets("onMessageUpdate")
    about = {"MessageSid": sent["sid"], "ChannelSid": asked.general.sid, "Attributes": "{}", "From": "alice"}
    assert params_of(request, "DateCreated") == common(asked, "onMessageUpdate") | about | {
        "Body": "second",
        "ModifiedBy": "alice",
    }
    await alice.asks("removeMessage", channel="general", message=sent["sid"])
    [request] = await hook.gets("onMessageRemove")
    assert params_of(request, "DateCreated") == common(asked, "onMessageRemove") | about | {
        "Body": "second",
        "RemovedBy": "alice",
    }


async def test_channels_are_asked_about(asked, hook):
    alice = await asked.person("alice")
    made = await alice.asks("createChannel", unique_name="new", friendly_name="New", attributes='{"a":1}')
    [request] = await hook.gets("onChannelAdd")
    fields = {"Attributes": '{"a":1}', "CreatedBy": "alice", "FriendlyName": "New", "UniqueName": "new"}
    assert params_of(request) == common(asked, "onChannelAdd") | fields | {"ChannelType": "public"}

    await alice.asks("updateChannel", channel="new", friendly_name="")
    [request] = await hook.gets("onChannelUpdate")
    del fields["FriendlyName"]
    named = fields | {"ChannelSid": made["sid"]}
    assert params_of(request, "DateCreated") == common(asked, "onChannelUpdate") | named

    await alice.asks("removeChannel", channel="new")
    [request] = await hook.gets("onChannelDestroy")
    assert params_of(request, "DateCreated") == common(asked, "onChannelDestroy") | named | {
        "ChannelType": "public"
    }


async def test_members_are_asked_about(asked, hook):
    alice, cat = await asked.person("alice"), await asked.person("cat")
    room = await alice.asks("createChannel", unique_name="room")
    role = asked.role("channel user").sid
    place = {"ChannelSid": room["sid"], "RoleSid": role}

    await cat.asks("joinChannel", channel="room")
    [request] = await hook.gets("onMemberAdd")
    assert params_of(request) == common(asked, "onMemberAdd", "cat") | place | {
        "Identity": "cat",
        "Reason": "JOINED",
    }
    await alice.asks("addMember", channel="room", identity="dan")
    [_, request] = await hook.gets("onMemberAdd", count=2)
    assert params_of(request) == common(asked, "onMemberAdd") | place | {"Identity": "dan", "Reason": "ADDED"}

    members = {member.identity: member for member in asked.service.channels(room["sid"]).members.list()}
    await cat.asks("updateMember", channel="room", identity="cat", attributes='{"x":1}')
    [request] = await hook.gets("onMemberUpdate")
    assert params_of(request, "DateCreated", "DateUpdated") == common(asked, "onMemberUpdate", "cat") | place | {
        "MemberSid": members["cat"].sid,
        "Identity": "cat",
        "Attributes": '{"x":1}',
    }
    await cat.asks("leaveChannel", channel="room")
    [request] = await hook.gets("onMemberRemove")
    assert params_of(request) == common(asked, "onMemberRemove", "cat") | place | {
        "MemberSid": members["cat"].sid,
        "Identity": "cat",
        "Reason": "LEFT",
    }
    await alice.asks("removeMember", channel="room", identity="dan")
    [_, request] = await hook.gets("onMemberRemove", count=2)
    assert params_of(request) == common(asked, "onMemberRemove") | place | {
        "MemberSid": members["dan"].sid,
        "Identity": "dan",
        "Reason": "REMOVED",
    }


async def test_an_accepted_invite_is_a_join(asked, hook):
    alice, cat = await asked.person("alice"), await asked.person("cat")
    room = await alice.asks("createChannel", unique_name="room", type="private")
    await alice.asks("inviteMember", channel="room", identity="cat")
    hook.always(reject("stay out"))
    refusal = await cat.is_refused("acceptInvite", channel="room", code=50056, status=403)
    assert refusal.message == "stay out"
    hook.always(ALLOW)
    await cat.asks("acceptInvite", channel="room")
    request = hook.of("onMemberAdd")[-1]
    assert (request["Identity"], request["Reason"], request["ChannelSid"]) == ("cat", "JOINED", room["sid"])


async def test_users_are_asked_about(asked, hook):
    alice = await asked.person("alice")
    user = asked.service.users("alice").fetch()
    await alice.asks("updateUser", friendly_name="Alice", attributes='{"x":1}')
    [request] = await hook.gets("onUserUpdate")
    assert params_of(request, "DateCreated", "DateUpdated") == common(asked, "onUserUpdate") | {
        "UserSid": user.sid,
        "Identity": "alice",
        "FriendlyName": "Alice",
        "RoleSid": user.role_sid,
        "Attributes": '{"x":1}',
    }


async def test_read_horizons_and_typing_are_not_asked_about(asked, hook):
    alice = await asked.person("alice")
    await alice.sends("general", "read me")
    asked_so_far = len(hook.requests)
    await alice.asks("setLastConsumedMessageIndex", channel="general", index=0)
    await alice.asks("typing", channel="general")
    await alice.asks("getMessages", channel="general")
    assert len(hook.requests) == asked_so_far


# --- who is asked, and who is not


async def test_what_may_not_be_done_is_refused_without_a_call(asked, hook):
    alice, mallory = await asked.person("alice"), await asked.person("mallory")
    await mallory.is_refused("sendMessage", channel="general", body="let me", code=50400)
    await mallory.is_refused("leaveChannel", channel="general", code=50400)
    await alice.is_refused("sendMessage", channel="nowhere", body="hello?", code=20404)
    await alice.is_refused("sendMessage", channel="general", body="x", attributes="{", code=50304)
    await alice.is_refused("createChannel", unique_name="general", code=50307)
    await alice.is_refused("removeChannel", channel="general", code=50107)
    await alice.is_refused("addMember", channel="general", identity="bob")
    assert hook.requests == []


async def test_rest_is_asked_with_a_users_token_only(asked, hook):
    asked.service.channels("general").messages.create(body="by the backend", x_twilio_webhook_enabled="true")
    assert hook.requests == []
    path = f"{asked.path}/Channels/general/Messages"
    hook.answers(reject("not so"))
    answer = asked.bearer("alice").post(path, {"Body": "by a user"})
    assert (answer.status_code, answer.json()["code"], answer.json()["message"]) == (403, 50056, "not so")
    assert asked.bearer("alice").post(path, {"Body": "by a user"}).status_code == 201
    assert [request["Source"] for request in hook.requests] == ["SDK", "SDK"]
    assert bodies(asked) == ["by the backend", "by a user"]


async def test_only_what_the_filters_name_is_asked_about(asked, hook):
    asked.service.update(webhook_filters=["onMessageUpdate", "onMessageSent"])
    alice = await asked.person("alice")
    sent = await alice.sends("general", "free")
    await alice.asks("updateMessage", channel="general", message=sent["sid"], body="asked")
    assert [request["EventType"] for request in hook.requests] == ["onMessageUpdate"]
    asked.service.update(webhook_filters=[""], pre_webhook_url="")
    await alice.sends("general", "nobody is asked")
    assert len(hook.requests) == 1


async def test_get_puts_the_parameters_into_the_query(asked, hook):
    asked.service.update(webhook_method="GET", pre_webhook_url=f"{hook.url}?tenant=acme")
    alice = await asked.person("alice")
    await alice.sends("general", "with a blank & ü")
    [request] = await hook.gets("onMessageSend")
    assert (request.method, request["tenant"], request["Body"]) == ("GET", "acme", "with a blank & ü")
    assert request.is_signed_for_twilio(asked.cluster.auth_token)


# --- what it answers


async def test_a_message_is_published_as_changed(asked, hook):
    alice, bob = await asked.person("alice"), await asked.person("bob")
    hook.answers(amend(body="b***", author="moderator", attributes='{"moderated":true}', ignored=1))
    sent = await alice.sends("general", "bad", client_id="one")
    assert (sent["body"], sent["from"], sent["attributes"]) == ("b***", "moderator", '{"moderated":true}')
    heard = await bob.receives("messageAdded", sid=sent["sid"])
    assert heard["message"]["body"] == "b***"
    hook.answers(amend(body=None))
    assert (await alice.sends("general", "kept", client_id="two"))["body"] == "kept"
    assert bodies(asked) == ["b***", "kept"]


async def test_a_repeat_answers_with_what_was_published(asked, hook):
    alice = await asked.person("alice")
    hook.answers(amend(body="changed"))
    first = await alice.sends("general", "said", client_id="one")
    again = await alice.sends("general", "said", client_id="one")
    assert (again["sid"], again["body"], again["replayed"]) == (first["sid"], "changed", True)
    assert len(hook.requests) == 1


async def test_channels_and_users_are_made_as_changed(asked, hook):
    alice = await asked.person("alice")
    hook.answers(amend(friendly_name="Changed", unique_name="renamed", attributes='{"by":"hook"}'))
    made = await alice.asks("createChannel", unique_name="named", friendly_name="Named")
    shown = (made["unique_name"], made["friendly_name"], made["attributes"])
    assert shown == ("renamed", "Changed", '{"by":"hook"}')
    hook.answers(amend(friendly_name="Again"))
    assert (await alice.asks("updateChannel", channel="renamed", attributes="{}"))["friendly_name"] == "Again"
    hook.answers(amend(friendly_name="Alice A."))
    assert (await alice.asks("updateUser", friendly_name="alice"))["friendly_name"] == "Alice A."
    sent = await alice.sends("general", "x")
    hook.answers(amend(body="edited by the hook"))
    edited = await alice.asks("updateMessage", channel="general", message=sent["sid"], body="edited")
    assert edited["body"] == "edited by the hook"


async def test_a_wrong_change_is_the_callers_validation_error(asked, hook):
    alice = await asked.person("alice")
    for answer, code in (
        (amend(attributes="{"), 50304),
        (amend(body="x" * 32_769), 50504),
        (amend(body=7), 20001),
        (amend(author=""), 20001),
    ):
        hook.answers(answer)
        await alice.is_refused("sendMessage", channel="general", body="fine", code=code)
    hook.answers(amend(unique_name="general"))
    await alice.is_refused("createChannel", unique_name="other", code=50307)
    assert bodies(asked) == []


@pytest.mark.parametrize("status", [400, 403, 404, 500, 502])
async def test_an_error_rejects(asked, hook, status):
    alice, bob = await asked.person("alice"), await asked.person("bob")
    hook.answers(reject("Mind your language, please.", status))
    refusal = await alice.is_refused("sendMessage", channel="general", body="bad", code=50056, status=403)
    assert refusal.message == "Mind your language, please."
    hook.answers((status, "text/html", b"<p>no</p>"))
    refusal = await alice.is_refused("sendMessage", channel="general", body="bad", code=50056, status=403)
    assert "rejected" in refusal.message
    hook.answers(reject("x" * 10_000, status))
    refusal = await alice.is_refused("sendMessage", channel="general", body="bad", code=50056)
    assert len(refusal.message) == 500
    await alice.sends("general", "good")
    assert (await bob.receives("messageAdded"))["message"]["body"] == "good"


async def test_everything_else_can_be_rejected_too(asked, hook):
    alice = await asked.person("alice")
    sent = await alice.sends("general", "stays")
    hook.always(reject("no"))
    for verb, argument in (
        ("updateMessage", {"channel": "general", "message": sent["sid"], "body": "other"}),
        ("removeMessage", {"channel": "general", "message": sent["sid"]}),
        ("createChannel", {"unique_name": "new"}),
        ("leaveChannel", {"channel": "general"}),
        ("updateUser", {"friendly_name": "other"}),
        ("updateMember", {"channel": "general", "identity": "alice", "attributes": "{}"}),
    ):
        refusal = await alice.is_refused(verb, **argument, code=50056)
        assert refusal.message == "no", verb
    assert bodies(asked) == ["stays"]
    assert [channel.unique_name for channel in asked.service.channels.list()] == ["general"]
    assert {member.identity for member in asked.service.channels("general").members.list()} == {"alice", "bob"}
    assert asked.service.users("alice").fetch().friendly_name is None


# --- no answer


async def test_without_an_answer_the_message_is_published_after_five_seconds(asked, hook):
    alice = await asked.person("alice")
    hook.always(HOLD)
    began = time.monotonic()
    sent = await alice.sends("general", "late")
    assert BUDGET - 0.2 < time.monotonic() - began < BUDGET + 1
    assert sent["body"] == "late"
    [delivery] = await eventually(lambda: ledger(asked), because="it is in the ledger")
    assert (delivery["event_type"], delivery["status"], delivery["attempts"]) == ("onMessageSend", "dead", 1)
    assert "timed out" in delivery["last_error"]


@pytest.mark.parametrize(
    "answer",
    [CLOSE, (200, "application/json", b"{"), (200, "application/json", b"[1]"), (302, None, b""), "nobody"],
    ids=["closed", "cut", "list", "redirect", "nobody"],
)
async def test_what_is_no_answer_lets_it_go_on_at_once(asked, hook, answer):
    alice = await asked.person("alice")
    if answer == "nobody":
        asked.service.update(pre_webhook_url="http://127.0.0.1:9/nobody")
    else:
        hook.always(answer)
    began = time.monotonic()
    assert (await alice.sends("general", "said"))["body"] == "said"
    assert time.monotonic() - began < 3


async def test_a_closed_endpoint_that_does_not_answer_is_a_refusal(asked, hook):
    asked.service.update(pre_webhook_url="")
    endpoint(asked, hook.url, "onMessageSend", FailurePolicy="closed", TimeoutMs="300")
    alice = await asked.person("alice")
    for silence in (HOLD, CLOSE, (200, "application/json", b"{")):
        hook.answers(silence)
        began = time.monotonic()
        await alice.is_refused("sendMessage", channel="general", body="unseen", code=50076, status=503)
        assert time.monotonic() - began < 2
    await alice.sends("general", "seen")
    assert bodies(asked) == ["seen"]


async def test_it_is_asked_again_as_often_as_the_setting_says(asked, hook):
    asked.service.update(pre_webhook_retry_count=2)
    alice = await asked.person("alice")
    hook.answers(reject("busy", 503), CLOSE, amend(body="third"))
    assert (await alice.sends("general", "first"))["body"] == "third"
    assert [request["RetryCount"] for request in hook.requests] == ["0", "1", "2"]
    assert len({request.headers["webhook-id"] for request in hook.requests}) == 1
    [delivery] = await eventually(lambda: ledger(asked), because="it is in the ledger")
    assert (delivery["status"], delivery["attempts"]) == ("delivered", 3)
    hook.always(reject("busy", 503))
    await alice.is_refused("sendMessage", channel="general", body="never", code=50056)
    assert len(hook.requests) == 6


async def test_a_hook_that_keeps_silent_is_left_alone_and_asked_again_later(asked, hook):
    asked.service.update(pre_webhook_url="")
    endpoint(asked, hook.url, "onMessageSend", TimeoutMs="100")
    alice = await asked.person("alice")
    hook.always(HOLD)
    for number in range(5):
        await alice.sends("general", str(number))
    assert len(hook.requests) == 5
    began = time.monotonic()
    for number in range(5, 25):
        await alice.sends("general", str(number))
    assert time.monotonic() - began < 3, "nobody waits for it any more"
    workers = sum("workers" in (node.settings.get("HUBBUB_ROLES") or "workers") for node in asked.cluster.nodes)
    assert len(hook.requests) <= 5 * workers
    hook.always(amend(body="seen"))
    sent = await eventually(lambda: sends_seen(alice), within=20, because="it is asked again")
    assert sent["body"] == "seen"


async def sends_seen(person):
    sent = await person.sends("general", "unseen")
    return sent if sent["body"] == "seen" else None


# --- endpoints of our own kind


async def test_endpoints_are_asked_in_turn_and_each_sees_what_the_one_before_changed(asked, hook):
    second, third = Interceptor(), Interceptor()
    try:
        endpoint(asked, second.url, "onMessageSend")
        endpoint(asked, third.url, "onMessageSend", Format="json")
        alice = await asked.person("alice")
        hook.answers(amend(body="one"))
        second.answers(amend(body="two", attributes='{"by":2}'))
        sent = await alice.sends("general", "zero")
        assert (sent["body"], sent["attributes"]) == ("two", '{"by":2}')
        assert [request["Body"] for request in hook.requests] == ["zero"]
        assert [request["Body"] for request in second.requests] == ["one"]
        [request] = third.requests
        envelope = json.loads(request.body)
        assert (envelope["type"], envelope["channel_sid"]) == ("onMessageSend", asked.general.sid)
        assert (envelope["data"]["body"], envelope["identity"], envelope["source"]) == ("two", "alice", "SDK")
        assert {name.lower() for name in request.headers} >= {"webhook-id", "x-twilio-signature"}
        second.answers(reject("the second says no"))
        refusal = await alice.is_refused("sendMessage", channel="general", body="x", code=50056)
        assert refusal.message == "the second says no"
        assert len(third.requests) == 1
    finally:
        second.close()
        third.close()


async def test_a_shadow_is_called_and_not_obeyed_nor_waited_for(asked, hook):
    asked.service.update(pre_webhook_url="")
    endpoint(asked, hook.url, "onMessageSend", Shadow="true")
    alice = await asked.person("alice")
    hook.always(HOLD)
    began = time.monotonic()
    await alice.sends("general", "not held")
    assert time.monotonic() - began < 1
    await hook.gets("onMessageSend", Body="not held")
    hook.release()
    hook.always(reject("no"))
    await alice.sends("general", "not rejected")
    await hook.gets("onMessageSend", Body="not rejected")
    statuses = await eventually(
        lambda: recorded(asked, 2), because="both calls are in the ledger"
    )
    assert sorted(statuses) == [200, 403]


async def recorded(chat, count):
    found = [delivery["response_status"] for delivery in await ledger(chat)]
    return found if len(found) == count else None


async def test_an_endpoint_may_be_asked_before_rest_actions_too(asked, hook):
    asked.service.update(pre_webhook_url="")
    endpoint(asked, hook.url, "onMessageSend", "onChannelAdd", PreEventsOnRest="true")
    hook.answers(amend(body="changed"), reject("no channel for you"), reject("nor in a batch"))
    path = f"{asked.path}/Channels/general/Messages"
    answer = asked.rest.post(path, {"Body": "said"})
    assert (answer.status_code, answer.json()["body"]) == (201, "changed")
    request = hook.requests[-1]
    assert request["Source"] == "API" and "ClientIdentity" not in request.params
    answer = asked.rest.post(f"{asked.path}/Channels", {"UniqueName": "x"})
    assert (answer.status_code, answer.json()["message"]) == (403, "no channel for you")


async def test_what_comes_in_batches_is_asked_about_one_by_one(asked, hook):
    asked.service.update(pre_webhook_url="")
    endpoint(asked, hook.url, "onMessageSend", "onMemberAdd", PreEventsOnRest="true")
    unwanted = {"bad": reject("mind your words"), "other": amend(body="changed")}
    hook.rule = lambda request: unwanted.get(request.params.get("Body") or request.params.get("Identity"), ALLOW)
    items = [{"body": body} for body in ("good", "bad", "other", "last")]
    answer = asked.rest.post(f"{asked.path}/Channels/general/Messages/Batch", {"Items": json.dumps(items)})
    results = answer.json()["results"]
    assert [result["status"] for result in results] == [201, 403, 201, 201], results
    assert results[1]["error"]["message"] == "mind your words"
    assert bodies(asked) == ["good", "changed", "last"]

    unwanted["dan"] = reject("not him")
    items = [{"identity": identity} for identity in ("cat", "dan", "alice")]
    answer = asked.rest.post(f"{asked.path}/Channels/general/Members/Batch", {"Items": json.dumps(items)})
    results = answer.json()["results"]
    assert [result["status"] for result in results] == [201, 403, 409], results
    assert {request["Identity"] for request in hook.of("onMemberAdd")} == {"cat", "dan"}

    members = json.dumps([{"identity": "eve"}, {"identity": "dan"}])
    answer = asked.rest.put(f"{asked.path}/Channels/general", {"Members": members})
    assert (answer.status_code, answer.json()["message"]) == (403, "not him")
    listed = {member.identity for member in asked.service.channels("general").members.list()}
    assert listed == {"alice", "bob", "cat"}, "everything or nothing"


# --- order, and others


async def test_the_verbs_of_a_socket_take_effect_in_the_order_sent_and_others_are_not_held(asked, hook):
    alice, bob = await asked.person("alice"), await asked.person("bob")
    hook.rule = lambda request: HOLD if request.params.get("Body") == "first" else ALLOW
    sends = [asyncio.create_task(alice.sends("general", body)) for body in ("first", "second", "third")]
    await hook.gets("onMessageSend", count=3)
    leaves = asyncio.create_task(alice.asks("updateUser", friendly_name="after"))
    await bob.sends("general", "bob's")
    assert not any(send.done() for send in sends) and not leaves.done()
    hook.release()
    for send in sends:
        await send
    await leaves
    assert bodies(asked) == ["bob's", "first", "second", "third"]
    assert hook.of("onUserUpdate")[0].at > hook.of("onMessageSend", Body="third")[0].at


@pytest.mark.topologies("embedded", "cluster")
async def test_two_thousand_may_wait_at_once(chat, hook):
    endpoint(chat, hook.url, "onMessageSend", TimeoutMs="10000")
    # 50 a socket, which is what one may have on its way, each in a channel of its own, so that nobody hears the others.
    sockets = range(40)
    channels = [chat.channel(f"room {place}", f"user {place}") for place in sockets]
    crowd = [await chat.person(f"user {place}") for place in sockets]
    hook.always(HOLD)
    sends = [
        asyncio.create_task(person.sends(f"room {place}", str(number)))
        for number in range(50)
        for place, person in enumerate(crowd)
    ]
    await eventually(lambda: hook.waiting == 2000, within=10, because="all wait")
    hook.release()
    await asyncio.gather(*sends)
    for channel in channels:
        assert [message.body for message in chat.messages_of(channel.sid)] == [str(number) for number in range(50)]


# --- something of ours dies


async def test_a_worker_that_dies_while_a_hook_waits_loses_no_send(tmp_path, driver, hook):
    with running("split", tmp_path) as cluster:
        chat = Chat(cluster, driver, "the worker dies")
        chat.general = chat.channel("general", "alice", "bob")
        chat.service.update(pre_webhook_url=hook.url)
        alice, bob = await chat.person("alice"), await chat.person("bob")
        hook.always(HOLD)
        began = time.monotonic()
        sending = asyncio.create_task(alice.sends("general", "not lost"))
        await hook.gets("onMessageSend")
        worker = next(node for node in cluster.nodes if node.name == "workers")
        worker.kill()
        sent = await sending
        assert (sent["body"], time.monotonic() - began < BUDGET + 1) == ("not lost", True)
        await bob.receives("messageAdded", sid=sent["sid"])
        chat.service.update(pre_webhook_url="")
        endpoint(chat, hook.url, "onMessageSend", FailurePolicy="closed", TimeoutMs="500")
        await alice.is_refused("sendMessage", channel="general", body="unseen", code=50076)
        worker.start().wait_ready()
        hook.release()
        hook.always(amend(body="seen"))
        assert (await alice.sends("general", "unseen"))["body"] == "seen"
        assert bodies(chat) == ["not lost", "seen"]
        await chat.close()


async def test_rabbitmq_that_goes_away_ends_the_waiting_at_once(tmp_path, driver, hook):
    async with valve(rabbitmq_address()) as broker:
        with running("split", tmp_path, broker=broker.address) as cluster:
            chat = Chat(cluster, driver, "the broker is away")
            chat.general = chat.channel("general", "alice")
            chat.service.update(pre_webhook_url=hook.url)
            alice = await chat.person("alice")
            hook.always(HOLD)
            sending = asyncio.create_task(alice.sends("general", "waiting"))
            await hook.gets("onMessageSend")
            await broker.shut()
            began = time.monotonic()
            assert (await sending)["body"] == "waiting"
            assert (await alice.sends("general", "without it"))["body"] == "without it"
            assert time.monotonic() - began < BUDGET
            hook.release()
            hook.always(amend(body="seen"))
            await broker.open()
            await eventually(lambda: sends_seen(alice), within=20, because="it is asked again")
            await chat.close()
