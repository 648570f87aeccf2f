"""The verbs: reading, joining, typing, read horizons, and what roles and membership do not allow."""

import pytest

from harness.person import Refused


async def test_what_is_no_verb_or_no_argument_is_20001(chat):
    alice = await chat.person("alice")
    await alice.is_refused("fly", code=20001)
    await alice.is_refused("sendMessage", "not an object", code=20001)
    await alice.is_refused("sendMessage", ["a", "list"], code=20001)
    await alice.is_refused("getChannels", None, code=20001)
    assert (await alice.asks("getChannels"))["channels"] == []


async def test_a_stranger_to_a_channel_may_not_send_or_read(chat):
    channel = chat.channel("general", "alice")
    chat.service.channels(channel.sid).messages.create(body="secret", from_="alice")
    bob = await chat.person("bob")
    refusal = await bob.is_refused("sendMessage", channel="general", body="let me in", code=50400)
    assert refusal.status == 403 and refusal.message and str(refusal.code) in refusal.more_info
    await bob.is_refused("typing", channel="general", code=50400)
    await bob.is_refused("leaveChannel", channel="general", code=50400)
    await bob.is_refused("setLastConsumedMessageIndex", channel="general", index=0, code=50400)
    await bob.is_refused("getMessages", channel="general", code=50400)
    assert len(chat.messages_of(channel.sid)) == 1


async def test_a_missing_right_is_named(chat):
    chat.channel("general", "alice", "bob")
    alice, bob = await chat.person("alice"), await chat.person("bob", "python-polling")
    sent = await alice.sends("general", "mine")
    edit = await bob.is_refused("updateMessage", channel="general", message=sent["sid"], body="yours", code=50107)
    assert "editAnyMessage" in edit.message and edit.status == 403
    remove = await bob.is_refused("removeMessage", channel="general", message=sent["sid"], code=50107)
    assert "deleteAnyMessage" in remove.message and remove.status == 403
    assert chat.messages_of("general")[0].body == "mine"
    promoted = chat.role("channel admin").sid
    chat.service.channels("general").members("bob").update(role_sid=promoted)
    edited = await bob.asks("updateMessage", channel="general", message=sent["sid"], body="yours")
    assert edited["body"] == "yours", "a new role counts at once"


async def test_missing_channels_and_messages_are_404(chat):
    chat.channel("general", "alice")
    alice = await chat.person("alice")
    await alice.is_refused("sendMessage", channel="nowhere", body="hello", status=404)
    await alice.is_refused("joinChannel", channel="CH" + "0" * 32, status=404)
    await alice.is_refused("updateMessage", channel="general", message="IM" + "0" * 32, body="x", status=404)
    await alice.is_refused("removeMessage", channel="general", message="IM" + "0" * 32, status=404)


async def test_wrong_fields_are_refused_with_rests_codes(chat):
    chat.channel("general", "alice")
    alice = await chat.person("alice")
    await alice.is_refused("sendMessage", channel="general", body="x" * 32_769, code=50504)
    await alice.is_refused("sendMessage", channel="general", body="x", attributes="{not json", code=50304)
    untyped = await alice.is_refused("sendMessage", channel="general", body={"a": 1}, status=400)
    assert "body" in untyped.message
    assert len((await alice.sends("general", "x" * 32_768))["body"]) == 32_768


async def test_joining_and_leaving_are_heard_by_the_others_and_open_and_close_the_channel(chat):
    channel = chat.channel("general", "alice")
    alice, bob = await chat.person("alice"), await chat.person("bob", "js-polling")
    await bob.asks("joinChannel", channel="general")
    joined = await alice.receives("memberJoined", member={"identity": "bob"})
    assert joined["member"]["channel_sid"] == channel.sid
    await alice.sends("general", "welcome")
    await bob.receives("messageAdded", body="welcome")
    await bob.asks("leaveChannel", channel="general")
    await alice.receives("memberLeft", member={"identity": "bob"})
    await alice.sends("general", "gone?")
    chat.channel("fence", "bob")
    await bob.receives("channelJoined", channel={"unique_name": "fence"})
    assert bob.all_heard("messageAdded", body="gone?") == []
    await bob.is_refused("sendMessage", channel="general", body="still here", code=50400)


async def test_the_creator_role_is_for_creators_and_joining_gives_the_default_role(chat):
    chat.channel("general")
    bob = await chat.person("bob")
    await bob.asks("joinChannel", channel="general")
    member = chat.service.channels("general").members("bob").fetch()
    assert member.role_sid == chat.service.default_channel_role_sid


