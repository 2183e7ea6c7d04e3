"""The order inside a level: ours as written, strangers' where they wish, the same each time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from graphopt.errors import SpecError
from graphopt.pipeline.order import Place, in_order

OURS = tuple(Place(name, "us") for name in "abcd")


def order(*strangers: Place) -> str:
    return "".join(in_order((*OURS, *strangers), "us"))


def test_strangers_come_last_in_their_own_order() -> None:
    assert order(Place("y", "them"), Place("x", "them")) == "abcdyx"


def test_after_is_right_after_and_before_is_right_before() -> None:
    assert order(Place("x", "them", after=("b",))) == "abxcd"
    assert order(Place("x", "them", before=("b",))) == "axbcd"
    assert order(Place("x", "them", after=("b", "c"))) == "abcxd"
    assert order(Place("x", "them", after=("a",), before=("d",))) == "axbcd"


def test_several_after_the_same_keep_their_order() -> None:
    assert order(Place("x", "them", after=("b",)), Place("y", "them", after=("b",))) == "abxycd"


def test_a_chain_of_wishes() -> None:
    assert order(Place("x", "them", after=("y",)), Place("y", "them", after=("a",))) == "ayxbcd"


def test_a_wish_about_a_pass_that_is_not_there_is_void() -> None:
    assert order(Place("x", "them", after=("nobody",))) == "abcdx"


def test_a_pass_of_ours_may_run_twice() -> None:
    places = [Place(name, "us") for name in ("a", "b", "a")]
    assert in_order([*places, Place("x", "them", after=("a",)), Place("y", "them", before=("a",))], "us") == ("y", "a", "b", "a", "x")


wishes = st.lists(st.sampled_from("abcdwxyz"), max_size=2).map(tuple)
strangers = st.lists(
    st.builds(Place, st.sampled_from("wxyz"), st.just("them"), wishes, wishes),
    max_size=4,
    unique_by=lambda place: place.name,
)


@given(strangers)
def test_every_wish_is_kept_or_the_circle_is_an_error(places: list[Place]) -> None:
    try:
        found = order(*places)
    except SpecError:
        return
    assert sorted(found) == sorted(place.name for place in (*OURS, *places))
    assert [name for name in found if name in "abcd"] == list("abcd")
    for place in places:
        assert all(found.index(name) < found.index(place.name) for name in place.after if name in found)
        assert all(found.index(name) > found.index(place.name) for name in place.before if name in found)
