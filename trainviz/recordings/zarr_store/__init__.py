"""Recordings on disk: a Zarr v3 group, one chunk a snapshot. Internal.

The group is plain Zarr, so ``zarr`` and ``xarray`` open it without us. We
write and read its few kinds of file ourselves, for three promises that the
array interface does not give: a snapshot becomes visible in one atomic step
(the root's consolidated metadata is replaced last), a file is checked before
memory is given to it, and a write at the interpreter's exit still works,
where Zarr's thread pool is closed already.
"""
