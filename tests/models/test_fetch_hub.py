"""The hub: its real client against a server of ours that speaks as the hub does."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.models.fake_wheels import Files, sha256

pytest.importorskip("huggingface_hub")

WEIGHTS = random.Random(4).randbytes(9999)

RESOLVE = """
import json, sys
from pilotfish.models.catalog import Catalog
found = Catalog.load().resolve(sys.argv[1], progress=False)
print(json.dumps([str(found.path), found.name, found.licence, found.kind]))
"""
COMMIT = "c" * 40


def hub(repo: str, files: Mapping[str, bytes], stated: Mapping[str, str] | None = None) -> Files:
    """`stated`: the sha256 that the hub claims for a file, where it is not the true one."""
    listing = {"id": repo, "modelId": repo, "sha": COMMIT, "private": False, "downloads": 0, "tags": []}
    listing["siblings"] = [{"rfilename": name} for name in files]
    server = Files({f"/api/models/{repo}/revision/main": json.dumps(listing).encode()})
    tree = []
    for name, data in files.items():
        path = f"/{repo}/resolve/{COMMIT}/{name}"
        server.files[path] = data
        # The hub gives large files their sha256 as etag, small ones a git hash.
        large = name.endswith((".safetensors", ".bin", ".gguf"))
        etag = (stated or {}).get(name) or (sha256(data) if large else sha256(data)[:40])
        server.headers[path] = {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT}
        if large:
            server.headers[path] |= {"X-Linked-Etag": f'"{etag}"', "X-Linked-Size": str(len(data))}
        lfs = {"lfs": {"oid": etag, "size": len(data), "pointerSize": 130}} if large else {}
        tree.append({"type": "file", "path": name, "size": len(data), "oid": sha256(data)[:40], **lfs})
    server.files[f"/api/models/{repo}/tree/{COMMIT}"] = json.dumps(tree).encode()
    return server


def from_hub(server: Files | None, tmp_path: Path, spec: str) -> subprocess.CompletedProcess[str]:
    catalog = tmp_path / "catalog.toml"
    if not catalog.exists():
        catalog.parent.mkdir(exist_ok=True)
        catalog.touch()
    env = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    env |= {"PILOTFISH_HOME": str(tmp_path / "home"), "PILOTFISH_CATALOG": str(catalog)}
    env |= {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    env |= {"HF_ENDPOINT": server.url} if server else {"HF_HUB_OFFLINE": "1"}
    return subprocess.run([sys.executable, "-c", RESOLVE, spec], env=env, capture_output=True, text=True, check=False)


CONFIG = json.dumps({"architectures": ["Qwen2ForCausalLM"]}).encode()


def test_a_hub_model_is_fetched_checked_and_then_used_offline(tmp_path: Path) -> None:
    readme = b"---\nlicense: mit\n---\n"
    files = {"config.json": CONFIG, "README.md": readme, "model.safetensors": WEIGHTS, "pytorch_model.bin": b"x"}
    with hub("org/Small", files) as server:
        result = from_hub(server, tmp_path, "hf:org/Small")
        assert result.returncode == 0, result.stderr
        asked = {get.path.rsplit("/", 1)[1] for get in server.seen}
    assert result.stderr == "", "no progress was asked for"
    path, name, licence, kind = json.loads(result.stdout)
    assert (name, licence, kind) == ("org/Small", "MIT", "causal-lm")
    assert (Path(path) / "model.safetensors").read_bytes() == WEIGHTS
    assert "pytorch_model.bin" not in asked, "pickles are not even downloaded"
    again = from_hub(None, tmp_path, "hf:org/Small")
    assert json.loads(again.stdout)[0] == path, again.stderr


def test_a_hub_model_that_is_pickled_wrong_or_absent_is_refused(tmp_path: Path) -> None:
    with hub("org/pickled", {"config.json": CONFIG, "pytorch_model.bin": b"x"}) as server:
        assert "no safetensors weights" in last_line(from_hub(server, tmp_path / "1", "hf:org/pickled"))
    files = {"config.json": CONFIG, "model.safetensors": WEIGHTS}
    with hub("org/wrong", files, {"model.safetensors": "0" * 64}) as server:
        assert "not what the hub's sha256 promises" in last_line(from_hub(server, tmp_path / "2", "hf:org/wrong"))
        assert "the hub answered 404" in last_line(from_hub(server, tmp_path / "3", "hf:org/none"))
        server.headers["404"] = {"X-Error-Code": "RepoNotFound"}
        assert "no such repository" in last_line(from_hub(server, tmp_path / "3", "hf:org/none"))
        server.headers["404"] = {"X-Error-Code": "RevisionNotFound"}
        assert "no such revision" in last_line(from_hub(server, tmp_path / "3", "hf:org/wrong@v9"))
    assert "HF_HUB_OFFLINE is set" in last_line(from_hub(None, tmp_path / "4", "hf:org/none"))
    index = json.dumps({"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}).encode()
    files = {"config.json": CONFIG, "model.safetensors.index.json": index, "model-1.safetensors": b"1"}
    with hub("org/holed", files) as server:
        assert "the shard model-2.safetensors is missing" in last_line(from_hub(server, tmp_path / "5", "hf:org/holed"))


def last_line(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode != 0
    return result.stderr.strip().splitlines()[-1]


def test_one_file_of_a_repository_is_taken_and_held_against_the_catalog(tmp_path: Path) -> None:
    entry = '[one]\nkind = "causal-lm"\nsource = "hf:org/g"\nmember = "w.gguf"\nsha256 = "{}"\n'
    with hub("org/g", {"w.gguf": WEIGHTS, "other.gguf": b"x"}) as server:
        (tmp_path / "catalog.toml").write_text(entry.format(sha256(WEIGHTS)))
        result = from_hub(server, tmp_path, "one")
        assert result.returncode == 0, result.stderr
        assert Path(json.loads(result.stdout)[0]).read_bytes() == WEIGHTS
        assert not any(get.path.endswith("other.gguf") for get in server.seen)
        (tmp_path / "catalog.toml").write_text(entry.format("0" * 64))
        assert "not the one whose sha256 the catalog gives" in last_line(from_hub(server, tmp_path, "one"))
        (tmp_path / "catalog.toml").write_text(entry.format(sha256(WEIGHTS)).replace("w.gguf", "v.gguf"))
        assert "no file 'v.gguf' in that repository" in last_line(from_hub(server, tmp_path, "one"))
