"""How hypothesis tries things here."""

from hypothesis import settings

settings.register_profile("malgil", deadline=None)  # a busy machine is no failure
settings.load_profile("malgil")
