"""The `serve` job: a server that reconstructs what scanners and other clients stream to it."""

from __future__ import annotations

import ipaddress
import os
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from mrirecon.errors import ConfigError
from mrirecon.jobs.plan import parse_size
from mrirecon.jobs.recon import require_device
from mrirecon.jobs.reporting import Reporter
from mrirecon.jobs.serve_client import PRELOAD, ClientService
from mrirecon.jobs.serve_configs import offered_configs
from mrirecon.jobs.serve_worker import Resources
from mrirecon.serving.mrd.images import Pixels
from mrirecon.serving.mrd.limits import Limits
from mrirecon.serving.mrd.listener import Listener
from mrirecon.serving.mrd.processes import start_method, wait_until_ready


@dataclass(frozen=True)
class ServeOptions:
    """What a server does.

    Parameters
    ----------
    host, port
        Where to listen. The protocol has neither encryption nor authentication, hence loopback.
    configs
        Folder of configurations on offer, None for those of the package.
    budget_s
        Seconds from the end of the data to the images, None for no limit.
    max_connections
        Clients at a time.
    limits
        Of one connection.
    pixels
        "int16" (0 to 4095, in rare cases more) or "float32".
    view
        Order of rows and columns: as "acquired", which scanners expect, or the "standard" radiological view.
    conjugate
        Conjugate all samples (opposite sign of the Fourier exponent).
    device, threads, memory
        Of every process that reconstructs; threads None divides the processors among the connections.
    spool
        Folder for data in progress, None for that of temporary files.
    """

    host: str = "127.0.0.1"
    port: int = 9002
    configs: Path | None = None
    budget_s: float | None = None
    max_connections: int = 4
    limits: Limits = field(default_factory=Limits)
    pixels: Pixels = "int16"
    view: Literal["acquired", "standard"] = "acquired"
    conjugate: bool = False
    device: str = "cpu"
    threads: int | None = None
    memory: str | None = "4G"
    spool: Path | None = None

    def __post_init__(self) -> None:
        if self.budget_s is not None and not self.budget_s > 0:
            raise ConfigError(f"the budget must be positive, got {self.budget_s:g} s")
        if self.max_connections < 1:
            raise ConfigError(f"at least one connection must be allowed, got {self.max_connections}")
        if self.threads is not None and self.threads < 1:
            raise ConfigError(f"at least one thread is needed, got {self.threads}")


def serve(options: ServeOptions, reporter: Reporter, *, stop: threading.Event | None = None) -> None:
    """Serve until `stop` is set, or until the process is interrupted.

    Raises
    ------
    MrireconError
        If the address, the device, a folder or the configurations cannot be used.
    """
    require_device(options.device)
    configs = offered_configs(options.configs, reporter)
    threads = options.threads or max(1, (os.cpu_count() or 1) // options.max_connections)
    service = ClientService(
        configs={name: replace(config, view=options.view) for name, config in configs.items()},
        limits=options.limits,
        resources=Resources(options.device, threads, None if options.memory is None else parse_size(options.memory)),
        budget_s=options.budget_s,
        pixels=options.pixels,
        conjugate=options.conjugate,
    )
    context = start_method(PRELOAD)
    with Listener(
        options.host,
        options.port,
        max_connections=options.max_connections,
        total_s=options.limits.total_s,
        spool=options.spool,
        context=context,
    ) as listener:
        host, port = listener.address
        if not _loopback(host):
            reporter.warn(
                f"{host} can be reached from other machines, and the protocol has neither encryption nor "
                "authentication: allow it only inside a closed network"
            )
        wait_until_ready(context)
        reporter.say(f"listening on {host}:{port}; configurations: {', '.join(sorted(configs))}")
        listener.serve(service, stop=stop)


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
