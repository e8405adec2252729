"""Jobs in the format of Go's gocraft/work, shared with services that use it."""

from stoker.stores.gocraft.store import GocraftStore

__all__ = ["GocraftStore"]
