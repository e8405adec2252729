"""What an application was given, in the shapes that others want: arguments as settings, settings as defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from stoker.core.duration import Keep, keep_micros, micros
from stoker.core.limits import Rule
from stoker.errors import ConfigurationError
from stoker.jobs.checks import FOREVER
from stoker.jobs.limits import queue_rule, rate_of
from stoker.jobs.options import Defaults, Retention

if TYPE_CHECKING:
    from stoker.settings import PoolSettings, Settings


def defaults_of(settings: Settings) -> Defaults:
    """Give what the settings say of jobs, as definitions want it."""
    jobs = settings.jobs
    return Defaults(
        max_attempts=jobs.max_attempts,
        attempts_in={} if "jobs.max_attempts" in settings.origins else _attempts_in(settings),
        timeout=None if jobs.timeout is None else micros(jobs.timeout),
        keep=keep_micros(jobs.keep),
        keep_failed=keep_micros(jobs.keep_failed),
        max_args=jobs.max_args,
        retention={name: _retention(queue) for name, queue in settings.queue.queues.items()},
        limits={name: rules for name, queue in settings.queue.queues.items() if (rules := _rules(name, queue))},
    )


def _attempts_in(settings: Settings) -> dict[str, int]:
    from stoker.stores.urls import usual_attempts  # with it comes what `import stoker` can do without

    usual = {name: usual_attempts(url) for name, url in settings.store_urls().items()}
    return {name: attempts for name, attempts in usual.items() if attempts is not None}


def _retention(queue: PoolSettings) -> Retention:
    def kept(written: Keep | None) -> int | None:
        if written is None:
            return None
        return FOREVER if written == "forever" else micros(written)

    return Retention(kept(queue.keep), kept(queue.keep_failed))


def _rules(name: str, queue: PoolSettings) -> tuple[Rule, ...]:
    """Give the limit and the rate of a queue."""
    rules: list[Rule] = []
    if queue.limit is not None:
        rules.append(queue_rule(name, running=queue.limit))
    if queue.rate is not None:
        rate = rate_of(f"queue.queues.{name}.rate", queue.rate)
        rules.append(queue_rule(name, starts=rate.starts, per=micros(rate.per)))
    return tuple(rules)


def given_settings(
    url: str | None, settings: Mapping[str, object] | None, stores: Mapping[str, str] | None, retiring: Sequence[str]
) -> dict[str, object]:
    """Put the constructor's arguments in the shape of a settings file; ConfigurationError for two default stores."""
    given: dict[str, object] = dict(settings or {})
    named = dict(stores or {})
    if url and "default" in named:
        raise ConfigurationError("Stoker(url, stores={'default': …}): the default store is said twice; leave out one")
    default = url or named.pop("default", None)
    if default is not None:
        given["queue"] = {**_section(given, "queue"), "uri": default}
    if named:
        given["stores"] = {name: {"uri": uri} for name, uri in named.items()}
    if retiring:
        given["retiring"] = list(retiring)
    return given


def _section(given: Mapping[str, object], name: str) -> Mapping[str, object]:
    section = given.get(name, {})
    return section if isinstance(section, Mapping) else {}
