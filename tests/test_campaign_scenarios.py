"""A start-up's chat, acted out: users of an app, a dashboard with its operators, campaigns to audiences, cases that are
opened by replies and closed again, and webhooks for analytics. The backend speaks through the Twilio library where that
has words for it, and REST elsewhere; everybody else has a real socket."""

import json

import pytest
from twilio.base.exceptions import TwilioRestException

from harness.waiting import eventually

pytestmark = pytest.mark.topologies("embedded", "cluster", "two-gateways")

DASHBOARD = "dash-1"
APP_USERS = {
    "alice": {"city": "Lyon", "name": "Alice"},
    "bob": {"city": "Lyon", "name": "Bob"},
    "carla": {"city": "Rome"},
    "dave": {"city": "Lyon"},
}


class Backend:
    """What the start-up's own server does."""

    def __init__(self, chat):
        self.chat, self.rest = chat, chat.rest

    def posts(self, path, form, status=201, **headers):
        answer = self.rest.post(f"{self.chat.path}/{path}", form, **headers)
        assert answer.status_code == status, f"{path}: {answer.text}"
        return answer.json()

    def gets(self, path, **query):
        answer = self.rest.get(f"{self.chat.path}/{path}", **query)
        assert answer.status_code == 200, f"{path}: {answer.text}"
        return answer.json()

    def signs_up_users(self):
        for identity, attributes in APP_USERS.items():
            self.chat.service.users.create(
                identity=identity, friendly_name=identity.title(), attributes=json.dumps(attributes)
            )

    def channel_of(self, name, members, **attributes):
        """Find, or else create: as the library's users have always done it."""
        channels = self.chat.service.channels
        try:
            return channels(name).fetch()
        except TwilioRestException as error:
            assert error.status == 404
        channel = channels.create(unique_name=name, type="private", attributes=json.dumps(attributes))
        for identity in members:
            channels(channel.sid).members.create(identity=identity)
        return channel

    def audience(self, name, **parts):
        return self.posts("Audiences", {"FriendlyName": name, **parts})

    def campaign(self, **parts):
        return self.posts("Campaigns", parts)

    def starts(self, campaign, **headers):
        return self.posts(f"Campaigns/{campaign['sid']}", {"Status": "running"}, status=200, **headers)

    def progress(self, campaign):
        return self.gets(f"Campaigns/{campaign['sid']}")

    async def has_completed(self, campaign):
        def completed():
            now = self.progress(campaign)
            counts = dict(now["counts"])
            assert counts.pop("total") == sum(counts.values()), "each recipient counts once"
            return now["status"] == "completed" and now

        return await eventually(completed, 30, f"{campaign['sid']} is completed")

    def recipients(self, campaign, **filters):
        found = self.gets(f"Campaigns/{campaign['sid']}/Recipients", **filters)["recipients"]
        return {recipient["identity"]: recipient for recipient in found}

    async def recipient_is(self, campaign, identity, status):
        return await eventually(
            lambda: (now := self.recipients(campaign)[identity])["status"] == status and now,
            15,
            f"{identity} is {status}; now: {self.recipients(campaign)[identity]}",
        )


@pytest.fixture
def backend(chat):
    made = Backend(chat)
    made.signs_up_users()
    return made


@pytest.fixture
def pool(chat, backend):
    """Two operators share the dashboard; what a user writes opens a case there."""
    operators = json.dumps(["olga", "oscar"])
    made = backend.posts("OperatorPools", {"FriendlyName": DASHBOARD, "Identities": operators})
    changed = chat.rest.post(chat.path, {"CaseRules": json.dumps({"pool_sid": made["sid"]})})
    assert changed.status_code == 200, changed.text
    return made


async def test_users_talk_to_each_other(chat, backend):
    name = ":".join(sorted(["bob", "alice"]))
    channel = backend.channel_of(name, ["alice", "bob"])
    assert backend.channel_of(name, ["alice", "bob"]).sid == channel.sid
    alice, bob = await chat.person("alice"), await chat.person("bob")
    await alice.sends(name, "hi Bob")
    await bob.receives("messageAdded", body="hi Bob", identity="alice")
    await bob.sends(name, "hi Alice")
    await alice.receives("messageAdded", body="hi Alice", identity="bob")
    assert [message.body for message in chat.messages_of(channel.sid)] == ["hi Bob", "hi Alice"]


