"""How does a customer's system use its licence, and stop in time?
May import: wire, keys, core, evidence, v1; nothing of the daemon."""
