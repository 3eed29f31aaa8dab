"""A limit on the host memory of a process: what goes beyond it fails there, and not the machine."""

from __future__ import annotations

import sys
from pathlib import Path

GB = 2**30

LIMITED = sys.platform == "linux"
"""Whether this platform can limit the memory of a process."""

NO_LIMIT = (
    f"dispatch.memory_gb has no effect on this machine: {sys.platform} cannot limit the memory of a process, "
    "only Linux can"
)


def limit_memory(gb: float) -> str:
    """Limit what this process may allocate in all to `gb` GB; why it cannot work, or an empty text.

    An allocation beyond it fails by MemoryError, or torch's "can't allocate memory". It counts private
    memory that can be written, whether it was touched or not: threads' stacks among it.
    """
    if not LIMITED:
        return ""
    import resource

    taken = allocated_gb()
    if taken >= gb:
        return (
            f"dispatch.memory_gb = {gb:g} leaves nothing to train with: a worker has allocated "
            f"{taken:.2f} GB before it begins; give it more"
        )
    limit = int(gb * GB)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (limit if hard < 0 else min(limit, hard), hard))
    return ""


def allocated_gb() -> float:
    """What this process has allocated by now, as the limit counts it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024 / GB
    return 0.0
