"""How properties are tested here: how long a draw takes says something about the machine, not about the code.

And what the programs that tests start inherit: a shell's background job ignores Ctrl-C, and so would all of them.
"""

import signal
import threading

from hypothesis import HealthCheck, settings

settings.register_profile("thinklonger", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("thinklonger")

if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
