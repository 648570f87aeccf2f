"""The channel of a name with its members in one request."""

import concurrent.futures
import json
from urllib.parse import quote

import pytest

from harness.rest import error_of


def path_of(chat, name):
    return f"{chat.path}/Channels/{quote(name, safe='')}"


def members_of(chat, sid):
    members = chat.rest.get(f"{chat.path}/Channels/{sid}/Members", PageSize=100).json()["members"]
    return {member["identity"]: member for member in members}


async def test_the_first_call_makes_the_channel_with_its_members_and_the_second_finds_it(chat, published):
    admin = chat.role("channel admin").sid
    members = json.dumps([
        {"identity": "u1", "attributes": '{"side":"left"}'},
        {"identity": "dashboard", "role_sid": admin},
    ])
    form = {"FriendlyName": "One to one", "Type": "private", "Attributes": '{"topic":"x"}', "Members": members}
    first = chat.rest.put(path_of(chat, "u1:u2"), form)
    assert first.status_code == 201, first.text
    made = first.json()
    assert made["created"] is True
    assert (made["unique_name"], made["type"], made["members_count"]) == ("u1:u2", "private", 2)
    published.check("chat.v2.service.channel", {name: value for name, value in made.items() if name != "created"})
    joined = members_of(chat, made["sid"])
    assert joined["dashboard"]["role_sid"] == admin
    assert joined["u1"]["attributes"] == '{"side":"left"}'

    again = chat.rest.put(path_of(chat, "u1:u2"), {
        "FriendlyName": "Another", "Type": "public", "Attributes": "{}",
        "Members": json.dumps([{"identity": "u1", "attributes": "{}"}, {"identity": "u2"}, {"identity": "u2"}]),
    })
    assert again.status_code == 200, again.text
    found = again.json()
    assert found["created"] is False
    assert (found["sid"], found["members_count"]) == (made["sid"], 3)
    for field in ("friendly_name", "type", "attributes", "date_updated"):
        assert found[field] == made[field], field
    assert members_of(chat, made["sid"])["u1"]["attributes"] == '{"side":"left"}'
    assert chat.rest.get(f"{chat.path}/Users/u2").json()["joined_channels_count"] == 1


async def test_who_is_added_hears_of_it_like_any_other_member(chat):
    bob = await chat.person("bob")
    made = chat.rest.put(path_of(chat, "a:b"), json={"Members": [{"identity": "bob"}, {"identity": "alice"}]}).json()
    await bob.receives("channelJoined", channel_sid=made["sid"])
    chat.rest.put(path_of(chat, "a:b"), json={"Members": [{"identity": "carol"}]})
    await bob.receives("memberJoined", channel_sid=made["sid"], identity="system", member={"identity": "carol"})


@pytest.mark.parametrize("callers", [50])
async def test_of_many_callers_at_once_one_makes_the_channel_and_all_get_it(chat, callers):
    members = [{"identity": "u1"}, {"identity": "u2"}]

    def call(number):
        return chat.rest.put(path_of(chat, "race:é/1"), json={"Members": [*members, {"identity": f"extra {number % 5}"}]})

    with concurrent.futures.ThreadPoolExecutor(callers) as pool:
        answers = list(pool.map(call, range(callers)))
    assert sorted({answer.status_code for answer in answers}) == [200, 201], {a.status_code: a.text for a in answers}
    assert [answer.status_code for answer in answers].count(201) == 1
    [sid] = {answer.json()["sid"] for answer in answers}
    assert set(members_of(chat, sid)) == {"u1", "u2", *(f"extra {number}" for number in range(5))}
    channel = chat.rest.get(f"{chat.path}/Channels/{sid}").json()
    assert channel["members_count"] == 7
    assert len(chat.rest.get(f"{chat.path}/Channels").json()["channels"]) == 1


