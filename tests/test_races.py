"""What has to hold when fifty ask at once, through one REST door and through two on the same database."""

import collections
import concurrent.futures
import itertools
import threading

import pytest

from harness.rest import Rest, error_of

# In one process on either database, beside gateways, and between two processes that share a database.
pytestmark = pytest.mark.topologies("embedded", "cluster", "two-gateways", "two-doors")

RACERS = 50


@pytest.fixture
def arena(cluster, chat):
    """A service, and a function that has fifty do something at once, at all REST doors in turn."""
    doors = [Rest(url, (cluster.account_sid, cluster.auth_token)) for url in cluster.apis]
    yield chat, lambda task: race(doors, task)
    for door in doors:
        door.close()


def race(doors, task):
    """The answers to `task(door, number)`, all asked at the same time."""
    with concurrent.futures.ThreadPoolExecutor(RACERS) as racers:
        return list(racers.map(task, itertools.cycle(doors), range(RACERS)))


def exactly(winners, answers, won, lost, code):
    """So many succeed with the one status, and all others are refused with the other and its code."""
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses.count(won) == winners, statuses
    for answer in answers:
        if answer.status_code != won:
            error_of(answer, lost, code)
    return [answer.json() for answer in answers if answer.status_code == won and answer.content]


def test_one_unique_name_makes_one_channel(arena):
    chat, at_once = arena
    answers = at_once(lambda door, _: door.post(f"{chat.path}/Channels", {"UniqueName": "contested"}))
    [made] = exactly(1, answers, 201, 409, 50307)
    assert chat.rest.get(f"{chat.path}/Channels/contested").json()["sid"] == made["sid"]
    assert len(chat.rest.get(f"{chat.path}/Channels").json()["channels"]) == 1


def test_one_unique_name_goes_to_one_of_many_channels(arena):
    chat, at_once = arena
    sids = [chat.rest.post(f"{chat.path}/Channels").json()["sid"] for _ in range(RACERS)]
    answers = at_once(lambda door, n: door.post(f"{chat.path}/Channels/{sids[n]}", {"UniqueName": "contested"}))
    [named] = exactly(1, answers, 200, 409, 50307)
    assert chat.rest.get(f"{chat.path}/Channels/contested").json()["sid"] == named["sid"]


def test_one_identity_makes_one_user(arena):
    chat, at_once = arena
    answers = at_once(lambda door, _: door.post(f"{chat.path}/Users", {"Identity": "contested"}))
    exactly(1, answers, 201, 409, 50201)
    assert len(chat.rest.get(f"{chat.path}/Users").json()["users"]) == 1


def test_one_identity_makes_one_member_and_one_user(arena):
    chat, at_once = arena
    channel = chat.channel("general")
    path = f"{chat.path}/Channels/{channel.sid}"
    exactly(1, at_once(lambda door, _: door.post(f"{path}/Members", {"Identity": "contested"})), 201, 409, 50404)
    assert len(chat.rest.get(f"{path}/Members").json()["members"]) == 1
    assert chat.rest.get(path).json()["members_count"] == 1
    assert chat.rest.get(f"{chat.path}/Users/contested").json()["joined_channels_count"] == 1


def test_one_identity_is_invited_once(arena):
    chat, at_once = arena
    chat.channel("general")
    chat.rest.post(f"{chat.path}/Users", {"Identity": "contested"})
    path = f"{chat.path}/Channels/general/Invites"
    exactly(1, at_once(lambda door, _: door.post(path, {"Identity": "contested"})), 201, 409, 50212)
    assert len(chat.rest.get(path).json()["invites"]) == 1


def test_a_channel_takes_as_many_members_as_its_limit_says(arena):
    chat, at_once = arena
    chat.service.update(limits_channel_members=10)
    chat.channel("general")
    path = f"{chat.path}/Channels/general"
    exactly(10, at_once(lambda door, n: door.post(f"{path}/Members", {"Identity": f"user {n}"})), 201, 403, 50403)
    assert len(chat.rest.get(f"{path}/Members").json()["members"]) == 10
    assert chat.rest.get(path).json()["members_count"] == 10


def test_a_user_is_in_as_many_channels_as_its_limit_says(arena):
    chat, at_once = arena
    chat.service.update(limits_user_channels=10)
    sids = [chat.rest.post(f"{chat.path}/Channels").json()["sid"] for _ in range(RACERS)]
    answers = at_once(
        lambda door, n: door.post(f"{chat.path}/Channels/{sids[n]}/Members", {"Identity": "everywhere"})
    )
    exactly(10, answers, 201, 403, 50208)
    assert chat.rest.get(f"{chat.path}/Users/everywhere").json()["joined_channels_count"] == 10
    joined = chat.rest.get(f"{chat.path}/Users/everywhere/Channels").json()["channels"]
    assert len(joined) == 10


