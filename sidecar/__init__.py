"""Pointsman: an Envoy external processor that routes LLM traffic."""

__version__ = "0.1.0"
