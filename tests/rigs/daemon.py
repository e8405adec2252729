"""A server process of the tests: in a folder of its own, and gone when whoever started it is gone."""

from __future__ import annotations

import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

# Waits for the end of its standard input, which only the death of the starter brings about, then does what the starter
# no longer can. The count is for containers whose first process leaves the dead lying around.
_GUARD = """
read -r _
kill -"$1" "$2" 2>/dev/null
count=0
while kill -0 "$2" 2>/dev/null && [ $count -lt 50 ]; do sleep 0.1; count=$((count + 1)); done
kill -KILL "$2" 2>/dev/null
rm -rf "$3"
"""
_PORTS = range(12_000, 30_000)  # below the ports that systems give to outgoing connections


class Folder:
    """A new folder, and the user that servers in it run as, to whom it belongs."""

    def __init__(self, name: str, user: int | None = None) -> None:
        """Without a ``user`` servers run as the one who starts them."""
        self.path = Path(tempfile.mkdtemp(prefix=f"stoker-{name}-"))
        self.user = user
        self.groups = None if user is None else ()  # without it root's groups stay
        if self.user is not None:
            os.chown(self.path, self.user, self.user)

    def run(self, *command: str | Path) -> None:
        """Run a program to its end in the folder, as its user."""
        subprocess.run(
            command,
            cwd=self.path,
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=60,
            user=self.user,
            group=self.user,
            extra_groups=self.groups,
        )

    def bring(self, base: Path, *parts: str) -> Path:
        """Give a folder with these parts of ``base`` that the user can reach: ``base`` itself or a copy."""
        if self.user is None or _open_to_all(base):
            return base
        copy = self.path / "programs"
        for part in parts:
            (shutil.copytree if (base / part).is_dir() else _copy_file)(base / part, copy / part)
        return copy

    def remove(self) -> None:
        """Delete it with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)


class Daemon:
    """One server process, which may be started and stopped many times."""

    def __init__(
        self,
        folder: Folder,
        *command: str | Path,
        environment: Mapping[str, str] | None = None,
        orphaned: signal.Signals = signal.SIGKILL,
    ) -> None:
        """``orphaned`` is what the process is sent when its starter is gone."""
        self._folder = folder
        self._command = command
        self._environment = None if environment is None else {**os.environ, **environment}
        self._orphaned = orphaned
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process's number; it must have been started."""
        assert self._process is not None
        return self._process.pid

    def start(self, ready: Callable[[], object], seconds: float = 30.0) -> None:
        """Start it and wait until ``ready`` is true and raises no exception."""
        assert not self.running
        # A session of its own, because Ctrl-C in a terminal goes to the whole group.
        with (self._folder.path / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder.path,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=self._folder.user,
                group=self._folder.user,
                extra_groups=self._folder.groups,
            )
        words = ["guard", str(int(self._orphaned)), str(self.pid), str(self._folder.path)]
        self._guard = subprocess.Popen(["/bin/sh", "-c", _GUARD, *words], stdin=subprocess.PIPE, start_new_session=True)
        self._await(ready, seconds)

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 20.0) -> None:
        """Stop it by a signal and wait for its end; one that has ended already is all right."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(number)
            try:
                self._process.wait(seconds)
            finally:
                self._process.kill()
                self._process.wait()
        self._dismiss_guard()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def log(self) -> str:
        """Give what it has written."""
        return (self._folder.path / "server.log").read_text(errors="replace")

    def _await(self, ready: Callable[[], object], seconds: float) -> None:
        end = time.monotonic() + seconds
        while True:
            try:
                if ready():
                    return
            except Exception as error:
                reason: object = error
            else:
                reason = "not ready"
            if not self.running or time.monotonic() > end:
                self.stop(signal.SIGKILL)
                raise AssertionError(f"{self._command[0]} did not start: {reason}\n{self.log()}")
            time.sleep(0.02)

    def _dismiss_guard(self) -> None:
        if self._guard is None:
            return
        self._guard.kill()
        self._guard.communicate()
        self._guard = None


def free_port(beside: int = 0) -> int:
    """Give a port of 127.0.0.1 at which nobody listens, and which no outgoing connection is given.

    The same is then true of the port that is so many ``beside`` it: a cluster's node talks there.
    """
    while True:
        port = random.choice(range(_PORTS.start, _PORTS.stop - beside))
        if all(map(_is_free, {port, port + beside})):
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def unprivileged() -> int | None:
    """Give the user as whom root starts what refuses to be root; None when this process is not root's."""
    return pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None


def _open_to_all(path: Path) -> bool:
    return all(part.stat().st_mode & 0o001 for part in (path, *path.parents))


def _copy_file(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)
