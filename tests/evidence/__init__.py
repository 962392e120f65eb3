"""Tests of licd.evidence: proofs, notes, checkpoints, entries and exports."""
