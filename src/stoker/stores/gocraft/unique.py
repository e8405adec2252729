"""Unique jobs as gocraft has them: a key is taken at the enqueue and free when its job starts, or after a day."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from stoker.core.capability import Capability
from stoker.core.command import Command, Retry
from stoker.core.job import CallId, Enqueued, JobId, NewJob
from stoker.errors import NotSupported
from stoker.stores.gocraft.commands import Scripts, name_of
from stoker.stores.gocraft.gojson import in_gos_words
from stoker.stores.gocraft.intake import where
from stoker.stores.gocraft.wire import UNREADABLE, Payload, head, ids_of, read_payload, tails
from stoker.stores.holding.commands import Arg

_STATES: Final = {"scheduled", "available"}


def check_unique(job: NewJob, store: str) -> None:
    """Refuse a key that promises more than gocraft keeps."""
    unique = job.unique
    if unique is None:
        return
    problem = ""
    if not set(unique.states) <= _STATES:
        problem = 'frees a key when its job starts; write Unique(states=("scheduled", "available"))'
    elif unique.within is not None:
        problem = "frees a key when its job starts, or after a day; it has no within="
    elif unique.on_conflict not in ("keep", "replace"):
        problem = f'has no on_conflict="{unique.on_conflict}"; it can "keep" and "replace"'
    elif not (unique.chosen or job.args).startswith("{"):
        problem = "makes keys of named arguments only; give Unique(by=…) names, or a function that gives a dict"
    if problem:
        raise NotSupported(
            f"{job.name}: gocraft {problem} (it lacks {Capability.UNIQUE.name})", store=store, verb="enqueue"
        )


def key_of(scripts: Scripts, job: NewJob) -> str:
    """Give the key that a job takes; empty for a job that asks for none."""
    if job.unique is None:
        return ""
    return scripts.unique(name_of(job.queue, job.name), in_gos_words(job.unique.chosen or job.args))


def held_key(scripts: Scripts, job: Payload) -> str | None:
    """Give the key that a claimed job still holds; None where it holds none."""
    # What has failed started before, and its key may be another's by now.
    if not job.unique or job.fails:
        return None
    if job.unique_key:
        return job.unique_key if job.unique_key.startswith(scripts.key("unique:")) else None
    args = bytes(job.args)
    try:
        text = "" if args == b"null" else in_gos_words(args.decode())
    except ValueError:
        return None
    return scripts.unique(job.name, text) if text else scripts.key(f"unique:{job.name}:")


def key_in(scripts: Scripts, payload: bytes) -> str | None:
    """Give the key that a job still holds by its JSON; None where it holds none, or is no job."""
    if b'"unique":' not in payload:
        return None
    try:
        return held_key(scripts, read_payload(payload))
    except UNREADABLE:
        return None


def enqueue(jobs: Sequence[NewJob], call: CallId, scripts: Scripts) -> Command[list[Enqueued]]:
    """Store jobs of which some are unique, each unless its key is taken."""
    args: list[Arg] = []
    keys = [scripts.key(f"stoker:call:{call}")]
    taken = [key_of(scripts, job) for job in jobs]
    for job, key, id, tail in zip(jobs, taken, ids_of(call, len(jobs)), tails(jobs, taken), strict=True):
        policy = "" if job.unique is None else job.unique.on_conflict
        args += [*where(job), policy, head(job), id + tail]
        keys += [scripts.jobs(name_of(job.queue, job.name)), key or keys[0]]

    def read(reply: Any) -> list[Enqueued]:
        said = reply.decode().split("\n")
        return [Enqueued(JobId(line[1:]), line.startswith("=")) for line in said]

    return scripts.command("enqueue", args, read, Retry.KEYED, more=keys, script="enqueue_unique")
