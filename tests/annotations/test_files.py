"""Annotation files: what each kind says, what is mended and how it is named, what is refused and why."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from her2scope.annotations.errors import UnreadableAnnotationError
from her2scope.annotations.files import UNCLASSIFIED, class_counts, read_annotations
from her2scope.annotations.geometry import shape_of
from her2scope.annotations.raster import paint
from her2scope.annotations.shapes import Annotation, Annotations, Polygon
from her2scope.annotations.trace import trace_labels
from her2scope.annotations.write import write_geojson
from her2scope.imaging.files import write_mask
from her2scope.imaging.opencv import cv2

SQUARE = [(1, 1), (5, 1), (5, 4), (1, 4)]


def asap(*annotations, groups=""):
    body = "".join(annotations)
    return f"<?xml version='1.0'?><ASAP_Annotations><Annotations>{body}</Annotations>{groups}</ASAP_Annotations>"


def item(places, group="tumour", kind="Polygon", name="n", orders=None):
    orders = range(len(places)) if orders is None else orders
    coordinates = "".join(
        f'<Coordinate Order="{order}" X="{x}" Y="{y}"/>' for order, (x, y) in zip(orders, places, strict=True)
    )
    return (
        f'<Annotation Name="{name}" Type="{kind}" PartOfGroup="{group}" Color="#F4FA58">'
        f"<Coordinates>{coordinates}</Coordinates></Annotation>"
    )


def group(name, parent="None"):
    return f'<Group Name="{name}" PartOfGroup="{parent}" Color="#000000"><Attributes/></Group>'


def feature(coordinates, kind="Polygon", **properties):
    return {"type": "Feature", "properties": properties, "geometry": {"type": kind, "coordinates": coordinates}}


def closed(places):
    return [*places, places[0]]


def read(tmp_path: Path, content, suffix=".xml", **options):
    path = tmp_path / f"drawn{suffix}"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return read_annotations(path, **options)


def area(annotations: Annotations):
    return sum(shape_of(polygon).area for item in annotations.items for polygon in item.polygons)


def refused(tmp_path: Path, content, suffix=".xml", **options):
    with pytest.raises(UnreadableAnnotationError) as caught:
        read(tmp_path, content, suffix, **options)
    said = str(caught.value)
    assert "drawn" in said and "\n" not in said
    return said


# ---- ASAP ---------------------------------------------------------------------------------------------------------


def test_asap_places_are_corners_of_pixels(tmp_path: Path):
    found = read(tmp_path, asap(item(SQUARE, name="left one")))
    assert found.repairs == ()
    (one,) = found.items
    assert (one.name, one.class_name) == ("left one", "tumour")
    assert one.polygons[0].outer.tolist() == [[x - 0.5, y - 0.5] for x, y in SQUARE]
    mask = paint(found, ["tumour"], (8, 8))
    assert np.argwhere(mask).min(axis=0).tolist() == [1, 1] and mask.sum() == 12


def test_asap_places_of_a_slide_that_qupath_crops_are_shifted_and_qupath_s_are_not(tmp_path: Path):
    at = (100, 40)
    drawn = [(x + at[0], y + at[1]) for x, y in SQUARE]
    hole = [(x + at[0], y + at[1]) for x, y in [(2, 2), (3, 2), (3, 3), (2, 3)]]
    groups = f"<AnnotationGroups>{group('tumour')}{group('Hole', 'tumour')}</AnnotationGroups>"
    found = read(tmp_path, asap(item(drawn), item(hole, "Hole"), groups=groups), asap_corner_px=at, size_wh=(8, 8))
    assert found.repairs == () and area(found) == 11
    assert paint(found, ["tumour"], (8, 8))[1:4, 1:5].sum() == 11
    same = read(tmp_path, [feature([closed(SQUARE)])], ".geojson", asap_corner_px=at, size_wh=(8, 8))
    assert paint(same, [same.classes[0]], (8, 8))[1:4, 1:5].sum() == 12
    assert "outside the image" in refused(tmp_path, asap(item(SQUARE)), asap_corner_px=at, size_wh=(8, 8))


def test_asap_places_are_sorted_by_their_order(tmp_path: Path):
    mixed = [2, 0, 10, 1]
    found = read(tmp_path, asap(item([SQUARE[2], SQUARE[0], SQUARE[3], SQUARE[1]], orders=mixed)))
    assert found.repairs == () and area(found) == 12
    assert found.items[0].polygons[0].outer.tolist() == [[x - 0.5, y - 0.5] for x, y in SQUARE]


@pytest.mark.parametrize("orders", [[0, 0, 1, 2], ["", 1, 2, 3], ["x", 1, 2, 3]])
def test_asap_without_a_clear_order_takes_the_file_s(tmp_path: Path, orders):
    found = read(tmp_path, asap(item(SQUARE, orders=orders)))
    assert area(found) == 12 and "'Order' is missing or given twice" in found.repairs[0]


def test_asap_with_decimal_commas(tmp_path: Path):
    places = [("1,25", "1,5"), ("5,25", "1,5"), ("5,25", "4"), ("1,25", "4.0")]
    found = read(tmp_path, asap(item(places)))
    assert area(found) == 4 * 2.5
    assert found.items[0].polygons[0].outer.min() == 0.75
    assert "'1,234.5', which is no number" in refused(tmp_path, asap(item([("1,234.5", 1), *SQUARE])))


@pytest.mark.parametrize("name", ["Exclusion", "exclude", "holes"])
def test_asap_exclusion_groups_are_cut_out(tmp_path: Path, name):
    hole = [(2, 2), (3, 2), (3, 3), (2, 3)]
    found = read(tmp_path, asap(item(hole, name), item(SQUARE), item([(20, 20), (30, 20), (30, 30)], "other")))
    assert found.classes == ("other", "tumour") and found.repairs == ()
    assert area(found) == 12 - 1 + 50
    assert len(found.items[0].polygons[0].holes) == 1


def test_asap_an_exclusion_group_of_a_group_cuts_that_alone(tmp_path: Path):
    groups = group("tumour") + group("small", "tumour") + group("other") + group("Exclusion", "tumour")
    hole = [(2, 2), (3, 2), (3, 3), (2, 3)]
    text = asap(
        *(item(SQUARE, name) for name in ("tumour", "small", "other")),
        item(hole, "Exclusion"),
        groups=f"<AnnotationGroups>{groups}</AnnotationGroups>",
    )
    found = read(tmp_path, text)
    areas = {one.class_name: shape_of(one.polygons[0]).area for one in found.items}
    assert areas == {"tumour": 11, "small": 11, "other": 12}


def test_asap_groups_of_camelyon(tmp_path: Path):
    hole = [(2, 2), (3, 2), (3, 3), (2, 3)]
    found = read(tmp_path, asap(item(SQUARE, "_0"), item(hole, "_2"), item([(9, 1), (12, 1), (12, 4)], "_1")))
    assert found.classes == ("_0", "_1") and area(found) == 11 + 4.5
    # Beside other groups `_2` is a class like any.
    assert read(tmp_path, asap(item(SQUARE, "a"), item(hole, "_2"))).classes == ("_2", "a")


def test_asap_groups_in_a_circle_end(tmp_path: Path):
    groups = group("a", "b") + group("b", "a") + group("Exclusion", "a")
    text = asap(item(SQUARE, "a"), item([(2, 2), (3, 2), (3, 3)], "Exclusion"), groups=groups)
    assert area(read(tmp_path, text)) == 11.5


def test_asap_an_exclusion_of_nothing_is_said(tmp_path: Path):
    found = read(tmp_path, asap(item(SQUARE), item([(20, 20), (30, 20), (30, 30)], "exclusion", name="far")))
    assert found.repairs == ("annotation 2 'far': an exclusion that lies in no other area: left out",)


def test_asap_what_is_no_area_is_left_out_by_name(tmp_path: Path):
    found = read(tmp_path, asap(item([(1, 1)], kind="Dot", name="d"), item(SQUARE, kind="Spline")))
    assert found.repairs == ("annotation 1 'd': is a dot, no area: left out",)
    assert area(found) == 12


def test_asap_rectangles(tmp_path: Path):
    assert area(read(tmp_path, asap(item(SQUARE, kind="Rectangle")))) == 12
    two = read(tmp_path, asap(item([SQUARE[0], SQUARE[2]], kind="Rectangle")))
    assert area(two) == 12 and "two corners" in two.repairs[0]


def test_asap_without_a_group_takes_the_default(tmp_path: Path):
    assert read(tmp_path, asap(item(SQUARE, "None"))).classes == (UNCLASSIFIED,)
    assert read(tmp_path, asap(item(SQUARE, "None")), default_class="x").classes == ("x",)


def test_asap_bombs_are_refused(tmp_path: Path):
    grown = "".join(f'<!ENTITY e{k} "{f"&e{k - 1};" * 10 if k else "lol"}">' for k in range(12))
    assert "declares a document type" in refused(tmp_path, f"<!DOCTYPE x [{grown}]><x>&e11;</x>")
    outside = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><ASAP_Annotations>&e;</ASAP_Annotations>'
    assert "declares a document type" in refused(tmp_path, outside)
    assert "deep in each other" in refused(tmp_path, asap("<x>" * 5000))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "the file is empty"),
        ("no xml", "damaged or no XML"),
        (asap(item(SQUARE))[:-30], "damaged or no XML"),
        ("<Annotations MicronsPerPixel='0.25'/>", "Aperio ImageScope"),
        ("<html/>", "root of the file is <html>"),
        (asap(), "nothing is outlined"),
        (asap(item([])), "has no place and no area"),
        (asap(item([(1, 1), (2, 2)])), "has 2 places and no area"),
        (asap(item([("a", 1), *SQUARE])), "'a', which is no number"),
        (asap(item([("nan", 1), *SQUARE])), "the place nan, 1 lies on no slide"),
        (asap(item([("inf", 1), *SQUARE])), "lies on no slide"),
        (asap(item([("1e300", 1), *SQUARE])), "lies on no slide"),
        (asap("<Annotation Name='x' Type='Polygon'><Coordinates><Coordinate/></Coordinates></Annotation>"), "None"),
        (asap("<Annotation Name='x'><Annotation/></Annotation>"), "another annotation in it"),
    ],
)
def test_asap_that_cannot_be_used_is_refused(tmp_path: Path, text, why):
    assert why in refused(tmp_path, text)


def test_asap_of_too_many_places_is_refused(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("her2scope.annotations.asap.MAX_POINTS", 6)
    assert len(read(tmp_path, asap(item(SQUARE))).items) == 1
    assert "more than 6 places" in refused(tmp_path, asap(item(SQUARE), item(SQUARE)))


# ---- GeoJSON ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrap",
    [
        lambda one: {"type": "FeatureCollection", "features": [one]},
        lambda one: [one],
        lambda one: one,
        lambda one: one["geometry"],
    ],
)
def test_geojson_in_every_wrapping(tmp_path: Path, wrap):
    found = read(tmp_path, wrap(feature([closed(SQUARE)])), ".geojson")
    assert found.repairs == () and area(found) == 12 and found.classes == (UNCLASSIFIED,)
    assert found.items[0].polygons[0].outer[0].tolist() == [0.5, 0.5]


def test_geojson_holes_parts_and_collections(tmp_path: Path):
    hole = closed([(2, 2), (3, 2), (3, 3), (2, 3)])
    far = closed([(20, 20), (30, 20), (30, 30)])
    collection = {
        "type": "GeometryCollection",
        "geometries": [{"type": "Point", "coordinates": [1, 2]}, {"type": "Polygon", "coordinates": [far]}],
    }
    found = read(
        tmp_path,
        [
            feature([[closed(SQUARE), hole], [far]], "MultiPolygon", classification={"name": "a"}, name="both"),
            {"type": "Feature", "geometry": collection, "properties": {"classification": "b"}},
            {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [far]}},
            feature([far], classification={"names": ["Tumor", "Positive"]}),
            feature([far], classification=None),
        ],
        ".json",
    )
    assert [one.class_name for one in found.items] == ["a", "b", UNCLASSIFIED, "Tumor: Positive", UNCLASSIFIED]
    assert len(found.items[0].polygons) == 2 and len(found.items[0].polygons[0].holes) == 1
    assert area(found) == 11 + 5 * 50 and found.repairs == ()
    assert class_counts(found) == {"Tumor: Positive": 1, "a": 1, "b": 1, UNCLASSIFIED: 2}


def test_geojson_what_is_no_area_is_left_out_by_name(tmp_path: Path):
    point = feature([1, 2], "Point", name="p")
    nothing = {"type": "Feature", "geometry": None, "properties": {}}
    found = read(tmp_path, [point, nothing, feature([closed(SQUARE)])], ".geojson")
    assert found.repairs == (
        "annotation 1 'p': is a point, no area: left out",
        "annotation 2: is without a geometry, no area: left out",
    )


def test_geojson_open_rings_are_closed_and_said(tmp_path: Path):
    found = read(tmp_path, feature([SQUARE]), ".geojson")
    assert area(found) == 12
    assert found.repairs == ("annotation 1: its outline was open by 3.0 px: closed by a straight line",)


def test_geojson_in_other_encodings(tmp_path: Path):
    text = json.dumps(feature([closed(SQUARE)], classification="Gewebe ä"), ensure_ascii=False)
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        assert read(tmp_path, text.encode(encoding), ".geojson").classes == ("Gewebe ä",)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"\x89PNG\r\n\x1a\n\xff\xfe\x00\x81", "binary file"),
        ("{", "damaged or no JSON"),
        ("[" * 200_000, "damaged or no JSON"),
        ("3", "no GeoJSON of features"),
        ("{}", "no GeoJSON of features"),
        ('{"shapes": []}', "no GeoJSON of features"),
        ("[]", "nothing is outlined"),
        ("[3]", "item 1 of the file is no feature"),
        ('[{"type": "Feature", "geometry": 7}]', "none that GeoJSON knows"),
        ('[{"type": "Feature", "geometry": {"type": "Circle"}}]', "none that GeoJSON knows"),
        ('[{"type": "Feature", "geometry": {"type": "Polygon"}}]', "not those of a polygon (it has none)"),
        ('[{"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [[[1,2],[3]]]}}]', "not those of"),
        ('[{"type": "Feature", "geometry": {"type": "Polygon", "coordinates": "abc"}}]', "not those of a polygon"),
        ('[{"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [["a"]]}}]', "not those of a polygon"),
        ('[{"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [[[null, 1]]]}}]', "lies on no slide"),
        ('[{"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [[[NaN, 1]]]}}]', "lies on no slide"),
        ('[{"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [[[1e9, 1]]]}}]', "lies on no slide"),
        ('[{"type": "Feature", "geometry": {"type": "Polygon", "coordinates": []}}]', "no area: left out"),
        ('[{"type": "Feature", "geometry": {"type": "GeometryCollection", "geometries": 4}}]', "collection"),
    ],
)
def test_geojson_that_cannot_be_used_is_refused(tmp_path: Path, content, why):
    assert why in refused(tmp_path, content, ".geojson")


# ---- masks --------------------------------------------------------------------------------------------------------


def test_a_mask_of_one_value(tmp_path: Path):
    values = np.zeros((20, 30), np.uint8)
    values[2:8, 3:9] = 255
    values[4, 5] = 0
    values[12:15, 20:30] = 255
    write_mask(tmp_path / "m.png", values)
    found = read_annotations(tmp_path / "m.png", (30, 20), default_class="nucleus")
    assert len(found.items) == 2 and found.classes == ("nucleus",)
    assert np.array_equal(paint(found, ["nucleus"], (30, 20)) > 0, values > 0)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_mask_of_several_classes(tmp_path: Path, dtype):
    values = np.zeros((20, 30), dtype)
    values[2:8, 3:9], values[2:8, 9:12], values[15, 15] = 1, 2, 7
    write_mask(tmp_path / "m.png", values)
    with pytest.raises(UnreadableAnnotationError, match=r"has the values 1, 2, 7, and one class"):
        read_annotations(tmp_path / "m.png")
    with pytest.raises(UnreadableAnnotationError, match=r"the value 7, which is no class \(1 is a, 2 is b\)"):
        read_annotations(tmp_path / "m.png", mask_classes={1: "a", 2: "b"})
    write_mask(tmp_path / "m.png", np.where(values == 7, 0, values))
    found = read_annotations(tmp_path / "m.png", mask_classes={1: "a", 2: "b"})
    assert found.repairs == ()
    assert np.array_equal(paint(found, ["a", "b"], (30, 20)), np.where(values == 7, 0, values))


def test_a_picture_of_another_kind_under_the_name_of_a_mask(tmp_path: Path):
    path = tmp_path / "m.png"
    path.write_bytes(b"\xff\xd8\xff\xe0" + bytes(200))
    with pytest.raises(UnreadableAnnotationError, match="no PNG, whatever its name says") as raised:
        read_annotations(path)
    assert "object at" not in str(raised.value)


def test_what_exclusions_take_away_wholly_is_said(tmp_path: Path):
    large = [(0, 0), (9, 0), (9, 9), (0, 9)]
    both = asap(item(SQUARE, name="lost"), item(large, "Exclusion"), item([(20, 1), (25, 1), (25, 5)]))
    found = read(tmp_path, both)
    assert len(found.items) == 1 and "annotation 1 'lost': exclusions cover all of it: left out" in found.repairs
    assert "exclusions cover all of it" in refused(tmp_path, asap(item(SQUARE), item(large, "Exclusion")))
    assert "there is no area to cut it out of" in refused(tmp_path, asap(item(SQUARE, "Exclusion")))


def test_blanks_around_a_groups_name_make_no_other_class(tmp_path: Path):
    content = asap(item(SQUARE, "tumour "), item(SQUARE, " tumour"), groups=group("tumour "))
    assert read(tmp_path, content).classes == ("tumour",)


def test_text_that_is_not_utf_8_is_not_called_binary_alone(tmp_path: Path):
    text = json.dumps(feature([closed(SQUARE)], classification="Tumör"), ensure_ascii=False)
    assert "text that is not UTF-8" in refused(tmp_path, text.encode("latin-1"), ".geojson")


def test_masks_that_cannot_be_used(tmp_path: Path):
    path = tmp_path / "m.png"
    write_mask(path, np.zeros((20, 30), np.uint8))
    with pytest.raises(UnreadableAnnotationError, match="nothing is outlined"):
        read_annotations(path)
    with pytest.raises(UnreadableAnnotationError, match="30 x 20 px, its image 60 x 40 px"):
        read_annotations(path, (60, 40))
    whole = path.read_bytes()
    for damaged in (whole[:40], b"no PNG", whole[:-20]):
        path.write_bytes(damaged)
        with pytest.raises(UnreadableAnnotationError):
            read_annotations(path)


def test_a_mask_in_colours_is_refused_and_one_with_a_palette_is_read(tmp_path: Path):
    from PIL import Image

    values = np.zeros((6, 8), np.uint8)
    values[1:3, 1:4] = 2
    image = Image.fromarray(values)
    palette = image.convert("P")
    palette.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    palette.save(tmp_path / "m.png")
    assert area(read_annotations(tmp_path / "m.png", mask_classes={2: "a"})) == 6
    palette.convert("RGB").save(tmp_path / "m.png")
    with pytest.raises(UnreadableAnnotationError, match="in colours"):
        read_annotations(tmp_path / "m.png")


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_a_mask_with_transparency_is_read_where_all_of_it_shows(tmp_path: Path, mode: str):
    """Painted on glass, white may be everywhere and the mask in the transparency: that was the whole image once."""
    from PIL import Image

    values = np.zeros((6, 8), np.uint8)
    values[1:3, 1:4] = 255
    whole, mask = Image.new("L", (8, 6), 255), Image.fromarray(values)

    def saved(grey: Image.Image, alpha: Image.Image) -> Path:
        Image.merge(mode, [*[grey] * (len(mode) - 1), alpha]).save(tmp_path / "m.png")
        return tmp_path / "m.png"

    assert area(read_annotations(saved(mask, whole))) == 6
    with pytest.raises(UnreadableAnnotationError, match="transparent in places"):
        read_annotations(saved(whole, mask))


def test_a_mask_of_several_channels_of_16_bits_is_refused_and_of_one_is_read(tmp_path: Path):
    values = np.zeros((6, 8), np.uint16)
    values[1:3, 1:4], values[4, 4] = 1, 256
    cv2.imwrite(str(tmp_path / "m.png"), np.repeat(values[..., None], 3, axis=2))
    with pytest.raises(UnreadableAnnotationError, match="several channels of 16 bits"):
        read_annotations(tmp_path / "m.png", mask_classes={1: "a", 256: "b"})
    cv2.imwrite(str(tmp_path / "m.png"), values)
    assert class_counts(read_annotations(tmp_path / "m.png", mask_classes={1: "a", 256: "b"})) == {"a": 1, "b": 1}


def test_a_large_mask_is_read_without_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from PIL import Image

    values = np.zeros((20, 30), np.uint8)
    values[1:3, 1:4] = 1
    write_mask(tmp_path / "m.png", values)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)
    assert area(read_annotations(tmp_path / "m.png")) == 6


# ---- repairs ------------------------------------------------------------------------------------------------------


def test_a_crossing_outline_keeps_all_that_it_encloses(tmp_path: Path):
    eight = [(0, 0), (4, 4), (4, 0), (0, 4)]
    found = read(tmp_path, asap(item(eight, name="8")))
    assert area(found) == 8 and len(found.items[0].polygons) == 2
    (said,) = found.repairs
    assert said.startswith("annotation 1 '8': the outline crosses itself: mended in 2 parts, its area is 8.0 px2")


def test_a_loop_of_the_pen_is_no_hole(tmp_path: Path):
    # The pen goes on past its start and around once more, on a smaller way.
    twice = [(0, 0), (10, 0), (10, 10), (0, 10), (0, 0.5), (6, 1), (6, 6), (-1, 6)]
    found = read(tmp_path, asap(item(twice)))
    drawn = shapely.union_all([shape_of(polygon) for polygon in found.items[0].polygons])
    assert drawn.contains(shapely.Point(2.5, 2.5)) and drawn.area >= 100
    assert "crosses itself" in found.repairs[0]


def test_an_outline_that_touches_itself_is_mended(tmp_path: Path):
    pinched = [(0, 0), (4, 0), (2, 2), (4, 4), (0, 4), (2, 2)]
    found = read(tmp_path, asap(item(pinched)))
    assert area(found) == 8 and "touches itself" in found.repairs[0]


def test_holes_outside_their_outline(tmp_path: Path):
    beside = closed([(10, 10), (11, 10), (11, 11)])
    across = closed([(4, 2), (7, 2), (7, 3), (4, 3)])
    nested = [closed([(2, 2), (4, 2), (4, 3), (2, 3)]), closed([(2.5, 2.2), (3, 2.2), (3, 2.5)])]
    for holes, left in (([beside], 12), ([across], 11), (nested, 10)):
        found = read(tmp_path, feature([closed(SQUARE), *holes]), ".geojson")
        assert area(found) == pytest.approx(left) and len(found.repairs) == 1
        assert all(shapely.is_valid(shape_of(polygon)) for polygon in found.items[0].polygons)


def test_repeated_places_and_empty_holes_are_left_out(tmp_path: Path):
    found = read(tmp_path, asap(item([SQUARE[0], SQUARE[0], *SQUARE[1:], SQUARE[0]])))
    assert found.repairs == ("annotation 1 'n': 1 repeated place left out",)
    assert len(found.items[0].polygons[0].outer) == 4
    found = read(tmp_path, feature([closed(SQUARE), [(2, 2), (3, 3), (2, 2)]]), ".geojson")
    assert found.repairs == ("annotation 1: 1 of its holes enclosed nothing: left out",)


@pytest.mark.parametrize("places", [[(1, 1), (5, 1), (3, 1)], [(1, 1), (1, 1), (1, 1)], [(1, 1), (9, 1), (9, 1.0001)]])
def test_outlines_without_an_area_are_left_out_by_name(tmp_path: Path, places):
    found = read(tmp_path, asap(item(SQUARE), item(places, name="thin")))
    assert len(found.items) == 1
    assert "annotation 2 'thin': " in found.repairs[-1] and found.repairs[-1].endswith("left out")


def test_many_repairs_of_a_kind_are_counted(tmp_path: Path):
    found = read(tmp_path, asap(item(SQUARE), *(item([(1, 1)], kind="Dot") for _ in range(100))))
    assert len(found.repairs) == 21 and found.repairs[-1] == "and 80 more: left out, no areas"


RINGS = st.lists(
    st.tuples(st.integers(-20, 60), st.integers(-20, 60)).map(lambda place: (place[0] / 2, place[1] / 2)),
    min_size=0,
    max_size=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rings=st.lists(RINGS, min_size=1, max_size=4), as_xml=st.booleans())
def test_whatever_is_drawn_every_polygon_that_is_read_is_valid(tmp_path: Path, rings, as_xml):
    content = asap(*(item(ring) for ring in rings)) if as_xml else feature([list(map(list, ring)) for ring in rings])
    try:
        found = read(tmp_path, content, ".xml" if as_xml else ".geojson")
    except UnreadableAnnotationError as error:
        assert "nothing is outlined" in str(error)
        return
    shapes = [shape_of(polygon) for one in found.items for polygon in one.polygons]
    assert shapes and all(shapely.is_valid(shapes)) and all(shape.area > 0 for shape in shapes)


# ---- the image ----------------------------------------------------------------------------------------------------


def grid(side, step, at=(0.0, 0.0), size=None):
    size = size or 0.6 * step
    return [
        item([(x, y), (x + size, y), (x + size, y + size), (x, y + size)])
        for x in at[0] + step * np.arange(side)
        for y in at[1] + step * np.arange(side)
    ]


def test_outlines_are_cut_at_the_edge_of_the_image(tmp_path: Path):
    slight = item([(-1.5, 10), (10, 10), (10, 20), (-1.5, 20)])
    large = item([(90, 50), (108, 50), (108, 60), (90, 60)], name="large")
    found = read(tmp_path, asap(slight, large), size_wh=(100, 100))
    assert area(found) == 100 + 100
    assert set(found.repairs) == {
        "1 outline reaches up to 1.5 px beyond the image: cut at its edge",
        "annotation 2 'large': 44.4 % of its area lies beyond the image: cut at its edge",
    }


def test_an_outline_outside_the_image_is_refused_by_its_number(tmp_path: Path):
    outside = [item([(1, 1)], kind="Dot"), item(SQUARE), item([(-9, 5), (-4, 5), (-4, 9)], name="lost")]
    assert "annotation 3 'lost' (around -7, 6) lies wholly outside" in refused(
        tmp_path, asap(*outside), size_wh=(50, 50)
    )
    edge = item([(50, 5), (54, 5), (54, 9)])
    assert "wholly outside" in refused(tmp_path, asap(item(SQUARE), edge), size_wh=(50, 50))


@pytest.mark.parametrize("factor", [2, 4])
def test_outlines_of_a_larger_image_name_the_factor(tmp_path: Path, factor):
    said = refused(tmp_path, asap(*grid(8, 60 * factor)), size_wh=(500, 500))
    assert f"look drawn on one {factor} times as large" in said


@pytest.mark.parametrize("factor", [2, 4])
def test_outlines_of_a_smaller_image_name_the_factor(tmp_path: Path, factor):
    text = asap(*grid(8, 62 / factor))
    said = refused(tmp_path, text, size_wh=(500, 500))
    assert float(said.split("one ")[1].split(" times smaller")[0]) == pytest.approx(factor, rel=0.15)
    assert len(read(tmp_path, text, size_wh=(500, 500), check_scale=False).items) == 64


def test_a_few_lesions_in_a_corner_are_no_wrong_scale(tmp_path: Path):
    assert len(read(tmp_path, asap(*grid(3, 30)), size_wh=(500, 500)).items) == 9
    assert len(read(tmp_path, asap(*grid(5, 30, at=(80, 80))), size_wh=(500, 500)).items) == 25


# ---- any bytes ----------------------------------------------------------------------------------------------------

WHOLE = {
    ".xml": asap(item(SQUARE), item([(2, 2), (3, 2), (3, 3)], "Exclusion")).encode(),
    ".geojson": json.dumps([feature([closed(SQUARE)], classification={"name": "a"})]).encode(),
}


def png(payload):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 5, 4, *(payload[:5].ljust(5, b"\0"))))
        + chunk(b"IDAT", payload)
        + chunk(b"IEND", b"")
    )


def only_refused(path: Path, data: bytes):
    path.write_bytes(data)
    try:
        assert read_annotations(path, (40, 30)).items
    except UnreadableAnnotationError as error:
        assert str(error)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(data=st.binary(max_size=200), suffix=st.sampled_from([".xml", ".geojson", ".json", ".png"]))
@example(data=b"<ASAP_Annotations>", suffix=".xml")
@example(data=b"\xff\xfe\x00", suffix=".xml")
@example(data=b'{"type": "Polygon", "coordinates": [[[1e999, 2]]]}', suffix=".json")
def test_no_bytes_do_more_than_be_refused(tmp_path: Path, data, suffix):
    only_refused(tmp_path / f"any{suffix}", data)
    if suffix == ".png":
        only_refused(tmp_path / f"any{suffix}", png(data))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(suffix=st.sampled_from([".xml", ".geojson"]), random=st.randoms(use_true_random=False))
def test_no_altered_file_does_more_than_be_refused(tmp_path: Path, suffix, random):
    data = bytearray(WHOLE[suffix])
    for _ in range(random.randint(1, 6)):
        at = random.randrange(len(data))
        if random.random() < 0.5:
            data[at] = random.choice(b'0123456789-.,eE[]{}<>"/ nN\x00\xff')
        else:
            del data[at : at + random.randint(1, 30)]
            data = data or bytearray(b" ")
    only_refused(tmp_path / f"any{suffix}", bytes(data))


def test_what_is_no_file_of_annotations(tmp_path: Path):
    (tmp_path / "folder.xml").mkdir()
    for name, why in (
        ("folder.xml", "this is a folder"),
        ("missing.xml", "no such file"),
        ("outlines.roi", "not read"),
        ("a\0b.xml", "cannot be read|no such file"),
    ):
        with pytest.raises(UnreadableAnnotationError, match=why):
            read_annotations(tmp_path / name)


@pytest.mark.parametrize(("suffix", "n"), [(".xml", 100_000), (".geojson", 1_000_000)])
def test_outlines_of_very_many_places(tmp_path: Path, suffix, n):
    turn = np.linspace(0, 2 * np.pi, n, endpoint=False)
    places = np.round(np.stack([5000 + 4000 * np.cos(turn), 5000 + 4000 * np.sin(turn)], axis=1), 4)
    if suffix == ".xml":
        lines = [f'<Coordinate Order="{k}" X="{x}" Y="{y}"/>' for k, (x, y) in enumerate(places.tolist())]
        content = asap(f'<Annotation Name="" Type="Polygon" PartOfGroup="a">{"".join(lines)}</Annotation>')
    else:
        content = json.dumps(feature([[]], classification="a")).replace("[[]]", f"[{closed(places.tolist())!r}]")
    found = read(tmp_path, content, suffix, size_wh=(10_000, 10_000))
    assert area(found) == pytest.approx(np.pi * 4000**2, rel=1e-6) and found.repairs == ()


# ---- written and read back ----------------------------------------------------------------------------------------


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(seed=st.integers(0, 10_000))
def test_what_is_written_is_read_back(tmp_path: Path, seed):
    random = np.random.default_rng(seed)
    traced = trace_labels(random.integers(0, 3, (12, 15)), ["a", "b ü"], 7, 3, random.uniform(0.5, 3))
    parts = [polygon for one in traced.items[:2] for polygon in one.polygons]
    sent = Annotations((Annotation("several", "c", tuple(parts)), *traced.items))
    write_geojson(sent, tmp_path / "out.geojson", {"c": (1, 2, 3)})
    back = read_annotations(tmp_path / "out.geojson")
    assert back.repairs == ()
    assert [(one.name, one.class_name) for one in back.items] == [(one.name, one.class_name) for one in sent.items]
    for one, other in zip(sent.items, back.items, strict=True):
        for polygon, again in zip(one.polygons, other.polygons, strict=True):
            assert np.allclose(polygon.outer, again.outer, rtol=0, atol=1e-9)
            assert all(np.allclose(a, b, rtol=0, atol=1e-9) for a, b in zip(polygon.holes, again.holes, strict=True))


def test_the_file_is_the_same_every_time_and_no_part_is_left(tmp_path: Path):
    sent = Annotations((Annotation("n", "a", (Polygon(np.array(SQUARE, float)),)),))
    for name in ("1.geojson", "2.geojson"):
        write_geojson(sent, tmp_path / name)
    assert (tmp_path / "1.geojson").read_bytes() == (tmp_path / "2.geojson").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.geojson", "2.geojson"]
    (one,) = json.loads((tmp_path / "1.geojson").read_text(encoding="utf-8"))["features"]
    assert one["properties"]["classification"]["name"] == "a"
    assert one["geometry"]["coordinates"][0][0] == [1.5, 1.5] == one["geometry"]["coordinates"][0][-1]


# ---- real tiles ---------------------------------------------------------------------------------------------------


def test_the_real_tiles_are_read(shared_data: Path):
    folder = shared_data / "he_polygons_gbm"
    if not folder.is_dir():
        pytest.skip("needs he_polygons_gbm in ../shared/data, which is not there")
    counts = {}
    for path in sorted((*folder.glob("*.xml"), *folder.glob("*.geojson"))):
        found = read_annotations(path, (512, 512))
        assert found.classes == ("nucleus",)
        counts[path.name] = len(found.items)
        share = (paint(found, ["nucleus"], (512, 512)) > 0).mean()
        assert share == pytest.approx(area(found) / 512**2, rel=0.03)
    for size in (256, 1024):
        with pytest.raises(UnreadableAnnotationError, match=r"look drawn on one (2|2\.0) times (as large|smaller)"):
            read_annotations(folder / "01.xml", (size, size))
    assert len(counts) == 24 and (counts["01.xml"], counts["02.geojson"]) == (102, 103)
    assert sum(counts.values()) == 3001
