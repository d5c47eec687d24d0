"""The verbs: parse, call, print. Heavy imports stay inside the verbs, so that --help is instant."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cyberhans import __version__
from cyberhans.errors import CyberHansError
from cyberhans.printing import print_failure, print_json, progress, tell

if TYPE_CHECKING:
    from cyberhans.recording import Recording
    from cyberhans.spec import Spec

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Learn how one machine normally behaves, and put that ear on a microcontroller, bit for bit.",
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, and nothing else there.")]
DetectorFolder = Annotated[Path, typer.Argument(metavar="DETECTOR", help="A detector's folder, made by train.")]
Dataset = Annotated[Path | None, typer.Option(help="A folder with manifest.csv and protocols.csv.")]
ProtocolName = Annotated[str | None, typer.Option("--protocol", help="A protocol of the data set.")]
Kind = Annotated[str, typer.Option("--detector", help="autoencoder, forest or gaussian.")]
Compiler = Annotated[str, typer.Option(help="gcc, or zig: the clang of the pip package ziglang, for every board.")]
BoardName = Annotated[str, typer.Option("--board", help="What the detector is for; `cyberhans boards` lists them.")]


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"cyberhans {__version__}")
        raise typer.Exit()


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Options of every verb."""


@app.command()
def boards(as_json: Json = False) -> None:
    """List the boards: core, memory, and what this machine lacks to build for or run them."""
    from cyberhans import boards as rooms

    rows = [rooms.describe(board) for board in rooms.boards()]
    if as_json:
        return print_json(rows)
    for row in rows:
        memory = (
            f"{row['flash_bytes'] // 1024} KiB flash, {row['ram_bytes'] // 1024} KiB RAM" if row["ram_bytes"] else ""
        )
        typer.echo(f"{row['name']:<17} {row['title']:<57} {memory:<30} {row['missing'] or 'ready'}")


@app.command()
def simulate(
    machine: Annotated[str, typer.Argument(help="Which machine: pump (3-axis vibration) or fan (sound).")],
    out: Annotated[Path, typer.Option(help="The WAV file to write; its sidecar goes beside it.")],
    seconds: Annotated[float, typer.Option(help="Length.")] = 10.0,
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 0,
    fault: Annotated[str, typer.Option(help="none, imbalance, bearing_outer, ...: a wrong one lists all.")] = "none",
    severity: Annotated[float, typer.Option(help="0 (just begun) to 1 (about to fail).")] = 0.5,
    speed_rpm: Annotated[float | None, typer.Option(help="Shaft speed; default the machine's nominal one.")] = None,
    load: Annotated[float | None, typer.Option(help="Load, 0 to 1.")] = None,
    as_json: Json = False,
) -> None:
    """Make a physically based, synthetic recording of a machine, healthy or with a fault."""
    from cyberhans.recording import save_recording
    from cyberhans.simulate import simulate as make

    recording = make(
        machine, seconds=seconds, seed=seed, fault=fault, severity=severity, speed_rpm=speed_rpm, load=load
    )
    save_recording(recording, out)
    told = {"file": str(out), "samples": len(recording.samples), "rate_hz": recording.rate_hz, "synthetic": True}
    tell(told, as_json)


@app.command()
def inspect(
    files: Annotated[list[Path], typer.Argument(metavar="RECORDING...", help="int16 WAV files.")],
    as_json: Json = False,
) -> None:
    """Say what is in recordings: length, rate, level, crest, kurtosis, clipping, and what is wrong with them."""
    from cyberhans.inspection import inspect as look
    from cyberhans.recording import load_recording

    seen = [look(load_recording(path)) for path in files]
    if as_json:
        return print_json(seen)
    for row in seen:
        tell(row, False)


