"""`stoker worker --processes N`: what the supervisor does for its processes, and what it does when they or it die."""

from __future__ import annotations

import os
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from stoker import State, Stoker
from stoker.core.job import WorkerInfo
from tests.integration.cli_processes import Running, said
from tests.rigs.processes import until

SHOP = """
import os
import time
from pathlib import Path

from stoker import Context, Stoker

app = Stoker("sqlite:///jobs.sqlite3", settings={"workers": {"lease": "LEASE"}})


def effect(line):
    descriptor = os.open("effects", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{line}\\n".encode())
    os.close(descriptor)


@app.job
def where() -> int:
    effect(f"where {os.getpid()}")
    return os.getpid()


@app.job
def once(n: int) -> None:
    effect(f"{n} {os.getpid()}")
    time.sleep(0.02)


@app.job
def holds(ctx: Context[None]) -> None:
    effect(f"holds {os.getpid()}")
    while not Path("gate").exists() and not ctx.stopping:
        time.sleep(0.01)


@app.job
def obstinate() -> None:
    effect(f"obstinate {os.getpid()}")
    while not Path("gate").exists():
        time.sleep(0.01)
"""


class Shop:
    """A folder with an application, and its store as another process sees it."""

    def __init__(self, folder: Path, app: Stoker[None]) -> None:
        self.folder = folder
        self.app = app

    def write(self, lease: str = "30s", more: str = "") -> None:
        text = dedent(SHOP).replace("LEASE", lease) + more
        (self.folder / "shop.py").write_text(text, encoding="utf-8")

    def effects(self) -> list[str]:
        file = self.folder / "effects"
        return file.read_text().splitlines() if file.exists() else []

    def pids(self, what: str) -> list[int]:
        return [int(line.split()[1]) for line in self.effects() if line.split()[0] == what]

    def workers(self, count: int) -> list[WorkerInfo]:
        """Wait until so many workers have announced themselves."""
        found: list[WorkerInfo] = []

        def there() -> bool:
            found[:] = [one for one in self.app.operations().workers() if is_running(one.pid)]
            return len(found) == count

        until(there, what=f"{count} workers")
        return found


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    (tmp_path / "pyproject.toml").write_text('[tool.stoker]\napp = "shop"\n', encoding="utf-8")
    app: Stoker[None] = Stoker(f"sqlite:///{tmp_path}/jobs.sqlite3")

    @app.job
    def where() -> int:
        return 0

    @app.job
    def once(n: int) -> None: ...

    @app.job
    def holds() -> None: ...

    @app.job
    def obstinate() -> None: ...

    with app:
        place = Shop(tmp_path, app)
        place.write()
        yield place


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def asked(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def test_each_process_performs_jobs_and_all_stop_at_one_signal(shop: Shop) -> None:
    handles = [shop.app.get("holds").enqueue() for _ in range(4)]
    with Running(shop.folder, "worker", "--processes", "2", "--concurrency", "2") as worker:
        until(lambda: len(shop.pids("holds")) == 4)
        assert len(set(shop.pids("holds"))) == 2
        assert "2 processes" in worker.line_with("run by")
        worker.send(signal.SIGTERM)
        assert worker.ended() == 0, worker.lines
    assert {handle.fetch().state for handle in handles} == {State.COMPLETED}
    assert not any(map(is_running, shop.pids("holds")))


def test_the_setting_says_how_many_unless_the_option_does(shop: Shop) -> None:
    with Running(shop.folder, "worker", STOKER_WORKERS__PROCESSES="2") as worker:
        shop.workers(2)
        worker.send(signal.SIGINT)
        assert worker.ended() == 0, worker.lines


def test_the_jobs_of_a_killed_process_run_again_within_a_second(shop: Shop) -> None:
    handle = shop.app.get("obstinate").enqueue()
    with Running(shop.folder, "worker", "--processes", "2") as worker:
        shop.workers(2)
        until(lambda: shop.pids("obstinate"))
        began = time.monotonic()
        os.kill(shop.pids("obstinate")[0], signal.SIGKILL)
        until(lambda: len(shop.pids("obstinate")) == 2)
        assert time.monotonic() - began < 1.5  # one, and what it takes a busy machine to show it
        assert "killed by SIGKILL" in worker.line_with("worker process")
        (shop.folder / "gate").touch()
        until(lambda: handle.fetch().state is State.COMPLETED)
        shop.workers(2)
        worker.send(signal.SIGTERM)
        assert worker.ended() == 0, worker.lines
    assert handle.fetch().crashes == 1


def test_the_second_signal_ends_all_at_once_with_130(shop: Shop) -> None:
    handle = shop.app.get("obstinate").enqueue()
    with Running(shop.folder, "worker", "--processes", "2") as worker:
        until(lambda: shop.pids("obstinate"))
        worker.send(signal.SIGTERM)
        worker.line_with("stopping, 1 running")
        worker.send(signal.SIGTERM)
        assert worker.ended() == 130
        until(lambda: not any(map(is_running, shop.pids("obstinate"))), 10)
    assert handle.fetch().crashes == 0


def test_the_processes_of_a_killed_supervisor_stop_in_order(shop: Shop) -> None:
    handle = shop.app.get("holds").enqueue()
    with Running(shop.folder, "worker", "--processes", "2") as worker:
        pids = [one.pid for one in shop.workers(2)]
        until(lambda: shop.pids("holds"))
        worker.send(signal.SIGKILL)
        worker.ended()
        until(lambda: not any(map(is_running, pids)), 20)
    assert (handle.fetch().state, handle.fetch().crashes) == (State.COMPLETED, 0)


def test_a_frozen_process_is_replaced_and_its_job_runs_elsewhere(shop: Shop) -> None:
    shop.write(lease="2s")
    handle = shop.app.get("obstinate").enqueue()
    with Running(shop.folder, "worker", "--processes", "1") as single:
        until(lambda: shop.pids("obstinate"))
        single.send(signal.SIGKILL)
    (shop.folder / "effects").unlink()
    with Running(shop.folder, "worker", "--processes", "2") as worker:
        until(lambda: shop.pids("obstinate"), 20)
        frozen = shop.pids("obstinate")[0]
        os.kill(frozen, signal.SIGSTOP)
        until(lambda: len(shop.pids("obstinate")) == 2, 20)
        worker.line_with("does not answer and is killed")
        until(lambda: not is_running(frozen), 20)
        (shop.folder / "gate").touch()
        until(lambda: handle.fetch().state is State.COMPLETED)
        worker.send(signal.SIGTERM)
        assert worker.ended() == 0, worker.lines


def test_processes_are_replaced_after_so_many_jobs(shop: Shop) -> None:
    shop.app.enqueue_many([shop.app.get("once").draft(n) for n in range(60)])
    with Running(shop.folder, "worker", "--max-jobs", "10", "--concurrency", "1") as worker:
        until(lambda: len(shop.effects()) == 60, 60)
        worker.send(signal.SIGTERM)
        assert worker.ended() == 0, worker.lines
    assert len({line.split()[1] for line in shop.effects()}) > 1
    assert sorted(int(line.split()[0]) for line in shop.effects()) == list(range(60))


def test_a_process_that_has_grown_is_replaced(shop: Shop) -> None:
    port = free_port()
    with Running(shop.folder, "worker", "--max-rss", "1MB", "--probe-port", str(port)) as worker:
        for count in (1, 2):
            shop.app.get("where").enqueue()
            until(lambda count=count: len(shop.pids("where")) == count)  # type: ignore[misc]
            until(lambda: not is_running(shop.pids("where")[-1]), 20)
            text = f'stoker_jobs_total{{queue="default",name="where",outcome="completed"}} {count}\n'
            until(lambda text=text: text in asked(port, "/metrics")[1])  # type: ignore[misc]
        worker.send(signal.SIGTERM)
        assert worker.ended() == 0, worker.lines


def test_a_process_that_dies_again_and_again_is_started_more_and_more_slowly(shop: Shop) -> None:
    shop.write(more="if os.environ.get('DOOMED') and '--supervised' in __import__('sys').argv: os._exit(9)\n")
    with Running(shop.folder, "worker", "--processes", "1", "--max-jobs", "9", DOOMED="1") as worker:
        worker.line_with("the next one starts in 0.5 s")
        worker.line_with("the next one starts in 1.0 s")
        worker.line_with("the next one starts in 2.0 s")
        worker.send(signal.SIGTERM)
        assert worker.ended() == 0, worker.lines


def test_until_empty_ends_with_all_of_them_and_counts_once(shop: Shop) -> None:
    shop.app.enqueue_many([shop.app.get("once").draft(n) for n in range(40)])

    run = said(shop.folder, "worker", "--until-empty", "--processes", "2")

    assert run.returncode == 0, run.stderr
    assert len(shop.effects()) == 40
    assert [line for line in run.stdout.splitlines() if line.startswith("empty")] == ["empty; left: nothing"]
    assert run.stdout.count("queues") == 1


@pytest.mark.parametrize("processes", ["1", "2"])
def test_the_probe_port_answers(shop: Shop, processes: str) -> None:
    shop.app.get("where").enqueue()
    port = free_port()
    with Running(shop.folder, "worker", "--processes", processes, "--probe-port", str(port)) as worker:
        until(lambda: asked(port, "/readyz")[0] == 200)
        assert asked(port, "/livez") == (200, "ok\n")
        assert asked(port, "/nothing")[0] == 404
        text = 'stoker_jobs_total{queue="default",name="where",outcome="completed"} 1'
        until(lambda: text in asked(port, "/metrics")[1])
        assert f"stoker_worker_processes {processes}" in asked(port, "/metrics")[1]
        worker.send(signal.SIGTERM)
        assert worker.ended() == 0, worker.lines


def test_a_stopping_worker_is_alive_but_not_ready(shop: Shop) -> None:
    shop.app.get("obstinate").enqueue()
    port = free_port()
    with Running(shop.folder, "worker", "--processes", "2", "--probe-port", str(port)) as worker:
        until(lambda: shop.pids("obstinate"))
        worker.send(signal.SIGTERM)
        until(lambda: asked(port, "/readyz") == (503, "stopping\n"))
        assert asked(port, "/livez") == (200, "ok\n")
        (shop.folder / "gate").touch()
        assert worker.ended() == 0, worker.lines


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_probe_port_in_use_exits_1_and_says_so(shop: Shop, processes: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = said(shop.folder, "worker", "--processes", processes, "--probe-port", str(port))

    assert run.returncode == 1
    assert run.stderr.splitlines()[-1].startswith(f"stoker: cannot listen on 127.0.0.1 port {port}")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("worker", "--probe-port", "http"), "write PORT, or HOST:PORT"),
        (("worker", "--processes", "0"), "0 is not in the range"),
        (("worker", "--max-rss", "much"), "is not a size"),
        (("worker", "--max-rss", "200000"), "'200000' is 200000 bytes, and any process is larger; write a unit"),
        (("start", "-s", "--processes", "2"), "--processes needs -w"),
        (("start", "-s", "--reload"), "--reload needs -w"),
    ],
)
def test_wrong_use_exits_2(shop: Shop, arguments: tuple[str, ...], says: str) -> None:
    run = said(shop.folder, *arguments)

    assert run.returncode == 2
    assert says in run.stderr


