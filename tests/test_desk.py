"""The desk: channels as cases, pools of operators that reach them without being members."""

import asyncio
import datetime
import json

import pytest

from harness.rest import error_of

OPERATORS = ["olga", "oscar", "otto"]


class Desk:
    """A pool of operators, and the rule that users' messages open cases there."""

    def __init__(self, chat, identities=OPERATORS, rules=True):
        self.chat = chat
        self.pool = self.posts("OperatorPools", {"FriendlyName": "desk", "Identities": json.dumps(identities)}, 201)
        self.sid = self.pool["sid"]
        if rules:
            changed = chat.rest.post(chat.path, {"CaseRules": json.dumps({"pool_sid": self.sid})})
            assert changed.json()["case_rules"] == {"pool_sid": self.sid}, changed.text

    def posts(self, path, fields, status=200, **headers):
        answer = self.chat.rest.post(f"{self.chat.path}/{path}", fields, **headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    def case(self, channel):
        found = self.chat.rest.get(f"{self.chat.path}/Channels/{channel}").json()
        return found["state"], found["pool_sid"], found["assignee"]

    def lists(self, **asked):
        """All pages."""
        answer = self.chat.rest.get(f"{self.chat.path}/OperatorPools/{self.sid}/Channels", **asked)
        found = []
        while True:
            assert answer.status_code == 200, answer.text
            page = answer.json()
            found += page["channels"]
            if not page["meta"]["next_page_url"]:
                return found
            answer = self.chat.rest.http.get(page["meta"]["next_page_url"])

    async def operators(self):
        return [await self.chat.person(identity) for identity in self.pool_identities()]

    def pool_identities(self):
        answer = self.chat.rest.get(f"{self.chat.path}/OperatorPools/{self.sid}/Operators").json()
        return [operator["identity"] for operator in answer["operators"]]


@pytest.fixture
def desk(chat):
    return Desk(chat)


def in_order_and_once(events, first=None):
    seqs = [event["seq"] for event in events]
    first = first or seqs[0]
    assert seqs == list(range(first, first + len(seqs)))


def test_pools_are_made_changed_listed_and_deleted(chat):
    desk = Desk(chat, ["b", "a", "b"], rules=False)
    assert desk.pool["operators_count"] == 2 and desk.pool["links"]["channels"].endswith(f"/{desk.sid}/Channels")
    path = f"{chat.path}/OperatorPools/{desk.sid}"
    assert desk.pool_identities() == ["a", "b"]
    assert desk.posts(f"OperatorPools/{desk.sid}/Operators", {"Identity": "c"}, 201)["identity"] == "c"
    error_of(chat.rest.post(f"{path}/Operators", {"Identity": "c"}), 409, 20409)
    pages = chat.rest.get(f"{path}/Operators", PageSize=2).json()
    assert [operator["identity"] for operator in pages["operators"]] == ["a", "b"]
    rest = chat.rest.http.get(pages["meta"]["next_page_url"]).json()
    assert [operator["identity"] for operator in rest["operators"]] == ["c"]
    assert chat.rest.get(f"{path}/Operators/c").json()["pool_sid"] == desk.sid
    assert chat.rest.delete(f"{path}/Operators/c").status_code == 204
    error_of(chat.rest.delete(f"{path}/Operators/c"), 404, 20404)
    changed = desk.posts(f"OperatorPools/{desk.sid}", {"FriendlyName": "night", "Identities": '["a", "d"]'})
    assert (changed["friendly_name"], changed["operators_count"]) == ("night", 2)
    assert desk.pool_identities() == ["a", "d"]
    assert chat.service.users("d").fetch().identity == "d", "operators' users spring up"
    error_of(chat.rest.post(f"{chat.path}/OperatorPools", {"Identities": "[1]"}), 400, 20001)
    error_of(chat.bearer("a").get(f"{chat.path}/OperatorPools"), 403, 20006)

    channel = chat.channel("general")
    desk.posts(f"Channels/{channel.sid}", {"PoolSid": desk.sid})
    assert "attached" in error_of(chat.rest.delete(path), 409, 20409)
    desk.posts(f"Channels/{channel.sid}", {"State": "closed"})
    chat.rest.post(chat.path, {"CaseRules": json.dumps({"pool_sid": desk.sid})})
    assert "CaseRules" in error_of(chat.rest.delete(path), 409, 20409)
    assert chat.rest.post(chat.path, {"CaseRules": "{}"}).json()["case_rules"] is None
    assert chat.rest.delete(path).status_code == 204
    error_of(chat.rest.get(path), 404, 20404)


def test_rules_and_cases_name_what_is_wrong_with_them(chat, desk):
    channel = chat.channel("general").sid
    for rules in ("[]", "nonsense", '{"pool": 1}', '{"pool_sid": "OP' + "0" * 32 + '"}', '{"pool_sid": 7}'):
        assert "CaseRules" in error_of(chat.rest.post(chat.path, {"CaseRules": rules}), 400, 20001)
    yesterday = (datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)).isoformat()
    for fields, named in (
        ({"State": "done"}, "State"),
        ({"State": "closed", "PoolSid": desk.sid}, "PoolSid"),
        ({"PoolSid": "OP" + "0" * 32}, "PoolSid"),
        ({"Assignee": "olga"}, "Assignee"),
        ({"PoolSid": desk.sid, "Assignee": "nobody"}, "Assignee"),
        ({"SnoozeUntil": yesterday}, "SnoozeUntil"),
        ({"State": "open", "SnoozeUntil": "2050-01-01T00:00:00Z"}, "SnoozeUntil"),
        ({"SnoozeUntil": "soon"}, "SnoozeUntil"),
    ):
        refused = error_of(chat.rest.post(f"{chat.path}/Channels/{channel}", fields), 400, 20001)
        assert refused.startswith(named), refused
    assert desk.case(channel) == (None, None, None)


