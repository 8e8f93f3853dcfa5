"""Where the picture lies in the view: zoom and pan in image coordinates, without any painting."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from PyQt6.QtCore import QPointF, QRectF, QSizeF

MAX_ZOOM = 16.0
"""Screen pixels per image pixel; beyond it one sees squares, not tissue."""
FIT_SLACK = 1.001


@dataclass(frozen=True, slots=True)
class Viewport:
    """The image point at the middle of the view, and how large it is drawn."""

    view: QSizeF
    image: QSizeF
    zoom: float = 1.0
    """Screen pixels per image pixel."""
    centre: QPointF = field(default_factory=QPointF)
    """Image coordinates (a pixel's square spans i to i + 1) at the middle of the view."""

    @staticmethod
    def fitted(view: QSizeF, image: QSizeF) -> Viewport:
        """Show the whole image, as large as it goes."""
        return _clamped(Viewport(view, image, _fit_zoom(view, image)))

    @property
    def is_fitted(self) -> bool:
        """Whether the whole image is in view."""
        return self.zoom <= _fit_zoom(self.view, self.image) * FIT_SLACK

    def to_screen(self, point: QPointF) -> QPointF:
        """Screen place of an image point."""
        middle = QPointF(self.view.width() / 2, self.view.height() / 2)
        return (point - self.centre) * self.zoom + middle

    def to_image(self, point: QPointF) -> QPointF:
        """Image point under a screen place."""
        middle = QPointF(self.view.width() / 2, self.view.height() / 2)
        return (point - middle) / self.zoom + self.centre

    def picture_rect(self) -> QRectF:
        """Where the image lies on screen."""
        return QRectF(self.to_screen(QPointF(0, 0)), self.image * self.zoom)

    def image_in_view(self) -> QRectF:
        """What of the image's plane the view shows, in image coordinates; it may reach beyond the image."""
        return QRectF(self.to_image(QPointF(0, 0)), self.view / self.zoom)

    def resized(self, view: QSizeF, image: QSizeF) -> Viewport:
        """Keep looking at the same place in a view or an image of another size."""
        if self.is_fitted or image != self.image:
            return Viewport.fitted(view, image)
        return _clamped(replace(self, view=view))

    def zoomed(self, factor: float, at: QPointF) -> Viewport:
        """Zoom so that the image point at the screen place `at` stays there."""
        fit = _fit_zoom(self.view, self.image)
        zoom = min(MAX_ZOOM, max(fit, self.zoom * factor))
        if zoom <= fit:
            return Viewport.fitted(self.view, self.image)
        held = self.to_image(at)
        moved = replace(self, zoom=zoom)
        return _clamped(replace(moved, centre=moved.centre + held - moved.to_image(at)))

    def showing(self, point: QPointF, margin_px: float) -> Viewport:
        """Move the picture as little as needed for an image point to lie in view, off its edges."""
        at = self.to_screen(point)
        x = min(self.view.width() - margin_px, max(margin_px, at.x()))
        y = min(self.view.height() - margin_px, max(margin_px, at.y()))
        return self.panned(QPointF(x, y) - at)

    def panned(self, screen: QPointF) -> Viewport:
        """Move the picture by a distance on screen."""
        return _clamped(replace(self, centre=self.centre - screen / self.zoom))


def _clamped(port: Viewport) -> Viewport:
    """Keep the view inside the image, or the image at the top of a larger view.

    Not in its middle: what room is left below takes the legend, which then covers no tissue.
    """
    half_x, half_y = port.view.width() / port.zoom / 2, port.view.height() / port.zoom / 2
    width, height = port.image.width(), port.image.height()
    x = width / 2 if 2 * half_x >= width else min(width - half_x, max(half_x, port.centre.x()))
    y = half_y if 2 * half_y >= height else min(height - half_y, max(half_y, port.centre.y()))
    return replace(port, centre=QPointF(x, y))


def _fit_zoom(view: QSizeF, image: QSizeF) -> float:
    if image.isEmpty() or view.isEmpty():
        return 1.0
    return min(MAX_ZOOM, view.width() / image.width(), view.height() / image.height())
