"""What can be asked of the ledger? One command a verb: load, ask core, write.
May import: core, wire, keys, the ledger's transaction and rows.
"""
