"""gRPC over HTTP/2 (RFC 9113), the server's side: bytes in, calls and bytes out."""
