"""Prompt templates in files: jinja2, sandboxed; each has a version, the beginning of its text's hash."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pilotfish._extras import need
from pilotfish.errors import ConfigError

__all__ = ["Template"]

HERE = Path(__file__).parent


class Template:
    """A prompt's text with places to fill in.

    Templates run in jinja2's sandbox: one from a stranger's file can fill in text, and do nothing else.

    Args:
        name: one of ours ("attributed"), or a path to a file.

    Raises:
        ConfigError: there is none, or it is malformed.
    """

    def __init__(self, name: str | Path) -> None:
        own = HERE / f"{name}.jinja"
        path = own if own.is_file() else Path(name)
        try:
            self.text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            known = ", ".join(sorted(one.stem for one in HERE.glob("*.jinja")))
            raise ConfigError(f"no template {str(name)!r} ({error}); ours are {known}") from None
        self.version = f"{path.stem}@{hashlib.sha256(self.text.encode()).hexdigest()[:8]}"
        jinja2 = need("jinja2", "report")
        sandbox = need("jinja2.sandbox", "report")
        # Text for a model, not for a page: there is no markup to escape.
        made = sandbox.ImmutableSandboxedEnvironment(
            undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=False
        )
        try:
            self._made = made.from_string(self.text)
        except jinja2.TemplateSyntaxError as error:
            raise ConfigError(f"template {path}, line {error.lineno}: {error.message}") from None

    def fill(self, places: Mapping[str, Any]) -> str:
        """Return the text with the places filled in.

        Raises:
            ConfigError: the template wants a place that is not there, or does what the sandbox forbids.
        """
        try:
            return str(self._made.render(dict(places))).strip()
        except Exception as error:  # a template's expressions raise whatever they raise
            raise ConfigError(f"template {self.version}: {error}") from None
