"""`graphopt report`."""

from __future__ import annotations

from pathlib import Path

import click

from graphopt.cli.shared import python_warnings_told, warn

EPILOG = """\b
graphopt report model.onnx -o model.html
graphopt report model.onnx smaller.onnx -o both.html
graphopt optimize model.onnx -o smaller.onnx --report run.html
"""


@click.command(epilog=EPILOG)
@click.argument("before", metavar="BEFORE", type=click.Path(path_type=Path, readable=False))
@click.argument("after", metavar="[AFTER]", required=False, type=click.Path(path_type=Path, readable=False))
@click.option("-o", "--output", required=True, metavar="FILE.html", type=click.Path(path_type=Path, dir_okay=False), help="The page.")
@click.option("--allow-outside", is_flag=True, help="External data may lie outside the folders of the models.")
def report(before: Path, after: Path | None, output: Path, allow_outside: bool) -> None:
    """Draw the model BEFORE as one HTML page that needs no network: operators, weights, and the graph, to search and to walk through.

    With AFTER both stand side by side, and what differs is marked: nodes are matched by name, then by the names of what they make, then by
    what they are and read. What a run did, rewrite by rewrite, only the run itself can say: `graphopt optimize --report FILE.html`.
    """
    from graphopt.cli.diff import loaded
    from graphopt.cli.progress import StatusLine
    from graphopt.errors import SpecError
    from graphopt.infer.model import infer_model
    from graphopt.io.files import refuse_unwritable
    from graphopt.observe.report import Report, is_page
    from graphopt.pipeline.job import file_bytes

    if not is_page(output):
        raise SpecError(f"-o {output}: the page needs a name that ends in .html; for data see `graphopt stat --json` and `diff --json`")
    refuse_unwritable(output)
    models = []
    with StatusLine("loading", enabled=True), python_warnings_told(warn):
        for path in filter(None, (before, after)):
            models.append(loaded(path, allow_outside=allow_outside))
            infer_model(models[-1])
    made = Report.between(*models)
    made.source, made.file_bytes_before = str(before), file_bytes(before, models[0])
    if after is not None:
        made.output, made.file_bytes_after = str(after), file_bytes(after, models[1])
    made.write(output)
