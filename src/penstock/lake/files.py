"""Which objects a table needs, by its manifests: what a rollback looks for and what an orphan is told by.

Refuses, with the file's name, what penstock.sync.manifests does not read (equality deletes, deletion vectors): of a table
that is not understood nothing may be called superfluous.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from penstock.connections import Connections
from penstock.lake.tables import Version
from penstock.sync.lake import MANIFEST_THREADS, LakeObjects
from penstock.sync.manifests import LakeFile, ManifestFile, read_manifest, read_manifest_list


def live_files(connections: Connections, version: Version) -> list[LakeFile]:
    """Return the data and delete files of the current snapshot; raises FileNotFoundError for a manifest that is gone."""
    if version.snapshot_id is None:
        return []
    objects = LakeObjects(connections)
    _, manifests = _manifests(objects, version, [version.snapshot_id])
    return [file for files in _read(objects, manifests.values()) for file in files]


def files_of(connections: Connections, version: Version, snapshots: Iterable[int]) -> set[str]:
    """Return the locations of every object that these snapshots need: manifest lists, manifests, data and delete files.

    Raises: FileNotFoundError for a manifest list or manifest that is gone.
    """
    objects = LakeObjects(connections)
    found, manifests = _manifests(objects, version, snapshots)
    found.update(manifests)
    for files in _read(objects, manifests.values()):
        found.update(file.location for file in files)
    return found


def _manifests(
    objects: LakeObjects, version: Version, snapshots: Iterable[int]
) -> tuple[set[str], dict[str, ManifestFile]]:
    """Return the snapshots' manifest lists, and their manifests by location."""
    wanted = set(snapshots)
    lists = [str(item["manifest-list"]) for item in version.snapshots if item["snapshot-id"] in wanted]

    def one(location: str) -> list[ManifestFile]:
        return read_manifest_list(objects.read(location), location)

    with ThreadPoolExecutor(MANIFEST_THREADS) as pool:
        read = list(pool.map(one, lists))
    return set(lists), {manifest.manifest_path: manifest for manifests in read for manifest in manifests}


def _read(objects: LakeObjects, manifests: Iterable[ManifestFile]) -> list[list[LakeFile]]:
    def one(manifest: ManifestFile) -> list[LakeFile]:
        return read_manifest(objects.read(manifest.manifest_path), manifest)

    with ThreadPoolExecutor(MANIFEST_THREADS) as pool:
        return list(pool.map(one, manifests))
