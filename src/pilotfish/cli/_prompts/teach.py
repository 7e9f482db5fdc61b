"""`pilotfish prompts retriever`: an encoder learns which demonstrations help a language model."""

from __future__ import annotations

import json
import shutil

import click

from pilotfish.cli._common import Stopped, rows_of, say

__all__ = ["retriever_command"]


@click.command("retriever")
@click.argument("file")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--quiet", is_flag=True, help="No progress.")
def retriever_command(file: str, as_json: bool, quiet: bool) -> None:
    """Teach an encoder which solved examples help a language model, as [prompts.retriever] of FILE says.

    For each question of `rows` some examples are tried, one at a time: the nearest by words and some by chance, and
    `reader` tells how likely the right answer is after each; the encoder learns to find the best. A share of the
    questions is kept back, on which the report compares it with the untaught one. The folder is the `retriever` of a
    model of use = "demonstrated" with find = "taught". The same command goes on where a stopped run was.
    """
    from dataclasses import replace

    import numpy as np

    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._build_encoder import tunable
    from pilotfish.assemble._build_enhance import judge_of, words_of
    from pilotfish.assemble._weights import weights_from
    from pilotfish.errors import ConfigError
    from pilotfish.models._weights import identity_of
    from pilotfish.prompt.demonstrate import ByWords, Form, Pool, RetrieverLearner, feedback
    from pilotfish.prompt.demonstrate.feedback import proposed
    from pilotfish.prompt.demonstrate.teach import FIT
    from pilotfish.rows._lock import locked

    models = Collaboration.load(file)
    spec = models.prompts.retriever if models.prompts is not None else None
    if spec is None:
        raise ConfigError(f"{file}: no [prompts.retriever] table: it says which examples are learnt from")
    out = models.folder / spec.out
    pool = Pool.of(rows_of(models, spec.rows, [spec.input, spec.output]), spec.input, spec.output)
    order = np.random.default_rng(spec.seed).permutation(len(pool))[: spec.questions].tolist()
    how = FIT if spec.fit is None else replace(FIT, **spec.fit.model_dump(exclude_unset=True))
    judge = judge_of(models, spec.reader, spec.labels, spec.device, spec.dtype)
    try:
        with locked(out):
            tried = proposed(
                ByWords(pool, words_of(spec.language)),
                order,
                spec.near,
                spec.chance,
                same=spec.same or 1.0,
                seed=spec.seed,
            )
            told = feedback(
                pool,
                order,
                tried,
                judge,
                out / "feedback",
                form=Form(input=spec.question),
                judge_is=[identity_of(weights_from(spec.reader, models.folder)), spec.labels],
                progress=not quiet,
            )
            learner = RetrieverLearner(
                tunable(spec.encoder, models, out, device=spec.device),
                how,
                form=spec.read,
                positives=spec.positives,
                temperature=spec.temperature,
                held_out=spec.held_out,
                folder=out / "run",
            ).fit(pool, told)
            learner.save(out)
            shutil.rmtree(out / "run", ignore_errors=True)
    except KeyboardInterrupt:
        raise Stopped(f"stopped; the same command goes on with what is in {out}") from None
    if as_json:
        click.echo(json.dumps(learner.report_.to_json()))
    else:
        say(f"{learner.report_}; the retriever is in {out}")
