"""The way through a proxy that the environment names: httpx knows how to go it."""

from __future__ import annotations

import ssl
import urllib.request
from typing import Any

import httpx

__all__ = ["ProxiedClient", "proxy_named"]


def proxy_named(scheme: str) -> bool:
    """Say whether the environment names a proxy for this scheme; httpx then decides about the host."""
    return any(urllib.request.getproxies().get(kind) for kind in (scheme, "all"))


class ProxiedClient:
    """A client with one connection, by httpx."""

    def __init__(self, tls: ssl.SSLContext, timeout: float, connect_timeout: float) -> None:
        limits = httpx.Limits(max_connections=1)
        times = httpx.Timeout(timeout, connect=connect_timeout, pool=None)
        self._client = httpx.AsyncClient(timeout=times, limits=limits, verify=tls, trust_env=True)

    async def post(self, send: Any, body: bytes) -> httpx.Response:
        """Send a body and return the response as soon as its head has come.

        Raises:
            httpx.HTTPError: there is no connection, or it broke off.
        """
        headers = {**send.headers, **send.own_headers}
        request = self._client.build_request("POST", send.url, content=body, headers=headers)
        return await self._client.send(request, auth=send.key, stream=True)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._client.aclose()
