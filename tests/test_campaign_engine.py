"""Campaigns are carried out: everybody gets the message once, whatever happens on the way, and what becomes of it is
known."""

import asyncio
import collections
import datetime
import json
import time

import pytest

from harness.campaigns import Campaigns
from harness.chat import Chat
from harness.cluster import Tenant, running
from harness.store import as_uuid, rows, uuid_of
from harness.valve import valve
from harness.waiting import eventually

pytestmark = pytest.mark.topologies("embedded", "cluster", "split")


@pytest.fixture
def campaigns(chat):
    return Campaigns(chat)


def crowd(count, name="user"):
    return [f"{name}-{number:05}" for number in range(count)]


def channels_of(chat, campaign):
    """Name, members, messages, next index and last seq of each channel that the campaign went into."""
    return rows(
        chat.cluster,
        "SELECT unique_name, members_count, messages_count, next_index, last_seq, id FROM channels "
        "WHERE service_id = ? AND campaign_id = ?",
        uuid_of(chat.sid),
        uuid_of(campaign.sid),
    )


def everybody_has_one(chat, campaign, identities):
    """Each has one channel with one membership and one message; nobody else has any. Looked up row by row."""
    service = uuid_of(chat.sid)
    channels = channels_of(chat, campaign)
    assert len(channels) == len(identities)
    assert {name for name, *_ in channels} == {f"{campaign.sid}:{identity}" for identity in identities}
    assert {tuple(counters) for _, *counters, _ in channels} == {(1, 1, 1, 3)}
    members = rows(chat.cluster, "SELECT identity FROM members WHERE service_id = ?", service)
    assert collections.Counter(identity for (identity,) in members) == collections.Counter(identities)
    messages = rows(chat.cluster, "SELECT channel_id, seq, body FROM messages WHERE service_id = ?", service)
    assert sorted(body for _, _, body in messages) == sorted(f"Hello {identity}" for identity in identities)
    assert {seq for _, seq, _ in messages} == {3}
    assert {as_uuid(channel) for channel, *_ in messages} == {as_uuid(id) for *_, id in channels}
    events = rows(chat.cluster, "SELECT kind, seq FROM channel_events WHERE service_id = ?", service)
    expected = {("channelAdded", 1): len(identities), ("memberJoined", 2): len(identities)}
    assert collections.Counter(events) == collections.Counter(expected)
    joined = rows(chat.cluster, "SELECT joined_channels_count FROM users WHERE service_id = ?", service)
    assert [count for (count,) in joined] == [1] * len(identities)


async def test_everybody_gets_a_channel_and_a_message(chat, campaigns):
    identities = crowd(600)
    campaign = campaigns.start(identities)
    ended = await campaign.ends()
    assert ended["counts"]["sent"] == 600 and ended["date_started"] and ended["date_completed"]
    everybody_has_one(chat, campaign, identities)
    recipients = campaign.recipients()
    assert set(recipients) == set(identities)
    one = recipients["user-00321"]
    message = chat.service.channels(one["channel_sid"]).messages(one["message_sid"]).fetch()
    assert (message.body, message._from, message.index) == ("Hello user-00321", "system", 0)
    assert chat.service.channels(one["channel_sid"]).fetch().type == "private"
    members = chat.service.channels(one["channel_sid"]).members.list()
    assert [member.identity for member in members] == ["user-00321"]
    stream = chat.rest.get(f"{chat.path}/Events", Limit=10).json()
    assert stream["events"]


