"""Writes all dashboards."""

from deploy.grafana.generate import write

write()
