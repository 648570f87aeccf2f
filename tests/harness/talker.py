"""Somebody who never stops talking."""

import asyncio
import time


class Talker:
    """Sends one message after the other until told to stop, and notes how long each ack took."""

    def __init__(self, person):
        self.person = person
        self.acked = []
        self.slowest = 0.0
        self._talking = True
        self._task = asyncio.create_task(self._talk())

    async def _talk(self):
        number = 0
        while self._talking:
            started = time.monotonic()
            self.acked.append(await self.person.sends("general", f"{self.person.identity} {number}"))
            self.slowest = max(self.slowest, time.monotonic() - started)
            number += 1

    async def stop(self):
        self._talking = False
        await self._task
        return self.acked
