"""A plan → byte splices of the client's body, one set per attempt."""
