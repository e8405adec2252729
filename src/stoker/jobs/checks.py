"""One check for each option's value: gives the value as it is kept, or a DefinitionError that says what to write."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal, cast

import msgspec

from stoker.core.backoff import Backoff, wait_after
from stoker.core.duration import Duration, Keep, instant_micros, keep_micros, micros
from stoker.core.expiry import RESERVED
from stoker.core.job import Due
from stoker.core.lines import LINES, MOST_LINES
from stoker.core.routes import LONGEST_TAG, is_tag
from stoker.errors import ConfigurationError, DefinitionError
from stoker.jobs.breaker import Breaker
from stoker.jobs.budget import RetryBudget
from stoker.jobs.fidelity import difference
from stoker.jobs.limits import Limit, Rate, bounds
from stoker.jobs.obstacles import obstacle
from stoker.jobs.sealing import BodyCodec
from stoker.jobs.unique import Unique

if TYPE_CHECKING:
    from stoker.jobs.freeform import JSON

UNLIMITED: Final = 0
"""What ``"none"`` is kept as, where a duration is asked for."""
FOREVER: Final = -1
"""What ``keep="forever"`` is kept as while it is not merged; a store is given None."""
LONGEST: Final = 200
"""Characters of a name or label."""
_JOB_NAME: Final = re.compile(r"[\w.:/-]+")
_QUEUE: Final = re.compile(r"[\w./-]+")

Check = Callable[[str, Any], Any]


def job_name(what: str, value: object) -> str:
    """Check a job's name; other languages' are let through (``Mail::Welcome``)."""
    return _named(what, value, _JOB_NAME, "letters, digits and . _ - : /")


def queue(what: str, value: object) -> str:
    """Check a queue's name, which command lines split at commas and colons (``mail:10,default``), or a store's."""
    return _named(what, value, _QUEUE, "letters, digits and . _ - /")


def label(what: str, value: object) -> str:
    """Check one label: any printable text."""
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST or not value.isprintable():
        raise DefinitionError(f"{what}: {value!r}: write a printable text of 1 to {LONGEST} characters")
    return value


def tag(what: str, value: object) -> str:
    """Check one tag, which command lines split at commas (``--tags gpu,eu``)."""
    if not is_tag(value):
        raise DefinitionError(f"{what}: {value!r}: write 1 to {LONGEST_TAG} letters, digits and . _ - : /")
    return str(value)


def several(check: Check) -> Check:
    """Make the check of a list from that of its items; repeats are dropped."""

    def check_all(what: str, value: object) -> tuple[str, ...]:
        if isinstance(value, str) or not isinstance(value, (Sequence, frozenset, set)):
            raise DefinitionError(f"{what}: {value!r}: write a list of texts")
        return tuple(dict.fromkeys(check(what, one) for one in cast("Sequence[object]", value)))

    return check_all


def _named(what: str, value: object, allowed: re.Pattern[str], in_words: str) -> str:
    if not isinstance(value, str) or len(value) > LONGEST or not allowed.fullmatch(value):
        raise DefinitionError(f"{what}: {value!r}: write 1 to {LONGEST} {in_words}")
    return value


def whole(least: int, most: int | None = None) -> Check:
    """Make the check of an integer within bounds."""

    def check(what: str, value: object) -> int:
        fits = isinstance(value, int) and not isinstance(value, bool) and value >= least
        if not fits or (most is not None and isinstance(value, int) and value > most):
            bounds = f"from {least} to {most}" if most is not None else f"of at least {least}"
            raise DefinitionError(f"{what}: {value!r}: write an integer {bounds}")
        return int(value)  # type: ignore[call-overload,no-any-return]

    return check


def duration(what: str, value: Duration) -> int:
    """Check a duration; microseconds."""
    try:
        return micros(value, what)
    except ConfigurationError as error:
        raise DefinitionError(str(error)) from error


def limit(what: str, value: Duration | Literal["none"]) -> int:
    """Check a duration that may be "none"; microseconds or UNLIMITED."""
    if value == "none":
        return UNLIMITED
    checked = duration(what, value)
    if checked == 0:
        raise DefinitionError(f'{what}: {value!r}: write a duration above 0, or "none" for no limit')
    return checked


def keep(what: str, value: Keep) -> int:
    """Check a retention; microseconds or FOREVER."""
    try:
        kept = keep_micros(value, what)
    except ConfigurationError as error:
        raise DefinitionError(f'{error}, or "forever"') from error
    return FOREVER if kept is None else kept


def keep_or_rule(what: str, value: object) -> object:
    """Check a retention, or the function that decides it at the end."""
    return value if callable(value) else keep(what, value)  # type: ignore[arg-type]


def keep_logs(what: str, value: object) -> int:
    """Check how many lines of an attempt are kept."""
    if isinstance(value, bool):
        return LINES if value else 0
    if not isinstance(value, int) or not 0 <= value <= MOST_LINES:
        raise DefinitionError(
            f"{what}: {value!r}: write True for the latest {LINES} lines of each attempt, or how many, "
            f"up to {MOST_LINES:,}"
        )
    return value


def delay(what: str, value: Duration) -> Due:
    """Check a delay."""
    return Due(duration(what, value))


def expires(what: str, value: Duration) -> Due:
    """Check a time within which a job is to start."""
    checked = duration(what, value)
    if checked == 0:
        raise DefinitionError(f"{what}: {value!r}: write a duration above 0")
    return Due(checked)


def expires_or_instant(what: str, value: Duration | datetime) -> Due:
    """Check a time within which, or an instant by which, a job is to start."""
    return instant(what, value) if isinstance(value, datetime) else expires(what, value)


def instant(what: str, value: datetime) -> Due:
    """Check an instant."""
    if not isinstance(value, datetime):
        raise DefinitionError(f"{what}: {value!r}: write an aware datetime, or use delay=")
    try:
        return Due(at=instant_micros(value, "at"))
    except ConfigurationError as error:
        raise DefinitionError(f"{what}: {error}") from error


def backoff(what: str, value: Backoff) -> Backoff:
    """Check that a backoff, called as after the first failure, gives a duration."""
    advice = "write exponential(), linear(), fixed(…), or a function from the number of failures to a duration"
    if not callable(value):
        raise DefinitionError(f"{what}: {value!r}: {advice}")
    try:
        wait_after(1, value, 0.0)
    except Exception as error:
        raise DefinitionError(f"{what}: {value!r} gave no duration for 1 failure ({error}); {advice}") from error
    return value


def exceptions(what: str, value: object) -> tuple[type[BaseException], ...]:
    """Check one exception class or several."""
    kinds = (value,) if isinstance(value, type) else value
    if not isinstance(kinds, (Sequence, frozenset, set)) or isinstance(kinds, str):
        raise DefinitionError(f"{what}: {value!r}: write an exception class or a list of them")
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            raise DefinitionError(f"{what}: {kind!r} is not an exception class")
    return tuple(kinds)


def executor(what: str, value: object) -> str:
    """Check where a job is to be performed."""
    if value not in ("async", "thread", "process"):
        raise DefinitionError(f"{what}: {value!r}: write 'async', 'thread' or 'process'")
    return str(value)


def breaker(what: str, value: object) -> Breaker:
    """Check a breaker."""
    if isinstance(value, Breaker):
        return value
    raise DefinitionError(f"{what}: {value!r}: write Breaker(failures=…, within=…)")


def retry_budget(what: str, value: object) -> RetryBudget:
    """Check a retry budget."""
    if isinstance(value, RetryBudget):
        return value
    raise DefinitionError(f"{what}: {value!r}: write RetryBudget(retries, per=…)")


def unique(what: str, value: object) -> Unique | Literal[False]:
    """Check `unique`: True stands for Unique()."""
    if value is True:
        return Unique()
    if value is False or isinstance(value, Unique):
        return value
    raise DefinitionError(f"{what}: {value!r}: write True, False or Unique(…)")


def meta(what: str, value: object) -> Mapping[str, JSON]:
    """Check a mapping that travels as JSON; a copy of it."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise DefinitionError(f"{what}: {value!r}: write a dict with texts as keys")
    if ours := next((key for key in value if key.startswith(RESERVED)), None):
        raise DefinitionError(f"{what}: {ours!r}: keys that begin with {RESERVED!r} are stoker's own")
    try:
        arrived: dict[str, JSON] = msgspec.json.decode(msgspec.json.encode(dict(value)))
    except Exception as error:
        raise DefinitionError(f"{what}: {obstacle(value, 'meta') or error}") from error
    changed = difference(value, arrived, "meta")
    if changed is not None:
        raise DefinitionError(f"{what}: {changed}")
    return arrived


