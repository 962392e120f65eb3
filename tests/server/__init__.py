"""Is the one road walked rightly for a caller, behind TLS and without it?
May import: everything of licd."""
