"""Storage of a recording's files: in a folder, on an fsspec file system, in a zip archive."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol, cast
from urllib.parse import unquote, urlsplit

from trainviz._common.providers import install_hint
from trainviz.errors import RecordingError

__all__ = ["FolderPlace", "Place", "RemotePlace", "ZipPlace", "place_of", "sync_folder"]

_PARTIAL = ".partial"

_SYNC_MODE = "rb" if os.name == "posix" else "r+b"
"""Windows syncs only what is open for writing."""


class Place(Protocol):
    """Named files; a name is a path with ``/``, relative to the recording."""

    writable: bool

    def describe(self, key: str = "") -> str:
        """Return the full path of a file, for messages."""
        ...

    def read(self, key: str, limit: int) -> bytes | None:
        """Return a whole file, or None if there is none; raise if it exceeds ``limit`` bytes."""
        ...

    def write(self, key: str, payload: bytes, *, sync: bool = False) -> None:
        """Write a whole file atomically: a reader sees the old or the new one.

        With ``sync`` this holds after a power cut too, and the new file is there
        once this returns, as far as the file system can promise it.
        """
        ...

    def sync(self, keys: Iterable[str]) -> None:
        """Let files that were written outlast a power cut; what is gone by now is passed over."""
        ...

    def create(self, key: str, payload: bytes) -> bool:
        """Write a new file; return False if it exists already."""
        ...

    def move(self, key: str, to: str) -> None:
        """Rename a file; FileNotFoundError if it is gone."""
        ...

    def delete(self, key: str) -> None:
        """Delete a file or a folder, if it exists."""
        ...

    def holds_anything(self) -> bool:
        """Return whether there is any file but hidden and unfinished ones."""
        ...

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Yield every file and its size in bytes."""
        ...


