"""What the user's settings allow an environment to take."""

from pathlib import Path

from thinklonger.agent.config import Settings
from thinklonger.agent.config.places import cache_directory
from thinklonger.agent.execution.environments import Permission
from thinklonger.agent.repository.moment import moment_of, version_of


def permission_of(settings: Settings, root: Path) -> Permission:
    """The settings as the environments' room takes them, and the base commit's day and version where needed."""
    wanted = settings.environments
    cache = cache_directory(settings)
    asked = wanted.build or (cache / "environments").is_dir()
    return Permission(
        cache=cache,
        interpreter=wanted.interpreter,
        build=wanted.build,
        index=wanted.index,
        seconds=wanted.seconds,
        megabytes=wanted.megabytes,
        moment=moment_of(root) if asked else None,
        version=version_of(root) if asked else "",
    )
