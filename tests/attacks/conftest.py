from tests.server.conftest import alice, daemon, logs, office, own_daemon, system, template

__all__ = ["alice", "daemon", "logs", "office", "own_daemon", "system", "template"]
