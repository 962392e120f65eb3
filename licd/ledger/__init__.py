"""What happened, and in which order?
May import: wire, keys, core, evidence, v1, SQLAlchemy; only licd.server imports this package."""
