"""This process's connection to a cluster of Ray, and what nodes the cluster has; the only file that imports Ray."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any

from hwnas.errors import ConfigError, DeviceError, MissingExtraError

__all__ = ["check_cluster", "connected", "first_line", "has_node_for", "resources_text"]

_CONNECT_SECONDS = 5.0
_HTTP2_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])  # and empty settings
_HTTP2_SETTINGS = 4  # the type of the frame that a server answers with (RFC 9113, 3.4)


def connected(address: str | None) -> Any:
    """Ray's module, connected to the cluster at an address, or to a new one on this machine.

    A process stays connected until it ends: one that has ended a connection to Ray and begun another loses new actors
    now and then (Ray 2.60 destroys them a millisecond after they are made).

    Args:
        address: "auto", or "host:port"; None: as RAY_ADDRESS says, and a new cluster if it does not; where this process
            is connected already, that.

    Raises:
        MissingExtraError: Ray is not installed.
        ConfigError: this process is connected to another cluster, or an address that cannot be.
        DeviceError: there is no cluster.
    """
    ray = _imported()
    if (present := _present(ray)) is not None:
        _check_that_it_is(present, address)
        return ray
    ray.shutdown()  # of a cluster that has gone
    wanted = _wanted(address)
    options: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False, "configure_logging": False}
    try:
        if wanted is None:
            ray.init(address="local", include_dashboard=False, **options)
        else:
            _check_that_it_answers(wanted)
            ray.init(address=wanted, **options)
    except (OSError, RuntimeError, ValueError) as error:
        raise _unreachable(wanted, error) from error
    return ray


def check_cluster(address: str | None) -> None:
    """Connect already now where there is an address, so that what is wrong with it is said before anything is trained.

    A cluster of its own is not started yet: it would be in the way of measurements.

    Raises:
        Exception: as of `connected`.
    """
    if _wanted(address) is None:
        _imported()
    else:
        connected(address)


def has_node_for(ray: Any, demand: Mapping[str, float]) -> bool:
    """Whether there is a node that has, when it is idle, what a trial needs.

    Args:
        ray: the module, connected.
        demand: by the name of the resource.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return any(all(node.get(name, 0.0) >= needed for name, needed in demand.items()) for node in nodes)


def resources_text(ray: Any, demand: Mapping[str, float]) -> str:
    """What a trial needs and what the cluster has of it, in words."""
    has, free = ray.cluster_resources(), ray.available_resources()
    rows = [f"{n} {n_of:g} (the cluster has {has.get(n, 0):g}, {free.get(n, 0):g} free)" for n, n_of in demand.items()]
    return ", ".join(rows) or "nothing"


def _imported() -> Any:
    try:
        import ray
        import ray.util.scheduling_strategies
    except ImportError as error:
        raise MissingExtraError(
            f"The executor 'ray' needs Ray, which is not installed ({error}). Install it: pip install 'hwnas[ray]'; or "
            "use the executor 'processes'."
        ) from error
    return ray


def _wanted(address: str | None) -> str | None:
    """The address to connect to; None: a new cluster.

    Raises:
        ConfigError: none that can be.
    """
    wanted = address or os.environ.get("RAY_ADDRESS")
    if wanted is None or wanted == "local":
        return None
    host, colon, port = wanted.rpartition(":")
    if wanted != "auto" and not (colon and host and port.isdigit() and "/" not in host):
        raise ConfigError(
            f"The address of a Ray cluster is 'host:port', as `ray start --head` prints it, or 'auto' for the one that "
            f"this machine is in; got {wanted!r}."
        )
    return wanted


def _present(ray: Any) -> str | None:
    """The address of the cluster that this process is connected to, if there still is one."""
    if not ray.is_initialized():
        return None
    address: str = ray.get_runtime_context().gcs_address
    try:
        return address if _speaks_http2(address) else None
    except OSError:
        return None


def _check_that_it_is(present: str, address: str | None) -> None:
    if address in (None, "auto", "local"):
        return
    host, _, port = str(_wanted(address)).rpartition(":")
    try:
        number = socket.gethostbyname(host)
    except OSError:
        number = host
    here = number.startswith("127.")  # Ray itself writes another of the machine's addresses
    if port != present.rpartition(":")[2] or not (here or number == present.rpartition(":")[0]):
        raise ConfigError(
            f"This process is connected to the Ray cluster at {present}, and cannot use the one at {address} as well. "
            "Give each cluster a process of its own."
        )


def _check_that_it_answers(address: str) -> None:
    """At once, or within seconds; Ray itself tries for minutes."""
    if address != "auto" and not _speaks_http2(address):
        raise ConnectionError("something else than Ray answers there.")


def _speaks_http2(address: str) -> bool:
    """Whether who answers at an address could be Ray, which talks gRPC over HTTP/2.

    Raises:
        OSError: nobody answers.
    """
    host, _, port = address.rpartition(":")
    with socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS) as connection:
        if os.environ.get("RAY_USE_TLS", "0") == "1":
            return True
        try:
            connection.sendall(_HTTP2_GREETING)
            head = connection.recv(9, socket.MSG_WAITALL)
        except OSError:  # silent, or it hung up
            return False
    return len(head) == 9 and head[3] == _HTTP2_SETTINGS


def _unreachable(wanted: str | None, error: Exception) -> DeviceError:
    if wanted is None:
        return DeviceError(f"Ray cannot be started on this machine: {first_line(error)}")
    token = " Where the cluster wants a token (Ray does by default), this user needs the same one: RAY_AUTH_TOKEN_PATH."
    return DeviceError(
        f"Ray cannot be reached at {wanted!r}: {first_line(error)} Start a cluster there with `ray start --head`, join "
        f"it with `ray start --address` on this machine, and give the address that it prints.{token}"
    )


def first_line(error: BaseException) -> str:
    """An error's type and the first line of its message, as a sentence."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return text if text.endswith(".") else text + "."
