"""What `stoker doctor` looks for in a namespace that Go's pools share."""

from __future__ import annotations

from collections.abc import Callable

from stoker.core.duration import SECOND
from stoker.core.finding import Finding
from stoker.stores.gocraft.commands import Scripts
from stoker.stores.gocraft.look import Lanes
from stoker.stores.gocraft.presence import GO_SILENT, said_names
from stoker.stores.walks import Course


def examine(scripts: Scripts) -> Callable[[], Course[list[Finding]]]:
    """Look for pools of Go's that would move jobs of names they do not perform to the dead set."""

    def course() -> Course[list[Finding]]:
        lanes = Lanes((yield scripts.script("pools", [])))
        now, beats = yield scripts.script("heartbeats", [], [scripts.pool(pool) for pool in lanes.pools])
        findings: list[Finding] = []
        for pool, (beat_at, names, ours, *_) in zip(lanes.pools, beats, strict=True):
            alive = ours is None and int(beat_at or 0) >= int(now) // SECOND - GO_SILENT
            if alive and (strange := sorted(lanes.of.keys() - set(said_names(names)))):
                findings.append(
                    Finding(
                        "warn",
                        "Go pool",
                        f"{pool} does not perform {', '.join(strange)}: delayed or retried, these may end as dead",
                        "let all pools of a namespace perform the same names, or give Python's jobs one of their own",
                    )
                )
        return findings or [Finding("ok", "Go pools", "none that would bury jobs of names it does not perform")]

    return course
