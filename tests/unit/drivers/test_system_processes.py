"""What /proc tells of other processes; where there is none, nothing is known."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stoker.drivers.system_processes import cpu_of_tree, parent, spent_between, title

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="this system has no /proc")
NOBODY = 2**22 + 1


def test_a_process_has_a_title_and_a_parent() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()", "spelled out"], stdin=subprocess.PIPE) as child:
        assert parent(child.pid) == os.getpid()
        while "spelled out" not in title(child.pid):
            time.sleep(0.01)
        child.communicate(b"\n")


def test_the_cpu_time_of_a_process_includes_that_of_those_it_started() -> None:
    before = cpu_of_tree(os.getpid())
    busy = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\ninput()"
    with subprocess.Popen([sys.executable, "-c", busy], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        after = cpu_of_tree(os.getpid())
        child.communicate(b"\n")
    assert child.pid in after
    assert spent_between(before, after) >= 0.29


def test_of_a_process_that_is_not_here_nothing_is_known() -> None:
    assert (title(NOBODY), parent(NOBODY), cpu_of_tree(NOBODY)) == ("", None, {})


def test_a_process_that_began_in_between_counts_whole_and_one_that_ended_not_at_all() -> None:
    assert spent_between({1: 5.0, 2: 7.0}, {1: 5.5, 3: 0.25}) == 0.75
