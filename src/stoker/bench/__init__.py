"""Measuring stoker on a store: its own jobs, its own place, every job accounted for. How it is printed is the CLI's."""
