"""The worker: the agent's child process.  Gateway, camera and sensors; no motor, no decision.

    python -m pi_agent.worker --link-fd N --runtime-dir DIR [--state-dir DIR] [--config FILE] [--port N]

Started by the guardian only, and ends with it: the link closes, or the kernel
kills us.  Any thread that dies ends the process; the guardian then makes the
outputs neutral and starts a new one.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import logging
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

from pi_agent.camera import CameraFeed, LateCamera
from pi_agent.config import AgentConfig, board_model, is_simulated, load_config
from pi_agent.following import top_speed_mps, why_no_paths
from pi_agent.journal import set_up_logging
from pi_agent.link import GuardianLink, ToWorker, WorkerAlive, WorkerReady
from pi_agent.offers import OWN_NAMES, GuardianSilent, Offers
from pi_agent.pins import use_header
from pi_agent.procs import EXIT_CONFIG, be_killed_first, die_with_parent
from pi_agent.report import REPORT_SOCKET, Pulse, Report, ReportServer, uptime_s
from pi_agent.sensors.loading import load_sensors
from pi_agent.sensors.running import SensorRunner
from pi_agent.simulated.lens import SimulatedLens
from pi_agent.simulated.wiring import wire
from pynet_car.messages import Description, StreamInfo
from pynet_core.admission import EVERYWHERE, is_loopback
from pynet_core.discovery import ROBOT, why_not
from pynet_core.errors import ConfigError, LinkClosed, PynetError
from pynet_core.gateway import Gateway
from pynet_core.keys import Identity, secret_identity
from pynet_core.switching import SWITCH_INTERVAL_S
from pynet_core.trust import TRUST_FILE, TrustStore

WATCH_NS: Final = 250_000_000  # how often camera and sensors are looked after
MAX_PER_IDENTITY: Final = 16  # two windows of one device
SAFETY_PLACES: Final = 2  # of the pool: somebody can always press E-STOP
EXIT_ERROR: Final = 1  # a port that is taken, a device that is not there: another try may work
EXIT_CRASH: Final = 70  # EX_SOFTWARE: a thread died

log = logging.getLogger(__name__)


class Worker:
    """All that runs in the child process.  Belongs to the main thread, which reads the link."""

    def __init__(
        self, config: AgentConfig, link: GuardianLink, runtime_dir: Path, state_dir: Path | None = None
    ) -> None:
        """Claim the pins and load the sensors; nothing runs yet but the simulated pins.

        Raises:
            PynetError: What is wrong, in one line.
        """
        self._config = config
        self._runtime_dir = runtime_dir
        self._link = link
        self._ending = contextlib.ExitStack()
        self._simulated = is_simulated(config)
        if self._simulated:
            self._ending.callback(wire(runtime_dir).stop)
        else:
            use_header(runtime_dir)
        self._offers = Offers(link, self._describe)
        loaded = load_sensors(config, OWN_NAMES)
        self._broken = loaded.broken
        self._sensors = [
            SensorRunner(sensor, self._offers.publish, self._offers.tell) for sensor in loaded.sensors
        ]
        self._camera: CameraFeed | None = None
        if config.camera.enabled:
            lens = SimulatedLens(runtime_dir) if self._simulated else LateCamera(config.camera)
            self._camera = CameraFeed(lens, self._offers.publish_frame, self._offers.tell)
        self._gateway = self._make_gateway(state_dir)

    def run(self) -> None:
        """Listen, tell the guardian, and serve until it closes the link or somebody closes the gateway.

        Raises:
            PynetError: The port is taken, or the guardian is gone.
        """
        parts: list[SensorRunner | CameraFeed] = [*self._sensors]
        if self._camera is not None:
            parts.append(self._camera)
        with self._ending:
            report = ReportServer(self._runtime_dir / REPORT_SOCKET, self._report)
            report.listen()  # before the gateway does: who finds that one open may ask at once
            self._ending.callback(report.stop)
            self._gateway.start()
            self._ending.callback(self._gateway.stop)
            report.start()
            self._ending.callback(self._offers.close)  # streams end by themselves, before the gateway stops
            if not self._link.send(WorkerReady(port=self._gateway.port)):
                raise GuardianSilent("the guardian takes no messages")
            for part in parts:
                part.start()
                self._ending.callback(part.stop)
            self._serve(parts)

    def _serve(self, parts: Sequence[SensorRunner | CameraFeed]) -> None:
        poll = select.poll()
        poll.register(self._link, select.POLLIN)
        watch_ns = 0
        while self._gateway.is_running:
            poll.poll(WATCH_NS // 1_000_000)
            try:
                while (message := self._link.receive()) is not None:
                    self._offers.deliver(message)
                now_ns = time.monotonic_ns()
                if now_ns < watch_ns:
                    continue
                watch_ns = now_ns + WATCH_NS
                self._link.send(WorkerAlive())
            except LinkClosed:
                log.info("the guardian has closed the link")
                return
            for part in parts:
                part.watch(now_ns)
        log.warning("a peer has closed the gateway; the guardian will start it again")

    def _make_gateway(self, state_dir: Path | None) -> Gateway:
        settings = self._config.gateway
        host = settings.host or EVERYWHERE
        identity, trust = _identity_for(host, settings.tls, state_dir)
        self._keys = "secret" if secret_identity() else "identity" if identity else ""
        try:
            gateway = Gateway(
                settings.port,
                settings.max_poolsize,
                host=host,
                identity=identity,
                trust=trust,
                max_per_identity=MAX_PER_IDENTITY,
                safety_places=SAFETY_PLACES,
                # The agent offers no files: by default an admin could read all that its user can.
                roots=[],
                download_dir=str(self._runtime_dir / "uploads"),
                name=self._config.name,
                on_pair=self._offers.on_pair,
                announce=settings.announce and can_announce(),
                kind=ROBOT,
                switch_interval_s=SWITCH_INTERVAL_S,
            )
        except ValueError as exc:
            raise ConfigError(f"[gateway]: {exc}") from exc
        streams = [sensor.info.name for sensor in self._sensors]
        self._offers.register(gateway, [*streams, "camera"] if self._camera else streams)
        return gateway

    def _describe(self) -> Description:
        camera = []
        if self._camera is not None:
            period_s = 1 / self._config.camera.fps
            state = self._camera.state
            camera = [StreamInfo(name="camera", title="Camera", unit="JPEG", period_s=period_s, state=state)]
        return Description(
            name=self._config.name,
            board="simulated car" if self._simulated else board_model(),
            simulated=self._simulated,
            has_camera=self._camera is not None,
            streams=(*camera, *(sensor.info for sensor in self._sensors), *self._broken),
            max_throttle=self._config.drive.max_throttle,
            lifespan_ms=self._config.drive.lifespan_ms,
            top_speed_mps=top_speed_mps(self._config),
            why_no_paths=why_no_paths(self._config),
            version=importlib.metadata.version("pynet-swarm"),
        )

    def _report(self) -> Report:
        description, status = self._describe(), self._offers.status
        now_ns, guardian = time.monotonic_ns(), os.getppid()
        return Report(
            name=description.name,
            version=description.version,
            board=description.board,
            simulated=description.simulated,
            host=self._config.gateway.host,
            port=self._gateway.port,
            keys=self._keys,
            guardian_pid=guardian,
            worker_pid=os.getpid(),
            uptime_s=uptime_s(guardian),
            status=status,
            status_age_s=None if status is None else max(0, now_ns - status.stamp_ns) / 1e9,
            streams=tuple(
                self._offers.pulses.get(info.name, Pulse()).report(info, now_ns)
                for info in description.streams
            ),
            peers=dict(self._offers.peers),
        )


def can_announce() -> bool:
    """A robot without the library for it drives as well, and says so once."""
    if why := why_not():
        log.warning("not announced: %s", why)
    return not why


def _identity_for(
    host: str, tls: Literal["auto", "always"], state_dir: Path | None
) -> tuple[Identity | None, TrustStore | None]:
    """What the gateway shows, and whom it believes; nothing where it may speak plain.

    Raises:
        ConfigError: It may not, and this robot has no identity fit for use.
    """
    others_can_call = host != "localhost" and not is_loopback(host)
    if secret_identity() is not None or not (others_can_call or tls == "always"):
        return None, None
    identity = None if state_dir is None else Identity.load(state_dir)
    if state_dir is None or identity is None:
        why = f"host {host!r} lets other machines call, which" if others_can_call else f"tls = {tls!r}"
        raise ConfigError(
            f"[gateway]: {why} takes an identity; "
            f"make one:  PYNET_HOME={state_dir or 'STATE_DIR'} pynet key new"
        )
    return identity, TrustStore(state_dir / TRUST_FILE)


def main(argv: Sequence[str] | None = None) -> int:
    """The child process; returns its exit code."""
    die_with_parent()
    be_killed_first()
    parser = argparse.ArgumentParser(prog="python -m pi_agent.worker", description=__doc__)
    parser.add_argument("--link-fd", type=int, required=True, help="the guardian's socket, inherited")
    parser.add_argument("--runtime-dir", type=Path, required=True)
    parser.add_argument("--state-dir", type=Path, help="where identity and list of trusted devices are kept")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--port", type=int, help="in place of the one in the settings")
    arguments = parser.parse_args(argv)
    set_up_logging("worker")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C may reach us too, but the guardian says when to end
    threading.excepthook = _end_process
    try:
        config = load_config(arguments.config)
        if arguments.port is not None:
            config = replace(config, gateway=replace(config.gateway, port=arguments.port))
        link = GuardianLink(socket.socket(fileno=arguments.link_fd), ToWorker)
        Worker(config, link, arguments.runtime_dir, arguments.state_dir).run()
    except PynetError as exc:
        log.error("%s", exc)
        return EXIT_CONFIG if isinstance(exc, ConfigError) else EXIT_ERROR
    return 0


def _end_process(crash: threading.ExceptHookArgs) -> None:
    """A dead thread leaves half a robot: end at once, the guardian starts a whole one."""
    name = crash.thread.name if crash.thread else "?"
    log.critical("thread %r died; the worker ends", name, exc_info=crash.exc_value)
    os._exit(EXIT_CRASH)


if __name__ == "__main__":
    sys.exit(main())
