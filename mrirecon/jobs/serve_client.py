"""One client of the server: its data in, its images out, and a close message whatever happens."""

from __future__ import annotations

import contextlib
import socket
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from mrirecon.config.schema import ReconstructionConfig
from mrirecon.errors import FormatError, MrireconError
from mrirecon.io.intensity import series_intensity
from mrirecon.jobs.export import SPREAD_MULTIPLE
from mrirecon.jobs.reporting import Reporter, StandardError
from mrirecon.jobs.serve_budget import Chosen, Reconstructors
from mrirecon.jobs.serve_worker import Failed, Resources
from mrirecon.scan import ImageSeries
from mrirecon.serving.mrd.attributes import series_attributes
from mrirecon.serving.mrd.connection import Connection
from mrirecon.serving.mrd.images import Pixels, outgoing_images
from mrirecon.serving.mrd.limits import Limits
from mrirecon.serving.mrd.measurement import Measurement, Volume, receive_measurement
from mrirecon.serving.mrd.messages import Disconnected
from mrirecon.serving.mrd.processes import Stopped, become_child, start_method

PRELOAD = ("mrirecon.jobs.serve_client", "torch.fx.experimental.symbolic_shapes", "numpy.ma", "numpy.random")
"""Imported once, before any client comes; all but the first are what torch and numpy import late (0.4 s)."""

_FOR_THE_END_S = 5.0
"""Of the total time, kept to send images or to say why there are none."""


@dataclass(frozen=True)
class ClientService:
    """Serves clients, each in a process of its own; can be copied there.

    Parameters
    ----------
    configs
        Reconstructions on offer.
    limits
        Of a connection.
    resources
        Of a process that reconstructs.
    budget_s
        Seconds from the end of the data to the images; when the method that was asked for takes longer, classical
        images are sent. None for no such limit.
    pixels
        How values are sent.
    conjugate
        Take the complex conjugate of all samples, see `read_ismrmrd`.
    """

    configs: Mapping[str, ReconstructionConfig]
    limits: Limits
    resources: Resources
    budget_s: float | None
    pixels: Pixels
    conjugate: bool

    def __call__(self, sock: socket.socket, number: int, folder: Path) -> None:
        """Body of the client's process."""
        become_child(stoppable=True)
        torch.set_num_threads(1)
        self.serve(Connection(sock, self.limits), folder=folder, reporter=StandardError(), name=f"client {number}")

    def serve(self, connection: Connection, *, folder: Path, reporter: Reporter, name: str) -> None:
        """From the first message to the close message, which is always sent.

        Nothing that a client sent is repeated to the reporter.
        """
        try:
            reporter.say(f"{name}: {_Session(self, connection, folder).run()}")
        except Stopped:
            _last_words(connection, "the server is stopping")
            reporter.say(f"{name}: ended because the server stops")
        except MrireconError as error:
            problem = str(error).replace(f"{folder}/", "")
            _last_words(connection, problem)
            reporter.warn(f"{name}: {problem}")
        except Exception as error:  # a client must never be left waiting; the text of the error could quote its data
            last = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(last.filename).name}:{last.lineno}"
            _last_words(connection, f"an internal error ({type(error).__name__}); see the log of the server")
            reporter.warn(f"{name}: internal error {type(error).__name__} at {place}")
        finally:
            connection.finish()


@dataclass
class _Sent:
    """Of one series: its number, the factor of its stored values, and how many images went out."""

    number: int
    factor: float
    images: int = 0