async def test_channels_that_are_there_are_found_and_one_bad_recipient_fails_alone(chat, campaigns):
    for identity, city in {"ann": "Lyon", "ben": None, "cat": "Rome"}.items():
        attributes = json.dumps({"city": city} if city else {})
        chat.service.users.create(identity=identity, friendly_name=identity.title(), attributes=attributes)
    known = chat.channel("talk:ann", "ann", "operator", type="private")
    chat.service.channels(known.sid).messages.create(body="before", from_="operator")
    parts = {
        "ChannelUniqueName": "talk:{{user.identity}}",
        "From": "shop",
        "body": "From {{user.attributes.city|nowhere}}",
        "Attributes": '{"city": "{{user.attributes.city|-}}"}',
    }
    first = campaigns.start(["ann", "ben", "cat"], **parts)
    assert (await first.ends())["counts"]["sent"] == 3
    found = first.recipients()
    assert found["ann"]["channel_sid"] == known.sid
    messages = chat.messages_of(known.sid)
    assert [(message.index, message.body, message._from) for message in messages] == [
        (0, "before", "operator"),
        (1, "From Lyon", "shop"),
    ]
    assert json.loads(messages[1].attributes) == {"city": "Lyon"}
    channel = chat.service.channels(found["ben"]["channel_sid"]).fetch()
    assert (channel.unique_name, channel.created_by) == ("talk:ben", "shop")
    # A second one finds all of them.
    chat.service.update(limits_user_channels=1)
    second = campaigns.start(["ann", "ben", "cat"], ChannelUniqueName="talk:{{user.identity}}", body="again")
    assert (await second.ends())["counts"]["sent"] == 3
    assert {name: one["channel_sid"] for name, one in second.recipients().items()} == {
        name: one["channel_sid"] for name, one in found.items()
    }
    # And a third one cannot let anybody into a further channel, but for a user who is in none.
    third = campaigns.start(["ann", "ben", "new"], body="once more")
    ended = await third.ends()
    assert (ended["counts"]["sent"], ended["counts"]["failed"]) == (1, 2)
    assert "limit" in third.recipients(Status="failed")["ann"]["error"]


async def test_a_socket_hears_its_channel_and_its_message_and_the_campaign_what_becomes_of_it(chat, campaigns):
    ann, ben = await chat.person("ann"), await chat.person("ben", "python-websocket")
    campaign = campaigns.start(["ann", "ben", "cat"])
    await campaign.ends()
    recipient = campaign.recipients()["ann"]
    joined = await ann.receives("channelJoined", channel_sid=recipient["channel_sid"])
    heard = await ann.receives("messageAdded", channel_sid=recipient["channel_sid"], body="Hello ann")
    assert heard["seq"] == joined["seq"] + 1
    await ben.receives("messageAdded", body="Hello ben")
    await campaign.counts_are(delivered=2, sent=1)
    await ann.asks("setLastConsumedMessageIndex", channel=recipient["channel_sid"], index=0)
    await campaign.counts_are(delivered=1, read=1, sent=1)
    channel = campaign.recipients()["cat"]["channel_sid"]
    chat.service.channels(channel).members("cat").update(last_consumed_message_index=0)
    await campaign.counts_are(delivered=1, read=2, sent=0)
    await ben.sends(campaign.recipients()["ben"]["channel_sid"], "thank you")
    await ann.sends(recipient["channel_sid"], "stop it")
    await campaign.counts_are(replied=2, read=1, delivered=0)
    # Nobody goes back.
    await ann.asks("getMessages", channel=recipient["channel_sid"])
    await ben.asks("setLastConsumedMessageIndex", channel=campaign.recipients()["ben"]["channel_sid"], index=1)
    await asyncio.sleep(0.6)
    await campaign.counts_are(replied=2, read=1, delivered=0)


async def test_who_was_away_hears_it_later_and_whoever_reads_it_over_rest_has_it(chat, campaigns):
    ann = await chat.person("ann")
    cursor = ann.cursor
    await ann.leaves()
    campaign = campaigns.start(["ann", "ben"])
    await campaign.ends()
    await campaign.counts_are(sent=2)
    back = await chat.person("ann", cursor=cursor)
    await back.is_synced()
    assert [event["message"]["body"] for event in back.all_heard("messageAdded")] == ["Hello ann"]
    await campaign.counts_are(delivered=1, sent=1)
    channel = campaign.recipients()["ben"]["channel_sid"]
    read = chat.bearer("ben").get(f"{chat.path}/Channels/{channel}/Messages").json()
    assert [message["body"] for message in read["messages"]] == ["Hello ben"]
    await campaign.counts_are(delivered=2, sent=0)