async def test_a_private_channel_cannot_be_joined_or_seen_by_strangers(chat):
    chat.channel("vault", "alice", type="private")
    bob = await chat.person("bob")
    for verb in ("joinChannel", "getChannel"):
        with pytest.raises(Refused) as refusal:
            await bob.asks(verb, channel="vault")
        assert refusal.value.status in (403, 404), refusal.value
    assert [member.identity for member in chat.service.channels("vault").members.list()] == ["alice"]


async def test_membership_given_by_rest_opens_the_channel_on_a_live_socket(chat):
    channel = chat.channel("general", "alice")
    alice, bob = await chat.person("alice"), await chat.person("bob", "python")
    chat.service.channels("general").members.create(identity="bob")
    joined = await bob.receives("channelJoined", channel={"sid": channel.sid})
    assert joined["channel"]["unique_name"] == "general"
    await alice.sends("general", "hello newcomer")
    await bob.receives("messageAdded", body="hello newcomer")
    chat.service.channels("general").members("bob").delete()
    await bob.receives("channelLeft", channel_sid=channel.sid)
    await bob.is_refused("sendMessage", channel="general", body="x", code=50400)


async def test_a_deleted_channel_is_told_to_its_members(chat):
    channel = chat.channel("general", "alice")
    alice = await chat.person("alice")
    chat.service.channels("general").update(friendly_name="Renamed")
    await alice.receives("channelUpdated", channel={"friendly_name": "Renamed"})
    chat.service.channels("general").delete()
    await alice.receives("channelRemoved", channel_sid=channel.sid)


async def test_typing_starts_and_ends_after_the_services_timeout(chat):
    chat.service.update(typing_indicator_timeout=1)
    channel = chat.channel("general", "alice", "bob")
    alice, bob = await chat.person("alice"), await chat.person("bob", "js-polling")
    await alice.asks("typing", channel="general")
    started = await bob.receives("typingStarted", identity="alice", channel_sid=channel.sid)
    assert "seq" not in started
    await bob.receives("typingEnded", identity="alice", channel_sid=channel.sid)
    assert alice.all_heard("typingStarted") == []


async def test_typing_ends_with_the_message(chat):
    chat.service.update(typing_indicator_timeout=60)
    chat.channel("general", "alice", "bob")
    alice, bob = await chat.person("alice", "python"), await chat.person("bob")
    await alice.asks("typing", channel="general")
    await bob.receives("typingStarted", identity="alice")
    await alice.sends("general", "done")
    await bob.receives("typingEnded", identity="alice")
    await bob.receives("messageAdded", body="done")


async def test_read_horizons_only_advance_and_count_what_is_unread(chat):
    channel = chat.channel("general", "alice", "bob")
    alice, bob = await chat.person("alice"), await chat.person("bob")
    sent = [await alice.sends("general", str(number)) for number in range(5)]
    [mine] = (await bob.asks("getChannels"))["channels"]
    assert mine["last_consumed_message_index"] is None
    read = await bob.asks("setLastConsumedMessageIndex", channel="general", index=sent[2]["index"])
    assert read == {"last_consumed_message_index": sent[2]["index"], "unread_messages_count": 2}
    back = await bob.asks("setLastConsumedMessageIndex", channel="general", index=sent[0]["index"])
    assert back["last_consumed_message_index"] == sent[2]["index"], "never goes back"
    heard = await alice.receives("memberUpdated", member={"identity": "bob"})
    assert heard["member"]["last_consumed_message_index"] == sent[2]["index"]
    await alice.asks("removeMessage", channel="general", message=sent[4]["sid"])
    [mine] = (await bob.asks("getChannels"))["channels"]
    assert (mine["channel"]["sid"], mine["unread_messages_count"]) == (channel.sid, 1)
    member = chat.service.channels("general").members("bob").fetch()
    assert member.last_consumed_message_index == sent[2]["index"]
    assert member.last_consumption_timestamp