async def test_a_user_and_a_dashboard(chat, backend, pool, receiver):
    events = ["onMessageSent", "onChannelStateUpdated"]
    chat.service.update(post_webhook_url=receiver.url, webhook_filters=events)
    channel = backend.channel_of(f"alice:{DASHBOARD}", ["alice"], dashboard_uuid=DASHBOARD, topic="billing")
    alice, olga, oscar = [await chat.person(identity) for identity in ("alice", "olga", "oscar")]

    # The user writes: a case is open, and the dashboard hears of it without being a member.
    asked = await alice.sends(channel.sid, "my invoice is wrong")
    for operator in (olga, oscar):
        opened = await operator.receives("channelUpdated", channel_sid=channel.sid, state="open", pool_sid=pool["sid"])
        heard = await operator.receives("messageAdded", channel_sid=channel.sid, sid=asked["sid"])
        assert heard["seq"] == opened["seq"] + 1
    assert backend.gets(f"Channels/{channel.sid}")["members_count"] == 1
    [told] = await receiver.gets("onChannelStateUpdated", ChannelSid=channel.sid)
    assert told["State"] == "open"
    await receiver.gets("onMessageSent", MessageSid=asked["sid"])

    # The dashboard finds it, somebody takes it, and answers.
    [case] = (await olga.asks("getDesk", pool=pool["sid"], state="open"))["channels"]
    assert (case["sid"], case["state"], case["assignee"]) == (channel.sid, "open", None)
    await olga.asks("updateChannel", channel=channel.sid, assignee="olga")
    await oscar.receives("channelUpdated", channel_sid=channel.sid, assignee="olga")
    await olga.sends(channel.sid, "we look into it")
    await alice.receives("messageAdded", body="we look into it", identity="olga")
    await oscar.receives("messageAdded", body="we look into it", identity="olga")
    mine = backend.gets(f"OperatorPools/{pool['sid']}/Channels", Assignee="olga")["channels"]
    assert [entry["sid"] for entry in mine] == [channel.sid]

    # Done: the case is closed, the dashboard is out, what was said stays.
    closed = backend.posts(f"Channels/{channel.sid}", {"State": "closed"}, status=200, x_twilio_webhook_enabled="true")
    assert (closed["state"], closed["pool_sid"], closed["assignee"]) == ("closed", None, None)
    await olga.receives("channelUpdated", channel_sid=channel.sid, state="closed")
    await receiver.gets("onChannelStateUpdated", ChannelSid=channel.sid, State="closed")
    await olga.is_refused("sendMessage", channel=channel.sid, body="still there?", status=403)
    assert (await olga.asks("getDesk", pool=pool["sid"]))["channels"] == []
    assert [message.body for message in chat.messages_of(channel.sid)] == ["my invoice is wrong", "we look into it"]

    # The user comes back to it.
    await alice.sends(channel.sid, "thank you")
    await oscar.receives("channelUpdated", channel_sid=channel.sid, state="open")
    await oscar.receives("messageAdded", body="thank you")
    await receiver.gets("onChannelStateUpdated", count=2, ChannelSid=channel.sid, State="open")


async def test_a_dashboard_writes_to_one_user_first(chat, backend, pool):
    channel = backend.channel_of(f"bob:{DASHBOARD}", ["bob"], dashboard_uuid=DASHBOARD)
    bob, olga = await chat.person("bob"), await chat.person("olga")
    opened = backend.posts(f"Channels/{channel.sid}", {"State": "open", "PoolSid": pool["sid"]}, status=200)
    assert opened["pool_sid"] == pool["sid"]
    await olga.receives("channelUpdated", channel_sid=channel.sid, state="open")
    await olga.sends(channel.sid, "good morning, Bob")
    await bob.receives("messageAdded", body="good morning, Bob", identity="olga")
    await bob.sends(channel.sid, "good morning")
    await olga.receives("messageAdded", body="good morning", identity="bob")


async def test_campaign_a_is_one_group_channel(chat, backend):
    audience = backend.audience("people in Lyon", Filter=json.dumps({"attributes.city": "Lyon"}))
    preview = backend.gets(f"Audiences/{audience['sid']}/Preview")
    assert preview["count"] == 3
    alice, carla = await chat.person("alice"), await chat.person("carla")
    campaign = backend.campaign(
        Mode="group",
        AudienceSid=audience["sid"],
        ChannelUniqueName="lyon",
        From="the-mayor",
        Body="Welcome, all of you",
    )
    assert (campaign["status"], campaign["counts"]["total"]) == ("draft", 0)
    backend.starts(campaign)
    done = await backend.has_completed(campaign)
    assert (done["counts"]["total"], done["counts"]["failed"], done["counts"]["skipped"]) == (3, 0, 0)
    members = chat.service.channels("lyon").members.list()
    assert sorted(member.identity for member in members) == ["alice", "bob", "dave"], "From is no member"
    heard = await alice.receives("messageAdded", body="Welcome, all of you", identity="the-mayor")
    await alice.sends("lyon", "merci")
    assert [message.body for message in chat.messages_of(heard["channel_sid"])] == ["Welcome, all of you", "merci"]
    assert carla.all_heard("messageAdded") == []


