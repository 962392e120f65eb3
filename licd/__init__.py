"""Who may do what, until when, and how can others check it?
May import: nothing; each package below says in its own two lines what it is for."""

__version__ = "0.1.0"
