"""How would we notice that it is wrong? Mirrors licd/, and adds the oracle, golden bytes and architecture.
May import: everything."""
