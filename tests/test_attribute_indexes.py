"""Declared indexes over attributes: the resource, and that they are right whatever happens while they are built."""

import json
import struct
import threading
import time

import pytest

from harness.chat import Chat
from harness.cluster import running
from harness.rest import Rest, error_of
from harness.store import as_uuid, rows, uuid_of
from harness.waiting import eventually

FIELDS = {
    "sid", "account_sid", "service_sid", "resource", "path", "type", "status", "failure", "date_created",
    "date_updated", "url",
}


def declared(chat, resource, path, kind="number"):
    answer = chat.rest.post(f"{chat.path}/AttributeIndexes", {"Resource": resource, "Path": path, "Type": kind})
    assert answer.status_code == 201, answer.text
    return answer.json()


def status_of(chat, index):
    return chat.rest.get(f"{chat.path}/AttributeIndexes/{index['sid']}").json()["status"]


async def is_ready(chat, *indexes, within=10):
    for index in indexes:
        await eventually(
            lambda index=index: status_of(chat, index) == "ready", within, f"{index['resource']} {index['path']} is ready"
        )


async def test_an_index_is_declared_built_listed_and_taken_down(chat):
    chat.channel("general", "alice", attributes=json.dumps({"ticket": {"priority": 3}}))
    made = declared(chat, "channels", "ticket.priority")
    assert set(made) == FIELDS
    assert made["sid"].startswith("AI") and made["status"] == "building" and made["failure"] is None
    assert (made["resource"], made["path"], made["type"]) == ("channels", "ticket.priority", "number")
    assert (made["service_sid"], made["account_sid"]) == (chat.sid, chat.cluster.account_sid)
    began = time.monotonic()
    await is_ready(chat, made)
    assert time.monotonic() - began < 3, "a small service's index is ready at once"
    found = chat.rest.http.get(made["url"]).json()
    assert found == made | {"status": "ready", "date_updated": found["date_updated"]}

    other = declared(chat, "users", "attributes.größe", "string")
    assert other["path"] == "größe"
    listed = chat.rest.get(f"{chat.path}/AttributeIndexes").json()
    assert [index["sid"] for index in listed["attribute_indexes"]] == [made["sid"], other["sid"]]
    of_users = chat.rest.get(f"{chat.path}/AttributeIndexes", Resource="users").json()
    assert [index["sid"] for index in of_users["attribute_indexes"]] == [other["sid"]]

    again = {"Resource": "channels", "Path": "attributes.ticket.priority", "Type": "string"}
    refused = error_of(chat.rest.post(f"{chat.path}/AttributeIndexes", again), 409, 20409)
    assert made["sid"] in refused
    path = f"{chat.path}/AttributeIndexes/{made['sid']}"
    answer = chat.rest.delete(path)
    assert (answer.status_code, answer.content) == (204, b"")
    error_of(chat.rest.get(path), 404, 20404)
    error_of(chat.rest.delete(path), 404, 20404)
    renewed = declared(chat, "channels", "ticket.priority", "string")
    await is_ready(chat, renewed, other)
    await eventually(
        lambda: not rows(chat.cluster, "SELECT 1 FROM attribute_indexes WHERE id = ?", uuid_of(made["sid"])),
        because="the index that was taken down is swept",
    )
    assert not rows(chat.cluster, "SELECT 1 FROM attribute_entries WHERE index_id = ?", uuid_of(made["sid"]))


@pytest.mark.parametrize(
    ("field", "value"),
    [("Resource", "roles"), ("Path", ""), ("Path", "a..b"), ("Path", "a b"), ("Path", "x" * 65), ("Type", "text")],
)
def test_what_cannot_be_indexed_is_refused_by_its_name(chat, field, value):
    form = {"Resource": "channels", "Path": "a", "Type": "string", field: value}
    assert error_of(chat.rest.post(f"{chat.path}/AttributeIndexes", form), 400, 20001).startswith(field)


def test_a_resource_has_at_most_32_indexes(chat):
    for number in range(32):
        declared(chat, "messages", f"path{number}")
    form = {"Resource": "messages", "Path": "more", "Type": "string"}
    assert "32" in error_of(chat.rest.post(f"{chat.path}/AttributeIndexes", form), 400, 20001)


def test_indexes_are_for_the_tenants_own_backends(chat):
    index = declared(chat, "channels", "a")
    paths = {"list": f"{chat.path}/AttributeIndexes", "one": f"{chat.path}/AttributeIndexes/{index['sid']}"}
    form = {"Resource": "users", "Path": "a", "Type": "string"}
    neighbour = chat.rest.post("/2010-04-01/Accounts.json", {"FriendlyName": "the neighbour"}).json()
    foreign = Rest(chat.cluster.api, (neighbour["sid"], neighbour["auth_token"]))
    for rest, status, code in [(foreign, 404, 20404), (chat.bearer("alice"), 403, 20006)]:
        error_of(rest.get(paths["list"]), status, code)
        error_of(rest.post(paths["list"], form), status, code)
        error_of(rest.get(paths["one"]), status, code)
        error_of(rest.delete(paths["one"]), status, code)
        rest.close()
    assert status_of(chat, index) in ("building", "ready")


# --- what is in an index


