"""Simulated models over real HTTP and SSE."""
