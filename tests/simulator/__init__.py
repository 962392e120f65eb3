"""Does the simulator find what is wrong, and nothing else?
May import: simulator, licd.keys, licd.v1."""