async def test_a_message_opens_the_case_and_all_operators_hear_everything_once(chat, desk):
    channel = chat.channel("help", "alice").sid
    alice, operators = await chat.person("alice"), await desk.operators()
    assert desk.case(channel) == (None, None, None)
    first = await alice.sends(channel, "0")
    for number in range(1, 30):
        await alice.sends(channel, str(number))
    for operator in operators:
        await operator.has_heard(30, "messageAdded", channel_sid=channel)
        heard = operator.heard_of(channel)
        assert [event["type"] for event in heard] == ["channelUpdated", *["messageAdded"] * 30]
        in_order_and_once(heard)
        assert heard[0]["channel"]["state"] == "open" and heard[0]["channel"]["pool_sid"] == desk.sid
        assert heard[1]["message"]["sid"] == first["sid"]
    assert desk.case(channel) == ("open", desk.sid, None)
    in_order_and_once(alice.heard_of(channel)[:1])

    # They write without being members, and hear each other.
    [olga, oscar, otto] = operators
    said = await olga.sends(channel, "good day")
    for somebody in (alice, oscar, otto):
        assert (await somebody.receives("messageAdded", body="good day"))["message"]["sid"] == said["sid"]
    assert olga.all_heard("messageAdded", sid=said["sid"]) == [], "she has it by the ack"
    await olga.asks("updateChannel", channel=channel, attributes='{"topic": "x"}')
    await oscar.receives("channelUpdated", channel_sid=channel, attributes='{"topic": "x"}')
    assert len((await olga.asks("getMembers", channel=channel))["members"]) == 1
    assert len((await olga.asks("getMessages", channel=channel, limit=100))["messages"]) == 31
    assert (await otto.asks("getChannel", channel=channel))["status"] == "operator"
    bearer = chat.bearer("otto")
    assert bearer.get(f"{chat.path}/Channels/{channel}/Messages").status_code == 200
    assert bearer.post(f"{chat.path}/Channels/{channel}/Messages", {"Body": "by REST"}).status_code == 201
    bearer.close()
    await alice.receives("messageAdded", body="by REST")
    stranger = await chat.person("mallory")
    await stranger.is_refused("sendMessage", channel=channel, body="me too", code=50400)
    await alice.is_refused("updateChannel", channel=channel, state="closed", code=50107)


