"""Ruby's Sidekiq as its documentation starts it: jobs that do nothing, pushed in bulk, then one or more processes."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import redis

from tests.rigs.provision import Gems, sidekiq

_JOBS: Final = """
require "sidekiq"
Sidekiq.configure_server do |config|
  config.redis = {url: ENV["REDIS_URL"]}
  config.on(:startup) { Sidekiq.redis { |redis| redis.incr("bench:started") } }
end
Sidekiq.configure_client { |config| config.redis = {url: ENV["REDIS_URL"]} }
Sidekiq.logger.level = Logger::WARN
class Nothing
  include Sidekiq::Job
  sidekiq_options queue: "bench"
  def perform(number) = nil
end
"""
_PUSH: Final = """
require ARGV[0]
(1..ARGV[1].to_i).each_slice(1000) do |numbers|
  Sidekiq::Client.push_bulk("class" => Nothing, "args" => numbers.map { |n| [n] })
end
"""
_LONGEST: Final = 300.0


class Peer(NamedTuple):
    """Debian's Sidekiq, as `make servers` fetches it."""

    gems: Gems
    version: str

    @classmethod
    def find(cls) -> Peer:
        """Find it."""
        gems = sidekiq()
        if gems is None:
            raise SystemExit("there is no Sidekiq: run make servers where apt-get is")
        return cls(gems, gems.sidekiq.parents[1].name.removeprefix("sidekiq-"))

    def drain(self, url: str, n: int, processes: int, concurrency: int) -> float:
        """Give the jobs per second from when the first process is ready until the queue is empty and all is counted."""
        parts = urlsplit(url)
        with (
            tempfile.TemporaryDirectory(prefix="stoker-sidekiq-") as folder,
            redis.Redis(port=parts.port or 6379) as client,
        ):
            jobs, push = Path(folder, "jobs.rb"), Path(folder, "push.rb")
            jobs.write_text(_JOBS, encoding="utf-8")
            push.write_text(_PUSH, encoding="utf-8")
            client.flushdb()
            self._start(url, push, jobs, str(n)).wait()
            words = (self.gems.sidekiq, "-r", jobs, "-q", "bench", "-c", str(concurrency))
            started = [self._start(url, *words) for _ in range(processes)]
            try:
                _until(lambda: client.exists("bench:started") == 1)
                began, waiting = time.perf_counter(), int(client.llen("queue:bench"))
                _until(lambda: client.llen("queue:bench") == 0)
                took = time.perf_counter() - began
            finally:
                for process in started:
                    process.send_signal(signal.SIGTERM)
                    process.wait()
            performed = int(client.get("stat:processed") or 0)
        if performed != n:
            raise SystemExit(f"Sidekiq performed {performed} of {n} jobs: its figure would mean nothing")
        return waiting / took

    def _start(self, url: str, *words: str | Path) -> subprocess.Popen[bytes]:
        environment = {**os.environ, **self.gems.environment, "REDIS_URL": url, "RUBYOPT": "-W0"}
        return subprocess.Popen(  # noqa: S603
            [self.gems.ruby, *words], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )


def _until(done: Callable[[], bool]) -> None:
    end = time.perf_counter() + _LONGEST
    while not done():
        if time.perf_counter() > end:
            raise SystemExit(f"Sidekiq did not get there within {_LONGEST:.0f} s")
        time.sleep(0.005)
