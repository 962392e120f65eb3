"""Does the code still have the shape that docs/ says it has?
May import: nothing of licd; it reads files as text, and asks the tools that make uses."""
