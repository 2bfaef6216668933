"""The system call filter: a small classic BPF program that denies what no test needs and exploits like best."""

import errno
import platform
import struct
from dataclasses import dataclass

LOAD, JUMP_EQUAL, JUMP_GREATER_EQUAL, JUMP_SET, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16
"""Offsets in `struct seccomp_data`; the low half of an argument comes first on both machines."""
NAMESPACES = 0x7E020080
"""CLONE_NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET | NEWTIME."""
X32 = 0x40000000
SOCKET_FAMILIES = (1, 2, 10, 16)
"""AF_UNIX, AF_INET, AF_INET6, AF_NETLINK; others (vsock to a host, ALG, ...) are not bound to a network namespace."""


CALLS: dict[str, tuple[int, int | None]] = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "statmount": (457, 457),
    "listmount": (458, 458),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "quotactl": (179, 60),
    "unshare": (272, 97),
    "setns": (308, 268),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "perf_event_open": (298, 241),
    "fanotify_init": (300, 262),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "syslog": (103, 116),
    "acct": (163, 89),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "iopl": (172, None),
    "ioperm": (173, None),
    "_sysctl": (156, None),
}
"""What fails with EPERM: its number on x86_64, and on aarch64 (None: it has no such call)."""


@dataclass(frozen=True, slots=True)
class Machine:
    """One architecture: its audit number, whether it has a second (x32) table, and its numbers of some calls."""

    audit: int
    x32: bool
    clone: int
    clone3: int
    socket: int
    denied: tuple[int, ...]


MACHINES = {
    "x86_64": Machine(
        0xC000003E, x32=True, clone=56, clone3=435, socket=41, denied=tuple(x for x, _ in CALLS.values())
    ),
    "aarch64": Machine(
        0xC00000B7,
        x32=False,
        clone=220,
        clone3=435,
        socket=198,
        denied=tuple(arm for _, arm in CALLS.values() if arm is not None),
    ),
}


def program(machine: str | None = None) -> bytes | None:
    """The filter for this machine (or the named one) as `struct sock_filter[]`; None for an unknown machine."""
    found = MACHINES.get(machine or platform.machine())
    return None if found is None else b"".join(_instructions(found))


def _instructions(machine: Machine) -> list[bytes]:
    """The filter: wrong architecture dies; a denied call fails with EPERM, a new one with ENOSYS; others pass."""
    code = [
        _load(ARCHITECTURE),
        _jump(JUMP_EQUAL, machine.audit, 1, 0),
        _return(KILL),
        _load(NUMBER),
    ]
    if machine.x32:
        code += [_jump(JUMP_GREATER_EQUAL, X32, 0, 1), _fail(errno.ENOSYS)]
    code += [_jump(JUMP_EQUAL, machine.clone3, 0, 1), _fail(errno.ENOSYS)]
    for number in machine.denied:
        code += [_jump(JUMP_EQUAL, number, 0, 1), _fail(errno.EPERM)]
    code += [
        _jump(JUMP_EQUAL, machine.clone, 0, 4),
        _load(FIRST_ARGUMENT),
        _jump(JUMP_SET, NAMESPACES, 0, 1),
        _fail(errno.EPERM),
        _return(ALLOW),
        _jump(JUMP_EQUAL, machine.socket, 1, 0),
        _return(ALLOW),
        _load(FIRST_ARGUMENT),
    ]
    for family in SOCKET_FAMILIES:
        code += [_jump(JUMP_EQUAL, family, 0, 1), _return(ALLOW)]
    return [*code, _fail(errno.EAFNOSUPPORT)]


def _instruction(code: int, true: int, false: int, value: int) -> bytes:
    return struct.pack("=HBBI", code, true, false, value)


def _load(offset: int) -> bytes:
    return _instruction(LOAD, 0, 0, offset)


def _jump(code: int, value: int, true: int, false: int) -> bytes:
    return _instruction(code, true, false, value)


def _return(value: int) -> bytes:
    return _instruction(RETURN, 0, 0, value)


def _fail(number: int) -> bytes:
    return _return(ERRNO | number)
