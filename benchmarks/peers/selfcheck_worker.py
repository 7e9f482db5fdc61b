"""selfcheckgpt in an environment of its own: a line of JSON in, a line of JSON out.

Two things stand in for what it would fetch: spaCy's sentencizer for `en_core_web_sm`, local weights for its models.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    """Answer {make: folder, texts} with nothing, or {way, weights, threads, passages} with scores and seconds."""
    out, sys.stdout = sys.stdout, sys.stderr
    import numpy as np
    import spacy  # type: ignore[import-not-found]
    import torch

    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    spacy.load = lambda _: nlp
    import bert_score  # type: ignore[import-not-found]
    from selfcheckgpt.modeling_selfcheck import (  # type: ignore[import-not-found]
        SelfCheckBERTScore,
        SelfCheckNgram,
        SelfCheckNLI,
    )

    for line in sys.stdin:
        job: dict[str, Any] = json.loads(line)
        if "make" in job:
            make(Path(job["make"]), job["texts"])
            print("{}", file=out, flush=True)
            continue
        torch.set_num_threads(job["threads"])
        passages, way = job["passages"], job["way"]
        sentences: Any = None
        if way == "nli":
            checker = SelfCheckNLI(job["weights"], torch.device("cpu"))
        elif way == "bertscore":
            bert_score.utils.lang2model["en"] = job["weights"]
            bert_score.utils.model2layers[job["weights"]] = job["layers"]
            checker = SelfCheckBERTScore(rescale_with_baseline=False)
            # As it cuts and sifts them, so that both sides have the same.
            sentences = [
                [[one.text.strip() for one in nlp(text).sents if len(one) > 3] for text in row["samples"]]
                for row in passages
            ]
        else:
            checker = SelfCheckNgram(1)
        found = []
        start = time.perf_counter()
        for row in passages:
            if way == "ngram":
                told = checker.predict(row["sentences"], " ".join(row["sentences"]), row["samples"])
                found.append([float(one) for one in told["sent_level"]["avg_neg_logprob"]])
            else:
                found.append(np.asarray(checker.predict(row["sentences"], row["samples"])).tolist())
        seconds = time.perf_counter() - start
        print(json.dumps({"scores": found, "seconds": seconds, "sentences": sentences}), file=out, flush=True)


def make(folder: Path, texts: list[str]) -> None:
    """Write a DeBERTa of six layers with random weights, of two classes, with a tokenizer of its own."""
    import sentencepiece  # type: ignore[import-not-found]
    import torch
    import transformers

    folder.mkdir(parents=True)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_prefix=str(folder / "spm"),
        vocab_size=2000,
        hard_vocab_limit=False,
        pad_id=0,
        bos_id=1,
        eos_id=2,
        unk_id=3,
        pad_piece="[PAD]",
        bos_piece="[CLS]",
        eos_piece="[SEP]",
        unk_piece="[UNK]",
        user_defined_symbols=["[MASK]"],
    )
    tokenizer = transformers.DebertaV2TokenizerFast(vocab_file=str(folder / "spm.model"))
    tokenizer.model_max_length = 512
    tokenizer.save_pretrained(folder)
    transformers.DebertaV2Tokenizer(vocab_file=str(folder / "spm.model")).save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.DebertaV2Config(
        vocab_size=len(tokenizer),
        hidden_size=384,
        num_hidden_layers=6,
        num_attention_heads=6,
        intermediate_size=1536,
        max_position_embeddings=512,
        relative_attention=True,
        position_buckets=256,
        norm_rel_ebd="layer_norm",
        share_att_key=True,
        pos_att_type=["p2c", "c2p"],
        type_vocab_size=0,
        initializer_range=0.08,
        id2label={0: "entailment", 1: "contradiction"},
        label2id={"entailment": 0, "contradiction": 1},
    )
    transformers.DebertaV2ForSequenceClassification(config).eval().save_pretrained(folder)


if __name__ == "__main__":
    main()
