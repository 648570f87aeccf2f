"""Audiences: filters over users and uploaded lists, what they come to, and what is told of rows that are wrong."""

import io
import json
import time

import pytest

from harness.rest import Rest, error_of
from harness.waiting import eventually

# The databases differ; how the roles are spread over processes makes no difference to these answers.
pytestmark = pytest.mark.topologies("embedded", "cluster")


def made(chat, **form):
    answer = chat.rest.post(f"{chat.path}/Audiences", form)
    assert answer.status_code == 201, answer.text
    return answer.json()


def uploaded(chat, audience, content, kind="text/csv", **headers):
    path = f"{chat.path}/Audiences/{audience['sid']}/Upload"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = chat.rest.http.post(path, content=content, headers={"content-type": kind, **named})
    assert answer.status_code == 200, answer.text
    return answer.json()


def preview(chat, audience):
    answer = chat.rest.get(f"{chat.path}/Audiences/{audience['sid']}/Preview")
    assert answer.status_code == 200, answer.text
    return answer.json()


def attributes_of(chat, identity):
    return json.loads(chat.rest.get(f"{chat.path}/Users/{identity}").json()["attributes"])


def lines_of(report):
    assert report["rejected_count"] == len(report["rejected"])
    return {rejected["line"]: rejected["message"] for rejected in report["rejected"]}


def test_a_list_is_made_read_changed_and_deleted(chat):
    audience = made(chat, FriendlyName="some", Identities=json.dumps(["bob", "alice", "bob"]))
    assert (audience["friendly_name"], audience["filter"], audience["members_count"]) == ("some", None, 2)
    path = f"{chat.path}/Audiences/{audience['sid']}"
    assert audience["url"].endswith(path) and audience["sid"].startswith("AU")
    assert chat.rest.get(path).json() == audience
    other = made(chat, FriendlyName="other")
    assert other["members_count"] == 0
    listed = chat.rest.get(f"{chat.path}/Audiences").json()["audiences"]
    assert [entry["sid"] for entry in listed] == [audience["sid"], other["sid"]]
    changed = chat.rest.post(path, json={"FriendlyName": "", "Identities": ["carla"]}).json()
    assert (changed["friendly_name"], changed["members_count"]) == (None, 1)
    sample = preview(chat, audience)
    assert sample == {
        "count": 1,
        "sample": [{"sid": None, "identity": "carla", "friendly_name": None, "attributes": None}],
    }
    error_of(chat.rest.post(path, {"Filter": "{}"}), 400, 20001)
    assert chat.rest.delete(path).status_code == 204
    error_of(chat.rest.get(path), 404, 20404)
    error_of(chat.rest.get(f"{path}/Preview"), 404, 20404)


def test_a_filter_has_whom_it_means_at_the_time(chat):
    for number in range(25):
        city = "Lyon" if number % 2 else "Rome"
        chat.service.users.create(
            identity=f"user {number:02}", friendly_name=f"U{number}", attributes=json.dumps({"city": city, "n": number})
        )
    audience = made(chat, Filter=json.dumps({"attributes.city": "Lyon"}))
    assert (audience["members_count"], audience["filter"]) == (None, '{"attributes.city": "Lyon"}')
    found = preview(chat, audience)
    assert found["count"] == 12
    assert [user["identity"] for user in found["sample"]] == [f"user {number:02}" for number in range(1, 21, 2)]
    first = found["sample"][0]
    assert first["friendly_name"] == "U1" and json.loads(first["attributes"]) == {"city": "Lyon", "n": 1}
    assert first["sid"] == chat.rest.get(f"{chat.path}/Users/user 01").json()["sid"]
    path = f"{chat.path}/Audiences/{audience['sid']}"
    for wanted, count in [
        ({"attributes.n": {"$gte": 20}}, 5),
        ({"$not": {"attributes.city": "Lyon"}}, 13),
        ({"attributes.city": {"$ne": "Lyon"}}, 13),
        ({"$or": [{"attributes.n": 3}, {"identity": "user 04"}]}, 2),
        ({"identity": {"$prefix": "user 1"}}, 10),
        ({"attributes.city": "Lyon", "attributes.n": {"$lt": 10}}, 5),
        ({"attributes.city": "Paris"}, 0),
        ({}, 25),
    ]:
        assert chat.rest.post(path, {"Filter": json.dumps(wanted)}).status_code == 200
        assert preview(chat, audience)["count"] == count, wanted
    error_of(chat.rest.post(path, {"Identities": '["a"]'}), 400, 20001)
    error_of(chat.rest.post(path, {"Filter": "{"}), 400, 20001)


