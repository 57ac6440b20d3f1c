import warnings
from itertools import combinations, pairwise
from pathlib import Path as FilePath

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.path import Path
from numpy.typing import NDArray

from catchment.errors import CatchmentError, UnknownName
from catchment.figures import (
    Change,
    Dot,
    Frame,
    Style,
    catchment_map,
    frame_for,
    frame_of_region,
    moves_map,
    save,
    site_styles,
)
from catchment.figures.basemap import LAND, SEA, land_path, line_path
from catchment.figures.coastline import coastline
from catchment.figures.labels import Box, place_labels
from catchment.figures.lettering import fitted, printable, width_of
from catchment.figures.marks import INK, draw_marks, lost_mark, unassigned_mark
from catchment.figures.palette import COLOURS, MARKERS, UNASSIGNED_COLOUR
from catchment.figures.spread import spread
from catchment.geo import CONTINENTS
from catchment.model import ASSIGNED, Site, Verdict

SITES = [
    Site(code="jnb", town="Johannesburg", country="ZA", latitude=-26.13, longitude=28.24),
    Site(code="lhr", town="London", country="GB", latitude=51.47, longitude=-0.46),
    Site(code="cpt", town="Cape Town", country="ZA", latitude=-33.96, longitude=18.6),
    Site(code="nbo", town="Nairobi", country="KE", latitude=-1.32, longitude=36.93),
    Site(code="los", town="Lagos", country="NG"),
]
HOSTILE = "$\\frac{1}{$ \x00\x1b[31m\n\u202ekeerB <b>&amp;</b> 東京 \ud800 " + "very long " * 60

LAND_POINTS = {
    "Sahara": (23, 5),
    "Kansas": (38.5, -98),
    "Siberia": (62, 105),
    "Chukotka": (67, 178),
    "Chukotka's east": (66.5, -172.5),
    "Amazonia": (-5, -62),
    "Australia": (-24, 134),
    "Bavaria": (48.5, 11.5),
    "Viti Levu": (-17.8, 178.0),
    "New Zealand": (-44, 170.5),
    "Congo": (0, 22),
    "Antarctica": (-82, 60),
    "Antarctica across": (-86, -178),
    "Greenland": (72, -40),
}
WATER_POINTS = {
    "middle of the Pacific": (5, -150),
    "North Pacific at the antimeridian": (35, 180),
    "South Pacific": (-35, -130),
    "middle of the Atlantic": (30, -40),
    "South Atlantic": (-25, -15),
    "Indian Ocean": (-25, 80),
    "Arctic Ocean": (86, -160),
    "Southern Ocean": (-58, 100),
    "Mediterranean": (35, 18),
    "Caspian Sea": (41.5, 50.7),
    "Gulf of Guinea": (0, 0),
    "Tasman Sea": (-38, 162),
    "Hudson Bay": (60, -86),
}
FRAMES = {
    "world": frame_of_region("world"),
    "world without Antarctica": frame_for([]),
    **{name: frame_of_region(name) for name in CONTINENTS},
    "Fiji and New Zealand": frame_for([(-17.8, 178.0), (-18.0, -178.5), (-45.9, 170.5), (-21.2, -175.2)]),
    "the Arctic": frame_of_region("-180,66,180,90"),
    "across the antimeridian": frame_of_region("150,-50,-120,60"),
}


def is_land(frame: Frame, latitude: float, longitude: float) -> bool | None:
    """Return whether a point lies on the projected land, None where it is outside the frame."""
    point = frame.project(np.array([longitude], dtype=float), np.array([latitude], dtype=float))
    if not frame.contains(point)[0]:
        return None
    path = land_path(frame)
    codes = np.asarray(path.codes)
    starts = [*np.flatnonzero(codes == Path.MOVETO).tolist(), len(codes)]
    vertices = np.asarray(path.vertices)
    rings = [vertices[start:end] for start, end in pairwise(starts)]
    near = [ring for ring in rings if np.all(ring.min(axis=0) <= point[0]) and np.all(ring.max(axis=0) >= point[0])]
    return sum(Path(ring).contains_point(tuple(point[0])) for ring in near) % 2 == 1


