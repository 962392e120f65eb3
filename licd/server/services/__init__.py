"""What does each RPC do? One file an area; each function unpacks, asks the ledger, packs.
May import: the server's own parts, ledger, policy, wire, keys, core, evidence, v1.
"""
