"""What do operators see when thousands of systems are connected? A real daemon, the real SDK, processes of systems.
May import: licd.client, licd.v1, the simulator's own papers, office and daemon; nothing else of the daemon's."""
