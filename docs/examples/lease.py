"""Enrol a system, hold one lease for a moment, give it back.

python docs/examples/lease.py JOIN_TOKEN_FILE DIRECTORY NUMBER
"""

import asyncio
import sys
import time
from pathlib import Path

from licd.client import Authorisation, System


async def main(join_token: str, directory: Path, number: str) -> None:
    if not directory.exists():  # noqa: ASYNC240
        await System.enrol(join_token, directory)
    async with (
        System.open(directory, region="AT") as system,
        system.lease(
            number,
            purpose="licd:serious-crime",
            offence="eaw:drugs",
            authorisation=Authorisation("court order 7/2026", ends_at=int(time.time() + 86_400) * 1000),
            attested_not_protected=True,
        ) as lease,
    ):
        print(f"{lease}: {lease.check()} ms left, ask again before each act")


token_file, system_directory, phone_number = sys.argv[1:]
asyncio.run(main(Path(token_file).read_text(), Path(system_directory), phone_number))
