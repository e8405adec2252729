"""The job: a welcome mail, rendered from two templates and sent over SMTP."""

from __future__ import annotations

import os
import smtplib
import socket
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from stoker import Context, Discard, Stoker, Unique, exponential

SENDER = Address("The example’s crew", "crew", "example.com")
# smtplib would look the host's full name up in the DNS for every connection.
HOST = socket.gethostname()

app: Stoker[None] = Stoker()
templates = Environment(
    loader=PackageLoader("examples.signup"),
    autoescape=select_autoescape(),
    undefined=StrictUndefined,
    keep_trailing_newline=True,
)


# smtplib blocks, so this is a plain function: workers run it in a thread. A second sign-up with the same address
# within the hour (a double click) is answered with the job that is there already.
@app.job(queue="mail", backoff=exponential("1s", maximum="1h"), unique=Unique(by="email", within="1h"))
def welcome_email(ctx: Context[None], name: str, email: str) -> str:
    """Send one welcome mail and give its Message-ID."""
    message = letter(name, email, message_id=f"<{ctx.id}@example.com>")
    try:
        with smtplib.SMTP(*mail_server(), local_hostname=HOST, timeout=10) as server:
            server.send_message(message)
    except smtplib.SMTPRecipientsRefused as refused:
        code, reason = refused.recipients[email]
        if code >= 500:  # for good: no attempt will do better
            raise Discard(f"{code} {reason.decode(errors='replace')}") from refused
        raise  # for now: the job is retried, like after any other error
    return str(message["Message-ID"])


def letter(name: str, email: str, message_id: str) -> EmailMessage:
    """Write the mail, as text and as HTML."""
    message = EmailMessage(policy=SMTP)
    message["From"] = SENDER
    message["To"] = Address(name, addr_spec=email)
    message["Subject"] = f"Welcome aboard, {name}"
    # A job may run twice, when a worker dies between sending and saying so. An id made of the job's stays the same, so
    # that mail servers can tell the copy.
    message["Message-ID"] = message_id
    message.set_content(templates.get_template("welcome.txt").render(name=name, email=email))
    message.add_alternative(templates.get_template("welcome.html").render(name=name, email=email), subtype="html")
    return message


def mail_server() -> tuple[str, int]:
    """Say where mail is handed in."""
    return os.environ.get("SMTP_HOST", "127.0.0.1"), int(os.environ.get("SMTP_PORT", "8025"))
