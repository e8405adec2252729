"""`stoker start` as a process: the web application alone, and together with a worker."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from urllib.parse import urlsplit

import httpx2
import pytest

from stoker import State, Stoker
from tests.integration.cli_processes import DEADLINE, Running, said

SHOP = """
import asyncio
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from stoker import Stoker

app = Stoker("sqlite:///jobs.sqlite3")


@app.job
async def greet(name: str) -> str:
    return f"hello {name}"


async def home(request: Request) -> PlainTextResponse:
    return PlainTextResponse("welcome")


async def enqueue(request: Request) -> PlainTextResponse:
    handle = await greet.aenqueue(request.path_params["name"])
    return PlainTextResponse(handle.id)


async def slow(request: Request) -> PlainTextResponse:
    print("in request", flush=True)
    name = await asyncio.to_thread(Path("gate").read_text)
    handle = await greet.aenqueue(name)
    return PlainTextResponse(handle.id)


pages = Starlette(routes=[Route("/", home), Route("/slow", slow), Route("/{name}", enqueue)])
"""
BROKEN = """
from starlette.applications import Starlette


async def life(app):
    raise OSError("no disk")
    yield


app = Starlette(lifespan=life)
"""
ANY_PORT = {"STOKER_WEB__APP": "shop:pages", "STOKER_WEB__PORT": "0"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(dedent(SHOP), encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text('[tool.stoker]\napp = "shop:app"\n', encoding="utf-8")
    os.mkfifo(tmp_path / "gate")
    return tmp_path


@pytest.fixture
def shop(folder: Path) -> Iterator[Stoker[None]]:
    app: Stoker[None] = Stoker(f"sqlite:///{folder}/jobs.sqlite3")
    with app:
        yield app


def address(server: Running) -> str:
    found = re.search(r"http://\S+", server.line_with("serving"))
    assert found
    return found[0]


def get(url: str) -> str:
    answer = httpx2.get(url, timeout=DEADLINE)
    assert answer.status_code == 200
    return answer.text


def test_server_and_worker_share_a_process(folder: Path, shop: Stoker[None]) -> None:
    with Running(folder, "start", "-s", **ANY_PORT) as server:
        id = get(f"{address(server)}/anna")

        assert shop.handle(id).result(timeout=DEADLINE) == "hello anna"
        server.send(signal.SIGTERM)
        assert server.ended() == 0, server.lines


def test_a_request_that_is_still_answered_may_enqueue_before_the_worker_stops(folder: Path, shop: Stoker[None]) -> None:
    answers: list[str] = []
    with Running(folder, "start", "--server-and-worker", **ANY_PORT) as server:
        url = f"{address(server)}/slow"
        request = threading.Thread(target=lambda: answers.append(get(url)))
        request.start()
        server.line_with("in request")
        server.send(signal.SIGTERM)
        server.line_with("Shutting down")
        (folder / "gate").write_text("berta")

        assert server.ended() == 0, server.lines
        request.join(DEADLINE)
    said_last = [line for line in server.stderr if "Application shutdown complete" in line or ": stopping," in line]
    assert "Application shutdown complete" in said_last[0]
    assert shop.handle(answers[0]).fetch().state in {State.AVAILABLE, State.COMPLETED}


def test_the_second_signal_ends_both_at_once(folder: Path) -> None:
    with Running(folder, "start", "-s", **ANY_PORT) as server:
        client = socket.create_connection(("127.0.0.1", urlsplit(address(server)).port or 0))
        client.sendall(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
        server.line_with("in request")
        server.send(signal.SIGTERM)
        server.line_with("Shutting down")
        server.send(signal.SIGTERM)

        assert server.ended() == 130
        client.close()


def test_start_alone_serves_and_performs_nothing(folder: Path, shop: Stoker[None]) -> None:
    with Running(folder, "start", **ANY_PORT) as server:
        url = address(server)
        assert get(url) == "welcome"
        id = get(f"{url}/carla")
        server.send(signal.SIGTERM)

        assert server.ended() == 0, server.lines
    assert shop.handle(id).fetch().state is State.AVAILABLE


def test_a_port_that_is_taken_exits_1(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        run = said(folder, "start", STOKER_WEB__APP="shop:pages", STOKER_WEB__PORT=str(taken.getsockname()[1]))

    assert run.returncode == 1
    assert run.stderr.startswith("stoker: cannot listen on 127.0.0.1 port")


@pytest.mark.parametrize("how", [(), ("-s",)])
def test_an_application_that_does_not_start_exits_1(folder: Path, how: tuple[str, ...]) -> None:
    (folder / "broken.py").write_text(BROKEN, encoding="utf-8")

    run = said(folder, "start", *how, **ANY_PORT | {"STOKER_WEB__APP": "broken:app"})

    assert run.returncode == 1, run.stderr
    assert run.stderr.splitlines()[-1] == "stoker: the web application broken:app did not start"