@pytest.mark.parametrize("name", FRAMES)
def test_land_is_land_and_water_is_water_in_every_frame(name: str) -> None:
    frame = FRAMES[name]
    land = {place: is_land(frame, *point) for place, point in LAND_POINTS.items()}
    water = {place: is_land(frame, *point) for place, point in WATER_POINTS.items()}
    assert [place for place, found in land.items() if found is False] == []
    assert [place for place, found in water.items() if found is True] == []
    assert any(found is not None for found in (*land.values(), *water.values()))


def test_the_samples_cover_the_whole_world_map() -> None:
    world = FRAMES["world"]
    assert all(is_land(world, *point) is not None for point in (*LAND_POINTS.values(), *WATER_POINTS.values()))


@pytest.mark.parametrize("name", FRAMES)
def test_no_edge_of_a_coast_or_border_jumps_across_a_frame(name: str) -> None:
    frame = FRAMES[name]
    for kind in ("coast", "borders"):
        path = line_path(frame, kind)
        if np.size(path.vertices) == 0:
            assert (name, kind) == ("Fiji and New Zealand", "borders")
            continue
        steps = np.hypot(*np.diff(np.asarray(path.vertices), axis=0).T)[np.asarray(path.codes)[1:] == Path.LINETO]
        # Outside a polar frame's corners the projection stretches; the coast itself has edges up to 5 degrees.
        assert steps.max() < 0.1 * (frame.right - frame.left)


def test_the_coast_is_closed_and_its_outer_rings_run_clockwise() -> None:
    areas = []
    for ring in coastline().land:
        assert np.array_equal(ring[0], ring[-1])
        x, y = ring.T
        areas.append(float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])) / 2)
    assert sum(area > 0 for area in areas) == 1  # the Caspian Sea
    assert len(areas) > 1_000
    assert len(coastline().borders) > 300


@pytest.mark.parametrize(
    "points",
    [
        [(-26.1, 28.2)],
        [(-26.1, 28.2), (30.0, 31.2), (14.7, -17.4), (-4.6, 55.4)],
        [(-17.8, 178.0), (-13.8, -171.8), (-41.3, 174.8)],
        [(64.1, -21.9), (35.1, 33.4), (69.6, 18.9), (38.7, -9.1)],
        [(71.3, -156.8), (66.0, -172.0), (59.6, 150.8)],
        [(-89.9, 0.0), (-77.8, 166.7), (-67.6, 62.9)],
        [(61.2, -149.9), (25.8, -80.2), (47.6, -52.7), (9.9, -84.1)],
        [(51.5, 0.0), (40.7, -74.0), (35.7, 139.7), (-33.9, 151.2), (-77.8, 166.7)],
        [(78.2, 15.6), (-54.8, -68.3)],
        [(0.0, -179.999), (0.0, 180.0)],
    ],
)
def test_the_frame_holds_every_vantage_point(points: list[tuple[float, float]]) -> None:
    frame = frame_for(points)
    latitudes, longitudes = np.array(points).T
    assert frame.contains(frame.project(longitudes, latitudes)).all()


def test_random_frames_hold_every_vantage_point_and_no_wild_land() -> None:
    rng = np.random.default_rng(1)
    for _ in range(40):
        middle, width, height = rng.uniform(-180, 180), rng.uniform(0, 200), rng.uniform(0, 90)
        longitudes = (middle + width * rng.uniform(-0.5, 0.5, 20) + 180) % 360 - 180
        latitudes = np.clip(rng.uniform(-60, 75) + height * rng.uniform(-0.5, 0.5, 20), -90, 90)
        frame = frame_for(zip(latitudes.tolist(), longitudes.tolist(), strict=True))
        assert frame.contains(frame.project(longitudes, latitudes)).all()
        assert not any(is_land(frame, *point) for point in WATER_POINTS.values())


