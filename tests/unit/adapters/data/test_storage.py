"""Where files lie, and that they appear whole or not at all."""

from threading import Thread

import pytest
from pyarrow import fs

from airflow_provider_ifp.adapters.data.storage import resolve_uri, write_atomically
from airflow_provider_ifp.core.errors import DatasetError


def names_in(folder):
    return [path.name for path in folder.iterdir()]


def test_a_plain_path_is_local_absolute_and_has_its_home_expanded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    found = [resolve_uri(uri) for uri in ("log", "~/log", str(tmp_path / "a b#c%20"))]
    assert all(isinstance(filesystem, fs.LocalFileSystem) for filesystem, _ in found)
    expected = [tmp_path / "log", tmp_path / "home" / "log", tmp_path / "a b#c%20"]
    assert [path for _, path in found] == [str(path) for path in expected]


def test_a_file_uri_is_local_and_a_slash_at_its_end_says_nothing(tmp_path):
    filesystem, path = resolve_uri(f"file://{tmp_path}/log/")
    assert isinstance(filesystem, fs.LocalFileSystem)
    assert path == f"{tmp_path}/log"


def test_an_s3_uri_names_the_bucket_and_the_key():
    filesystem, path = resolve_uri(
        "s3://lake/sales/?region=eu-central-1&scheme=http&endpoint_override=localhost:1"
    )
    assert (filesystem.type_name, path) == ("s3", "lake/sales")


def test_what_arrow_does_not_know_fsspec_may():
    filesystem, path = resolve_uri("memory://lake/sales")
    write_atomically(filesystem, f"{path}/a.parquet", b"content")
    assert filesystem.open_input_file(f"{path}/a.parquet").read() == b"content"
    assert [entry.base_name for entry in filesystem.get_file_info(fs.FileSelector(path))] == ["a.parquet"]


@pytest.mark.parametrize("uri", ["nowhere://lake/sales", "NO SCHEME://x"])
def test_a_scheme_that_nobody_knows_is_told_with_the_uri(uri):
    with pytest.raises(DatasetError) as caught:
        resolve_uri(uri)
    assert str(caught.value).startswith(f"{uri}: ")
    assert "no file system" in str(caught.value)


def test_a_file_is_written_with_its_folders_and_nothing_beside_it(tmp_path):
    target = tmp_path / "date=2013-01-01" / "hour=05" / "part.parquet"
    write_atomically(fs.LocalFileSystem(), str(target), b"first")
    write_atomically(fs.LocalFileSystem(), str(target), b"second")
    assert target.read_bytes() == b"second"
    assert names_in(target.parent) == ["part.parquet"]


def test_a_write_that_fails_leaves_what_was_there_and_no_temporary_file(tmp_path):
    target = tmp_path / "part.parquet"
    write_atomically(fs.LocalFileSystem(), str(target), b"first")
    with pytest.raises(TypeError):
        write_atomically(fs.LocalFileSystem(), str(target), "text, where bytes are expected")
    assert target.read_bytes() == b"first"
    assert names_in(tmp_path) == ["part.parquet"]


def test_a_target_that_is_a_folder_is_left_as_it_is(tmp_path):
    (tmp_path / "part.parquet").mkdir()
    with pytest.raises(IsADirectoryError):
        write_atomically(fs.LocalFileSystem(), str(tmp_path / "part.parquet"), b"content")
    assert names_in(tmp_path) == ["part.parquet"]


def test_a_reader_never_sees_half_a_file(tmp_path):
    target = tmp_path / "part.parquet"
    contents = [b"a" * 2_000_000, b"b" * 3_000_000]
    write_atomically(fs.LocalFileSystem(), str(target), contents[0])
    writer = Thread(
        target=lambda: [
            write_atomically(fs.LocalFileSystem(), str(target), contents[turn % 2]) for turn in range(20)
        ]
    )
    writer.start()
    seen = []
    while writer.is_alive():
        seen.append(target.read_bytes() in contents)
    assert len(seen) > 1
    assert all(seen)


def test_a_password_in_an_address_is_refused_and_not_repeated():
    with pytest.raises(DatasetError, match=r"^s3://\.\.\.@bucket/sales: a password has no place") as refused:
        resolve_uri("s3://AKIA:topsecret@bucket/sales")
    assert "topsecret" not in str(refused.value)
