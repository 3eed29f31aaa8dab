"""Files of data are found, verified and fetched, and what is missing or damaged is said."""

from __future__ import annotations

import hashlib
import http.server
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from trainers.config import TrialConfig
from trainers.data import DATASETS, check_data, data_kind, find_source
from trainers.data.fetching import FetchError, fetch
from trainers.data.files import find_file, find_files
from trainers.data.sources import File
from trainers.errors import DataError


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder and the address at which a web server offers it."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    folder = tmp_path_factory.mktemp("server")
    serve = partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield folder, f"http://127.0.0.1:{running.server_address[1]}/"
        running.shutdown()


@pytest.fixture
def closed() -> str:
    """An address where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/"


@pytest.mark.parametrize("place", ["named", "variable", ".", "data"])
def test_a_relative_path_is_found_in_every_folder(
    place: str, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEARCHER_DATA", str(workplace / "variable"))
    file = workplace / place / "table.csv"
    file.parent.mkdir(exist_ok=True)
    file.write_text("a,b\n")
    assert find_file("table.csv", str(workplace / "named")) == file.resolve()


def test_the_named_folder_comes_before_the_working_folder(workplace: Path) -> None:
    for folder in (workplace / "named", workplace):
        folder.mkdir(exist_ok=True)
        (folder / "table.csv").write_text("a,b\n")
    assert find_file("table.csv", "named").parent == workplace / "named"


def test_a_missing_path_says_where_it_was_looked_for(workplace: Path) -> None:
    with pytest.raises(DataError) as error:
        find_file("nowhere.csv", "named")
    for place in (
        "named/nowhere.csv",
        str(workplace / "data" / "nowhere.csv"),
        "--data-dir",
        "SEARCHER_DATA",
    ):
        assert place in str(error.value)


@pytest.mark.parametrize("inside", ["", "myset"])
def test_a_set_is_found_in_the_folder_and_in_its_own_sub_folder(inside: str, workplace: Path) -> None:
    content = secrets.token_bytes(100)
    folder = workplace / "elsewhere" / inside
    folder.mkdir(parents=True)
    (folder / "part.bin").write_bytes(content)
    found = find_files("myset", [File("part.bin", sha256(content))], "elsewhere")
    assert found == ((folder / "part.bin").resolve(),)


def test_a_right_file_is_taken_although_a_wrong_one_comes_first(workplace: Path) -> None:
    content = secrets.token_bytes(100)
    (workplace / "data").mkdir()
    (workplace / "part.bin").write_bytes(b"something else")
    (workplace / "data" / "part.bin").write_bytes(content)
    found = find_files("myset", [File("part.bin", sha256(content))], None)
    assert found == (workplace / "data" / "part.bin",)


def test_a_damaged_file_is_told_with_both_checksums_and_its_path(workplace: Path) -> None:
    expected, damaged = sha256(b"right"), secrets.token_bytes(30)
    path = workplace / "data" / "myset" / "part.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(damaged)
    with pytest.raises(DataError) as error:
        find_files("myset", [File("part.bin", expected)], None)
    for part in (str(path), expected, sha256(damaged)):
        assert part in str(error.value)
    path.write_bytes(b"right")
    assert find_files("myset", [File("part.bin", expected)], None) == (path,)


def test_a_missing_set_is_fetched_once(workplace: Path, server: tuple[Path, str]) -> None:
    folder, address = server
    content = secrets.token_bytes(3_000_000)
    (folder / "part.bin").write_bytes(content)
    files = [File("part.bin", sha256(content), (address + "part.bin",))]
    (path,) = find_files("myset", files, None)
    assert path == workplace / "data" / "myset" / "part.bin"
    assert path.read_bytes() == content
    assert [file.name for file in path.parent.iterdir()] == ["part.bin"]
    (folder / "part.bin").unlink()
    assert find_files("myset", files, None) == (path,)


@pytest.mark.parametrize("named", ["there", "there/myset"])
def test_a_set_is_fetched_into_the_named_folder(
    named: str, workplace: Path, server: tuple[Path, str]
) -> None:
    folder, address = server
    (folder / "part.bin").write_bytes(b"content")
    (path,) = find_files("myset", [File("part.bin", None, (address + "part.bin",))], named)
    assert path == workplace / "there" / "myset" / "part.bin"


def test_the_second_home_is_asked_when_the_first_has_nothing(
    workplace: Path, server: tuple[Path, str], closed: str
) -> None:
    folder, address = server
    (folder / "part.bin").write_bytes(b"content")
    homes = (closed + "part.bin", address + "gone.bin", address + "part.bin")
    assert fetch(File("part.bin", sha256(b"content"), homes), workplace).read_bytes() == b"content"


def test_what_was_fetched_wrongly_is_not_kept(workplace: Path, server: tuple[Path, str]) -> None:
    folder, address = server
    (folder / "part.bin").write_bytes(b"wrong")
    with pytest.raises(FetchError, match=sha256(b"wrong")):
        fetch(File("part.bin", sha256(b"right"), (address + "part.bin",)), workplace)
    assert list(workplace.iterdir()) == []


def test_a_server_that_does_not_answer_is_given_up_soon(workplace: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        home = f"http://127.0.0.1:{silent.getsockname()[1]}/part.bin"
        start = time.monotonic()
        with pytest.raises(FetchError, match=r"no answer|timed out"):
            fetch(File("part.bin", None, (home,)), workplace, patience=0.3)
        assert time.monotonic() - start < 3


def test_without_a_network_every_missing_file_is_told(workplace: Path, closed: str) -> None:
    (workplace / "there.bin").write_bytes(b"content")
    names = ["there.bin", "first.bin", "second.bin"]
    with pytest.raises(DataError) as error:
        find_files("myset", [File(name, None, (closed + name,)) for name in names], None)
    told = str(error.value)
    assert "first.bin, second.bin;" in told and "there.bin" not in told
    for part in (closed, str(workplace / "data" / "myset"), "--data-dir", "SEARCHER_DATA"):
        assert part in told


def test_a_folder_that_cannot_be_written_is_told(workplace: Path, server: tuple[Path, str]) -> None:
    folder, address = server
    (folder / "part.bin").write_bytes(b"content")
    (workplace / "data").write_text("a file, where a folder should be")
    with pytest.raises(DataError, match=r"Not a directory|File exists"):
        find_files("myset", [File("part.bin", None, (address + "part.bin",))], None)


def test_an_unknown_name_is_told_with_its_neighbours(workplace: Path) -> None:
    with pytest.raises(DataError) as error:
        check_data(TrialConfig(data="fashon-mnist"))
    for part in ("did you mean 'fashion-mnist'", *DATASETS, ".parquet", str(workplace), "package.module"):
        assert part in str(error.value)


def test_a_file_of_no_known_kind_is_told(workplace: Path) -> None:
    (workplace / "table.xlsx").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"table.xlsx is of no known kind; known: .*\.csv"):
        check_data(TrialConfig(data="table.xlsx"))


def test_the_kind_is_known_before_loading(workplace: Path) -> None:
    (workplace / "photos").mkdir()
    kinds = {
        **{"digits": "image", "fashion-mnist": "image", "diabetes": "features", "adult": "features"},
        **{"tinyshakespeare": "tokens", "a/b.csv": "features", "b.PARQUET": "features", "c.txt": "tokens"},
        **{"photos": "image", "d.npz": None, "my.module:load": None, "nothing": None},
    }
    assert {name: data_kind(name) for name in kinds} == kinds
    assert set(DATASETS) <= set(kinds)
    for name, source in DATASETS.items():
        assert find_source(name) is source


def test_every_public_file_has_a_checksum_and_a_home() -> None:
    for name, source in DATASETS.items():
        for file in source.files:
            assert file.sha256 is not None and len(file.sha256) == 64, name
            assert file.homes and all(home.endswith((".gz", ".csv", ".data", ".txt")) for home in file.homes)
