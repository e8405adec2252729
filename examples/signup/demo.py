"""The example in one process: mail sink, web application, worker, and 200 people who sign up over HTTP.

Exits 0 when the mailbox and the store agree that everybody got one mail, else 1, saying what differs.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import logging.handlers
import os
import socket
import time
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx2
import uvicorn
from rich.console import Console
from rich.progress import Progress

from examples.signup.audit import differences
from examples.signup.jobs import app
from examples.signup.people import Person, people
from examples.signup.report import table
from examples.signup.sink import Mailbox, listening
from examples.signup.web import web
from stoker.core.filters import Filter
from stoker.telemetry.events import AttemptEnded, Event

PATIENCE = 60.0
"""Seconds after which what has not been sent counts as missing."""
IMPATIENT = 10
"""How many click twice."""


class Following:
    """Listens to the worker and moves the bar; ``over`` once so many jobs have ended."""

    def __init__(self, progress: Progress, jobs: int) -> None:
        self.over = asyncio.Event()
        self._progress = progress
        self._left = jobs
        self._bar = progress.add_task("welcome mails", total=jobs)

    def __call__(self, event: Event) -> None:
        if isinstance(event, AttemptEnded) and event.settlement.state.final:
            self._progress.advance(self._bar)
            self._left -= 1
            if self._left == 0:
                self.over.set()


class Server(uvicorn.Server):
    """A web server that leaves Ctrl-C to the demo."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


async def run(crowd: Sequence[Person], mailbox: Mailbox, progress: Progress) -> int:
    """Let everybody sign up and wait for the mails; gives the number of sign-ups that were double."""
    following = Following(progress, len(crowd))
    app.events.listen(following)
    door = socket.create_server(("127.0.0.1", 0), backlog=512)
    server = Server(uvicorn.Config(web, lifespan="off", log_level="critical"))
    async with listening(mailbox) as smtp_port, app.working(), asyncio.TaskGroup() as group:
        os.environ["SMTP_PORT"] = str(smtp_port)
        group.create_task(server.serve(sockets=[door]))
        doubles = 0
        try:
            doubles = await sign_up(door.getsockname()[1], [*crowd, *crowd[:IMPATIENT]])
            await asyncio.wait_for(following.over.wait(), PATIENCE)
        except TimeoutError:
            pass  # the comparison says what is missing
        finally:
            server.should_exit = True
    return doubles


async def sign_up(port: int, crowd: Sequence[Person]) -> int:
    """Post all sign-ups, twenty at a time; gives how many were answered with a job that was there already."""
    gate = asyncio.Semaphore(20)
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as client:

        async def post(person: Person) -> bool:
            async with gate:
                answer = await client.post("/signups", json={"name": person.name, "email": person.email})
            answer.raise_for_status()
            return bool(answer.json()["duplicate"])

        return sum(await asyncio.gather(*map(post, crowd)))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m examples.signup", description=__doc__)
    parser.add_argument(
        "--verbose",
        action="store_true",
        help="show the worker's log at the end, a line for each retry; without, only if something differs",
    )
    parser.add_argument("--lose-one", action="store_true", help="let the mail sink lose a mail, to see it found out")
    options = parser.parse_args(arguments)
    log = logging.handlers.MemoryHandler(10_000, logging.CRITICAL, logging.StreamHandler(), flushOnClose=False)
    logging.getLogger("stoker").addHandler(log)

    crowd, console, began = people(), Console(), time.monotonic()
    mailbox = Mailbox(crowd, lose={crowd[0].email} if options.lose_one else ())
    with TemporaryDirectory(prefix="signup-") as folder:
        app.configure(arguments={"queue.uri": f"sqlite:///{Path(folder, 'jobs.sqlite3')}"})
        with app, Progress(console=console) as progress:
            doubles = asyncio.run(run(crowd, mailbox, progress))
            store = app.operations()
            jobs = store.find(Filter(), limit=10 * len(crowd))
            states = sum((Counter(queue.states) for queue in store.status().queues), Counter[str]())
    console.print(table(jobs, doubles, time.monotonic() - began))
    found = differences(crowd, [address for address, _ in mailbox.delivered], states)
    if found or options.verbose:
        log.flush()
    for difference in found:
        console.print(f"[red]differs:[/] {difference}", soft_wrap=True)
    if not found:
        console.print("The mailbox and the store agree: one mail for each address, none for the unknown one.")
    return 1 if found else 0