def test_the_frame_fits_the_vantage_points_and_is_the_world_only_where_they_span_it() -> None:
    fiji = frame_for([(-17.8, 178.0), (-18.0, -178.5)])
    assert not fiji.is_world
    assert fiji.right - fiji.left < 2_000_000
    assert not frame_for([(50.0, 10.0), (-10.0, 100.0)]).is_world
    assert frame_for([(50.0, 10.0), (-10.0, 100.0), (40.0, -75.0)]).is_world


def test_antarctica_is_shown_only_where_somebody_is_there() -> None:
    everywhere = [(50.0, 10.0), (-10.0, 100.0), (40.0, -75.0)]
    assert frame_for([*everywhere, (-77.8, 166.7)]).bottom < frame_for(everywhere).bottom


def test_a_region_is_a_continent_the_world_or_a_box() -> None:
    for name in CONTINENTS:
        assert not frame_of_region(name).is_world
    assert frame_of_region("World").is_world
    assert frame_of_region("North America") == frame_of_region("north-america")
    box = frame_of_region("160,-50,-170,0")
    assert box.contains(box.project(np.array([160.0, 190, 180]), np.array([-50.0, 0, -20]))).all()


@pytest.mark.parametrize(
    "region", ["atlantis", "", "1,2,3", "1,2,3,x", "10,50,20,40", "nan,0,10,10", "0,-95,10,10", HOSTILE]
)
def test_an_unknown_region_is_an_error_that_lists_the_known_ones(region: str) -> None:
    with pytest.raises(UnknownName, match=r"world, africa, antarctica.*W,S,E,N") as error:
        frame_of_region(region)
    assert "\n" not in str(error.value)


def many_sites(count: int) -> list[Site]:
    rng = np.random.default_rng(3)
    places = zip(rng.uniform(-40, 65, count).tolist(), rng.uniform(-180, 180, count).tolist(), strict=True)
    return [
        Site(
            code=f"s{i}",
            town="",
            country="",
            latitude=None if i % 9 == 8 else lat,
            longitude=None if i % 9 == 8 else lon,
        )
        for i, (lat, lon) in enumerate(places)
    ]


def test_a_site_keeps_its_colour_when_sites_are_added_at_the_end() -> None:
    sites = many_sites(120)
    whole = site_styles(sites)
    for count in (1, 5, 11, 12, 60, 100):
        assert site_styles(sites[:count]) == {site.code: whole[site.code] for site in sites[:count]}


def test_styles_come_back_as_late_as_possible() -> None:
    different = len(COLOURS) * len(MARKERS)
    styles = list(site_styles(many_sites(2 * different)).values())
    assert len({style.colour for style in styles[: len(COLOURS)]}) == len(COLOURS)
    assert len(set(styles[:different])) == different
    assert all(styles.count(style) == 2 for style in styles)


def test_neighbours_differ_in_colour() -> None:
    sites = many_sites(60)
    towns = [
        Site(code=f"t{i}", town="", country="", latitude=50 + i / 10, longitude=8 + i / 10) for i in range(len(COLOURS))
    ]
    styles = site_styles([*sites, *towns])
    assert len({styles[town.code].colour for town in towns}) >= len(COLOURS) - 3


