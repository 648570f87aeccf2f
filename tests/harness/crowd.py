"""Fills a service past the doors, as if it had been used for long: one by one through REST, ten thousand channels would
take longer than what is to be looked at."""

import contextlib
import dataclasses
import functools
import secrets
import sqlite3
import time
import uuid

import psycopg

from .store import uuid_of

CHANNELS = (
    "service_id id unique_name friendly_name attributes kind created_by members_count messages_count next_index last_seq"
    " last_event_at last_message_id last_message_at listed_at date_created date_updated"
)
MEMBERS = "service_id channel_id id identity role_id attributes notification_level joined_seq date_created date_updated"
MESSAGES = "service_id channel_id idx id seq author body attributes was_edited committed_at date_created date_updated"
LONG_AGO = 3600


@dataclasses.dataclass
class Room:
    """A channel that was made here."""

    name: str
    uuid: uuid.UUID
    said_at: int

    @property
    def sid(self):
        return f"CH{self.uuid.hex}"


class Crowd:
    """Channels with one message each, which was said some time ago; `identity` is a member of the first ones."""

    def __init__(self, chat):
        self._chat = chat
        self._service = uuid_of(chat.sid)
        self._role = uuid_of(chat.service.fetch().default_channel_role_sid)

    def joins(self, identity, count, besides=0, seconds=3600):
        """Makes `count` channels of `identity` and as many `besides`, in which something was said within so many
        `seconds`; answers its own, the latest activity first."""
        now = int((time.time() - LONG_AGO) * 1_000_000)
        rooms = [
            Room(f"{identity} {number}", uuid.UUID(bytes=secrets.token_bytes(16)), now - number * 7919 % 1_000_003 * seconds)
            for number in range(count + besides)
        ]
        own = rooms[:count]
        self._chat.service.users.create(identity=identity)
        messages = {room.uuid: uuid.UUID(bytes=secrets.token_bytes(16)) for room in rooms}
        with self._connected() as (connection, copy):
            copy("channels", CHANNELS, (self._channel(room, messages[room.uuid]) for room in rooms))
            copy("messages", MESSAGES, (self._message(room, messages[room.uuid]) for room in rooms))
            copy("members", MEMBERS, (self._member(room, identity) for room in own))
            self._count(connection, identity, count)
        return sorted(own, key=lambda room: (room.said_at, room.uuid.bytes), reverse=True)

    def _count(self, connection, identity, count):
        mark, service = ("%s", self._service) if self._chat.cluster.backend else ("?", self._service.bytes)
        connection.execute(
            f"update users set joined_channels_count = {count} where service_id = {mark} and identity = {mark}",
            (service, identity),
        )

    def _channel(self, room, message):
        at = room.said_at
        return (
            (self._service, room.uuid, room.name, room.name, "{}", "private", "system", 1, 1, 1, 1)
            + (at, message, at, at, at, at)
        )  # fmt: skip

    def _message(self, room, message):
        at = room.said_at
        return (self._service, room.uuid, 0, message, 1, "system", f"said in {room.name}", "{}", False, at, at, at)

    def _member(self, room, identity):
        at = room.said_at
        return (self._service, room.uuid, uuid.uuid4(), identity, self._role, "{}", "default", 0, at, at)

    @contextlib.contextmanager
    def _connected(self):
        cluster = self._chat.cluster
        if cluster.backend:
            with psycopg.connect(cluster.backend.database_url) as connection:
                yield connection, functools.partial(self._copy, connection)
            with psycopg.connect(cluster.backend.database_url, autocommit=True) as connection:
                connection.execute("vacuum analyze channels, members, messages")
            return
        path = cluster.nodes[0].settings["HUBBUB_DATA_DIR"] / "hubbub.db"
        with contextlib.closing(sqlite3.connect(path, timeout=20)) as connection:
            yield connection, functools.partial(self._insert, connection)
            connection.commit()

    @staticmethod
    def _copy(connection, table, columns, rows):
        with (
            connection.cursor() as cursor,
            cursor.copy(f"copy {table} ({', '.join(columns.split())}) from stdin") as copy,
        ):
            for row in rows:
                copy.write_row(row)

    @staticmethod
    def _insert(connection, table, columns, rows):
        names = columns.split()
        own = ([value.bytes if isinstance(value, uuid.UUID) else value for value in row] for row in rows)
        connection.executemany(
            f"insert into {table} ({', '.join(names)}) values ({', '.join('?' * len(names))})", own
        )