async def test_campaign_b_is_a_channel_for_each_and_a_reply_opens_the_case(chat, backend, pool, receiver):
    with_webhooks = {"x_twilio_webhook_enabled": "true"}
    events = ["onMessageSent", "onChannelAdded", "onChannelStateUpdated", "onCampaignUpdated"]
    chat.service.update(post_webhook_url=receiver.url, webhook_filters=events)
    # Bob has talked to the dashboard before: his channel is found, not made.
    before = backend.channel_of(f"bob:{DASHBOARD}", ["bob"])
    audience = backend.audience("some", Identities=json.dumps(["bob", "alice", "dave", "alice"]))
    campaign = backend.campaign(
        Mode="individual",
        AudienceSid=audience["sid"],
        ChannelUniqueName="{{user.identity}}:" + DASHBOARD,
        From=DASHBOARD,
        Body="Dear {{ user.attributes.name | customer }}, how was it?",
        AttachPool=pool["sid"],
    )
    alice, olga = await chat.person("alice"), await chat.person("olga")
    backend.starts(campaign, **with_webhooks)
    done = await backend.has_completed(campaign)
    assert (done["counts"]["total"], done["counts"]["failed"]) == (3, 0)
    assert done["date_started"] and done["date_completed"]

    recipients = backend.recipients(campaign)
    assert recipients["bob"]["channel_sid"] == before.sid
    for identity, name in (("alice", "Alice"), ("bob", "Bob"), ("dave", "customer")):
        channel = chat.service.channels(f"{identity}:{DASHBOARD}").fetch()
        assert recipients[identity]["channel_sid"] == channel.sid
        assert [member.identity for member in chat.service.channels(channel.sid).members.list()] == [identity]
        [message] = chat.messages_of(channel.sid)
        assert (message.sid, message.body) == (recipients[identity]["message_sid"], f"Dear {name}, how was it?")
    statuses = {request["Status"] for request in await receiver.gets("onCampaignUpdated", 2, CampaignSid=done["sid"])}
    assert statuses == {"running", "completed"}
    await receiver.gets("onMessageSent", count=3, From=DASHBOARD)
    await olga.receives("campaignUpdated", within=10, campaign={"sid": done["sid"], "status": "completed"})

    # She was there: it was delivered. She reads it, then replies: the case is open, at the campaign's pool.
    heard = await alice.receives("messageAdded", body="Dear Alice, how was it?")
    channel = heard["channel_sid"]
    await backend.recipient_is(campaign, "alice", "delivered")
    assert olga.all_heard("messageAdded", channel_sid=channel) == [], "nobody attends to it yet"
    await alice.asks("setLastConsumedMessageIndex", channel=channel, index=0)
    await backend.recipient_is(campaign, "alice", "read")
    await alice.sends(channel, "lovely")
    await olga.receives("channelUpdated", channel_sid=channel, state="open", pool_sid=pool["sid"])
    await olga.receives("messageAdded", channel_sid=channel, body="lovely")
    await backend.recipient_is(campaign, "alice", "replied")
    counts = backend.progress(campaign)["counts"]
    assert (counts["replied"], counts["sent"], counts["total"]) == (1, 2, 3)
    await olga.sends(channel, "glad to hear")
    await alice.receives("messageAdded", body="glad to hear")
    backend.posts(f"Channels/{channel}", {"State": "closed"}, status=200)
    await olga.receives("channelUpdated", channel_sid=channel, state="closed")

    exported = backend.rest.get(f"{chat.path}/Campaigns/{campaign['sid']}/Export")
    assert exported.headers["content-type"].startswith("text/csv")
    assert len(exported.text.splitlines()) == 4 and "alice,replied" in exported.text


async def test_campaign_c_is_one_way(chat, backend):
    carla = await chat.person("carla")
    campaign = backend.campaign(
        Mode="broadcast",
        Via="chat",
        Identities=json.dumps(["carla", "bob"]),
        From="news",
        Body="We are closed on Sunday",
    )
    backend.starts(campaign)
    done = await backend.has_completed(campaign)
    assert done["counts"]["total"] == 2
    heard = await carla.receives("messageAdded", body="We are closed on Sunday", identity="news")
    await carla.is_refused("sendMessage", channel=heard["channel_sid"], body="why?", status=403)
    channels = {recipient["channel_sid"] for recipient in backend.recipients(campaign).values()}
    assert channels == {heard["channel_sid"]}


async def test_the_same_without_a_campaign(chat, backend):
    dave = await chat.person("dave")
    broadcast = backend.posts(
        "Broadcasts",
        {"Identities": json.dumps(["dave", "nobody-yet"]), "From": "news", "Body": "Hello {{user.identity}}"},
    )
    await dave.receives("messageAdded", body="Hello dave", identity="news")
    done = await eventually(
        lambda: (now := backend.gets(f"Broadcasts/{broadcast['sid']}"))["status"] == "completed" and now,
        because="the broadcast is completed",
    )
    assert done["counts"]["total"] == 2 and done["counts"]["failed"] == 0


async def test_a_field_that_is_missing_keeps_a_campaign_from_starting(chat, backend):
    campaign = backend.campaign(
        Mode="individual", Identities=json.dumps(["alice", "carla"]), Body="Dear {{user.attributes.name}}"
    )
    refused = chat.rest.post(f"{chat.path}/Campaigns/{campaign['sid']}", {"Status": "running"})
    assert refused.status_code == 400 and "user.attributes.name" in refused.json()["message"], refused.text
    assert backend.progress(campaign)["status"] == "draft"
    backend.posts(f"Campaigns/{campaign['sid']}", {"Body": "Dear {{user.attributes.name|customer}}"}, status=200)
    backend.starts(campaign)
    assert (await backend.has_completed(campaign))["counts"]["failed"] == 0
