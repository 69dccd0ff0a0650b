"""A mail server for the tests: aiosmtpd, told how to behave by its arguments and by who is written to.

Everything that is said to it is a line of JSON in a file, and every message is read by Python's own parser, which names what
is against the standard. It prints the port on which it listens, and ends when its standard input does.
"""

import argparse
import asyncio
import email
import email.policy
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

LINE_MAX = 998  # RFC 5322, 2.1.1: without the end of the line


class Handler:
    def __init__(self, log, refuse_sender):
        self.log = log
        self.refuse_sender = refuse_sender
        self.seen = {}

    def times(self, what):
        self.seen[what] = self.seen.get(what, 0) + 1
        return self.seen[what]

    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        self.log("ehlo", private=is_private(server))
        return responses

    async def handle_MAIL(self, server, session, envelope, address, options):
        self.log("sender", address=address, private=is_private(server), login=bool(session.authenticated))
        if self.refuse_sender:
            return "550 5.7.1 we do not know you"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        self.log("recipient", address=address)
        who = address.split("@")[0]
        if who == "bounce":
            return f"550 5.1.1 <{address}> is nobody here"
        if who == "relay":
            return f"550 5.7.1 we do not pass mail on to {address}"
        if who == "grey" and self.times(address) < 3:
            return f"451 4.7.1 {address} has to wait"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        who = envelope.rcpt_tos[0].split("@")[0]
        if who == "spam" and self.times("spam") == 1:
            return "554 5.7.1 this looks like spam"
        self.log("mail", to=envelope.rcpt_tos, **described(envelope.content))
        if who == "cut" and self.times("cut") == 1:
            # It was taken, and nobody hears of it.
            server.transport.abort()
        return "250 OK"


def is_private(server):
    return server.transport.get_extra_info("ssl_object") is not None


def described(raw):
    """What a reader makes of a message, and what is wrong with it."""
    message = email.message_from_bytes(raw, policy=email.policy.SMTP)
    wrong = [repr(defect) for part in message.walk() for defect in part.defects]
    wrong += [f"{name}: {defect!r}" for part in message.walk() for name, value in part.items() for defect in value.defects]
    lines = raw.split(b"\r\n")
    if any(b"\r" in line or b"\n" in line for line in lines):
        wrong.append("a line that does not end as lines do")
    if any(len(line) > LINE_MAX for line in lines):
        wrong.append("a line that is too long")
    if not raw.isascii():
        wrong.append("bytes above 127")
    parts = [part for part in message.walk() if not part.is_multipart()]
    head = raw.split(b"\r\n\r\n", 1)[0].decode("ascii", "replace")
    return {
        "wrong": wrong,
        "head": head,
        "headers": [name for name, _ in message.items()],
        "from": str(message["from"]),
        "header_to": str(message["to"]),
        "subject": str(message["subject"]),
        "message_id": str(message["message-id"]),
        "unsubscribe": str(message["list-unsubscribe"]),
        "kind": message.get_content_type(),
        "parts": [
            {"kind": part.get_content_type(), "charset": part.get_content_charset(), "text": part.get_content()} for part in parts
        ],
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--log", required=True)
    parser.add_argument("--tls", choices=["none", "starttls", "implicit"], required=True)
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--login", help="user:password")
    parser.add_argument("--refuse-sender", action="store_true")
    given = parser.parse_args()
    file = open(given.log, "a", encoding="utf-8")

    def log(what, **more):
        file.write(json.dumps({"what": what, **more}) + "\n")
        file.flush()

    def authenticate(server, session, envelope, mechanism, data):
        login = f"{data.login.decode()}:{data.password.decode()}"
        good = login == given.login
        log("login", good=good, private=is_private(server))
        return AuthResult(success=good, handled=good)

    context = None
    if given.tls != "none":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(given.cert, given.key)
    handler = Handler(log, given.refuse_sender)
    options = {"hostname": "mail.example.test", "loop": None, "enable_SMTPUTF8": False}
    if given.tls == "starttls":
        options |= {"tls_context": context, "require_starttls": True}
    if given.login:
        # The lenient server: whoever says a password in the open is heard, and the log says so.
        options |= {"authenticator": authenticate, "auth_required": True, "auth_require_tls": False}

    async def serve():
        loop = asyncio.get_running_loop()
        options["loop"] = loop
        server = await loop.create_server(
            lambda: SMTP(handler, **options), "127.0.0.1", 0, ssl=context if given.tls == "implicit" else None
        )
        print(server.sockets[0].getsockname()[1], flush=True)
        await loop.run_in_executor(None, sys.stdin.read)

    asyncio.run(serve())


main()