def key_of(attributes, path):
    """The place of a number in an index, and whether there is one."""
    value = json.loads(attributes).get(path)
    if value is None:
        return b"\xff", False
    bits = struct.unpack(">Q", struct.pack(">d", value))[0]
    return b"\x20" + struct.pack(">QH", bits | 1 << 63, 1 << 15), True


def everything(rest, path, key):
    """All items of a list, by its pages."""
    page, items = rest.get(path).json(), []
    while True:
        items += page[key]
        if not page["meta"]["next_page_url"]:
            return items
        page = rest.http.get(page["meta"]["next_page_url"]).json()


def in_the_index(chat, index):
    found = rows(
        chat.cluster, "SELECT item_id, key, present FROM attribute_entries WHERE index_id = ?", uuid_of(index["sid"])
    )
    entries = {as_uuid(item): (bytes(key), bool(present)) for item, key, present in found}
    assert len(entries) == len(found)
    return entries


def computed(items, path):
    return {uuid_of(item["sid"]): key_of(item["attributes"], path) for item in items}


def change_all_the_time(chat, worker, enough, failures):
    """Makes channels and users, changes and deletes some of them."""
    rest = Rest(chat.cluster.api, (chat.cluster.account_sid, chat.cluster.auth_token))
    number = 0

    def attributes():
        return json.dumps({"n": number + worker} if number % 5 else {"other": number})

    while not enough.is_set():
        made = rest.post(f"{chat.path}/Channels", {"Attributes": attributes()})
        answers = [made, rest.post(f"{chat.path}/Users", {"Identity": f"{worker} {number}", "Attributes": attributes()})]
        number += 1
        path = f"{chat.path}/Channels/{made.json()['sid']}"
        answers.append(rest.post(path, {"Attributes": attributes()}))
        # One of those that were there before.
        known = f"{chat.path}/Users/known-{(number * 7 + worker * 13) % 2000}"
        answers.append(rest.post(known, {"Attributes": attributes()}))
        if number % 3 == 0:
            answers.append(rest.delete(path))
        failures += [answer.text for answer in answers if answer.status_code >= 400]
    rest.close()


def two_thousand_users(chat, prefix="known-"):
    for start in (0, 1000):
        items = [
            {"identity": f"{prefix}{number}", "attributes": json.dumps({"n": number})}
            for number in range(start, start + 1000)
        ]
        answer = chat.rest.post(f"{chat.path}/Users/Batch", json={"Items": items})
        assert answer.status_code == 200, answer.text


async def test_an_index_that_is_built_under_load_has_every_resource_once_and_right(chat):
    two_thousand_users(chat)
    enough, failures = threading.Event(), []
    threads = [
        threading.Thread(target=change_all_the_time, args=(chat, worker, enough, failures)) for worker in range(4)
    ]
    for thread in threads:
        thread.start()
    try:
        indexes = []
        for path in ("n", "other"):
            pair = [declared(chat, "users", path), declared(chat, "channels", path)]
            await is_ready(chat, *pair, within=30)
            indexes += pair
    finally:
        enough.set()
        for thread in threads:
            thread.join()
    assert not failures
    users = everything(chat.rest, f"{chat.path}/Users?PageSize=100", "users")
    channels = everything(chat.rest, f"{chat.path}/Channels?PageSize=100", "channels")
    assert len(users) > 2000 and channels
    for index in indexes:
        due = computed(users if index["resource"] == "users" else channels, index["path"])
        assert in_the_index(chat, index) == due, f"{index['resource']} {index['path']}"


def half_built(cluster):
    return rows(cluster, "SELECT 1 FROM attribute_indexes WHERE status = 'building' AND built_to IS NOT NULL")


def killed_while_building(chat, node):
    """Declares indexes until the worker is caught with one half built, and kills it; returns all of them."""
    indexes = []
    for path in (f"path{number}" for number in range(20)):
        indexes += [declared(chat, "users", "n" if not indexes else path)]
        while (status := status_of(chat, indexes[-1])) == "building" and not half_built(chat.cluster):
            pass
        if status == "building":
            node.kill()
            if half_built(chat.cluster):
                return indexes
            node.start().wait_ready()
    raise AssertionError("the worker was never caught with an index half built")


@pytest.mark.parametrize("topology", ["embedded", "split"])
async def test_a_building_goes_on_after_kill_9(tmp_path, driver, topology):
    with running(topology, tmp_path) as cluster:
        chat = Chat(cluster, driver, "kill while building")
        for number in range(5):
            two_thousand_users(chat, f"{number}-")
        node = next(node for node in cluster.nodes if node.name in ("all", "workers"))
        indexes = killed_while_building(chat, node)
        half = len(in_the_index(chat, indexes[-1]))
        assert 0 < half < 10_000
        if topology == "split":
            # The API goes on, and keeps up what nobody builds.
            chat.service.users.create(identity="meanwhile", attributes='{"n":1}')
            assert status_of(chat, indexes[-1]) == "building"
        node.start().wait_ready()
        await is_ready(chat, *indexes, within=30)
        users = everything(chat.rest, f"{chat.path}/Users?PageSize=100", "users")
        for index in indexes:
            assert in_the_index(chat, index) == computed(users, index["path"])
        await chat.close()