async def test_closing_ends_it_for_the_operators_and_a_reply_opens_it_again(chat, desk, receiver):
    chat.service.update(post_webhook_url=receiver.url, webhook_filters=["onChannelStateUpdated", "onChannelUpdated"])
    channel = chat.channel("help", "alice").sid
    alice, [olga, oscar, _] = await chat.person("alice"), await desk.operators()
    await alice.sends(channel, "help")
    await oscar.receives("messageAdded", body="help")
    await olga.asks("updateChannel", channel=channel, assignee="olga")
    await oscar.receives("channelUpdated", channel_sid=channel, assignee="olga")
    closed = await olga.asks("updateChannel", channel=channel, state="closed")
    assert (closed["state"], closed["assignee"], closed["pool_sid"]) == ("closed", None, None)
    for operator in (olga, oscar):
        await operator.receives("channelUpdated", channel_sid=channel, state="closed")
    await olga.is_refused("sendMessage", channel=channel, body="still there?", code=50400)
    await olga.is_refused("getMessages", channel=channel, code=50400)
    chat.service.channels(channel).messages.create(body="not for operators")
    await alice.receives("messageAdded", body="not for operators")
    assert olga.all_heard("messageAdded", body="not for operators") == []
    assert desk.case(channel) == ("closed", None, None), "what is nobody's opens nothing"

    await alice.sends(channel, "once more")
    for operator in (olga, oscar):
        await operator.receives("channelUpdated", channel_sid=channel, state="open")
        await operator.receives("messageAdded", body="once more")
        assert operator.all_heard("messageAdded", body="not for operators") == []
    told = await receiver.gets("onChannelStateUpdated", 3, ChannelSid=channel)
    assert [request.params["State"] for request in told] == ["open", "closed", "open"]
    assert told[0].params["PoolSid"] == desk.sid and "PoolSid" not in told[1].params
    assert len(receiver.of("onChannelUpdated", ChannelSid=channel)) == 4


async def test_a_backend_speaks_for_users_and_operators_open_nothing(chat, desk):
    chat.service.users.create(identity="bob")
    for sender, opens in (("olga", False), ("nobody-known", False), (None, False), ("bob", True)):
        channel = chat.channel(f"of {sender}").sid
        fields = {"Body": "hi"} | ({"From": sender} if sender else {})
        desk.posts(f"Channels/{channel}/Messages", fields, 201)
        assert desk.case(channel)[0] == ("open" if opens else None), sender


async def test_snoozed_cases_wake_when_their_time_comes_and_when_their_user_writes(chat, desk, receiver):
    chat.service.update(post_webhook_url=receiver.url, webhook_filters=["onChannelStateUpdated"])
    first, second = chat.channel("first", "alice").sid, chat.channel("second", "alice").sid
    alice, [olga, *_] = await chat.person("alice"), await desk.operators()
    for channel in (first, second):
        await alice.sends(channel, "help")
        await olga.receives("messageAdded", channel_sid=channel)
    soon = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=2)).isoformat()
    snoozed = await olga.asks("updateChannel", channel=first, snooze_until=soon)
    assert snoozed["state"] == "snoozed" and snoozed["date_snoozed_until"]
    desk.posts(f"Channels/{second}", {"State": "snoozed", "SnoozeUntil": "2050-01-01T00:00:00Z"})
    for channel in (first, second):
        await olga.receives("channelUpdated", channel_sid=channel, state="snoozed")
    assert {entry["sid"] for entry in desk.lists(State="snoozed")} == {first, second}
    await olga.receives("channelUpdated", channel_sid=first, state="open", identity="system", within=10)
    await alice.sends(second, "are you there?")
    await olga.receives("messageAdded", channel_sid=second, body="are you there?")
    for channel in (first, second):
        assert desk.case(channel) == ("open", desk.sid, None)
        in_order_and_once(olga.heard_of(channel))
    # What the backend changed asked for no webhook.
    for channel, states in ((first, ["open", "snoozed", "open"]), (second, ["open", "open"])):
        told = await receiver.gets("onChannelStateUpdated", len(states), ChannelSid=channel)
        assert [request.params["State"] for request in told] == states


