"""Data sets by HTTP from this machine: checksums, unpacking, what goes wrong."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mulfree.cli import app
from mulfree.data import download as module
from mulfree.data.download import DATA_SETS, DataSet, DownloadError, Published, download

pytest.importorskip("pooch")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address that it is served at."""
    folder = tmp_path / "served"
    folder.mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def archive(path: Path, files: dict[str, bytes]) -> str:
    """Write an archive; returns its checksum."""
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def text(served: tuple[Path, str]) -> DataSet:
    folder, address = served
    checksum = archive(folder / "part.tar.gz", {"./train.de": b"Haus\n", "../train.en": b"house\n", "._train.de": b"x"})
    return DataSet("text", (Published(address + "part.tar.gz", checksum, ("train.de", "train.en")),))


def test_members_are_unpacked_beside_the_archive(text: DataSet, tmp_path: Path) -> None:
    """Also one whose name in the archive points elsewhere, and no other."""
    files = download(text, tmp_path / "data")
    assert files == [tmp_path / "data/text/train.de", tmp_path / "data/text/train.en"]
    assert [path.read_bytes() for path in files] == [b"Haus\n", b"house\n"]
    assert {path.name for path in (tmp_path / "data/text").iterdir()} == {"part.tar.gz", "train.de", "train.en"}
    assert not (tmp_path / "data/train.en").exists()


def test_what_is_there_is_not_fetched_again(text: DataSet, served: tuple[Path, str], tmp_path: Path) -> None:
    download(text, tmp_path / "data")
    (served[0] / "part.tar.gz").unlink()
    assert download(text, tmp_path / "data")[0].read_bytes() == b"Haus\n"


def test_another_file_than_the_published_one_is_refused(text: DataSet, tmp_path: Path) -> None:
    other = replace(text, files=(replace(text.files[0], checksum="sha256:" + 64 * "0"),))
    with pytest.raises(DownloadError, match=r"part\.tar\.gz is not the published file"):
        download(other, tmp_path / "data")
    assert list((tmp_path / "data/text").iterdir()) == []


def test_failures_name_the_address(text: DataSet, served: tuple[Path, str], tmp_path: Path) -> None:
    missing = replace(text, files=(replace(text.files[0], url=served[1] + "none.tar.gz"),))
    with pytest.raises(DownloadError, match=r"cannot fetch .*none.tar.gz"):
        download(missing, tmp_path / "data")
    lacking = replace(text, files=(replace(text.files[0], members=("test.de",)),))
    with pytest.raises(DownloadError, match=r"part.tar.gz has no file test.de"):
        download(lacking, tmp_path / "data")
    (tmp_path / "file").write_text("")
    with pytest.raises(DownloadError, match="cannot write"):
        download(text, tmp_path / "file")


def test_the_command(text: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DATA_SETS", {"text": text})
    monkeypatch.setattr("mulfree.cli.download.DATA_SETS", {"text": text})
    monkeypatch.setenv("MULFREE_DATA", str(tmp_path / "data"))
    result = CliRunner().invoke(app, ["download", "text"])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "data/text/train.de").exists()
    assert "train.en" in result.output
    wrong = CliRunner().invoke(app, ["download", "imagenet"])
    assert wrong.exit_code == 2
    assert "no data set 'imagenet'; there are text" in wrong.stderr


def test_every_published_file_has_a_checksum() -> None:
    lengths = {"md5": 32, "sha256": 64}
    for data_set in DATA_SETS.values():
        for file in data_set.files:
            algorithm, _, digest = file.checksum.partition(":")
            assert len(digest) == lengths[algorithm]
            assert file.url.startswith("https://")
