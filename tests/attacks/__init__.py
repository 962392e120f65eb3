"""Every attack that the protocol names, each by its name: tests/attacks/table.py is the list.
May import what any test may; goes through the real daemon or the real services, never round them."""
