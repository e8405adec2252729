"""What went wrong when TLS began, in words that say what to do."""

from __future__ import annotations

import ssl
from typing import Final

_OTHER_NAME: Final = (62, 64)
"""OpenSSL's numbers for a certificate of another host or address."""


def advice(error: BaseException) -> str | None:
    """Explain an error of TLS that no further try would end; None for all others."""
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = error.verify_message
        if error.verify_code in _OTHER_NAME:
            return f"the broker's certificate has another name ({reason}): write the name that it has into the URL"
        return (
            f"the broker's certificate is not trusted ({reason}): name the authority that signed it, "
            f"?ca_certs=/path/ca.pem"
        )
    if isinstance(error, ssl.SSLError) and error.reason == "WRONG_VERSION_NUMBER":
        return "this port does not speak TLS: write amqp://, or the port that does (5671 is usual)"
    return None
