"""Webhook endpoints of our own kind: their settings, and that they hear of everything."""

import concurrent.futures
import json
import urllib.parse

import pytest

from harness.rest import error_of
from harness.waiting import eventually

POST_EVENTS = [
    "onMessageSent",
    "onMessageUpdated",
    "onMessageRemoved",
    "onMediaMessageSent",
    "onChannelAdded",
    "onChannelUpdated",
    "onChannelDestroyed",
    "onChannelStateUpdated",
    "onMemberAdded",
    "onMemberUpdated",
    "onMemberRemoved",
    "onUserAdded",
    "onUserUpdated",
    "onCampaignUpdated",
]


class Endpoints:
    """The endpoints of one service over REST."""

    def __init__(self, chat, receiver):
        self.rest, self.path, self.receiver = chat.rest, f"{chat.path}/WebhookEndpoints", receiver

    def makes(self, at="", **settings):
        made = self.rest.post(self.path, {"Url": self.receiver.url + at, **settings})
        assert made.status_code == 201, made.text
        return made.json()

    def sets(self, endpoint, **settings):
        changed = self.rest.post(f"{self.path}/{endpoint['sid']}", settings)
        assert changed.status_code == 200, changed.text
        return changed.json()

    def shows(self, endpoint):
        return self.rest.get(f"{self.path}/{endpoint['sid']}").json()

    def lists(self, **query):
        return self.rest.get(self.path, **query).json()["webhook_endpoints"]

    def refuses(self, code=20001, **settings):
        return error_of(self.rest.post(self.path, {"Url": self.receiver.url, **settings}), 400, code)


@pytest.fixture
def endpoints(chat, receiver):
    return Endpoints(chat, receiver)


async def ledger(chat, **filters):
    return chat.rest.get(f"{chat.path}/WebhookDeliveries", **filters).json()["deliveries"]


# --- the resource


def test_an_endpoint_is_made_with_defaults_and_shows_its_secret_once(chat, endpoints, receiver):
    made = endpoints.makes()
    assert {
        name: made[name] for name in made if name not in ("sid", "secret", "url", "date_created", "date_updated")
    } == {
        "account_sid": chat.cluster.account_sid,
        "service_sid": chat.sid,
        "endpoint_url": receiver.url,
        "events": POST_EVENTS,
        "format": "form",
        "ordered": False,
        "header_names": [],
        "failure_policy": "open",
        "timeout_ms": 5000,
        "shadow": False,
        "pre_events_on_rest": False,
        "status": "enabled",
        "disabled_reason": None,
        "failing_since": None,
        "last_failure": None,
        "disables_at": None,
        "signing": "hmac-sha256",
        "public_key": None,
        "previous_secret_until": None,
    }
    assert made["sid"].startswith("WE") and made["secret"].startswith("whsec_")
    assert made["url"].endswith(f"{endpoints.path}/{made['sid']}")
    shown = endpoints.shows(made)
    assert shown == made | {"secret": None}
    assert endpoints.lists() == [shown]
    assert chat.rest.delete(f"{endpoints.path}/{made['sid']}").status_code == 204
    error_of(chat.rest.get(f"{endpoints.path}/{made['sid']}"), 404, 20404)
    assert endpoints.lists() == []


def test_what_is_given_changes_and_the_rest_stays(endpoints, receiver):
    made = endpoints.makes()
    changed = endpoints.sets(
        made,
        Url=f"{receiver.base}/elsewhere",
        Events=["onMessageSend", "onMessageSent", "onMessageSend"],
        Format="json",
        Ordered="true",
        Headers='{"Authorization": "Bearer abc", "X-Tenant": "7"}',
        FailurePolicy="closed",
        TimeoutMs="250",
        Shadow="true",
        PreEventsOnRest="true",
    )
    assert changed["endpoint_url"] == f"{receiver.base}/elsewhere"
    assert changed["events"] == ["onMessageSend", "onMessageSent"]
    assert (changed["format"], changed["ordered"], changed["failure_policy"]) == ("json", True, "closed")
    assert (changed["timeout_ms"], changed["shadow"], changed["pre_events_on_rest"]) == (250, True, True)
    assert changed["header_names"] == ["Authorization", "X-Tenant"]
    assert changed["secret"] is None and "Bearer" not in json.dumps(changed)
    kept = endpoints.sets(made, Events="", Headers="{}")
    assert kept == changed | {
        "events": POST_EVENTS,
        "header_names": [],
        "date_updated": kept["date_updated"],
    }
    as_json = endpoints.rest.post(
        f"{endpoints.path}/{made['sid']}", json={"Headers": {"X-Own": "1"}, "Events": ["onUserAdded"], "TimeoutMs": 300}
    ).json()
    assert (as_json["header_names"], as_json["events"], as_json["timeout_ms"]) == (["X-Own"], ["onUserAdded"], 300)


