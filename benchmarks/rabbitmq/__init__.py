"""Celery, taskiq and Dramatiq beside stoker, on the same RabbitMQ broker."""
