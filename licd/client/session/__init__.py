"""What does a system do next, given what has happened? The session machine: no clock, no chance, no input or output.
May import: the values of licd.client (answers, notices, pace), wire, keys, core, v1."""
