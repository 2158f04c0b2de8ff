"""ext_proc on the wire ↔ the vocabulary; the server."""
