"""A loop outlives the kernel that started it, and another kernel picks up its live view."""

from __future__ import annotations

from kernels import Kernel, kernel
from labs import Lab, alive
from places import until


def test_a_killed_kernel_loses_nothing(lab: Lab) -> None:
    lab.hold()
    first = Kernel(lab)
    cell = first.execute("%loop start --experiments 12 --seed 5")
    assert cell.status == "ok", cell.text
    lab.has_started(0)
    runner = lab.runner()
    first.kill()
    assert alive(runner), "the runner died with the kernel"

    lab.go(0, 1, 2)
    lab.has_finished(3)
    assert lab.runner() == runner

    with kernel(lab) as second:
        attached = second.execute("%loop start --experiments 12")
        assert attached.status == "ok", attached.text
        assert lab.runner() == runner, "the second start did not attach to the runner"

        watching = second.execute("%loop watch")
        assert watching.status == "ok", watching.text
        view = watching.of("display_data")[0]
        assert "text/html" in view["data"]
        display = view["transient"]["display_id"]

        # No cell runs now, and the view goes on.
        lab.go(3, 4)
        shown = second.wait_published(
            "update_display_data",
            lambda content: content["transient"]["display_id"] == display and "4" in content["data"]["text/plain"],
        )
        assert "text/html" in shown["content"]["data"]
        table = second.execute("%experiments")
        assert table.status == "ok", "the kernel answers while it watches"

        lab.go()
        waited = second.execute("%loop wait")
        assert waited.status == "ok", waited.text
        assert "val_bpb" in waited.text

    assert until(lambda: lab.status()["state"] == "idle", "the loop is over")
    found = lab.is_sound(12)
    assert lab.started() == [e["number"] for e in found], "an experiment ran twice"
