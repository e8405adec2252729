"""What the contract runs on Redis share: an answer that gets lost, and scripts that may use declared keys only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from redis.exceptions import ConnectionError as ConnectionLost

from stoker.drivers.redis import RedisDriver
from stoker.drivers.redis_link import Link
from stoker.stores.base import Store
from stoker.stores.gocraft import commands as of_gocraft
from stoker.stores.gocraft.scripts import source as source_of_gocraft
from stoker.stores.lua import Source
from stoker.stores.redis import commands as of_redis
from stoker.stores.redis.scripts import source as source_of_redis
from stoker.stores.sidekiq import commands as of_sidekiq
from stoker.stores.sidekiq.scripts import source as source_of_sidekiq

GUARD = """
local real, declared = redis, {}
for _, key in ipairs(KEYS) do declared[key] = true end
local redis = {call = function(command, ...)
  local keys = (command == 'UNLINK' or command == 'DEL') and {...} or {(...)}
  if command ~= 'TIME' and command ~= 'PUBLISH' then
    for _, key in ipairs(keys) do
      if not declared[key] then error('undeclared key: ' .. command .. ' ' .. tostring(key)) end
    end
  end
  return real.call(command, ...)
end}
"""


@contextmanager
def guarded() -> Iterator[None]:
    """Let every script fail that calls a command on a key which it did not declare."""

    def guarded(source: Callable[[str], Source]) -> Callable[[str], Source]:
        return lambda name: Source(GUARD + source(name).text, source(name).keys)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(of_redis, "source", guarded(source_of_redis))
        patched.setattr(of_sidekiq, "source", guarded(source_of_sidekiq))
        patched.setattr(of_gocraft, "source", guarded(source_of_gocraft))
        yield


@contextmanager
def losing_a_reply(_store: Store) -> Iterator[None]:
    """Let the next script be carried out and its answer get lost; the driver then sends it again."""
    lost: list[Any] = []
    call = RedisDriver._call

    def call_and_lose(self: RedisDriver, connection: Link, *args: Any, **options: Any) -> Any:
        reply = call(self, connection, *args, **options)
        if lost:
            return reply
        lost.append(reply)
        raise ConnectionLost("the connection was cut")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(RedisDriver, "_call", call_and_lose)
        yield
    assert lost
