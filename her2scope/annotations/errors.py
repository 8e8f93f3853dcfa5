"""What is raised for a file of annotations that cannot be used."""

from __future__ import annotations

from her2scope.domain.errors import BadInputError

AGAIN = "Export it again."


class UnreadableAnnotationError(BadInputError):
    """A file of annotations is damaged, of another kind, or does not fit its image."""

    def __init__(self, path: object, why: str, remedy: str = AGAIN) -> None:
        self.path, self.why = path, why
        super().__init__(f"{path}: {why}. {remedy}")