async def test_it_is_everything_or_nothing(chat):
    chat.service.update(limits_channel_members=2)
    three = [{"identity": name} for name in ("a", "b", "c")]
    message = error_of(chat.rest.put(path_of(chat, "full"), json={"Members": three}), 403, 50403)
    assert "2" in message
    error_of(chat.rest.get(path_of(chat, "full")), 404, 20404)
    assert chat.rest.get(f"{chat.path}/Users").json()["users"] == []

    made = chat.rest.put(path_of(chat, "full"), json={"Members": three[:1]}).json()
    error_of(chat.rest.put(path_of(chat, "full"), json={"Members": three}), 403, 50403)
    assert set(members_of(chat, made["sid"])) == {"a"}


async def test_what_is_wrong_is_named_and_makes_nothing(chat):
    channel_role, user_role = chat.role("channel user").sid, chat.role("service user").sid
    for name, body, status, code, named in [
        ("x", {"Members": [{"identity": "a"}, {"role_sid": channel_role}]}, 400, 20001, "Members[1]"),
        ("x", {"Members": [{"identity": "system"}]}, 400, 50203, "Members[0]"),
        ("x", {"Members": ["a"]}, 400, 20001, "Members[0]"),
        ("x", {"Members": {"identity": "a"}}, 400, 20001, "Members"),
        ("x", {"Members": "nonsense"}, 400, 20001, "Members"),
        ("x", {"Members": [{"identity": f"m{n}"} for n in range(1001)]}, 400, 20001, "Members"),
        ("x", {"Members": [{"identity": "a", "role_sid": user_role}]}, 400, 50101, user_role),
        ("x", {"Members": [{"identity": "a", "attributes": "{oops"}]}, 400, 50304, "JSON"),
        ("x", {"Type": "secret"}, 400, 20001, "Type"),
        ("x", {"Attributes": "{oops"}, 400, 50304, "JSON"),
        ("CH" + "0" * 32, {}, 400, 50306, "SID"),
        ("n" * 257, {}, 400, 50004, "256"),
    ]:
        message = error_of(chat.rest.put(path_of(chat, name), json=body), status, code)
        assert named in message, (body, message)
    assert chat.rest.get(f"{chat.path}/Channels", Type=["public", "private"]).json()["channels"] == []


async def test_a_user_needs_its_rights_for_each_step(chat):
    alice = chat.bearer("alice")
    made = alice.put(path_of(chat, "mine"), json={"Type": "private", "Members": [{"identity": "bob"}]})
    assert made.status_code == 201, made.text
    joined = members_of(chat, made.json()["sid"])
    assert joined["alice"]["role_sid"] == chat.service.fetch().default_channel_creator_role_sid
    assert made.json()["created_by"] == "alice"
    # bob is a plain member, carol none at all.
    assert chat.bearer("bob").put(path_of(chat, "mine"), json={"Members": [{"identity": "alice"}]}).status_code == 200
    message = error_of(chat.bearer("bob").put(path_of(chat, "mine"), json={"Members": [{"identity": "x"}]}), 403, 50107)
    assert "addMember" in message
    error_of(chat.bearer("carol").put(path_of(chat, "mine"), json={"Members": [{"identity": "carol"}]}), 403, 50400)
    open_one = chat.channel("open")
    assert chat.bearer("carol").put(path_of(chat, "open"), json={"Members": [{"identity": "carol"}]}).status_code == 200
    assert set(members_of(chat, open_one.sid)) == {"carol"}


async def test_nobody_gives_more_rights_than_it_has(chat):
    everything = chat.client.chat.v2.services(chat.sid).roles.create(
        friendly_name="everything", type="channel", permission=["sendMessage", "editAnyMessage", "destroyChannel"]
    )
    adder = chat.service.roles.create(friendly_name="adder", type="channel", permission=["addMember", "sendMessage"])
    chat.service.update(default_channel_creator_role_sid=adder.sid)
    alice = chat.bearer("alice")
    refused = alice.put(path_of(chat, "x"), json={"Members": [{"identity": "friend", "role_sid": everything.sid}]})
    error_of(refused, 403, 50205)
    error_of(chat.rest.get(path_of(chat, "x")), 404, 20404)
    assert alice.put(path_of(chat, "x"), json={"Members": [{"identity": "friend", "role_sid": adder.sid}]}).status_code == 201
