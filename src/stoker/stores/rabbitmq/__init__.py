"""The store in RabbitMQ."""

from stoker.stores.rabbitmq.store import RabbitStore

__all__ = ["RabbitStore"]
