"""TLS to servers that speak Redis's protocol: with a certificate that is known, with any, and with none that is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stoker import Stoker
from stoker.errors import StoreUnavailable
from tests.rigs.tls_proxy import tls_before
from tests.rigs.valkey import Valkey


@pytest.mark.parametrize("scheme", ["rediss", "sidekiq+rediss"])
def test_jobs_go_through_tls_to_whom_the_certificate_belongs(own_redis: Valkey, tmp_path: Path, scheme: str) -> None:
    with tls_before(own_redis.port, tmp_path) as tls:
        for option in (f"ca_certs={tls.authority}", "verify=none"):
            performed: list[int] = []
            app: Stoker[Any] = Stoker(f"{scheme}://localhost:{tls.port}/0?{option}")
            app.job(name="work")(performed.append)
            app.enqueue_by_name("work", [1])
            app.work(until_empty=True)
            app.close()
            assert performed == [1]

        app = Stoker(f"{scheme}://localhost:{tls.port}/0?timeout=1s")
        app.job(name="work")(print)
        with pytest.raises(StoreUnavailable, match=r"(?i)certificate"):
            app.enqueue_by_name("work", [1])
        app.close()
