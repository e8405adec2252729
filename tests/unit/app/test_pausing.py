"""Pausing queues and names in code."""

from __future__ import annotations

import pytest

from stoker import Stoker
from stoker.errors import ConfigurationError


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_a_single_text_is_not_taken_for_its_letters(verb: str) -> None:
    operations = Stoker("memory://").operations()
    with pytest.raises(ConfigurationError, match=r"'mail' is one queue: write a list, \['mail'\]"):
        getattr(operations, verb)("queue", "mail")
    assert operations.paused() == []