def lab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return CIELAB of linear sRGB, (n, 3)."""
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = rgb @ matrix.T / np.array([0.9505, 1, 1.089])
    root = np.where(xyz > 0.008856, np.cbrt(np.clip(xyz, 0, None)), 7.787 * xyz + 16 / 116)
    return np.column_stack((116 * root[:, 1] - 16, 500 * (root[:, 0] - root[:, 1]), 200 * (root[:, 1] - root[:, 2])))


def linear(colours: tuple[str, ...]) -> NDArray[np.float64]:
    rgb = np.array([to_rgb(colour) for colour in colours])
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


# Machado, Oliveira, Fernandes 2009, severity 1.0, in linear sRGB.
EYES = {
    "normal": np.eye(3),
    "without green cones": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "without red cones": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
}


@pytest.mark.parametrize("eyes", EYES)
def test_colours_differ_from_each_other_and_from_the_map_to_colour_blind_eyes(eyes: str) -> None:
    colours = lab(np.clip(linear(COLOURS) @ EYES[eyes].T, 0, 1))
    ground = lab(np.clip(linear((LAND, SEA)) @ EYES[eyes].T, 0, 1))
    assert min(float(np.linalg.norm(a - b)) for a, b in combinations(colours, 2)) > 17
    assert min(float(np.linalg.norm(a - b)) for a in colours for b in ground) > 20


def test_colours_have_contrast_on_white_and_grey_is_nobodys() -> None:
    luminance = linear(COLOURS) @ np.array([0.2126, 0.7152, 0.0722])
    assert (1.05 / (luminance + 0.05)).min() > 2
    colours = lab(linear((*COLOURS, UNASSIGNED_COLOUR)))
    assert np.linalg.norm(colours[:-1] - colours[-1], axis=1).min() > 20


def some_dots(count: int = 60) -> list[Dot]:
    rng = np.random.default_rng(5)
    verdicts = [*Verdict]
    dots = []
    for i in range(count):
        verdict = verdicts[i % len(verdicts)] if i % 3 == 0 else Verdict.OK
        latitude, longitude = float(rng.uniform(-33, 5)), float(rng.uniform(17, 38))
        dots.append(Dot(latitude=latitude, longitude=longitude, site=SITES[i % 5].code, verdict=verdict))
    return dots


def change(
    before: str | None,
    after: str | None,
    place: tuple[float, float] | None = (-26, 28),
    verdicts: tuple[Verdict, Verdict] = (Verdict.OK, Verdict.OK),
) -> Change:
    latitude, longitude = (None, None) if place is None else place
    verdict_before, verdict_after = verdicts
    return Change(
        latitude=latitude, longitude=longitude, before=before, after=after,
        verdict_before=verdict_before, verdict_after=verdict_after,
    )  # fmt: skip


def some_changes() -> list[Change]:
    codes = [*(site.code for site in SITES), None]
    verdicts = [verdict for verdict in Verdict if verdict not in ASSIGNED]
    return [
        change(codes[i % 6], codes[(i // 6) % 6], (-30 + i, 20 + i / 3), (verdicts[i % 11], verdicts[(i + 5) % 11]))
        for i in range(36)
    ]


def texts(figure: Figure) -> list[str]:
    return [*(text.get_text() for text in figure.texts), *(t.get_text() for axes in figure.axes for t in axes.texts)]


def test_the_legend_counts_sites_verdicts_and_the_rest_of_the_vantage_points() -> None:
    dots = [Dot(latitude=-26, longitude=28, site="jnb", verdict=Verdict.OK)] * 3
    dots.append(Dot(latitude=-33, longitude=19, site="lhr", verdict=Verdict.IMPOSSIBLE_RTT))
    dots.append(Dot(latitude=-33, longitude=19, site=None, verdict=Verdict.TIMEOUT))
    dots.append(Dot(latitude=52, longitude=5, site="lhr", verdict=Verdict.OK))
    found = texts(catchment_map(dots, SITES, title="t", region="africa"))
    assert {"jnb Johannesburg", "3", "60.0 %", "lhr London", "20.0 %", "impossible-rtt", "timeout"} <= set(found)
    assert "outside this map" in found
    assert "jnb" in found  # beside its mark
    assert "lhr" in found  # beside an arrow


def test_the_legend_of_moves_lists_them_by_size() -> None:
    changes = [change("jnb", "lhr")] * 3 + [change("lhr", "jnb", (-33, 19))] * 2 + [change("cpt", "cpt", (-33, 20))] * 5
    found = texts(moves_map(changes, SITES, title="t"))
    assert found.index("jnb → lhr") < found.index("lhr → jnb")
    assert told(found, "moved: ring → dot") == ["50.0 %", "5"]
    assert told(found, "stayed") == ["50.0 %", "5"]
    assert {"30.0 %", "20.0 %"} <= set(found)
    assert not any(text.startswith(("lost", "gained", "of these outside")) for text in found)


def told(found: list[str], text: str) -> list[str]:
    """Return share (where there is one) and count of a legend's line, which are written before its text."""
    at = found.index(text)
    return [one for one in found[at - 2 : at] if one[0].isdigit()]


