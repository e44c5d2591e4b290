"""A real mail server (aiosmtpd) for tests: `mailbox.py PORT [SECONDS]` prints its port, then each mail as a line of JSON.

The first mail is answered after so many SECONDS; 0 is any free port.
"""

import asyncio
import email
import email.policy
import json
import sys

from aiosmtpd.smtp import SMTP


class Mailbox:
    """Shows what comes."""

    def __init__(self, pause):
        self.pause = pause

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        shown = {"to": envelope.rcpt_tos, "subject": mail["subject"], "id": mail["message-id"], "text": mail.get_content()}
        print(json.dumps(shown), flush=True)
        pause, self.pause = self.pause, 0
        await asyncio.sleep(pause)
        return "250 taken"


async def main(port, pause):
    mailbox = Mailbox(pause)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(mailbox, loop=loop), "127.0.0.1", port)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if len(sys.argv) > 1:
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0))
