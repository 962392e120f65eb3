"""One target a module: valid samples, how they are changed, and what must hold whatever they became.
May import licd and the samples of the other tests."""
