"""A tenant's backend on the unmodified Twilio library, pointed at Hubbub by one assignment."""

import datetime
import json

import httpx
import pytest
from twilio.base.exceptions import TwilioRestException

from harness.chat import twilio_client

# Exactly the sets that a new service has always had.
DEFAULT_ROLES = {
    "service admin": (
        "deployment",
        "createChannel joinChannel destroyChannel editChannelAttributes editChannelName addMember inviteMember "
        "removeMember editAnyMemberAttributes editAnyMessage deleteAnyMessage editAnyMessageAttributes editAnyUserInfo",
    ),
    "service user": ("deployment", "createChannel joinChannel editOwnUserInfo"),
    "channel admin": (
        "channel",
        "addMember deleteAnyMessage destroyChannel editAnyMessage editAnyMessageAttributes editAnyMemberAttributes "
        "editChannelAttributes editChannelName editNotificationLevel inviteMember leaveChannel removeMember "
        "sendMessage sendMediaMessage",
    ),
    "channel user": (
        "channel",
        "sendMessage leaveChannel editOwnMessage deleteOwnMessage sendMediaMessage editOwnMessageAttributes "
        "editOwnMemberAttributes editNotificationLevel",
    ),
}


def fails(status, code):
    """The library's own error, with our status and code in it."""
    return pytest.raises(TwilioRestException, check=lambda error: (error.status, error.code) == (status, code))


def test_a_new_service_has_the_documented_defaults(chat):
    service = chat.service
    assert service.sid.startswith("IS") and len(service.sid) == 34
    assert service.account_sid == chat.cluster.account_sid
    assert isinstance(service.date_created, datetime.datetime), (
        "dates have whole seconds, or the library hands out text"
    )
    assert service.limits == {"channel_members": 100, "user_channels": 250}
    assert (service.typing_indicator_timeout, service.consumption_report_interval) == (5, 10)
    assert (service.read_status_enabled, service.reachability_enabled) == (True, False)
    assert service.pre_webhook_url is None and service.post_webhook_url is None
    assert service.webhook_method is None and service.webhook_filters is None
    assert (service.pre_webhook_retry_count, service.post_webhook_retry_count) == (0, 0)
    for name in ("new_message", "added_to_channel", "removed_from_channel", "invited_to_channel"):
        assert service.notifications[name]["enabled"] is False


def test_a_new_service_has_exactly_the_four_default_roles(chat):
    roles = {role.friendly_name: role for role in chat.service.roles.list()}
    assert {name: (role.type, sorted(role.permissions)) for name, role in roles.items()} == {
        name: (kind, sorted(permissions.split())) for name, (kind, permissions) in DEFAULT_ROLES.items()
    }
    assert chat.service.default_service_role_sid == roles["service user"].sid
    assert chat.service.default_channel_role_sid == roles["channel user"].sid
    assert chat.service.default_channel_creator_role_sid == roles["channel admin"].sid
    assert chat.service.roles(roles["channel user"].sid).fetch().friendly_name == "channel user"


def test_a_service_keeps_what_an_update_sets(chat):
    updated = chat.service.update(
        friendly_name="Renamed",
        typing_indicator_timeout=3,
        reachability_enabled=True,
        limits_channel_members=7,
        post_webhook_url="http://127.0.0.1:9/hook",
        webhook_method="GET",
        webhook_filters=["onMessageSent", "onMemberAdded"],
        post_webhook_retry_count=2,
        notifications_new_message_enabled=True,
        notifications_new_message_template="${USER}: ${MESSAGE}",
    )
    fetched = chat.client.chat.v2.services(chat.sid).fetch()
    for service in (updated, fetched):
        assert service.friendly_name == "Renamed"
        assert service.typing_indicator_timeout == 3
        assert service.reachability_enabled is True
        assert service.limits == {"channel_members": 7, "user_channels": 250}
        assert service.post_webhook_url == "http://127.0.0.1:9/hook"
        assert service.webhook_method == "GET"
        assert sorted(service.webhook_filters) == ["onMemberAdded", "onMessageSent"]
        assert service.post_webhook_retry_count == 2
        assert service.notifications["new_message"]["enabled"] is True
        assert service.notifications["new_message"]["template"] == "${USER}: ${MESSAGE}"


def test_a_deleted_service_is_gone_with_everything_in_it(client):
    service = client.chat.v2.services.create(friendly_name="short-lived")
    service.channels.create(unique_name="general")
    assert service.delete() is True
    with fails(404, 20404):
        client.chat.v2.services(service.sid).fetch()
    with fails(404, 20404):
        client.chat.v2.services(service.sid).channels("general").fetch()


