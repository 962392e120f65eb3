"""Are the rules read as they are written, and is what is wrong told at its line?
May import: everything; the shipped policies are copied, never changed."""
