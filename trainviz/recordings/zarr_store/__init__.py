"""Recordings on disk: a Zarr v3 group, one chunk per snapshot. Internal.

The group is plain Zarr, so that ``zarr`` and ``xarray`` can open it. This
package reads and writes the files without the ``zarr`` library, for three
guarantees that its arrays do not give: a snapshot becomes visible atomically
(the root's consolidated metadata is replaced last), a file's size is checked
before memory is allocated for it, and writing works at interpreter exit, when
Zarr's thread pool is closed already.
"""
