"""What `stoker doctor` looks for in a Redis server, whosever keys it has."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from redis.exceptions import ResponseError

from stoker.core.finding import Finding
from stoker.drivers.redis_link import Link

MOST_SKEW: Final = 2.0
NEARLY_FULL: Final = 0.8


def examine(link: Link) -> list[Finding]:
    """Look at memory, persistence and clock; what the server does not let us ask is left out."""
    try:
        link.send_command("INFO")
        text: bytes = link.read_response(disable_decoding=True)
    except ResponseError:
        return [
            Finding("warn", "server", "does not let this user ask INFO, so little can be said of it", "allow +info")
        ]
    told = dict(line.split(":", 1) for line in text.decode().splitlines() if ":" in line)
    return [*_server(told), *_memory(told), *_persistence(told, _save(link)), *_clock(link)]


def _server(told: dict[str, str]) -> Iterator[Finding]:
    kind = "Valkey" if "valkey_version" in told else "Redis"
    yield Finding("ok", "server", f"{kind} {told.get('valkey_version') or told.get('redis_version', '')}")


def _memory(told: dict[str, str]) -> Iterator[Finding]:
    policy, most, used = told.get("maxmemory_policy"), int(told.get("maxmemory", 0)), int(told.get("used_memory", 0))
    if policy not in (None, "noeviction"):
        # Many jobs are in one key: what is evicted is all of them at once.
        yield Finding(
            "fail",
            "maxmemory-policy",
            f"{policy}: a server that is full may delete all jobs",
            "CONFIG SET maxmemory-policy noeviction, and in redis.conf",
        )
    if most and used > NEARLY_FULL * most:
        yield Finding("warn", "memory", f"{100 * used // most} % of maxmemory is used", "full, it takes no more jobs")


def _persistence(told: dict[str, str], save: str | None) -> Iterator[Finding]:
    if told.get("aof_enabled") == "1":
        if told.get("aof_last_write_status", "ok") != "ok":
            yield Finding(
                "fail", "appendonly", "the last write to the file failed", "look at the server's disk and log"
            )
    elif save == "":
        yield Finding(
            "warn",
            "persistence",
            "neither appendonly nor save is on: a crash or restart of the server loses all jobs",
            "CONFIG SET appendonly yes, and in redis.conf",
        )
    else:
        yield Finding(
            "warn",
            "persistence",
            "snapshots only: a crash of the server loses the jobs since the last one",
            "CONFIG SET appendonly yes, and in redis.conf",
        )
    if told.get("rdb_last_bgsave_status", "ok") != "ok":
        yield Finding("fail", "save", "the last snapshot failed", "look at the server's disk, memory and log")


def _save(link: Link) -> str | None:
    try:
        link.send_command("CONFIG", "GET", "save")
        _, save = link.read_response()
    except (ResponseError, ValueError):
        return None
    text: str = save.decode()
    return text


def _clock(link: Link) -> Iterator[Finding]:
    link.send_command("TIME")
    seconds, micros = link.read_response()
    skew = int(seconds) + int(micros) / 1e6 - time.time()
    if abs(skew) > MOST_SKEW:
        yield Finding(
            "warn", "clock", f"the server's differs from this machine's by {skew:+.1f} s", "keep both in step (NTP)"
        )
