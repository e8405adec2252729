"""Opening sandboxes, and finding the open one that a job belongs to."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, Final

from stoker.app.stoker import Stoker
from stoker.errors import ConfigurationError
from stoker.jobs.defined import DefinedJob
from stoker.jobs.draft import Draft
from stoker.testing.box import LIFESPAN, Mode, Sandbox, Which
from stoker.testing.fake_clock import FakeClock

SANDBOXES: Final[list[Sandbox]] = []
"""Those that are open now: by them the functions of `stoker.testing` find the sandbox of a job."""


@contextlib.contextmanager
def sandbox(
    app: Stoker[Any], *, mode: Mode = "manual", clock: FakeClock | None = None, state: object = LIFESPAN
) -> Iterator[Sandbox]:
    """Put an application into a sandbox for the length of a block: no store of its settings is touched.

    ``manual``: jobs wait until `Sandbox.drain`. ``inline``: they are performed where they are enqueued. ``state`` is
    what handlers see as ``Context.state``; without it the application's lifespan runs for each drain.
    """
    box = Sandbox(app, mode, clock, state)
    with app.on_stage(box):
        app.store()
        SANDBOXES.append(box)
        try:
            yield box
        finally:
            SANDBOXES.remove(box)


def sandbox_of(jobs: Sequence[Which]) -> Sandbox:
    """Give the open sandbox that a job belongs to; ConfigurationError says how to open one."""
    if not SANDBOXES:
        raise ConfigurationError(
            "no application is in a sandbox: use the fixture `stoker`, or write `with stoker.testing.sandbox(app):`"
        )
    definitions = [job.definition if isinstance(job, Draft) else job for job in jobs]
    own = [box for box in SANDBOXES if all(not isinstance(one, DefinedJob) or box.app.owns(one) for one in definitions)]
    if len(own) == 1:
        return own[0]
    if not own:
        raise ConfigurationError("this job's application is in no sandbox; another one is")
    raise ConfigurationError("several applications are in sandboxes: name a job, or ask one of the sandboxes")
