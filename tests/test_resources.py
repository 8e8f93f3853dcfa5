from __future__ import annotations

from pathlib import Path

import pytest

from her2scope.domain.errors import Her2ScopeError
from her2scope.resources import ResourceName, find_resource, resource_dir


@pytest.mark.parametrize("name", ["models", "calibration"])
def test_found_where_the_tests_run(name: ResourceName) -> None:
    assert (resource_dir(name) / "README.md").is_file()


def test_the_packaged_folder_wins(tmp_path: Path) -> None:
    package = tmp_path / "site-packages" / "her2scope"
    packaged = package / "_data" / "models"
    packaged.mkdir(parents=True)
    (package.parent / "models").mkdir()

    assert find_resource("models", package) == packaged


def test_a_strangers_folder_in_site_packages_is_not_taken(tmp_path: Path) -> None:
    package = tmp_path / "site-packages" / "her2scope"
    package.mkdir(parents=True)
    (package.parent / "models").mkdir()

    with pytest.raises(Her2ScopeError, match=r"'models'.*missing.*Install her2scope again"):
        find_resource("models", package)
