"""Somebody with a connected socket: says things, hears things, remembers what was heard."""

import asyncio

from .clients import make_client

ENVELOPE = {"id", "type", "service_sid", "channel_sid", "seq", "identity", "timestamp", "cursor"}
RESOURCES = ("message", "channel", "member", "user", "campaign")


class Refused(Exception):
    """A verb that was answered with an error; its parts are attributes."""

    def __init__(self, verb, error):
        super().__init__(f"{verb} was refused: {error}")
        self.code = error["code"]
        self.status = error["status"]
        self.message = error["message"]
        self.more_info = error["more_info"]


class ConnectionRefused(Exception):
    """A CONNECT_ERROR; `data` is what the server said about it."""

    def __init__(self, refusal):
        super().__init__(f"refused: {refusal}")
        self.message = refusal["message"]
        self.data = refusal["data"]


def resource_of(event):
    return next((event[name] for name in RESOURCES if name in event), {})


def agrees(actual, expected):
    """Equal, or for objects: every expected field agrees."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        return all(name in actual and agrees(actual[name], value) for name, value in expected.items())
    return actual == expected


def matches(event, expected):
    """Envelope fields and whole resources by their name; any other name is a field of the resource."""
    for name, value in expected.items():
        place = event if name in ENVELOPE or name in RESOURCES else resource_of(event)
        if name not in place or not agrees(place[name], value):
            return False
    return True


class Person:
    def __init__(self, identity, kind, driver, returns=False):
        self.identity = identity
        self.heard = []
        self.initialized = None
        self.synced = None
        self.cursor = None
        self.ended = None
        self.connected = False
        self.connections = 0
        self.losses = []
        self.recovered = None
        self.id = None
        self._auth = None
        self._refusal = None
        self._returns = returns
        self._taken = set()
        self._news = asyncio.Event()
        self._client, self._options = make_client(kind, driver, self._on_event, self._on_lifecycle, returns)

    # --- connection

    async def connect(self, url, token, cursor=None, within=10, recovery=False):
        """Ready to talk, with `initialized` received; raises ConnectionRefused when the server says no."""
        auth = {} if token is None else {"token": token}
        if cursor is not None:
            auth["cursor"] = cursor
        if recovery:
            auth["recovery"] = True
        self._auth = auth
        opening = asyncio.create_task(self._client.open(url, auth, **self._options))
        await self._until(lambda: self.initialized or self._is_refused(), within, "initialized or refused")
        await opening
        if self._is_refused():
            raise ConnectionRefused(self._refusal)
        return self

    def _is_refused(self):
        """Whoever returns takes a lost connection for no refusal."""
        return self._refusal and (not self._returns or self._refusal["data"])

    async def leaves(self):
        await self._client.disconnect()

    async def loses_the_connection(self):
        """Returns the cursor to come back with."""
        await self._client.cut()
        await self.is_disconnected()
        return self.cursor

    async def loses_the_connection_at(self, event_type, count):
        """As soon as it has heard so many such events from now on."""
        await self._client.cut_at(event_type, count)

    async def comes_back(self, url, pid=None, within=10, **auth):
        """The official client's socket connects again, with what it keeps for its recovery."""
        self.initialized = self.synced = self.ended = self._refusal = self.recovered = None
        self._auth = {name: value for name, value in {**self._auth, **auth}.items() if value is not None}
        await self._client.again(url, self._auth, pid)
        await self._until(lambda: self.initialized or self._refusal, within, "initialized or refused")
        if self._refusal:
            raise ConnectionRefused(self._refusal)
        return self

    async def private(self):
        """What the official client keeps for its recovery: `pid` and `offset`."""
        return await self._client.private()

    async def is_disconnected(self, within=10):
        await self._until(lambda: self.ended is not None, within, "disconnected")
        return self.ended

    async def is_back(self, times=1, within=20):
        """Has lost the connection and come back by itself, so often, and heard what it missed."""
        await self._until(
            lambda: self.connections > times and self.ended is None and self.synced, within, f"back {times} times"
        )

    async def is_synced(self, within=10):
        await self._until(lambda: self.synced, within, "synced")
        return self.synced

    async def transport(self):
        return await self._client.transport()

    # --- speaking

    async def asks(self, verb, *arguments, **argument):
        """The verb's data; raises Refused. Named arguments form the one object a verb takes."""
        answer = await self._client.call(verb, *(arguments or (argument,)))
        assert isinstance(answer, dict) and isinstance(answer.get("ok"), bool), f"not an ack of {verb}: {answer!r}"
        if not answer["ok"]:
            assert set(answer) == {"ok", "error"}, answer
            raise Refused(verb, answer["error"])
        return answer["data"]

    async def is_refused(self, verb, *arguments, code=None, status=None, **argument):
        """Fails unless the verb is answered with this code, or this HTTP status; returns the refusal."""
        try:
            data = await self.asks(verb, *arguments, **argument)
        except Refused as refusal:
            assert code in (None, refusal.code) and status in (None, refusal.status), refusal
            return refusal
        raise AssertionError(f"{verb} was allowed: {data!r}")

    async def sends(self, channel, body, **more):
        """The message as acknowledged."""
        return await self.asks("sendMessage", channel=channel, body=body, **more)

    async def says(self, event, *arguments):
        """Emits without asking for an ack."""
        await self._client.emit(event, *arguments)

    # --- hearing

    async def receives(self, event_type, within=5, **expected):
        """The first such event not yet received by an earlier call; waits for it."""
        await self._until(
            lambda: self._next(event_type, expected) is not None, within, f"received {event_type} {expected}"
        )
        position = self._next(event_type, expected)
        self._taken.add(position)
        return self.heard[position]

    async def has_heard(self, count, event_type, within=10, **expected):
        """All such events, once there are at least `count`."""
        await self._until(
            lambda: len(self.all_heard(event_type, **expected)) >= count, within, f"heard {count} {event_type}"
        )
        return self.all_heard(event_type, **expected)

    def all_heard(self, event_type, **expected):
        return [event for event in self.heard if event["type"] == event_type and matches(event, expected)]

    def heard_of(self, channel_sid):
        """Every durable event of one channel, in the order of arrival."""
        return [event for event in self.heard if event.get("channel_sid") == channel_sid and "seq" in event]

    def _next(self, event_type, expected):
        for position, event in enumerate(self.heard):
            if position not in self._taken and event["type"] == event_type and matches(event, expected):
                return position
        return None

    # --- what the client tells

    def _on_event(self, name, args):
        # Who asked for recovery gets an offset behind whatever has one; nobody else ever gets a second argument.
        expected = (1, 2) if self._auth.get("recovery") else (1,)
        assert len(args) in expected, f"{name} came with {len(args)} arguments"
        event = args[0]
        if len(args) == 2:
            assert event.get("cursor") in (None, args[1]), "an offset is the cursor behind the event"
        if name == "initialized":
            self.initialized = event
            self.cursor = event["cursor"]
        elif name == "synced":
            self.synced = event
            self.cursor = event["cursor"]
        else:
            assert event["type"] == name, event
            self.heard.append(event)
            self.cursor = event.get("cursor") or self.cursor
        self._news.set()

    def _on_lifecycle(self, kind, value):
        if kind == "connect":
            self.connected = True
            self.id, self.recovered = value["id"], value["recovered"]
            self.connections += 1
            self.ended = None
        elif kind == "connect_error":
            self._refusal = value
        else:
            self.ended = value or "disconnected"
            self.losses.append(self.ended)
        self._news.set()

    async def _until(self, condition, within, because):
        async def wait():
            while not condition():
                self._news.clear()
                await self._news.wait()

        try:
            await asyncio.wait_for(wait(), within)
        except TimeoutError:
            heard = [(event["type"], event.get("seq"), resource_of(event).get("body")) for event in self.heard]
            raise AssertionError(
                f"{self.identity}: not within {within} s: {because}; refusal: {self._refusal}, ended: {self.ended}, "
                f"heard: {heard[-20:]}"
            ) from None