class FolderPlace:
    """A folder of this machine.

    Examples
    --------
    >>> import tempfile
    >>> place = FolderPlace(Path(tempfile.mkdtemp()))
    >>> place.write("epoch/c.0", b"123")
    >>> place.read("epoch/c.0", limit=10), place.read("step/c.0", limit=10)
    (b'123', None)
    """

    writable = True

    def __init__(self, root: Path) -> None:
        self.root = root

    def describe(self, key: str = "") -> str:
        """Return the full path of a file."""
        return str(self.root / key)

    def read(self, key: str, limit: int) -> bytes | None:
        """Return a whole file; raise for links, pipes and devices."""
        flags = os.O_RDONLY
        for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"):
            flags |= getattr(os, name, 0)
        path = self._inside(key)
        try:
            descriptor = os.open(path, flags)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise RecordingError(f"{path} cannot be read: {error.strerror}") from error
        with open(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise RecordingError(f"{path} is no plain file")
            if found.st_size > limit:
                raise _too_large(path, limit)
            return file.read(found.st_size)

    def write(self, key: str, payload: bytes, *, sync: bool = False) -> None:
        """Write a temporary file beside the target, then rename it."""
        path = self._inside(key)
        unfinished = self._unfinished(path, payload, sync=sync)
        try:
            os.replace(unfinished, path)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise
        if sync:
            sync_folder(path.parent)

    def sync(self, keys: Iterable[str]) -> None:
        """Write files and the folders above them through to the disk."""
        folders = set()
        for key in keys:
            path = self._inside(key)
            with contextlib.suppress(FileNotFoundError), open(path, _SYNC_MODE) as file:
                os.fsync(file.fileno())
            while path != self.root:
                path = path.parent
                folders.add(path)
        if folders:
            folders.add(self.root.parent)
        for folder in sorted(folders, reverse=True):
            sync_folder(folder)

    def create(self, key: str, payload: bytes) -> bool:
        """Write a temporary file, then link it to the name; return False if the name exists."""
        path = self._inside(key)
        # Synced, because an empty lock file after a power cut would name no holder.
        unfinished = self._unfinished(path, payload, sync=True)
        try:
            # A link, because a file opened with mode "x" is empty until it is written.
            os.link(unfinished, path)
        except FileExistsError:
            return False
        except OSError:
            return _create_without_links(path, payload)
        finally:
            unfinished.unlink(missing_ok=True)
        return True

    def move(self, key: str, to: str) -> None:
        """Rename a file."""
        target = self._inside(to)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(self._inside(key), target)

    def delete(self, key: str) -> None:
        """Delete a file or a folder."""
        path = self._inside(key)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)

    def holds_anything(self) -> bool:
        """Return whether there is any file but hidden and unfinished ones."""
        if not self.root.is_dir():
            return self.root.exists() or self.root.is_symlink()
        return _any_visible(self.sizes())

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Yield every file and its size; links are not followed."""
        for folder, _, names in os.walk(self.root):
            for name in names:
                path = Path(folder, name)
                with contextlib.suppress(OSError):
                    yield path.relative_to(self.root).as_posix(), path.lstat().st_size

    def _inside(self, key: str) -> Path:
        folder = self.root
        *folders, name = key.split("/")
        for part in folders:
            folder /= part
            if part == ".." or folder.is_symlink():
                raise RecordingError(
                    f"{folder} leads out of the recording: make it a plain folder in its place"
                )
        return folder / name

    def _unfinished(self, path: Path, payload: bytes, *, sync: bool = False) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{os.getpid()}{_PARTIAL}")
        try:
            with open(unfinished, "wb") as file:
                file.write(payload)
                if sync:
                    file.flush()
                    os.fsync(file.fileno())
        except BaseException:
            with contextlib.suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise
        return unfinished


class RemotePlace:
    """A folder of any file system that fsspec knows.

    Examples
    --------
    >>> place = RemotePlace("memory://doctest.zarr")
    >>> place.write("epoch/c.0", b"123")
    >>> dict(place.sizes())
    {'epoch/c.0': 3}
    """

    writable = True

    def __init__(self, url: str) -> None:
        try:
            from fsspec.core import url_to_fs
        except ImportError as error:
            raise ImportError(install_hint("fsspec", url)) from error
        self._url = url.rstrip("/")
        try:
            self._files, self._root = url_to_fs(self._url)
        except ValueError as error:
            raise RecordingError(f"{url} is no address that fsspec knows: {error}") from error

    def describe(self, key: str = "") -> str:
        """Return the address of a file."""
        return f"{self._url}/{key}" if key else self._url

    def read(self, key: str, limit: int) -> bytes | None:
        """Return a whole file."""
        try:
            payload = self._files.cat_file(self._path(key), start=0, end=limit + 1)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        if len(payload) > limit:
            raise _too_large(self.describe(key), limit)
        return cast(bytes, payload)

    def write(self, key: str, payload: bytes, *, sync: bool = False) -> None:
        """Write a whole file; object stores do so atomically, and keep it."""
        self._files.pipe_file(self._path(key), payload)

    def sync(self, keys: Iterable[str]) -> None:
        """Do nothing: the server keeps what it has accepted."""

    def create(self, key: str, payload: bytes) -> bool:
        """Write a new file; return False if it exists. Not atomic: most file systems cannot."""
        self._files.invalidate_cache()
        if self._files.exists(self._path(key)):
            return False
        self.write(key, payload)
        return self.read(key, len(payload)) == payload

    def move(self, key: str, to: str) -> None:
        """Rename a file; object stores copy and delete it."""
        self._files.mv(self._path(key), self._path(to))

    def delete(self, key: str) -> None:
        """Delete a file or a folder."""
        with contextlib.suppress(FileNotFoundError):
            self._files.rm(self._path(key), recursive=True)

    def holds_anything(self) -> bool:
        """Return whether there is any file but hidden ones."""
        return _any_visible(self.sizes())

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Yield every file and its size in bytes."""
        self._files.invalidate_cache()
        found: dict[str, dict[str, Any]] = self._files.find(self._root, detail=True)
        for path, info in found.items():
            yield path[len(self._root) :].lstrip("/"), int(info.get("size") or 0)

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"


