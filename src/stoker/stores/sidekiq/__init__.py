"""Sidekiq's format on Redis: queues shared with Ruby's Sidekiq, rusty-sidekiq and Roadster."""

from stoker.stores.sidekiq.store import SidekiqStore

__all__ = ["SidekiqStore"]
