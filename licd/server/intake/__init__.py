"""How does somebody without a certificate report what he knows, and come back for an answer?
May import: ledger, policy, keys, core, v1, h11; nothing here reads customers, licences, leases or cases."""
