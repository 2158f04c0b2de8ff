"""The folder that Envoy watches."""

import stat

from sidecar.xds.files import ResourceFolder


def test_a_file_is_private_and_so_is_its_folder(tmp_path):
    ResourceFolder(tmp_path / "new").write("a", b"1")

    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "new" / "a").stat().st_mode) == 0o600


def test_the_same_bytes_are_not_written_again_even_by_another_process(tmp_path):
    ResourceFolder(tmp_path).write("a", b"1")
    inode = (tmp_path / "a").stat().st_ino

    assert ResourceFolder(tmp_path).write("a", b"1") is False
    assert (tmp_path / "a").stat().st_ino == inode


def test_other_bytes_replace_the_file(tmp_path):
    folder = ResourceFolder(tmp_path)
    folder.write("a", b"1")
    inode = (tmp_path / "a").stat().st_ino

    assert folder.write("a", b"2") is True
    assert (tmp_path / "a").read_bytes() == b"2"
    assert (tmp_path / "a").stat().st_ino != inode
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_files_that_are_not_kept_are_removed_and_can_come_back(tmp_path):
    folder = ResourceFolder(tmp_path)
    for name in "ab":
        folder.write(name, b"1")

    folder.keep_only({"a"})

    assert folder.has("a")
    assert not folder.has("b")
    assert folder.write("b", b"1") is True