async def test_the_read_horizon_is_put_anywhere_when_it_is_asked_for(chat):
    channel = chat.channel("general", "alice", "bob")
    alice, bob = await chat.person("alice"), await chat.person("bob")
    for body in ("one", "two", "three"):
        await alice.sends("general", body)
    place = await bob.asks("updateUserChannel", channel="general", last_consumed_message_index=2)
    assert place["channel_sid"] == channel.sid
    assert [place["last_consumed_message_index"], place["unread_messages_count"]] == [2, 0]
    place = await bob.asks("updateUserChannel", channel=channel.sid, last_consumed_message_index=0)
    assert [place["last_consumed_message_index"], place["unread_messages_count"]] == [0, 2]
    place = await bob.asks("updateUserChannel", channel="general", notification_level="muted")
    assert [place["last_consumed_message_index"], place["notification_level"]] == [0, "muted"]
    place = await bob.asks("updateUserChannel", channel="general", last_consumed_message_index=None)
    assert [place["last_consumed_message_index"], place["unread_messages_count"]] == [None, None]
    await bob.is_refused("updateUserChannel", channel="general", last_consumed_message_index="1", code=20001)
    await bob.is_refused("updateUserChannel", channel="general", notification_level="loud", code=50210)
    outsider = await chat.person("outsider")
    await outsider.is_refused("updateUserChannel", channel="general", notification_level="muted", status=404)


async def test_history_is_read_around_before_and_after_an_index(chat):
    chat.channel("general", "alice")
    alice = await chat.person("alice", "python-polling")
    for number in range(40):
        await alice.sends("general", str(number))

    async def page(**anchor):
        data = await alice.asks("getMessages", channel="general", **anchor)
        return [message["index"] for message in data["messages"]], data["has_before"], data["has_after"]

    assert await page() == (list(range(10, 40)), True, False)
    assert await page(limit=5) == (list(range(35, 40)), True, False)
    assert await page(before=10, limit=5) == (list(range(5, 10)), True, True)
    assert await page(before=3) == ([0, 1, 2], False, True)
    assert await page(after=36) == ([37, 38, 39], True, False)
    assert await page(after=10, limit=3) == ([11, 12, 13], True, True)
    around, before, after = await page(around=20, limit=5)
    assert 20 in around and len(around) == 5 and around == list(range(around[0], around[0] + 5)) and before and after
    assert len((await page(limit=100))[0]) == 40
    for wrong in (0, -1, "ten", 1.5):
        await alice.is_refused("getMessages", channel="general", limit=wrong, status=400)


async def test_the_channel_list_has_the_latest_activity_first_and_pages(chat):
    for name in ("one", "two", "three"):
        chat.channel(name, "alice")
    chat.channel("not mine")
    alice = await chat.person("alice")
    for name in ("three", "one", "two"):
        await alice.sends(name, f"in {name}")
    listed = (await alice.asks("getChannels"))["channels"]
    assert [entry["channel"]["unique_name"] for entry in listed] == ["two", "one", "three"]
    for entry in listed:
        assert entry["status"] == "joined" and entry["notification_level"] == "default"
        assert entry["member"]["identity"] == "alice"
        assert entry["last_message"]["body"] == f"in {entry['channel']['unique_name']}"
    names, token = [], None
    for _ in range(3):
        page = await alice.asks("getChannels", limit=1, **({"page_token": token} if token else {}))
        names += [entry["channel"]["unique_name"] for entry in page["channels"]]
        token = page["next_page_token"]
    assert (names, token) == (["two", "one", "three"], None)


async def test_one_channel_can_be_read(chat):
    channel = chat.channel("general", "alice")
    alice = await chat.person("alice")
    data = await alice.asks("getChannel", channel="general")
    found = data.get("channel", data)
    assert found["sid"] == channel.sid
    assert (await alice.asks("getChannel", channel=channel.sid)) == data


async def test_verbs_of_one_socket_take_effect_in_the_order_sent(chat):
    chat.channel("general")
    bob = await chat.person("bob")
    await bob.says("joinChannel", {"channel": "general"})
    await bob.says("sendMessage", {"channel": "general", "body": "joined before"})
    await bob.says("leaveChannel", {"channel": "general"})
    await bob.is_refused("sendMessage", channel="general", body="too late", code=50400)
    assert [message.body for message in chat.messages_of("general")] == ["joined before"]


async def test_sends_keep_their_order_however_the_channel_is_addressed(chat):
    channel = chat.channel("general", "alice")
    alice = await chat.person("alice")
    for number in range(60):
        await alice.says("sendMessage", {"channel": [channel.sid, "general"][number % 2], "body": str(number)})
    await alice.sends("general", "last")
    assert [message.body for message in chat.messages_of("general")] == [*(str(n) for n in range(60)), "last"]
