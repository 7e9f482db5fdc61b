"""The base URL of an endpoint: checked once, with no secret in it."""

from __future__ import annotations

import httpx

from pilotfish.errors import ConfigError
from pilotfish.models._http_errors import safe_url

__all__ = ["below", "checked_url", "is_near"]

_SECRET_NAMES = {"key", "api_key", "api-key", "apikey", "token", "access_token", "secret", "sig", "signature", "code"}
_LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1"}


def checked_url(base_url: str) -> httpx.URL:
    """Return the base URL.

    Raises:
        ConfigError: it is no URL, or holds a password or key, which would then stand in files and logs.
    """
    try:
        url = httpx.URL(base_url)
    except (httpx.InvalidURL, TypeError):
        raise ConfigError(f"base_url is no URL: {base_url!r}") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigError(f"base_url must start with http:// or https:// and a host, not {safe_url(url)!r}")
    secret = "a user name or password" if url.userinfo else ""
    secret = secret or next((f"{name}=…" for name in url.params if name.lower() in _SECRET_NAMES), "")
    if secret:
        raise ConfigError(f"the base_url {safe_url(url)} holds {secret}: put the key in a variable and name it key_env")
    return url


def below(base: httpx.URL, path: str) -> httpx.URL:
    """Return the URL of `path` below the base; the base's query stays."""
    return base.copy_with(path=base.path.rstrip("/") + path)


def is_near(url: httpx.URL) -> bool:
    """Say whether the host is this machine: a proxy, which the environment may name, cannot reach its servers."""
    return url.host in _LOCAL_HOSTS