def test_a_store_that_cannot_be_reached_exits_3(shop: Shop) -> None:
    shop.app.close()
    (shop.folder / "other.sqlite3").mkdir()

    run = said(shop.folder, "--url", "sqlite:///other.sqlite3", "worker", "--processes", "2")
    assert run.returncode == 3, run.stderr


def test_changed_code_is_taken_and_broken_code_waited_for(shop: Shop) -> None:
    with Running(shop.folder, "worker", "--reload") as worker:
        (first,) = shop.workers(1)
        shop.write(more="\n@app.job\ndef fresh() -> None:\n    effect('fresh 1')\n")
        until(lambda: not is_running(first.pid), 20)
        worker.line_with("shop.py changed, workers start anew")
        (second,) = shop.workers(1)
        assert "fresh" in second.names

        shop.write(more="\nthis is no Python\n")
        worker.line_with("waiting for a change of its code")
        assert any("SyntaxError" in line for line in worker.stderr)
        shop.write()
        (third,) = shop.workers(1)
        assert "fresh" not in third.names
        worker.send(signal.SIGTERM)
        assert worker.ended() == 0, worker.lines


@pytest.mark.parametrize("processes", ["1", "2"])
def test_systemd_is_told(shop: Shop, processes: str) -> None:
    address = str(shop.folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address)
        listener.settimeout(30)
        variables = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "400000"}
        with Running(shop.folder, "worker", "--processes", processes, **variables) as worker:
            heard: list[str] = []
            while not (any("READY=1" in one for one in heard) and "WATCHDOG=1" in heard):
                heard.append(listener.recv(1000).decode())
            worker.send(signal.SIGTERM)
            while "STOPPING=1" not in heard:
                heard.append(listener.recv(1000).decode())
            assert worker.ended() == 0, worker.lines


