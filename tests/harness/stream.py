"""A backend that reads a service's event stream."""

import asyncio
import collections
import re

import httpx

from .waiting import eventually


class StreamReader:
    """Reads on from its last position, and keeps what it gets. Doors are taken in turn: any node knows a position."""

    def __init__(self, chat, after=None, limit=100, doors=None):
        self.events = []
        self.after = after
        self.complete = True
        self._limit = limit
        self._path = f"{chat.path}/Events"
        credentials = (chat.cluster.account_sid, chat.cluster.auth_token)
        self._doors = collections.deque(
            httpx.AsyncClient(base_url=url, auth=credentials, timeout=75) for url in doors or chat.cluster.apis
        )

    async def ask(self, **query):
        """One call, as it is answered."""
        self._doors.rotate()
        return await self._doors[0].get(self._path, params=query)

    async def reads(self, wait=0):
        """The next events; the position moves on."""
        query = {"Limit": self._limit, "Wait": wait} | ({"After": self.after} if self.after else {})
        answer = await self.ask(**query)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert len(page["events"]) <= self._limit
        assert len(page["events"]) == self._limit or not page["has_more"]
        self.events += page["events"]
        self.after = page["after"]
        self.complete = page["complete"]
        return page

    async def reads_all(self):
        """Until there is no more."""
        while (await self.reads())["has_more"]:
            pass
        return self.events

    async def follows(self, until):
        """Waits for the next events again and again, until told to stop. A door that is away is tried again."""
        while not until.is_set():
            try:
                await self.reads(wait=1)
            except httpx.TransportError:
                await asyncio.sleep(0.05)

    def of(self, channel_sid):
        return [event for event in self.events if event["channel_sid"] == channel_sid]

    async def close(self):
        for door in self._doors:
            await door.aclose()


async def are_waiting(cluster, count):
    """So many calls wait for events, over all nodes."""

    def waiting():
        texts = [httpx.get(f"{node.url}/metrics").text for node in cluster.nodes]
        found = [re.search(r"^hubbub_event_stream_readers (\d+)$", text, re.MULTILINE) for text in texts]
        return sum(int(figure[1]) for figure in found) == count

    await eventually(waiting, because=f"{count} calls wait")


def assert_whole(events):
    """Nothing twice, and of each channel every event from the first on, in order. Returns the channels' last `seq`."""
    ids = [event["id"] for event in events]
    assert len(set(ids)) == len(ids), "an event came twice"
    last = collections.Counter()
    for event in events:
        last[event["channel_sid"]] += 1
        assert event["seq"] == last[event["channel_sid"]], f"{event['channel_sid']}: {event['seq']} after {last}"
    return last
