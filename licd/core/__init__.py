"""What does a licence mean, and what is allowed?
May import: itself and the standard library's values. No I/O, clock, randomness, gRPC or SQL; time is an argument.
"""
