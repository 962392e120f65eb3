"""`licd serve`."""

from __future__ import annotations

import uvloop

from licd.server.command.log_lines import log_to_stderr
from licd.server.command.options import DatabaseUrl, PassphraseFile, State, passphrase_in, single
from licd.server.serve import serve as serve_state


def serve(state: State, passphrase_file: PassphraseFile = None, database: DatabaseUrl = "") -> None:
    """Serve a state directory until SIGTERM. Logs JSON lines to standard error."""
    log_to_stderr()
    uvloop.run(serve_state(state, passphrase_in(passphrase_file), database))


app = single(serve)
