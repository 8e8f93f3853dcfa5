"""Lamp, objective and camera: transmitted light to the 8-bit picture that a program gets.

The fields of `Optics` say what was found plausible, as "usual; hard: what it was measured on"; what is drawn stands in
`ranges`, which the nuisance table has moved since. Looked at were nine camera fields of five cases (1280x720 to
2048x1536), tiles of a scanner at 0.46 um/px and a Ki67 picture of a microscope camera. The defaults of all fields after
`sharpening` change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, cos, hypot, radians, sin

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.errors import BadInputError
from her2scope.imaging.opencv import cv2
from her2scope.phantom.noise import mixed_seed
from her2scope.records import Plane, RgbImage
from her2scope.settings import Vector

Light = NDArray[np.float32]
"""`(H, W, 3)` float32, linear; 1 is the camera's full scale once the lamp is applied."""
WAVELENGTH_UM = 0.55
MOST_LATERAL_PX = 1.5
"""Red and blue may lie this far from green in the corner: luma, with 0.3 of red, then moves by less than half a px."""
MOST_UPSCALING = 2.0
WIDE_BLUR_PX = 1.4
_COUNTS = 4095
"""Steps of the sensor's 12-bit converter."""
_LUMA = (0.299, 0.587, 0.114)
"""Weights of the channels in luma, ITU-R BT.601, which JPEG and most cameras' own processing use."""
_TO_DIFFERENCES = np.array(
    [_LUMA, (1.0 - _LUMA[0], -_LUMA[1], -_LUMA[2]), (-_LUMA[0], -_LUMA[1], 1.0 - _LUMA[2])], np.float64
)
"""RGB to luma, red less luma, blue less luma."""
DUST_RADIUS_PX, BUBBLE_RADIUS_PX = (2.0, 14.0), (18.0, 160.0)
FOLD_RIM_PX, FOLD_BLUR_PX = 4.0, 6.0
INK_OD10: tuple[Vector, ...] = ((1.2, 0.75, 0.2), (1.0, 1.0, 0.95), (0.1, 0.9, 0.8), (0.95, 0.25, 0.7))
"""Blue, black, red and green marker, by eye."""
_INK_REDUCTION = 4
"""Ink has no fine edges: it is drawn in pixels this much wider."""


