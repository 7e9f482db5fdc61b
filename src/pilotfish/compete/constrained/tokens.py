"""A tokenizer without torch and transformers, which would cost a small machine seconds and hundreds of megabytes.

It has what `pilotfish.models._tokens` and `_chat` ask of a transformers tokenizer, and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from pilotfish._extras import need
from pilotfish.errors import ModelError

__all__ = ["LightTokenizer"]


class LightTokenizer:
    """The `tokenizer.json` of a folder, with its special tokens and its chat template.

    Args:
        folder: with tokenizer.json, and tokenizer_config.json where there is one.

    Raises:
        ModelError: there is no tokenizer.json, or it cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        library = need("tokenizers", "onnx")
        path = folder / "tokenizer.json"
        if not path.is_file():
            raise ModelError(f"{folder}: no tokenizer.json in it")
        try:
            self._raw: Any = library.Tokenizer.from_file(str(path))
            told = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        except Exception as error:  # the library raises plain Exception
            raise ModelError(f"{folder}: a tokenizer that cannot be read: {error}") from error
        self._raw.no_padding()
        self._raw.no_truncation()
        self._told = told
        self.bos_token, self.eos_token = _token(told.get("bos_token")), _token(told.get("eos_token"))
        self.bos_token_id, self.eos_token_id = self._id(self.bos_token), self._id(self.eos_token)
        added = self._raw.get_added_tokens_decoder().values()
        self.all_special_tokens = [token.content for token in added if token.special]
        template = folder / "chat_template.jinja"
        self.chat_template = template.read_text("utf-8") if template.is_file() else told.get("chat_template")

    def __call__(self, text: str, *, add_special_tokens: bool = True, verbose: bool = True) -> dict[str, list[int]]:
        """Return {"input_ids": …} of a text."""
        return {"input_ids": list(self._raw.encode(text, add_special_tokens=add_special_tokens).ids)}

    def cut(self, texts: Sequence[str], length: int) -> list[list[int]]:
        """Return each text's ids, special ones included, a text that is longer cut at its end."""
        self._raw.enable_truncation(length)
        try:
            return [list(one.ids) for one in self._raw.encode_batch(list(texts))]
        finally:
            self._raw.no_truncation()

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids, special tokens left out."""
        return str(self._raw.decode(list(ids), skip_special_tokens=True))

    def apply_chat_template(
        self,
        messages: Sequence[dict[str, Any]],
        *,
        tokenize: bool = False,
        add_generation_prompt: bool = False,
        continue_final_message: bool = False,
        **more: Any,
    ) -> str:
        """Return a conversation as text, by the template; a last message that is to be gone on with stays open.

        Raises:
            ModelError: the template drops that message.
        """
        assert not tokenize, "text is asked for here"
        sandbox, loops = need("jinja2.sandbox", "onnx"), need("jinja2.ext", "onnx").loopcontrols
        made = sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loops])
        made.filters["tojson"] = lambda value, **how: json.dumps(value, ensure_ascii=False, **how)
        made.globals["raise_exception"] = _refuse
        made.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
        names = {key: _token(self._told.get(key)) or "" for key in ("bos_token", "eos_token", "unk_token", "pad_token")}
        text = str(
            made.from_string(self.chat_template).render(
                messages=list(messages), add_generation_prompt=add_generation_prompt, **names, **more
            )
        )
        if not continue_final_message:
            return text
        last = str(messages[-1]["content"]).strip()
        at = text.rfind(last)
        if at < 0:
            raise ModelError("the chat template leaves out the message that is to be gone on with")
        return text[: at + len(last)]

    def _id(self, token: str | None) -> int | None:
        found = None if token is None else self._raw.token_to_id(token)
        return None if found is None else int(found)


def _token(told: Any) -> str | None:
    """Return a special token as a configuration has it: a text, or a table with its content."""
    found = told.get("content") if isinstance(told, dict) else told
    return None if found is None else str(found)


def _refuse(message: str) -> None:
    raise ModelError(message)
