"""Which bytes could hurt licd? Structured fuzzing of everything that reads what others wrote.
`python -m tests.fuzz` lists the targets; docs at tests/fuzz/__main__.py."""
