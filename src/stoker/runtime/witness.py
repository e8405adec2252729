"""What a supervised worker process tells its supervisor: the leases that it holds, and every second how it stands.

So the supervisor can give the jobs of a process that it saw die back at once. Nothing here ever waits: a supervisor
that does not listen must not stop a worker; what is not told then is taken back when its lease ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable
from typing import Final

import msgspec

from stoker.core.job import Token
from stoker.runtime.pulse import Pulse

INTERVAL: Final = 1.0
_encoder: Final = msgspec.json.Encoder()


class Witness:
    """The child's end of the channel, a socket by its file descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._ended = threading.Event()
        self._beating: threading.Thread | None = None
        os.set_blocking(descriptor, False)

    def of(self, store: str) -> Callable[[str, Token], None]:
        """Give what tells of the leases of one store: ``+`` when one is asked for, ``-`` when it is over."""

        def tell(sign: str, token: Token) -> None:
            self._write(f"{sign}{store} {token}\n".encode())

        return tell

    def start(self, pulse: Callable[[], Pulse], gone: Callable[[], None]) -> None:
        """Begin to send pulses; ``gone`` is called on the event loop when the supervisor is no more."""
        loop = asyncio.get_running_loop()

        def heard() -> None:
            try:
                here = os.read(self._descriptor, 1024)
            except BlockingIOError:
                return
            except OSError:
                here = b""  # it was killed with lines of ours unread
            if not here:
                loop.remove_reader(self._descriptor)
                gone()

        loop.add_reader(self._descriptor, heard)
        self._beating = threading.Thread(target=self._beat, args=(pulse,), name="stoker-pulse", daemon=True)
        self._beating.start()

    def stop(self) -> None:
        """Send a last pulse, so that no ending is missing from what is counted, and no more."""
        self._ended.set()
        if self._beating is not None:
            self._beating.join()
        asyncio.get_running_loop().remove_reader(self._descriptor)

    def _beat(self, pulse: Callable[[], Pulse]) -> None:
        ended = False
        while not ended:
            self._write(_encoder.encode(pulse()) + b"\n")
            ended = self._ended.wait(INTERVAL)
        self._write(_encoder.encode(pulse()) + b"\n")

    def _write(self, line: bytes) -> None:
        # A line is shorter than what a pipe takes as a whole; one that finds it full is not told.
        with contextlib.suppress(OSError):
            os.write(self._descriptor, line)