def test_what_is_wrong_is_named_with_what_would_be_right(endpoints):
    assert "Url" in error_of(endpoints.rest.post(endpoints.path, {}), 400, 20001)
    for url in ("nowhere", "ftp://example.com/", "http://169.254.169.254/latest"):
        assert "Url" in endpoints.refuses(50054, Url=url)
    assert "'onNothing'" in endpoints.refuses(Events=["onMessageSent", "onNothing"])
    assert "'*'" in endpoints.refuses(Events="*")
    assert "form or json" in endpoints.refuses(Format="xml")
    assert "Ordered" in endpoints.refuses(Ordered="perhaps")
    assert "open or closed" in endpoints.refuses(FailurePolicy="ajar")
    for timeout in ("99", "30001", "soon", "1.5"):
        assert "TimeoutMs" in endpoints.refuses(TimeoutMs=timeout)
    assert "enabled or paused or disabled" in endpoints.refuses(Status="off")
    assert "hmac-sha256 or ed25519" in endpoints.refuses(Signing="rsa")
    for headers in (
        "x",
        "[]",
        '{"Host": "x"}',
        '{"content-type": "x"}',
        '{"Webhook-Signature": "x"}',
        '{"a b": "x"}',
        '{"a": "x\\r\\ny"}',
        '{"a": 5}',
        json.dumps({f"x{n}": "v" for n in range(21)}),
        json.dumps({"a": "x" * 9000}),
    ):
        assert "Headers" in endpoints.refuses(Headers=headers)
    assert endpoints.lists() == []


def test_a_service_has_at_most_a_hundred_however_many_ask_at_once(chat, endpoints, receiver):
    form = {"Url": receiver.url, "Status": "disabled"}
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: chat.rest.post(endpoints.path, form).json(), range(110)))
    assert sorted(answer.get("code", 201) for answer in answers) == [201] * 100 + [50321] * 10
    sids = [endpoint["sid"] for page in (0, 1) for endpoint in endpoints.lists(PageSize=100)][:100]
    assert len(set(sids)) == 100
    pages, path = [], f"{endpoints.path}?PageSize=30"
    while path:
        page = chat.rest.get(path).json()
        pages.append([endpoint["sid"] for endpoint in page["webhook_endpoints"]])
        path = page["meta"]["next_page_url"]
    assert [len(page) for page in pages] == [30, 30, 30, 10]
    assert [sid for page in pages for sid in page] == sorted(sids) == sids
    chat.rest.delete(f"{endpoints.path}/{sids[0]}")
    endpoints.makes()
    assert "100" in endpoints.refuses(50321)


def test_endpoints_are_for_backends_of_their_own_account(chat, endpoints):
    made = endpoints.makes()
    alice = chat.bearer("alice")
    one = f"{endpoints.path}/{made['sid']}"
    for answer in (
        alice.get(endpoints.path),
        alice.get(one),
        alice.post(endpoints.path, {"Url": made["endpoint_url"]}),
        alice.post(one, {"Status": "disabled"}),
        alice.delete(one),
    ):
        error_of(answer, 403, 20006)
    alice.close()
    other = chat.client.chat.v2.services.create(friendly_name="another")
    error_of(chat.rest.get(f"/v2/Services/{other.sid}/WebhookEndpoints/{made['sid']}"), 404, 20404)
    error_of(chat.rest.delete(f"/v2/Services/{other.sid}/WebhookEndpoints/{made['sid']}"), 404, 20404)
    other.delete()
    assert endpoints.shows(made)["status"] == "enabled"


def test_changes_are_in_the_audit_log_without_secrets(chat, endpoints):
    made = endpoints.makes(Headers='{"Authorization": "Bearer hush"}')
    endpoints.sets(made, Status="paused", RotateSecret="true")
    chat.rest.delete(f"{endpoints.path}/{made['sid']}")
    log = chat.rest.get(f"{chat.path}/AuditEvents", ResourceSid=made["sid"]).json()["audit_events"]
    assert [entry["action"] for entry in log] == [
        "webhook_endpoint.delete",
        "webhook_endpoint.update",
        "webhook_endpoint.create",
    ]
    text = json.dumps(log)
    assert "hush" not in text and "whsec_" not in text and made["secret"] not in text
    assert '"paused"' in text.replace("\\", "")