def test_a_channel_takes_five_webhooks(arena):
    chat, at_once = arena
    chat.channel("general")
    path = f"{chat.path}/Channels/general/Webhooks"
    form = {"Type": "studio", "Configuration.FlowSid": "FW" + "a" * 32}
    exactly(5, at_once(lambda door, _: door.post(path, form)), 201, 400, 50321)
    assert len(chat.rest.get(path).json()["webhooks"]) == 5


def test_what_is_deleted_by_many_is_deleted_once(arena):
    chat, at_once = arena
    chat.channel("general", "alice", "bob")
    path = f"{chat.path}/Channels/general"
    exactly(1, at_once(lambda door, _: door.delete(f"{path}/Members/alice")), 204, 404, 20404)
    assert chat.rest.get(path).json()["members_count"] == 1
    assert chat.rest.get(f"{chat.path}/Users/alice").json()["joined_channels_count"] == 0
    exactly(1, at_once(lambda door, _: door.delete(path)), 204, 404, 20404)
    assert chat.rest.get(f"{chat.path}/Users/bob").json()["joined_channels_count"] == 0


def test_messages_sent_at_once_are_all_there_with_an_index_each(arena):
    chat, at_once = arena
    chat.channel("general")
    path = f"{chat.path}/Channels/general"
    sent = exactly(
        RACERS, at_once(lambda door, n: door.post(f"{path}/Messages", {"Body": str(n)})), 201, 0, 0
    )
    assert sorted(message["index"] for message in sent) == list(range(RACERS))
    assert chat.rest.get(path).json()["messages_count"] == RACERS


def test_a_member_who_is_added_and_removed_at_once_is_in_or_out(arena):
    chat, at_once = arena
    chat.channel("general")
    path = f"{chat.path}/Channels/general"

    def come_or_go(door, number):
        if number % 2:
            return door.delete(f"{path}/Members/torn")
        return door.post(f"{path}/Members", {"Identity": "torn"})

    answers = at_once(come_or_go)
    assert {answer.status_code for answer in answers} <= {201, 204, 404, 409}
    inside = len(chat.rest.get(f"{path}/Members").json()["members"])
    assert inside == sum(1 if a.status_code == 201 else -1 for a in answers if a.status_code in (201, 204))
    assert chat.rest.get(path).json()["members_count"] == inside
    assert chat.rest.get(f"{chat.path}/Users/torn").json()["joined_channels_count"] == inside


def test_nobody_says_anything_between_its_leave_and_its_return(arena):
    chat, _ = arena
    channel = chat.channel("general", "guest", "host")
    path = f"{chat.path}/Channels/{channel.sid}"
    over = threading.Event()

    def talk(number):
        """What became of the sends of one of the guest's devices, at one of the doors."""
        urls = chat.cluster.apis
        door = Rest(urls[number % len(urls)], bearer=chat.token("guest"))
        outcomes = collections.Counter()
        while not over.is_set():
            answer = door.post(f"{path}/Messages", {"Body": "here I am"})
            outcomes[answer.status_code] += 1
            if answer.status_code != 201:
                error_of(answer, 403, 50400)
        door.close()
        return outcomes

    with concurrent.futures.ThreadPoolExecutor(8) as devices:
        talks = [devices.submit(talk, number) for number in range(8)]
        try:
            for _ in range(25):
                assert chat.rest.delete(f"{path}/Members/guest").status_code == 204
                assert chat.rest.post(f"{path}/Members", {"Identity": "guest"}).status_code == 201
        finally:
            over.set()
        outcomes = sum((talk.result() for talk in talks), collections.Counter())
    assert outcomes[201] and outcomes[403], outcomes

    events, after = [], None
    while True:
        page = chat.rest.get(f"{chat.path}/Events", Limit=500, **({"After": after} if after else {})).json()
        events += [event for event in page["events"] if event["channel_sid"] == channel.sid]
        after = page["after"]
        if not page["has_more"]:
            break
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    is_member, said = False, 0
    for event in events:
        if event["type"] in ("memberJoined", "memberLeft") and event["member"]["identity"] == "guest":
            is_member = event["type"] == "memberJoined"
        elif event["type"] == "messageAdded":
            assert is_member, event
            said += 1
    assert said == outcomes[201]
    assert chat.rest.get(path).json()["messages_count"] == said
