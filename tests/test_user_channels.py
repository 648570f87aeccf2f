"""A user's channels as a backend and the user itself see and change them."""

import pytest

from harness.rest import Rest, error_of
from test_twilio_library import fails

RESOURCE = "chat.v2.service.user.user_channel"


def places(user):
    return {place.channel_sid: place.status for place in user.user_channels.list()}


def test_the_list_has_joined_and_invited_channels_and_no_others(chat, published):
    joined, invited = (
        chat.channel("joined", "alice"),
        chat.channel("invited", type="private"),
    )
    chat.channel("public and foreign", "bob")
    chat.service.channels("invited").invites.create(identity="alice")
    alice = chat.service.users("alice")
    assert places(alice) == {joined.sid: "joined", invited.sid: "invited"}
    user = alice.fetch()
    first, second = alice.user_channels.list()
    assert (first.user_sid, first.service_sid) == (user.sid, chat.sid)
    member = chat.service.channels("joined").members("alice").fetch()
    assert (first.member_sid, first.links["member"]) == (member.sid, member.url)
    assert (second.member_sid, second.links["member"]) == (None, None)
    assert second.links["channel"] == invited.url
    for place in (first, second):
        answer = chat.rest.http.get(place.url)
        published.check(RESOURCE, answer.json())
        assert (place.unread_messages_count, place.last_consumed_message_index) == (
            None,
            None,
        )
        assert place.notification_level == "default"
    listed = chat.rest.http.get(user.links["user_channels"]).json()["channels"]
    assert [place["channel_sid"] for place in listed] == [joined.sid, invited.sid]


def test_user_and_channel_may_be_named(chat):
    channel = chat.channel("with a blank", "name@example.com")
    user = chat.service.users("name@example.com").fetch()
    for who in (user.sid, "name@example.com"):
        for where in (channel.sid, "with a blank"):
            assert chat.service.users(who).user_channels(where).fetch().channel_sid == channel.sid


def test_unread_messages_are_counted_from_the_horizon_on(chat):
    channel = chat.channel("general", "alice")
    messages = [chat.service.channels("general").messages.create(body=str(number)) for number in range(6)]
    messages[4].delete()
    mine = chat.service.users("alice").user_channels(channel.sid)
    assert mine.fetch().unread_messages_count is None, "until a horizon was set"
    read = mine.update(last_consumed_message_index=messages[2].index)
    assert (read.last_consumed_message_index, read.unread_messages_count) == (
        messages[2].index,
        2,
    )
    assert [place.unread_messages_count for place in chat.service.users("alice").user_channels.list()] == [2]
    member = chat.service.channels("general").members("alice").fetch()
    assert member.last_consumed_message_index == messages[2].index and member.last_consumption_timestamp
    cleared = chat.rest.post(f"{chat.path}/Users/alice/Channels/general", {"LastConsumedMessageIndex": ""}).json()
    assert (
        cleared["last_consumed_message_index"],
        cleared["unread_messages_count"],
    ) == (None, None)
    dated = mine.update(last_consumed_message_index=0, last_consumption_timestamp="2020-02-02T02:02:02Z")
    assert dated.unread_messages_count == 4
    member = chat.service.channels("general").members("alice").fetch()
    assert member.last_consumption_timestamp.year == 2020


def test_channels_are_muted_and_unmuted(chat):
    channel = chat.channel("general", "alice")
    mine = chat.service.users("alice").user_channels("general")
    assert mine.update(notification_level="muted").notification_level == "muted"
    assert mine.fetch().notification_level == "muted"
    assert (
        chat.service.users("alice").user_channels(channel.sid).update(notification_level="default").notification_level
        == "default"
    )
    path = f"{chat.path}/Users/alice/Channels/general"
    error_of(chat.rest.post(path, {"NotificationLevel": "loud"}), 400, 50210)
    error_of(chat.rest.post(path, {"LastConsumedMessageIndex": "-1"}), 400, 50406)
    error_of(chat.rest.post(path, {"LastConsumedMessageIndex": "many"}), 400, 50406)
    error_of(chat.rest.post(path, {"LastConsumptionTimestamp": "yesterday"}), 400, 50405)


def test_a_deletion_ends_a_membership_or_an_invite(chat):
    chat.channel("general", "alice")
    chat.channel("vault", type="private")
    chat.service.channels("vault").invites.create(identity="alice")
    alice = chat.service.users("alice")
    assert alice.user_channels("general").delete() is True
    assert alice.user_channels("vault").delete() is True
    assert places(alice) == {}
    assert chat.service.channels("general").members.list() == []
    assert chat.service.channels("vault").invites.list() == []
    assert alice.fetch().joined_channels_count == 0
    for name in ("general", "vault", "nowhere"):
        with fails(404, 20404):
            alice.user_channels(name).fetch()
        with fails(404, 20404):
            alice.user_channels(name).delete()
        with fails(404, 20404):
            alice.user_channels(name).update(notification_level="muted")
    with fails(404, 20404):
        chat.service.users("nobody").user_channels("general").fetch()


def test_an_invited_user_has_nothing_to_update_yet(chat):
    chat.channel("general")
    chat.service.users.create(identity="alice")
    chat.service.channels("general").invites.create(identity="alice")
    with fails(403, 50400):
        chat.service.users("alice").user_channels("general").update(last_consumed_message_index=0)


