"""What backends ask of campaigns: what goes together, how they change status, and what is told of their recipients."""

import csv
import io
import json
import time

import pytest

from harness.rest import error_of
from harness.waiting import eventually

# The databases differ; how the roles are spread over processes makes no difference to these answers.
pytestmark = pytest.mark.topologies("embedded", "cluster")

NOBODY = "0" * 32
COUNTS = ("pending", "sent", "delivered", "read", "replied", "failed", "skipped")


def given(**form):
    return {"Mode": "individual", "Identities": '["alice", "bob"]', "Body": "Hello {{user.identity}}", **form}


def slowly(count=40, **form):
    """One that is still at it when the test looks."""
    identities = json.dumps([f"user {number:03}" for number in range(count)])
    return given(Identities=identities, RatePerSecond="1", **form)


class Backend:
    def __init__(self, chat):
        self.rest, self.path = chat.rest, chat.path

    def makes(self, collection="Campaigns", **form):
        answer = self.rest.post(f"{self.path}/{collection}", form)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def refused(self, status, code, at="Campaigns", **form):
        return error_of(self.rest.post(f"{self.path}/{at}", form), status, code)

    def changes(self, campaign, **form):
        answer = self.rest.post(f"{self.path}/Campaigns/{campaign['sid']}", form)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def change_refused(self, campaign, status, code, **form):
        return self.refused(status, code, f"Campaigns/{campaign['sid']}", **form)

    def reads(self, path, **query):
        answer = self.rest.get(f"{self.path}/{path}", **query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def fetches(self, campaign):
        found = self.reads(f"Campaigns/{campaign['sid']}")
        assert found["counts"]["total"] == sum(found["counts"][name] for name in COUNTS), found["counts"]
        return found


@pytest.fixture
def backend(chat):
    return Backend(chat)


def test_a_draft_has_all_that_it_was_given(chat, backend):
    pool = backend.makes("OperatorPools", FriendlyName="desk", Identities='["olga"]')
    form = given(
        FriendlyName="spring",
        ChannelUniqueName="support:{{user.identity}}",
        From="shop",
        Attributes='{"campaign": "{{user.friendly_name|nobody}}", "n": 1}',
        SendAt="2999-01-01T00:00:00Z",
        RatePerSecond="50",
        QuietHours='{"start": "21:00", "end": "08:00", "time_zone": "Europe/Berlin"}',
        DryRun="true",
        AttachPool=pool["sid"],
    )
    made = backend.makes(**form)
    assert made["sid"].startswith("CP") and made["status"] == "draft"
    assert made["counts"] == dict.fromkeys(("total", *COUNTS), 0)
    assert made["rates"] == {"delivered": None, "read": None, "replied": None}
    shown = {
        "friendly_name": "spring",
        "mode": "individual",
        "via": "chat",
        "audience_sid": None,
        "identities_count": 2,
        "channel_unique_name": "support:{{user.identity}}",
        "from": "shop",
        "body": "Hello {{user.identity}}",
        "attributes": '{"campaign": "{{user.friendly_name|nobody}}", "n": 1}',
        "send_at": "2999-01-01T00:00:00Z",
        "rate_per_second": 50,
        "dry_run": True,
        "attach_pool": pool["sid"],
        "error": None,
        "date_started": None,
        "date_completed": None,
    }
    assert {name: made[name] for name in shown} == shown
    assert json.loads(made["quiet_hours"])["time_zone"] == "Europe/Berlin"
    own = f"{chat.path}/Campaigns/{made['sid']}"
    assert made["url"].endswith(own)
    assert {name: url.split(own)[1] for name, url in made["links"].items()} == {
        "recipients": "/Recipients",
        "export": "/Export",
    }
    assert backend.fetches(made) == made
    cleared = backend.changes(
        made, SendAt="", RatePerSecond="", QuietHours="", AttachPool="", From="", ChannelUniqueName="", FriendlyName=""
    )
    for name in ("send_at", "rate_per_second", "quiet_hours", "attach_pool", "from", "channel_unique_name"):
        assert cleared[name] is None, name
    as_json = chat.rest.post(
        f"{chat.path}/Campaigns", json={"Mode": "group", "Identities": ["a"], "Body": "x", "RatePerSecond": 7}
    ).json()
    assert (as_json["mode"], as_json["rate_per_second"], as_json["identities_count"]) == ("group", 7, 1)


def test_what_does_not_go_together_is_named(chat, backend):
    audience = backend.makes("Audiences", Identities='["alice"]')["sid"]
    for form, names in [
        ({"Mode": ""}, "Mode"),
        ({"Mode": "all"}, "Mode"),
        ({"Via": "fax"}, "Via"),
        ({"Via": "sms"}, "Via"),
        ({"Mode": "group", "Via": "email", "Subject": "x"}, "Via"),
        ({"Body": ""}, "Body"),
        ({"Body": "Dear {{name}}"}, "Body at character 6"),
        ({"Body": "Dear {{user.identity"}, "character 6"),
        ({"Attributes": '{"a": "{{user.x}}"}'}, "Attributes"),
        ({"ChannelUniqueName": "{{user.attributes.}}"}, "ChannelUniqueName"),
        ({"Identities": ""}, "Identities"),
        ({"AudienceSid": audience}, "AudienceSid"),
        ({"Identities": json.dumps([f"u{n}" for n in range(10_001)])}, "Upload"),
        ({"Mode": "group"}, "Body"),
        ({"Mode": "broadcast", "Body": "x", "ChannelUniqueName": "{{user.identity}}"}, "ChannelUniqueName"),
        ({"Mode": "broadcast", "Via": "email"}, "Subject"),
        ({"Mode": "broadcast", "Via": "sms", "Subject": "x"}, "Subject"),
        ({"Mode": "broadcast", "Via": "sms", "ChannelUniqueName": "x"}, "ChannelUniqueName"),
        ({"Mode": "broadcast", "Body": "x", "AttachPool": "OP" + NOBODY}, "AttachPool"),
        ({"AttachPool": "OP" + NOBODY}, "AttachPool"),
        ({"AttachPool": "desk"}, "AttachPool"),
        ({"RatePerSecond": "0"}, "RatePerSecond"),
        ({"RatePerSecond": "10001"}, "RatePerSecond"),
        ({"RatePerSecond": "fast"}, "RatePerSecond"),
        ({"SendAt": "2020-01-01T00:00:00Z"}, "SendAt"),
        ({"SendAt": "tomorrow"}, "SendAt"),
        ({"QuietHours": "night"}, "QuietHours"),
        ({"QuietHours": '{"start": "21:00", "end": "25:00"}'}, "QuietHours"),
        ({"QuietHours": '{"start": "21:00", "end": "08:00", "time_zone": "Mars/Base"}'}, "QuietHours"),
        ({"DryRun": "maybe"}, "DryRun"),
        ({"MediaSid": "ME" + NOBODY}, "MediaSid"),
    ]:
        answer = chat.rest.post(f"{chat.path}/Campaigns", given(**form))
        assert answer.status_code == 400 and names in answer.json()["message"], f"{form}: {answer.text}"
    assert "Mode" in backend.refused(400, 20001, Identities='["a"]', Body="x")
    unknown = {"Mode": "individual", "Body": "x", "AudienceSid": "AU" + NOBODY}
    assert "AudienceSid" in backend.refused(404, 20404, **unknown)
    backend.refused(400, 50504, **given(Body="x" * 32_769))
    backend.refused(400, 50304, **given(Attributes="{"))
    backend.refused(400, 50003, **given(FriendlyName="x" * 257))
    assert backend.reads("Campaigns")["campaigns"] == []


def test_edits_end_where_a_campaign_begins(chat, backend):
    made = backend.makes(**given())
    audience = backend.makes("Audiences", Identities='["alice"]')["sid"]
    changed = backend.changes(made, Body="Bye", AudienceSid=audience)
    assert (changed["body"], changed["audience_sid"], changed["identities_count"]) == ("Bye", audience, None)
    backend.change_refused(made, 400, 20001, Mode="group", Body="{{user.identity}}")
    assert backend.fetches(made)["mode"] == "individual", "nothing of what was refused is kept"
    message = error_of(chat.rest.delete(f"{chat.path}/Audiences/{audience}"), 409, 20409)
    assert made["sid"] in message
    backend.changes(made, Status="cancelled")
    assert chat.rest.delete(f"{chat.path}/Audiences/{audience}").status_code == 204
    assert "cancelled" in backend.change_refused(made, 409, 20409, Body="again")
    assert chat.rest.delete(f"{chat.path}/Campaigns/{made['sid']}").status_code == 204
    error_of(chat.rest.get(f"{chat.path}/Campaigns/{made['sid']}"), 404, 20404)


def test_a_change_of_status_that_cannot_be_is_named(chat, backend):
    draft = backend.makes(**given())
    assert "draft" in backend.change_refused(draft, 409, 20409, Status="paused")
    backend.change_refused(draft, 400, 20001, Status="completed")

    running = backend.makes(**slowly())
    started = backend.changes(running, Status="running")
    assert started["status"] == "running" and started["date_started"]
    assert backend.changes(running, Status="running")["status"] == "running", "a repeat is no error"
    assert "running" in backend.change_refused(running, 409, 20409, Body="x")
    error_of(chat.rest.delete(f"{chat.path}/Campaigns/{running['sid']}"), 409, 20409)
    assert backend.changes(running, Status="paused")["status"] == "paused"
    assert backend.changes(running, Status="paused")["status"] == "paused"
    assert backend.changes(running, Status="running")["status"] == "running"
    ended = backend.changes(running, Status="cancelled")
    assert ended["status"] == "cancelled" and ended["date_completed"] and ended["counts"]["pending"] == 0
    assert backend.changes(running, Status="cancelled")["status"] == "cancelled"
    message = backend.change_refused(running, 409, 20409, Status="running")
    assert "running" in message and "cancelled" in message

    scheduled = backend.makes(**given(SendAt="2999-01-01T00:00:00Z"))
    waits = backend.changes(scheduled, Status="running")
    assert (waits["status"], waits["date_started"]) == ("scheduled", None)
    assert backend.changes(scheduled, Status="running")["status"] == "scheduled"
    assert backend.changes(scheduled, Body="Edited", SendAt="2998-01-01T00:00:00Z")["body"] == "Edited"
    assert "SendAt" in backend.change_refused(scheduled, 400, 20001, SendAt="")
    assert "scheduled" in backend.change_refused(scheduled, 409, 20409, Status="paused")
    assert backend.changes(scheduled, Status="cancelled")["status"] == "cancelled"


def test_a_campaign_that_cannot_be_sent_does_not_start(chat, backend):
    chat.service.users.create(identity="alice", attributes='{"name": "Alice"}')
    chat.service.users.create(identity="bob", friendly_name="Bob")

    def does_not_start(names, status=400, code=20001, **form):
        campaign = backend.makes(**given(**form))
        message = backend.change_refused(campaign, status, code, Status="running")
        assert all(name in message for name in names), message
        assert backend.fetches(campaign)["status"] == "draft"

    does_not_start(["Body", "user.attributes.name", "'bob'"], Body="Dear {{user.attributes.name}}")
    does_not_start(["ChannelUniqueName", "user.friendly_name", "'alice'"], ChannelUniqueName="{{user.friendly_name}}")
    does_not_start(["Attributes", "user.attributes.x.y"], Attributes='["{{user.attributes.x.y}}"]')
    does_not_start(["ChannelUniqueName"], ChannelUniqueName="{{user.attributes.name|}}")
    does_not_start(["Via", "Providers/sms"], Mode="broadcast", Via="sms", Body="x")
    empty = backend.makes("Audiences", Filter='{"identity": "nobody"}')["sid"]
    campaign = backend.makes(Mode="individual", Body="x", AudienceSid=empty)
    assert "empty" in backend.change_refused(campaign, 400, 20001, Status="running")
    assert "Body" in backend.refused(
        400, 20001, "Broadcasts", Identities='["bob"]', Body="Dear {{user.attributes.name}}"
    )
    assert backend.reads("Broadcasts")["broadcasts"] == []


def test_lists_are_by_kind_and_status(chat, backend):
    drafts = [backend.makes(**given(FriendlyName=str(number)))["sid"] for number in range(3)]
    backend.changes({"sid": drafts[1]}, Status="cancelled")
    broadcast = backend.makes("Broadcasts", Identities='["alice"]', Body="x", DryRun="true")
    assert broadcast["url"].endswith(f"{chat.path}/Broadcasts/{broadcast['sid']}")
    assert (broadcast["mode"], broadcast["status"], broadcast["identities_count"]) == ("individual", "running", 1)

    def listed(collection="Campaigns", **query):
        return [entry["sid"] for entry in backend.reads(collection, **query)[collection.lower()]]

    assert listed() == drafts
    assert listed(Status="draft") == [drafts[0], drafts[2]]
    assert listed(Status="cancelled") == [drafts[1]]
    assert listed("Broadcasts") == [broadcast["sid"]]
    page = backend.reads("Campaigns", PageSize=2)
    assert [entry["sid"] for entry in page["campaigns"]] == drafts[:2]
    behind = chat.rest.http.get(page["meta"]["next_page_url"]).json()
    assert [entry["sid"] for entry in behind["campaigns"]] == drafts[2:]
    error_of(chat.rest.get(f"{chat.path}/Campaigns", Status="done"), 400, 20001)
    error_of(chat.rest.get(f"{chat.path}/Broadcasts/{drafts[0]}"), 404, 20404)
    assert backend.reads(f"Campaigns/{broadcast['sid']}")["sid"] == broadcast["sid"]
    assert chat.rest.get(broadcast["links"]["recipients"].split(chat.cluster.api)[-1]).status_code == 200
    bearer = chat.bearer("alice")
    error_of(bearer.get(f"{chat.path}/Campaigns"), 403, 20006)
    error_of(bearer.post(f"{chat.path}/Broadcasts", {"Identities": '["a"]', "Body": "x"}), 403, 20006)
    bearer.close()


async def test_a_dry_run_skips_everybody_and_says_so_of_each(chat, backend):
    identities = [f"user {number:03}" for number in range(120)] + ["=1+1", "+491701234567", 'a "b", c']
    campaign = backend.makes(**given(Identities=json.dumps(identities), DryRun="true"))
    backend.changes(campaign, Status="running")
    done = await eventually(
        lambda: (now := backend.fetches(campaign))["status"] == "completed" and now, 30, "it is completed"
    )
    assert done["counts"] == {**dict.fromkeys(COUNTS, 0), "total": 123, "skipped": 123}
    page = backend.reads(f"Campaigns/{campaign['sid']}/Recipients", PageSize=50)
    found = page["recipients"]
    while page["meta"]["next_page_url"]:
        page = chat.rest.http.get(page["meta"]["next_page_url"]).json()
        found += page["recipients"]
    assert sorted(recipient["identity"] for recipient in found) == sorted(identities)
    assert {recipient["status"] for recipient in found} == {"skipped"}
    assert all(recipient["channel_sid"] is None and recipient["message_sid"] is None for recipient in found)
    of_status = backend.reads(f"Campaigns/{campaign['sid']}/Recipients", Status="skipped", PageSize=1000)
    assert len(of_status["recipients"]) == 123
    assert backend.reads(f"Campaigns/{campaign['sid']}/Recipients", Status="sent")["recipients"] == []
    error_of(chat.rest.get(f"{chat.path}/Campaigns/{campaign['sid']}/Recipients", Status="x"), 400, 20001)

    exported = chat.rest.get(f"{chat.path}/Campaigns/{campaign['sid']}/Export")
    assert exported.headers["content-type"] == "text/csv; charset=utf-8"
    assert campaign["sid"] in exported.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(exported.text, newline="")))
    assert list(rows[0]) == ["identity", "status", "channel_sid", "message_sid", "error", "date_updated"]
    named = {row["identity"] for row in rows}
    assert {"'=1+1", "+491701234567", 'a "b", c', "user 119"} <= named and len(rows) == 123
    assert {row["status"] for row in rows} == {"skipped"}


