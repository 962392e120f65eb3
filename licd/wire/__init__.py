"""How is it spelled on the wire?
May import: keys, core, evidence, v1, protobuf, grpc status."""
