"""Own code of the person, named in a study as `package.module:name`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from trainers.choices import unknown
from trainers.errors import OwnCodeError


def is_own_code(value: object) -> bool:
    """Whether a setting's value names own code: 'package.module:name'."""
    return isinstance(value, str) and ":" in value and "/" not in value


def load_object(path: str, setting: str) -> Any:
    """The callable that `path` ('package.module:name') names, from the working folder or installed.

    The working folder goes to the front of `sys.path` and stays there, as `python -m` does it, so
    that own code finds its neighbours at any time.

    Raises: OwnCodeError naming `setting`, when the module cannot be imported, has no such name or
    the name is not callable.
    """
    module_name, _, name = path.partition(":")
    if not all(part.isidentifier() for part in module_name.split(".")) or not name.isidentifier():
        raise OwnCodeError(f"{setting}: own code is named as 'package.module:name', but got {path!r}")
    module = _import(module_name, path, setting)
    if not hasattr(module, name):
        callables = [known for known in vars(module) if _is_offered(module, known)]
        hint = unknown(name, callables) if callables else f"there is no {name!r}, nor any function"
        raise OwnCodeError(f"{setting}: in module {module_name!r} ({_place(module)}) {hint}")
    found = getattr(module, name)
    if not callable(found):
        raise OwnCodeError(
            f"{setting}: {path!r} cannot be called: it is {found!r}, of type "
            f"{type(found).__name__!r}; name a function or a class"
        )
    return found


def _import(module_name: str, path: str, setting: str) -> ModuleType:
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    importlib.invalidate_caches()
    try:
        return importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        raise OwnCodeError(
            f"{setting}: module {module_name!r} of {path!r} cannot be imported: "
            f"{type(error).__name__}: {error}; modules are looked for in the working folder "
            f"({folder}), then among the installed packages"
        ) from error


def _is_offered(module: ModuleType, name: str) -> bool:
    """Whether the module itself defines the callable `name` for others."""
    value = getattr(module, name)
    return (
        not name.startswith("_") and callable(value) and getattr(value, "__module__", None) == module.__name__
    )


def _place(module: ModuleType) -> str:
    return str(getattr(module, "__file__", None) or "built in")
