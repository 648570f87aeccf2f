"""All operations of Chat v2 through both of Twilio's libraries; every raw answer held against the published schema."""

import asyncio
import datetime
import json

import pytest

from harness.chat import twilio_client
from harness.node import ROOT
from harness.rest import Rest
from harness.witness import Witness

# The databases differ; how the roles are spread over processes makes no difference to these answers.
pytestmark = pytest.mark.topologies("embedded", "cluster")

LONG_AGO = datetime.datetime(2016, 3, 24, 21, 5, 50, tzinfo=datetime.timezone.utc)
NAME = "a channel @ Zürich-日本-🙂"
BOB = "bob @ Zürich-日本-🙂"
OPERATIONS = 54


@pytest.fixture
def witness(cluster):
    made = Witness(cluster.api)
    yield made
    made.close()


def test_python_passes_through_every_operation(cluster, witness, published):
    chat = twilio_client(cluster, url=witness.url).chat.v2
    service = furnished_service(chat)
    channel = channel_in(service)
    users_and_roles(service)
    members_of(service, channel)
    messages_of(service, channel)
    invites_of(service)
    webhooks_of(service)
    credential = credentials_of(chat)
    bindings_of(service, bindings_made(cluster, service.sid, credential.sid))
    user_channels_of(service, channel)
    the_end(chat, service, credential)
    hold_against(published, witness)


