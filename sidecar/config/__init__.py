"""Documents → snapshot: schema, compile, stores."""
