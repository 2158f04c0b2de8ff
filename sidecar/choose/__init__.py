"""Routers: strategies that order targets into a plan."""
