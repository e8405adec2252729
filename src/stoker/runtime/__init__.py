"""The worker: a few loops that look alike around `core.decide`. It sees stores by their contract only."""