def test_a_hangup_replaces_one_process_after_the_other(shop: Shop) -> None:
    with Running(shop.folder, "worker", "--processes", "2") as worker:
        before = {one.pid for one in shop.workers(2)}
        worker.send(signal.SIGHUP)
        until(lambda: not all(map(is_running, before)), 20)
        (last,) = filter(is_running, before)
        until(lambda: not is_running(last), 20)
        # Two that were told at once would have gone without anybody in their place.
        assert {one.pid for one in shop.app.store().run(shop.app.store().workers())} - before
        assert not before & {one.pid for one in shop.workers(2)}
        worker.send(signal.SIGTERM)
        assert worker.ended() == 0, worker.lines


def test_a_hangup_with_code_that_cannot_start_leaves_the_other_processes_as_they_are(shop: Shop) -> None:
    with Running(shop.folder, "worker", "--processes", "2") as worker:
        before = {one.pid for one in shop.workers(2)}
        shop.write(more="\nraise RuntimeError('half a deploy')\n")
        worker.send(signal.SIGHUP)
        until(lambda: any("the next one starts in" in line for line in worker.lines), 20)
        (last,) = filter(is_running, before)
        shop.write()
        until(lambda: not is_running(last), 40)
        worker.send(signal.SIGTERM)
        assert worker.ended() == 0, worker.lines


