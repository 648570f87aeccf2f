"""Batches of members, messages and users: set-based, answered one by one, in order."""

import concurrent.futures
import json

from harness.rest import error_of


def results_of(answer, count):
    assert answer.status_code == 200, answer.text
    results = answer.json()["results"]
    assert len(results) == count
    for result in results:
        assert set(result) == ({"status", "resource"} if result["status"] < 400 else {"status", "error"}), result
        if "error" in result:
            assert set(result["error"]) == {"code", "message", "more_info", "status"}
            assert result["error"]["status"] == result["status"]
    return results


def codes(results):
    return [result["status"] if "resource" in result else result["error"]["code"] for result in results]


async def test_a_thousand_members_join_at_once(chat, published):
    chat.service.update(limits_channel_members=2000)
    channel = chat.channel("hall")
    path = f"{chat.path}/Channels/hall/Members"
    items = [{"identity": f"member {number}", "attributes": json.dumps({"n": number})} for number in range(1000)]
    results = results_of(chat.rest.post(f"{path}/Batch", {"Items": json.dumps(items)}), 1000)
    assert codes(results) == [201] * 1000
    published.check("chat.v2.service.channel.member", results[999]["resource"])
    for result, item in zip(results, items):
        assert (result["resource"]["identity"], result["resource"]["attributes"]) == (item["identity"], item["attributes"])
    assert chat.rest.get(f"{chat.path}/Channels/{channel.sid}").json()["members_count"] == 1000
    listed = chat.service.channels("hall").members.list()
    assert [member.identity for member in listed] == [item["identity"] for item in items]
    assert chat.rest.get(f"{chat.path}/Users/member 999").json()["joined_channels_count"] == 1


async def test_a_member_that_cannot_join_fails_alone(chat):
    chat.service.update(limits_channel_members=4, limits_user_channels=1)
    chat.channel("full", "busy")
    chat.channel("hall", "there")
    admin = chat.role("channel admin").sid
    items = [
        {"identity": "a", "role_sid": admin, "last_consumed_message_index": 7},
        {"identity": "there"},
        {"identity": "a"},
        {"identity": "busy"},
        {},
        "b",
        {"identity": "b", "role_sid": "RL" + "0" * 32},
        {"identity": "b", "attributes": "{oops"},
        {"identity": "b", "attributes": {"an": "object"}},
        {"identity": "b", "last_consumed_message_index": "x"},
        {"identity": "b"},
        {"identity": "c"},
    ]
    results = results_of(chat.rest.post(f"{chat.path}/Channels/hall/Members/Batch", json={"Items": items}), len(items))
    assert codes(results) == [201, 50404, 50404, 50208, 20001, 20001, 50100, 50304, 20001, 50406, 201, 50403]
    assert results[0]["resource"]["role_sid"] == admin
    assert results[0]["resource"]["last_consumed_message_index"] == 7
    assert "Items[8]: Attributes" in results[8]["error"]["message"]
    channel = chat.rest.get(f"{chat.path}/Channels/hall").json()
    assert channel["members_count"] == 3
    assert chat.rest.get(f"{chat.path}/Users/busy").json()["joined_channels_count"] == 1


async def test_members_of_a_batch_hear_of_it_in_order(chat):
    channel = chat.channel("hall", "watcher")
    watcher, late = await chat.person("watcher"), await chat.person("late")
    items = [{"identity": name} for name in ("first", "late", "last")]
    results_of(chat.rest.post(f"{chat.path}/Channels/hall/Members/Batch", json={"Items": items}), 3)
    seqs = [
        (await watcher.receives("memberJoined", channel_sid=channel.sid, member={"identity": item["identity"]}))["seq"]
        for item in items
    ]
    assert seqs == list(range(seqs[0], seqs[0] + 3))
    await late.receives("channelJoined", channel_sid=channel.sid)


async def test_parallel_batches_of_the_same_members_add_each_once(chat):
    chat.service.update(limits_channel_members=500)
    chat.channel("hall")
    items = [{"identity": f"m{number}"} for number in range(60)]

    def call(turn):
        given = items if turn % 2 else items[::-1]
        return chat.rest.post(f"{chat.path}/Channels/hall/Members/Batch", json={"Items": given})

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(call, range(8)))
    made = [code for answer in answers for code in codes(results_of(answer, 60))]
    assert made.count(201) == 60 and made.count(50404) == 7 * 60
    assert chat.rest.get(f"{chat.path}/Channels/hall").json()["members_count"] == 60


