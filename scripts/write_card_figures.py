"""Put the figures of an evaluation on the card of the model that they were measured with.

Usage: python scripts/write_card_figures.py EVALUATION.json [models/network]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import yaml

from her2scope.segmentation.methods import NETWORK
from her2scope.segmentation.model_card import CARD, QUANTISED, card_in


def main() -> None:
    """Write `figures` on the card; figures of another model are refused."""
    source = Path(sys.argv[1])
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else Path("models", NETWORK)
    found = json.loads(source.read_text(encoding="utf-8"))
    measured = found["methods"][NETWORK]["model"]["sha256"]
    if measured != card_in(folder).digest(QUANTISED):
        sys.exit(f"{source}: measured with another model ({measured[:12]}...). Evaluate again.")
    path = folder / CARD
    card = yaml.safe_load(path.read_text(encoding="utf-8"))
    card["figures"] = [line for row in found["table"] if (line := _line(row)) is not None]
    path.write_text(yaml.safe_dump(card, sort_keys=False, width=118, allow_unicode=True), encoding="utf-8")


def _line(row: dict[str, object]) -> str | None:
    values = row["values"]
    answer = values.get(NETWORK) if isinstance(values, dict) else None
    if answer is None:
        return None
    wanted = f" (wanted: {row['wanted']})" if row["wanted"] else ""
    return f"{row['on']}: {str(row['figure']).strip()}: {answer['text']}{wanted}"


if __name__ == "__main__":
    main()
