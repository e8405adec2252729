"""Which periodic entries a command means, and what an entry is that the command line adds."""

from __future__ import annotations

import json
from typing import Any

from stoker.app.entries import Entries
from stoker.app.periodic import PeriodicOptions, declared
from stoker.app.stoker import Stoker
from stoker.core.duration import micros
from stoker.core.job import NewJob
from stoker.errors import ConfigurationError
from stoker.schedule.rhythm import rhythm_of
from stoker.schedule.spec import Missed, Spec, template


def entries_of(app: Stoker[Any], store: str, application: str | None, *, known: bool) -> Entries:
    """Give the operator's verbs on the entries of an application; ``known`` tells that its code is loaded."""
    place = app.store(store)
    own = known and application in (None, app.application)
    declared = [entry for entry in app.periodic_entries() if app.store(entry.store) is place] if own else []
    specs = {entry.name: entry.spec(app.defaults) for entry in declared}
    return Entries(place, application or (app.application if known else None), specs)


def spec_of(
    app: Stoker[Any],
    name: str,
    *,
    known: bool,
    cron: str | None,
    every: str | None,
    job: str | None,
    arguments: str,
    queue: str | None,
    tz: str,
    missed: Missed,
    jitter: str,
) -> Spec:
    """Make an entry of what the command line says, checked against the job where the application's code is loaded."""
    options: PeriodicOptions = {"tz": tz, "missed": missed, "jitter": jitter}
    if known:
        definition = app.get(job or name).using(queue=queue)
        return declared(name, definition, lambda: definition.draft_of(arguments), cron, every, options).spec(
            app.defaults
        )
    try:
        if not isinstance(json.loads(arguments), dict | list):
            raise ConfigurationError(
                f"periodic {name}: arguments must be a JSON object by name, or an array by position"
            )
    except ValueError as error:
        raise ConfigurationError(f"periodic {name}: arguments are no JSON: {error}") from None
    rhythm = rhythm_of(cron, every, tz)
    made = template(NewJob(job or name, arguments, queue or "default"))
    return Spec(rhythm, cron or f"every {every}", made, missed, micros(jitter, "jitter"))
