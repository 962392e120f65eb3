"""`python -m licd.server` is `licd`."""

from licd.server.command import main

main()
