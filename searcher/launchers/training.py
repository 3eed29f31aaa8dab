"""Running one job: the same few lines for every launcher, whatever process they run in."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from typing import Any

from searcher.launchers.job import End, Ended, Job
from searcher.launchers.messages import Hearing, Unusable
from trainers.errors import OwnCodeError, TrainerError
from trainers.progress import Progress


def run_job(job: Job) -> Iterator[Progress | Ended]:
    """What the trainer says, then how it ended. Raises nothing: a failure is data."""
    try:
        yield from _start(job)
    except TrainerError as error:
        yield Ended(End.MISTAKE, str(error))
    except Exception as error:
        end = End.OUT_OF_MEMORY if _is_out_of_memory(error) else End.ERROR
        yield Ended(end, f"{type(error).__name__}: {error}", traceback.format_exc())
    else:
        yield Ended(End.FINISHED)


def is_fit(last: Progress | Ended | None) -> bool:
    """Whether a process whose job ended so can take another: an error may have cost it its GPU context.

    `last` is None for a job that was stopped.
    """
    import torch

    failed = isinstance(last, Ended) and last.end is End.ERROR
    on_cuda = bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]
    if on_cuda and not failed:
        torch.cuda.empty_cache()  # for the neighbours on the device
    return not (failed and on_cuda)


def _start(job: Job) -> Iterator[Progress]:
    if job.trainer is None:
        from trainers.config import config_from
        from trainers.loop import train

        yield from train(config_from(job.settings))
        return
    stream = _own_stream(job.trainer, job.settings)
    if not hasattr(stream, "__next__"):
        raise OwnCodeError(
            f"trainer {job.trainer!r} has to be a generator of Progress, but returned "
            f"{type(stream).__name__}; use 'yield' in it"
        )
    hearing = Hearing()
    for progress in stream:
        if not isinstance(progress, Progress):
            raise OwnCodeError(
                f"trainer {job.trainer!r} has to yield trainers.progress.Progress, but yielded "
                f"{type(progress).__name__}"
            )
        try:
            message = hearing.take(progress)
        except Unusable as error:
            raise OwnCodeError(
                f"trainer {job.trainer!r} yielded a Progress that cannot be used: {error}"
            ) from None
        yield message


def _own_stream(trainer: str, settings: Mapping[str, Any]) -> Any:
    """What a trainer gives that is not the one that comes along."""
    from trainers.tabulated import LINE, is_replay, replay, table_of

    if is_replay(trainer):
        return replay(table_of(trainer, settings.get("data_dir")), settings[LINE])
    from trainers.owncode import load_object
    from trainers.seeds import seed_everything

    seed_everything(int(settings.get("seed", 0)))
    return load_object(trainer, "trainer")(dict(settings))


def _is_out_of_memory(error: Exception) -> bool:
    from trainers.memory import is_out_of_memory  # loads torch

    return is_out_of_memory(error)
