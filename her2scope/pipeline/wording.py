"""Changes of a case in a few words: what an undo would take back, as a menu says it."""

from __future__ import annotations

from her2scope.domain.events import Event, EventKind


def change_words(event: Event | None) -> str:
    """What the reader did with this event; empty for none."""
    if event is None:
        return ""
    data = event.data
    match event.kind:
        case EventKind.FIELD_ACCEPTED:
            return f"add field {data['field']}"
        case EventKind.FIELD_REMOVED:
            return f"remove field {data['field']}"
        case EventKind.FIELD_RESTORED:
            return f"restore field {data['field']}"
        case EventKind.FIELD_ANNOTATED:
            return f"remark on field {data['field']}"
        case EventKind.CELLS_CORRECTED:
            n = len(data["cells"])
            return f"correct {'a cell' if n == 1 else f'{n} cells'} of field {data['field']}"
        case EventKind.REGION_DRAWN:
            return f"outline {data['kind'].replace('_', ' ')}"
        case EventKind.REGION_REMOVED:
            return f"remove outline {data['region']}"
        case EventKind.RULE_CHANGED:
            return "move cuts"
        case EventKind.CASE_DATA_ENTERED:
            return "enter case data"
        case EventKind.READER_SCORED:
            return "enter own score"
        case EventKind.ISH_ENTERED:
            return "enter ISH result"
        case _:
            return event.kind.value.replace("_", " ")
