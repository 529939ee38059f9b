"""Published data sets from the internet, with checksums; by pooch, which is an extra (``mulfree[download]``)."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final


class DownloadError(OSError):
    """A file could not be fetched, is not the published one, or could not be written."""


@dataclass(frozen=True)
class Published:
    """A file on the internet.

    Attributes:
        url: where it is.
        checksum: algorithm and digest, as "sha256:...".
        members: files of the archive that are unpacked beside it; none leaves it as it is.
    """

    url: str
    checksum: str
    members: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return PurePosixPath(self.url).name


@dataclass(frozen=True)
class DataSet:
    """Files of a data set and the folder below the data folder that they belong into; "" for the folder itself."""

    folder: str
    files: tuple[Published, ...]


_MULTI30K = "https://raw.githubusercontent.com/neychev/small_DL_repo/master/datasets/Multi30k/"
DATA_SETS: Final[Mapping[str, DataSet]] = {
    "cifar10": DataSet(
        "",
        (Published("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz", "md5:c58f30108f718f92721af3b95e74349a"),),
    ),
    "multi30k": DataSet(
        "multi30k",
        (
            Published(
                _MULTI30K + "training.tar.gz",
                "sha256:20140d013d05dd9a72dfde46478663ba05737ce983f478f960c1123c6671be5e",
                ("train.de", "train.en"),
            ),
            Published(
                _MULTI30K + "validation.tar.gz",
                "sha256:a7aa20e9ebd5ba5adce7909498b94410996040857154dab029851af3a866da8c",
                ("val.de", "val.en"),
            ),
            Published(
                _MULTI30K + "mmt16_task1_test.tar.gz",
                "sha256:6d1ca1dba99e2c5dd54cae1226ff11c2551e6ce63527ebb072a1f70f72a5cd36",
                ("test.de", "test.en"),
            ),
        ),
    ),
}
"""Data sets that are free to download. CIFAR-10 (Krizhevsky, 2009) is read from its archive; Multi30k (Elliott et al.,
2016), task 1 German and English, from the copy that torchtext's documentation points to."""


def download(data_set: DataSet, folder: Path, progress: Any = None) -> list[Path]:
    """Fetch what is not in ``folder`` yet, verify its checksum, unpack it.

    Args:
        data_set: one of ``DATA_SETS``.
        folder: of the data sets; it is made.
        progress: what pooch takes as a progress bar, or None.

    Returns:
        The files that readers use.

    Raises:
        DownloadError: see there; nothing that is not verified stays under its name.
        ModuleNotFoundError: pooch is not installed.
    """
    import pooch
    from requests import RequestException

    place = folder / data_set.folder
    found: list[Path] = []
    for file in data_set.files:
        try:
            place.mkdir(parents=True, exist_ok=True)
            fetch = pooch.HTTPDownloader(progressbar=progress or False)
            archive = Path(
                pooch.retrieve(file.url, known_hash=file.checksum, fname=file.name, path=place, downloader=fetch)
            )
            found += _unpacked(archive, file.members) if file.members else [archive]
        except ValueError as error:  # pooch's for a wrong checksum
            raise DownloadError(f"{file.url} is not the published file: {error}") from None
        except (RequestException, tarfile.TarError) as error:
            raise DownloadError(f"cannot fetch {file.url}: {error}") from error
        except DownloadError:
            raise
        except OSError as error:
            raise DownloadError(f"cannot write {place / file.name}: {error.strerror or error}") from error
    return found


def _unpacked(archive: Path, members: tuple[str, ...]) -> list[Path]:
    """Write these files beside the archive, each in one piece. Nothing else of the archive is looked at."""
    with tarfile.open(archive) as files:
        by_name = {PurePosixPath(info.name).name: info for info in files.getmembers() if info.isfile()}
        for member in members:
            content = files.extractfile(by_name[member]) if member in by_name else None
            if content is None:
                raise DownloadError(f"{archive} has no file {member}")
            draft = archive.with_name(f".{member}.unfinished")
            draft.write_bytes(content.read())
            os.replace(draft, archive.with_name(member))
    return [archive.with_name(member) for member in members]