def test_the_legend_of_moves_counts_all_and_says_how_many_lie_outside() -> None:
    # As the comparison does: 74 of 112 moved, though one that stayed is in Moscow and two that moved have no place.
    changes = [change("jnb", "lhr")] * 72 + [change("jnb", "lhr", None)] * 2 + [change("lhr", "lhr")] * 37
    changes.append(change("lhr", "lhr", (55.8, 37.6)))
    for region, outside in (("africa", ["1"]), ("europe", ["109"]), ("world", None)):
        found = texts(moves_map(changes, SITES, title="t", region=region))
        assert told(found, "moved: ring → dot") == told(found, "jnb → lhr") == ["66.1 %", "74"]
        assert told(found, "stayed") == ["33.9 %", "38"]
        if outside is None:
            assert "of these outside this map" not in found
        else:
            assert told(found, "of these outside this map")[-1:] == outside


def test_the_legend_of_moves_says_what_became_of_those_without_a_site() -> None:
    ok = Verdict.OK
    lost = [Verdict.FOREIGN_IDENTITY] * 5 + [Verdict.INTERCEPTED_EMPTY] * 2 + [Verdict.TIMEOUT] * 3
    lost += [Verdict.NO_RESULT] * 7 + [Verdict.UNKNOWN_IDENTITY] * 11 + [Verdict.MALFORMED, Verdict.PROBE_FAILED]
    changes = [change("jnb", None, verdicts=(ok, verdict)) for verdict in lost]
    changes += [change(None, "jnb", verdicts=(verdict, ok)) for verdict in [Verdict.NO_RESULT] * 6 + [Verdict.DNS_DEAD]]
    changes += [change(None, None, verdicts=(Verdict.TIMEOUT, Verdict.TIMEOUT))] * 4
    found = texts(moves_map(changes, SITES, title="t", region="africa"))
    counts = {text: told(found, text)[-1] for text in found if text.startswith(("lost", "gained", "no site"))}
    assert counts == {
        "lost: intercepted": "7",
        "lost: no answer": "3",
        "lost: could not send": "1",
        "lost: never reported": "7",
        "lost: no site named": "11",
        "lost: unreadable answer": "1",
        "gained: had no answer": "1",
        "gained: had not reported": "6",
        "no site before or after": "4",
    }


@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if verdict not in ASSIGNED])
def test_each_verdict_without_a_site_has_one_line_of_its_own_that_fits(verdict: Verdict) -> None:
    changes = [change("jnb", None, None, (Verdict.OK, verdict))] * 987
    changes += [change(None, "jnb", None, (verdict, Verdict.OK))] * 876
    found = texts(moves_map(changes, SITES, title="t", region="africa"))
    (lost,) = (text for text in found if text.startswith("lost: "))
    (gained,) = (text for text in found if text.startswith("gained: "))
    assert (told(found, lost)[-1], told(found, gained)[-1]) == ("987", "876")
    assert not any(text.endswith("…") for text in found)


@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if verdict not in ASSIGNED])
def test_on_both_maps_interception_and_silence_have_the_same_shapes(verdict: Verdict) -> None:
    style = Style(colour=COLOURS[0], marker="s")
    on_catchments, on_moves = unassigned_mark(verdict, 40)[-1], lost_mark(style, verdict, 40)[-1]
    assert (
        on_catchments.marker == on_moves.marker.lower() == ("v" if "intercepted" in verdict else on_catchments.marker)
    )
    assert on_moves.face == (on_catchments.face if on_catchments.marker in "vo" else style.colour)
    assert style.colour in {on_moves.face, on_moves.edge}  # of the site before


