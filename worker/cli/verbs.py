"""`parhelion runs` verbs: what operators do to runs. Each leaves who and why in the run's history."""

import json
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer

from worker.assemble.store import Store
from worker.cli.acting import Reason, Yes, ask, attempt, by, confirm, report
from worker.cli.output import Format, Output, stop
from worker.cli.runs import RunId, find, show_runs
from worker.cli.store import with_store
from worker.journal.reading import Reader
from worker.journal.records import RunRecord
from worker.journal.verbs import NoSuchRun, NotPossible, Operator

Step = Annotated[str, typer.Argument(help="The step's id, as `runs show` shows it.")]
MaybeRun = Annotated[str | None, typer.Argument(help="One run.")]
OfWorkflow = Annotated[str | None, typer.Option("--workflow", help="All runs of this workflow.")]


def retry(
    run_id: MaybeRun = None,
    from_step: Annotated[str | None, typer.Option("--from", help="Do this step and all later ones again.")] = None,
    workflow: OfWorkflow = None,
    error: Annotated[str | None, typer.Option(help="All failed runs whose error contains this.")] = None,
    client: Annotated[str | None, typer.Option(help="All failed runs of this client.")] = None,
    reason: Reason = "",
    yes: Yes = False,
    output: Output = Format.TABLE,
) -> None:
    """Let a failed or waiting run go on now; or, by filter, all failed runs that match."""
    if run_id is not None:
        _act(run_id, "retried", output, lambda store: _retry_one(store, run_id, from_step, by(reason)))
        return
    if workflow is None and error is None and client is None:
        stop("name a run, or choose failed ones with --workflow, --error or --client", 2)
    wanted = _Filter(workflow, error, client)
    matching = with_store(lambda store: wanted.matching(store.reader))
    if not matching:
        stop("no failed run matches", 4)
    if not yes:
        show_runs(matching, Format.TABLE)
        ask(f"Retry these {len(matching)} runs?")
    results = with_store(lambda store: _retry_all(store, [run.id for run in matching], by(reason)))
    report(results, "retried", output)


def skip(run_id: RunId, step: Step, reason: Reason = "", yes: Yes = False, output: Output = Format.TABLE) -> None:
    """Leave out a step whose result nobody needs; the run ends as succeeded_with_skips."""
    confirm(yes, f"Skip step {step} of run {run_id}?")
    _act(run_id, f"goes on without {step}", output, lambda store: store.verbs.skip(run_id, by(reason), step))


def mark_done(
    run_id: RunId,
    step: Step,
    result: Annotated[str, typer.Option(help="The step's result as JSON; it must fit the step's type.")],
    reason: Reason = "",
    yes: Yes = False,
    output: Output = Format.TABLE,
) -> None:
    """Put a result in a step's place: you have done by hand what it should do."""
    value = _json(result, "--result")
    confirm(yes, f"Mark step {step} of run {run_id} as done?")
    _act(run_id, f"goes on after {step}", output, lambda store: store.verbs.mark_done(run_id, by(reason), step, value))


def cancel(run_id: RunId, reason: Reason = "", yes: Yes = False, output: Output = Format.TABLE) -> None:
    """End a run. What it has done stays done."""
    confirm(yes, f"Cancel run {run_id}?")
    _act(run_id, "cancelled", output, lambda store: store.verbs.cancel(run_id, by(reason)))


def approve(
    run_id: RunId,
    answer: Annotated[str, typer.Option(help="What the run asks for beside the yes, as JSON.")] = "null",
    use: Annotated[int | None, typer.Option(help="The run asks which client is meant: this one, by its id.")] = None,
    create_new: Annotated[bool, typer.Option("--create-new", help="It is none of those: make a new one.")] = False,
    reason: Reason = "",
    yes: Yes = False,
    output: Output = Format.TABLE,
) -> None:
    """Say yes to what a run asks."""
    value = _answer(answer, use, create_new=create_new)
    confirm(yes, f"Approve what run {run_id} asks?")
    _act(
        run_id,
        "approved",
        output,
        lambda store: store.verbs.decide(run_id, by(reason), approved=True, answer=value),
    )


