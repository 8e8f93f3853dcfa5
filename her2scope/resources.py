"""Where the files that ship beside the code are: models and calibration examples."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from her2scope.domain.errors import Her2ScopeError

ResourceName = Literal["models", "calibration"]


class ResourceMissing(Her2ScopeError):
    """A folder that ships with the program is not there."""

    def __init__(self, name: str, searched: list[Path]) -> None:
        self.name, self.searched = name, searched
        super().__init__(
            f"The folder '{name}' of her2scope is missing (looked in {' and '.join(map(str, searched))}). "
            "Install her2scope again, or run it from a complete checkout."
        )


def resource_dir(name: ResourceName) -> Path:
    """Folder `name`, in an installed wheel and in a checkout alike.

    Raises
    ------
    ResourceMissing
        If the installation is incomplete.
    """
    return find_resource(name, Path(__file__).resolve().parent)


def find_resource(name: ResourceName, package_dir: Path) -> Path:
    """Folder `name` of the package in `package_dir`.

    A wheel carries it inside the package (pyproject.toml, wheel sources); in a
    checkout it lies beside the package.
    """
    packaged = package_dir / "_data" / name
    if packaged.is_dir():
        return packaged
    beside = package_dir.parent / name
    # Beside an installed package lies site-packages, where "models" is anyone's.
    if beside.is_dir() and (package_dir.parent / "pyproject.toml").is_file():
        return beside
    raise ResourceMissing(name, [packaged, beside])