def test_users_are_created_fetched_listed_updated_and_deleted(chat):
    users = chat.service.users
    alice = users.create(identity="alice", friendly_name="Alice", attributes='{"team": "red"}')
    assert (alice.identity, alice.friendly_name, json.loads(alice.attributes)) == ("alice", "Alice", {"team": "red"})
    assert alice.role_sid == chat.service.default_service_role_sid
    assert alice.joined_channels_count == 0
    users.create(identity="bob")
    assert {user.identity for user in users.list()} == {"alice", "bob"}
    admin = chat.role("service admin")
    updated = chat.service.users("alice").update(friendly_name="Alice A.", role_sid=admin.sid)
    assert (updated.friendly_name, updated.role_sid) == ("Alice A.", admin.sid)
    assert chat.service.users(alice.sid).fetch().friendly_name == "Alice A."
    assert chat.service.users("bob").delete() is True
    with fails(404, 20404):
        chat.service.users("bob").fetch()


@pytest.mark.parametrize("identity", ["Alice", "with a blank", "name@example.com", "Zoë-日本語-🙂"])
def test_a_user_and_a_member_are_found_by_identity(chat, identity):
    user = chat.service.users.create(identity=identity)
    assert chat.service.users(identity).fetch().sid == user.sid
    chat.channel("general")
    member = chat.service.channels("general").members.create(identity=identity)
    assert chat.service.channels("general").members(identity).fetch().sid == member.sid


def test_identities_are_case_sensitive(chat):
    assert chat.service.users.create(identity="alice").sid != chat.service.users.create(identity="Alice").sid


@pytest.mark.parametrize("name", ["general", "with a blank", "a@b", "straße-日本"])
def test_a_channel_and_its_children_are_found_by_unique_name(chat, name):
    channel = chat.channel(name)
    fetched = chat.service.channels(name).fetch()
    assert fetched.sid == channel.sid
    fetched.members.create(identity="alice")
    message = fetched.messages.create(body="by name", from_="alice")
    assert [found.sid for found in fetched.messages.list()] == [message.sid]
    assert message.channel_sid == message.to == channel.sid


def test_public_and_private_channels_are_created_listed_updated_and_deleted(chat):
    channels = chat.service.channels
    public = channels.create(unique_name="lobby", friendly_name="Lobby", attributes='{"a":1}', created_by="alice")
    private = channels.create(unique_name="vault", type="private")
    assert (public.type, public.created_by, public.attributes) == ("public", "alice", '{"a":1}')
    assert (private.type, private.created_by, private.attributes) == ("private", "system", "{}")
    assert [channel.sid for channel in channels.list()] == [public.sid], "public ones without a filter"
    assert [channel.sid for channel in channels.list(type=["private"])] == [private.sid]
    assert {channel.sid for channel in channels.list(type=["public", "private"])} == {public.sid, private.sid}
    updated = chat.service.channels("lobby").update(friendly_name="The Lobby", unique_name="foyer")
    assert (updated.sid, updated.friendly_name, updated.unique_name) == (public.sid, "The Lobby", "foyer")
    with fails(404, 20404):
        chat.service.channels("lobby").fetch()
    assert chat.service.channels("foyer").delete() is True
    with fails(404, 20404):
        chat.service.channels(public.sid).fetch()


def test_members_have_roles_and_can_be_changed_and_removed(chat):
    channel = chat.channel("general")
    members = chat.service.channels("general").members
    plain = members.create(identity="alice")
    admin_role = chat.role("channel admin").sid
    admin = members.create(identity="bob", role_sid=admin_role)
    assert plain.role_sid == chat.service.default_channel_role_sid
    assert admin.role_sid == admin_role
    assert (plain.last_consumed_message_index, plain.last_consumption_timestamp) == (None, None)
    assert {member.identity for member in members.list()} == {"alice", "bob"}
    assert [member.identity for member in members.list(identity=["bob"])] == ["bob"]
    promoted = chat.service.channels("general").members("alice").update(role_sid=admin_role, attributes='{"x":"y"}')
    assert (promoted.sid, promoted.role_sid, promoted.attributes) == (plain.sid, admin_role, '{"x":"y"}')
    assert chat.service.channels(channel.sid).fetch().members_count == 2
    assert chat.service.users("alice").fetch().joined_channels_count == 1, "a member is a user"
    assert chat.service.channels("general").members("alice").delete() is True
    with fails(404, 20404):
        chat.service.channels("general").members("alice").fetch()
    assert chat.service.channels(channel.sid).fetch().members_count == 1


def test_messages_are_sent_listed_edited_and_removed(chat):
    channel = chat.channel("general", "alice")
    messages = chat.service.channels("general").messages
    first = messages.create(body="hello", from_="alice", attributes='{"mood":"good"}')
    second = messages.create(body="from nobody")
    assert (first._from, first.body, first.attributes, first.type) == ("alice", "hello", '{"mood":"good"}', "text")
    assert (second._from, second.attributes) == ("system", "{}")
    assert (first.index, first.was_edited, first.media) == (0, False, None)
    assert second.index > first.index
    assert [message.sid for message in messages.list()] == [first.sid, second.sid]
    assert [message.sid for message in messages.list(order="desc")] == [second.sid, first.sid]
    edited = messages(first.sid).update(body="hello, world", last_updated_by="bob")
    assert (edited.body, edited.was_edited, edited.last_updated_by) == ("hello, world", True, "bob")
    assert messages(second.sid).delete() is True
    with fails(404, 20404):
        messages(second.sid).fetch()
    assert chat.service.channels(channel.sid).fetch().messages_count == 1
    third = messages.create(body="after the removal")
    assert third.index > second.index, "an index is not used twice"