async def test_operators_who_come_back_with_a_cursor_hear_what_they_missed(chat, desk):
    channels = [chat.channel(f"c{number}", "alice").sid for number in range(6)]
    alice, olga = await chat.person("alice"), await chat.person("olga")
    for channel in channels[:4]:
        await alice.sends(channel, "before")
        await olga.receives("messageAdded", channel_sid=channel, body="before")
    cursor = await olga.loses_the_connection()
    for channel in channels[1:]:
        await alice.sends(channel, "missed")
    desk.posts(f"Channels/{channels[2]}", {"State": "closed"})
    desk.posts(f"Channels/{channels[3]}", {"State": "closed"})
    await alice.sends(channels[3], "again")
    chat.service.channels(channels[2]).messages.create(body="unheard")
    back = await chat.person("olga", cursor=cursor)
    assert (await back.is_synced())["complete"] is True
    for channel in (channels[0], channels[1]):
        await alice.sends(channel, "after")
        await back.receives("messageAdded", channel_sid=channel, body="after")
    heard = {channel: olga.heard_of(channel) + back.heard_of(channel) for channel in channels}
    for channel, events in heard.items():
        in_order_and_once(events)
        said = [event["message"]["body"] for event in events if event["type"] == "messageAdded"]
        assert "unheard" not in said
    states = [event["channel"]["state"] for event in heard[channels[3]] if event["type"] == "channelUpdated"]
    assert states == ["open", "closed", "open"]
    assert heard[channels[2]][-1]["channel"]["state"] == "closed"
    assert [event["type"] for event in heard[channels[5]]] == ["channelUpdated", "messageAdded"]


async def test_a_cursor_from_before_the_pool_says_that_it_does_not_cover_it(chat, desk):
    channel = chat.channel("help", "alice").sid
    alice, newcomer = await chat.person("alice"), await chat.person("nora")
    cursor = await newcomer.loses_the_connection()
    desk.posts(f"OperatorPools/{desk.sid}/Operators", {"Identity": "nora"}, 201)
    await alice.sends(channel, "missed")
    back = await chat.person("nora", cursor=cursor)
    assert (await back.is_synced())["complete"] is False
    await alice.sends(channel, "heard")
    await back.receives("messageAdded", body="heard")


async def test_who_becomes_an_operator_hears_the_desk_at_once_and_who_ends_hears_no_more(chat, desk):
    channel = chat.channel("help", "alice").sid
    alice, nora, olga = [await chat.person(identity) for identity in ("alice", "nora", "olga")]
    await alice.sends(channel, "before her time")
    await olga.receives("messageAdded", body="before her time")
    path = f"{chat.path}/OperatorPools/{desk.sid}/Operators"
    assert chat.rest.post(path, {"Identity": "nora"}).status_code == 201

    async def hears():
        said = await alice.sends(channel, "a sign")
        await olga.receives("messageAdded", sid=said["sid"])
        return nora.all_heard("messageAdded", body="a sign")

    async with asyncio.timeout(10):
        while not await hears():
            pass
    assert chat.rest.delete(f"{path}/nora").status_code == 204
    await nora.is_refused("getMessages", channel=channel, code=50400)

    async def is_deaf():
        said = await alice.sends(channel, "another sign")
        await olga.receives("messageAdded", sid=said["sid"])
        await chat.person("nora")
        return nora.all_heard("messageAdded", sid=said["sid"]) == []

    async with asyncio.timeout(10):
        while not await is_deaf():
            pass


async def test_a_pool_of_1200_channels_hears_all_of_them(chat, desk):
    names = [f"c{number:04}" for number in range(1200)]
    path = f"{chat.path}/Channels"
    olga = await chat.person("olga")
    chat.service.users.create(identity="alice")
    sids = {}
    limit = asyncio.Semaphore(16)

    async def talks(name):
        async with limit:
            made = await asyncio.to_thread(chat.rest.post, path, {"UniqueName": name})
            sids[name] = made.json()["sid"]
            sent = {"Body": name, "From": "alice"}
            answer = await asyncio.to_thread(chat.rest.post, f"{path}/{sids[name]}/Messages", sent)
            assert answer.status_code == 201, answer.text

    await asyncio.gather(*(talks(name) for name in names))
    heard = await olga.has_heard(1200, "messageAdded", within=60)
    assert sorted(event["message"]["body"] for event in heard) == names
    assert len(heard) == 1200
    assert {entry["sid"] for entry in desk.lists(PageSize=100)} == set(sids.values())


