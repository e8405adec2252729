"""Fetches what no wheel brings, PgBouncer, RabbitMQ and Ruby's Sidekiq, out of Debian's packages.

Nothing is installed: packages are unpacked in a folder, so root is not needed and no service starts.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

UNPACKED = Path(sys.prefix, "servers")
_ARCHIVES = UNPACKED / "archives"
_LISTS = UNPACKED / "lists"
# The user's own folders instead of the system's; only what is installed is read from there.
_APT = (
    "apt-get",
    "-qq",
    "-o",
    "Debug::NoLocking=true",
    "-o",
    "APT::Sandbox::User=",
    "-o",
    f"Dir::Cache={UNPACKED}/cache",
    "-o",
    f"Dir::Cache::archives={_ARCHIVES}",
)
_OWN_LISTS = ("-o", f"Dir::State::lists={_LISTS}")
_DOWNLOAD = ("install", "--yes", "--download-only", "--reinstall", "--no-install-recommends")


class Program(NamedTuple):
    """A program, and where its libraries are if not where the system looks."""

    path: Path
    libraries: tuple[Path, ...] = ()


def pgbouncer() -> Program | None:
    """Give PgBouncer, the system's or the fetched one; None when there is none."""
    # Debian keeps it in /usr/sbin, which is not on every user's PATH.
    if found := shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"):
        return Program(Path(found))
    fetched = UNPACKED / "usr/sbin/pgbouncer"
    return Program(fetched, tuple(UNPACKED.glob("usr/lib/*-linux-gnu*"))) if fetched.exists() else None


class Gems(NamedTuple):
    """A Ruby, Sidekiq's own program, and the variables with which it finds its libraries."""

    ruby: Path
    sidekiq: Path
    environment: Mapping[str, str]


def sidekiq() -> Gems | None:
    """Give the fetched Ruby with Sidekiq, never the system's, whose version nobody knows; None when there is none."""
    gems = UNPACKED / "usr/share/rubygems-integration/all/gems"
    rubies, programs = [*UNPACKED.glob("usr/bin/ruby?.?")], [*gems.glob("sidekiq-*/bin/sidekiq")]
    if not (rubies and programs):
        return None
    folders = [*gems.glob("*/lib"), *UNPACKED.glob("usr/lib/ruby/[!g]*"), *UNPACKED.glob("usr/lib/*-linux-gnu*/ruby/*")]
    libraries = UNPACKED.glob("usr/lib/*-linux-gnu*")
    environment = {"RUBYLIB": ":".join(map(str, folders)), "LD_LIBRARY_PATH": ":".join(map(str, libraries))}
    return Gems(rubies[0], programs[0], environment)


class Broker(NamedTuple):
    """RabbitMQ, and the Erlang that it runs in."""

    scripts: Path
    erlang: Path


def rabbitmq() -> Broker | None:
    """Give RabbitMQ, the fetched one or the system's; None when there is none."""
    for root in (UNPACKED, Path("/")):
        erlang = root / "usr/lib/erlang"
        found = sorted(root.glob("usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin"))
        if found and (erlang / "bin/erl").exists():
            return Broker(found[-1], erlang)
    return None


def fetch(package: str) -> str:
    """Download and unpack a package with what it needs; give the reason when that failed."""
    for folder in (_ARCHIVES / "partial", _LISTS / "partial"):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        _download(package)
        for archive in sorted(_ARCHIVES.glob("*.deb")):
            _run("dpkg-deb", "--extract", archive, UNPACKED)
    except FileNotFoundError as error:
        return f"{error.filename} is missing, this is no Debian"
    except subprocess.CalledProcessError as error:
        return f"{error.cmd[0]} failed: {error.output.strip()}"
    except subprocess.TimeoutExpired as error:
        return f"{error.cmd[0]} took longer than {error.timeout} s"
    finally:
        for folder in (_ARCHIVES, _LISTS):
            shutil.rmtree(folder, ignore_errors=True)
    return ""


def _download(package: str) -> None:
    try:
        _run(*_APT, *_DOWNLOAD, package)
    except subprocess.CalledProcessError:  # the system's lists of packages are missing or old
        _run(*_APT, *_OWN_LISTS, "update")
        _run(*_APT, *_OWN_LISTS, *_DOWNLOAD, package)


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)


def main() -> None:
    """Fetch what is missing; a failure is told and left to the tests that need the server."""
    wanted = (("PgBouncer", "pgbouncer", pgbouncer), ("RabbitMQ", "rabbitmq-server", rabbitmq))
    for name, package, have in (*wanted, ("Sidekiq", "ruby-sidekiq", sidekiq)):
        if have() is None:
            print(f"fetching {name} for the tests ...", file=sys.stderr)
            if problem := fetch(package):
                print(f"{name} could not be fetched: {problem}", file=sys.stderr)


if __name__ == "__main__":
    main()
