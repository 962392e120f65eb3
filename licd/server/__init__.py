"""How is the one road walked for a caller: unpack, decide, commit, sign, pack?
May import: ledger, policy, wire, keys, core, evidence, v1; main is the only wiring."""
