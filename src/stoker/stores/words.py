"""What is said of a verb that a store refuses, where its name alone would be no sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

REFUSED: Final[Mapping[str, str]] = {
    "find": "look jobs up",
    "result": "keep results",
    "requeue": "put jobs back into their queue",
    "promote_now": "promote jobs",
    "paused": "say what is paused",
    "beat": "know its workers",
    "workers": "list workers",
    "orders": "tell workers what to do",
    "holds": "say what is being moved",
    "hold": "give jobs away",
    "receive": "take jobs in as they stand",
    "note": "keep progress and checkpoints",
    "saved": "keep progress and checkpoints",
    "logged": "keep log lines",
    "register": "have periodic entries",
    "tick": "have periodic entries",
    "entries": "list periodic entries",
    "pause_entries": "pause periodic entries",
    "remove_entries": "remove periodic entries",
    "admit": "have limits and rates",
    "define": "have limits and rates",
    "override": "override options at run time",
    "overrides": "override options at run time",
    "override_history": "override options at run time",
    "open_batch": "have batches",
    "batches": "have batches",
    "advance": "have batches",
}
"""Verbs that are not here read well: "cannot cancel"."""