def test_a_hangup_and_then_a_stop_let_running_jobs_end(shop: Shop) -> None:
    handle = shop.app.get("obstinate").enqueue()
    port = free_port()
    with Running(shop.folder, "worker", "--max-jobs", "9", "--probe-port", str(port)) as worker:
        until(lambda: shop.pids("obstinate"))
        worker.send(signal.SIGHUP)
        worker.line_with("stopping, 1 running")
        worker.send(signal.SIGTERM)
        until(lambda: asked(port, "/readyz") == (503, "stopping\n"))
        assert asked(port, "/livez") == (200, "ok\n")
        (shop.folder / "gate").touch()
        assert worker.ended() == 0, worker.lines
    assert (handle.fetch().state, handle.fetch().crashes) == (State.COMPLETED, 0)


def test_a_second_hangup_lets_running_jobs_end(shop: Shop) -> None:
    handle = shop.app.get("obstinate").enqueue()
    port = free_port()
    with Running(shop.folder, "worker", "--max-jobs", "9", "--probe-port", str(port)) as worker:
        until(lambda: shop.pids("obstinate"))
        (first,) = shop.pids("obstinate")
        worker.send(signal.SIGHUP)
        worker.line_with("stopping, 1 running")
        worker.send(signal.SIGHUP)
        assert asked(port, "/livez") == (200, "ok\n")  # the signal came before the question
        (shop.folder / "gate").touch()
        until(lambda: not is_running(first), 20)
        (second,) = shop.workers(1)
        assert second.pid != first
        worker.send(signal.SIGTERM)
        assert worker.ended() == 0, worker.lines
    assert (handle.fetch().state, handle.fetch().crashes) == (State.COMPLETED, 0)
    assert shop.pids("obstinate") == [first]


def test_code_that_changes_twice_and_then_a_stop_let_running_jobs_end(shop: Shop) -> None:
    handle = shop.app.get("obstinate").enqueue()
    port = free_port()
    with Running(shop.folder, "worker", "--reload", "--probe-port", str(port)) as worker:
        until(lambda: shop.pids("obstinate"))
        shop.write(more="\nchanged = 1\n")
        worker.line_with("stopping, 1 running")
        shop.write(more="\nchanged = 2\n")
        until(lambda: sum("workers start anew" in line for line in worker.lines) == 2, 20)
        worker.send(signal.SIGTERM)
        until(lambda: asked(port, "/readyz") == (503, "stopping\n"))
        (shop.folder / "gate").touch()
        assert worker.ended() == 0, worker.lines
    assert (handle.fetch().state, handle.fetch().crashes) == (State.COMPLETED, 0)
    assert len(shop.pids("obstinate")) == 1
