"""The running Postgres and RabbitMQ: a fresh database and a fresh virtual host for each cluster."""

import os
import secrets
import subprocess
import urllib.parse

import psycopg

from .node import ROOT

SERVICES = ROOT / "deploy" / "services"


def _setting(name):
    if value := os.environ.get(name):
        return value
    raise AssertionError(f'{name} is not set: start the services and run `eval "$(deploy/services env)"`')


def _run(*arguments):
    subprocess.run([SERVICES, *arguments], check=True, capture_output=True, text=True, timeout=150)


def restart_rabbitmq():
    """Takes the broker down and brings it back; returns once it accepts connections again."""
    _run("restart-rabbitmq")


def rabbitmq_address():
    """Host and port."""
    url = urllib.parse.urlsplit(_setting("HUBBUB_AMQP_URL"))
    return url.hostname, url.port or 5672


class Backend:
    """A database and a virtual host of one cluster's own, gone again after `drop`."""

    def __init__(self):
        self.name = f"hubbub_{secrets.token_hex(6)}"
        self.postgres = _setting("HUBBUB_DATABASE_URL")
        self.rabbitmq = _setting("HUBBUB_AMQP_URL")

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
        _run("rabbitmqctl", "-q", "add_vhost", self.name)
        _run("rabbitmqctl", "-q", "set_permissions", "-p", self.name, "guest", ".*", ".*", ".*")
        return self

    def drop(self):
        _run("rabbitmqctl", "-q", "delete_vhost", self.name)
        with psycopg.connect(self.postgres, autocommit=True) as connection:
            connection.execute(f"drop database {self.name} with (force)")