def reject(run_id: RunId, reason: Reason = "", yes: Yes = False, output: Output = Format.TABLE) -> None:
    """Say no to what a run asks: it ends as cancelled."""
    confirm(yes, f"Reject what run {run_id} asks, and so cancel it?")
    _act(run_id, "rejected", output, lambda store: store.verbs.decide(run_id, by(reason), approved=False))


def pause(
    run_id: MaybeRun = None,
    workflow: OfWorkflow = None,
    everything: Annotated[bool, typer.Option("--all", help="Every run: the switch for a vendor's outage.")] = False,
    reason: Reason = "",
    yes: Yes = False,
    output: Output = Format.TABLE,
) -> None:
    """Let a run, a workflow or everything stand still; deliveries are still taken."""
    scope = _scope(run_id, workflow, everything=everything)
    confirm(yes, f"Pause {scope}?")
    _act(scope, "paused", output, lambda store: store.verbs.pause(scope, by(reason)))


def resume(
    run_id: MaybeRun = None,
    workflow: OfWorkflow = None,
    everything: Annotated[bool, typer.Option("--all", help="What `pause --all` has paused.")] = False,
    reason: Reason = "",
    yes: Yes = False,
    output: Output = Format.TABLE,
) -> None:
    """Let what was paused go on."""
    scope = _scope(run_id, workflow, everything=everything)
    confirm(yes, f"Resume {scope}?")
    _act(scope, "resumed", output, lambda store: store.verbs.resume(scope, by(reason)))


class _Filter:
    """Which failed runs are meant."""

    def __init__(self, workflow: str | None, error: str | None, client: str | None) -> None:
        self._workflow, self._error, self._client = workflow, error, client

    async def matching(self, reader: Reader) -> list[RunRecord]:
        return [run for run in await reader.runs(state="failed") if self._matches(run.summary())]

    def _matches(self, run: dict[str, Any]) -> bool:
        return (
            self._workflow in (None, run["workflow"])
            and (self._client or "").casefold() in run["client"].casefold()
            and (self._error or "").casefold() in (run["error"] or "").casefold()
        )


async def _retry_one(store: Store, run_id: str, from_step: str | None, by: Operator) -> None:
    await store.verbs.retry(run_id, by, forget=await _from(store, run_id, from_step) if from_step else ())


async def _from(store: Store, run_id: str, from_step: str) -> list[str]:
    """List a step and those after it."""
    steps = [step["id"] for step in (await find(store.reader, run_id)).steps()]
    if from_step not in steps:
        stop(f"run {run_id} has no step {from_step!r}: it has {', '.join(steps) or 'none yet'}", 4)
    return steps[steps.index(from_step) :]


async def _retry_all(store: Store, run_ids: list[str], by: Operator) -> list[dict[str, str]]:
    return [await attempt(run_id, store.verbs.retry(run_id, by)) for run_id in run_ids]


def _act(subject: str, done: str, output: Format, act: Callable[[Store], Awaitable[Any]]) -> None:
    """Do one act; end the command with exit code 4 if there is no such run, 1 if it is not possible."""
    try:
        with_store(act)
    except NoSuchRun as error:
        stop(f"{error}: `parhelion runs list` shows those there are", 4)
    except NotPossible as error:
        stop(str(error), 1)
    report([{"id": subject, "problem": ""}], done, output)


def _answer(answer: str, use: int | None, *, create_new: bool) -> Any:
    if (answer != "null") + (use is not None) + create_new > 1:
        stop("give one of --answer, --use and --create-new", 2)
    if use is not None:
        return {"use": use}
    return {"create_new": True} if create_new else _json(answer, "--answer")


def _scope(run_id: str | None, workflow: str | None, *, everything: bool) -> str:
    chosen = [f"run:{run_id}"] * bool(run_id) + [f"workflow:{workflow}"] * bool(workflow) + ["all"] * everything
    if len(chosen) != 1:
        stop("name one: a run, --workflow NAME or --all", 2)
    return chosen[0]


def _json(text: str, option: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        stop(f"{option} is not JSON: {error}", 2)