async def test_messages_of_a_batch_keep_their_order_and_are_sent_once(chat, published):
    channel = chat.channel("log", "alice")
    alice = await chat.person("alice")
    path = f"{chat.path}/Channels/log/Messages"
    items = [{"body": f"line {number}", "from": "writer"} for number in range(1000)]
    results = results_of(chat.rest.post(f"{path}/Batch", {"Items": json.dumps(items)}, idempotency_key="load 1"), 1000)
    assert [result["resource"]["index"] for result in results] == list(range(1000))
    assert [result["resource"]["body"] for result in results] == [item["body"] for item in items]
    published.check("chat.v2.service.channel.message", results[0]["resource"])
    await alice.receives("messageAdded", body="line 999", channel_sid=channel.sid, within=15)

    repeat = chat.rest.post(f"{path}/Batch", {"Items": json.dumps(items)}, idempotency_key="load 1")
    assert repeat.json()["replayed"] is True
    assert [result["resource"]["sid"] for result in repeat.json()["results"]] == [
        result["resource"]["sid"] for result in results
    ]
    error_of(chat.rest.post(f"{path}/Batch", {"Items": json.dumps(items[1:])}, idempotency_key="load 1"), 409, 20409)
    assert chat.rest.get(f"{chat.path}/Channels/log").json()["messages_count"] == 1000


async def test_a_message_that_cannot_be_sent_fails_alone(chat):
    chat.channel("log", "alice")
    items = [
        {"body": "one", "client_id": "c1"},
        {"body": "x" * 40_000},
        {"body": "one", "client_id": "c1"},
        {"body": "two", "client_id": "c1"},
        {"body": 5},
        {"body": "last", "attributes": '{"a":1}', "date_created": "2015-12-16T22:18:37Z"},
    ]
    path = f"{chat.path}/Channels/log/Messages/Batch"
    results = results_of(chat.rest.post(path, json={"Items": items}), 6)
    assert codes(results) == [201, 50504, 201, 20409, 20001, 201]
    assert results[2]["resource"]["sid"] == results[0]["resource"]["sid"] and results[2]["resource"]["replayed"] is True
    assert "replayed" not in results[0]["resource"]
    assert results[5]["resource"]["date_created"] == "2015-12-16T22:18:37Z"
    refused = chat.bearer("stranger").post(path, json={"Items": [{"body": "hello"}]})
    assert codes(results_of(refused, 1)) == [50400]
    error_of(chat.rest.post(f"{chat.path}/Channels/nowhere/Messages/Batch", json={"Items": items}), 404, 20404)


async def test_a_thousand_users_are_made_at_once_and_who_exists_fails_alone(chat, published):
    path = f"{chat.path}/Users"
    chat.rest.post(path, {"Identity": "user 5"})
    admin = chat.role("service admin").sid
    items = [{"identity": f"user {number}", "friendly_name": f"Number {number}"} for number in range(998)]
    items += [{"identity": "user 7"}, {"identity": "boss", "role_sid": admin, "attributes": '{"vip":true}'}]
    results = results_of(chat.rest.post(f"{path}/Batch", {"Items": json.dumps(items)}), 1000)
    assert codes(results) == [201] * 5 + [50201] + [201] * 992 + [50201, 201]
    published.check("chat.v2.service.user", results[0]["resource"])
    assert results[999]["resource"]["role_sid"] == admin
    assert len(chat.service.users.list()) == 999

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        racing = [{"identity": f"racer {number}"} for number in range(40)]
        answers = list(pool.map(lambda _: chat.rest.post(f"{path}/Batch", json={"Items": racing}), range(6)))
    made = [code for answer in answers for code in codes(results_of(answer, 40))]
    assert made.count(201) == 40 and made.count(50201) == 200


async def test_a_batch_that_is_none_is_refused_by_name(chat):
    chat.channel("hall")
    for path in ("Users", "Channels/hall/Members", "Channels/hall/Messages"):
        for body in (
            {"Items": {}}, {"Items": 5}, {"Items": "nonsense"}, {"Items": '{"a":1}'}, {},
            {"Items": [{"identity": "x"}] * 1001},
        ):
            assert "Items" in error_of(chat.rest.post(f"{chat.path}/{path}/Batch", json=body), 400, 20001)
        assert results_of(chat.rest.post(f"{chat.path}/{path}/Batch", json={"Items": []}), 0) == []
    for body in ({"identity": "x"}, {}):
        refused = chat.bearer("alice").post(f"{chat.path}/Users/Batch", json={"Items": [body]})
        error_of(refused, 403, 20006)


async def test_webhooks_follow_a_batch_when_they_are_asked_for(chat, receiver):
    chat.service.update(post_webhook_url=receiver.url, webhook_filters=["onMemberAdded", "onMessageSent", "onUserAdded"])
    chat.channel("hall")
    asked = {"x_twilio_webhook_enabled": "true"}
    people = [{"identity": name} for name in ("a", "b", "c")]
    results_of(chat.rest.post(f"{chat.path}/Channels/hall/Members/Batch", json={"Items": people}, **asked), 3)
    lines = [{"body": line} for line in ("one", "two")]
    results_of(chat.rest.post(f"{chat.path}/Channels/hall/Messages/Batch", json={"Items": lines}, **asked), 2)
    added = await receiver.gets("onMemberAdded", count=3)
    assert [request.params["Identity"] for request in added] == ["a", "b", "c"]
    sent = await receiver.gets("onMessageSent", count=2)
    assert [request.params["Body"] for request in sent] == ["one", "two"]
    assert {request.params["Identity"] for request in await receiver.gets("onUserAdded", count=3)} == {"a", "b", "c"}
