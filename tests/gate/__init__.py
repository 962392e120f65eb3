"""Fault tests on real processes, longer than `make test` has time for: `python -m tests.gate`."""
