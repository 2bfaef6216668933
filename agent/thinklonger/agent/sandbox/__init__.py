"""Where untrusted code runs: bubblewrap over an overlay, Docker's containers, or nothing when asked for by name.

The engines are `bubblewrap.BubblewrapSandbox`, `docker.DockerSandbox` and `direct.DirectSandbox`;
`recorded.RecordedSandbox` is the fake that tests of higher floors use. They are imported only when chosen.
"""

from thinklonger.agent.sandbox.selection import risk, select_sandbox

__all__ = ["risk", "select_sandbox"]
