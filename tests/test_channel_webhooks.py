"""Webhooks of single channels: what they may be configured to, how many there may be, what they are told."""

import concurrent.futures

import pytest

from harness.rest import error_of
from harness.waiting import eventually
from test_twilio_library import fails

URL = "http://127.0.0.1:9/hook"
FLOW = "FW" + "0123456789abcdef" * 2
RESOURCE = "chat.v2.service.channel.channel_webhook"


@pytest.fixture
def hooks(chat):
    """The webhooks of the channel `general`."""
    chat.channel("general", "alice")
    return chat.service.channels("general").webhooks


def refused(chat, status, code, **parts):
    """Tries to make a webhook; `Url` stands for `Configuration.Url`. Answers the message."""
    form = {name if name == "Type" else f"Configuration.{name}": value for name, value in parts.items()}
    return error_of(chat.rest.post(f"{chat.path}/Channels/general/Webhooks", form), status, code)


def test_each_type_shows_the_parts_that_belong_to_it(chat, hooks, published):
    plain = hooks.create(
        type="webhook", configuration_url=URL, configuration_filters=["onMessageSent", "onChannelDestroyed"]
    )
    assert plain.configuration == {
        "url": URL,
        "method": "POST",
        "filters": ["onMessageSent", "onChannelDestroyed"],
        "retry_count": 0,
    }
    trigger = hooks.create(
        type="trigger",
        configuration_url=URL,
        configuration_method="GET",
        configuration_triggers=["keyword1", "keyword2"],
        configuration_retry_count=3,
    )
    assert trigger.configuration == {
        "url": URL,
        "method": "GET",
        "filters": ["keyword1", "keyword2"],
        "triggers": ["keyword1", "keyword2"],
        "retry_count": 3,
    }
    studio = hooks.create(type="studio", configuration_flow_sid=FLOW)
    assert studio.configuration == {"flow_sid": FLOW}
    assert [hook.sid for hook in hooks.list()] == [plain.sid, trigger.sid, studio.sid]
    assert [hook.type for hook in hooks.list(page_size=1)] == ["webhook", "trigger", "studio"]
    for hook in (plain, trigger, studio):
        assert hooks(hook.sid).fetch().configuration == hook.configuration
        published.check(RESOURCE, chat.rest.http.get(hook.url).json())
    page = chat.rest.get(f"{chat.path}/Channels/general/Webhooks").json()
    assert (page["meta"]["page_size"], page["meta"]["key"]) == (5, "webhooks")
    assert chat.rest.get(f"{chat.path}/Channels/general/Webhooks", PageSize=100).json()["meta"]["page_size"] == 5
    assert hooks(plain.sid).delete() is True
    with fails(404, 20404):
        hooks(plain.sid).fetch()


def test_an_update_changes_what_is_given_and_never_the_type(chat, hooks):
    plain = hooks.create(type="webhook", configuration_url=URL, configuration_filters=["onMessageSent"])
    changed = hooks(plain.sid).update(
        configuration_url=f"{URL}/2",
        configuration_method="GET",
        configuration_filters=["onMemberAdded", "onMemberRemoved", "onMemberAdded"],
        configuration_retry_count=2,
    )
    assert (changed.sid, changed.configuration) == (
        plain.sid,
        {
            "url": f"{URL}/2",
            "method": "GET",
            "filters": ["onMemberAdded", "onMemberRemoved"],
            "retry_count": 2,
        },
    )
    path = f"{chat.path}/Channels/general/Webhooks/{plain.sid}"
    kept = chat.rest.post(path, {"Type": "studio", "Configuration.RetryCount": 1}).json()
    assert (kept["type"], kept["configuration"]["url"]) == ("webhook", f"{URL}/2")
    assert kept["configuration"]["retry_count"] == 1
    assert "Configuration.Url" in error_of(chat.rest.post(path, {"Configuration.Url": ""}), 400, 50329)
    assert "Configuration.Filters" in error_of(chat.rest.post(path, {"Configuration.Filters": ""}), 400, 50330)
    error_of(chat.rest.post(path, {"Configuration.Filters": "onMessageSend"}), 400, 50325)
    assert hooks(plain.sid).fetch().configuration["retry_count"] == 1
    studio = hooks.create(type="studio", configuration_flow_sid=FLOW)
    other = FLOW[:-1] + "0"
    assert hooks(studio.sid).update(configuration_flow_sid=other).configuration == {"flow_sid": other}


