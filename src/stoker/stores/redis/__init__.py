"""Jobs in Redis or Valkey: one server, behind Sentinels, or in a cluster."""

from stoker.stores.redis.store import RedisStore

__all__ = ["RedisStore"]