async def test_node_passes_through_every_operation(cluster, witness, published):
    walk = await asyncio.create_subprocess_exec(
        "node",
        str(ROOT / "tests" / "node" / "operations.mjs"),
        json.dumps({"url": witness.url, "accountSid": cluster.account_sid, "authToken": cluster.auth_token}),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(walk.communicate(), 60)
    assert walk.returncode == 0, said.decode()
    hold_against(published, witness)


def hold_against(published, witness):
    """Every answer is as published, every URL in it led somewhere, and no operation was left out."""
    assert len(published.operations) == OPERATIONS
    seen, followed = set(), 0
    for exchange in witness.exchanges:
        if "/Users/" in exchange.url and exchange.method == "POST" and exchange.url.endswith("/Bindings"):
            continue  # Our own: Twilio left it to its SDKs.
        if exchange.followed:
            assert exchange.status == 200, f"{exchange.url} stood in an answer and is {exchange.status}"
            followed += 1
            if exchange.url.endswith("/OperatorPools"):
                continue  # Our own.
        operation = published.check_answer(exchange.method, exchange.url, exchange.status, exchange.body)
        if not exchange.followed:
            seen.add(operation)
    missing = set(published.operations) - seen
    assert not missing, f"not called: {sorted(missing)}"
    assert followed > OPERATIONS


# --- the walk in Python


def furnished_service(chat):
    made = chat.services.create(friendly_name="every operation")
    roles = {role.friendly_name: role.sid for role in made.roles.list()}
    updated = chat.services(made.sid).update(
        friendly_name="Every Operation",
        default_service_role_sid=roles["service user"],
        default_channel_role_sid=roles["channel user"],
        default_channel_creator_role_sid=roles["channel admin"],
        read_status_enabled=False,
        reachability_enabled=True,
        typing_indicator_timeout=7,
        consumption_report_interval=11,
        notifications_new_message_enabled=True,
        notifications_new_message_template="${USER}: ${MESSAGE}",
        notifications_new_message_sound="ding",
        notifications_new_message_badge_count_enabled=True,
        notifications_added_to_channel_enabled=True,
        notifications_added_to_channel_template="added to ${CHANNEL}",
        notifications_added_to_channel_sound="dong",
        notifications_removed_from_channel_enabled=True,
        notifications_removed_from_channel_template="removed from ${CHANNEL}",
        notifications_removed_from_channel_sound="gong",
        notifications_invited_to_channel_enabled=True,
        notifications_invited_to_channel_template="invited to ${CHANNEL}",
        notifications_invited_to_channel_sound="bell",
        pre_webhook_url="http://127.0.0.1:9/pre",
        post_webhook_url="http://127.0.0.1:9/post",
        webhook_method="POST",
        webhook_filters=["onMessageSent", "onChannelAdded"],
        limits_channel_members=500,
        limits_user_channels=400,
        media_compatibility_message="a picture was sent",
        pre_webhook_retry_count=1,
        post_webhook_retry_count=2,
        notifications_log_enabled=True,
    )
    service = chat.services(made.sid).fetch()
    for shown in (updated, service):
        assert shown.friendly_name == "Every Operation"
        assert (shown.read_status_enabled, shown.reachability_enabled) == (False, True)
        assert (shown.typing_indicator_timeout, shown.consumption_report_interval) == (7, 11)
        assert shown.limits == {"channel_members": 500, "user_channels": 400}
        assert (shown.pre_webhook_url, shown.post_webhook_url) == ("http://127.0.0.1:9/pre", "http://127.0.0.1:9/post")
        assert (shown.webhook_method, sorted(shown.webhook_filters)) == ("POST", ["onChannelAdded", "onMessageSent"])
        assert (shown.pre_webhook_retry_count, shown.post_webhook_retry_count) == (1, 2)
        assert shown.media["compatibility_message"] == "a picture was sent"
        assert shown.notifications == {
            "log_enabled": True,
            "new_message": {
                "enabled": True,
                "template": "${USER}: ${MESSAGE}",
                "sound": "ding",
                "badge_count_enabled": True,
            },
            "added_to_channel": {"enabled": True, "template": "added to ${CHANNEL}", "sound": "dong"},
            "removed_from_channel": {"enabled": True, "template": "removed from ${CHANNEL}", "sound": "gong"},
            "invited_to_channel": {"enabled": True, "template": "invited to ${CHANNEL}", "sound": "bell"},
        }
    chat.services(made.sid).update(pre_webhook_url="", post_webhook_url="", webhook_filters=[""])
    assert made.sid in {listed.sid for listed in chat.services.list(limit=200)}
    return service


def channel_in(service):
    plain = service.channels.create()
    assert (plain.friendly_name, plain.unique_name, plain.attributes) == (None, None, "{}")
    assert (plain.type, plain.created_by) == ("public", "system")
    imported = service.channels.create(
        x_twilio_webhook_enabled="true",
        friendly_name="Imported",
        unique_name="imported",
        attributes='{"a": {"b": [1, null]}}',
        type="private",
        date_created=LONG_AGO,
        date_updated=LONG_AGO,
        created_by="alice",
    )
    assert (imported.date_created, imported.date_updated, imported.created_by) == (LONG_AGO, LONG_AGO, "alice")
    later = LONG_AGO + datetime.timedelta(days=1)
    channel = service.channels("imported").update(
        x_twilio_webhook_enabled="false",
        friendly_name="A channel",
        unique_name=NAME,
        attributes='{"a": 2}',
        date_created=later,
        date_updated=later,
        created_by="carol",
    )
    assert (channel.unique_name, channel.attributes, channel.type) == (NAME, '{"a": 2}', "private")
    assert (channel.date_created, channel.date_updated, channel.created_by) == (later, later, "carol")
    assert service.channels(NAME).fetch().sid == channel.sid
    assert {listed.sid for listed in service.channels.list(type=["public", "private"])} == {plain.sid, channel.sid}
    assert service.channels(plain.sid).delete(x_twilio_webhook_enabled="true") is True
    return channel


def users_and_roles(service):
    role = service.roles.create(friendly_name="sender", type="channel", permission=["sendMessage", "leaveChannel"])
    assert (role.type, sorted(role.permissions)) == ("channel", ["leaveChannel", "sendMessage"])
    replaced = service.roles(role.sid).update(permission=["sendMessage"])
    assert service.roles(role.sid).fetch().permissions == replaced.permissions == ["sendMessage"]
    assert role.sid in {listed.sid for listed in service.roles.list()}
    deployment = service.roles.create(friendly_name="joiner", type="deployment", permission=["joinChannel"])
    alice = service.users.create(
        identity="alice",
        x_twilio_webhook_enabled="true",
        role_sid=deployment.sid,
        attributes='{"team": "red"}',
        friendly_name="Alice",
    )
    assert (alice.role_sid, alice.attributes, alice.joined_channels_count) == (deployment.sid, '{"team": "red"}', 0)
    bob = service.users.create(identity=BOB)
    updated = service.users(BOB).update(
        x_twilio_webhook_enabled="true", role_sid=deployment.sid, attributes='"text"', friendly_name="Bob"
    )
    assert (updated.sid, updated.friendly_name, updated.attributes) == (bob.sid, "Bob", '"text"')
    assert service.users(BOB).fetch().sid == service.users(bob.sid).fetch().sid == bob.sid
    assert [listed.sid for listed in service.users.list()] == [alice.sid, bob.sid]


def members_of(service, channel):
    members = service.channels(NAME).members
    role = next(role.sid for role in service.roles.list() if role.friendly_name == "channel admin")
    carol = members.create(identity="carol")
    imported = members.create(
        identity=BOB,
        x_twilio_webhook_enabled="true",
        role_sid=role,
        last_consumed_message_index=0,
        last_consumption_timestamp=LONG_AGO,
        date_created=LONG_AGO,
        date_updated=LONG_AGO,
        attributes='{"mute": false}',
    )
    assert (imported.role_sid, imported.last_consumed_message_index) == (role, 0)
    assert (imported.last_consumption_timestamp, imported.date_created) == (LONG_AGO, LONG_AGO)
    assert imported.channel_sid == channel.sid
    updated = members(BOB).update(
        x_twilio_webhook_enabled="true",
        role_sid=role,
        last_consumed_message_index=0,
        last_consumption_timestamp=LONG_AGO + datetime.timedelta(hours=1),
        date_created=LONG_AGO,
        date_updated=LONG_AGO,
        attributes='{"mute": true}',
    )
    assert (updated.sid, updated.attributes) == (imported.sid, '{"mute": true}')
    assert members(imported.sid).fetch().identity == BOB
    assert [listed.sid for listed in members.list(identity=[BOB])] == [imported.sid]
    assert members("carol").delete(x_twilio_webhook_enabled="true") is True
    assert [listed.sid for listed in members.list()] == [imported.sid] != [carol.sid]


def messages_of(service, channel):
    messages = service.channels(NAME).messages
    plain = messages.create(body="hello")
    assert (plain._from, plain.body, plain.attributes, plain.index) == ("system", "hello", "{}", 0)
    imported = messages.create(
        x_twilio_webhook_enabled="true",
        from_=BOB,
        attributes='{"mood": "good"}',
        date_created=LONG_AGO,
        date_updated=LONG_AGO,
        last_updated_by="carol",
        body="imported",
    )
    assert (imported._from, imported.last_updated_by, imported.was_edited) == (BOB, "carol", True)
    assert (imported.date_created, imported.to, imported.index) == (LONG_AGO, channel.sid, 1)
    updated = messages(imported.sid).update(
        x_twilio_webhook_enabled="true",
        body="edited",
        attributes="{}",
        date_created=LONG_AGO,
        date_updated=LONG_AGO,
        last_updated_by="dave",
        from_="carol",
    )
    assert (updated.body, updated._from, updated.last_updated_by) == ("edited", "carol", "dave")
    assert messages(imported.sid).fetch().body == "edited"
    assert [listed.sid for listed in messages.list(order="desc")] == [imported.sid, plain.sid]
    assert messages(plain.sid).delete(x_twilio_webhook_enabled="true") is True


def invites_of(service):
    invites = service.channels(NAME).invites
    role = next(role.sid for role in service.roles.list() if role.friendly_name == "channel admin")
    service.users.create(identity="erin @ home")
    invite = invites.create(identity="erin @ home", role_sid=role)
    plain = invites.create(identity="carol")
    assert (invite.identity, invite.role_sid, invite.created_by) == ("erin @ home", role, "system")
    assert plain.role_sid == service.default_channel_role_sid
    assert invites(invite.sid).fetch().identity == "erin @ home"
    assert [listed.sid for listed in invites.list(identity=["erin @ home"])] == [invite.sid]
    assert {listed.sid for listed in invites.list()} == {invite.sid, plain.sid}
    assert invites(plain.sid).delete() is True


def webhooks_of(service):
    webhooks = service.channels(NAME).webhooks
    hook = webhooks.create(
        type="webhook",
        configuration_url="http://127.0.0.1:9/hook",
        configuration_method="GET",
        configuration_filters=["onMessageSent", "onMemberAdded"],
        configuration_retry_count=3,
    )
    assert (hook.type, hook.configuration["url"], hook.configuration["method"]) == (
        "webhook",
        "http://127.0.0.1:9/hook",
        "GET",
    )
    assert sorted(hook.configuration["filters"]) == ["onMemberAdded", "onMessageSent"]
    assert hook.configuration["retry_count"] == 3
    trigger = webhooks.create(
        type="trigger",
        configuration_url="http://127.0.0.1:9/trigger",
        configuration_method="POST",
        configuration_triggers=["help", "stop"],
    )
    assert sorted(trigger.configuration["filters"]) == sorted(trigger.configuration["triggers"]) == ["help", "stop"]
    studio = webhooks.create(type="studio", configuration_flow_sid="FW" + "a" * 32)
    assert studio.configuration["flow_sid"] == "FW" + "a" * 32
    updated = webhooks(hook.sid).update(
        configuration_url="http://127.0.0.1:9/other",
        configuration_method="POST",
        configuration_filters=["onMessageRemoved"],
        configuration_retry_count=0,
    )
    assert (updated.configuration["url"], updated.configuration["filters"]) == (
        "http://127.0.0.1:9/other",
        ["onMessageRemoved"],
    )
    webhooks(trigger.sid).update(configuration_triggers=["help"])
    webhooks(studio.sid).update(configuration_flow_sid="FW" + "b" * 32)
    assert webhooks(trigger.sid).fetch().configuration["triggers"] == ["help"]
    assert webhooks(studio.sid).fetch().configuration["flow_sid"] == "FW" + "b" * 32
    assert {listed.sid for listed in webhooks.list()} == {hook.sid, trigger.sid, studio.sid}
    assert webhooks(studio.sid).delete() is True


def credentials_of(chat):
    fcm = chat.credentials.create(type="fcm", friendly_name="fcm", secret="a secret")
    gcm = chat.credentials.create(type="gcm", friendly_name="gcm", api_key="a key")
    apn = chat.credentials.create(
        type="apn", friendly_name="apn", certificate="a certificate", private_key="a private key", sandbox=True
    )
    assert (fcm.type, gcm.type, apn.type) == ("fcm", "gcm", "apn")
    assert apn.sandbox == "True"
    chat.credentials(gcm.sid).update(friendly_name="gcm 2", api_key="another key")
    renewed = chat.credentials(apn.sid).update(
        friendly_name="apn 2", certificate="another", private_key="another", sandbox=False
    )
    assert (renewed.friendly_name, renewed.sandbox) == ("apn 2", "False")
    assert chat.credentials(fcm.sid).update(friendly_name="fcm 2", secret="another").friendly_name == "fcm 2"
    assert chat.credentials(fcm.sid).fetch().friendly_name == "fcm 2"
    assert {fcm.sid, gcm.sid, apn.sid} <= {listed.sid for listed in chat.credentials.list(limit=1000)}
    assert chat.credentials(gcm.sid).delete() is True
    assert chat.credentials(apn.sid).delete() is True
    return fcm


def bindings_made(cluster, service_sid, credential_sid):
    """The SDKs' part: Twilio has no operation that registers a device, so it is our own, over plain HTTP."""
    rest = Rest(cluster.api, (cluster.account_sid, cluster.auth_token))
    made = []
    for number in range(2):
        answer = rest.post(
            f"/v2/Services/{service_sid}/Users/alice/Bindings",
            {
                "BindingType": "fcm",
                "Endpoint": f"device {number}",
                "Address": f"token {number}",
                "CredentialSid": credential_sid,
                "MessageTypes": ["new_message", "added_to_channel"],
            },
        )
        assert answer.status_code == 201, answer.text
        made.append(answer.json()["sid"])
    rest.close()
    return made


def bindings_of(service, made):
    alice = service.users("alice").fetch()
    first, second = made
    found = service.bindings(first).fetch()
    assert (found.identity, found.binding_type, found.endpoint) == ("alice", "fcm", "device 0")
    assert sorted(found.message_types) == ["added_to_channel", "new_message"]
    listed = service.bindings.list(binding_type=["fcm", "apn"], identity=["alice", "nobody"])
    assert [binding.sid for binding in listed] == made
    assert service.bindings.list(binding_type=["apn"]) == []
    own = service.users(alice.sid).user_bindings
    assert (own(first).fetch().user_sid, own(first).fetch().identity) == (alice.sid, "alice")
    assert [binding.sid for binding in own.list(binding_type=["fcm"])] == made
    assert own(first).delete() is True
    assert service.bindings(second).delete() is True
    assert own.list() == []


def user_channels_of(service, channel):
    channels = service.users(BOB).user_channels
    sid = service.users(BOB).fetch().sid
    found = channels(NAME).fetch()
    member = service.channels(NAME).members(BOB).fetch()
    assert (found.channel_sid, found.user_sid, found.member_sid) == (channel.sid, sid, member.sid)
    assert (found.status, found.notification_level) == ("joined", "default")
    updated = channels(channel.sid).update(
        notification_level="muted", last_consumed_message_index=1, last_consumption_timestamp=LONG_AGO
    )
    assert (updated.notification_level, updated.last_consumed_message_index) == ("muted", 1)
    assert updated.unread_messages_count == 0
    assert [listed.channel_sid for listed in channels.list()] == [channel.sid]
    [invited] = service.users("erin @ home").user_channels.list()
    assert (invited.status, invited.channel_sid) == ("invited", channel.sid)
    assert channels(NAME).delete(x_twilio_webhook_enabled="true") is True
    assert channels.list() == []


def the_end(chat, service, credential):
    spare = service.roles.create(friendly_name="spare", type="channel", permission=["sendMessage"])
    assert service.roles(spare.sid).delete() is True
    assert service.users(BOB).delete() is True
    assert chat.credentials(credential.sid).delete() is True
    assert chat.services(service.sid).delete() is True