def test_hijacked_vantage_points_are_dark_triangles_above_all_others() -> None:
    verdicts = (Verdict.OK, Verdict.FOREIGN_IDENTITY)
    hijacked = [change("jnb", None, (-26 + i / 10, 28), verdicts) for i in range(20)]
    others = [change("jnb", "lhr", (-26 - i / 10, 28)) for i in range(20)]
    figure = moves_map([*hijacked, *others], SITES, title="t", region="africa")
    drawn = [one for one in figure.axes[0].collections if 2 < one.zorder < 5 and len(np.asarray(one.get_facecolor()))]
    ink = np.array(to_rgb(INK))
    dark = [one for one in drawn if np.allclose(np.asarray(one.get_facecolor())[0, :3], ink)]
    assert sum(len(np.asarray(one.get_offsets())) for one in dark) == 20
    assert all(np.size(one.get_paths()[0].vertices, 0) == 4 for one in dark)  # a triangle, closed
    rest = [one.zorder for one in drawn if one not in dark and one.zorder < 4]
    assert rest
    assert max(rest) < min(one.zorder for one in dark)


def test_a_long_legend_is_summed_up() -> None:
    sites = many_sites(80)
    dots = [Dot(latitude=0, longitude=10, site=site.code, verdict=Verdict.OK) for site in sites]
    assert "+ 66 more sites" in texts(catchment_map(dots, sites, title="t"))
    assert "+ 66 more sites" in texts(catchment_map(dots, sites, title="t", region="world"))


def test_no_text_leaves_the_figure_and_no_two_names_of_sites_overlap() -> None:
    rng = np.random.default_rng(2)
    sites = [
        Site(code=f"site-{i}", town="A town with a long name " * 3, country="", latitude=lat, longitude=lon)
        for i, (lat, lon) in enumerate(rng.uniform((35, -10), (60, 40), (70, 2)).tolist())
    ]
    verdicts = [Verdict.OK] * 5 + [*Verdict]
    dots = [
        Dot(latitude=lat, longitude=lon, site=sites[i % 70].code, verdict=verdicts[i % len(verdicts)])
        for i, (lat, lon) in enumerate(rng.uniform((35, -10), (60, 40), (900, 2)).tolist())
    ]
    for region in (None, "world", "africa"):
        figure = catchment_map(dots, sites, title="long title " * 30, subtitle="long subtitle " * 50, region=region)
        figure.draw_without_rendering()
        boxes = {
            text: text.get_window_extent()
            for text in (*figure.texts, *(text for axes in figure.axes for text in axes.texts))
        }
        sheet = figure.bbox
        for text, box in boxes.items():
            assert sheet.x0 <= box.x0 and box.x1 <= sheet.x1, text.get_text()  # noqa: PT018
            assert sheet.y0 <= box.y0 and box.y1 <= sheet.y1, text.get_text()  # noqa: PT018
        names = [boxes[text] for text in figure.axes[0].texts]
        assert len(names) > 10
        # Extents reach below the base line, where codes in small letters and digits have next to nothing.
        assert not any(a.padded(-2).overlaps(b.padded(-2)) for a, b in combinations(names, 2))


def test_labels_never_overlap_each_other_or_what_is_taken() -> None:
    rng = np.random.default_rng(4)
    anchors = [(x, y, 5.0) for x, y in rng.uniform(100, 300, (30, 2)).tolist()]
    taken = [Box(left=0, bottom=0, right=120, top=120)]
    paper = Box(left=0, bottom=0, right=400, top=400)
    boxes = place_labels(anchors, [(30.0, 10.0)] * 30, [], taken, np.empty((0, 2)), paper, far=30)
    placed = [box for box in boxes if box is not None]
    assert len(placed) > 25
    assert not any(a.overlaps(b) for a, b in combinations([*placed, *taken], 2))


def test_dots_of_one_place_are_moved_apart_a_little_and_others_stay() -> None:
    points = np.vstack((np.zeros((20, 2)), [[200.0, 200.0]]))
    moved = spread(points, 6.0, 20.0)
    assert np.array_equal(moved[-1], [200, 200])
    assert np.hypot(*moved[:20].T).max() <= 20
    assert min(np.hypot(*(a - b)) for a, b in combinations(moved, 2)) > 5
    assert np.array_equal(moved, spread(points, 6.0, 20.0))