def test_pages_hold_50_and_keep_their_order_while_invites_are_answered(chat):
    chat.service.users.create(identity="alice")
    sids = []
    for number in range(60):
        channel = chat.channel(f"channel {number}")
        sids.append(channel.sid)
        if number % 3:
            chat.service.channels(channel.sid).members.create(identity="alice")
        else:
            chat.service.channels(channel.sid).invites.create(identity="alice")
    path = f"{chat.path}/Users/alice/Channels"
    page = chat.rest.get(path, PageSize=500).json()
    assert (page["meta"]["page_size"], len(page["channels"]), page["meta"]["key"]) == (
        50,
        50,
        "channels",
    )
    alice = chat.service.users("alice")
    assert [place.channel_sid for place in alice.user_channels.list(page_size=7)] == sids
    first = alice.user_channels.page(page_size=20)
    seen = [place.channel_sid for place in first]
    chat.service.channels(sids[30]).members.create(identity="alice")
    second = first.next_page()
    seen += [place.channel_sid for place in second]
    assert seen == sids[:40]
    assert [place.channel_sid for place in second.previous_page()] == sids[:20]
    assert second.next_page().next_page() is None
    message = chat.rest.get(path, PageToken="PTbmkAAAAAAAAABw")
    assert "PageToken" in error_of(message, 400, 20001)


@pytest.fixture
def two(chat):
    """alice and bob, both in `general`."""
    chat.channel("general", "alice", "bob")
    alice, bob = chat.bearer("alice"), chat.bearer("bob")
    yield alice, bob
    alice.close()
    bob.close()


def test_a_token_opens_its_own_users_channels_only(chat, two):
    alice, _ = two
    sids = {name: chat.service.users(name).fetch().sid for name in ("alice", "bob")}
    for who in ("alice", sids["alice"]):
        assert len(alice.get(f"{chat.path}/Users/{who}/Channels").json()["channels"]) == 1
        muted = alice.post(f"{chat.path}/Users/{who}/Channels/general", {"NotificationLevel": "muted"})
        assert muted.json()["notification_level"] == "muted"
        read = alice.post(f"{chat.path}/Users/{who}/Channels/general", {"LastConsumedMessageIndex": 0})
        assert read.json()["last_consumed_message_index"] == 0
    for who in ("bob", sids["bob"], "nobody"):
        path = f"{chat.path}/Users/{who}/Channels"
        for answer in (
            alice.get(path),
            alice.get(f"{path}/general"),
            alice.post(f"{path}/general", {"LastConsumedMessageIndex": 0}),
            alice.delete(f"{path}/general"),
        ):
            assert "own user" in error_of(answer, 403, 20006)
    bobs = chat.service.users("bob").user_channels("general").fetch()
    assert (bobs.status, bobs.last_consumed_message_index) == ("joined", None)


def test_a_user_leaves_and_mutes_as_far_as_its_role_allows(chat, two):
    alice, bob = two
    role = chat.service.roles.create(friendly_name="captive", type="channel", permission=["sendMessage"])
    chat.service.channels("general").members("bob").update(role_sid=role.sid)
    path = f"{chat.path}/Users/bob/Channels/general"
    assert "leaveChannel" in error_of(bob.delete(path), 403, 50107)
    assert "editNotificationLevel" in error_of(bob.post(path, {"NotificationLevel": "muted"}), 403, 50107)
    assert alice.delete(f"{chat.path}/Users/alice/Channels/general").status_code == 204
    assert [member.identity for member in chat.service.channels("general").members.list()] == ["bob"]


async def test_others_hear_of_a_horizon_and_of_a_leave_and_not_of_muting(chat):
    chat.channel("general", "alice", "bob")
    alice = await chat.person("alice")
    mine = chat.service.users("bob").user_channels("general")
    mine.update(notification_level="muted")
    mine.update(last_consumed_message_index=0)
    heard = await alice.receives("memberUpdated")
    assert heard["member"]["last_consumed_message_index"] == 0
    mine.delete()
    await alice.receives("memberLeft", member={"identity": "bob"})
    assert len(alice.all_heard("memberUpdated")) == 1


async def test_webhooks_follow_when_they_are_asked_for(chat, receiver):
    chat.service.update(post_webhook_url=receiver.url)
    chat.channel("general", "alice", "bob")
    chat.service.users("bob").user_channels("general").delete()
    # twilio-python 9.13 takes the header for its deletions and forgets to send it.
    chat.rest.delete(f"{chat.path}/Users/alice/Channels/general", x_twilio_webhook_enabled="true")
    [told] = await receiver.gets("onMemberRemoved")
    assert (told.params["Identity"], told.params["Reason"]) == ("alice", "REMOVED")


def test_another_tenant_finds_nothing(chat, two):
    answer = chat.rest.post("/2010-04-01/Accounts.json", {"FriendlyName": "the neighbour"}).json()
    stranger = Rest(chat.cluster.api, (answer["sid"], answer["auth_token"]))
    error_of(stranger.get(f"{chat.path}/Users/alice/Channels"), 404, 20404)
    error_of(stranger.get(f"{chat.path}/Users/alice/Channels/general"), 404, 20404)
    stranger.close()