def test_what_is_missing_or_wrong_has_a_code_of_its_own(chat, hooks):
    assert "Type" in refused(chat, 400, 50328, Url=URL)
    assert "Type" in refused(chat, 400, 50324, Type="email", Url=URL)
    assert "Configuration.Url" in refused(chat, 400, 50329, Type="webhook", Filters="onMessageSent")
    assert "Configuration.Url" in refused(chat, 400, 50329, Type="trigger", Triggers="help")
    assert "Configuration.Filters" in refused(chat, 400, 50330, Type="webhook", Url=URL)
    assert "onMessageSend" in refused(chat, 400, 50325, Type="webhook", Url=URL, Filters="onMessageSend")
    assert "Configuration.Triggers" in refused(chat, 400, 50331, Type="trigger", Url=URL)
    refused(chat, 400, 50322, Type="trigger", Url=URL, Triggers=[f"word {number}" for number in range(6)])
    refused(chat, 400, 50326, Type="trigger", Url=URL, Triggers=["fine", ""])
    refused(chat, 400, 50326, Type="trigger", Url=URL, Triggers="x" * 257)
    assert "Configuration.FlowSid" in refused(chat, 400, 50327, Type="studio")
    refused(chat, 400, 50327, Type="studio", FlowSid="FW123")
    refused(chat, 400, 50332, Type="webhook", Url=f"{URL}/{'x' * 2048}", Filters="onMessageSent")
    for url in ("nowhere", "ftp://example.com", "http://169.254.169.254/latest"):
        assert "Configuration.Url" in refused(chat, 400, 50054, Type="webhook", Url=url, Filters="onMessageSent")
    assert "Configuration.Method" in refused(
        chat, 400, 50055, Type="webhook", Url=URL, Filters="onMessageSent", Method="PUT"
    )
    for count in ("4", "-1", "many"):
        assert "Configuration.RetryCount" in refused(
            chat, 400, 50065, Type="webhook", Url=URL, Filters="onMessageSent", RetryCount=count
        )
    assert hooks.list() == []


def test_a_channel_has_at_most_five_however_many_ask_at_once(chat, hooks):
    path = f"{chat.path}/Channels/general/Webhooks"
    form = {"Type": "webhook", "Configuration.Url": URL, "Configuration.Filters": "onMessageSent"}
    with concurrent.futures.ThreadPoolExecutor(25) as pool:
        answers = list(pool.map(lambda _: chat.rest.post(path, form).json(), range(50)))
    assert sorted(answer.get("code", 201) for answer in answers) == [201] * 5 + [50321] * 45
    assert len(hooks.list()) == 5
    hooks.list()[0].delete()
    assert hooks.create(type="studio", configuration_flow_sid=FLOW).sid


def test_they_end_with_their_channel_and_stay_in_it(chat, hooks):
    hook = hooks.create(type="studio", configuration_flow_sid=FLOW)
    chat.channel("other")
    with fails(404, 20404):
        chat.service.channels("other").webhooks(hook.sid).fetch()
    with fails(404, 20404):
        chat.service.channels("nowhere").webhooks.create(type="studio", configuration_flow_sid=FLOW)
    channel = chat.service.channels("general").fetch()
    channel.delete()
    with fails(404, 20404):
        chat.service.channels(channel.sid).webhooks(hook.sid).fetch()


def test_they_are_for_backends_only(chat, hooks):
    hook = hooks.create(type="studio", configuration_flow_sid=FLOW)
    alice = chat.bearer("alice")
    path = f"{chat.path}/Channels/general/Webhooks"
    for answer in (
        alice.get(path),
        alice.get(f"{path}/{hook.sid}"),
        alice.post(path, {"Type": "studio", "Configuration.FlowSid": FLOW}),
        alice.post(f"{path}/{hook.sid}", {"Configuration.FlowSid": FLOW}),
        alice.delete(f"{path}/{hook.sid}"),
    ):
        error_of(answer, 403, 20006)
    alice.close()
    assert len(hooks.list()) == 1


# --- what they are told


async def ledger(chat, **filters):
    return chat.rest.get(f"{chat.path}/WebhookDeliveries", **filters).json()["deliveries"]


async def test_a_webhook_is_told_what_its_filters_name_and_only_of_its_channel(chat, hooks, receiver):
    hooks.create(
        type="webhook", configuration_url=receiver.url, configuration_filters=["onMessageSent", "onMemberAdded"]
    )
    chat.channel("other", "alice")
    alice = await chat.person("alice")
    await alice.sends("other", "elsewhere")
    sent = await alice.sends("general", "here")
    await alice.asks("updateMessage", channel="general", message=sent["sid"], body="changed")
    bob = await chat.person("bob")
    await bob.asks("joinChannel", channel="general")
    [added] = await receiver.gets("onMemberAdded")
    assert (added["Identity"], added["Reason"], added["Source"]) == ("bob", "JOINED", "SDK")
    assert [request["EventType"] for request in receiver.requests] == ["onMessageSent", "onMemberAdded"]
    request = receiver.requests[0]
    assert (request["Body"], request["MessageSid"], request["ClientIdentity"]) == ("here", sent["sid"], "alice")
    assert request.is_signed_for_twilio(chat.cluster.auth_token)
    assert request.passes_standard_webhooks(chat.rest.get(chat.path).json()["webhook_secret"])


