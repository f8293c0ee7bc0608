"""All commands, put together."""

from __future__ import annotations

import typer

from fsh.cli import (
    animate,
    demo,
    doctor,
    evaluate,
    export,
    forget,
    ingest,
    inspect,
    live,
    options,
    personalize,
    shard,
    train,
    verify,
)

app = typer.Typer(
    name="fsh",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""From videos of talking people to a few-shot talking head.

The way through, in one working folder, each command resumable:

`fsh ingest urls.txt` → `fsh shard` → `fsh inspect` → `fsh train` →
`fsh personalize --photos dir/` → `fsh animate --person people/NAME --driving talk.mp4 -o out.mp4`

`fsh demo` walks it on sample clips. Exit status: 0 done, 1 an expected failure told in one line,
2 wrong usage, 128 + its number if a signal stopped it (130: Ctrl-C).""",
)

app.command("ingest", context_settings=options.ENGINE_FLAGS)(ingest.ingest)
app.command("shard", context_settings=options.ENGINE_FLAGS)(shard.shard)
app.command("inspect")(inspect.inspect)
app.command("train")(train.train)
app.command("personalize")(personalize.personalize)
app.command("animate")(animate.animate)
app.command("live")(live.live)
app.command("evaluate")(evaluate.evaluate)
app.command("export")(export.export)
app.command("verify")(verify.verify)
app.command("forget")(forget.forget)
app.command("demo")(demo.demo)
app.command("doctor")(doctor.doctor)
