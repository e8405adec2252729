"""The examples that need a RabbitMQ broker do what they say, on one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

import pytest

from stoker.stores.rabbitmq import RabbitStore
from tests.docs.fences import Example, examples

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "rabbitmq.md"
EXAMPLES = list(examples(PAGE))
URL = re.compile(r"amqp://guest:guest@localhost/")


@pytest.fixture
def place(rabbitmq_server: str) -> Iterator[str]:
    """Where the broker is, behind the scheme, with a prefix."""
    place = f"{rabbitmq_server}?prefix=t_{token_hex(6)}"
    yield place
    store = RabbitStore(place)
    store.drop()
    store.close()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_prints_what_the_page_says(place: str, example: Example, tmp_path: Path) -> None:
    code = URL.sub(place, example.code)
    assert code != example.code, "it names no broker"
    (tmp_path / example.name).write_text(code, encoding="utf-8")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("STOKER_")}
    words = [sys.executable, example.name]
    run = subprocess.run(words, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False)

    assert run.returncode == 0, run.stderr
    assert run.stdout == example.output