async def test_unread_is_what_no_operator_has_attended_to(chat, desk):
    channel = chat.channel("help", "alice").sid
    alice, [olga, oscar, _] = await chat.person("alice"), await desk.operators()
    for number in range(3):
        await alice.sends(channel, str(number))
    [entry] = (await olga.asks("getDesk", pool=desk.sid))["channels"]
    assert (entry["unread_messages_count"], entry["channel"]["sid"]) == (3, channel)
    assert entry["last_message"]["body"] == "2" and entry["status"] == "operator"
    read = await olga.asks("setLastConsumedMessageIndex", channel=channel, index=1)
    assert read == {"last_consumed_message_index": 1, "unread_messages_count": 1}
    [entry] = (await oscar.asks("getDesk", pool=desk.sid))["channels"]
    assert (entry["unread_messages_count"], entry["last_consumed_message_index"]) == (1, 1)
    back = await oscar.asks("setLastConsumedMessageIndex", channel=channel, index=0)
    assert back["last_consumed_message_index"] == 1, "only ever forward"
    [member] = chat.service.channels(channel).members.list()
    assert member.last_consumed_message_index is None
    desk.posts(f"Channels/{channel}", {"State": "closed"})
    await alice.sends(channel, "3")
    [entry] = desk.lists()
    assert entry["unread_messages_count"] == 1, "what was closed is done with"


async def test_the_desk_lists_filters_and_sorts_like_a_plain_model(chat, desk):
    model = {}
    chat.service.users.create(identity="alice")
    for number in range(24):
        attributes = {"level": number % 5, "team": "ab"[number % 2]}
        channel = chat.channel(f"c{number}", attributes=json.dumps(attributes)).sid
        desk.posts(f"Channels/{channel}/Messages", {"Body": "hi", "From": "alice"}, 201)
        fields = {}
        if number % 3 == 0:
            fields["Assignee"] = OPERATORS[number % 2]
        if number % 4 == 0:
            fields["State"] = "snoozed"
        if fields:
            desk.posts(f"Channels/{channel}", fields)
        model[channel] = attributes | {
            "number": number,
            "state": "snoozed" if number % 4 == 0 else "open",
            "assignee": fields.get("Assignee"),
        }
    for number in (7, 3):
        sid = next(sid for sid, entry in model.items() if entry["number"] == number)
        desk.posts(f"Channels/{sid}/Messages", {"Body": "again", "From": "alice"}, 201)
        model[sid]["number"] += 100 - number * 2

    def expected(condition=lambda entry: True, key=lambda entry: -entry["number"]):
        return [sid for sid, entry in sorted(model.items(), key=lambda item: key(item[1])) if condition(entry)]

    def listed(**asked):
        return [entry["sid"] for entry in desk.lists(**asked)]

    assert listed(PageSize=5) == expected()
    assert listed(State="open", PageSize=7) == expected(lambda entry: entry["state"] == "open")
    assert listed(State="snoozed") == expected(lambda entry: entry["state"] == "snoozed")
    assert listed(State="closed") == []
    assert listed(Assignee="olga", PageSize=2) == expected(lambda entry: entry["assignee"] == "olga")
    assert listed(Assignee="") == expected(lambda entry: entry["assignee"] is None)
    team = json.dumps({"attributes.team": "a", "attributes.level": {"$gte": 2}})
    of_team = expected(lambda entry: entry["team"] == "a" and entry["level"] >= 2)
    assert sorted(listed(Filter=team, PageSize=3)) == sorted(of_team)
    assert sorted(listed(Filter=team, State="open", Assignee="")) == sorted(
        expected(
            lambda entry: entry["team"] == "a"
            and entry["level"] >= 2
            and entry["state"] == "open"
            and entry["assignee"] is None
        )
    )
    by_level = [model[sid]["level"] for sid in listed(Sort='[{"attributes.level": -1}]', PageSize=6)]
    assert by_level == sorted((entry["level"] for entry in model.values()), reverse=True)
    unread = listed(Filter='{"unread_messages_count": {"$gt": 1}}')
    assert sorted(model[sid]["number"] for sid in unread) == [100 - 7, 100 - 3]
    back = chat.rest.get(f"{chat.path}/OperatorPools/{desk.sid}/Channels", PageSize=5).json()
    second = chat.rest.http.get(back["meta"]["next_page_url"]).json()
    again = chat.rest.http.get(second["meta"]["previous_page_url"]).json()
    assert [entry["sid"] for entry in again["channels"]] == [entry["sid"] for entry in back["channels"]]

    olga = await chat.person("olga")
    found, token = [], None
    while True:
        page = await olga.asks("getDesk", pool=desk.sid, state="open", limit=5, page_token=token)
        found += [entry["sid"] for entry in page["channels"]]
        token = page["next_page_token"]
        if not token:
            break
    assert found == expected(lambda entry: entry["state"] == "open")
    filtered = await olga.asks("getDesk", pool=desk.sid, filter={"attributes.team": "b"}, sort=[{"attributes.level": 1}])
    assert len(filtered["channels"]) == 12
    stranger = await chat.person("mallory")
    await stranger.is_refused("getDesk", pool=desk.sid, code=20006)
    error_of(chat.bearer("mallory").get(f"{chat.path}/OperatorPools/{desk.sid}/Channels"), 403, 20006)
    await olga.is_refused("getDesk", pool=desk.sid, state="done", code=20001)


