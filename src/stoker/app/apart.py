"""How the processes are started that perform jobs with ``executor="process"``."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from pathlib import Path

from stoker.errors import ConfigurationError
from stoker.runtime.channel import Hello
from stoker.runtime.children import ChildPlan, command, main_module
from stoker.settings import Settings


def child_plan(settings: Settings, environment: str | None, arguments: Mapping[str, object], home: Path) -> ChildPlan:
    """Say how, by the settings, and what they are told of this process; ConfigurationError where there can be none."""
    if sys.platform == "win32":
        raise ConfigurationError("executor='process' needs sockets that a process can inherit: not on Windows")
    file, module = main_module()
    hello = Hello(
        tuple(sys.path),
        main=file,
        main_module=module,
        level=logging.getLogger().getEffectiveLevel(),
        environment=environment,
        arguments=dict(arguments),
        home=str(home),
    )
    workers = settings.workers
    return ChildPlan(
        command("from stoker.app.child import main; main()"), hello, workers.child_max_jobs, workers.child_max_rss
    )
