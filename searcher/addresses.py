"""Addresses of stores and servers, as they may be shown."""

from __future__ import annotations

import re

PASSWORD = re.compile(r"(?P<before>[A-Za-z][\w+.-]*://[^\s:/@]*):[^\s@/]*@")


def hide_passwords(text: str) -> str:
    """An address, or a text with some, with `***` where a password stood."""
    return PASSWORD.sub(r"\g<before>:***@", text)


def without_user(address: str) -> str:
    """An address for links: without a name and password."""
    return re.sub(r"^([A-Za-z][\w+.-]*://)[^\s/@]*@", r"\1", address)


def is_shareable(store: str) -> bool:
    """Whether several coordinators may run one study in the store at this address."""
    return store.startswith("postgresql")
