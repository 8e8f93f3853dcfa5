"""Everything the window can do, in one table: the menus, the keys and the key list (F1) are made from it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from PyQt6.QtGui import QKeySequence


class Menu(StrEnum):
    """Menus, from left to right."""

    CASE = "&Case"
    CONTROL = "Co&ntrol"
    REVIEW = "&Review"
    SLIDE = "&Slide"
    VIEW = "&View"
    HELP = "&Help"


class Needs(StrEnum):
    """What the source must offer for an action to make sense."""

    STAGE = "stage"
    NOSEPIECE = "nosepiece"
    SEQUENCE = "sequence"


class Scope(StrEnum):
    """What is looked at, and so what a key acts on."""

    LIVE = "live"
    REVIEW = "review"
    """An accepted field is shown in the place of the live picture."""
    DRAWING = "drawing"
    """An outline is being drawn."""
    OUTLINE = "outline"
    """An outline was drawn, and what it means is asked."""


@dataclass(frozen=True, slots=True)
class ActionInfo:
    """One thing the reader can do."""

    id: str
    menu: Menu
    text: str
    keys: tuple[str, ...]
    tip: str
    checkable: bool = False
    needs: Needs | None = None
    repeats: bool = False
    """Fires again while its key is held down. Never for what changes the case."""
    group: bool = False
    """A line above it in the menu."""
    scope: Scope | None = None
    """Its keys work only then, and go before the same keys of actions that have no scope."""


def _in_review(name: str, text: str, keys: tuple[str, ...], tip: str, *, group: bool = False) -> ActionInfo:
    return ActionInfo(name, Menu.REVIEW, text, keys, f"Field shown: {tip}", group=group, scope=Scope.REVIEW)


def _of_outline(name: str, text: str, keys: tuple[str, ...], tip: str, *, group: bool = False) -> ActionInfo:
    return ActionInfo(name, Menu.REVIEW, text, keys, f"Outline closed: {tip}", group=group, scope=Scope.OUTLINE)


ACTIONS: tuple[ActionInfo, ...] = (
    # Case
    ActionInfo(
        "accept",
        Menu.CASE,
        "Add field",
        ("Space",),
        "Add the field in view to the case; in control mode read it as control",
    ),
    ActionInfo(
        "remove",
        Menu.CASE,
        "Remove or restore field",
        ("Del",),
        "Take the selected field out of the case; again: put it back",
    ),
    ActionInfo("restore", Menu.CASE, "Restore field", ("R",), "Put the selected field back into the case"),
    ActionInfo("previous_field", Menu.CASE, "Select field above", ("Ctrl+Up",), "Select the field above in the list"),
    ActionInfo("next_field", Menu.CASE, "Select field below", ("Ctrl+Down",), "Select the field below in the list"),
    ActionInfo("annotate", Menu.CASE, "Remark to field", ("A",), "Write a remark to the selected field"),
    ActionInfo("undo", Menu.CASE, "Undo", ("Ctrl+Z",), "Take the last change of the case back", group=True),
    ActionInfo("redo", Menu.CASE, "Redo", ("Ctrl+Shift+Z", "Ctrl+Y"), "Do again what was undone last"),
    ActionInfo(
        "sweep",
        Menu.CASE,
        "Sweep",
        ("F8",),
        "Count every sharp, steady, new part of the picture inside the outlined invasive tumour",
        checkable=True,
        group=True,
    ),
    ActionInfo(
        "rules",
        Menu.CASE,
        "Move the cuts",
        ("U",),
        "Sliders for the cuts and the completeness needed; the effect on the whole case is shown and marked",
        checkable=True,
    ),
    ActionInfo(
        "case_data",
        Menu.CASE,
        "Case data\N{HORIZONTAL ELLIPSIS}",
        ("Ctrl+D",),
        "Enter accession, block, slide, specimen, antibody and fixation",
        group=True,
    ),
    ActionInfo("own_score", Menu.CASE, "Enter own score", ("S",), "Go to your own score"),
    ActionInfo(
        "own_first",
        Menu.CASE,
        "Own score first",
        ("Ctrl+B",),
        "Hide the computed score, shares and classes until you have entered your own score",
        checkable=True,
    ),
    ActionInfo("ish", Menu.CASE, "Enter ISH result", ("I",), "Go to the result of in situ hybridisation"),
    ActionInfo(
        "finish",
        Menu.CASE,
        "Finish case",
        ("Ctrl+F",),
        "End the reading and write the report; the case is then in review until it is signed",
        group=True,
    ),
    ActionInfo(
        "reopen",
        Menu.CASE,
        "Back to reading\N{HORIZONTAL ELLIPSIS}",
        ("Ctrl+Shift+F",),
        "Take a case in review back to reading, for a written reason",
    ),
    ActionInfo(
        "sign",
        Menu.CASE,
        "Sign case\N{HORIZONTAL ELLIPSIS}",
        ("Ctrl+Shift+S",),
        "Sign the case in review with name and PIN; it is frozen then, and the report says who signed",
    ),
    ActionInfo(
        "amend",
        Menu.CASE,
        "Amend signed case\N{HORIZONTAL ELLIPSIS}",
        ("Ctrl+Shift+A",),
        "Open a signed case again as its next version, for a written reason; the signed one is kept",
    ),
    ActionInfo(
        "new_case",
        Menu.CASE,
        "New case",
        ("Ctrl+N",),
        "Start the next case; this one is kept as it is",
        group=True,
    ),
    ActionInfo(
        "open_case",
        Menu.CASE,
        "Open case\N{HORIZONTAL ELLIPSIS}",
        ("Ctrl+O",),
        "List the stored cases with their state, and open one; this one is kept as it is",
    ),
    ActionInfo("quit", Menu.CASE, "Quit", ("Ctrl+Q",), "Close the window; the case so far is saved", group=True),
    # Control
    ActionInfo("mode_control", Menu.CONTROL, "Control mode", ("F2", "C"), "Look at the run's control", checkable=True),
    ActionInfo("mode_reading", Menu.CONTROL, "Reading mode", ("F3", "V"), "Look at the case's tissue", checkable=True),
    ActionInfo("expected", Menu.CONTROL, "Expected level", ("E",), "Choose the known score of the control", group=True),
    ActionInfo("lot", Menu.CONTROL, "Lot", ("Ctrl+L",), "Write the antibody lot of this run"),
    ActionInfo(
        "override",
        Menu.CONTROL,
        "Score in spite of the control",
        ("Ctrl+R",),
        "Write why an invalid control may be overridden",
    ),
    ActionInfo(
        "control_history",
        Menu.CONTROL,
        "History of the controls",
        ("Ctrl+H",),
        "Levey-Jennings charts of every control that was read",
        group=True,
    ),
    ActionInfo(
        "compare",
        Menu.CONTROL,
        "Control beside the live field",
        ("K",),
        "Show the control's field beside the live one, at the same scale",
        checkable=True,
        group=True,
    ),
    ActionInfo(
        "next_level",
        Menu.CONTROL,
        "Next level beside the live field",
        ("Shift+K",),
        "Show the control's next level that was read in this case",
    ),
    # Review
    ActionInfo(
        "show_field",
        Menu.REVIEW,
        "Show selected field",
        ("Return", "Enter"),
        "Show the selected field in the place of the live picture; while an outline is drawn: close it",
    ),
    ActionInfo(
        "outline",
        Menu.REVIEW,
        "Draw outline",
        ("D",),
        "Outline tissue: drag round it, or click its corners; then say what it is",
        group=True,
    ),
    ActionInfo("next_region", Menu.REVIEW, "Select outline", ("Shift+D",), "Select an outline; Delete then removes it"),
    _in_review("next_cell", "Next cell", ("Tab",), "Select the next cell in the order of reading", group=True),
    _in_review("previous_cell", "Previous cell", ("Shift+Tab",), "Select the previous cell"),
    _in_review("cell_left", "Cell to the left", ("Left",), "Select the nearest cell to the left"),
    _in_review("cell_right", "Cell to the right", ("Right",), "Select the nearest cell to the right"),
    _in_review("cell_up", "Cell above", ("Up",), "Select the nearest cell above"),
    _in_review("cell_down", "Cell below", ("Down",), "Select the nearest cell below"),
    _in_review("class_none", "No membrane staining", ("0",), "Say of the selected cells: no staining", group=True),
    _in_review("class_incomplete_faint", "Incomplete, faint", ("1",), "Say of the selected cells: incomplete, faint"),
    _in_review(
        "class_incomplete_intense", "Incomplete, intense", ("2",), "Say of them: incomplete, moderate to intense"
    ),
    _in_review("class_complete_moderate", "Complete, moderate", ("3",), "Say of them: complete, weak to moderate"),
    _in_review("class_complete_intense", "Complete, intense", ("4",), "Say of the selected cells: complete, intense"),
    _in_review("cell_excluded", "Exclude cell", ("X",), "Do not count the selected cells: fold, fragment, two in one"),
    _in_review("cell_not_tumour", "Not tumour", ("T",), "The selected cells are stroma, lymphocytes or normal duct"),
    _in_review("cell_as_read", "As read", ("Backspace",), "Take your word on the selected cells back"),
    _of_outline("outline_in_situ", "Outline: carcinoma in situ", ("X",), "Exclude it: DCIS is not scored", group=True),
    _of_outline("outline_artefact", "Outline: artefact, necrosis", ("A",), "Exclude it: nothing there is scored"),
    _of_outline("outline_duct", "Outline: normal duct", ("N",), "Its cells are the case's internal negative control"),
    _of_outline(
        "outline_invasive", "Outline: invasive tumour", ("I",), "Count only what lies within; sweep only there"
    ),
    _of_outline("outline_cells", "Outline: select cells", ("C",), "Select the cells within, to correct them together"),
    # Slide
    ActionInfo(
        "stage_left",
        Menu.SLIDE,
        "Move left",
        ("Left",),
        "Move over the slide by a tenth of the picture",
        needs=Needs.STAGE,
        repeats=True,
    ),
    ActionInfo(
        "stage_right",
        Menu.SLIDE,
        "Move right",
        ("Right",),
        "Move over the slide by a tenth of the picture",
        needs=Needs.STAGE,
        repeats=True,
    ),
    ActionInfo(
        "stage_up",
        Menu.SLIDE,
        "Move up",
        ("Up",),
        "Move over the slide by a tenth of the picture",
        needs=Needs.STAGE,
        repeats=True,
    ),
    ActionInfo(
        "stage_down",
        Menu.SLIDE,
        "Move down",
        ("Down",),
        "Move over the slide by a tenth of the picture",
        needs=Needs.STAGE,
        repeats=True,
    ),
    ActionInfo(
        "stage_far_left",
        Menu.SLIDE,
        "Move far left",
        ("Shift+Left",),
        "Move by three quarters of the picture",
        needs=Needs.STAGE,
        repeats=True,
        group=True,
    ),
    ActionInfo(
        "stage_far_right",
        Menu.SLIDE,
        "Move far right",
        ("Shift+Right",),
        "Move by three quarters of the picture",
        needs=Needs.STAGE,
        repeats=True,
    ),
    ActionInfo(
        "stage_far_up",
        Menu.SLIDE,
        "Move far up",
        ("Shift+Up",),
        "Move by three quarters of the picture",
        needs=Needs.STAGE,
        repeats=True,
    ),
    ActionInfo(
        "stage_far_down",
        Menu.SLIDE,
        "Move far down",
        ("Shift+Down",),
        "Move by three quarters of the picture",
        needs=Needs.STAGE,
        repeats=True,
    ),
    ActionInfo(
        "next_place",
        Menu.SLIDE,
        "Go to next named place",
        ("G",),
        "Go to the next place the slide has a name for",
        needs=Needs.STAGE,
        group=True,
    ),
    ActionInfo(
        "go_to_field",
        Menu.SLIDE,
        "Go to selected field",
        ("Shift+G",),
        "Move the stage until the field selected in the list is in the picture",
        needs=Needs.STAGE,
    ),
    ActionInfo(
        "stronger_objective",
        Menu.SLIDE,
        "Stronger objective",
        ("+", "="),
        "Turn the next stronger objective in",
        needs=Needs.NOSEPIECE,
        group=True,
    ),
    ActionInfo(
        "weaker_objective",
        Menu.SLIDE,
        "Weaker objective",
        ("-",),
        "Turn the next weaker objective in",
        needs=Needs.NOSEPIECE,
    ),
    ActionInfo(
        "previous_picture",
        Menu.SLIDE,
        "Previous picture",
        ("PgUp",),
        "Show the previous picture of the folder",
        needs=Needs.SEQUENCE,
        repeats=True,
        group=True,
    ),
    ActionInfo(
        "next_picture",
        Menu.SLIDE,
        "Next picture",
        ("PgDown",),
        "Show the next picture of the folder",
        needs=Needs.SEQUENCE,
        repeats=True,
    ),
    ActionInfo(
        "calibrate",
        Menu.SLIDE,
        "Calibrate microscope\N{HORIZONTAL ELLIPSIS}",
        ("Ctrl+M",),
        "Measure scale, white, camera response and stain colours; nothing is saved before the last page",
        group=True,
    ),
    ActionInfo(
        "set_up",
        Menu.SLIDE,
        "Set up\N{HORIZONTAL ELLIPSIS}",
        ("Ctrl+Shift+M",),
        "Find the camera, choose the objective, calibrate, name the lab's control; what was chosen holds from the next "
        "start",
    ),
    ActionInfo("reconnect", Menu.SLIDE, "Reconnect camera", ("F5",), "Open a lost camera again"),
    # View
    ActionInfo(
        "membranes",
        Menu.VIEW,
        "Membranes",
        ("M",),
        "Tint stained membrane: yellow faint to moderate, red intense",
        checkable=True,
    ),
    ActionInfo(
        "cells",
        Menu.VIEW,
        "Cell centres",
        ("N",),
        "Mark each cell by the colour and shape of its class",
        checkable=True,
    ),
    ActionInfo("outlines", Menu.VIEW, "Cell outlines", ("O",), "Draw each tumour cell's own outline", checkable=True),
    ActionInfo(
        "filled",
        Menu.VIEW,
        "Enclosed cells filled",
        ("B",),
        "Fill the cells that a complete membrane encloses",
        checkable=True,
    ),
    ActionInfo(
        "outside",
        Menu.VIEW,
        "Tissue not counted",
        ("J",),
        "Dim and hatch tissue that the region model leaves out, beneath the other overlays",
        checkable=True,
    ),
    ActionInfo(
        "hide_all", Menu.VIEW, "Plain tissue", ("H",), "Hide all overlays; again: show them as before", checkable=True
    ),
    ActionInfo("legend", Menu.VIEW, "Legend", ("L",), "Show or hide the legend", checkable=True, group=True),
    ActionInfo(
        "palette",
        Menu.VIEW,
        "Paper's colours",
        ("P",),
        "Colours of arXiv 2110.12900 instead of the colour-blind-safe ones",
        checkable=True,
    ),
    ActionInfo(
        "overview",
        Menu.VIEW,
        "Overview of the slide",
        ("W",),
        "Show or hide the small map; a click on a field shows it, a click elsewhere moves a motorised stage there",
        checkable=True,
        group=True,
    ),
    ActionInfo(
        "next_island",
        Menu.VIEW,
        "Next island of the map",
        ("Shift+W",),
        "Show the next part of the map where tracking was lost between them",
    ),
    ActionInfo("fit", Menu.VIEW, "Whole picture", ("F", "0"), "Fit the picture to the window", group=True),
    ActionInfo(
        "zoom_in",
        Menu.VIEW,
        "Zoom in",
        ("Ctrl++", "Ctrl+="),
        "Enlarge the picture (also the mouse wheel)",
        repeats=True,
    ),
    ActionInfo("zoom_out", Menu.VIEW, "Zoom out", ("Ctrl+-",), "Make the picture smaller", repeats=True),
    ActionInfo("actual_pixels", Menu.VIEW, "Actual pixels", ("1",), "One camera pixel on one screen pixel"),
    ActionInfo(
        "eyepiece",
        Menu.VIEW,
        "Eyepiece display",
        ("F9",),
        "Show outlines on the second display, for the eyepiece or beside it; again: close it",
        group=True,
    ),
    ActionInfo(
        "eyepiece_choices",
        Menu.VIEW,
        "What the eyepiece shows\N{HORIZONTAL ELLIPSIS}",
        ("Shift+F9",),
        "Choose the eyepiece's display, what is shown there, colours, line width and text size",
    ),
    ActionInfo(
        "eyepiece_calibration",
        Menu.VIEW,
        "Calibrate the eyepiece\N{HORIZONTAL ELLIPSIS}",
        ("Ctrl+F9",),
        "Match crosses in the eyepiece with the picture, so that outlines lie on their cells",
    ),
    ActionInfo("full_screen", Menu.VIEW, "Full screen", ("F11",), "Use the whole screen", checkable=True, group=True),
    # Help
    ActionInfo("keys", Menu.HELP, "Keys", ("F1",), "List every key"),
    ActionInfo("messages", Menu.HELP, "Messages", ("F4",), "List the messages of this session"),
    ActionInfo(
        "dismiss", Menu.HELP, "Dismiss message, back to picture", ("Esc",), "Dismiss a message, leave a text field"
    ),
    ActionInfo(
        "next_pane",
        Menu.HELP,
        "Next part of the window",
        ("F6",),
        "Go to the picture, the panel or the fields by turns",
    ),
)


def shortcut_text(info: ActionInfo) -> str:
    """Keys as a person reads them: `F2 or C`."""
    native = QKeySequence.SequenceFormat.NativeText
    return " or ".join(QKeySequence(key).toString(native) for key in info.keys)


def keys_in(info: ActionInfo, scope: Scope) -> tuple[str, ...]:
    """Keys of an action while `scope` is looked at. No stage moves while its picture is not seen."""
    if info.scope is not None:
        return info.keys if info.scope is scope else ()
    if scope is not Scope.LIVE and info.needs in (Needs.STAGE, Needs.NOSEPIECE, Needs.SEQUENCE):
        return ()
    claimed = {key for other in ACTIONS if other.scope is scope for key in other.keys}
    return tuple(key for key in info.keys if key not in claimed)