@pytest.mark.parametrize("mode", ["group", "broadcast"])
async def test_one_channel_for_all(chat, campaigns, mode):
    identities = ["ann", "ben", *crowd(300)]
    ann = await chat.person("ann")
    campaign = campaigns.start(identities, mode=mode, body="To all of you", FriendlyName="News", From="shop")
    ended = await campaign.ends()
    channel = ended["channel_sid"]
    messages = chat.messages_of(channel)
    assert [(message.body, message._from) for message in messages] == [("To all of you", "shop")]
    shown = chat.service.channels(channel).fetch()
    assert (shown.members_count, shown.messages_count, shown.friendly_name) == (302, 1, "News")
    recipients = campaign.recipients()
    assert {one["channel_sid"] for one in recipients.values()} == {channel}
    assert {one["message_sid"] for one in recipients.values()} == {messages[0].sid}
    # Everybody had joined before it was said.
    seqs = rows(
        chat.cluster,
        "SELECT MAX(joined_seq) FROM members WHERE service_id = ? AND channel_id = ?",
        uuid_of(chat.sid),
        uuid_of(channel),
    )
    heard = await ann.receives("messageAdded", channel_sid=channel)
    assert heard["seq"] == seqs[0][0] + 1
    await campaign.counts_are(delivered=1, sent=301)
    ben = await chat.person("ben")
    if mode == "broadcast":
        await ben.is_refused("sendMessage", channel=channel, body="no", code=50107)
        await ben.asks("getMessages", channel=channel)
        await campaign.counts_are(delivered=2, sent=300)
    else:
        await ben.sends(channel, "thanks")
        await campaign.counts_are(delivered=1, replied=1, sent=300)


async def test_pausing_and_cancelling_are_strict(chat, campaigns):
    campaign = campaigns.start(crowd(200), RatePerSecond=20)
    await eventually(lambda: campaign.was_sent_to() > 5, 20, "some were sent to")
    campaign.becomes("paused")
    sent = await campaign.stands_still(1.5)
    assert 0 < sent < 200
    campaign.becomes("running")
    await eventually(lambda: campaign.was_sent_to() > sent + 5, 20, "it goes on")
    campaign.becomes("cancelled")
    counts = campaign.counts
    assert counts["pending"] == 0 and counts["skipped"] == 200 - campaign.was_sent_to()
    await campaign.stands_still(1)
    assert len(channels_of(chat, campaign)) == campaign.was_sent_to()


@pytest.mark.parametrize("rate", [1, 40])
async def test_the_rate_is_kept_in_every_second(chat, campaigns, rate):
    campaign = campaigns.start(crowd(rate * 6), RatePerSecond=rate)
    await campaign.ends()
    moments = rows(chat.cluster, "SELECT committed_at FROM messages WHERE service_id = ?", uuid_of(chat.sid))
    first = min(moment for (moment,) in moments)
    seconds = collections.Counter((moment - first) // 1_000_000 for (moment,) in moments)
    # A message may fall on the other side of a second's end.
    for second in range(1, max(seconds)):
        assert abs(seconds[second] - rate) <= max(0.2 * rate, 1), seconds
    assert 4 <= max(seconds) <= 7, seconds


async def test_quiet_hours_are_those_of_the_user(chat, campaigns):
    now = datetime.datetime.now(datetime.UTC)
    zones = {"ann": "UTC", "ben": "Etc/GMT-11", "cat": None}
    for identity, zone in zones.items():
        attributes = json.dumps({"time_zone": zone} if zone else {})
        chat.service.users.create(identity=identity, attributes=attributes)
    at = lambda hours: (now + datetime.timedelta(hours=hours)).strftime("%H:%M")  # noqa: E731
    quiet = {"start": at(-2), "end": at(2), "time_zone": "UTC"}
    campaign = campaigns.start(list(zones), QuietHours=json.dumps(quiet))
    await campaign.counts_are(sent=1, pending=2)
    assert set(campaign.recipients(Status="sent")) == {"ben"}
    await asyncio.sleep(1)
    assert campaign.now()["status"] == "running" and campaign.count("pending") == 2
    campaign.becomes("cancelled")
    await campaign.counts_are(sent=1, skipped=2)


async def test_whoever_slept_is_sent_to_in_the_morning(chat, campaigns):
    chat.service.users.create(identity="ann", attributes=json.dumps({}))
    now = datetime.datetime.now(datetime.UTC)
    morning = now + datetime.timedelta(seconds=60)
    start = (now - datetime.timedelta(hours=3)).strftime("%H:%M")
    quiet = {"start": start, "end": morning.strftime("%H:%M")}
    campaign = campaigns.start(["ann"], QuietHours=json.dumps(quiet))
    left = 60 - datetime.datetime.now(datetime.UTC).second
    if left > 5:
        await asyncio.sleep(2)
        assert campaign.count("pending") == 1
    await campaign.ends(within=70)


async def test_it_begins_when_it_is_time(chat, campaigns):
    moment = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=3)).strftime("%Y-%m-%dT%H:%M:%SZ")
    campaign = campaigns.start(["ann"], SendAt=moment)
    assert campaign.now()["status"] == "scheduled" and campaign.counts["total"] == 0
    ended = await campaign.ends(within=15)
    assert ended["date_started"] >= moment and ended["counts"]["sent"] == 1


