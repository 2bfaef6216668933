"""What we use of `docker.APIClient`, which has few types of its own: requests and answers are the engine's JSON."""

from collections.abc import Mapping, Sequence
from typing import IO, Protocol, TypeAlias, TypedDict

Settings: TypeAlias = Mapping[str, object]
"""Part of a request, in the engine's own words."""


class Thing(TypedDict):
    """A container, an image, a volume, or an `exec`, as far as we look at it."""

    Id: str
    Name: str
    Labels: dict[str, str] | None
    Config: dict[str, object] | None
    Running: bool
    ExitCode: int | None


class Client(Protocol):
    """Blocking calls to the engine; they raise `docker.errors.APIError` or what `requests` raises."""

    def ping(self) -> bool:
        """Have the engine answer."""
        ...

    def close(self) -> None:
        """Let go of the connections."""
        ...

    def import_image(self, *, src: bytes, repository: str, tag: str, changes: Sequence[str]) -> str:
        """Make an image of a tar."""
        ...

    def inspect_image(self, image: str) -> Thing:
        """Look at an image."""
        ...

    def images(self, *, filters: Settings) -> list[Thing]:
        """The images that match."""
        ...

    def remove_image(self, image: str, *, force: bool) -> None:
        """Remove an image."""
        ...

    def volumes(self, *, filters: Settings) -> dict[str, list[Thing] | None]:
        """The volumes that match, as `Volumes`."""
        ...

    def remove_volume(self, name: str) -> None:
        """Remove a volume that no container has."""
        ...

    def containers(self, *, all: bool = False, filters: Settings) -> list[Thing]:  # noqa: A002 - the client's name
        """The running containers that match, or `all` that do."""
        ...

    def create_container(self, image: str, **settings: object) -> Thing:
        """Make a container."""
        ...

    def attach_socket(self, container: str, params: Mapping[str, int]) -> object:
        """A socket to the streams of a container's first process."""
        ...

    def start(self, container: str) -> None:
        """Start a container."""
        ...

    def remove_container(self, container: str, *, v: bool, force: bool) -> None:
        """Remove a container, with its volumes, also a running one."""
        ...

    def wait(self, container: str, *, timeout: float, condition: str) -> object:
        """Wait until a container is in a condition."""
        ...

    def put_archive(self, container: str, path: str, data: bytes | IO[bytes]) -> bool:
        """Unpack a tar in a container's volume."""
        ...

    def exec_create(self, container: str, cmd: Sequence[str], *, stdin: bool) -> Thing:
        """Prepare a process in a container."""
        ...

    def exec_start(self, exec_id: str, *, socket: bool) -> object:
        """Start it: a socket to its streams."""
        ...

    def exec_inspect(self, exec_id: str) -> Thing:
        """Look at it."""
        ...
