"""What can an outsider check, with exported files and public keys alone?
May import: keys, evidence, v1; nothing of the daemon, its ledger, its rules, its commands or the SDK."""
