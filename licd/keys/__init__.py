"""Who said so?
May import: core, evidence, v1, cryptography."""
