"""Two gateways under load while something of theirs is lost: nothing is lost for anybody, and nothing comes twice."""

import asyncio
import itertools
import time

import httpx
import pytest

from harness.chat import Chat
from harness.cluster import running
from harness.person import ConnectionRefused
from harness.services import own_rabbitmq, rabbitmq_address
from harness.talker import Talker
from harness.valve import valve
from harness.waiting import eventually

ACKED_WITHIN = 5
HEALED_WITHIN = 20
AWAY = 20

SENDERS = {"ann": "js-websocket", "ben": "python-websocket", "cat": "js-polling", "dan": "js"}
READERS = {"eve": "js-websocket", "fay": "python-polling", "gus": "js", "hal": "python-websocket"}


class Traveller:
    """Somebody who comes back wherever there is a gateway, with the cursor, whenever the connection is lost."""

    def __init__(self, chat, identity, client, gateway):
        self.identity = identity
        self.acked = []
        self._chat, self._client = chat, client
        self._gateways = itertools.cycle(chat.cluster.gateways)
        while gateway != next(self._gateways):
            pass
        self._sockets = []
        self._first = gateway

    async def arrives(self):
        self._sockets.append(await self._chat.person(self.identity, self._client, gateway=self._first))
        return self

    @property
    def moved(self):
        return len(self._sockets) > 1

    def heard_of(self, channel):
        """Over all its connections, in the order of arrival."""
        return [event for socket in self._sockets for event in socket.heard_of(channel)]

    async def socket(self):
        """A living one."""
        while self._sockets[-1].ended:
            cursor = self._sockets[-1].cursor
            try:
                gateway = next(self._gateways)
                self._sockets.append(
                    await self._chat.person(self.identity, self._client, cursor=cursor, gateway=gateway)
                )
            except ConnectionRefused:
                pass  # Nobody there: the next one.
        return self._sockets[-1]

    async def stays(self, until):
        """Listens until told to stop."""
        while not until.is_set():
            socket = await self.socket()
            await eventually(lambda socket=socket: socket.ended or until.is_set(), within=120)

    async def talks(self, until):
        """Sends until told to stop, and repeats what was not acknowledged."""
        for number in itertools.count():
            if until.is_set():
                return
            wanted = {"body": f"{self.identity} {number}", "client_id": f"{self.identity}-{number}"}
            while not await self._says(wanted):
                pass

    async def _says(self, wanted):
        socket = await self.socket()
        asked = asyncio.ensure_future(socket.asks("sendMessage", channel="general", **wanted))
        ended = asyncio.ensure_future(socket.is_disconnected(within=120))
        await asyncio.wait({asked, ended}, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        if not asked.done():
            asked.cancel()
            return False
        try:
            self.acked.append(asked.result())
        except ConnectionError:
            await socket.is_disconnected()
            return False
        return True


async def test_kill_9_of_one_gateway_under_load_loses_and_doubles_nothing_for_any_reader(tmp_path, driver):
    with running("two-gateways", tmp_path) as cluster:
        chat = Chat(cluster, driver, "one of two dies under load")
        channel = chat.channel("general", *SENDERS, *READERS)
        people = {
            identity: await Traveller(chat, identity, client, gateway).arrives()
            for (identity, client), gateway in zip((SENDERS | READERS).items(), itertools.cycle(cluster.gateways))
        }
        enough = asyncio.Event()
        talks = [asyncio.create_task(people[identity].talks(enough)) for identity in SENDERS]
        stays = [asyncio.create_task(people[identity].stays(enough)) for identity in READERS]
        acked = lambda: [message["sid"] for identity in SENDERS for message in people[identity].acked]  # noqa: E731
        await eventually(lambda: len(acked()) >= 150, within=30, because="all talk")
        dying = next(node for node in cluster.nodes if node.url == cluster.gateways[1])
        dying.kill()
        await eventually(lambda: sum(person.moved for person in people.values()) == 4, within=30, because="half moved")
        count = len(acked())
        await eventually(lambda: len(acked()) >= count + 150, within=30, because="all talk again")
        enough.set()
        await asyncio.gather(*talks, *stays)

        messages = chat.messages_of(channel.sid)
        said = [message.sid for message in messages]
        assert len(set(acked())) == len(acked()) and set(acked()) == set(said)
        assert len({message.body for message in messages}) == len(messages), "nothing is there twice"
        for identity in READERS:
            reader = people[identity]
            of_messages = lambda reader=reader: [  # noqa: E731
                event["message"]["sid"] for event in reader.heard_of(channel.sid) if event["type"] == "messageAdded"
            ]
            await eventually(lambda heard=of_messages: len(heard()) >= len(said), within=HEALED_WITHIN)
            assert of_messages() == said, identity
            seqs = [event["seq"] for event in reader.heard_of(channel.sid)]
            assert seqs == list(range(seqs[0], seqs[0] + len(seqs))), identity
        dying.start().wait_ready()
        await chat.close()


async def outlives_the_broker(cluster, driver, receiver, leave, come_back):
    """Two talk while the broker is away. Nobody waits long, and afterwards everybody has everything, once."""
    chat = Chat(cluster, driver, "no broker for a while")
    chat.service.update(post_webhook_url=receiver.url, webhook_filters=["onMessageSent"])
    channel = chat.channel("general", "alice", "bob", *READERS)
    first, second = cluster.gateways
    readers = [
        await chat.person(identity, client, gateway=gateway)
        for (identity, client), gateway in zip(READERS.items(), itertools.cycle(cluster.gateways))
    ]
    talkers = [
        Talker(await chat.person("alice", gateway=first)),
        Talker(await chat.person("bob", "js-polling", gateway=second)),
    ]
    await eventually(lambda: all(len(talker.acked) >= 20 for talker in talkers), because="both talk")
    await leave()
    left = time.monotonic()
    before = [len(talker.acked) for talker in talkers]
    await eventually(lambda: time.monotonic() - left >= AWAY, within=AWAY + 5, because="the broker stays away")
    assert all(len(talker.acked) > count for talker, count in zip(talkers, before, strict=True))
    await come_back()
    returned = time.monotonic()
    acked = [message for talker in talkers for message in await talker.stop()]
    assert max(talker.slowest for talker in talkers) < ACKED_WITHIN + 0.5
    sids = {message["sid"] for message in acked}
    assert len(sids) == len(acked)
    for reader in readers:
        events = await reader.has_heard(len(acked), "messageAdded", within=HEALED_WITHIN)
        assert len(events) == len(acked) and {event["message"]["sid"] for event in events} == sids
        seqs = [event["seq"] for event in reader.heard_of(channel.sid)]
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
    await eventually(
        lambda: sids <= {request["MessageSid"] for request in receiver.of("onMessageSent")},
        within=HEALED_WITHIN,
        because="the webhooks of all arrive",
    )
    for node in cluster.nodes:
        await eventually(
            lambda url=node.url: httpx.get(f"{url}/readyz").status_code == httpx.codes.OK,
            within=HEALED_WITHIN - (time.monotonic() - returned),
            because=f"{node.name} is ready again",
        )
    await chat.close()


async def test_20_seconds_without_the_broker_under_load_lose_and_double_nothing(tmp_path, driver, receiver):
    async with valve(rabbitmq_address()) as broker:
        with running("two-gateways", tmp_path, broker=broker.address) as cluster:
            await outlives_the_broker(cluster, driver, receiver, broker.shut, broker.open)


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_rabbitmq_itself_away_for_20_seconds_under_load_loses_and_doubles_nothing(tmp_path, driver, receiver, end):
    with own_rabbitmq() as rabbitmq, running("two-gateways", tmp_path, rabbitmq=rabbitmq) as cluster:
        await outlives_the_broker(
            cluster,
            driver,
            receiver,
            lambda: asyncio.to_thread(getattr(rabbitmq, end)),
            lambda: asyncio.to_thread(rabbitmq.start),
        )
