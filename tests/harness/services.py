"""The running Postgres and RabbitMQ: a fresh database and a fresh virtual host for each cluster."""

import contextlib
import os
import pathlib
import secrets
import subprocess
import tempfile
import urllib.parse

import psycopg

from .node import ROOT

SERVICES = ROOT / "deploy" / "services"


def _setting(name):
    if value := os.environ.get(name):
        return value
    raise AssertionError(f'{name} is not set: start the services and run `eval "$(deploy/services env)"`')


def _run(*arguments, folder=None):
    environment = {**os.environ, "HUBBUB_SERVICES_DIR": str(folder)} if folder else None
    ran = subprocess.run(
        [SERVICES, *arguments], check=True, capture_output=True, text=True, timeout=150, env=environment
    )
    return ran.stdout


def restart_rabbitmq():
    """Takes the broker down and brings it back; returns once it accepts connections again."""
    _run("restart-rabbitmq")


def rabbitmq_address():
    """Host and port."""
    url = urllib.parse.urlsplit(_setting("HUBBUB_AMQP_URL"))
    return url.hostname, url.port or 5672


class OwnRabbitMq:
    """A broker that a test may break: nobody else has anything on it."""

    def __init__(self):
        # Servers run as users of their own, who have to get there.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="hubbub-rabbitmq-"))
        self.folder.chmod(0o755)

    def ctl(self, *arguments):
        _run("rabbitmqctl", *arguments, folder=self.folder)

    @property
    def url(self):
        exported = dict(line.removeprefix("export ").split("=", 1) for line in self._do("env").splitlines())
        return exported["HUBBUB_AMQP_URL"]

    def start(self):
        """Returns once it accepts connections."""
        self._do("start-rabbitmq")
        return self

    def stop(self):
        self._do("stop-rabbitmq")

    def kill(self):
        """kill -9."""
        self._do("kill-rabbitmq")

    def wipe(self):
        self._do("wipe")

    def _do(self, command):
        return _run(command, folder=self.folder)


@contextlib.contextmanager
def own_rabbitmq():
    made = OwnRabbitMq()
    try:
        yield made.start()
    finally:
        made.wipe()


class Backend:
    """A database and a virtual host of one cluster's own, gone again after `drop`. The virtual host is on the RabbitMQ
    that all share, or on the test's own."""

    def __init__(self, rabbitmq=None):
        self.name = f"hubbub_{secrets.token_hex(6)}"
        self.postgres = _setting("HUBBUB_DATABASE_URL")
        self.rabbitmq = rabbitmq.url if rabbitmq else _setting("HUBBUB_AMQP_URL")
        self._own = rabbitmq

    @property
    def database_url(self):
        return urllib.parse.urlsplit(self.postgres)._replace(path=f"/{self.name}").geturl()

    def amqp_url_by(self, address):
        url = urllib.parse.urlsplit(self.rabbitmq)
        credentials, _, place = url.netloc.rpartition("@")
        return url._replace(netloc=f"{credentials}@{address or place}", path=f"/{self.name}").geturl()

    def create(self):
        with psycopg.connect(self.postgres, autocommit=True) as connection:
            connection.execute(f"create database {self.name}")
        self._ctl("add_vhost", self.name)
        self._ctl("set_permissions", "-p", self.name, "guest", ".*", ".*", ".*")
        return self

    def drop(self):
        self._ctl("delete_vhost", self.name)
        with psycopg.connect(self.postgres, autocommit=True) as connection:
            connection.execute(f"drop database {self.name} with (force)")

    def _ctl(self, *arguments):
        if self._own:
            self._own.ctl("-q", *arguments)
        else:
            _run("rabbitmqctl", "-q", *arguments)
