"""Where the fields lie and what the reader did, on the pages of the PDF."""

from __future__ import annotations

from reportlab.platypus import KeepTogether
from reportlab.platypus.flowables import Flowable

from her2scope.records import CaseView
from her2scope.reporting import doubt, hand, words
from her2scope.reporting.pdf_parts import HALF, WIDTH, side_by_side, table
from her2scope.reporting.pdf_plan import MAX_HEIGHT, plan_drawing
from her2scope.reporting.pdf_text import GREY, heading, text
from her2scope.reporting.slide_plan import PLAN_KEY, PLAN_TITLE, PlanPanel, slide_plan


def plan_part(view: CaseView) -> list[Flowable]:
    """Plan of the slide; nothing where no map tells how the fields lie."""
    plan = slide_plan(view, doubt.hot_spots(view))
    if not plan.panels:
        return []
    key = text(" ".join([PLAN_KEY, plan.note]).strip(), 8, colour=GREY, after=4)
    width = WIDTH if len(plan.panels) == 1 else HALF
    drawn = [_panel(panel, plan.scale(width, MAX_HEIGHT)) for panel in plan.panels]
    if len(drawn) == 1:
        return [KeepTogether([heading(PLAN_TITLE), key, *drawn[0]])]
    rows = [side_by_side(drawn[start : start + 2]) for start in range(0, len(drawn), 2)]
    return [KeepTogether([heading(PLAN_TITLE), key, rows[0]]), *rows[1:]]


def _panel(panel: PlanPanel, scale: float) -> list[Flowable]:
    title = [text(panel.title, 8, bold=True, after=2)] if panel.title else []
    return [*title, plan_drawing(panel, scale)]


def hand_part(view: CaseView) -> list[Flowable]:
    """Regions, corrected cells, remarks, swept fields and the internal control; nothing where there is none."""
    story: list[Flowable] = []
    said = [line for line in (hand.swept_text(view), hand.duct_text(view)) if line]
    regions = [row.cells for row in hand.region_rows(view)]
    if regions:
        story += [
            heading("Outlined regions"),
            table(hand.REGION_HEAD, regions, _widths(0.08, 0.19, 0.1, 0.26, 0.14, 0.23)),
        ]
    story += [text(line, 8.5, after=2) for line in said]
    corrections = hand.correction_rows(view)
    if corrections:
        title = f"{words.count(hand.n_corrected(view), 'cell')} corrected by the reader"
        widths = _widths(0.1, 0.38, 0.38, 0.14)
        story += [heading(title), table(hand.CORRECTION_HEAD, corrections, widths, right=(3,))]
    remarks = hand.remark_rows(view)
    if remarks:
        story += [heading("Remarks on fields"), table(hand.REMARK_HEAD, remarks, _widths(0.1, 0.9))]
    return story


def _widths(*shares: float) -> list[float]:
    return [share * WIDTH for share in shares]
