"""nlpseq align: rotate word vectors into the space of other word vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from nlpseq.core.resources import count_text

from ._app import Command
from ._inputs import open_vectors, read_words
from ._options import force_option, loading_options, required_output_option
from ._output import print_path, say, say_warning
from ._training import lock_result

__all__ = ["align"]

MAX_SHOWN = 5  # anchors in a message


@click.command(
    cls=Command,
    examples=[
        "nlpseq align old.w2v new.w2v -o aligned.w2v",
        "nlpseq align old.w2v new.w2v --anchors anchors.txt -o anchored.w2v",
    ],
)
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@required_output_option
@click.option(
    "--anchors",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="words that the rotation brings together, one a line [default: 10,000 most frequent shared words]",
)
@loading_options
@force_option
def align(a: Path, b: Path, output: Path, anchors: Path | None, force: bool, **loading: Any) -> None:
    """Rotate the vectors of B into the space of A.

    Words of A and B can be compared after the rotation. The rotation is the orthogonal Procrustes solution:
    the anchors come together as far as possible, and no cosine within B changes. Words are ordered by the
    smaller of both counts, or by their place in vocabularies without counts. At least as many anchors as
    dimensions are needed. The vectors go to the folder DIR, whose path is printed; meta.json tells the number
    of anchors and their mean cosine before and after.
    """
    lock_result(output, force=force)
    from nlpseq.vectors.align import align as rotate

    target = open_vectors(a, **loading)
    words = None if anchors is None else read_words(target, anchors)
    vectors = rotate(target, open_vectors(b, **loading), words)
    found = vectors.meta["alignment"]
    found |= {"a": str(a), "b": str(b)}
    if left_out := found["left_out"]:
        some = ", ".join(left_out[:MAX_SHOWN])
        say_warning(
            f"{anchors}: {count_text(len(left_out), 'word')} without a vector in both models left out, such "
            f"as {some}. Name words of both models."
        )
    say(
        f"{count_text(found['anchors'], 'anchor')}; their mean cosine is {found['mean_cosine_after']:.4f}, "
        f"before the rotation {found['mean_cosine_before']:.4f}"
    )
    vectors.save(output, force=force)
    print_path(output)
