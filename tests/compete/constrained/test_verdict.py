from __future__ import annotations

from pilotfish.compete.constrained.limits import Limits
from pilotfish.compete.constrained.verdict import decide
from pilotfish.compete.constrained.way import Way
from tests.compete.constrained.help import MIB, candidate

FP32, INT8, INT4 = Way("torch", "fp32"), Way("onnx", "int8"), Way("onnx", "int4")
ROWS = 400


def right(count: int) -> list[int]:
    return [1] * count + [0] * (ROWS - count)


def test_the_best_that_keeps_every_limit_is_chosen_and_the_others_say_what_they_break() -> None:
    limits = Limits(memory=200 * MIB, p95=0.1)
    all_of = [
        candidate(FP32, right(390), limits, memory=500 * MIB),
        candidate(INT8, right(380), limits, memory=150 * MIB),
        candidate(INT4, right(300), limits, memory=80 * MIB),
    ]
    found = decide(all_of, limits, "classes")
    assert found.chosen is all_of[1]
    assert [one.name for one in all_of[0].broken] == ["memory"]
    assert "with peak memory of 500 MiB rather than 200 MiB m torch fp32 would be chosen" in found.flip
    assert "uses 75% of the peak memory allowed" in found.flip and "then m onnx int4 is next" in found.flip
    assert set(found.differences) == {"m onnx int4"} and found.differences["m onnx int4"].low > 0


def test_a_margin_takes_the_lightest_that_is_shown_to_be_near_enough() -> None:
    limits = Limits()
    all_of = [
        candidate(FP32, right(390), memory=500 * MIB),
        candidate(INT8, right(389), memory=150 * MIB),
        candidate(INT4, right(300), memory=80 * MIB),
    ]
    assert decide(all_of, limits, "classes").chosen is all_of[0]
    found = decide(all_of, limits, "classes", margin=0.02)
    assert found.chosen is all_of[1]
    assert "m torch fp32 is +0.2 points" in found.reason and "the margin allows" in found.reason
    # Few rows show nothing: an interval that reaches below minus the margin keeps the best.
    few = [
        candidate(FP32, [1] * 9 + [0], memory=500 * MIB),
        candidate(INT8, [1] * 8 + [0] * 2, memory=150 * MIB),
    ]
    assert decide(few, limits, "classes", margin=0.02).chosen is few[0]


def test_what_is_lost_against_float32_is_told() -> None:
    found = decide([candidate(INT8, right(380), reference=right(390))], Limits(), "classes")
    assert "Against the same weights in float32 it is −2.5 points" in found.reason
    assert found.flip == "a limit: none was set, so quality alone decides."


def test_a_lighter_one_that_the_rows_do_not_tell_from_it_is_named() -> None:
    all_of = [candidate(FP32, right(390), memory=500 * MIB), candidate(INT8, right(389), memory=150 * MIB)]
    found = decide(all_of, Limits(), "classes")
    assert found.chosen is all_of[0]
    assert "do not tell it from m onnx int8" in found.reason and "150 MiB of memory, not 500 MiB" in found.reason


def test_equal_quality_goes_to_the_least_memory() -> None:
    all_of = [candidate(FP32, right(390), memory=500 * MIB), candidate(INT8, right(390), memory=150 * MIB)]
    assert decide(all_of, Limits(), "classes").chosen is all_of[1]


def test_where_nothing_fits_the_nearest_is_named() -> None:
    limits = Limits(memory=50 * MIB, p95=0.01)
    all_of = [
        candidate(FP32, right(390), limits, memory=500 * MIB, p95=0.005),
        candidate(INT4, right(300), limits, memory=80 * MIB, p95=0.012),
    ]
    found = decide(all_of, limits, "classes")
    assert found.chosen is None and found.nearest is all_of[1] and found.differences == {}
    assert "peak memory 80 MiB, not 50 MiB; p95 12 ms, not 10 ms" in found.reason
    assert found.flip.startswith("with peak memory of 80 MiB allowed") and "other limits" in found.flip