def test_the_order_of_drawing_favours_no_site() -> None:
    from catchment.figures.marks import Shape  # noqa: PLC0415

    axes = Figure().add_subplot()
    kinds = [(Shape(marker="os"[i >= 500], area=9, face="#0072B2"),) for i in range(1000)]
    draw_marks(axes, np.random.default_rng(0).uniform(0, 1, (1000, 2)), kinds, zorder=2)
    # Layers of the two sites take turns: neither lies wholly above the other.
    sizes = [len(np.asarray(collection.get_offsets())) for collection in axes.collections]
    assert sum(sizes) == 1000
    assert max(sizes) < 60
    circles = [np.size(collection.get_paths()[0].vertices) > 20 for collection in axes.collections]
    assert 0.4 < np.mean(np.flatnonzero(circles)) / np.mean(np.flatnonzero(~np.array(circles))) < 2.5


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_the_same_map_gives_the_same_bytes(suffix: str, tmp_path: FilePath) -> None:
    for number in (1, 2):
        save(catchment_map(some_dots(), SITES, title="Title"), tmp_path / f"{number}.{suffix}")
    one = (tmp_path / f"1.{suffix}").read_bytes()
    assert one == (tmp_path / f"2.{suffix}").read_bytes()
    assert one.startswith({"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[suffix])
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"1.{suffix}", f"2.{suffix}"]


def test_moves_are_drawn_the_same_twice(tmp_path: FilePath) -> None:
    for number in (1, 2):
        save(moves_map(some_changes(), SITES, title="Title"), tmp_path / f"{number}.svg")
    assert (tmp_path / "1.svg").read_bytes() == (tmp_path / "2.svg").read_bytes()


def test_a_file_name_must_end_in_png_svg_or_pdf(tmp_path: FilePath) -> None:
    for name in ("map.gif", "map", "map.png.bak"):
        with pytest.raises(CatchmentError, match=r"\.png, \.svg, \.pdf"):
            save(Figure(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_an_error_of_one_line(tmp_path: FilePath) -> None:
    with pytest.raises(CatchmentError, match="cannot write"):
        save(Figure(), tmp_path / "absent" / "map.png")


def test_hostile_text_is_drawn_as_text(tmp_path: FilePath) -> None:
    sites = [Site(code="$x^", town=HOSTILE, country="ZA", latitude=-26.0, longitude=28.0), *SITES]
    dots = [
        Dot(latitude=-26, longitude=28, site="$x^", verdict=Verdict.OK),
        Dot(latitude=-20, longitude=28, site=HOSTILE, verdict=Verdict.OK),
    ]
    changes = [change("$x^", HOSTILE)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for suffix in ("png", "svg", "pdf"):
            save(catchment_map(dots, sites, title=HOSTILE, subtitle=HOSTILE), tmp_path / f"map.{suffix}")
        save(moves_map(changes, sites, title="$$", subtitle="a$b$c_{"), tmp_path / "moves.svg")
    svg = (tmp_path / "map.svg").read_bytes()
    assert not any(control in svg for control in (b"\x00", b"\x1b"))


def test_text_is_printable_and_fits() -> None:
    assert printable("a\x00b\n\tc\u202ed") == "ab cd"
    assert printable("東") == "\N{REPLACEMENT CHARACTER}"
    assert printable("Zürich → Łódź · €") == "Zürich → Łódź · €"
    assert fitted("Johannesburg", 500, 10) == "Johannesburg"
    short = fitted("Johannesburg", 40, 10)
    assert short.endswith("…")
    assert width_of(short, 10) <= 40


@pytest.mark.parametrize("region", [None, "europe"])
def test_a_map_of_nothing_is_still_a_map(region: str | None, tmp_path: FilePath) -> None:
    save(catchment_map([], [], title="nothing", region=region), tmp_path / "map.png")
    save(moves_map([], SITES, title="nothing", region=region), tmp_path / "moves.png")
    save(moves_map([change("jnb", "lhr", None)], SITES, title="nowhere", region=region), tmp_path / "moves.png")
    unassigned = [Dot(latitude=1, longitude=2, site=None, verdict=Verdict.NO_RESULT)]
    save(catchment_map(unassigned, SITES, title="nobody"), tmp_path / "map.png")
