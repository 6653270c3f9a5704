"""Run a process of root with the rights of an ordinary user, to make file modes count."""

import ctypes

__all__ = ["lose_rights"]

PR_CAPBSET_DROP = 24  # linux/prctl.h
OVERRIDES = (1, 2)  # linux/capability.h: CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


def lose_rights() -> None:
    """Drop the capabilities above file modes; call in the child before exec."""
    for right in OVERRIDES:
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, right, 0, 0, 0)  # fails harmlessly for other users