async def test_nothing_is_sent_after_a_pause_or_the_end_is_answered(chat, backend):
    campaign = backend.makes(**slowly(ChannelUniqueName="to {{user.identity}}"))
    backend.changes(campaign, Status="running")
    await eventually(
        lambda: (now := backend.fetches(campaign)["counts"])["sent"] >= 1 and now["total"] == 40, 20, "it has begun"
    )
    paused = backend.changes(campaign, Status="paused")["counts"]
    ready = time.monotonic() + 2.5
    await eventually(lambda: time.monotonic() > ready, because="time has passed")
    assert backend.fetches(campaign)["counts"] == paused
    backend.changes(campaign, Status="running")
    await eventually(lambda: backend.fetches(campaign)["counts"]["sent"] > paused["sent"], 20, "it goes on")
    ended = backend.changes(campaign, Status="cancelled")["counts"]
    assert ended["pending"] == 0 and ended["skipped"] == 40 - ended["sent"] - ended["failed"]
    skipped = backend.reads(f"Campaigns/{campaign['sid']}/Recipients", Status="skipped", PageSize=1000)["recipients"]
    assert len(skipped) == ended["skipped"]
    ready = time.monotonic() + 2.5
    await eventually(lambda: time.monotonic() > ready, because="time has passed")
    assert backend.fetches(campaign)["counts"] == ended
    channels = chat.service.channels.list(type=["public", "private"], limit=1000, page_size=100)
    assert len(channels) == ended["sent"], "one for each who was sent to, and no other"


def test_a_repeat_with_its_key_makes_no_second_one(chat, backend):
    form = {"Identities": '["alice"]', "Body": "x", "DryRun": "true"}
    answers = [chat.rest.post(f"{chat.path}/Broadcasts", form, idempotency_key="once").json() for _ in range(2)]
    assert answers[1] == {**answers[0], "replayed": True}
    assert len(backend.reads("Broadcasts")["broadcasts"]) == 1
    again = chat.rest.post(f"{chat.path}/Broadcasts", {**form, "Body": "y"}, idempotency_key="once")
    error_of(again, 409, 20409)
