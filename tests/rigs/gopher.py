"""What Go's gocraft/work does to Redis, command by command: its enqueuer, a pool, its requeuer, reaper and client.

gocraft itself is in no package registry that the tests reach; its commands are those of its sources (0.5.1).
"""

from __future__ import annotations

import json
import secrets
import time
from typing import Any, Final

import redis

FETCH: Final = """
for i = 1, #KEYS, 6 do
  local most = tonumber(redis.call('get', KEYS[i + 5]) or nil)
  local active = tonumber(redis.call('get', KEYS[i + 3]) or nil)
  local open = not most or most == 0 or not active or active < most
  if redis.call('llen', KEYS[i]) > 0 and not redis.call('get', KEYS[i + 2]) and open then
    redis.call('incr', KEYS[i + 3])
    redis.call('hincrby', KEYS[i + 4], ARGV[1], 1)
    return {redis.call('rpoplpush', KEYS[i], KEYS[i + 1]), KEYS[i]}
  end
end
"""
REQUEUE: Final = """
local due = redis.call('zrangebyscore', KEYS[1], '-inf', ARGV[2], 'limit', 0, 1)
if #due == 0 then return nil end
local job = cjson.decode(due[1])
redis.call('zrem', KEYS[1], due[1])
for i = 3, #KEYS do
  if KEYS[i] == ARGV[1] .. job.name then
    job.t = tonumber(ARGV[2])
    redis.call('lpush', KEYS[i], cjson.encode(job))
    return 'ok'
  end
end
job.err = 'unknown job when requeueing'
redis.call('zadd', KEYS[2], ARGV[2], cjson.encode(job))
return 'dead'
"""
ENQUEUE_UNIQUE: Final = """
if redis.call('set', KEYS[2], ARGV[2], 'nx', 'ex', 86400) then
  redis.call('lpush', KEYS[1], ARGV[1])
  return 'ok'
end
redis.call('set', KEYS[2], ARGV[2], 'ex', 86400)
return 'dup'
"""