@dataclass
class _Session:
    service: ClientService
    connection: Connection
    folder: Path
    sent: dict[tuple[int, ...], _Sent] = field(default_factory=dict)
    n_images: int = 0
    n_fallbacks: int = 0
    work_s: float = 0.0

    def run(self) -> str:
        """Serve the client; what was done, for the log."""
        service = self.service
        with contextlib.ExitStack() as processes:
            started: list[Reconstructors] = []

            def begin(config: str) -> None:
                workers = Reconstructors(
                    service.configs[config],
                    budgeted=service.budget_s is not None,
                    folder=self.folder,
                    resources=service.resources,
                    context=start_method(PRELOAD),
                )
                started.append(processes.enter_context(workers))

            measurement = receive_measurement(
                self.connection, names=service.configs, folder=self.folder, limits=service.limits, begin=begin
            )
            if measurement is None:
                return "closed without a measurement"
            complete = time.monotonic()
            self._reconstruct(measurement, started[0], complete)
            fallbacks = f", classical instead in {self.n_fallbacks} volumes" if self.n_fallbacks else ""
            elapsed = time.monotonic() - complete
            return (
                f"{measurement.config}, {len(measurement.heads)} acquisitions, {measurement.n_ignored} other messages, "
                f"{self.n_images} images{fallbacks}, {elapsed:.3f} s after the last data, {self.work_s:.3f} s of them "
                "reconstruction"
            )

    def _reconstruct(self, measurement: Measurement, workers: Reconstructors, complete: float) -> None:
        budget, remaining = self.service.budget_s, measurement.n_volumes
        for volume in measurement.volumes(conjugate=self.service.conjugate):
            now = time.monotonic()
            last = now + self.connection.seconds_left - _FOR_THE_END_S
            deadline = None if budget is None else now + (complete + budget - now) / remaining
            remaining -= 1
            chosen = workers.reconstruct(volume.scan, deadline=deadline, last=last)
            if isinstance(chosen, Failed):
                raise FormatError("stream", f"no image could be made: {chosen.reason}")
            self._send(volume, chosen, measurement.config)

    def _send(self, volume: Volume, chosen: Chosen, config: str) -> None:
        made = chosen.made
        self.work_s += made.seconds
        if chosen.fallback:
            self.n_fallbacks += 1
            self.connection.send_text(
                "WARNING", f"classical reconstruction (CG-SENSE) instead of {config}: {chosen.fallback}"
            )
        for warning in made.series.warnings:
            self.connection.send_text("WARNING", warning)
        for note in made.notes:
            self.connection.send_text("INFO", note)
        factor = self._send_series(volume, made.series, chosen.fallback, config, factor=None)
        if made.spread is not None:
            self._send_series(volume, made.spread, chosen.fallback, config, factor=SPREAD_MULTIPLE * factor)

    def _send_series(
        self, volume: Volume, series: ImageSeries, fallback: str | None, config: str, *, factor: float | None
    ) -> float:
        """Send one volume of a series; the factor of its stored values.

        Repetitions are one series and keep the factor of the first one, so that they can be compared.
        """
        counters = volume.counters
        key = (counters["contrast"], counters["set"], counters["phase"], int(series.quantity != "magnitude"))
        sent = self.sent.get(key)
        intensity = series_intensity(series, factor=factor if sent is None else sent.factor)
        if sent is None:
            sent = self.sent[key] = _Sent(len(self.sent) + 1, intensity.factor)
        if self.service.pixels == "int16" and intensity.n_clipped:
            self.connection.send_text(
                "WARNING", f"{intensity.n_clipped} voxels exceed the range of stored values and were clipped"
            )
        attributes = series_attributes(
            series, intensity, config=config, fallback=fallback, integers=self.service.pixels == "int16"
        )
        images = outgoing_images(
            series,
            volume,
            intensity=intensity,
            pixels=self.service.pixels,
            attributes=attributes,
            series_index=sent.number,
            first_index=sent.images + 1,
        )
        for image in images:
            self.connection.send_image(image.head, image.attributes, image.pixels)
            sent.images += 1
            self.n_images += 1
        return sent.factor


def _last_words(connection: Connection, problem: str) -> None:
    with contextlib.suppress(Disconnected):
        connection.send_text("ERROR", problem)