@app.command()
def train(
    out: Annotated[Path, typer.Option(help="The detector's folder.")],
    false_alarms: Annotated[
        float, typer.Option(help="False-alarm rate to keep, per window: 0.01 is one in a hundred.")
    ],
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="RECORDING...", help="Healthy recordings; one labelled anomaly is refused."),
    ] = None,
    dataset: Dataset = None,
    protocol: ProtocolName = None,
    detector: Kind = "autoencoder",
    spec: Annotated[str, typer.Option(help="auto, tiny, small, full or a TOML file.")] = "auto",
    board: BoardName = "netduinoplus2",
    seed: Annotated[int, typer.Option(help="Same recordings and seed, same bytes.")] = 0,
    uncalibrated: Annotated[bool, typer.Option(help="Go on with too few windows; every output then says so.")] = False,
    as_json: Json = False,
) -> None:
    """Learn a machine's normal behaviour from its recordings and write a detector's folder."""
    from cyberhans.train import train as fit

    normal = tuple(_taken_as_normal(recording) for recording in _recordings(files, dataset, protocol, "train"))
    made = fit(normal, kind=detector, spec=_choose_spec(spec, normal, board), false_alarm_rate=false_alarms, seed=seed,
               uncalibrated=uncalibrated)  # fmt: skip
    made.save(out)
    tell({"detector": str(out), **made.summary()}, as_json)


@app.command()
def evaluate(
    folder: DetectorFolder,
    dataset: Annotated[Path, typer.Option(help="A folder with manifest.csv and protocols.csv.")],
    protocol: Annotated[str, typer.Option(help="A protocol of the data set.")],
    as_json: Json = False,
) -> None:
    """Measure a detector on a protocol's test recordings, by the integer path that ships."""
    from cyberhans.dataset import load_protocol
    from cyberhans.detector import load_detector
    from cyberhans.evaluate import evaluate as measure

    tell(measure(load_detector(folder), load_protocol(dataset, protocol)), as_json)


@app.command()
def bench(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="A folder with manifest.csv and protocols.csv.")],
    protocol: Annotated[str, typer.Option(metavar="GLOB", help="Which protocols: 'pump*'.")] = "*",
    seeds: Annotated[int, typer.Option(help="How many random starts: 0, 1, ...", min=1)] = 1,
    detector: Annotated[list[str] | None, typer.Option(help="autoencoder, forest, gaussian; default all.")] = None,
    false_alarms: Annotated[float, typer.Option(help="False-alarm rate to ask for, per window.")] = 0.02,
    board: Annotated[str, typer.Option(help="Whose flash to fill; `cyberhans boards` lists them.")] = "netduinoplus2",
    jobs: Annotated[int, typer.Option(help="Processes; 0: one for each core. The figures are the same.", min=0)] = 0,
    together: Annotated[list[str] | None, typer.Option(metavar="GLOB", help="Protocols that are one group.")] = None,
    apart: Annotated[list[str] | None, typer.Option(metavar="GLOB", help="Protocols that are in no group.")] = None,
    as_json: Json = False,
) -> None:
    """Train and measure every detector on every protocol of a data set, by one rule: figures, and their means."""
    from cyberhans.bench import bench as measure
    from cyberhans.bench_summary import lines
    from cyberhans.detectors import KINDS

    found = measure(
        dataset, protocols=protocol, kinds=tuple(detector or KINDS), seeds=seeds, false_alarm_rate=false_alarms,
        board_name=board, jobs=jobs, together=together or (), apart=apart or (),
        note=progress,
    )  # fmt: skip
    if as_json:
        print_json(found)
    else:
        typer.echo("\n".join(lines(found)))
    if all(row["reason"] for row in found["rows"]):
        raise typer.Exit(1)  # nothing was measured


@app.command()
def build(
    folder: DetectorFolder,
    board: Annotated[str, typer.Option(help="The board to build for; `cyberhans boards` lists them.")],
    out: Annotated[Path, typer.Option(help="Where the image goes.")],
    compiler: Compiler = "gcc",
    as_json: Json = False,
) -> None:
    """Build a board's firmware with this detector, and say what it takes."""
    from cyberhans.build import build as make

    tell(make(folder, board, out, compiler=compiler).to_dict(), as_json)


