"""People who do not give up: whatever dies, they come back and say it again until they are answered."""

import asyncio

from .person import ConnectionRefused, Refused

# How long anybody waits for an answer before taking the connection for dead.
ANSWER = 5
# The pause before the next try to connect.
PAUSE = 0.05
# What a server may say while parts of it are away.
LATER = {429, 500, 502, 503}


class Stubborn:
    """One user over many connections, one after the other, each begun with the last one's cursor."""

    def __init__(self, chat, identity, client):
        self.chat, self.identity, self.client = chat, identity, client
        self.person = None
        self.heard = []
        self.acked = []
        self.connections = 0

    async def connects(self):
        """A connection that is let in, at any gateway."""
        while True:
            cursor = self.person.cursor if self.person else None
            try:
                person = await asyncio.wait_for(self.chat.person(self.identity, self.client, cursor=cursor), 12)
            except (AssertionError, ConnectionError, ConnectionRefused, TimeoutError, OSError) as error:
                status = error.data["status"] if isinstance(error, ConnectionRefused) and error.data else None
                assert status is None or status in LATER, f"{self.identity} was refused: {error.data}"
                await asyncio.sleep(PAUSE)
                continue
            if self.person:
                self.heard += self.person.heard
            self.person = person
            self.connections += 1
            return person

    async def leaves(self):
        """Everything heard so far is kept."""
        if self.person:
            self.heard += self.person.heard
            if self.person.ended is None:
                await self.person.leaves()
            self.person = None

    async def says(self, channel, body, client_id):
        """The message as it was acknowledged in the end."""
        while True:
            person = self.person
            if person is None or person.ended is not None:
                person = await self.connects()
            try:
                asked = person.asks("sendMessage", channel=channel, body=body, client_id=client_id)
                sent = await asyncio.wait_for(asked, ANSWER)
            except Refused as refused:
                assert refused.status in LATER, refused
                await asyncio.sleep(PAUSE)
            except (AssertionError, ConnectionError, TimeoutError):
                await self.connects()
            else:
                self.acked.append(sent)
                return sent

    async def talks_until(self, over, channel):
        number = 0
        while not over.is_set():
            await self.says(channel, f"{self.identity} {number}", f"{self.identity}-{number}")
            number += 1

    async def listens_until(self, over):
        while not over.is_set():
            if self.person is None or self.person.ended is not None:
                await self.connects()
            ended = asyncio.create_task(self.person.is_disconnected(within=600))
            waiting = asyncio.create_task(over.wait())
            _, pending = await asyncio.wait({ended, waiting}, return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
