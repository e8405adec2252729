"""Ruby's own Sidekiq on a Redis server of the tests: its workers, its API, and the pages of its web interface."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any, Final

from tests.rigs.daemon import Daemon, Folder
from tests.rigs.provision import sidekiq

JOBS: Final = """
require "sidekiq"
Sidekiq.configure_server do |c|
  c.redis = {url: ENV["REDIS_URL"]}
  c.options[:poll_interval_average] = 1
  c.on(:startup) { $stdout.puts("ready for jobs"); $stdout.flush }
end
Sidekiq.configure_client { |c| c.redis = {url: ENV["REDIS_URL"]} }

class RubyJob
  include Sidekiq::Job
  sidekiq_options queue: "ruby", retry: 2, backtrace: 5
  def perform(*args) = Sidekiq.redis { |r| r.rpush("out:ruby", args.to_json) }
end

class RubyBoom
  include Sidekiq::Job
  sidekiq_options queue: "ruby", retry: 1
  sidekiq_retry_in { 1 }
  def perform(word) = raise(ArgumentError, "boom #{word}")
end
"""

SHELL: Final = """
require "json"
answers = $stdout.dup
$stdout.reopen($stderr)
require ARGV.shift
require "sidekiq/api"
$stdin.each_line do |line|
  answer = begin
    {value: eval(JSON.parse(line, quirks_mode: true), TOPLEVEL_BINDING.dup)}
  rescue Exception => error
    {error: error.full_message(highlight: false)}
  end
  answers.puts(answer.to_json)
  answers.flush
end
"""


class Ruby:
    """Runs Ruby with the jobs above, on the server of a URL."""

    def __init__(self, redis_url: str) -> None:
        gems = sidekiq()
        assert gems is not None, "there is no Sidekiq; `make servers` fetches it"
        self._gems = gems
        self._environment = {**gems.environment, "REDIS_URL": redis_url}
        self._folder = Folder("ruby")
        self._jobs = self._folder.path / "jobs.rb"
        self._jobs.write_text(JOBS)
        self._daemons: list[Daemon] = []
        self._shell: subprocess.Popen[str] | None = None

    def run(self, code: str) -> Any:
        """Run some Ruby and give the value of its last expression, which travels as JSON."""
        shell = self._shell or self._open()
        assert shell.stdin is not None
        assert shell.stdout is not None
        shell.stdin.write(json.dumps(code) + "\n")
        shell.stdin.flush()
        answer = json.loads(shell.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer["value"]

    def _open(self) -> subprocess.Popen[str]:
        """Start a Ruby that runs one piece of code after the other: to start one takes longer than most of them."""
        script = Path(self._folder.path, "shell.rb")
        script.write_text(SHELL)
        with Path(self._folder.path, "shell.log").open("w") as log:
            self._shell = subprocess.Popen(
                [self._gems.ruby, "-W0", script, self._jobs],
                env={**os.environ, **self._environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        return self._shell

    def push(self, name: str, *args: object, queue: str = "python", **options: object) -> str:
        """Enqueue a job with Ruby's client; give its jid."""
        job = json.dumps({"class": name, "queue": queue, "args": args, **options})
        jid: str = self.run(f"Sidekiq::Client.push(JSON.parse(<<'JOB'))\n{job}\nJOB")
        return jid

    def pages(self, *paths: str) -> dict[str, tuple[int, str]]:
        """Give the status and the text of pages of the web interface."""
        code = f"""
            require "sidekiq/web"; require "rack/mock"
            asked = Rack::MockRequest.new(Sidekiq::Web)
            {json.dumps(paths)}.map do |path|
              asked.get(path, "rack.session" => {{}}).then {{ |answer| [answer.status, answer.body] }}
            end
        """
        return {path: (status, text) for path, (status, text) in zip(paths, self.run(code), strict=True)}

    def press(self, path: str, **form: str) -> int:
        """Press a button of the web interface, as its form does; give the status."""
        code = f"""
            require "sidekiq/web"; require "rack/mock"; require "securerandom"
            token = SecureRandom.base64(32)
            form = {{"authenticity_token" => token}}.merge(JSON.parse(<<'FORM'))
{json.dumps(form)}
FORM
            session = {{csrf: token, "csrf" => token}}
            Rack::MockRequest.new(Sidekiq::Web).post({json.dumps(path)}, "rack.session" => session, params: form).status
        """
        status: int = self.run(code)
        return status

    def work(self, queue: str = "ruby") -> Daemon:
        """Start a worker, and wait until it has announced itself."""
        words = (self._gems.ruby, "-W0", self._gems.sidekiq, "-r", self._jobs, "-q", queue, "-c", "2", "-t", "2")
        daemon = Daemon(self._folder, *words, environment=self._environment)
        self._daemons.append(daemon)
        daemon.start(lambda: "ready for jobs" in daemon.log())
        return daemon

    def remove(self) -> None:
        """End the workers."""
        if self._shell is not None:
            self._shell.kill()
            self._shell.communicate()
        for daemon in self._daemons:
            daemon.stop(signal.SIGKILL)
        self._folder.remove()
