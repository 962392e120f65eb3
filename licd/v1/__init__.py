"""Which messages and services are there? Generated from proto/ by `make generate`, never edited.
May import: protobuf and grpc; only wire, keys, ledger, server, client and cli import this package."""
