"""What can an operator's hand do?
May import: client, policy, wire, keys, core, evidence, v1; talks gRPC like everybody."""
