"""Fixtures: shared clusters, one a topology, and a fresh service instance for each test."""

import re

import pytest
import pytest_asyncio

from harness.chat import Chat, twilio_client
from harness.clients import NodeDriver
from harness.cluster import TOPOLOGIES, running
from harness.published_schema import PublishedSchema
from harness.receiver import Receiver


def pytest_generate_tests(metafunc):
    """Every test that uses a cluster runs on all topologies, or on those that its mark names."""
    if "shared_cluster" in metafunc.fixturenames:
        mark = metafunc.definition.get_closest_marker("topologies")
        metafunc.parametrize("shared_cluster", mark.args if mark else tuple(TOPOLOGIES), indirect=True, scope="session")


@pytest.fixture(scope="session")
def shared_cluster(request, tmp_path_factory):
    """Started when the first test of a topology needs it, ended after the last: pytest groups the tests by it."""
    with running(request.param, tmp_path_factory.mktemp(request.param)) as cluster:
        yield cluster


@pytest.fixture
def cluster(shared_cluster):
    """Whatever a test does, no process may fall over it."""
    yield shared_cluster
    fallen = [f"--- {node.name}\n{node.log_tail()}" for node in shared_cluster.fallen()]
    assert not fallen, "\n".join(["a process ended:", *fallen])


@pytest_asyncio.fixture(scope="session")
async def driver():
    """The process with the JavaScript sockets."""
    started = await NodeDriver().start()
    yield started
    await started.stop()


@pytest_asyncio.fixture
async def chat(cluster, driver, request):
    """A service instance of the test's own."""
    made = Chat(cluster, driver, re.sub(r"[^a-z0-9]+", " ", request.node.name)[:60])
    yield made
    await made.close()


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


@pytest.fixture(scope="session")
def published():
    return PublishedSchema()


@pytest.fixture
def client(cluster):
    """The Twilio library with the account's credentials."""
    return twilio_client(cluster)
