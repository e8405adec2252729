"""Comparisons with other job systems on the same machine; no part of the package."""
