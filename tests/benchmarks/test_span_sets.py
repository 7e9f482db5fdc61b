"""The benchmark of spans reads people's marks where they are."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks._span_fixers import calculations
from benchmarks._span_sets import chunks, invented, qags, rates, summeval, xsum

HEAD = (
    "bbcid,system,summary,hallucination_type,hallucinated_span,hallucinated_span_start,hallucinated_span_end,worker_id"
)


def test_xsum_s_places_are_those_of_the_text_without_escapes(tmp_path: Path) -> None:
    summary = r"the leader of bahrain\'s main party spoke in 2009."
    lines = [
        rf"7,S,{summary},extrinsic,bahrain\'s,15,24,a",
        rf"7,S,{summary},intrinsic,bahrain\'s main,15,29,b",
        f"7,S,{summary},NULL,NULL,-1,-1,c",
        f"7,S,{summary},extrinsic,2009,45,49,c",
        "8,S,fine.,NULL,NULL,-1,-1,a",
    ]
    (tmp_path / "xsum_hallucination").mkdir()
    file = tmp_path / "xsum_hallucination" / "hallucination_annotations_xsum_summaries.csv"
    file.write_text("\n".join([HEAD, *lines]) + "\n")
    one, two = xsum(tmp_path)
    assert [one.answer[a:b] for a, b in one.spans or ()] == ["bahrain's"]  # two of three marked it
    assert (two.spans, two.document) == ((), "8")
    known = rates([one, two])
    assert known["bahrain's"] > known["leader"]


def test_votes_and_scores_make_answers_faulty(tmp_path: Path) -> None:
    (tmp_path / "qags").mkdir()
    votes = [[{"response": "no"}] * 2 + [{"response": "yes"}], [{"response": "yes"}] * 3]
    row = {"article": "A b.", "summary_sentences": [{"sentence": str(i), "responses": v} for i, v in enumerate(votes)]}
    (tmp_path / "qags" / "mturk_cnndm.jsonl").write_text(json.dumps(row) + "\n")
    assert [(one.faulty, one.spans) for one in qags(tmp_path)] == [(True, None), (False, ())]
    (tmp_path / "bartscore_human").mkdir()
    systems = {f"M{i}": {"sys_summ": "s", "scores": {"consistency": value}} for i, value in enumerate((5.0, 4.5, 2.0))}
    (tmp_path / "bartscore_human" / "summeval.json").write_text(
        json.dumps({"x": {"src": "A b.", "sys_summs": systems}})
    )
    assert [one.faulty for one in summeval(tmp_path)] == [False, True]


def test_documents_are_cut_at_sentences_and_reports_invented() -> None:
    text = " ".join(f"This is sentence number {i} of the text." for i in range(40))
    parts = chunks([text], words=50)
    assert " ".join(parts) == text
    assert all(40 < len(part.split()) < 70 for part in parts[:-1])
    rows = invented(10)
    assert rows == invented(10)
    assert any(row.spans for row in rows)


def test_a_changed_result_is_found() -> None:
    answers = ["He has 48/2 = <<48/2=24>>24 clips, and 48+24 = <<48+24=72>>72 in all.\n#### 72"] * 5
    right, found, again = calculations(answers)
    assert (right["value"], right["n"]) == (0, 10)
    assert (found["value"], again["value"]) == (1, 1)
    assert found["n"] == 5
