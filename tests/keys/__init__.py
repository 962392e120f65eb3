"""Tests of licd.keys: envelopes, keyrings, trust bundles, key files, armour and certificates."""