def codecs(what: str, value: object) -> tuple[BodyCodec, ...]:
    """Check what a body goes through."""
    if isinstance(value, BodyCodec) or not isinstance(value, Sequence):
        raise DefinitionError(f"{what}: {value!r}: write a list, e.g. codecs=[Compress(), Encrypt(keys)]")
    for one in value:
        if not isinstance(one, BodyCodec):
            raise DefinitionError(
                f"{what}: {one!r} is no codec: write Compress(), Encrypt(keys) or a BodyCodec of yours"
            )
    names = [one.name for one in value]
    if len(set(names)) < len(names):
        raise DefinitionError(f"{what}: two codecs are named {max(names, key=names.count)!r}")
    if "zlib" in names and any(one.hides for one in value[: names.index("zlib")]):
        raise DefinitionError(f"{what}: what is encrypted cannot be compressed any more: put Compress() first")
    return tuple(value)


JOB_CHECKS: Final[Mapping[str, Check]] = {
    "name": job_name,
    "aliases": several(job_name),
    "queue": queue,
    "priority": whole(-100, 100),
    "max_attempts": whole(1),
    "crash_limit": whole(1),
    "backoff": backoff,
    "retry_on": exceptions,
    "discard_on": exceptions,
    "timeout": limit,
    "executor": executor,
    "slow_after": limit,
    "max_snoozes": whole(0),
    "expires": expires,
    "breaker": breaker,
    "retry_budget": retry_budget,
    "unique": unique,
    "limit": lambda what, value: bounds(what, value, Limit),
    "rate": lambda what, value: bounds(what, value, Rate),
    "tags": several(tag),
    "labels": several(label),
    "meta": meta,
    "keep": keep_or_rule,
    "keep_failed": keep_or_rule,
    "keep_most": whole(1),
    "keep_logs": keep_logs,
    "store": queue,
    "codecs": codecs,
}

ENQUEUE_CHECKS: Final[Mapping[str, Check]] = {
    "delay": delay,
    "at": instant,
    "queue": queue,
    "priority": whole(-100, 100),
    "expires": expires_or_instant,
    "unique": unique,
    "tags": several(tag),
    "labels": several(label),
    "meta": meta,
    "max_attempts": whole(1),
    "keep": keep,
    "keep_failed": keep,
    "transaction": lambda what, value: value,
    "store": queue,
}
