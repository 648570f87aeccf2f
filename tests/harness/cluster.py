"""The four ways to run the platform, behind one face."""

import base64
import contextlib
import secrets

from .node import Node
from .services import Backend

# name → the roles of each process; None runs on SQLite and the in-process broker.
TOPOLOGIES = {
    "embedded": {"all": None},
    "cluster": {"all": "api,gateway,workers"},
    "split": {"api": "api", "gateway": "gateway", "workers": "workers"},
    "two-gateways": {"api": "api,workers", "gateway-1": "gateway", "gateway-2": "gateway"},
}


# Those that only the suites use that need them.
SPECIAL = {
    "two-doors": {"api-1": "api,gateway,workers", "api-2": "api"},
}


class Cluster:
    """Running nodes of one topology with an account made at the start. They find RabbitMQ at `broker`, an address in
    front of it, or where it is; `rabbitmq` is one of the test's own."""

    def __init__(self, topology, folder, broker=None, rabbitmq=None, **settings):
        self.topology = topology
        self.broker = broker
        self.account_sid = f"AC{secrets.token_hex(16)}"
        self.auth_token = secrets.token_hex(16)
        self.backend = None if topology == "embedded" else Backend(rabbitmq).create()
        shared = {
            "HUBBUB_ACCOUNT_SID": self.account_sid,
            "HUBBUB_AUTH_TOKEN": self.auth_token,
            "HUBBUB_WEBHOOK_ALLOW_PRIVATE": "true",
            "HUBBUB_DEMO": "true",
            **self.store_settings(),
            **settings,
        }
        self.nodes = [
            Node(name, folder, shared | ({"HUBBUB_ROLES": roles} if roles else {}))
            for name, roles in (TOPOLOGIES | SPECIAL)[topology].items()
        ]

    def store_settings(self):
        if not self.backend:
            return {}
        return {
            "HUBBUB_DATABASE_URL": self.backend.database_url,
            "HUBBUB_AMQP_URL": self.backend.amqp_url_by(self.broker),
            "HUBBUB_MASTER_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
        }

    def start(self):
        """All nodes at once: on an empty database exactly one of them has to win the migrations."""
        for node in self.nodes:
            node.start()
        for node in self.nodes:
            node.wait_ready()
        return self

    @property
    def api(self):
        """Base URL of the REST door."""
        return self.nodes[0].url

    @property
    def apis(self):
        """Base URLs of all REST doors."""
        return [node.url for node in self.nodes if "api" in node.name] or [self.nodes[0].url]

    @property
    def gateways(self):
        """Base URLs of the socket doors."""
        return [node.url for node in self.nodes if "gateway" in node.name] or [self.nodes[0].url]

    def fallen(self):
        return [node for node in self.nodes if not node.is_alive()]

    def kill(self):
        for node in self.nodes:
            node.kill()

    def restart(self):
        return self.start()

    def stop(self):
        """Ends every node as an operator would, and returns the exit codes by name."""
        try:
            return {node.name: node.stop() for node in self.nodes}
        finally:
            for node in self.nodes:
                node.kill()
            if self.backend:
                self.backend.drop()


@contextlib.contextmanager
def running(topology, folder, **settings):
    """A cluster for one test; ends with a clean SIGTERM of every node, which has to succeed."""
    cluster = Cluster(topology, folder, **settings)
    try:
        yield cluster.start()
    except BaseException:
        for node in cluster.nodes:
            print(f"--- {node.name}\n{node.log_tail()}")
        with contextlib.suppress(AssertionError):
            cluster.stop()
        raise
    assert set(cluster.stop().values()) == {0}, "SIGTERM ends a node with exit code 0"


class Tenant:
    """Another account on a running cluster, made by the cluster's own: wherever a test takes a cluster, it may take
    one of these."""

    def __init__(self, cluster, made):
        self._cluster = cluster
        self.account_sid = made.sid
        self.auth_token = made.auth_token

    def __getattr__(self, name):
        return getattr(self._cluster, name)
