"""A RabbitMQ broker of the tests: node, ports, folders and Erlang's port mapper are its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess

from tests.rigs.daemon import Daemon, Folder, free_port
from tests.rigs.provision import Broker, rabbitmq
from tests.rigs.tls import Authority

_CONFIG = """
listeners.tcp.1 = 127.0.0.1:{port}
loopback_users.guest = true
log.console = true
log.console.level = warning
vm_memory_high_watermark.relative = 0.6
disk_free_limit.absolute = 10MB
"""
_TLS = """
listeners.ssl.1 = 127.0.0.1:{port}
ssl_options.cacertfile = {authority}
ssl_options.certfile = {certificate}
ssl_options.keyfile = {key}
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = false
"""
# Debian's own `erl` looks for Erlang in /usr/lib, wherever it is.
_ERL = """#!/bin/sh
export ROOTDIR={erlang} BINDIR={bin} EMU=beam PROGNAME=erl
exec {bin}/erlexec "$@"
"""


class RabbitMq:
    """A broker that may be started and stopped many times."""

    def __init__(self, authority: Authority | None = None) -> None:
        """With an ``authority`` it also listens for TLS, with a certificate for ``localhost``."""
        found = rabbitmq()
        assert found is not None, "there is no RabbitMQ; `make servers` fetches it"
        self._broker = found
        self._folder = Folder("rabbitmq")
        self.port, self._mapper_port = free_port(), free_port()
        self._environment = self._make_environment(found)
        config = self._folder.path / "rabbitmq.conf"
        config.write_text(_CONFIG.format(port=self.port))
        self.tls_port = free_port()
        if authority is not None:
            certificate, key = authority.sign("localhost")
            files = {"authority": authority.certificate, "certificate": certificate, "key": key}
            with config.open("a") as file:
                file.write(_TLS.format(port=self.tls_port, **files))
        (self._folder.path / "env.conf").touch()
        self._mapper_folder = Folder("epmd")
        mapper = next(found.erlang.glob("erts-*/bin/epmd"))
        port = str(self._mapper_port)
        self._mapper = Daemon(self._mapper_folder, mapper, "-port", port, "-address", "127.0.0.1")
        self._daemon = Daemon(self._folder, found.scripts / "rabbitmq-server", environment=self._environment)

    @property
    def url(self) -> str:
        """The URL of the broker's first virtual host, without a query."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}"

    def start(self) -> RabbitMq:
        """Start it, and wait until it answers."""
        if not self._mapper.running:
            self._mapper.start(lambda: _answers(self._mapper_port))
        self._daemon.start(lambda: _greets(self.port), seconds=90.0)
        return self

    def stop(self) -> None:
        """Stop it in order."""
        self._daemon.stop(signal.SIGTERM, seconds=60.0)

    def resume(self) -> None:
        """Start it where it was stopped."""
        if not self._daemon.running:
            self.start()

    def restart(self) -> None:
        """Stop and start it; what is durable stays."""
        self.stop()
        self.start()

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self._daemon.stop(signal.SIGKILL)

    def control(self, *words: str) -> str:
        """Run ``rabbitmqctl``."""
        return subprocess.run(
            [self._broker.scripts / "rabbitmqctl", "--node", self._environment["RABBITMQ_NODENAME"], *words],
            cwd=self._folder.path,
            env={**os.environ, **self._environment},
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout

    def limit_unacknowledged(self, milliseconds: int) -> None:
        """Have channels that are opened from now on closed when a delivery is unacknowledged for longer."""
        for name, value in (("consumer_timeout", milliseconds), ("channel_tick_interval", milliseconds // 4)):
            self.control("eval", f"application:set_env(rabbit, {name}, {value}).")

    def remove(self) -> None:
        """End it."""
        self._daemon.stop(signal.SIGKILL)
        self._mapper.stop(signal.SIGKILL)
        self._folder.remove()
        self._mapper_folder.remove()

    def log(self) -> str:
        """Give what it has written."""
        return self._daemon.log()

    def _make_environment(self, found: Broker) -> dict[str, str]:
        programs = self._folder.path / "bin"
        programs.mkdir()
        machine = next(found.erlang.glob("erts-*/bin"))
        (programs / "erl").write_text(_ERL.format(erlang=found.erlang, bin=machine))
        (programs / "erl").chmod(0o755)
        base = str(self._folder.path)
        return {
            "PATH": f"{programs}:{machine}:{os.environ.get('PATH', '')}",
            "HOME": base,
            "ERL_EPMD_PORT": str(self._mapper_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            # The script then becomes the broker; else it starts one and waits, and its death would end nothing.
            "RUNNING_UNDER_SYSTEMD": "true",
            "RABBITMQ_NODENAME": f"stoker{self.port}@localhost",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_BASE": base,
            "RABBITMQ_MNESIA_BASE": f"{base}/mnesia",
            "RABBITMQ_LOG_BASE": f"{base}/log",
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONFIG_FILE": f"{base}/rabbitmq.conf",
            "RABBITMQ_CONF_ENV_FILE": f"{base}/env.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{base}/enabled_plugins",
            "RABBITMQ_GENERATED_CONFIG_DIR": f"{base}/generated",
            "RABBITMQ_PID_FILE": f"{base}/rabbitmq.pid",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 -kernel inet_dist_use_interface {127,0,0,1}",
        }


def _answers(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=1):
        return True


def _greets(port: int) -> bool:
    """Tell whether the broker begins the handshake: its listener is the last that it starts."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(b"AMQP\x00\x00\x09\x01")
        return connection.recv(1) == b"\x01"
