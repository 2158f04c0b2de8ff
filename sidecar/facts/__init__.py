"""Bytes of a request → `InferenceRequest`."""