def go_json(value: object) -> str:
    """Write JSON as Go does, for what these tests enqueue."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


class Gopher:
    """A Go service on the server of a URL: it enqueues, and performs what it is told the names of."""

    def __init__(self, url: str, namespace: str = "work", *names: str) -> None:
        self.redis: Any = redis.Redis.from_url(url, decode_responses=True)
        self.pool = secrets.token_hex(12)
        self.names = names
        self._prefix = f"{namespace}:"

    def key(self, name: str) -> str:
        return self._prefix + name

    # -- the enqueuer --------------------------------------------------------------------------------------------------

    def enqueue(self, name: str, args: dict[str, Any] | None = None) -> str:
        text = self._job(name, args)
        self.redis.lpush(self.key(f"jobs:{name}"), text)
        self.redis.sadd(self.key("known_jobs"), name)
        return str(json.loads(text)["id"])

    def enqueue_in(self, name: str, seconds: int, args: dict[str, Any] | None = None) -> None:
        self.redis.zadd(self.key("scheduled"), {self._job(name, args): int(time.time()) + seconds})
        self.redis.sadd(self.key("known_jobs"), name)

    def enqueue_unique(self, name: str, args: dict[str, Any], by: dict[str, Any] | None = None) -> bool:
        key = self.key(f"unique:{name}:{go_json(args if by is None else by)}\n")
        text = self._job(name, args, unique=True, unique_key=key)
        self.redis.sadd(self.key("known_jobs"), name)
        keys = [self.key(f"jobs:{name}"), key]
        return bool(self.redis.eval(ENQUEUE_UNIQUE, 2, *keys, text, "1" if by is None else text) == "ok")

    def _job(self, name: str, args: dict[str, Any] | None, **more: object) -> str:
        job = {"name": name, "id": secrets.token_hex(12), "t": int(time.time())}
        inner = ",".join(f'"{key}":{go_json(value)}' for key, value in {**job, "args": args, **more}.items())
        return f"{{{inner}}}"

    # -- a pool --------------------------------------------------------------------------------------------------------

    def beat(self, ago: int = 0) -> None:
        """Announce the pool, as of some seconds ago."""
        self.redis.sadd(self.key("worker_pools"), self.pool)
        now = int(time.time()) - ago
        said: dict[str, str | int] = {
            "heartbeat_at": now,
            "started_at": now,
            "job_names": ",".join(sorted(self.names)),
            "concurrency": 1,
        }
        self.redis.hset(
            self.key(f"worker_pools:{self.pool}"), mapping={**said, "worker_ids": "a", "host": "go", "pid": 7}
        )

    def fetch(self) -> dict[str, Any] | None:
        """Take a job; what it was is remembered for `finish`."""
        keys: list[str] = []
        for name in self.names:
            jobs = self.key(f"jobs:{name}")
            keys += [jobs, self._progress(name)]
            keys += [f"{jobs}:{end}" for end in ("paused", "lock", "lock_info", "max_concurrency")]
        found = self.redis.eval(FETCH, len(keys), *keys, self.pool)
        if found is None:
            return None
        self.raw = found[0]
        job = json.loads(self.raw)
        if job.get("unique"):
            newest = self.redis.get(job["unique_key"])
            self.redis.delete(job["unique_key"])
            if newest not in (None, "1"):
                self.raw, job = newest, json.loads(newest)
        return dict(job)

    def finish(self, error: str = "", wait: int = 0) -> None:
        """End the job that was fetched, well or with an error."""
        job = json.loads(self.raw)
        jobs = self.key(f"jobs:{job['name']}")
        with self.redis.pipeline() as done:
            done.lrem(self._progress(job["name"]), 1, self.raw)
            done.decr(f"{jobs}:lock")
            done.hincrby(f"{jobs}:lock_info", self.pool, -1)
            if error:
                job |= {"fails": job.get("fails", 0) + 1, "err": error, "failed_at": int(time.time())}
                job.pop("stoker", None)  # Go writes a job anew, with the keys that it knows
                done.zadd(self.key("retry"), {go_json(job): int(time.time()) + wait})
            done.execute()

    def requeue(self, which: str = "scheduled") -> str | None:
        """Move one due job, as each pool does every second."""
        keys = [self.key(which), self.key("dead"), *(self.key(f"jobs:{name}") for name in self.names)]
        moved: str | None = self.redis.eval(REQUEUE, len(keys), *keys, self.key("jobs:"), int(time.time()))
        return moved

    def reap(self) -> list[str]:
        """Put back what pools without a fresh heartbeat performed; give their ids."""
        dead: list[str] = []
        for pool in self.redis.smembers(self.key("worker_pools")):
            said = self.redis.hgetall(self.key(f"worker_pools:{pool}"))
            if int(said.get("heartbeat_at", 0)) + 10 > time.time():
                continue
            dead.append(pool)
            for name in filter(None, said.get("job_names", "").split(",")):
                jobs = self.key(f"jobs:{name}")
                while self.redis.rpoplpush(f"{jobs}:{pool}:inprogress", jobs):
                    self.redis.decr(f"{jobs}:lock")
                    self.redis.hincrby(f"{jobs}:lock_info", pool, -1)
            self.redis.delete(self.key(f"worker_pools:{pool}"))
            self.redis.srem(self.key("worker_pools"), pool)
        return dead

    def _progress(self, name: str) -> str:
        return self.key(f"jobs:{name}:{self.pool}:inprogress")

    # -- what its client and its web interface read --------------------------------------------------------------------

    def waiting(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(text) for text in self.redis.lrange(self.key(f"jobs:{name}"), 0, -1)]

    def parked(self, which: str) -> list[tuple[dict[str, Any], int]]:
        found = self.redis.zrange(self.key(which), 0, -1, withscores=True)
        assert all(score == int(score) for _, score in found), "Go reads scores as integers"
        return [(json.loads(text), int(score)) for text, score in found]

    def lock(self, name: str) -> tuple[int, dict[str, str]]:
        jobs = self.key(f"jobs:{name}")
        return int(self.redis.get(f"{jobs}:lock") or 0), self.redis.hgetall(f"{jobs}:lock_info")

    def pools(self) -> list[dict[str, str]]:
        """Give heartbeats as Go parses them: what it takes for numbers must be numbers."""
        pools = self.redis.smembers(self.key("worker_pools"))
        found = [self.redis.hgetall(self.key(f"worker_pools:{pool}")) for pool in pools]
        for said in found:
            assert all(int(said.get(field, 0)) >= 0 for field in ("heartbeat_at", "started_at", "concurrency", "pid"))
        return found

    def in_progress(self) -> list[str]:
        """Give the lists of what is performed by any pool."""
        return [key for key in self.redis.keys(self.key("*")) if key.endswith(":inprogress")]

    def observations(self) -> list[dict[str, str]]:
        ids = [id for said in self.pools() for id in said.get("worker_ids", "").split(",")]
        return [seen for id in ids if (seen := self.redis.hgetall(self.key(f"worker:{id}")))]
