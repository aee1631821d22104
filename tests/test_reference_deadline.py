"""A reference solution that takes longer than the time limit hangs no run."""

import ctypes
import sys
import time
from contextlib import suppress

import pytest

import optlab as ol
from optlab.lab.workers import reference_deadline
from tests.open_problem import Ripples

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes are not forked there")


class Endless(Ripples):
    """A problem whose reference is looked for in C, where no exception reaches it, for ever."""

    def reference(self):
        while True:
            with suppress(BaseException):  # careless, as a person's own may be
                ctypes.PyDLL(None).sleep(1000)


class Raises(Ripples):
    def reference(self):
        raise ValueError("no reference today")


@pytest.mark.parametrize("isolate", [False, True])
def test_an_endless_reference_ends_in_a_sentence_before_anything_runs(isolate, new_children):
    problems = [Ripples.drawn(), Endless.drawn(name="endless")]
    begun = time.monotonic()
    message = "reference solution of problem 'endless' was not found within the time limit of 0.3 s"
    with pytest.raises(ValueError, match=message):
        ol.compare(
            problems, ol.ManualSGD(), execution=ol.Execution(time_limit=0.3, isolate=isolate)
        )
    assert time.monotonic() - begun < 60
    assert not new_children()


def test_what_a_reference_raises_is_told_as_without_a_limit():
    errors = []
    for limit in (None, 5.0):
        with pytest.raises(ValueError, match="no reference today") as caught:
            ol.compare(
                Raises.drawn(), ol.ManualSGD(), epochs=1, execution=ol.Execution(time_limit=limit)
            )
        errors.append(str(caught.value))
    assert errors[0] == errors[1]


def test_ctrl_c_ends_the_process_that_looks_for_the_reference(monkeypatch, new_children):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(reference_deadline.time, "sleep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        reference_deadline.check_references({"endless": Endless.drawn()}, 5.0)
    assert not new_children()