async def test_the_same_is_counted_with_and_without_indexes(chat):
    tiers = ["gold", "silver", None, 7, ["gold", "x"]]
    for number in range(40):
        attributes = {"tier": tiers[number % 5], "n": number}
        chat.service.users.create(identity=f"user {number:02}", attributes=json.dumps(attributes))
    filters = [
        {"attributes.tier": "gold"},
        {"attributes.tier": {"$ne": "gold"}},
        {"attributes.tier": {"$exists": False}},
        {"attributes.tier": {"$contains": "gold"}},
        {"attributes.tier": "gold", "attributes.n": {"$gt": 20}},
        {"$or": [{"attributes.tier": "gold"}, {"attributes.n": {"$lt": 3}}]},
        {"attributes.tier": {"$in": ["gold", 7]}, "identity": {"$prefix": "user 1"}},
        {"$not": {"$and": [{"attributes.tier": "gold"}, {"attributes.n": {"$lt": 30}}]}},
    ]
    audiences = [made(chat, Filter=json.dumps(wanted)) for wanted in filters]
    before = [preview(chat, audience) for audience in audiences]
    for path, kind in (("tier", "string"), ("n", "number")):
        form = {"Resource": "users", "Path": path, "Type": kind}
        index = chat.rest.post(f"{chat.path}/AttributeIndexes", form).json()
        await eventually(
            lambda sid=index["sid"]: chat.rest.get(f"{chat.path}/AttributeIndexes/{sid}").json()["status"] == "ready",
            because="the index is ready",
        )
        assert [preview(chat, audience) for audience in audiences] == before, path
    assert [found["count"] for found in before] == [8, 32, 8, 8, 3, 10, 4, 34]
    chat.service.users("user 00").delete()
    assert preview(chat, audiences[0])["count"] == 7


def test_a_csv_makes_users_merges_attributes_and_tells_of_bad_rows(chat):
    chat.service.users.create(identity="alice", attributes='{"city": "Rome", "kept": [1], "address": {"zip": "1"}}')
    chat.service.users.create(identity="odd", attributes="[1]")
    audience = made(chat, FriendlyName="uploaded")
    content = (
        "\ufeffcity,identity,address.street\r\n"
        'Lyon,alice,"1, rue ""X""\r\nat the back"\r\n'
        ",bob,\r\n"
        "Paris,,\r\n"
        "Paris,system,\r\n"
        "too,few\r\n"
        "\r\n"
        "Bonn,odd,\r\n"
        f"{'x' * 5000},carla,\r\n"
        "Nice,bob,Main\r\n"
        f"Oslo,{'y' * 257},\r\n"
        "Last,zoé,"
    )
    report = uploaded(chat, audience, content.encode())
    assert report["accepted"] == 4
    told = lines_of(report)
    assert list(told) == [5, 6, 7, 9, 10, 12], report
    assert "Identity is missing" in told[5] and "reserved" in told[6] and "2 cells" in told[7]
    assert "attributes" in told[9] and "too long" in told[10] and "too long" in told[12]
    assert attributes_of(chat, "alice") == {
        "city": "Lyon",
        "kept": [1],
        "address": {"zip": "1", "street": '1, rue "X"\r\nat the back'},
    }
    assert attributes_of(chat, "bob") == {"city": "Nice", "address": {"street": "Main"}}
    assert attributes_of(chat, "zoé") == {"city": "Last"}
    error_of(chat.rest.get(f"{chat.path}/Users/carla"), 404, 20404)
    found = preview(chat, audience)
    assert found["count"] == 3
    assert {user["identity"] for user in found["sample"]} == {"alice", "bob", "zoé"}
    # The same again changes nothing.
    again = uploaded(chat, audience, content.encode())
    assert (again["accepted"], again["rejected_count"]) == (4, 6)
    assert chat.rest.get(f"{chat.path}/Audiences/{audience['sid']}").json()["members_count"] == 3


def test_json_lines_keep_their_types_and_tell_of_bad_ones(chat):
    chat.service.users.create(identity="alice", attributes='{"city": "Rome", "gone": 1}')
    audience = made(chat)
    rows = [
        '{"identity": "alice", "age": 42, "attributes": {"gone": null, "tags": ["a"]}}',
        '{"identity": "bob", "vip": true}',
        "",
        "no json",
        '{"identity": 5}',
        '{"age": 5}',
        '{"identity": "carla", "attributes": "{}"}',
        '["identity"]',
        '{"identity": "dave"}',
    ]
    report = uploaded(chat, audience, "\n".join(rows).encode(), "application/x-ndjson; charset=utf-8")
    assert report["accepted"] == 3
    assert list(lines_of(report)) == [4, 5, 6, 7, 8]
    assert attributes_of(chat, "alice") == {"city": "Rome", "age": 42, "tags": ["a"]}
    assert attributes_of(chat, "bob") == {"vip": True}
    assert attributes_of(chat, "dave") == {}


