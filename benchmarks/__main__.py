"""`python -m benchmarks NAME [--quick] [--data DIR]` runs one benchmark, or `all`; its last line is the result."""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
from pathlib import Path

from benchmarks._result import completed, keep, line, shown

HERE = Path(__file__).parent


def names() -> list[str]:
    """Return the benchmarks: the modules of this package whose names begin with a letter, dashes for `_`."""
    return sorted(path.stem.replace("_", "-") for path in HERE.glob("*.py") if not path.stem.startswith("_"))


def one(name: str, *, quick: bool, data: Path | None) -> None:
    """Run a benchmark here, keep its result and print it."""
    module = importlib.import_module(f"benchmarks.{name.replace('-', '_')}")
    result = completed(module.main(quick, data), name, quick=quick)
    path = keep(result)
    print(f"kept in {path.relative_to(HERE.parent)}", file=sys.stderr)
    if not result["cases"]:
        print(f"  {result['peer']}", file=sys.stderr)
    for case in result["cases"]:
        print("  " + shown(case), file=sys.stderr)
    print(line(result), flush=True)


def every(*, quick: bool, data: Path | None) -> int:
    """Run all benchmarks, each in a process of its own, so that none leaves threads or memory to the next."""
    results, failed = [], []
    options = [*(["--quick"] if quick else []), *(["--data", str(data)] if data else [])]
    for name in names():
        print(f"benchmark {name}", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", "benchmarks", name, *options]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, cwd=HERE.parent)
        if done.returncode:
            failed.append(name)
            continue
        print(done.stdout, end="", flush=True)
        results.append(json.loads(done.stdout.splitlines()[-1]))
    print(line({"name": "all", "failed": failed, "benchmarks": results}))
    return 1 if failed else 0


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and run what it names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="One benchmark a claim.")
    parser.add_argument("name", choices=[*names(), "all"], metavar="NAME", help=", ".join([*names(), "all"]))
    parser.add_argument("--quick", action="store_true", help="end within a minute")
    parser.add_argument("--data", type=Path, help="the folder of data sets, for those that use them")
    options = parser.parse_args(arguments)
    if options.data is not None and not options.data.is_dir():
        parser.error(f"--data {options.data}: no such folder")
    data = options.data.resolve() if options.data is not None else None
    if options.name == "all":
        return every(quick=options.quick, data=data)
    one(options.name, quick=options.quick, data=data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
