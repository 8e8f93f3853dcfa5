"""Colours and fonts of the window: dim for a dark room, every text at least 4.5 : 1 against what lies behind it."""

from __future__ import annotations

from dataclasses import dataclass

from PyQt6.QtGui import QColor, QFont, QPalette
from PyQt6.QtWidgets import QApplication, QWidget

BASE_PX = 13
"""Text size. Pixels, not points: a panel of 360 px must hold its labels whatever a display says of its size."""
SMALL_PX = 12
SCORE_PX = 40


@dataclass(frozen=True, slots=True)
class Theme:
    """Named colours; status colours are told apart by a symbol and a word too, never by hue alone."""

    picture: str = "#0b0c0d"
    """Around the picture: nearly black, so that it does not glare beside the eyepiece."""
    window: str = "#16181b"
    panel: str = "#1e2125"
    raised: str = "#2a2e34"
    pressed: str = "#353a42"
    line: str = "#414850"
    box: str = "#5f6770"
    """Of a box to tick: 3 : 1 against the window, as marks need it."""
    text: str = "#d8dbde"
    dim: str = "#a8afb7"
    """Secondary text."""
    accent: str = "#7ab8e6"
    """Focus, selection, links."""
    good: str = "#5ccbb2"
    warning: str = "#f0bc4a"
    bad: str = "#ff9478"


THEME = Theme()


def contrast_ratio(first: str, second: str) -> float:
    """Contrast of two colours, 1 to 21 (WCAG 2.2, relative luminance)."""

    def luminance(name: str) -> float:
        colour = QColor(name)
        linear = [
            value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4
            for value in (colour.redF(), colour.greenF(), colour.blueF())
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def font(size_px: int = BASE_PX, bold: bool = False) -> QFont:
    """The window's font in another size."""
    made = QFont(QApplication.font())
    made.setPixelSize(size_px)
    made.setBold(bold)
    return made


def apply_theme(app: QApplication) -> None:
    """Dress the whole application; the style is Fusion so that it looks alike on every desktop."""
    app.setStyle("Fusion")
    base = QFont(app.font())
    base.setPixelSize(BASE_PX)
    app.setFont(base)
    app.setPalette(_palette())
    app.setStyleSheet(_STYLE)


def set_role(widget: QWidget, role: str) -> None:
    """Give a widget one of the style sheet's roles (`dim`, `title`, `good`, `warning`, `bad`) and redraw it so."""
    if widget.property("role") == role:
        return
    widget.setProperty("role", role)
    style = widget.style()
    if style is not None:
        style.unpolish(widget)
        style.polish(widget)


def _palette() -> QPalette:
    palette = QPalette()
    colours = {
        QPalette.ColorRole.Window: THEME.window,
        QPalette.ColorRole.WindowText: THEME.text,
        QPalette.ColorRole.Base: THEME.panel,
        QPalette.ColorRole.AlternateBase: THEME.raised,
        QPalette.ColorRole.Text: THEME.text,
        QPalette.ColorRole.Button: THEME.raised,
        QPalette.ColorRole.ButtonText: THEME.text,
        QPalette.ColorRole.Highlight: "#2f5f86",
        QPalette.ColorRole.HighlightedText: "#ffffff",
        QPalette.ColorRole.ToolTipBase: THEME.raised,
        QPalette.ColorRole.ToolTipText: THEME.text,
        QPalette.ColorRole.PlaceholderText: THEME.dim,
        QPalette.ColorRole.Link: THEME.accent,
    }
    for role, colour in colours.items():
        palette.setColor(role, QColor(colour))
    for role in (QPalette.ColorRole.WindowText, QPalette.ColorRole.Text, QPalette.ColorRole.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, role, QColor("#858c94"))
    return palette


_STYLE = f"""
QToolTip {{ background: {THEME.raised}; color: {THEME.text}; border: 1px solid {THEME.line}; padding: 3px; }}
QMenuBar {{ background: {THEME.window}; color: {THEME.text}; }}
QMenuBar::item {{ padding: 4px 9px; background: transparent; }}
QMenuBar::item:selected {{ background: {THEME.pressed}; }}
QMenu {{ background: {THEME.panel}; color: {THEME.text}; border: 1px solid {THEME.line}; }}
QMenu::item {{ padding: 5px 26px 5px 24px; }}
QMenu::item:selected {{ background: {THEME.pressed}; }}
QMenu::item:disabled {{ color: #858c94; }}
QMenu::separator {{ height: 1px; background: {THEME.line}; margin: 3px 8px; }}
QLabel[role="dim"] {{ color: {THEME.dim}; }}
QLabel[role="small"] {{ color: {THEME.dim}; font-size: {SMALL_PX}px; }}
QLabel[role="title"] {{ font-weight: bold; }}
QLabel[role="good"] {{ color: {THEME.good}; }}
QLabel[role="warning"] {{ color: {THEME.warning}; }}
QLabel[role="bad"] {{ color: {THEME.bad}; }}
QTabWidget::pane {{ border: 0; border-top: 1px solid {THEME.line}; }}
QTabBar::tab {{ background: {THEME.window}; color: {THEME.dim}; padding: 6px 16px; border: 1px solid transparent;
    border-bottom: 2px solid transparent; }}
QTabBar::tab:selected {{ background: {THEME.raised}; color: {THEME.text}; border-bottom: 2px solid {THEME.accent}; }}
QTabBar::tab:focus {{ border: 1px solid {THEME.accent}; }}
QScrollArea {{ border: 0; background: transparent; }}
QPushButton {{ background: {THEME.raised}; color: {THEME.text}; border: 1px solid {THEME.line}; border-radius: 3px;
    padding: 5px 12px; }}
QPushButton:hover {{ background: {THEME.pressed}; }}
QPushButton:pressed {{ background: {THEME.window}; }}
QPushButton:disabled {{ color: #858c94; }}
QPushButton:focus, QComboBox:focus, QLineEdit:focus, QListView:focus, QPlainTextEdit:focus
    {{ border: 1px solid {THEME.accent}; }}
QComboBox, QLineEdit, QPlainTextEdit {{ background: {THEME.window}; color: {THEME.text};
    border: 1px solid {THEME.line}; border-radius: 3px; padding: 3px 6px; }}
QComboBox QAbstractItemView {{ background: {THEME.panel}; color: {THEME.text}; }}
QListView {{ background: {THEME.window}; border: 1px solid {THEME.line}; outline: 0; }}
QDialogButtonBox {{ dialogbuttonbox-buttons-have-icons: 0; }}
QHeaderView::section {{ background: {THEME.raised}; color: {THEME.dim}; border: 0; padding: 4px 8px; }}
QTableView {{ background: {THEME.panel}; border: 1px solid {THEME.line}; }}
QSplitter::handle {{ background: {THEME.line}; }}
QScrollBar:vertical {{ background: {THEME.window}; width: 10px; }}
QScrollBar::handle:vertical {{ background: {THEME.line}; min-height: 24px; border-radius: 4px; margin: 1px; }}
QScrollBar::add-line, QScrollBar::sub-line {{ height: 0; width: 0; }}
"""
