"""The leases a worker holds: one per claim call that still has a claim unsettled. Read from two threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from stoker.core.job import Claim, Token


class Leases:
    """How many claims are open under each token, and since when."""

    def __init__(self) -> None:
        self._open: dict[Token, int] = {}
        self._taken: dict[Token, float] = {}
        self.told: Callable[[str, Token], None] | None = None
        """Hears of each token when it is asked for (``+``) and when it is over (``-``)."""

    @property
    def tokens(self) -> tuple[Token, ...]:
        """The tokens to keep alive; safe to call from the keeper's thread."""
        return tuple(self._open)

    def ask(self, token: Token) -> None:
        """Say that a claim under this token is about to be sent."""
        if self.told is not None:
            self.told("+", token)

    def take(self, token: Token, claims: Iterable[Claim], now: float) -> None:
        """Open a lease for the claims of one call; ``now`` in monotonic seconds."""
        count = sum(1 for _ in claims)
        if count:
            self._open[token] = count
            self._taken[token] = now
        elif self.told is not None:
            self.told("-", token)

    def release(self, token: Token) -> None:
        """Count one claim as over; the lease is forgotten with its last."""
        left = self._open.get(token)
        if left is None:
            return
        if left > 1:
            self._open[token] = left - 1
        else:
            self.forget(token)

    def forget(self, token: Token) -> None:
        """Drop a lease whatever is open under it."""
        known = self._open.pop(token, None)
        self._taken.pop(token, None)
        if known is not None and self.told is not None:
            self.told("-", token)

    def taken_at(self, token: Token) -> float:
        """Tell when a lease was taken, in monotonic seconds; 0 if it is not held."""
        return self._taken.get(token, 0.0)