# --- what they hear


async def test_an_endpoint_hears_of_rest_without_the_header_and_of_sockets(chat, endpoints, receiver):
    endpoints.makes()
    chat.channel("general", "alice")
    chat.service.channels("general").messages.create(body="over rest", from_="alice")
    alice = await chat.person("alice")
    sent = await alice.sends("general", "over a socket")
    by_socket = (await receiver.gets("onMessageSent", Body="over a socket"))[0]
    by_rest = (await receiver.gets("onMessageSent", Body="over rest"))[0]
    assert (by_socket["Source"], by_socket["ClientIdentity"], by_socket["MessageSid"]) == ("SDK", "alice", sent["sid"])
    assert by_rest["Source"] == "API" and "ClientIdentity" not in by_rest.params
    for event in ("onChannelAdded", "onMemberAdded", "onUserAdded"):
        await receiver.gets(event)


async def test_all_post_events_but_media_are_told_with_exactly_their_parameters(chat, endpoints, receiver):
    endpoints.makes()
    service = chat.service
    channel = service.channels.create(unique_name="told", friendly_name="Told", attributes='{"a":1}')
    member = channel.members.create(identity="dora")
    message = channel.messages.create(body="hello", from_="dora", attributes='{"b":2}')
    at = service.channels("told")
    at.messages(message.sid).update(body="hello again")
    at.messages(message.sid).delete()
    at.members("dora").update(last_consumed_message_index=0, attributes='{"c":3}')
    at.update(friendly_name="Told again")
    service.users("dora").update(friendly_name="Dora")
    at.members("dora").delete()
    at.delete()
    await receiver.gets("onChannelDestroyed")
    await receiver.gets("onUserUpdated")
    always = {"EventType", "AccountSid", "InstanceSid", "Source", "RetryCount"}
    of_message = {"MessageSid", "Index", "ChannelSid", "Body", "Attributes", "From", "DateCreated"}
    of_channel = {"ChannelSid", "Attributes", "DateCreated", "CreatedBy", "FriendlyName", "UniqueName", "ChannelType"}
    of_member = {"MemberSid", "ChannelSid", "Identity", "RoleSid", "DateCreated"}
    of_user = {"UserSid", "Identity", "RoleSid", "Attributes", "DateCreated"}
    expected = {
        "onMessageSent": of_message,
        "onMessageUpdated": of_message | {"ModifiedBy", "DateUpdated"},
        "onMessageRemoved": of_message | {"RemovedBy", "DateRemoved"},
        "onChannelAdded": of_channel,
        "onChannelUpdated": of_channel | {"DateUpdated"},
        "onChannelDestroyed": of_channel | {"DateDestroyed"},
        "onMemberAdded": of_member | {"Reason"},
        "onMemberUpdated": of_member | {"Attributes", "LastConsumedMessageIndex", "DateUpdated"},
        "onMemberRemoved": of_member | {"Reason", "DateRemoved"},
        "onUserAdded": of_user,
        "onUserUpdated": of_user | {"FriendlyName", "DateUpdated"},
    }
    heard = {request["EventType"]: request for request in receiver.requests}
    assert set(heard) == set(expected)
    for name, parameters in expected.items():
        assert set(heard[name].params) == always | parameters, name
        assert heard[name]["RetryCount"] == "0" and heard[name]["Source"] == "API"
    assert (heard["onMemberAdded"]["Reason"], heard["onMemberRemoved"]["Reason"]) == ("ADDED", "REMOVED")
    assert heard["onMemberUpdated"]["LastConsumedMessageIndex"] == "0"
    assert heard["onMessageUpdated"]["ModifiedBy"] == "system" and heard["onMessageUpdated"]["Body"] == "hello again"
    assert heard["onMemberAdded"]["MemberSid"] == member.sid
    in_channel = [request["EventType"] for request in receiver.requests if "ChannelSid" in request.params]
    assert in_channel[0] == "onChannelAdded" and in_channel[-1] == "onChannelDestroyed"


