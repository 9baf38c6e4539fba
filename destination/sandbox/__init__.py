"""An imitation of Klaviyo's API: its rules, limits, errors and delays, with faults on demand.

It shares no code with the rest of ``destination``: a rule that is misread there is not misread here
as well.
"""

from destination.sandbox.app import create_app
from destination.sandbox.clock import ManualClock, RealClock
from destination.sandbox.server import run
from destination.sandbox.switches import Switches

__all__ = ["ManualClock", "RealClock", "Switches", "create_app", "run"]