@dataclass(frozen=True, slots=True)
class Optics:
    """How a run was looked at."""

    response: str = "srgb"
    """`linear`, `srgb` or `gamma:X`."""
    lamp_rgb: Vector = (0.88, 0.92, 0.90)
    """Linear light of empty glass in each channel, as a share of full scale.

    Camera values of glass: 215..240 with blue up to 30 above red; 170..254 with blue 45 above to 10 below red. Measured
    (220, 237, 254), (210, 231, 243), (192, 212, 221), a scanner's grey (175, 175, 170), (250, 242, 242), all 254.
    """
    exposure: float = 1.0
    """Factor on the light; above 1.1 glass and pale tissue clip. 0.95..1.05; 0.7..1.4: one field has 24 % of red and
    7 % of blue clipped, the scanner's glass lies at 0.69 of full scale."""
    shading: float = 0.05
    """Loss of light (0..1) in the corner farthest from the lamp's centre. 0..0.06; 0.05..0.20: glass differs by 2 to 10
    grey levels over a field."""
    lamp_centre: tuple[float, float] = (0.5, 0.5)
    """Brightest place, as a share of width and height."""
    blur_um: float = 0.12
    """Deviation of the blur by defocus and section thickness, beside that of the objective."""
    electrons: float = 10_000.0
    """Electrons at full scale: shot noise there is its root. 6000..20,000; 1500..6000: glass varies by 0.4 to 2.3 grey
    levels after the cameras' own smoothing."""
    sharpening: float = 0.0
    """Strength of the camera's unsharp mask. 0..1.5; 1.5..5: the halo beside dark lines is 0.14 (case 010), 0.12 and
    0.04 (case 011), 0.10 (case 007) of the line's depth, and line and halo of case 010 are drawn with 3 to 4."""

    # ---- objective
    defocus_um: float = 0.0
    """Radius of the disc that a point spreads to out of focus. 0..0.3; 0.3..1.2: edges against glass rise (10 to 90 %)
    within 0.75 um in cases 008, 010 and 011, within 1.2 um in cases 002 and 007; scanner tiles are worse, by eye."""
    axial_um: Vector = (0.0, 0.0, 0.0)
    """Deviation of a further blur of each channel: the objective focuses colours at different depths. 0..0.1; up to 0.4
    in blue and 0.2 in red: blue of `image_her2_00017` shows no edges that green has."""
    lateral_px: tuple[float, float] = (0.0, 0.0)
    """How far red and blue lie outside green in the corner: the objective magnifies colours differently.
    -0.2..0.2; -1.2..1.2, red against blue: by correlation of ninths of the field at most 0.15 px in the corner of the
    video fields, 0.6 px in `image_her2_00017`, red -0.9 and blue +1.1 px in the Ki67 picture."""
    lateral_shift_px: tuple[float, float] = (0.0, 0.0)
    """Shift (x, y) of red against green, and its opposite of blue: a tilted camera or prism. 0..0.05; 0..0.3: the
    middle of the Ki67 picture has (-0.3, -0.2)."""
    tilt_px: float = 0.0
    """Deviation of a further blur at one side of the field, none at the other: the slide lies askew. 0..0.8; 0.8..3, by
    eye."""
    tilt_towards_deg: float = 0.0
    """Where the blurred side lies; 0 is right, 90 is down."""

    # ---- lamp
    lamp_tilt: tuple[float, float] = (0.0, 0.0)
    """Change of light over the whole width and height, as a share. -0.03..0.03; -0.10..0.10: glass of case 002 differs
    by 21 of 224 grey levels from side to side, others by 0 to 9."""
    vignetting: float = 0.0
    """Loss of light (0..1) in all corners by the fourth power of the distance from the field's middle. 0..0.05;
    0.05..0.3, by eye."""
    corner_rgb: Vector = (0.0, 0.0, 0.0)
    """Loss of light (-1..1) of each channel in all corners by the square of the distance: coloured corners. 0..0.02;
    -0.08..0.08, red against blue: `image_her2_00017` is violet in its corners."""
    flare: float = 0.0
    """Share of light that reaches every pixel from all of the glass: no stain looks darker than that. 0..0.03;
    0.03..0.12: the darkest 0.1 % of luma lies at 8 to 61 in the video fields, 83 in `image_her2_00017`, 100 in a grey
    tile of the scanner."""

    # ---- things in the light path
    dust: int = 0
    """Specks on the sensor, the same in all pictures of `dust_seed`. 0..4; 4..20, by eye."""
    dust_seed: int = 0
    bubbles: int = 0
    """Air bubbles under the cover glass, other ones in each picture. 0; 0..2."""
    folds: int = 0
    """Bands where the section lies double, other ones in each picture."""
    ink: int = 0
    """Smears of a pen on the cover glass, other ones in each picture. 0; 0..1."""

    # ---- camera
    upscaling: float = 1.0
    """How much the camera enlarges its picture, 1 to 2. 1..1.3; 1.2..2: from 0.35 cycles per px on, the spectra of case
    002 and `image_her2_00017` are flat, that of the Ki67 picture from 0.25 on."""
    bayer: bool = False
    """Whether each pixel of the sensor sees one colour, and the others are interpolated. Nearly always."""
    read_noise: float = 0.0
    """Electrons (deviation) of noise even in the dark. 3..10; 10..40."""
    black_level: float = 0.0
    """Camera's value of no light, as a share of full scale; below 0 dark stain is cut off. -0.01..0.01; -0.04..0.04:
    red reaches 13, green and blue 0 in cases 010 and 011."""
    contrast: float = 0.0
    """Strength (-0.5..1) of the S of the tone curve; at 1 it is the smooth step 3v^2 - 2v^3. 0..0.3; -0.3..0.6: chosen
    so that the quantiles of luma of cases 008 and 010 are met."""
    saturation: float = 1.0
    """Factor on the differences of red and blue from luma. 0.9..1.2; 0.6..1.5: the most coloured 1 % spans 45 to 74
    grey levels between channels in the scanner's tiles, 56 to 110 in most video fields, 186 in case 008."""
    hue_deg: float = 0.0
    """Turn of all colours in the plane of those differences. -4..4; -12..12: DAB is more yellow in case 008 and more
    purple in case 010 than in the others, by eye."""
    denoise: float = 0.0
    """Share (0..1) of luma that the camera replaces by its median over 5x5 px (3x3 up to a half): painted look.
    0..0.5; 0.5..1: cases 010 and 011, by eye."""
    chroma_blur_px: float = 0.0
    """Deviation of the camera's smoothing of colour. 0..1.5; 1.5..3: in cases 010 and 011 the colour of a line reaches
    3 to 5 px beyond it, by eye."""
    sharpening_px: float = 1.2
    """Deviation of the blur in the unsharp mask: half the width of a halo. 1..1.8; 1.5..3: halos are highest 2 px from
    the edge in case 010, 2.5 in case 011, 3 in its picture of 1920 px."""
    sharpening_luma: bool = False
    """Whether luma alone is sharpened, so that halos are white. In two of three cameras."""
    halo_limit: float = 255.0
    """Most grey levels that sharpening may add; what it takes away is not limited. None; 20..60: on glass the halos of
    case 010 reach only 12 grey levels (a tenth of them 21), the lines there are drawn 190 deep."""
    jpeg_quality: int = 0
    """Of OpenCV's encoder, with colour at half the resolution; 0 for none. 75..95; 40..75: the tables of the video
    fields are those of 80, of the scanner's tiles 95; `image_her2_00017` keeps colour whole. Glass then may be some
    levels from `white_rgb`: the steps of its mean are 2.5 in luma at 40."""

    def __post_init__(self) -> None:
        moved_px = max(map(abs, self.lateral_px)) + hypot(*self.lateral_shift_px)
        if moved_px > MOST_LATERAL_PX:
            raise BadInputError(f"colours are at most {MOST_LATERAL_PX:g} px apart, not {moved_px:g}.")
        if not 1.0 <= self.upscaling <= MOST_UPSCALING:
            raise BadInputError(f"a picture is enlarged 1 to {MOST_UPSCALING:g} times, not {self.upscaling:g}.")

    def sigma_um(self, um_per_px: float) -> float:
        """Deviation of the whole blur on the slide at this scale, in green where the slide is in focus best."""
        return hypot(_sigmas_um(self, um_per_px)[1], 0.5 * self.defocus_um)

    def white_rgb(self) -> Vector:
        """Mean of empty glass at the lamp's centre, 0..255 as the camera gives it."""
        light = np.minimum(np.array(self.lamp_rgb) * self.exposure, 1.0)
        values = _from_differences(self.saturation, self.hue_deg) @ _TO_DIFFERENCES @ (255.0 * _toned(light, self))
        red, green, blue = (float(value) for value in np.clip(values, 0.0, 255.0))
        return red, green, blue


