"""Fetching a public file on first use, with a short patience, so that being offline is told at once."""

from __future__ import annotations

import hashlib
import os
import queue
import threading
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.request import build_opener

from trainers.data.sources import File

PATIENCE = 4.0
"""Seconds a server may take to answer, or to send its next bytes (house rule)."""


class FetchError(Exception):
    """A file could not be fetched; the message is the reason, address by address."""


def fetch(file: File, folder: Path, patience: float = PATIENCE) -> Path:
    """Fetch `file` into `folder`, beside its name first and then renamed; the first home that works.

    Raises: FetchError when no home gives the file with the right checksum, or it cannot be written.
    """
    reasons = []
    for home in file.homes:
        try:
            return _fetch_from(home, file, folder, patience)
        except (OSError, ValueError, HTTPException, FetchError) as error:
            reasons.append(f"{home}: {error}")
    raise FetchError("; ".join(reasons) or "no public home is known")


def _fetch_from(home: str, file: File, folder: Path, patience: float) -> Path:
    target = folder / file.name
    beside = folder / f"{file.name}.{os.getpid()}.part"
    digest = hashlib.sha256()
    with _open(home, patience) as answer:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with beside.open("wb") as out:
                while block := answer.read(1 << 20):
                    digest.update(block)
                    out.write(block)
            if file.sha256 not in (None, digest.hexdigest()):
                raise FetchError(f"sent SHA-256 {digest.hexdigest()}, expected {file.sha256}")
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)
    return target


def _open(address: str, patience: float) -> Any:
    """The server's answer. In a thread, since looking up a name knows no time limit of its own."""
    answers: queue.Queue[Any] = queue.Queue()

    def ask() -> None:
        try:
            answers.put(build_opener().open(address, timeout=patience))  # knows the proxies of now
        except Exception as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=patience)
    except queue.Empty:
        raise TimeoutError(f"no answer within {patience:g} s") from None
    if isinstance(answer, Exception):
        raise answer
    return answer
