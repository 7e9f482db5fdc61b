"""The peer's side of `benchmarks decode`: OpenVINO GenAI's pipeline on a GGUF file, run in its own environment.

Reads one JSON line {gguf, threads}, answers {"ready": true}; then for each further line {prompts, steps} answers
{"rate"}: tokens a second of all prompts together, from the first new token to the last.
"""

from __future__ import annotations

import json
import sys


def main() -> None:
    """Serve one benchmark."""
    out = sys.stdout
    sys.stdout = sys.stderr
    job = json.loads(sys.stdin.readline())
    import openvino_genai  # type: ignore[import-not-found]

    pipe = openvino_genai.LLMPipeline(job["gguf"], "CPU", INFERENCE_NUM_THREADS=job["threads"])
    print(json.dumps({"ready": True}), file=out, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        config = openvino_genai.GenerationConfig()
        config.max_new_tokens = asked["steps"]
        config.ignore_eos = True
        config.do_sample = False
        config.apply_chat_template = False
        raw = pipe.generate(asked["prompts"], config).perf_metrics.raw_metrics
        times, rows = raw.m_new_token_times, raw.m_batch_sizes  # milliseconds
        rate = 1000 * sum(rows[1:]) / (times[-1] - times[0])
        print(json.dumps({"rate": rate}), file=out, flush=True)


if __name__ == "__main__":
    main()
