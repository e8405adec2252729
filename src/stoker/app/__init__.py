"""The composition root: `Stoker` puts registry, settings, stores and workers together."""

from stoker.app.stoker import Stoker

__all__ = ["Stoker"]
