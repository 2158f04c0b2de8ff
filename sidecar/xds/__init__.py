"""Snapshot → Envoy's dynamic resources, published as files."""