async def test_the_json_format_is_the_envelope_that_sockets_get(chat, endpoints, receiver):
    made = endpoints.makes(Format="json", Events=["onMessageSent", "onMemberAdded"])
    chat.channel("general", "alice", "bob")
    alice, bob = await chat.person("alice"), await chat.person("bob")
    await alice.sends("general", "Grüße & more", attributes='{"a":"b c"}')
    heard = await bob.receives("messageAdded")
    [request] = await eventually(lambda: receiver.told("messageAdded"), because="the message is told")
    assert request.method == "POST" and request.headers["content-type"] == "application/json"

    def plain(event):
        """Without what only sockets have, or what depends on how the server was found."""
        event = {name: value for name, value in event.items() if name != "cursor"}
        return event | {"message": event["message"] | {"url": urllib.parse.urlsplit(event["message"]["url"]).path}}

    assert plain(request.json) == plain(heard)
    assert {event.json["member"]["identity"] for event in receiver.told("memberJoined")} == {"alice", "bob"}
    assert urllib.parse.parse_qs(urllib.parse.urlsplit(request.url).query)["bodySHA256"]
    assert request.is_signed_for_twilio(chat.cluster.auth_token)
    assert not request.is_signed_for_twilio("another token")
    assert request.passes_standard_webhooks(made["secret"])


async def test_odd_texts_arrive_unharmed_and_signed_in_both_formats(chat, endpoints, receiver):
    form, as_json = endpoints.makes(Events="onMessageSent"), endpoints.makes(Events="onMessageSent", Format="json")
    chat.channel("general")
    body = "🙂 ü\r\n\t\u2028 100 % + & = \\ \" ' <b> \u202e" + "x" * 20_000
    attributes = '{"nul": "\\u0000", "ü": ["\\ud83d\\ude42", 1e400]}'
    chat.service.channels("general").messages.create(body=body, attributes=attributes)
    [of_form] = await receiver.gets("onMessageSent")
    [of_json] = await eventually(lambda: receiver.told("messageAdded"), because="the message is told")
    assert (of_form["Body"], of_form["Attributes"]) == (body, attributes)
    assert (of_json.json["message"]["body"], of_json.json["message"]["attributes"]) == (body, attributes)
    for request, endpoint in ((of_form, form), (of_json, as_json)):
        assert request.is_signed_for_twilio(chat.cluster.auth_token)
        assert request.passes_standard_webhooks(endpoint["secret"])


async def test_only_what_is_subscribed_to_is_told(chat, endpoints, receiver):
    endpoints.makes(at="/a", Events="onMessageSent")
    endpoints.makes(at="/b", Events=["onMemberAdded", "onMessageSend"])
    endpoints.makes(at="/c", Status="disabled")
    chat.channel("general", "alice")
    chat.service.channels("general").messages.create(body="x")
    await receiver.gets("onMessageSent")
    await receiver.gets("onMemberAdded")
    told = {(urllib.parse.urlsplit(request.url).path, request["EventType"]) for request in receiver.requests}
    assert told == {("/hook/a", "onMessageSent"), ("/hook/b", "onMemberAdded")}


async def test_own_headers_go_along_with_every_call(chat, endpoints, receiver):
    endpoints.makes(Headers='{"Authorization": "Bearer abc", "X-Tenant": "7"}', Events="onChannelAdded")
    chat.channel("general")
    [request] = await receiver.gets("onChannelAdded")
    assert (request.headers["authorization"], request.headers["x-tenant"]) == ("Bearer abc", "7")


async def test_a_rotated_secret_signs_beside_the_old_one(chat, endpoints, receiver):
    made = endpoints.makes(Events="onChannelAdded")
    rotated = endpoints.sets(made, RotateSecret="true")
    assert rotated["secret"].startswith("whsec_") and rotated["secret"] != made["secret"]
    assert rotated["previous_secret_until"]
    chat.channel("general")
    [request] = await receiver.gets("onChannelAdded")
    assert request.passes_standard_webhooks(rotated["secret"])
    assert request.passes_standard_webhooks(made["secret"])
    assert len(request.headers["webhook-signature"].split(" ")) == 2
    service_secret = chat.rest.get(chat.path).json()["webhook_secret"]
    assert not request.passes_standard_webhooks(service_secret), "each endpoint has a secret of its own"