@app.command()
def verify(
    folder: DetectorFolder,
    device: Annotated[str, typer.Option(help="A pyserial URL, or board:NAME, which builds and starts that board.")],
    files: Annotated[list[Path] | None, typer.Argument(metavar="RECORDING...", help="int16 WAV files.")] = None,
    dataset: Dataset = None,
    protocol: ProtocolName = None,
    image: Annotated[Path | None, typer.Option(help="With board:NAME: run this image instead of building one.")] = None,
    compiler: Compiler = "gcc",
    windows: Annotated[int | None, typer.Option(help="At most this many windows of each recording.", min=1)] = None,
    bulk: Annotated[bool, typer.Option(help="Samples from a file of this computer, not over the link.")] = False,
    as_json: Json = False,
) -> None:
    """Send samples to a device and compare its features, scores and verdicts with the host's, as bits."""
    from cyberhans.detector import load_detector
    from cyberhans.verify import verify_on

    if image and not device.startswith("board:"):
        raise typer.BadParameter("--image goes with --device board:NAME; a device behind a port runs what it holds")
    if compiler != "gcc" and (image or not device.startswith("board:")):
        raise typer.BadParameter("--compiler goes with --device board:NAME without --image; nothing else is built")
    recordings = _recordings(files, dataset, protocol, "test_normal", "test_anomaly")
    outcome = verify_on(
        device, load_detector(folder), recordings, image=image, compiler=compiler, limit=windows, bulk=bulk
    )
    tell(outcome.to_dict(), as_json)
    if not outcome.equal:
        raise typer.Exit(1)


@app.command()
def demo(
    board: Annotated[str, typer.Option(help="Where to run it; `cyberhans boards` lists them.")] = "netduinoplus2",
    out: Annotated[Path | None, typer.Option(help="Keep detectors and images here.")] = None,
    as_json: Json = False,
) -> None:
    """The main job on the synthetic demo set: train, build, start the board, compare bit for bit, and print a table."""
    from cyberhans.demo import HEADER, line
    from cyberhans.demo import demo as show

    rows: list[dict[str, Any]] = []
    for row in show(board, out, note=lambda text: typer.echo(text, err=True)):
        if not as_json:
            typer.echo(line(row) if rows else f"{HEADER}\n{line(row)}")
        rows.append(row)
    if as_json:
        print_json(rows)
    if not all(row["equal"] for row in rows):
        raise typer.Exit(1)


def _taken_as_normal(recording: Recording) -> Recording:
    """Whoever names an unlabelled recording to learn from says that it is normal; a labelled anomaly stays one."""
    return dataclasses.replace(recording, label="normal") if recording.label == "unknown" else recording


def _recordings(
    files: list[Path] | None, dataset: Path | None, protocol: str | None, *roles: str
) -> tuple[Recording, ...]:
    """The files named, or those roles of the protocol."""
    from cyberhans.dataset import load_protocol
    from cyberhans.recording import load_recording

    if files and dataset is None and protocol is None:
        return tuple(load_recording(path) for path in files)
    if not files and dataset is not None and protocol is not None:
        part = load_protocol(dataset, protocol)
        return tuple(recording for role in roles for recording in getattr(part, role))
    raise typer.BadParameter("give RECORDING..., or --dataset DIR with --protocol NAME")


def _choose_spec(name: str, recordings: tuple[Recording, ...], board_name: str) -> Spec:
    """`auto` and the named sizes through the one rule of spec.design; anything else is a TOML file."""
    from cyberhans.boards import board
    from cyberhans.spec import SIZES, design, size_for_ram
    from cyberhans.spec_file import load_spec

    if not recordings:
        raise CyberHansError("no recordings to learn from: give at least one labelled normal")
    if name != "auto" and name not in SIZES:
        return load_spec(name)
    size = size_for_ram(board(board_name).ram_bytes) if name == "auto" else name
    first = recordings[0]
    return design(size, first.rate_hz, first.samples.shape[1], min(r.segment_len for r in recordings))


def main() -> None:
    """Entry point: a failure is one line on standard error and exit code 1; bad usage 2; --debug shows tracebacks."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if "--debug" in sys.argv:
            raise
        print_failure(error)
        sys.exit(1)


if __name__ == "__main__":
    main()
