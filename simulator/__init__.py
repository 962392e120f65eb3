"""How does licd hold up against a fleet of customers, honest and cheating?
May import: licd.client, licd.server.inprocess, licd.keys, licd.v1."""
