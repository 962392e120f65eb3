"""Do the files in deploy/ do what they say, in the very programs that will read them?
May import: licd.server.metrics and exposition, and the tests' own modules."""
