"""Instructions that a model proposes: from examples, as variations of one, or from those that were tried.

Sources: Zhou et al. 2023 (Large Language Models Are Human-Level Prompt Engineers; APE), section 3.1 and table 1
(forward generation, resampling); Yang et al. 2024 (Large Language Models as Optimizers; OPRO), section 4.2: the
instructions so far with their scores, the best last, and examples of the task.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from pilotfish.errors import ConfigError
from pilotfish.model import Request
from pilotfish.models.calls import Calls, Failure
from pilotfish.rows._shingles import normalised

__all__ = ["Proposer", "instruction_in"]

EXAMPLES = """I gave a friend an instruction and some inputs. The friend read the instruction and wrote an output for \
every one of the inputs. Here are the input-output pairs:

{examples}

What was the instruction? Write the instruction alone, between <instruction> and </instruction>."""
VARIATION = """Write a variation of the following instruction that means the same, in other words. Write it alone, \
between <instruction> and </instruction>.

<instruction>{instruction}</instruction>"""
HISTORY = """Below are instructions for a task and how well each did, from 0 to 100; the better ones come last.

{history}

Some examples of the task:

{examples}

Write a new instruction that is unlike these and does better. Write it alone, between <instruction> and \
</instruction>."""
_TAGGED = re.compile(r"<instruction>(.*?)(?:</instruction>|$)", re.DOTALL | re.IGNORECASE)
_LABELLED = re.compile(r"^\s*(?:the |new )?instruction(?: was)?\s*[:：]\s*", re.IGNORECASE)


class Proposer:
    """Has a model propose instructions; each proposal is asked for, and paid for, once.

    Args:
        calls: of the model.
        longest: characters of an instruction; a longer one is none.
        max_tokens: of a proposal.
        temperature: of proposals, which are drawn.
        progress: show a bar.

    Raises:
        ConfigError: a setting out of range.
    """

    def __init__(
        self,
        calls: Calls,
        *,
        longest: int = 2000,
        max_tokens: int = 300,
        temperature: float = 1.0,
        progress: bool = False,
    ) -> None:
        if longest < 1 or max_tokens < 1 or not temperature > 0:
            raise ConfigError("a proposal has some characters and tokens, and a temperature above 0")
        self.calls, self.longest, self.max_tokens = calls, longest, max_tokens
        self.temperature, self.progress = temperature, progress

    async def propose(
        self,
        present: str,
        examples: Sequence[tuple[str, str]],
        count: int,
        *,
        tried: Sequence[tuple[str, float]] = (),
        seed: int = 0,
    ) -> list[str]:
        """Return at most `count` instructions, each unlike the others and those that were tried.

        Args:
            present: the instruction there is; may be empty.
            examples: (input, right output) of rows to choose on.
            count: how many are asked for. A third each from examples, as variations of the best one, and from the
                history, where there are such.
            tried: instructions and their scores, 0 to 1.
            seed: of the examples shown, and of the draws.
        """
        random = np.random.default_rng(seed)
        ranked = sorted(tried, key=lambda one: one[1])
        best = ranked[-1][0] if ranked else present
        ways = [way for way, there in (("examples", examples), ("variation", best), ("history", ranked)) if there]
        requests = []
        for number in range(count if ways else 0):
            shown = "\n\n".join(_pair(*examples[i]) for i in random.permutation(len(examples))[:5])
            way = ways[number % len(ways)]
            text = {
                "examples": EXAMPLES.replace("{examples}", shown),
                "variation": VARIATION.replace("{instruction}", best),
                "history": _in_turn(HISTORY, _history(ranked), shown),
            }[way]
            settings = {"temperature": self.temperature, "max_tokens": self.max_tokens}
            requests.append(Request.of(text, **settings, metadata={"sample": [seed, number]}))
        found: list[str] = []
        seen = {normalised(text) for text in (present, *(text for text, _ in tried))}
        for reply in await self.calls.replies(requests, progress=self.progress):
            if isinstance(reply, Failure) or reply.finish_reason == "length":
                continue
            text = instruction_in(reply.text)
            if text and len(text) <= self.longest and normalised(text) not in seen:
                seen.add(normalised(text))
                found.append(text)
        return found


def instruction_in(text: str) -> str:
    """Return the instruction of a proposal: what stands between the tags, else all of it, without quotes around it."""
    tagged = _TAGGED.search(text)
    found = (tagged.group(1) if tagged else _LABELLED.sub("", text, count=1)).strip()
    for left, right in (('"', '"'), ("“", "”"), ("'", "'"), ("`", "`")):
        if len(found) > 1 and found.startswith(left) and found.endswith(right) and left not in found[1:-1]:
            found = found[1:-1].strip()
    return found


def _pair(given: str, output: str) -> str:
    return f"Input: {given}\nOutput: {output}"


def _history(ranked: Sequence[tuple[str, float]]) -> str:
    return "\n\n".join(
        f"<instruction>{text}</instruction>\nScore: {round(100 * score)}" for text, score in ranked[-20:]
    )


def _in_turn(template: str, history: str, examples: str) -> str:
    before, _, rest = template.partition("{history}")
    between, _, after = rest.partition("{examples}")
    return before + history + between + examples + after
