from tests.server.conftest import alice, connections, daemon, logs, office, own_daemon, system, template

__all__ = ["alice", "connections", "daemon", "logs", "office", "own_daemon", "system", "template"]