async def test_rest_actions_are_told_only_when_they_ask_for_it(chat, hooks, receiver):
    hooks.create(type="webhook", configuration_url=receiver.url, configuration_filters=["onMessageSent"])
    messages = chat.service.channels("general").messages
    messages.create(body="quiet")
    messages.create(body="loud", x_twilio_webhook_enabled="true")
    [request] = await receiver.gets("onMessageSent")
    assert (request["Body"], request["Source"]) == ("loud", "API")


async def test_a_trigger_fires_on_its_keywords_in_messages_that_arrive(chat, hooks, receiver):
    hooks.create(
        type="trigger",
        configuration_url=f"{receiver.url}?trigger=1",
        configuration_method="GET",
        configuration_triggers=["Help", "größer als"],
    )
    hooks.create(type="studio", configuration_flow_sid=FLOW)
    alice = await chat.person("alice")
    for body in ("nothing", "please HELP me", "hel p", "x ist Größer als y", ""):
        sent = await alice.sends("general", body)
    await alice.asks("updateMessage", channel="general", message=sent["sid"], body="help is not told in an edit")
    await alice.sends("general", "the last: help")
    requests = await receiver.gets("onMessageSent", count=3)
    assert [request["Body"] for request in requests] == ["please HELP me", "x ist Größer als y", "the last: help"]
    assert {(request.method, request["trigger"], request["EventType"]) for request in receiver.requests} == {
        ("GET", "1", "onMessageSent")
    }
    assert all(request.is_signed_for_twilio(chat.cluster.auth_token) for request in receiver.requests)


async def test_each_webhook_has_its_own_retries_and_its_own_id(chat, hooks, receiver):
    hooks.create(
        type="webhook",
        configuration_url=f"{receiver.base}/patient",
        configuration_filters=["onMessageSent"],
        configuration_retry_count=1,
    )
    chat.service.update(post_webhook_url=f"{receiver.base}/service", webhook_filters=["onMessageSent"])
    receiver.answers(503, 503)
    alice = await chat.person("alice")
    await alice.sends("general", "x")
    await receiver.gets("onMessageSent", count=3)
    told = {}
    for request in receiver.requests:
        told.setdefault(request.url, []).append((request["RetryCount"], request.headers["webhook-id"]))
    patient, service = told[f"{receiver.base}/patient"], told[f"{receiver.base}/service"]
    assert [retry for retry, _ in patient] == ["0", "1"] and [retry for retry, _ in service] == ["0"]
    assert len({webhook_id for _, webhook_id in patient}) == 1
    assert patient[0][1] != service[0][1]


async def test_the_end_of_a_channel_is_told_to_its_webhooks(chat, hooks, receiver):
    hooks.create(
        type="webhook", configuration_url=receiver.url, configuration_filters=["onMessageSent", "onChannelDestroyed"]
    )
    channel = chat.service.channels("general").fetch()
    channel.messages.create(body="the last words", x_twilio_webhook_enabled="true")
    loud = {"x_twilio_webhook_enabled": "true"}
    assert chat.rest.delete(f"{chat.path}/Channels/general", **loud).status_code == 204
    [destroyed] = await receiver.gets("onChannelDestroyed")
    assert (destroyed["ChannelSid"], destroyed["UniqueName"]) == (channel.sid, "general")
    assert [request["EventType"] for request in receiver.requests] == ["onMessageSent", "onChannelDestroyed"]


async def test_what_a_deleted_webhook_was_still_to_be_told_is_cancelled(chat, hooks, receiver):
    receiver.answers(503)
    hook = hooks.create(
        type="webhook",
        configuration_url=receiver.url,
        configuration_filters=["onMessageSent"],
        configuration_retry_count=3,
    )
    alice = await chat.person("alice")
    await alice.sends("general", "x")
    [pending] = await eventually(
        lambda: _once_tried(chat),
        because="the first attempt is over",
    )
    hooks(hook.sid).delete()
    [cancelled] = await ledger(chat, Status="cancelled")
    assert (cancelled["sid"], cancelled["next_attempt_at"]) == (pending["sid"], None)
    await alice.sends("general", "not told")
    assert len(await ledger(chat)) == 1
    assert len(receiver.requests) == 1


async def _once_tried(chat):
    return [delivery for delivery in await ledger(chat, Status="pending") if delivery["attempts"] == 1]
