"""File, environment and arguments become one frozen value that remembers where each part of it came from."""

from stoker.settings.files import find_root
from stoker.settings.loading import load
from stoker.settings.sections import JobSettings, PoolSettings, Settings, StoreSettings, WebSettings, WorkerSettings

__all__ = [
    "JobSettings",
    "PoolSettings",
    "Settings",
    "StoreSettings",
    "WebSettings",
    "WorkerSettings",
    "find_root",
    "load",
]
