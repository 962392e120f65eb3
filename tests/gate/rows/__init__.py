"""The rows of the gate's table: a module each."""