async def test_an_endpoint_may_ask_for_ed25519(chat, endpoints, receiver):
    made = endpoints.makes(Signing="ed25519", Events="onChannelAdded", Format="json")
    assert made["secret"] is None and made["public_key"].startswith("whpk_")
    assert endpoints.shows(made)["public_key"] == made["public_key"]
    chat.channel("one")
    [request] = await eventually(lambda: receiver.told("channelAdded"), because="the channel is told")
    assert request.is_signed_by(made["public_key"])
    assert request.is_signed_for_twilio(chat.cluster.auth_token)
    changed = endpoints.sets(made, Signing="hmac-sha256")
    assert changed["secret"].startswith("whsec_") and changed["public_key"] is None
    chat.channel("two")
    [_, request] = await eventually(
        lambda: (told := receiver.told("channelAdded")) and len(told) == 2 and told, because="the second is told"
    )
    assert request.is_signed_by(made["public_key"]), "the old key signs on for a day"
    assert request.passes_standard_webhooks(changed["secret"])


async def test_while_an_endpoint_is_paused_its_events_wait(chat, endpoints, receiver):
    made = endpoints.makes(Events="onMessageSent", Status="paused")
    endpoints.makes(at="/other", Events="onMessageSent", Format="json")
    chat.channel("general")
    for number in range(3):
        chat.service.channels("general").messages.create(body=str(number))
    await eventually(lambda: len(receiver.told("messageAdded")) == 3, because="the other endpoint hears of it")
    assert receiver.of("onMessageSent") == []
    assert len(await ledger(chat, Status="pending")) == 3
    endpoints.sets(made, Status="enabled")
    requests = await receiver.gets("onMessageSent", count=3)
    assert [request["Body"] for request in requests] == ["0", "1", "2"]


async def test_a_disabled_endpoint_gives_up_what_waits_and_a_deleted_one_cancels_it(chat, endpoints, receiver):
    chat.channel("general")
    endings = {"dead": lambda made: endpoints.sets(made, Status="disabled")}
    endings["cancelled"] = lambda made: chat.rest.delete(f"{endpoints.path}/{made['sid']}")
    for status, ends in endings.items():
        made = endpoints.makes(Events="onMessageSent", Status="paused")
        chat.service.channels("general").messages.create(body=status)
        [waiting] = await ledger(chat, Status="pending")
        ends(made)
        assert await ledger(chat, Status="pending") == []
        [ended] = await ledger(chat, Status=status)
        assert (ended["sid"], ended["attempts"], ended["next_attempt_at"]) == (waiting["sid"], 0, None)
    assert receiver.requests == []


async def test_a_new_url_holds_for_what_waits(chat, endpoints, receiver):
    made = endpoints.makes(at="/old", Events="onMessageSent", Status="paused")
    chat.channel("general")
    chat.service.channels("general").messages.create(body="x")
    endpoints.sets(made, Url=f"{receiver.url}/new", Status="enabled")
    [request] = await receiver.gets("onMessageSent")
    assert urllib.parse.urlsplit(request.url).path == "/hook/new"


# --- trying one out


async def test_a_trial_sends_a_sample_and_answers_with_what_came_back(chat, endpoints, receiver):
    made = endpoints.makes(Headers='{"X-Own": "1"}')
    tried = chat.rest.post(f"{endpoints.path}/{made['sid']}/Test")
    assert tried.status_code == 200, tried.text
    outcome = tried.json()
    [request] = receiver.requests
    assert outcome == {
        "webhook_id": request.headers["webhook-id"],
        "status": 200,
        "duration_ms": outcome["duration_ms"],
        "response_start": "",
        "error": None,
    }
    assert (request["EventType"], request["Attributes"], request["RetryCount"]) == (
        "onMessageSent",
        '{"sample":true}',
        "0",
    )
    assert request.headers["x-own"] == "1"
    assert request.is_signed_for_twilio(chat.cluster.auth_token)
    assert request.passes_standard_webhooks(made["secret"])
    assert await ledger(chat) == []


async def test_a_trial_tells_of_refusals_and_of_nobody_there(chat, endpoints, receiver):
    made = endpoints.makes(Format="json", Status="paused", TimeoutMs="300")
    path = f"{endpoints.path}/{made['sid']}"
    receiver.answers(500)
    refused = chat.rest.post(f"{path}/Test").json()
    assert (refused["status"], refused["error"]) == (500, "answered with status 500")
    assert receiver.told("messageAdded")[0].passes_standard_webhooks(made["secret"])
    endpoints.sets(made, Url="http://127.0.0.1:9/nobody")
    nobody = chat.rest.post(f"{path}/Test").json()
    assert nobody["status"] is None and nobody["response_start"] is None and nobody["error"]
    alice = chat.bearer("alice")
    error_of(alice.post(f"{path}/Test"), 403, 20006)
    alice.close()
