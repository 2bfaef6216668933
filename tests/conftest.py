"""How properties are tested here: how long a draw takes says something about the machine, not about the code."""

from hypothesis import HealthCheck, settings

settings.register_profile("thinklonger", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("thinklonger")
