"""How is it proved? Merkle trees, signed notes and checkpoints, salted log entries, the export of a whole log.
May import only itself and the standard library's values: no I/O, clock, randomness, protobuf or cryptography."""
