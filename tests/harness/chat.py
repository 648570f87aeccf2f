"""One fresh service instance on a running cluster, and everything a test does with it."""

import asyncio
import itertools

from twilio.jwt.access_token import AccessToken
from twilio.jwt.access_token.grants import ChatGrant
from twilio.rest import Client

from .person import Person
from .rest import Rest


def twilio_client(cluster, user=None, password=None, account_sid=None, url=None):
    """The unmodified library, pointed at the cluster (or at `url` in front of it) in the one documented way."""
    client = Client(user or cluster.account_sid, password or cluster.auth_token, account_sid)
    client.chat.base_url = url or cluster.api
    client.api.base_url = url or cluster.api
    client.accounts.base_url = url or cluster.api
    return client


class Chat:
    """Several gateways are taken in turn, so that on two of them every second person is on the other node."""

    def __init__(self, cluster, driver, name):
        self.cluster = cluster
        self.client = twilio_client(cluster)
        self.service = self.client.chat.v2.services.create(friendly_name=name)
        self.sid = self.service.sid
        self.rest = Rest(cluster.api, (cluster.account_sid, cluster.auth_token))
        self.path = f"/v2/Services/{self.sid}"
        self.people = []
        self._driver = driver
        self._gateways = itertools.cycle(cluster.gateways)
        self._key = None

    # --- the backend's side

    @property
    def key(self):
        """An API key, made by the library on first use."""
        if not self._key:
            self._key = self.client.new_keys.create(friendly_name="end to end")
        return self._key

    def token(self, identity, ttl=3600, **parts):
        """An access token as a tenant's backend mints it: offline, with the library."""
        token = AccessToken(
            parts.get("account_sid", self.cluster.account_sid),
            parts.get("key_sid") or self.key.sid,
            parts.get("secret") or self.key.secret,
            identity=identity,
            ttl=ttl,
        )
        if parts.get("grant", True):
            token.add_grant(ChatGrant(service_sid=parts.get("service_sid", self.sid)))
        return token.to_jwt()

    def channel(self, unique_name, *identities, **fields):
        """A channel with these members."""
        channel = self.service.channels.create(unique_name=unique_name, friendly_name=unique_name, **fields)
        for identity in identities:
            self.service.channels(channel.sid).members.create(identity=identity)
        return channel

    def role(self, friendly_name):
        return next(role for role in self.service.roles.list() if role.friendly_name == friendly_name)

    def messages_of(self, channel_sid):
        return self.service.channels(channel_sid).messages.list(limit=1000, page_size=100)

    def bearer(self, identity):
        """The REST door with a user's token."""
        return Rest(self.cluster.api, bearer=self.token(identity))

    # --- the app's side

    async def person(
        self,
        identity,
        client="js-websocket",
        token=None,
        cursor=None,
        gateway=None,
        returns=False,
        recovery=False,
    ):
        """Connects somebody, with `initialized` received."""
        somebody = Person(identity, client, self._driver, returns)
        self.people.append(somebody)
        gateway = gateway or next(self._gateways)
        return await somebody.connect(gateway, token or self.token(identity), cursor, recovery=recovery)

    async def stranger(self, token, client="js-websocket"):
        """Knocks with any token, or none; raises ConnectionRefused when the door stays shut."""
        somebody = Person("stranger", client, self._driver)
        self.people.append(somebody)
        return await somebody.connect(next(self._gateways), token)

    async def close(self):
        """Everybody leaves. At worst that takes a ping: python-engineio may forget to say that it goes."""
        present = [somebody for somebody in self.people if somebody.connected and somebody.ended is None]
        await asyncio.wait_for(asyncio.gather(*(somebody.leaves() for somebody in present)), 30)
        self.rest.close()