async def test_an_operator_who_is_a_member_stays_one(chat, desk):
    channel = chat.channel("help", "alice", "olga").sid
    alice, olga = await chat.person("alice"), await chat.person("olga")
    await alice.sends(channel, "help")
    await olga.receives("messageAdded", body="help")
    await olga.asks("setLastConsumedMessageIndex", channel=channel, index=0)
    await olga.receives("memberUpdated", channel_sid=channel, last_consumed_message_index=0)
    [entry] = desk.lists()
    assert entry["unread_messages_count"] == 1
    desk.posts(f"Channels/{channel}", {"State": "closed"})
    await olga.receives("channelUpdated", channel_sid=channel, state="closed")
    await alice.sends(channel, "once more")
    await olga.receives("messageAdded", body="once more")
    await olga.asks("leaveChannel", channel=channel)
    await olga.receives("channelLeft", channel_sid=channel)
    await alice.sends(channel, "and now?")
    await olga.receives("messageAdded", body="and now?")
    await olga.sends(channel, "still here")
    in_order_and_once([event for event in alice.heard_of(channel) if event["seq"]][:1])


async def test_a_case_goes_from_one_pool_to_another(chat, desk):
    other = desk.posts("OperatorPools", {"Identities": '["pia"]'}, 201)["sid"]
    channel = chat.channel("help", "alice").sid
    alice, olga, pia = [await chat.person(identity) for identity in ("alice", "olga", "pia")]
    await alice.sends(channel, "help")
    await olga.receives("messageAdded", body="help")
    moved = await olga.asks("updateChannel", channel=channel, pool_sid=other)
    assert moved["pool_sid"] == other
    await pia.receives("channelUpdated", channel_sid=channel, pool_sid=other)
    await olga.receives("channelUpdated", channel_sid=channel, pool_sid=None)
    await alice.sends(channel, "who are you?")
    await pia.receives("messageAdded", body="who are you?")
    assert olga.all_heard("messageAdded", body="who are you?") == []
    assert pia.all_heard("messageAdded", body="help") == []
    await olga.is_refused("sendMessage", channel=channel, body="me?", code=50400)
    await pia.sends(channel, "Pia")


async def test_a_deleted_channel_ends_for_operators_too(chat, desk):
    channel = chat.channel("help", "alice").sid
    alice, olga = await chat.person("alice"), await chat.person("olga")
    await alice.sends(channel, "help")
    await olga.receives("messageAdded", body="help")
    chat.service.channels(channel).delete()
    await olga.receives("channelRemoved", channel_sid=channel)
    assert desk.lists() == []
