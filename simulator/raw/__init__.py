"""How does a program talk to licd that keeps to nothing but the bytes on the wire?
May import: licd.v1, gRPC and cryptography; not the SDK, which would stop a cheat."""
