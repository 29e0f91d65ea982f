"""A host whose clock is wrong: each Python that finds this on its path begins with it."""

import os
import time

import time_machine

time_machine.travel(time.time() + float(os.environ["CHAOS_AHEAD_S"]), tick=True).start()
