"""Jobs kept in this process: mode ``async``, tests, and the yardstick for the other stores."""

from stoker.stores.memory.store import MemoryStore

__all__ = ["MemoryStore"]
