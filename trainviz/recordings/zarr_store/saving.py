"""Writing a whole recording to a new place, atomically except on remote file systems."""

from __future__ import annotations

import glob
import os
import shutil
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy_format

from trainviz._common.checks import check_switch
from trainviz._common.process import hidden, mark, mark_of_dead
from trainviz._common.progress import progress_bar
from trainviz.errors import RecordingError
from trainviz.recordings.stores import Store
from trainviz.recordings.zarr_store.arrays import check_installed
from trainviz.recordings.zarr_store.description import Description
from trainviz.recordings.zarr_store.lock import Lock
from trainviz.recordings.zarr_store.places import (
    FolderPlace,
    Place,
    RemotePlace,
    ZipPlace,
    place_of,
    sync_folder,
)
from trainviz.recordings.zarr_store.reader import DiskReader
from trainviz.recordings.zarr_store.store import DiskStore, Precision, check_precision

if TYPE_CHECKING:
    import xarray

__all__ = ["export_dataset", "save_recording"]


def save_recording(
    store: Store,
    description: Description,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    precision: Precision = "float16",
) -> None:
    """Write all snapshots of a store to a path.

    Parameters
    ----------
    store : Store
    description : Description
    path : str or PathLike
        A folder, a ``.zip`` file, or an address that fsspec knows.
    overwrite : bool, default False
        Replace a recording that is there; it may be the one that is saved.
    precision : {"float16", "float32"}, default "float16"

    Raises
    ------
    RecordingError
        If the path is taken.
    """
    check_switch("overwrite", overwrite)
    check_precision(precision)
    place = place_of(path)
    if isinstance(place, RemotePlace):
        if overwrite:
            raise ValueError(
                f"overwrite=True replaces folders and archives of this machine; {path} is neither: "
                "delete it first, or take another address"
            )
        _fill(place, store, description, precision)
        return
    target = Path(path)
    _tidy_up(target)
    _check_free(place, target, overwrite)
    unfinished = target.with_name(f"{hidden(target.name)}.{mark()}.partial")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        _fill(FolderPlace(unfinished), store, description, precision)
        if isinstance(place, ZipPlace):
            archive = unfinished / ".zip"
            _pack(unfinished, archive)
            FolderPlace(unfinished).sync([archive.name])
            os.replace(archive, target)
            sync_folder(target.parent)
        else:
            _swap(unfinished, target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def export_dataset(dataset: xarray.Dataset, path: str | os.PathLike[str]) -> None:
    """Write a dataset of maps as plain arrays in the format of the path's suffix.

    Parameters
    ----------
    dataset : xarray.Dataset
        As :meth:`trainviz.Recording.to_xarray` returns it.
    path : str or PathLike
        A file ``.npz`` or ``.nc``, or a folder, that is not there yet.

    Raises
    ------
    RecordingError
        If the path is taken, or is neither.
    """
    place, target = place_of(path), Path(path)
    if not isinstance(place, FolderPlace):
        raise RecordingError(
            f"path={str(path)!r}: export() writes a folder 'dense.zarr', a file 'maps.npz' or "
            "'maps.nc'"
        )
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise RecordingError(f"path={str(path)!r} is there already: take another path")
    write = {".npz": _write_npz, ".nc": _write_netcdf}.get(target.suffix.lower(), _write_zarr)
    _tidy_up(target)
    unfinished = target.with_name(f"{hidden(target.name)}.{mark()}.partial")
    try:
        write(dataset, unfinished)
        os.replace(unfinished, target)
    finally:
        if unfinished.is_file():
            unfinished.unlink()
        shutil.rmtree(unfinished, ignore_errors=True)


def _write_zarr(dataset: xarray.Dataset, path: Path) -> None:
    """Write a Zarr group, one map after another."""
    check_installed()
    try:
        import zarr
    except ImportError as error:
        raise ImportError(
            "export() needs zarr 3, which the extra trainviz[zarr] installs from Python 3.11 on"
        ) from error

    maps, rest = dataset["probabilities"], dataset.drop_vars("probabilities")
    # As objects, xarray writes names as strings of any length, which Zarr's extensions specify.
    names = rest.assign_coords({"class": rest["class"].astype(object)})
    names.to_zarr(path, zarr_format=3, consolidated=False)
    array = zarr.open_group(path, mode="r+").create_array(
        "probabilities", shape=maps.shape, chunks=(1, *maps.shape[1:]), dtype=maps.dtype,
        dimension_names=maps.dims, attributes={"coordinates": "epoch step"},
    )  # fmt: skip
    for index, values in enumerate(_each_map(maps)):
        array[index] = values
    with warnings.catch_warnings():
        # It warns that Zarr's format 3 does not specify them; xarray opens without them slowly.
        warnings.simplefilter("ignore")
        zarr.consolidate_metadata(path, zarr_format=3)


def _write_npz(dataset: xarray.Dataset, path: Path) -> None:
    """Write an array for each variable, one map after another."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as archive:
        for name, variable in dataset.variables.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                if name != "probabilities":
                    values = np.asarray(variable.values)
                    # Texts of one width, because NumPy reads objects only with pickle.
                    npy_format.write_array(
                        file, values.astype(str) if values.dtype == object else values
                    )
                    continue
                header = {"descr": "<f4", "fortran_order": False, "shape": variable.shape}
                npy_format.write_array_header_1_0(file, header)
                for values in _each_map(variable):
                    file.write(np.ascontiguousarray(values, "<f4").tobytes())


def _write_netcdf(dataset: xarray.Dataset, path: Path) -> None:
    try:
        dataset.to_netcdf(path)
    except ValueError as error:
        if "backend" not in str(error) and "engine" not in str(error):
            raise
        raise ImportError(
            f"writing netCDF needs SciPy or netCDF4: pip install scipy ({error})"
        ) from error


def _each_map(maps: Any) -> Iterator[npt.NDArray[Any]]:
    with progress_bar("exporting", "snapshot", len(maps), shown=False) as advance:
        for index in range(len(maps)):
            yield maps[index].values
            advance()


def _fill(place: Place, store: Store, description: Description, precision: Precision) -> None:
    written = DiskStore(place, description, precision=precision)
    written.open()
    # Quick for most, so a bar is shown only where one is asked for, by the command line.
    with progress_bar("saving", "snapshot", len(store), shown=False) as advance:
        for index in range(len(store)):
            written.append(store.read(index))
            advance()
    logged = store.logged()
    if logged:
        written.keep_logged(logged)
    written.close()


def _check_free(place: Place, target: Path, overwrite: bool) -> None:
    if not place.holds_anything():
        return
    try:
        DiskReader.at(place)
    except RecordingError as error:
        raise RecordingError(
            f"path={str(target)!r} is there already and is no recording that opens: take another "
            f"path, or delete it ({error})"
        ) from error
    if not overwrite:
        raise RecordingError(
            f"path={str(target)!r} holds a recording already: give overwrite=True to replace it, "
            "or take another path"
        )


def _pack(folder: Path, archive: Path) -> None:
    # Stored, not deflated, because the chunks are compressed already.
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as packed:
        for key, _ in sorted(FolderPlace(folder).sizes()):
            if not key.rpartition("/")[2].startswith("."):
                packed.write(folder / key, key)


def _swap(unfinished: Path, target: Path) -> None:
    if not target.exists():
        os.replace(unfinished, target)
        sync_folder(target.parent)
        return
    lock = Lock(FolderPlace(target))
    aside = target.with_name(f"{hidden(target.name)}.{mark()}.old")
    try:
        os.replace(target, aside)
        try:
            os.replace(unfinished, target)
        except OSError:
            os.replace(aside, target)
            raise
    except OSError:
        lock.release()
        raise
    # First, so that no power cut undoes the renaming of a folder that is empty by then.
    sync_folder(target.parent)
    shutil.rmtree(aside, ignore_errors=True)


def _tidy_up(target: Path) -> None:
    """Undo what killed saves of the same recording have left, and remove the rest."""
    for left in target.parent.glob(f"{glob.escape(hidden(target.name))}.*"):
        if not mark_of_dead(left.name):
            continue
        if left.suffix == ".old" and not target.exists():
            os.replace(left, target)
        elif left.suffix in (".old", ".partial"):
            shutil.rmtree(left, ignore_errors=True)
