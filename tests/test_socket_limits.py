"""Limits on sockets and verbs, where there are some; and what nobody may make others pay for."""

import asyncio
import json
import re

import pytest

from harness.chat import Chat
from harness.cluster import running
from harness.person import ConnectionRefused
from harness.raw import RawSocket
from harness.waiting import eventually

CLIENTS = ("js-websocket", "python-polling")


async def refused(chat, identity, client):
    with pytest.raises(ConnectionRefused) as refusal:
        await chat.person(identity, client)
    data = refusal.value.data
    assert (data["code"], data["status"]) == (20429, 429), data
    assert refusal.value.message == data["message"]
    return data["message"]


async def test_sockets_of_a_user_and_of_an_account_are_limited(tmp_path, driver):
    settings = {"HUBBUB_SOCKETS_PER_USER": 2, "HUBBUB_SOCKETS_PER_ACCOUNT": 3}
    with running("embedded", tmp_path, **settings) as cluster:
        chat = Chat(cluster, driver, "limited")
        phone, laptop = [await chat.person("alice", client) for client in CLIENTS]
        for client in CLIENTS:
            message = await refused(chat, "alice", client)
            assert "'alice'" in message and "2" in message and "HUBBUB_SOCKETS_PER_USER" in message
        bob = await chat.person("bob")
        message = await refused(chat, "carol", CLIENTS[0])
        assert "3" in message and "HUBBUB_SOCKETS_PER_ACCOUNT" in message
        assert [user.identity for user in chat.service.users.list()] == ["alice", "bob"], "nothing is made for her"
        for person in (phone, laptop, bob):
            assert await person.asks("getUser")
        # Whoever leaves makes room, in both counts.
        await phone.leaves()

        async def let_in(identity):
            try:
                return await chat.person(identity)
            except ConnectionRefused:
                return None

        assert await eventually(lambda: let_in("carol"), because="there is room")
        message = await refused(chat, "alice", CLIENTS[1])
        assert "HUBBUB_SOCKETS_PER_ACCOUNT" in message, "her own two are not used up"
        await chat.close()


async def test_verbs_of_a_socket_are_limited_and_the_connection_lives(tmp_path, driver):
    with running("embedded", tmp_path, HUBBUB_SOCKET_RATE="4") as cluster:
        chat = Chat(cluster, driver, "limited")
        alice, bob = await chat.person("alice"), await chat.person("bob", "python-polling")
        answers = await asyncio.gather(*(alice.asks("getUser") for _ in range(12)), return_exceptions=True)
        refusals = [answer for answer in answers if isinstance(answer, Exception)]
        assert 4 <= len(answers) - len(refusals) <= 6
        for refusal in refusals:
            assert (refusal.code, refusal.status) == (20429, 429)
            wait = int(re.search(r"try again in (\d+) ms", refusal.message)[1])
            assert 0 < wait <= 250
        assert await bob.asks("getUser"), "it is each socket's own"
        await asyncio.sleep(wait / 1000)
        assert await eventually(lambda: allowed(alice), within=2, because="it passes again")
        assert alice.ended is None
        await chat.close()


async def allowed(person):
    try:
        return await person.asks("getUser")
    except Exception as refusal:
        assert refusal.code == 20429
        return None


async def test_who_goes_on_hammering_is_cut_off(tmp_path, driver):
    with running("embedded", tmp_path, HUBBUB_SOCKET_RATE="2") as cluster:
        chat = Chat(cluster, driver, "limited")
        bob = await chat.person("bob")
        hammer = await RawSocket.joined(cluster.gateways[0], chat.token("alice"))
        for number in range(1_000):
            await hammer.says(f'42{number}["getUser",{{}}]')
        assert await hammer.is_closed() == 1008
        assert await bob.asks("getUser")
        await chat.close()


@pytest.mark.topologies("embedded")
async def test_there_is_no_limit_on_verbs_until_the_operator_sets_one(chat):
    alice = await chat.person("alice")
    answers = await asyncio.gather(*(alice.asks("getUser") for _ in range(300)))
    assert len(answers) == 300


