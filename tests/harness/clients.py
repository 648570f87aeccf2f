"""The public Socket.IO clients behind one small face: what a socket can do, not what it means.

A client is opened with callbacks for what arrives: `on_event(name, args)` and `on_lifecycle(kind, value)`, where
kind is "connect" (value: {"id", "recovered"}), "connect_error" (value: {"message", "data"}) or "disconnect".
"""

import asyncio
import itertools
import json

import socketio

from .node import ROOT

# What a browser's settings would say: name → (client, transports or None for the default, may upgrade).
CLIENTS = {
    "js": ("js", None, True),
    "js-websocket": ("js", ["websocket"], False),
    "js-polling": ("js", ["polling"], False),
    "python": ("python", None, True),
    "python-websocket": ("python", ["websocket"], False),
    "python-polling": ("python", ["polling"], False),
}


class NodeDriver:
    """The process that holds all sockets of the official JavaScript client."""

    def __init__(self):
        self._process = None
        self._reader = None
        self._requests = itertools.count(1)
        self._names = itertools.count(1)
        self._answers = {}
        self._clients = {}

    async def start(self):
        self._process = await asyncio.create_subprocess_exec(
            "node",
            str(ROOT / "tests" / "node" / "driver.mjs"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=16 * 1024 * 1024,
        )
        self._reader = asyncio.create_task(self._read())
        return self

    async def stop(self):
        self._process.stdin.close()
        await asyncio.wait_for(self._process.wait(), 10)
        await self._reader

    async def ask(self, op, **fields):
        request = next(self._requests)
        answer = self._answers[request] = asyncio.get_running_loop().create_future()
        self._process.stdin.write(json.dumps({"id": request, "op": op, **fields}).encode() + b"\n")
        await self._process.stdin.drain()
        return await asyncio.wait_for(answer, 20)

    def register(self, client):
        name = f"s{next(self._names)}"
        self._clients[name] = client
        return name

    async def _read(self):
        while line := await self._process.stdout.readline():
            said = json.loads(line)
            if "id" in said:
                self._settle(self._answers.pop(said["id"]), said)
            elif "event" in said:
                self._clients[said["socket"]].on_event(said["event"], said["args"])
            else:
                self._clients[said["socket"]].on_lifecycle(said["lifecycle"], said["value"])

    @staticmethod
    def _settle(answer, said):
        if answer.done():
            return
        if said["ok"]:
            answer.set_result(said["value"])
        else:
            answer.set_exception(ConnectionError(said["error"]))


class JsClient:
    def __init__(self, driver, on_event, on_lifecycle):
        self._driver = driver
        self.on_event = on_event
        self.on_lifecycle = on_lifecycle
        self._name = driver.register(self)

    async def open(self, url, auth, transports, upgrade, returns):
        await self._driver.ask(
            "open", socket=self._name, url=url, auth=auth, transports=transports, upgrade=upgrade, returns=returns
        )

    async def call(self, event, *args):
        return await self._driver.ask("emit", socket=self._name, event=event, args=args, ack=True)

    async def emit(self, event, *args):
        await self._driver.ask("emit", socket=self._name, event=event, args=args, ack=False)

    async def transport(self):
        return await self._driver.ask("transport", socket=self._name)

    async def disconnect(self):
        await self._driver.ask("disconnect", socket=self._name)

    async def cut(self):
        await self._driver.ask("cut", socket=self._name)

    async def cut_at(self, event, count):
        await self._driver.ask("cutAt", socket=self._name, event=event, count=count)

    async def again(self, url, auth, pid=None):
        await self._driver.ask("again", socket=self._name, url=url, auth=auth, pid=pid)

    async def private(self):
        return await self._driver.ask("private", socket=self._name)


class PythonClient:
    def __init__(self, on_event, on_lifecycle, returns):
        self._client = socketio.AsyncClient(reconnection=returns, reconnection_delay=0.1, reconnection_delay_max=0.5)
        self._on_lifecycle = on_lifecycle
        self._on_event = on_event
        self._auth = None
        self._client.on("*", self._heard)
        self._client.on("connect", lambda: on_lifecycle("connect", {"id": self._client.sid, "recovered": False}))
        self._client.on("connect_error", self._refused)
        self._client.on("disconnect", lambda *reason: on_lifecycle("disconnect", reason[0] if reason else None))

    def _heard(self, event, *args):
        # Whoever returns does so with the newest cursor.
        if args and isinstance(args[0], dict) and args[0].get("cursor"):
            self._auth = {**self._auth, "cursor": args[0]["cursor"]}
        self._on_event(event, list(args))

    def _refused(self, data=None):
        known = data if isinstance(data, dict) else {"message": str(data), "data": None}
        self._on_lifecycle("connect_error", known)

    async def open(self, url, auth, transports, upgrade, returns):
        del upgrade, returns  # This client upgrades when both transports are allowed, which is its default.
        self._auth = auth
        try:
            await self._client.connect(url, auth=lambda: self._auth, transports=transports, wait=False)
        except socketio.exceptions.ConnectionError as error:
            self._on_lifecycle("connect_error", {"message": str(error), "data": None})

    async def call(self, event, *args):
        try:
            return await self._client.call(event, args[0] if len(args) == 1 else args, timeout=15)
        except socketio.exceptions.SocketIOError as error:
            raise ConnectionError(str(error) or type(error).__name__) from error

    async def emit(self, event, *args):
        await self._client.emit(event, args[0] if len(args) == 1 else args)

    async def transport(self):
        return self._client.transport()

    async def disconnect(self):
        # python-engineio forgets its goodbye when a POST is still under way: let it finish what it has to say.
        await asyncio.wait_for(self._client.eio.queue.join(), 5)
        await self._client.disconnect()

    async def cut(self):
        """Loses the connection as a dead network does: no goodbye from the Socket.IO layer."""
        await self._client.eio.disconnect(abort=True)


def make_client(kind, driver, on_event, on_lifecycle, returns=False):
    """With `returns` the client's own reconnection is on, with the newest cursor."""
    family, transports, upgrade = CLIENTS[kind]
    if family == "js":
        client = JsClient(driver, on_event, on_lifecycle)
    else:
        client = PythonClient(on_event, on_lifecycle, returns)
    return client, {"transports": transports, "upgrade": upgrade, "returns": returns}
