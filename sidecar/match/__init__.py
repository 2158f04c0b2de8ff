"""Conditions → predicates; the route index."""
