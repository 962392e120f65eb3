"""What does whoever looks after a licd type?
May import: what the server may, but only inside a verb's own module; `licd --help` loads none of it."""

from licd.server.command.entry import main

__all__ = ["main"]