def aperture(um_per_px: float) -> float:
    """Numerical aperture of the objective that usually goes with a scale: 40x 0.65, 20x 0.40, 10x 0.25."""
    return float(np.interp(um_per_px, [0.1, 0.25, 0.5, 1.0], [0.95, 0.65, 0.40, 0.25]))


def encoded(light: NDArray[np.float64], response: str) -> NDArray[np.float64]:
    """Linear light (0..1) to camera values (0..1)."""
    if response == "srgb":  # IEC 61966-2-1
        return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    if response.startswith("gamma:"):
        return np.asarray(light ** (1.0 / float(response.removeprefix("gamma:"))))
    return light


def exposed(light: Light, optics: Optics, rng: np.random.Generator) -> RgbImage:
    """One picture of the focused light: lamp, shading, noise, response, sharpening, 8 bits.

    Parameters
    ----------
    light : as `focused` gives it, of any size from 16x16 px; it is not changed
    rng : of noise, folds, bubbles and ink; the same gives the same bytes
    """
    height, width = light.shape[:2]
    for _ in range(optics.folds):
        light = _folded(light, rng)
    if optics.upscaling > 1:
        small_wh = (round(width / optics.upscaling), round(height / optics.upscaling))
        light = cv2.resize(light, small_wh, interpolation=cv2.INTER_AREA)
    seen = _moved_apart(_tilted(light, optics), optics)
    # Drawn after the tissue's blur: they lie far from it, with edges of their own.
    shade = obstacles(seen.shape[:2], optics, rng)
    if shade is not None:
        seen = cv2.multiply(seen, shade)
    picture = _finished(_sensed(_lit(seen, optics), optics, rng), optics)
    if optics.upscaling > 1:
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC)
    return _compressed(picture, optics.jpeg_quality) if optics.jpeg_quality > 0 else picture


