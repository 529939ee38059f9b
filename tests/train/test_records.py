"""Files of a run: written whole, read or refused."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from mulfree.train import OutputError
from mulfree.train.records import read_metrics, write_json, write_text


def test_a_file_is_written_whole(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "old")
    write_text(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_pipe_is_written_into(tmp_path: Path) -> None:
    """And not replaced by a file, as a device such as /dev/null would be."""
    pipe, found = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: found.append(pipe.read_text()), daemon=True)
    reader.start()
    write_json(pipe, {"a": 1})
    reader.join(timeout=10)
    assert found == ['{\n  "a": 1\n}\n']
    assert pipe.is_fifo()


@pytest.mark.parametrize("text", ["nothing\n", "[]\n", '{"kind": "train"}\n'])
def test_damaged_metrics_are_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(text)
    with pytest.raises(OutputError, match=r"metrics\.jsonl"):
        read_metrics(path)


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"kind": "train", "step": 1}\n{"kind": "tr')
    assert read_metrics(path) == [{"kind": "train", "step": 1}]
