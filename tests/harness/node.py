"""One `hubbub serve` process: started, watched, ended by its pid."""

import os
import pathlib
import queue
import re
import signal
import socket
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
LISTENING = re.compile(r"^hubbub listening on (http://\S+)$")
INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "RUST_BACKTRACE")


def binary():
    """The program under test: `$HUBBUB_BIN`, else the release build."""
    if chosen := os.environ.get("HUBBUB_BIN"):
        return pathlib.Path(chosen).resolve()
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return (ROOT / target / "release" / "hubbub").resolve()


def clean_environment(settings):
    """Only what a process needs, so that nothing set on the machine leaks into a test."""
    base = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return {**base, **{name: str(value) for name, value in settings.items()}}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run_command(*arguments, settings, within=30):
    """Runs a subcommand to its end; the completed process has `returncode`, `stdout` and `stderr`."""
    return subprocess.run(
        [binary(), *arguments],
        env=clean_environment(settings),
        capture_output=True,
        text=True,
        timeout=within,
        check=False,
    )


class Node:
    """A serving process. `url` is known once it is ready, and stays the same over restarts."""

    def __init__(self, name, folder, settings):
        self.name = name
        self.port = free_port()
        self.settings = {
            "HUBBUB_LISTEN": f"127.0.0.1:{self.port}",
            "HUBBUB_DATA_DIR": folder / f"{name}-data",
            **settings,
        }
        self.log = folder / f"{name}.log"
        self.url = None
        self.process = None
        self.printed = []
        self._lines = None

    def start(self):
        self._lines = queue.Queue()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [binary()],
                env=clean_environment(self.settings),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        threading.Thread(target=self._read, args=(self.process, self._lines), daemon=True).start()
        return self

    def _read(self, process, lines):
        for line in process.stdout:
            self.printed.append(line.rstrip("\n"))
            lines.put(line.rstrip("\n"))
        lines.put(None)

    def wait_ready(self, within=30):
        deadline = time.monotonic() + within
        while True:
            try:
                line = self._lines.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                self.kill()
                raise AssertionError(f"{self.name} not ready within {within} s\n{self.log_tail()}") from None
            if line is None:
                raise AssertionError(f"{self.name} ended with {self.process.wait()}\n{self.log_tail()}")
            if found := LISTENING.match(line):
                self.url = found[1]
                return self

    def is_alive(self):
        return self.process is not None and self.process.poll() is None

    def stop(self, within=10):
        """Asks with SIGTERM; returns the exit code, or fails when it takes longer than it may."""
        if self.is_alive():
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} still ran {within} s after SIGTERM\n{self.log_tail()}") from None

    def kill(self):
        """kill -9."""
        if self.is_alive():
            self.process.kill()
        self.process.wait()

    def log_tail(self, lines=40):
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])
