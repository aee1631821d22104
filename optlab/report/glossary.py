"""Glossary: the words of the report, each explained once, and marked where they stand."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup, escape


@dataclass(frozen=True)
class Term:
    """A word and its meaning; ``forms`` are what stands for it in texts and headings."""

    word: str
    meaning: str
    forms: tuple[str, ...] = ()
    in_texts: bool = True  # else it is marked in headings only, as texts use it otherwise too

    @property
    def id(self) -> str:
        """The anchor of its entry.

        Examples
        --------
        >>> Term("batch size", "").id
        'term-batch-size'
        """
        return "term-" + re.sub(r"\W|_", "-", self.word)


GLOSSARY = (
    Term(
        "batch size",
        "How many rows one step uses. “full” is all rows; “direct” stands for methods that make no "
        "steps, but compute the answer at once.",
        ("batch sizes",),
    ),
    Term(
        "best known",
        "The least loss that any trial recorded. It stands for the reference where none can be "
        "computed; the true minimum may be lower.",
        ("best known loss",),
    ),
    Term(
        "censored",
        "Only a bound is known: the best value tried is the last of its range, so that the optimum "
        "may lie beyond it; or a trial ended before its target, so that its time is longer than "
        "all that was measured.",
    ),
    Term(
        "certificate",
        "What shows how right a reference is: bounds on its error, computed apart from the "
        "optimizers that are compared. A certified reference has one.",
        ("certified",),
    ),
    Term(
        "contended",
        "A trial ran beside other trials of the experiment, which makes it slower. Its seconds are "
        "shown, and never ranked.",
        ("beside others", "beside other trials"),
    ),
    Term("converged", "The trial reached what it was to stop at (stop_at), and ended there."),
    Term(
        "digits",
        "How many decimal digits of the parameters are right: -log10 of the distance to the "
        "reference's parameters, relative to their norm. With 7 digits the answer is off by one "
        "part in ten million. float64 holds 15.95 digits, float32 7.2.",
        ("correct digits",),
    ),
    Term(
        "direct method",
        "A method that computes the answer at once, as by a matrix factorization. It has neither "
        "batches nor a learning rate.",
        ("direct methods", "direct"),
    ),
    Term(
        "diverged",
        "The loss grew instead of falling, so far that the trial was ended: the learning rate is "
        "too large for these data.",
    ),
    Term("epochs", "Passes over all rows of the data.", ("epoch",)),
    Term("finished", "The trial spent its whole budget, or computed its answer directly."),
    Term(
        "gradient evaluations",
        "How often the gradient was computed, counted in passes over all data. Methods that "
        "evaluate several times an epoch (L-BFGS, line searches) can be compared by it.",
        ("gradient evals", "gradient evaluations, in passes"),
    ),
    Term(
        "interval",
        "Where the true median probably lies: in 95 % of experiments of six trials or more the "
        "interval holds it. A single trial has none.",
        ("intervals",),
    ),
    Term(
        "learning rate",
        "How far a step goes along the negative gradient. Too small a rate takes long; too large a "
        "one diverges.",
        ("learning_rate", "learning rates"),
    ),
    Term(
        "noise floor",
        "The suboptimality at which mini-batches end at a constant learning rate, since each batch "
        "pulls another way. A smaller rate or a larger batch lowers it.",
        ("noise floors",),
    ),
    Term(
        "reference",
        "The solution that trials are judged by. It is certified (a proof comes with it), computed "
        "(a solver's answer), or the best known loss of all trials.",
        ("references",),
    ),
    Term(
        "shared",
        "The trial ran in a sweep: several settings were computed together in one pass. Its "
        "seconds are a share of that pass, and are never ranked.",
        in_texts=False,
    ),
    Term(
        "stop_at",
        "The goal at which a trial stops before its budget is spent: a share of what there was to "
        "gain (see target), or the value of a measure.",
    ),
    Term(
        "suboptimality",
        "The loss minus the reference's loss: how much is still to gain. 0 is perfect. In charts "
        "it is a share of that at the start.",
    ),
    Term(
        "target",
        "How near the reference an answer must be to count: a share of what there was to gain. "
        "1e-6: a millionth is left of the suboptimality at the start, or of that of the best "
        "constant prediction where it is less.",
        ("targets",),
        in_texts=False,
    ),
    Term(
        "unstable",
        "The seconds of a setting differ by more than 10 % between repeats (the interquartile "
        "range over the median): compare them with care.",
    ),
)
"""The terms, in the order of the alphabet."""

_FORMS = {form: term for term in GLOSSARY for form in (term.word, *term.forms)}

_IN_TEXTS = re.compile(
    r"(?<![\w-])({})(?![\w-])".format(
        "|".join(
            re.escape(form)
            for form in sorted(_FORMS, key=len, reverse=True)
            if _FORMS[form].in_texts
        )
    ),
    re.IGNORECASE,
)


_BEFORE_UNIT = re.compile(r"(?<=\d) (?=(?:s|ms|µs|ns)\b)")


def terms_of(headings: Iterable[str]) -> dict[str, str]:
    """Return the anchors of the headings that are terms, by heading.

    Examples
    --------
    >>> terms_of(["gradient evals", "machine"])
    {'gradient evals': 'term-gradient-evaluations'}
    """
    return {name: term.id for name in headings if (term := _FORMS.get(name))}


class TermLinks:
    """Escape texts, and make a link to its explanation of each term that a part has first there.

    Numbers of seconds are kept together with their unit.

    Examples
    --------
    >>> link = TermLinks()
    >>> link("2 digits <b>", "findings")
    Markup('2 <a class="term" href="#term-digits">digits</a> &lt;b&gt;')
    >>> link("3 digits", "findings"), link("3 digits")
    (Markup('3 digits'), Markup('3 <a class="term" href="#term-digits">digits</a>'))
    """

    def __init__(self) -> None:
        self._linked: set[tuple[str, str]] = set()

    def __call__(self, text: str, part: str = "") -> Markup:
        """Return a text with its links; without a ``part``, of each term its first place there."""
        linked = self._linked if part else set()
        pieces = []
        for place, piece in enumerate(_IN_TEXTS.split(text)):
            term = _FORMS[piece.lower()] if place % 2 else None
            if term is None or (part, term.word) in linked:
                pieces.append(escape(_BEFORE_UNIT.sub("\u00a0", piece)))
                continue
            linked.add((part, term.word))
            pieces.append(Markup('<a class="term" href="#{}">{}</a>').format(term.id, piece))
        return Markup("").join(pieces)
