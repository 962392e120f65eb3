"""Every attack that the protocol names (table.py), and the faults that each test was seen to find (faults.py).
May import what any test may; goes through the real daemon or the real services, never round them."""
