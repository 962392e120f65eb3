"""Does the operator's hand show what licd says, and sign only what was asked?
May import: licd.cli, licd.keys, licd.evidence, licd.wire, licd.v1 and the fake licd beside."""
