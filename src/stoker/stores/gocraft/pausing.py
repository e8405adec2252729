"""Pausing: names as gocraft does, with a key that its pools look for; queues by a note of ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stoker.core.job import Changed, Pause
from stoker.stores.gocraft.commands import Scripts, speakable
from stoker.stores.gocraft.look import Lanes
from stoker.stores.holding.commands import Arg
from stoker.stores.walks import Course


def pause(scripts: Scripts, kind: str, values: Sequence[str], *, paused: bool) -> Callable[[], Course[Changed]]:
    """Pause or resume queues and names, these in every queue."""

    def course() -> Course[Changed]:
        args: list[Arg] = [kind, int(paused), len(values), *values]
        keys: list[str] = []
        if kind == "name":
            lanes = Lanes((yield scripts.script("pools", [])))
            for place, name in enumerate(values, 1):
                known = {as_known for as_known, lane in lanes.of.items() if lane[1] == name}
                for as_known in sorted(known | ({name} if speakable("default", name) else set())):
                    keys.append(f"{scripts.jobs(as_known)}:paused")
                    args.append(place)
        return Changed((yield scripts.script("pause", args, keys)))

    return course


def paused(scripts: Scripts) -> Callable[[], Course[list[Pause]]]:
    """Give what is paused, also what a Go service has paused: since when, nobody knows."""

    def course() -> Course[list[Pause]]:
        lanes = Lanes((yield scripts.script("pools", [])))
        names = sorted(lanes.of)
        keys = [f"{scripts.jobs(name)}:paused" for name in names]
        now, noted, there = yield scripts.script("paused", [], keys)
        found: dict[tuple[str, str], int] = {}
        for field, since in zip(noted[::2], noted[1::2], strict=True):
            kind, _, value = field.decode().partition("\n")
            found[kind, value] = int(since)
        for name, exists in zip(names, there, strict=True):
            if exists:
                found.setdefault(("name", lanes.of[name][1]), int(now))
        return [Pause(kind, value, since) for (kind, value), since in found.items()]

    return course