def developed(light: Light, optics: Optics) -> RgbImage:
    """Camera values of the light on the sensor: what `exposed` does but for lamp, sensor, enlarging and JPEG."""
    return _finished(_counted(light), optics)


def read_light(rgb: RgbImage, optics: Optics) -> Light:
    """Light as a picture gives it back, `(H, W, 3)`: 1 is empty glass."""
    table = np.arange(256.0)[:, None] / np.maximum(optics.white_rgb(), 1.0)
    light: Light = cv2.LUT(rgb, table.astype(np.float32)[None])
    return light


# ---- objective ----------------------------------------------------------------------------------------------------


def focused(light: Light, optics: Optics, um_per_px: float, reduction: int) -> Light:
    """Blur light drawn at `um_per_px` as the objective does, then gather it in pixels `reduction` times wider."""
    seen = light
    if optics.defocus_um > 0:
        seen = cv2.filter2D(seen, -1, _disc(optics.defocus_um / um_per_px))
    sigmas_px = [sigma_um / um_per_px for sigma_um in _sigmas_um(optics, um_per_px * reduction)]
    if len(set(sigmas_px)) == 1:
        seen = cv2.GaussianBlur(seen, (0, 0), sigmas_px[0])
    else:
        planes = zip(cv2.split(seen), sigmas_px, strict=True)
        seen = cv2.merge([cv2.GaussianBlur(plane, (0, 0), sigma_px) for plane, sigma_px in planes])
    if reduction > 1:
        height, width = light.shape[:2]
        seen = cv2.resize(seen, (width // reduction, height // reduction), interpolation=cv2.INTER_AREA)
    return seen


def _sigmas_um(optics: Optics, um_per_px: float) -> list[float]:
    """Deviation of the blur of each channel, without the disc of defocus."""
    sigma_um = hypot(0.21 * WAVELENGTH_UM / aperture(um_per_px), optics.blur_um)
    return [hypot(sigma_um, axial_um) for axial_um in optics.axial_um]


def _disc(radius_px: float) -> NDArray[np.float32]:
    """Kernel of a disc with a smooth edge; its sum is 1."""
    reach = ceil(radius_px)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = np.clip(radius_px + 0.5 - np.hypot(x, y), 0.0, 1.0)
    return (disc / disc.sum()).astype(np.float32)


def _tilted(light: Light, optics: Optics) -> Light:
    """Light with one side of the field out of focus: sharp and blurred picture, mixed by a smooth ramp."""
    if optics.tilt_px <= 0:
        return light
    height, width = light.shape[:2]
    angle = radians(optics.tilt_towards_deg)
    reach = abs(cos(angle)) + abs(sin(angle))
    ramp = _sum_of(0.5 + _across(width) * cos(angle) / reach, _across(height) * sin(angle) / reach)
    share = ramp * ramp * (3.0 - 2.0 * ramp)
    mixed = _softened(light, optics.tilt_px / optics.upscaling)
    mixed = cv2.subtract(mixed, light, dst=mixed)
    mixed = cv2.multiply(mixed, cv2.merge([share, share, share]), dst=mixed)
    return cv2.add(mixed, light, dst=mixed)


def _softened(image: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    """Blurred image; a wide blur is made of half the pixels each way, which costs a third."""
    if sigma_px < WIDE_BLUR_PX:
        return cv2.GaussianBlur(image, (0, 0), sigma_px)
    height, width = image.shape[:2]
    half = cv2.resize(image, ((width + 1) // 2, (height + 1) // 2), interpolation=cv2.INTER_AREA)
    # Gathering (variance 1/4) and interpolation (2/3) blur, too.
    half = cv2.GaussianBlur(half, (0, 0), 0.5 * (sigma_px**2 - 0.92) ** 0.5, dst=half)
    return cv2.resize(half, (width, height), interpolation=cv2.INTER_LINEAR)


def _moved_apart(light: Light, optics: Optics) -> Light:
    """Light with red and blue magnified about the middle and shifted; green stays."""
    if not any((*optics.lateral_px, *optics.lateral_shift_px)):
        return light
    height, width = light.shape[:2]
    middle = np.array([0.5 * (width - 1), 0.5 * (height - 1)])
    red, green, blue = cv2.split(light)

    def moved(plane: Plane, corner_px: float, sign: float) -> Plane:
        gain = corner_px / optics.upscaling / max(1.0, hypot(*middle))
        shift = sign / optics.upscaling * np.array(optics.lateral_shift_px)
        # From a place in the result to its source: where red lies outside, it comes from nearer the middle.
        matrix = np.column_stack([(1.0 - gain) * np.eye(2), gain * middle - shift])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(plane, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)

    return cv2.merge([moved(red, optics.lateral_px[0], 1.0), green, moved(blue, optics.lateral_px[1], -1.0)])


# ---- lamp ---------------------------------------------------------------------------------------------------------


def shading_plane(optics: Optics, width: int, height: int) -> Light:
    """Share of the lamp's light that arrives at each pixel, `(H, W, 1)`; 1 at the lamp's centre."""
    x, y = _across(width) + 0.5 - optics.lamp_centre[0], _across(height) + 0.5 - optics.lamp_centre[1]
    loss = optics.shading / ((x**2).max() + (y**2).max())
    plane = _sum_of(1.0 - loss * x**2, -loss * y**2)
    if any(optics.lamp_tilt):
        plane *= np.maximum(_sum_of(1.0 + optics.lamp_tilt[0] * x, optics.lamp_tilt[1] * y), 0.0)
    if optics.vignetting:
        plane *= 1.0 - np.float32(optics.vignetting) * _square_distance(width, height) ** 2
    return plane[..., None]


def _lit(light: Light, optics: Optics) -> Light:
    """Light on the sensor, a new array."""
    height, width = light.shape[:2]
    lamp = (optics.exposure * np.array(optics.lamp_rgb)).astype(np.float32)
    plane = shading_plane(optics, width, height)[..., 0]
    if any(optics.corner_rgb):
        square = _square_distance(width, height)
        losses = [value * np.float32(loss) for value, loss in zip(lamp, optics.corner_rgb, strict=True)]
        shaded = cv2.merge([plane * (value - loss * square) for value, loss in zip(lamp, losses, strict=True)])
    else:
        shaded = cv2.merge([plane * value for value in lamp])
    if optics.flare <= 0:
        return cv2.multiply(light, shaded, dst=shaded)
    seen = cv2.multiply(light, shaded, scale=1.0 - optics.flare)
    return cv2.addWeighted(seen, 1.0, shaded, optics.flare, 0.0, dst=seen)


def _square_distance(width: int, height: int) -> Plane:
    """Square of the distance from the middle, by width and height, `(H, W)`; 1 in the corners."""
    return _sum_of(2.0 * _across(width) ** 2, 2.0 * _across(height) ** 2)


def _sum_of(over_x: NDArray[np.float64], over_y: NDArray[np.float64]) -> Plane:
    return np.add.outer(over_y.astype(np.float32), over_x.astype(np.float32))


def _across(length: int) -> NDArray[np.float64]:
    """Middles of pixels over one side of the picture, -0.5..0.5."""
    return (np.arange(length) + 0.5) / length - 0.5


# ---- things in the light path -------------------------------------------------------------------------------------


def _folded(light: Light, rng: np.random.Generator) -> Light:
    """Light through a section that lies double in a band; the upper layer is out of focus: no nucleus in it shows."""
    height, width = light.shape[:2]
    angle, half_px = rng.uniform(0.0, np.pi), max(width, height) * rng.uniform(0.01, 0.05)
    x, y = np.arange(width) - width * rng.uniform(0.2, 0.8), np.arange(height) - height * rng.uniform(0.2, 0.8)
    away_px = np.abs(np.cos(angle) * x[None] + np.sin(angle) * y[:, None])
    band = np.clip((half_px - away_px) / FOLD_RIM_PX + 0.5, 0.0, 1.0).astype(np.float32)[..., None]
    above = cv2.GaussianBlur(cv2.flip(light, int(rng.integers(-1, 2))), (0, 0), FOLD_BLUR_PX)
    folded: Light = light * (1.0 - band * (1.0 - above))
    return folded


def obstacles(shape_hw: tuple[int, int], optics: Optics, rng: np.random.Generator) -> Light | None:
    """Factor on the light by dust, bubbles and ink, `(H, W, 3)`; None where there are none.

    Their sizes are those in a picture of 1280x720 px: a small picture is a part of one, not a small copy.
    """
    if optics.dust + optics.bubbles + optics.ink == 0:
        return None
    height, width = shape_hw
    plane = np.ones(shape_hw, np.float32)
    on_sensor = np.random.default_rng(mixed_seed("dust", optics.dust_seed))
    for _ in range(optics.dust):
        _put_dust(plane, on_sensor)
    for _ in range(optics.bubbles):
        _put_bubble(plane, rng)
    factor: Light = cv2.cvtColor(plane, cv2.COLOR_GRAY2RGB)
    for _ in range(optics.ink):
        small = _ink(ceil(width / _INK_REDUCTION), ceil(height / _INK_REDUCTION), rng)
        factor = cv2.multiply(factor, cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR))
    return factor


def _put_dust(plane: Plane, rng: np.random.Generator) -> None:
    """Darken `plane` by one speck: a soft spot, or the ring that a speck far from the sensor throws."""
    x_share, y_share, depth, kind = rng.random(4)
    radius_px = float(np.exp(rng.uniform(*np.log(DUST_RADIUS_PX))))
    long, angle = rng.uniform(1.0, 2.2), rng.uniform(0.0, np.pi)
    x_px, y_px = x_share * plane.shape[1], y_share * plane.shape[0]
    rows, columns = _around(plane, x_px, y_px, 2.5 * long * radius_px)
    x, y = columns - x_px, rows - y_px
    along, over = x * cos(angle) + y * sin(angle), y * cos(angle) - x * sin(angle)
    if kind < 0.4:
        away = np.hypot(x, y) / radius_px
        shade = 0.35 * depth * (np.exp(-((4.0 * (away - 1.0)) ** 2)) - 0.4 * np.exp(-((4.0 * (away - 1.5)) ** 2)))
    else:
        away = np.hypot(along / long, over) / radius_px
        shade = (0.1 + 0.6 * depth) / (1.0 + away**6)
    plane[_box(rows, columns)] *= (1.0 - shade).astype(np.float32)


def _put_bubble(plane: Plane, rng: np.random.Generator) -> None:
    """Lay one air bubble over `plane`: its edge throws light out of the objective, a line inside it gathers some."""
    radius_px = min(float(np.exp(rng.uniform(*np.log(BUBBLE_RADIUS_PX)))), 0.6 * min(plane.shape))
    x_px, y_px = rng.uniform(-0.1, 1.1) * plane.shape[1], rng.uniform(-0.1, 1.1) * plane.shape[0]
    rim_px = (0.06 + 0.08 * rng.random()) * radius_px + 1.0
    dark, bright, inside = rng.uniform(0.5, 0.95), rng.uniform(0.15, 0.5), rng.uniform(-0.12, 0.08)
    rows, columns = _around(plane, x_px, y_px, radius_px + 4.0 * rim_px)
    x, y = columns - x_px, rows - y_px
    away_px = np.hypot(x, y)
    depth = (radius_px - away_px) / rim_px
    # The lamp is never quite in the middle: the rim is darker on one side.
    angle = rng.uniform(0.0, 2.0 * np.pi)
    side = 0.75 + 0.25 * (x * cos(angle) + y * sin(angle)) / np.maximum(away_px, 1.0)
    factor = 1.0 - dark * side * np.exp(-(depth**2))
    factor += bright * np.exp(-(((depth - 2.2) / 0.7) ** 2)) + 0.3 * bright * np.exp(-(((depth + 2.0) / 0.6) ** 2))
    factor += inside / (1.0 + np.exp(-4.0 * (depth - 1.0)))
    plane[_box(rows, columns)] *= np.maximum(factor, 0.0).astype(np.float32)


def _ink(width: int, height: int, rng: np.random.Generator) -> Light:
    """Factor on the light by one bowed stroke with streaks along it, `(H, W, 3)`."""
    od10 = np.array(INK_OD10[rng.integers(len(INK_OD10))]) * rng.uniform(0.4, 1.2)
    angle, size = rng.uniform(0.0, np.pi), hypot(width, height)
    # Beside the middle: nobody photographs a field under the pen's full stroke.
    offset, bow = rng.choice([-1.0, 1.0]) * rng.uniform(0.22, 0.5), rng.uniform(-0.4, 0.4)
    half_width, edge = rng.uniform(0.05, 0.2), rng.uniform(0.004, 0.03)
    x, y = (np.arange(width) - 0.5 * width)[None, :] / size, (np.arange(height) - 0.5 * height)[:, None] / size
    along, over = x * cos(angle) + y * sin(angle), y * cos(angle) - x * sin(angle) - offset
    over = over + bow * along**2
    wet = np.clip(0.5 + (half_width - np.abs(over)) / edge, 0.0, 1.0)
    streaks = np.interp(over, np.linspace(-1.0, 1.0, 160), rng.uniform(0.55, 1.0, 160))
    amount = (wet * wet * (3.0 - 2.0 * wet) * streaks).astype(np.float32)[..., None]
    return np.exp(amount * (-np.log(10.0) * od10).astype(np.float32))


def _around(plane: Plane, x_px: float, y_px: float, reach_px: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Rows `(H, 1)` and columns `(1, W)` of the picture within reach of a place."""
    height, width = plane.shape
    top, bottom = (int(np.clip(y_px + sign * reach_px, 0, height)) for sign in (-1.0, 1.0))
    left, right = (int(np.clip(x_px + sign * reach_px, 0, width)) for sign in (-1.0, 1.0))
    return np.arange(top, bottom, dtype=np.float32)[:, None], np.arange(left, right, dtype=np.float32)[None, :]


def _box(rows: NDArray[np.float32], columns: NDArray[np.float32]) -> tuple[slice, slice]:
    if rows.size == 0 or columns.size == 0:
        return slice(0, rows.size), slice(0, columns.size)
    return (
        slice(int(rows[0, 0]), int(rows[-1, 0]) + 1),
        slice(int(columns[0, 0]), int(columns[0, -1]) + 1),
    )


# ---- sensor -------------------------------------------------------------------------------------------------------


def _sensed(light: Light, optics: Optics, rng: np.random.Generator) -> NDArray[np.uint16]:
    """Counts of the sensor, `(H, W, 3)`, 0.._COUNTS or a little more where it is saturated; `light` is used up."""
    if not optics.bayer:
        return _counted(_shaken(light, optics, rng))
    mosaic = np.empty(light.shape[:2], np.float32)
    for row, column, channel in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        mosaic[row::2, column::2] = light[row::2, column::2, channel]
    counts = np.minimum(_counted(_shaken(mosaic, optics, rng)), _COUNTS)
    # OpenCV names a mosaic by its second row and column: this is RGGB.
    return cv2.cvtColor(counts, cv2.COLOR_BayerBG2RGB_EA)


def _shaken(light: NDArray[np.float32], optics: Optics, rng: np.random.Generator) -> NDArray[np.float32]:
    """`light`, which is used up, with the noise of photons and of reading."""
    # The ones among 64 random bits have deviation 4 and are normal for all that eight bits show; three times as fast.
    ones = np.bitwise_count(rng.integers(0, 2**64, light.shape, dtype=np.uint64))
    dark = (optics.read_noise / optics.electrons) ** 2
    variance = cv2.addWeighted(light, 1.0 / optics.electrons, light, 0.0, dark)
    deviation = cv2.sqrt(cv2.max(variance, 0.0, dst=variance), dst=variance).reshape(light.shape)
    noise = cv2.multiply(ones, deviation, scale=0.25, dtype=cv2.CV_32F)
    noise = cv2.scaleAdd(deviation, -8.0, noise, dst=noise)
    return cv2.add(light, noise, dst=light)


def _counted(light: NDArray[np.float32]) -> NDArray[np.uint16]:
    return cv2.addWeighted(light, float(_COUNTS), light, 0.0, 0.0, dtype=cv2.CV_16U)


# ---- camera -------------------------------------------------------------------------------------------------------


def _finished(counts: NDArray[np.uint16], optics: Optics) -> RgbImage:
    """Camera values of the sensor's counts."""
    key = (optics.response, optics.black_level, optics.contrast)
    is_plain = (optics.saturation, optics.hue_deg, optics.denoise, optics.chroma_blur_px) == (1, 0, 0, 0)
    if is_plain and optics.sharpening == 0:
        return _rounded_table(*key).take(counts, mode="clip")
    values = _tone_table(*key).take(counts, mode="clip")
    if is_plain and not optics.sharpening_luma and optics.halo_limit >= 255:
        soft = cv2.GaussianBlur(values, (0, 0), optics.sharpening_px)
        strength = optics.sharpening
        return cv2.addWeighted(values, 1.0 + strength, soft, -strength, 0.0, dtype=cv2.CV_8U)
    luma, red, blue = cv2.split(cv2.transform(values, _TO_DIFFERENCES))
    if optics.denoise > 0:
        painted = cv2.medianBlur(luma, 3 if optics.denoise <= 0.5 else 5)
        luma = cv2.addWeighted(luma, 1.0 - optics.denoise, painted, optics.denoise, 0.0)
    if optics.chroma_blur_px > 0:
        red, blue = (_softened(plane, optics.chroma_blur_px) for plane in (red, blue))
    if optics.sharpening > 0:
        luma = _sharpened(luma, optics)
        if not optics.sharpening_luma:
            red, blue = _sharpened(red, optics), _sharpened(blue, optics)
    finished = cv2.transform(cv2.merge([luma, red, blue]), _from_differences(optics.saturation, optics.hue_deg))
    return cv2.add(finished, 0.0, dtype=cv2.CV_8U)


def _sharpened(plane: Plane, optics: Optics) -> Plane:
    """One plane after the unsharp mask, whose bright halos are no higher than the limit."""
    fine = cv2.subtract(plane, cv2.GaussianBlur(plane, (0, 0), optics.sharpening_px))
    if optics.halo_limit < 255:
        np.minimum(fine, np.float32(optics.halo_limit / optics.sharpening), out=fine)
    return cv2.scaleAdd(fine, optics.sharpening, plane)


def _compressed(picture: RgbImage, quality: int) -> RgbImage:
    """The picture after JPEG with colour at half the resolution."""
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality]
    settings += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420]
    _, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), settings)
    return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def _from_differences(saturation: float, hue_deg: float) -> NDArray[np.float64]:
    """Luma, red less luma and blue less luma to RGB, with `saturation` times the colour turned by `hue_deg`."""
    red, green, blue = _LUMA
    colour = np.array([(1.0, 0.0), (-red / green, -blue / green), (0.0, 1.0)])
    # Turned as Cr and Cb, which scale the differences to the same span.
    span = np.diag([1.0 - red, 1.0 - blue])
    angle = radians(hue_deg)
    turn = np.array([(cos(angle), -sin(angle)), (sin(angle), cos(angle))])
    return np.column_stack([np.ones(3), saturation * colour @ span @ turn @ np.linalg.inv(span)])


def _toned(light: NDArray[np.float64], optics: Optics) -> NDArray[np.float64]:
    """Linear light (0..1) to camera values (0..1) by black level, response and tone curve."""
    return _tone(light, optics.response, optics.black_level, optics.contrast)


def _tone(light: NDArray[np.float64], response: str, black_level: float, contrast: float) -> NDArray[np.float64]:
    value = encoded(np.clip(black_level + (1.0 - black_level) * light, 0.0, 1.0), response)
    return value + contrast * (value**2 * (3.0 - 2.0 * value) - value)


@lru_cache(maxsize=8)
def _tone_table(response: str, black_level: float, contrast: float) -> NDArray[np.float32]:
    return (255.0 * _tone(np.arange(_COUNTS + 1) / _COUNTS, response, black_level, contrast)).astype(np.float32)


@lru_cache(maxsize=8)
def _rounded_table(response: str, black_level: float, contrast: float) -> NDArray[np.uint8]:
    return np.rint(_tone_table(response, black_level, contrast)).astype(np.uint8)
