"""The composition root: reads settings, wires the rooms together, starts and drains processes."""
