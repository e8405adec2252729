"""Fetches the one server that no wheel brings, PgBouncer, out of Debian's packages into the virtual environment.

Nothing is installed: packages are unpacked in a folder, so root is not needed and no service starts.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
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
_DOWNLOAD = ("install", "--yes", "--download-only", "--reinstall", "--no-install-recommends", "pgbouncer")


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


def fetch() -> str:
    """Download and unpack PgBouncer; give the reason when that failed."""
    for folder in (_ARCHIVES / "partial", _LISTS / "partial"):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        _download()
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
            shutil.rmtree(folder)
    return ""


def _download() -> None:
    try:
        _run(*_APT, *_DOWNLOAD)
    except subprocess.CalledProcessError:  # the system's lists of packages are missing or old
        _run(*_APT, *_OWN_LISTS, "update")
        _run(*_APT, *_OWN_LISTS, *_DOWNLOAD)


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)


def main() -> None:
    """Fetch what is missing; a failure is told and left to the tests that need the server."""
    if pgbouncer() is None:
        print("fetching PgBouncer for the tests ...", file=sys.stderr)
        if problem := fetch():
            print(f"PgBouncer could not be fetched: {problem}", file=sys.stderr)


if __name__ == "__main__":
    main()
