"""Which GPUs this machine has: asked from the driver's own tool, else from what the kernel shows; no torch."""

import csv
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from thinklonger.agent.model.serving.capacity import GIB
from thinklonger.agent.types import Message

SECONDS = 20.0
"""How long the driver's tool may take: it wakes a card that sleeps."""
_MIB = 1024**2
_FIELDS = ("index", "uuid", "name", "memory.total", "memory.used", "driver_version", "compute_cap", "mig.mode.current")
_DRIVER = Path("/proc/driver/nvidia")
_WORDS = 300


@dataclass(frozen=True, slots=True)
class Gpu:
    """One card. `memory`, `used`: bytes, 0 where unknown. `capability`: CUDA's (8.9), None where unknown.

    `sliced`: the card is cut into MIG instances, so its memory is not what a program gets.
    """

    name: str
    memory: int
    used: int = 0
    driver: str = ""
    capability: float | None = None
    index: int = 0
    uuid: str = ""
    sliced: bool = False

    @property
    def gib(self) -> float:
        """Its memory in GiB."""
        return self.memory / GIB


@dataclass(frozen=True, slots=True)
class Machine:
    """The cards that programs may use, and what is wrong with the driver, if anything is."""

    gpus: tuple[Gpu, ...] = ()
    trouble: Message | None = None


def find_gpus(*, visible: str = "", tool: str = "nvidia-smi", driver: Path = _DRIVER) -> Machine:
    """The machine's cards; `visible` is what CUDA_VISIBLE_DEVICES says (empty: all). Takes up to `SECONDS`."""
    query = [tool, f"--query-gpu={','.join(_FIELDS)}", "--format=csv,noheader,nounits"]
    try:
        asked = subprocess.run(query, capture_output=True, timeout=SECONDS, check=False)  # noqa: S603 (a fixed query)
    except FileNotFoundError:
        return _by_kernel(driver)
    except (OSError, subprocess.TimeoutExpired) as cause:
        return Machine(trouble=Message("serving.driver-tool", {"reason": str(cause)}))
    text = asked.stdout.decode("utf-8", "replace")
    if asked.returncode != 0:
        if "No devices were found" in text:
            return Machine()
        words = " ".join((text + asked.stderr.decode("utf-8", "replace")).split())[:_WORDS]
        return Machine(trouble=Message("serving.driver-tool", {"reason": words or f"exit {asked.returncode}"}))
    return Machine(_seen(_read(text), visible))


def _read(text: str) -> list[Gpu]:
    found: list[Gpu] = []
    for row in csv.reader(text.splitlines(), skipinitialspace=True):
        if len(row) != len(_FIELDS):
            continue
        index, uuid, name, total, used, version, capability, mig = (cell.strip() for cell in row)
        found.append(
            Gpu(
                name=name,
                memory=_mebibytes(total),
                used=_mebibytes(used),
                driver=version,
                capability=_number(capability),
                index=int(index) if index.isdigit() else len(found),
                uuid=uuid,
                sliced=mig == "Enabled",
            )
        )
    return found


def _mebibytes(text: str) -> int:
    return int(text) * _MIB if text.isdigit() else 0


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _seen(gpus: Sequence[Gpu], visible: str) -> tuple[Gpu, ...]:
    """Those that CUDA would show a program, in its order; the list ends at the first name that is none, as CUDA's."""
    if not visible.strip():
        return tuple(gpus)
    chosen: list[Gpu] = []
    for wanted in (part.strip() for part in visible.split(",")):
        named = [gpu for gpu in gpus if wanted and (str(gpu.index) == wanted or gpu.uuid.startswith(wanted))]
        if not named:
            break
        chosen.append(named[0])
    return tuple(chosen)


def _by_kernel(driver: Path) -> Machine:
    """What the kernel module shows: names and the driver's version, but no memory."""
    try:
        files = sorted(driver.glob("gpus/*/information"))
        names = [_field(path.read_text("utf-8", "replace"), "Model:") for path in files]
        version = driver.joinpath("version").read_text("utf-8", "replace") if files else ""
    except OSError:
        return Machine()
    number = next((word for word in version.split() if word.count(".") and word[0].isdigit()), "")
    return Machine(tuple(Gpu(name=name, memory=0, driver=number, index=at) for at, name in enumerate(names) if name))


def _field(text: str, label: str) -> str:
    return next((line.partition(label)[2].strip() for line in text.splitlines() if line.startswith(label)), "")
