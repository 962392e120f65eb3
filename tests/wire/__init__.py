"""Tests of the spelling: round trips, errors both ways, and bytes that must never change.
May import: licd.wire, licd.keys, licd.core, licd.v1 and the builders."""
