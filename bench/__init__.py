"""Benchmarks, and what they printed last."""
