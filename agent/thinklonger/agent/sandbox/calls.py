"""The system call filter as the profile that Docker takes: the same rules as `seccomp`, by name."""

import errno
import json

from thinklonger.agent.sandbox.seccomp import CALLS, NAMESPACES, SOCKET_FAMILIES

ERRNO = "SCMP_ACT_ERRNO"
LARGEST_FAMILY = max(SOCKET_FAMILIES)
CLOCK_AND_MORE = (
    "clock_adjtime",
    "clock_settime",
    "settimeofday",
    "adjtimex",
    "uselib",
    "ustat",
    "sysfs",
    "vhangup",
    "lookup_dcookie",
    "personality",
    "umount",
    "nfsservctl",
)
"""What Docker's own profile denies beside our table: ours takes its place, so it must not allow more."""


def profile() -> str:
    """The profile as JSON; calls that the engine's library does not know are left out by it."""
    rules: list[dict[str, object]] = [
        {"names": sorted({*CALLS, *CLOCK_AND_MORE}), "action": ERRNO, "errnoRet": errno.EPERM},
        {"names": ["clone3"], "action": ERRNO, "errnoRet": errno.ENOSYS},
    ]
    flags = [1 << bit for bit in range(32) if NAMESPACES >> bit & 1]
    rules += [_when("clone", errno.EPERM, "SCMP_CMP_MASKED_EQ", flag, flag) for flag in flags]
    families = set(range(LARGEST_FAMILY)) - set(SOCKET_FAMILIES)
    rules += [_when("socket", errno.EAFNOSUPPORT, "SCMP_CMP_EQ", family, 0) for family in sorted(families)]
    rules.append(_when("socket", errno.EAFNOSUPPORT, "SCMP_CMP_GT", LARGEST_FAMILY, 0))
    return json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules})


def _when(name: str, number: int, comparison: str, value: int, second: int) -> dict[str, object]:
    """A rule for one call and its first argument."""
    argument = {"index": 0, "value": value, "valueTwo": second, "op": comparison}
    return {"names": [name], "action": ERRNO, "errnoRet": number, "args": [argument]}
