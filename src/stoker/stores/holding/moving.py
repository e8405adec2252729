"""What is held for another store, whoever holds it."""

from __future__ import annotations

from collections.abc import Callable

from stoker.core.job import Token
from stoker.core.moving import MOVING, Hold
from stoker.stores.holding.commands import HoldingScripts
from stoker.stores.walks import Course


def holds(scripts: HoldingScripts) -> Callable[[], Course[list[Hold]]]:
    """Give what is held, the longest first."""

    def course() -> Course[list[Hold]]:
        _, found = yield scripts.script("holdings", [])
        pairs = zip(found[::2], found[1::2], strict=True)
        said = {token.decode(): value.decode(errors="replace") for token, value in pairs}
        ours = {token: value for token, value in said.items() if value.partition(" ")[2].startswith(MOVING)}
        open_ = yield scripts.script("opened", [], [scripts.claim_keys(token)[0] for token in ours])
        made = [
            Hold(Token(token), value.partition(" ")[2], int(value.partition(" ")[0]), int(jobs))
            for (token, value), jobs in zip(ours.items(), open_, strict=True)
        ]
        return sorted(made, key=lambda one: (one.at, one.token))

    return course