async def test_a_dry_run_sends_nothing(chat, campaigns):
    campaign = campaigns.start(crowd(300), DryRun="true")
    ended = await campaign.ends()
    assert ended["counts"]["skipped"] == 300 and ended["counts"]["total"] == 300
    assert channels_of(chat, campaign) == []


async def test_webhooks_hear_of_every_status_and_nothing_else(chat, campaigns, receiver):
    chat.service.update(post_webhook_url=receiver.url, webhook_filters=["onCampaignUpdated"])
    campaign = campaigns.make(["ann"]).becomes("running", x_twilio_webhook_enabled="true")
    await campaign.ends()
    heard = await eventually(
        lambda: len(found := receiver.of("onCampaignUpdated")) == 2 and found, 10, "both are told"
    )
    assert [request["Status"] for request in heard] == ["running", "completed"]
    assert {request["CampaignSid"] for request in heard} == {campaign.sid}


async def test_two_tenants_take_turns(cluster, driver, chat, campaigns):
    made = chat.client.api.v2010.accounts.create(friendly_name="another")
    other = Chat(Tenant(cluster, made), driver, "another")
    theirs = Campaigns(other)
    large = campaigns.start(crowd(2500))
    small = theirs.start(crowd(50))
    await small.ends()
    await large.ends(within=90)
    everybody_has_one(chat, large, crowd(2500))
    everybody_has_one(other, small, crowd(50))
    await other.close()


@pytest.mark.topologies("split")
async def test_kill_9_of_workers_on_the_way_sends_nothing_twice(tmp_path, driver):
    with running("split", tmp_path) as cluster:
        chat = Chat(cluster, driver, "kill workers")
        workers = next(node for node in cluster.nodes if node.name == "workers")
        identities = crowd(3000)
        campaign = Campaigns(chat).start(identities)
        for part in (1, 2, 3, 4, 5, 6):
            await eventually(
                lambda: campaign.was_sent_to() >= 400 * part, 60, f"{400 * part} were sent to"
            )
            workers.kill()
            workers.start().wait_ready()
        await campaign.ends(within=90)
        everybody_has_one(chat, campaign, identities)
        group = Campaigns(chat).start(identities[:1500], mode="group", body="To all")
        for part in (1, 2, 3):
            await eventually(
                lambda: rows(
                    cluster,
                    "SELECT COUNT(*) FROM members m JOIN campaigns c ON c.channel_id = m.channel_id WHERE c.id = ?",
                    uuid_of(group.sid),
                )[0][0]
                >= 350 * part,
                60,
                "some have joined",
            )
            workers.kill()
            workers.start().wait_ready()
        ended = await group.ends(within=90)
        assert ended["counts"]["sent"] == 1500
        assert [message.body for message in chat.messages_of(ended["channel_sid"])] == ["To all"]
        assert chat.service.channels(ended["channel_sid"]).fetch().members_count == 1500
        await chat.close()


async def test_a_broker_that_is_away_for_a_moment_does_not_stop_it(tmp_path, driver):
    from harness.services import rabbitmq_address

    async with valve(rabbitmq_address()) as gate:
        with running("cluster", tmp_path, broker=gate.address) as cluster:
            chat = Chat(cluster, driver, "broker away")
            identities = crowd(2000)
            campaign = Campaigns(chat).start(identities)
            await eventually(lambda: campaign.was_sent_to() >= 100, 60, "some were sent to")
            await gate.shut()
            before, began = campaign.was_sent_to(), time.monotonic()
            await eventually(
                lambda: campaign.was_sent_to() > before + 300 or campaign.now()["status"] == "completed",
                30,
                "it goes on without",
            )
            await asyncio.sleep(max(0, 3 - (time.monotonic() - began)))
            await gate.open()
            await campaign.ends(within=90)
            everybody_has_one(chat, campaign, identities)
            await chat.close()