async def test_an_upload_is_told_of_like_any_change_of_users(chat, receiver):
    chat.service.update(post_webhook_url=receiver.url, webhook_filters=["onUserAdded", "onUserUpdated"])
    chat.channel("general", "alice", "bob")
    bob = await chat.person("bob")
    index = chat.rest.post(
        f"{chat.path}/AttributeIndexes", {"Resource": "users", "Path": "city", "Type": "string"}
    ).json()
    await eventually(
        lambda: chat.rest.get(f"{chat.path}/AttributeIndexes/{index['sid']}").json()["status"] == "ready",
        because="the index is ready",
    )
    audience = made(chat)
    uploaded(chat, audience, b"identity,city\nalice,Lyon\nnewcomer,Lyon\n", x_twilio_webhook_enabled="true")
    told = await bob.receives("userUpdated", identity="system")
    assert told["user"]["identity"] == "alice"
    [updated] = await receiver.gets("onUserUpdated", Identity="alice")
    assert json.loads(updated["Attributes"]) == {"city": "Lyon"}
    by_city = made(chat, Filter='{"attributes.city": "Lyon"}')
    assert preview(chat, by_city)["count"] == 2, "the index was kept up"


def test_a_large_upload_is_streamed_and_its_bad_rows_are_bounded(chat):
    audience = made(chat)
    count = 20_000

    def content():
        buffer = io.StringIO()
        buffer.write("identity,n\n")
        for number in range(count):
            buffer.write(f"user {number:06},{number}\n" if number % 10 else ",bad\n")
            if number % 1000 == 999:
                yield buffer.getvalue().encode()
                buffer = io.StringIO()

    began = time.monotonic()
    path = f"{chat.path}/Audiences/{audience['sid']}/Upload"
    slow = Rest(chat.cluster.api, (chat.cluster.account_sid, chat.cluster.auth_token))
    slow.http.timeout = 300
    answer = slow.http.post(path, content=content(), headers={"content-type": "text/csv"})
    slow.close()
    assert answer.status_code == 200, answer.text
    report = answer.json()
    print(f"{count} lines in {time.monotonic() - began:.1f} s")
    assert (report["accepted"], report["rejected_count"], len(report["rejected"])) == (18_000, 2_000, 1_000)
    assert report["rejected"][0]["line"] == 2 and report["rejected"][1]["line"] == 12
    assert preview(chat, audience)["count"] == 18_000
    assert attributes_of(chat, "user 000001") == {"n": "1"}


def test_what_is_no_list_is_refused(chat):
    audience = made(chat)
    path = f"{chat.path}/Audiences/{audience['sid']}/Upload"

    def refused(content, kind, status=400, code=20001, at=path):
        return error_of(chat.rest.http.post(at, content=content, headers={"content-type": kind}), status, code)

    assert "text/csv" in refused(b"identity\na\n", "application/pdf")
    assert "text/csv" in refused(b"identity=a", "application/x-www-form-urlencoded")
    assert "identity" in refused(b"name,city\na,b\n", "text/csv")
    assert "'city'" in refused(b"identity,city,city\na,b,c\n", "text/csv")
    assert "header" in refused(b"", "text/csv")
    refused(b"identity\na\n", "text/csv", 404, 20404, f"{chat.path}/Audiences/AU{'0' * 32}/Upload")
    by_filter = made(chat, Filter="{}")
    message = refused(b"identity\na\n", "text/csv", 409, 20409, f"{chat.path}/Audiences/{by_filter['sid']}/Upload")
    assert "filter" in message
    assert preview(chat, audience)["count"] == 0
    answer = chat.rest.http.post(path, content=b"", headers={"content-type": "application/x-ndjson"})
    assert answer.json() == {"accepted": 0, "rejected": [], "rejected_count": 0}


def test_what_an_audience_cannot_be_is_named(chat):
    def refused(code=20001, **form):
        return error_of(chat.rest.post(f"{chat.path}/Audiences", form), 400, code)

    assert "Identities" in refused(Filter="{}", Identities="[]")
    assert "Filter" in refused(Filter='{"nothing": 1}')
    assert "element 2" in refused(50203, Identities='["a", "system"]')
    assert "Upload" in refused(Identities=json.dumps([f"u{n}" for n in range(10_001)]))
    assert "Identities" in refused(Identities="[1]")
    bearer = chat.bearer("alice")
    error_of(bearer.get(f"{chat.path}/Audiences"), 403, 20006)
    error_of(bearer.post(f"{chat.path}/Audiences", {}), 403, 20006)
    bearer.close()


def test_a_repeat_with_its_key_is_answered_like_the_first(chat):
    first = chat.rest.post(f"{chat.path}/Audiences", {"FriendlyName": "once"}, idempotency_key="k1").json()
    second = chat.rest.post(f"{chat.path}/Audiences", {"FriendlyName": "once"}, idempotency_key="k1").json()
    assert second == {**first, "replayed": True}
    assert len(chat.rest.get(f"{chat.path}/Audiences").json()["audiences"]) == 1
    report = uploaded(chat, first, b"identity\na\n", idempotency_key="k2")
    assert uploaded(chat, first, b"identity\na\n", idempotency_key="k2") == {**report, "replayed": True}
