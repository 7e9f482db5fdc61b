"""Which tokens two vocabularies share, by their bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pilotfish._extras import need
from pilotfish.decode.text import BYTE
from pilotfish.decode.vocabulary import first_difference
from pilotfish.distill.cross.pieces import Pieces
from pilotfish.errors import ConfigError

__all__ = ["Shared", "shared_rows", "shared_vocabulary"]


@dataclass(frozen=True)
class Shared:
    """Tokens that stand for the same bytes in both vocabularies, one to one; long tensors of ids.

    Attributes:
        student: (classes,) the student's ids of the shared tokens; class i is this token and `teacher[i]`.
        teacher: (classes,) the teacher's.
        student_rest: the student's other ids, padding rows among them.
        teacher_rest: the teacher's.
        classes: the class of each token's bytes.
    """

    student: Any
    teacher: Any
    student_rest: Any
    teacher_rest: Any
    classes: dict[bytes, int]

    def to(self, device: Any) -> Shared:
        """Return the same on another device."""
        return Shared(
            self.student.to(device),
            self.teacher.to(device),
            self.student_rest.to(device),
            self.teacher_rest.to(device),
            self.classes,
        )

    def in_student(self, ids: Any) -> Any:
        """Return the student's ids of tokens of the teacher's; −1 for those that are not shared."""
        torch = need("torch", "train")
        table = torch.full((len(self.teacher) + len(self.teacher_rest),), -1, dtype=torch.long, device=ids.device)
        table[self.teacher] = self.student
        return table[ids]

    def __str__(self) -> str:
        of = [len(self.student) / max(len(self.student) + len(r), 1) for r in (self.student_rest, self.teacher_rest)]
        return f"{len(self.student):,} tokens shared, {of[0]:.0%} of the student's and {of[1]:.0%} of the teacher's"


def shared_rows(student_size: int, teacher_size: int, student_tokenizer: Any, teacher_tokenizer: Any) -> int | None:
    """Return how many first rows of both vocabularies are the same tokens, or None where the tokenizers differ.

    Models of one family pad their vocabularies to different sizes (Qwen2.5: 151,936 and 152,064 rows of 151,665
    tokens). The rows past the shorter are no tokens; every token is the same in both, or the answer is None, and the
    tokenizers need `shared_vocabulary`.

    Args:
        student_size: how many logits the student gives.
        teacher_size: how many its teacher gives.
        student_tokenizer: a transformers tokenizer.
        teacher_tokenizer: likewise.

    Raises:
        ConfigError: the tokenizers are the same, but a model has fewer logits than they have tokens.
    """
    if first_difference(student_tokenizer, teacher_tokenizer) is not None:
        return None
    tokens = max(student_tokenizer.get_vocab().values(), default=-1) + 1
    for whose, size in (("student", student_size), ("teacher", teacher_size)):
        if size < tokens:
            raise ConfigError(f"the {whose} has {size} logits for the {tokens} tokens of its tokenizer")
    return min(student_size, teacher_size)


def shared_vocabulary(student: Pieces, teacher: Pieces, student_size: int, teacher_size: int) -> Shared:
    """Return which tokens two vocabularies share.

    Special tokens are shared by their names, and end tokens with each other (the tokenizers' own end tokens, or the
    first of those that the `Pieces` were given). Of several tokens of one vocabulary with the same bytes the one that a
    text is written with is taken: no single-byte token where there is another, then the first.

    Args:
        student: of the student's tokenizer.
        teacher: of the teacher's.
        student_size: how many logits the student gives.
        teacher_size: how many its teacher gives.

    Raises:
        ConfigError: a model has fewer logits than its tokenizer has tokens.
    """
    torch = need("torch", "train")
    ours, theirs = _by_bytes(student, student_size, "student"), _by_bytes(teacher, teacher_size, "teacher")
    keys = [key for key in ours if key in theirs]
    mine, other = [ours[key] for key in keys], [theirs[key] for key in keys]
    rest = []
    for ids, size in ((mine, student_size), (other, teacher_size)):
        free = torch.ones(size, dtype=torch.bool)
        free[torch.tensor(ids, dtype=torch.long)] = False
        rest.append(free.nonzero()[:, 0])
    classes = {key: i for i, key in enumerate(keys) if isinstance(key, bytes)}
    return Shared(
        torch.tensor(mine, dtype=torch.long), torch.tensor(other, dtype=torch.long), rest[0], rest[1], classes
    )


def _by_bytes(pieces: Pieces, size: int, whose: str) -> dict[bytes | str, int]:
    """Return a vocabulary's ids by their bytes, or by their names where they are special."""
    found: dict[bytes | str, int] = {}
    later: list[tuple[bytes | str, int]] = []
    own = pieces.tokenizer.eos_token_id
    vocabulary = sorted(pieces.tokenizer.get_vocab().items(), key=lambda item: (item[1] != own, item[1]))
    if vocabulary and max(token for _, token in vocabulary) >= size:
        raise ConfigError(f"the {whose} has {size} logits, fewer than its tokenizer has tokens")
    for text, token in vocabulary:
        key = pieces.one(token) or text
        if isinstance(key, bytes) and len(key) == 1 and BYTE.fullmatch(text):
            later.append((key, token))
        else:
            found.setdefault(key, token)
    for key, token in later:
        found.setdefault(key, token)
    return found
