"""Which runtime an archive is for."""

from __future__ import annotations

import platform
import sys

import pytest

from kilonet.exports.aws.platform import Platform, needed_glibc, oldest, remark, this_platform


def test_this_platform() -> None:
    here = this_platform()
    assert here.python == sys.version_info[:2]
    assert here.runtime == f"python{here.python[0]}.{here.python[1]}"
    assert here.system == platform.system()
    assert needed_glibc() >= (2, 17)


@pytest.mark.parametrize(
    ("here", "needed", "said"),
    [
        (("Linux", "x86_64", (3, 12)), (2, 28), "3.12, as the packages here are: Lambda's runtime"),
        (("Linux", "arm64", (3, 11)), (2, 26), "Lambda's runtime python3.11"),
        (("Linux", "x86_64", (3, 11)), (2, 28), "will not run on Lambda's python3.11, whose C"),
        (("Darwin", "arm64", (3, 12)), (2, 17), "will not run on Lambda, which is Linux"),
        (("Windows", "x86_64", (3, 12)), (2, 17), "will not run on Lambda, which is Linux"),
    ],
)
def test_remark(here: tuple[str, str, tuple[int, int]], needed: tuple[int, int], said: str) -> None:
    assert said in remark(Platform(*here), needed)


def test_the_oldest_glibc_of_wheels() -> None:
    both = "Tag: cp311-cp311-manylinux_2_27_x86_64\nTag: cp311-cp311-manylinux_2_28_x86_64\n"
    assert oldest([both, "Tag: py3-none-any\n"]) == (2, 27)
    assert oldest([both, "Tag: cp311-cp311-manylinux_2_34_aarch64\n"]) == (2, 34)
    assert oldest(["", "Tag: cp311-cp311-manylinux2014_x86_64"]) == (2, 17)
