"""A short form of `hubbub-bench chaos`: nodes of its own, broken one way after the other under load, and its own count
of what was acknowledged, what is in history, what was heard and what webhooks told. `bench/README.md` has the long one.
"""

import json
import os
import pathlib
import subprocess

import pytest

from harness.node import ROOT, binary

WITHIN = 120


def bench():
    """The load generator: `$HUBBUB_BENCH_BIN`, else the development build."""
    if chosen := os.environ.get("HUBBUB_BENCH_BIN"):
        return pathlib.Path(chosen).resolve()
    return (ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "debug" / "hubbub-bench").resolve()


def chaos(*arguments):
    """The figures of a run that was sound."""
    command = [bench(), "chaos", "--json", "--server", binary(), "--services", ROOT / "deploy" / "services", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as ran:
        try:
            printed, said = ran.communicate(timeout=WITHIN)
        except subprocess.TimeoutExpired:
            ran.terminate()  # It takes away what it has started.
            printed, said = ran.communicate(timeout=WITHIN)
    assert printed, said
    report = json.loads(printed)
    assert report["sound"] and ran.returncode == 0, "\n".join([*report["faults"], said])
    return report["figures"]


@pytest.mark.parametrize("seed", ["11"])
def test_one_node_outlives_kills_broken_connections_a_full_disk_and_a_clock_that_jumps(seed):
    figures = chaos("--fault", "kill,proxy,disk,clock", "--kills", "16", "--seconds", "1", "--seed", seed)
    assert figures["kills_of_all"] == 16
    assert figures["in_history"] == figures["acknowledged"] > 16 * 9
    assert figures["resumed"] >= 16 * 12, "everybody came back after each kill"
    assert figures.get("disk_skipped") or figures["refused_while_disk_full"] > 0
    assert figures.get("clock_skipped") or figures["clock_jumps"] == 6


@pytest.mark.parametrize("seed", ["12"])
def test_a_cluster_outlives_kills_of_each_role_an_absent_postgres_and_a_rolling_restart(seed):
    figures = chaos(
        *("--topology", "cluster", "--fault", "kill,postgres,rolling", "--kills", "8", "--seconds", "2"),
        *("--sockets", "200", "--seed", seed),
    )
    assert all(figures[f"kills_of_{node}"] >= 1 for node in ("api", "gateway-1", "gateway-2", "workers-1", "workers-2"))
    assert figures["in_history"] == figures["acknowledged"] > 8 * 9
    assert figures["refused_while_postgres_away"] > 0
    assert figures["rolling_moves"] >= 200, "everybody was moved at least once"