class ZipPlace:
    """A zip archive of a recording; it is read-only."""

    writable = False

    def __init__(self, path: Path) -> None:
        self._path = path
        self._archive: zipfile.ZipFile | None = None

    def describe(self, key: str = "") -> str:
        """Return the full path of a file, through the archive."""
        return f"{self._path}/{key}" if key else str(self._path)

    def read(self, key: str, limit: int) -> bytes | None:
        """Return a whole file."""
        archive = self._opened()
        try:
            info = archive.getinfo(key)
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                # Other methods may allocate gigabytes for a few bytes.
                raise RecordingError("it is packed in an unusual way")
            with archive.open(info) as file:
                payload = file.read(limit + 1)
        except KeyError:
            return None
        except Exception as error:  # An archive of unknown origin can fail in any way.
            raise RecordingError(f"{self.describe(key)} cannot be read: {error}") from error
        if len(payload) > limit:
            raise _too_large(self.describe(key), limit)
        return payload

    def write(self, key: str, payload: bytes, *, sync: bool = False) -> None:
        """Raise a RecordingError: an archive is read-only."""
        raise _read_only(self._path)

    def sync(self, keys: Iterable[str]) -> None:
        """Do nothing: nothing is written."""

    def create(self, key: str, payload: bytes) -> bool:
        """Raise a RecordingError: an archive is read-only."""
        raise _read_only(self._path)

    def move(self, key: str, to: str) -> None:
        """Raise a RecordingError: an archive is read-only."""
        raise _read_only(self._path)

    def delete(self, key: str) -> None:
        """Raise a RecordingError: an archive is read-only."""
        raise _read_only(self._path)

    def holds_anything(self) -> bool:
        """Return whether the archive exists."""
        return self._path.exists()

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Yield every file and its size in bytes."""
        for info in self._opened().infolist():
            yield info.filename, info.file_size

    def _opened(self) -> zipfile.ZipFile:
        if self._archive is None:
            try:
                self._archive = zipfile.ZipFile(self._path)
            except Exception as error:
                raise RecordingError(f"{self._path} is no readable zip archive: {error}") from error
        return self._archive

    def __getstate__(self) -> dict[str, Any]:
        return {"_path": self._path, "_archive": None}


def place_of(path: str | os.PathLike[str]) -> Place:
    """Return the place that a path names.

    Parameters
    ----------
    path : str or PathLike
        A folder, a ``.zip`` file, or an address that fsspec knows.

    Returns
    -------
    Place

    Raises
    ------
    TypeError
        If it is no path.

    Examples
    --------
    >>> place_of("runs/a.zarr").describe("zarr.json")
    'runs/a.zarr/zarr.json'
    """
    if isinstance(path, bytes) or not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"path={path!r}: expected a path or an address, e.g. 'runs/a.zarr'")
    text = os.fspath(path)
    if not text or "\0" in text:
        raise ValueError(f"path={text!r}: expected the path of a folder, e.g. 'runs/a.zarr'")
    if text.startswith("file://"):
        text = unquote(urlsplit(text).path)
    if "://" in text or "::" in text:
        return RemotePlace(text)
    return ZipPlace(Path(text)) if text.endswith(".zip") else FolderPlace(Path(text))


def sync_folder(folder: Path) -> None:
    """Let the names in a folder outlast a power cut, where the system can open folders.

    Parameters
    ----------
    folder : Path
    """
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _create_without_links(path: Path, payload: bytes) -> bool:
    try:
        with open(path, "xb") as file:
            file.write(payload)
    except FileExistsError:
        return False
    return True


def _any_visible(sizes: Iterator[tuple[str, int]]) -> bool:
    return any(not key.rpartition("/")[2].startswith(".") for key, _ in sizes)


def _too_large(path: object, limit: int) -> RecordingError:
    return RecordingError(f"{path} is larger than it can be ({limit:,} bytes): it is damaged")


def _read_only(path: object) -> RecordingError:
    return RecordingError(
        f"{path} is an archive and can only be read: record into a folder (path='a.zarr'), then "
        "recording.save('a.zarr.zip')"
    )
