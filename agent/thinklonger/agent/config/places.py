"""Where run records and indexes live: the settings' folders, or the platform's own."""

from pathlib import Path

from thinklonger.agent.config import Settings


def state_directory(settings: Settings) -> Path:
    """Where run records live. Nothing is made here."""
    if settings.state_directory:
        return Path(settings.state_directory).expanduser()
    from platformdirs import user_state_path  # noqa: PLC0415 (only who asks for the platform's place pays for it)

    return user_state_path("thinklonger")


def cache_directory(settings: Settings) -> Path:
    """Where indexes and baselines are cached. Nothing is made here."""
    if settings.cache_directory:
        return Path(settings.cache_directory).expanduser()
    from platformdirs import user_cache_path  # noqa: PLC0415 (only who asks for the platform's place pays for it)

    return user_cache_path("thinklonger")
