"""Tests of the rules: tables, properties, a slow oracle, and exhaustive models of the chain.
May import: licd.core, the builders and the oracle; no I/O, no clock."""