async def test_sockets_that_never_read_stay_within_the_bound_and_slow_nobody(tmp_path, driver):
    deaf_sockets, limit = 60, 2 * 1024 * 1024
    settings = {"HUBBUB_SOCKET_QUEUE": "16MiB", "HUBBUB_SOCKET_QUEUE_TOTAL": "2MiB"}
    with running("embedded", tmp_path, **settings) as cluster:
        chat = Chat(cluster, driver, "deaf")
        channel = chat.channel("general", "alice", "bob", "deaf")
        gateway = cluster.gateways[0]
        alice, bob = await chat.person("alice"), await chat.person("bob", "python-polling")
        token = chat.token("deaf")
        deaf = [await RawSocket.joined(gateway, token, receive_buffer=4096) for _ in range(deaf_sockets)]
        most, sent = 0, 0
        while metric(chat, "hubbub_gateway_cut_off_total") == 0:
            assert sent < 2_000, "nobody was cut off"
            for _ in range(20):
                await alice.sends("general", f"{sent} " + "x" * 8_000)
                sent += 1
            most = max(most, metric(chat, "hubbub_gateway_waiting_bytes"))
        assert most < limit * 1.1
        await alice.sends("general", "the last one")
        await bob.receives("messageAdded", body="the last one", within=10)
        seqs = [event["seq"] for event in bob.heard_of(channel.sid)]
        assert seqs == list(range(seqs[0], seqs[0] + sent + 1)), "who reads hears everything, once, in order"
        for socket in deaf:
            socket.leaves()
        await eventually(
            lambda: metric(chat, "hubbub_gateway_waiting_bytes") == 0, because="what waited for them is freed"
        )
        # Nothing is lost to them: they come back with their cursors.
        back = await chat.person("deaf", cursor=deaf[0].initialized["cursor"], token=token)
        assert (await back.is_synced(within=20))["complete"] is True
        assert len(back.all_heard("messageAdded")) == sent + 1
        await chat.close()


def metric(chat, name):
    text = chat.rest.http.get("/metrics").text
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(f"{name} "))


@pytest.mark.topologies("embedded")
async def test_polls_that_are_given_up_and_sockets_that_never_join_cost_nothing_after(chat):
    # Those of the tests before that left without a goodbye.
    await eventually(
        lambda: metric(chat, "hubbub_gateway_sessions") == 0, within=60, because="earlier sessions end by themselves"
    )
    gateway = chat.cluster.gateways[0]
    pollers = [await chat.person(f"poller {number}", "python-polling") for number in range(10)]
    assert metric(chat, "hubbub_gateway_sessions") == 10
    for poller in pollers:
        await poller.loses_the_connection()
    await eventually(
        lambda: metric(chat, "hubbub_gateway_sessions") == 0 and metric(chat, "hubbub_gateway_sockets") == 0,
        within=45,
        because="polls that were given up free their sessions",
    )
    silent = [await RawSocket.open(gateway) for _ in range(5)]
    assert [await socket.is_closed(within=15) for socket in silent] == [1008] * 5
    assert metric(chat, "hubbub_gateway_sessions") == 0


def nested(levels):
    return "[" * levels + "]" * levels


@pytest.mark.topologies("embedded")
async def test_what_is_nested_too_deep_is_refused_with_a_code_at_every_door(chat):
    alice = await chat.person("alice")
    channel = chat.channel("general", "alice")
    path = f"{chat.path}/Channels/{channel.sid}"
    deep = nested(10_000)
    socket = await RawSocket.joined(chat.cluster.gateways[0], chat.token("bob"))
    for number, argument in enumerate((deep, f'{{"channel":{deep}}}', f'{{"attributes":{deep}}}')):
        await socket.says(f'42{number}["createChannel",{argument}]')
        answer = await socket.reads()
        assert answer.startswith(f"43{number}["), answer
        assert json.loads(answer[3:])[0]["error"]["code"] == 20001
    text = f'{{"a":{deep}}}'
    await alice.is_refused("sendMessage", channel="general", body="b", attributes=text, code=50304)
    await alice.is_refused("updateUser", attributes=nested(1_500), code=50304)
    for form in ({"Attributes": text}, {"Attributes": deep}):
        assert chat.rest.post(path, form).json()["code"] == 50304
    answer = chat.rest.http.post(path, content=f'{{"Attributes":{deep}}}', headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, 20001)
    answer = chat.rest.get(f"{chat.path}/Channels", Filter=f'{{"and":{nested(3_000)}}}')
    assert answer.status_code == 400
    await socket.says('451-["sendMessage",' + deep + "]")
    assert await socket.is_closed() == 1002
    assert await alice.asks("getUser")
