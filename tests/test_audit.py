"""The audit log of what backends change, and the ids of requests."""

import concurrent.futures
import re
import time

import pytest

from harness.cluster import running
from harness.rest import Rest, error_of
from harness.waiting import eventually

REQUEST_ID = re.compile(r"^RQ[0-9a-f]{32}$")


def entries(chat, **filters):
    """Newest first, over all pages."""
    answer = chat.rest.get(f"{chat.path}/AuditEvents", **filters)
    found = []
    while True:
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page["audit_events"]
        if not page["meta"]["next_page_url"]:
            return found
        answer = chat.rest.http.get(page["meta"]["next_page_url"])


def test_a_change_says_who_made_it_by_which_request(chat):
    keyed = Rest(chat.cluster.api, (chat.key.sid, chat.key.secret))
    made = keyed.post(f"{chat.path}/Channels", {"UniqueName": "general", "FriendlyName": "old"})
    changed = chat.rest.post(f"{chat.path}/Channels/general", {"FriendlyName": "new"})
    gone = chat.rest.delete(f"{chat.path}/Channels/general")
    assert gone.status_code == 204
    sid = made.json()["sid"]
    delete, update, create = entries(chat, ResourceSid=sid)
    assert [entry["action"] for entry in (create, update, delete)] == [
        "channel.create",
        "channel.update",
        "channel.delete",
    ]
    assert create["actor"] == {"type": "api_key", "sid": chat.key.sid}
    assert update["actor"] == delete["actor"] == {"type": "account", "sid": chat.cluster.account_sid}
    for entry, answer in ((create, made), (update, changed), (delete, gone)):
        assert entry["request_id"] == answer.headers["twilio-request-id"]
        assert REQUEST_ID.match(entry["request_id"])
        assert (entry["account_sid"], entry["service_sid"]) == (chat.cluster.account_sid, chat.sid)
        assert chat.rest.http.get(entry["url"]).json() == entry
    assert create["before"] is None and delete["after"] is None
    assert (update["before"]["friendly_name"], update["after"]["friendly_name"]) == ("old", "new")
    assert delete["before"] == update["after"]
    shown = {name: value for name, value in made.json().items() if name not in ("url", "links")}
    assert create["after"] == shown, "the REST JSON, without addresses"
    assert {entry["sid"] for entry in entries(chat, ActorSid=chat.key.sid)} == {create["sid"]}
    keyed.close()


async def test_what_users_do_is_not_in_it(chat):
    chat.channel("general", "alice")
    before = entries(chat)
    alice = await chat.person("alice")
    sent = await alice.sends("general", "by socket")
    await alice.asks("updateMessage", channel="general", message=sent["sid"], body="edited")
    bearer = chat.bearer("alice")
    assert bearer.post(f"{chat.path}/Channels/general/Messages", {"Body": "by REST"}).status_code == 201
    error_of(bearer.get(f"{chat.path}/AuditEvents"), 403, 20006)
    bearer.close()
    assert entries(chat) == before
    by_backend = chat.service.channels("general").messages.create(body="by the backend")
    [entry, *rest] = entries(chat)
    assert (entry["action"], entry["resource_sid"]) == ("message.create", by_backend.sid)
    assert rest == before


def test_every_one_of_many_sends_at_once_has_its_entry(chat):
    chat.channel("general")

    def send(number):
        return chat.rest.post(f"{chat.path}/Channels/general/Messages", {"Body": str(number)})

    with concurrent.futures.ThreadPoolExecutor(16) as senders:
        sent = list(senders.map(send, range(120)))
    requests = {answer.json()["sid"]: answer.headers["twilio-request-id"] for answer in sent}
    found = entries(chat, Action="message.create", PageSize=50)
    assert {entry["resource_sid"]: entry["request_id"] for entry in found} == requests
    assert len(found) == 120
    assert [entry["sid"] for entry in found] == sorted((entry["sid"] for entry in found), reverse=True)


def test_a_refused_change_has_no_entry(chat):
    chat.channel("general")
    before = entries(chat)
    error_of(chat.rest.post(f"{chat.path}/Channels", {"UniqueName": "general"}), 409, 50307)
    error_of(chat.rest.post(f"{chat.path}/Channels/general/Messages", {"Body": "x" * 40_000}), 400, 50504)
    assert entries(chat) == before


def test_the_accounts_log_has_what_belongs_to_no_service(chat):
    made = chat.rest.post(f"/2010-04-01/Accounts/{chat.cluster.account_sid}/Keys.json", {"FriendlyName": "seen"})
    key = made.json()
    [entry] = chat.rest.get("/v2/AuditEvents", ResourceSid=key["sid"]).json()["audit_events"]
    assert (entry["action"], entry["service_sid"]) == ("key.create", None)
    assert entry["after"]["friendly_name"] == "seen" and key["secret"] not in str(entry)
    [service] = chat.rest.get("/v2/AuditEvents", ResourceSid=chat.sid).json()["audit_events"]
    assert service["action"] == "service.create"
    assert "webhook_secret" not in service["after"]
    error_of(chat.rest.get("/v2/AuditEvents/AE" + "0" * 32), 404, 20404)


async def test_old_entries_are_forgotten(tmp_path):
    with running("embedded", tmp_path) as cluster:
        rest = Rest(cluster.api, (cluster.account_sid, cluster.auth_token))
        rest.post("/v2/Services", {"FriendlyName": "x"})
        assert len(rest.get("/v2/AuditEvents").json()["audit_events"]) == 1
        written = time.time()
        await eventually(lambda: time.time() > written + 1, because="it is older than what is kept")
        [node] = cluster.nodes
        assert node.stop() == 0
        node.settings["HUBBUB_AUDIT_RETENTION"] = "1s"
        node.start().wait_ready()
        await eventually(
            lambda: rest.get("/v2/AuditEvents").json()["audit_events"] == [], because="what is old is swept"
        )
        rest.close()


@pytest.mark.topologies("embedded")
def test_a_clients_own_request_id_comes_back_beside_ours(chat):
    answer = chat.rest.http.get(chat.path, headers={"X-Request-Id": "order 4711/α".replace("α", "a")})
    assert answer.headers["x-request-id"] == "order 4711/a"
    assert REQUEST_ID.match(answer.headers["twilio-request-id"])
    for unfit in ("x" * 129, "tab\tbed"):
        answer = chat.rest.http.get(chat.path, headers={"X-Request-Id": unfit})
        assert answer.status_code == 200 and "x-request-id" not in answer.headers
    assert "x-request-id" not in chat.rest.get(chat.path).headers


def test_the_log_has_the_ids_in_every_line_of_a_request(tmp_path):
    with running("embedded", tmp_path, HUBBUB_LOG="info,hubbub_api=debug") as cluster:
        rest = Rest(cluster.api, (cluster.account_sid, cluster.auth_token))
        answer = rest.http.get("/v2/Services/IS" + "0" * 32, headers={"X-Request-Id": "mine"})
        assert answer.status_code == 404
        rest.close()
        own = answer.headers["twilio-request-id"]
        lines = [line for line in cluster.nodes[0].log_tail(200).splitlines() if own in line]
        assert any("answered 404" in line for line in lines), lines
        assert any("refused" in line for line in lines), lines
        assert all("mine" in line for line in lines), lines
