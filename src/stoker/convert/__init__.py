"""Rewrites the source of an application for other queues into one for stoker. Needs the extra ``convert`` (LibCST)."""
