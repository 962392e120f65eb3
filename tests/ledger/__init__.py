"""Tests of the ledger: batches, faults, the log, the clock, the schema; on real SQLite files.
May import: licd.ledger and what it imports, licd.server.main for the log's keeper, and the rest of the tests."""
