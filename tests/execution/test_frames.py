"""What the payload says of stacks."""

from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import cast

from thinklonger.agent.execution.payload.frames import Places, line_of


def test_a_frame_without_a_line_has_its_functions() -> None:
    """Interrupted between two statements, a frame has no line; a report needs one all the same."""
    code = test_a_frame_without_a_line_has_its_functions.__code__
    assert line_of(None, code) == code.co_firstlineno
    assert line_of(7, code) == 7


def test_frames_of_the_repository_have_lines(tmp_path: Path) -> None:
    """A stack's frames, outermost first, each with a number for its line."""
    path = tmp_path / "module.py"
    path.write_text("import sys\ndef inner():\n    return sys._getframe()\ndef outer():\n    return inner()\n")
    names: dict[str, object] = {}
    code: CodeType = compile(path.read_text(), str(path), "exec")
    exec(code, names)  # noqa: S102 (the test's own text)
    outer = cast("Callable[[], FrameType]", names["outer"])
    found = Places(str(tmp_path)).of_stack(outer())
    assert [(name, line) for _, line, name in found][-1:] == [("inner", 3)]
