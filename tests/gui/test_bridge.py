from __future__ import annotations

import threading

import factories
import pytest
from gui.fake_engine import live, map_view, tracked
from PyQt6.QtCore import QThread
from PyQt6.QtWidgets import QApplication

from her2scope.pipeline.live import CameraPhase, CameraStatus, Message, Severity
from her2scope.records import TrackedFrame
from her2scope.ui.bridge import LiveBridge, NewestSlot

RESULT = factories.counted_field({}, "empty.png")


def in_thread(work):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_slot_keeps_the_newest_and_calls_once():
    slot: NewestSlot[int] = NewestSlot()
    assert slot.put(1)
    assert not slot.put(2)
    assert slot.take() == 2
    assert slot.take() is None
    assert slot.replaced == 1
    assert slot.put(3)


def test_flood_from_a_thread_leaves_one_delivery_with_the_newest_frame(qapp, monkeypatch):
    bridge = LiveBridge()
    seen: list[TrackedFrame] = []
    wake_ups: list[TrackedFrame] = []
    bridge.frame_changed.connect(seen.append)
    put = bridge.frames.put
    monkeypatch.setattr(bridge.frames, "put", lambda frame: put(frame) and not wake_ups.append(frame))
    frames = [TrackedFrame(RESULT.frame, x_um=float(place)) for place in range(10_000)]

    in_thread(lambda: [bridge.on_frame(frame) for frame in frames])
    QApplication.processEvents()

    assert [frame.x_um for frame in seen] == [9_999.0]
    assert wake_ups == [frames[0]]
    assert bridge.frames.replaced == 9_999


def test_flood_while_the_gui_works_never_queues_more_than_one(qapp):
    bridge = LiveBridge()
    seen: list[float] = []
    bridge.frame_changed.connect(lambda frame: seen.append(frame.x_um))
    done = threading.Event()

    def flood() -> None:
        for place in range(10_000):
            bridge.on_frame(TrackedFrame(RESULT.frame, x_um=float(place)))
        done.set()

    thread = threading.Thread(target=flood)
    thread.start()
    while not done.is_set():
        QApplication.processEvents()
    thread.join()
    QApplication.processEvents()
    QApplication.processEvents()

    assert seen == sorted(seen)
    assert seen[-1] == 9_999.0
    assert len(seen) + bridge.frames.replaced == 10_000


def test_everything_arrives_on_the_gui_thread(qapp):
    bridge = LiveBridge()
    threads = []
    for signal in (bridge.frame_changed, bridge.result_changed, bridge.case_changed, bridge.message_posted):
        signal.connect(lambda _value: threads.append(QThread.currentThread()))

    def engine() -> None:
        bridge.on_frame(tracked(RESULT))
        bridge.on_result(live(RESULT))
        bridge.on_case(factories.case_view())
        bridge.on_message(Message(Severity.INFO, "text"))

    in_thread(engine)
    QApplication.processEvents()
    assert threads == [qapp.thread()] * 4


def test_cases_cameras_and_messages_are_never_dropped(qapp):
    bridge = LiveBridge()
    cases, cameras, messages = [], [], []
    bridge.case_changed.connect(cases.append)
    bridge.camera_changed.connect(cameras.append)
    bridge.message_posted.connect(messages.append)
    views = [factories.case_view(case_id=f"case {n}") for n in range(20)]

    def engine() -> None:
        for n, view in enumerate(views):
            bridge.on_case(view)
            bridge.on_camera(CameraStatus(CameraPhase.LIVE, f"{n}"))
            bridge.on_message(Message(Severity.INFO, f"{n}"))

    in_thread(engine)
    QApplication.processEvents()
    assert cases == views
    assert [item.text for item in cameras] == [item.text for item in messages] == [str(n) for n in range(20)]


def test_the_newest_map_comes_and_every_change_of_the_sweep(qapp):
    bridge = LiveBridge()
    maps, sweeps = [], []
    bridge.map_changed.connect(maps.append)
    bridge.sweep_changed.connect(sweeps.append)
    views = [map_view(n, n) for n in range(100)]

    def engine() -> None:
        for n, view in enumerate(views):
            bridge.on_map(view)
            bridge.on_sweep(n % 2 == 0)

    in_thread(engine)
    QApplication.processEvents()
    assert maps == [views[-1]] and bridge.maps.replaced == 99
    assert sweeps == [True, False] * 50


@pytest.mark.parametrize("when", ["before", "after"])
def test_nothing_comes_through_a_closed_bridge(qapp, when):
    bridge = LiveBridge()
    seen = []
    bridge.frame_changed.connect(seen.append)
    bridge.case_changed.connect(seen.append)
    bridge.map_changed.connect(seen.append)
    bridge.sweep_changed.connect(seen.append)
    if when == "before":
        bridge.on_frame(tracked(RESULT))
    bridge.close()
    if when == "after":
        bridge.on_frame(tracked(RESULT))
        bridge.on_case(factories.case_view())
        bridge.on_map(map_view())
        bridge.on_sweep(True)
    QApplication.processEvents()
    assert seen == []
