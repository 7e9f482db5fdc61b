"""`pilotfish match`: records of the same thing in two tables, by a small matcher taught on labelled pairs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotfish.cli._common import format_options, read_rows, say, say_rejects

if TYPE_CHECKING:
    from pilotfish.compete.entities.match import Matcher, Pair, PairEncoder

__all__ = ["command"]


@click.group("match")
def command() -> None:
    """Find records of the same thing in two tables.

    `learn` teaches a matcher on labelled pairs, `score` measures it, `apply` finds pairs of two tables: likely ones by
    what they share, of which the matcher says which are the same.

    Pairs are rows with `left` and `right` (objects, or columns that begin with left_ and right_) and `label`, or a
    file of Ditto's, whose name ends in .txt.
    """


@command.command("learn")
@click.argument("pairs")
@click.option("--tune", help="Pairs to choose the threshold by; a quarter of PAIRS otherwise.")
@click.option("--test", help="Pairs to measure on.")
@click.option("--out", required=True, help="The matcher's folder.")
@click.option("--encoder", help="Fine-tune this encoder on the pairs, rather than weigh similarities.")
@click.option(
    "--kinds", default="linear,lightgbm", show_default=True, help="Of similarities: the models that are tried."
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@format_options
def learn(pairs: str, tune: str | None, test: str | None, out: str, **flags: Any) -> None:
    """Teach a matcher on PAIRS."""
    from dataclasses import replace

    from pilotfish.compete.entities.match import Matcher, PairEncoder
    from pilotfish.compete.entities.match.encoded import FIT

    told, tuning = _pairs(pairs, flags), [] if tune is None else _pairs(tune, flags)
    made: Matcher | PairEncoder
    if flags["encoder"] is not None:
        from pilotfish.models.encoder import Encoder

        made = PairEncoder(Encoder(flags["encoder"]), replace(FIT, seed=flags["seed"])).fit(told, tuning)
    else:
        kinds = [kind.strip() for kind in flags["kinds"].split(",") if kind.strip()]
        made = Matcher(kinds, seed=flags["seed"]).fit(told, tuning)
    made.save(out)
    if test is not None:
        report = made.measure(_pairs(test, flags))
        click.echo(json.dumps(report.to_json()) if flags["as_json"] else str(report))
    say(f"{made.kind_ if isinstance(made, Matcher) else 'encoder'} from {len(told):,} pairs in {out}")


@command.command("score")
@click.argument("matcher")
@click.argument("pairs")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@format_options
def score(matcher: str, pairs: str, **flags: Any) -> None:
    """Measure a MATCHER on labelled PAIRS: F1 with its interval."""
    report = _matcher(matcher).measure(_pairs(pairs, flags))
    click.echo(json.dumps(report.to_json()) if flags["as_json"] else str(report))


@command.command("apply")
@click.argument("matcher")
@click.argument("left")
@click.argument("right")
@click.option("--out", help="A JSONL file of pairs; standard output otherwise.")
@click.option("--by", type=click.Choice(["words", "trigrams"]), default="words", help="What likely pairs share.")
@click.option("--columns", help="That count for likely pairs, with commas between; all otherwise.")
@click.option("-k", "k", type=click.IntRange(1), default=20, show_default=True, help="Likely pairs a left record has.")
@click.option("--id", "id_", default="id", show_default=True, help="The column that names records, where there is one.")
@click.option("--all", "every", is_flag=True, help="Give all likely pairs, not only those that are the same.")
@format_options
def apply(matcher: str, left: str, right: str, **flags: Any) -> None:
    """Find the pairs of LEFT and RIGHT that are the same thing by a MATCHER: ids or row numbers, and how likely."""
    from pilotfish.compete.entities.match import Blocking, Pair
    from pilotfish.compete.entities.match.pairs import record_of
    from pilotfish.rows import Rejects
    from pilotfish.rows._atomic import atomic

    made, rejects = _matcher(matcher), Rejects(None)
    given = {name: flags[name] for name in ("strict", "encoding", "format_")}
    rows = [[record_of(row) for row in read_rows(src, rejects, **given)] for src in (left, right)]
    say_rejects(rejects)
    ids = [[row.get(flags["id_"]) or str(number) for number, row in enumerate(some, 1)] for some in rows]
    records = [[{name: value for name, value in row.items() if name != flags["id_"]} for row in some] for some in rows]
    columns = None if flags["columns"] is None else [name.strip() for name in flags["columns"].split(",")]
    blocks = Blocking(flags["by"], columns, flags["k"]).pairs(*records)
    places = list(zip(blocks.left.tolist(), blocks.right.tolist(), strict=True))
    told = made.probabilities([Pair(records[0][a], records[1][b]) for a, b in places])
    lines = [
        json.dumps({"left": ids[0][a], "right": ids[1][b], "probability": float(p), "same": bool(p >= made.threshold_)})
        for (a, b), p in zip(places, told, strict=True)
        if flags["every"] or p >= made.threshold_
    ]
    text = "".join(f"{line}\n" for line in lines)
    if flags["out"] is None:
        click.echo(text, nl=False)
    else:
        with atomic(Path(flags["out"])) as file:
            file.write(text.encode("utf-8", "surrogatepass"))
    same = int((told >= made.threshold_).sum())
    say(f"{len(blocks):,} likely pairs ({blocks.reduction:.2%} of all left out), {same:,} of the same thing")


def _matcher(folder: str) -> Matcher | PairEncoder:
    from pilotfish.compete.entities.match import Matcher, PairEncoder
    from pilotfish.compete.entities.match.encoded import FILE

    return PairEncoder.load(folder) if (Path(folder) / FILE).is_file() else Matcher.load(folder)


def _pairs(src: str, flags: dict[str, Any]) -> list[Pair]:
    from pilotfish.compete.entities.match import ditto_pairs, pairs_of
    from pilotfish.rows import Rejects

    if src.endswith(".txt"):
        return ditto_pairs(src)
    rejects = Rejects(None)
    given = {name: flags[name] for name in ("strict", "encoding", "format_")}
    found = pairs_of(read_rows(src, rejects, **given), src)
    say_rejects(rejects)
    return found
