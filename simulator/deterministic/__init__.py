"""Does every promise hold in every order of things? The real daemon and SDK on a virtual clock, one seed a run.
May import: what the simulator may, and licd.server.inprocess."""
