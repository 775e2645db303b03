"""asyncssh: SFTP of a folder, as it comes.  `python -m ... HOST PORT USER KEY SOURCE TARGET`."""

from __future__ import annotations

import asyncio
import sys

import asyncssh


async def fetch(host: str, port: str, user: str, key: str, source: str, target: str) -> None:
    async with (
        asyncssh.connect(
            host, int(port), username=user, client_keys=[key], known_hosts=None, config=None
        ) as connection,
        connection.start_sftp_client() as sftp,
    ):
        await sftp.mget(f"{source}/*", target, recurse=True, preserve=True)


asyncio.run(fetch(*sys.argv[1:]))