def test_a_list_of_130_messages_is_paged_without_loss_or_repeat(chat):
    channel = chat.channel("general")
    for number in range(130):
        answer = chat.rest.post(f"{chat.path}/Channels/{channel.sid}/Messages", {"Body": str(number)})
        assert answer.status_code == 201, answer.text
    messages = chat.service.channels(channel.sid).messages
    expected = [str(number) for number in range(130)]
    assert [message.body for message in messages.list()] == expected
    assert [message.body for message in messages.list(page_size=7)] == expected
    assert [message.body for message in messages.list(limit=500)] == expected, (
        "a page size of 500 is clamped, not refused"
    )
    assert [message.body for message in messages.list(order="desc", page_size=60)] == expected[::-1]
    assert [message.body for message in messages.list(limit=3)] == expected[:3]
    page = messages.page(page_size=50)
    back = page.next_page().previous_page()
    assert [message.body for message in back] == expected[:50]


def test_a_list_of_120_members_is_paged_by_its_filter(chat):
    channel = chat.channel("general")
    chat.service.update(limits_channel_members=1000)
    for number in range(120):
        path = f"{chat.path}/Channels/{channel.sid}/Members"
        assert chat.rest.post(path, {"Identity": f"user {number}"}).status_code == 201
    members = chat.service.channels(channel.sid).members
    assert {member.identity for member in members.list()} == {f"user {number}" for number in range(120)}
    named = [f"user {number}" for number in range(10)]
    assert {member.identity for member in members.list(identity=named, page_size=3)} == set(named)


def test_what_is_taken_is_a_conflict_with_its_code(chat):
    chat.channel("general", "alice")
    with fails(409, 50307):
        chat.service.channels.create(unique_name="general")
    with fails(409, 50404):
        chat.service.channels("general").members.create(identity="alice")
    chat.service.users.create(identity="carol")
    with fails(409, 50201):
        chat.service.users.create(identity="carol")


def test_what_is_missing_is_20404(chat):
    with fails(404, 20404):
        chat.service.channels("nowhere").fetch()
    with fails(404, 20404):
        chat.service.channels("nowhere").messages.create(body="hello")
    with fails(404, 20404):
        chat.service.users("nobody").update(friendly_name="x")
    with fails(404, 20404):
        chat.service.roles("RL" + "0" * 32).fetch()
    chat.channel("general")
    with fails(404, 20404):
        chat.service.channels("general").members("nobody").delete()


def test_what_is_wrong_is_refused_with_its_code(chat):
    channel = chat.channel("general", "alice")
    with fails(400, 50306):
        chat.service.channels.create(unique_name="CH" + "a" * 32)
    with fails(400, 50206):
        chat.service.users.create(identity="US" + "a" * 32)
    with fails(400, 50203):
        chat.service.users.create(identity="system")
    with fails(400, 50304):
        chat.service.channels.create(attributes="{not json")
    with fails(400, 50504):
        chat.service.channels(channel.sid).messages.create(body="x" * 32_769)
    with fails(400, 50303):
        chat.service.channels("general").members("alice").update(attributes=json.dumps("x" * 4_096))
    assert chat.service.channels(channel.sid).messages.create(body="é" * 16_384).body == "é" * 16_384


def test_an_api_key_works_until_it_is_deleted(cluster, client):
    key = client.new_keys.create(friendly_name="backend")
    assert key.sid.startswith("SK") and key.secret
    assert client.keys(key.sid).fetch().friendly_name == "backend"
    assert key.sid in {listed.sid for listed in client.keys.list()}
    assert client.keys(key.sid).update(friendly_name="the backend").friendly_name == "the backend"
    with_key = twilio_client(cluster, key.sid, key.secret, cluster.account_sid)
    service = with_key.chat.v2.services.create(friendly_name="made with a key")
    assert service.account_sid == cluster.account_sid
    assert client.keys(key.sid).delete() is True
    with fails(401, 20003):
        with_key.chat.v2.services(service.sid).fetch()
    service = client.chat.v2.services(service.sid)
    assert service.delete() is True


def test_wrong_credentials_are_20003(cluster):
    with fails(401, 20003):
        twilio_client(cluster, password="wrong").chat.v2.services.create(friendly_name="x")


def test_tokens_minted_by_the_library_open_the_rest_door_too(chat):
    chat.channel("general", "alice")
    with chat.bearer("alice").http as door:
        answer = door.get(f"{chat.path}/Channels/general")
    assert answer.status_code == httpx.codes.OK, answer.text
    assert answer.json()["unique_name"] == "general"
