"""Tests of the SDK: the machine alone on a virtual clock, its files, and the shells around it.
May import: licd.client, licd.keys, licd.wire, licd.v1 and the rest of the tests."""
