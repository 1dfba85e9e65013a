"""What can go wrong with ngspice, each its own error with a one-line message."""


class SpiceError(RuntimeError):
    """ngspice gave no usable result; the base of the errors below."""


class NgspiceMissing(SpiceError):  # noqa: N818
    """There is no ngspice where one was looked for."""


class NgspiceTooOld(SpiceError):  # noqa: N818
    """The ngspice found is older than what xbar is checked against, or does not say."""


class NgspiceTimeout(SpiceError):  # noqa: N818
    """ngspice did not finish in the time it was given, and was killed."""


class NgspiceCrashed(SpiceError):  # noqa: N818
    """ngspice ended with an error."""


class NgspiceNoConvergence(SpiceError):  # noqa: N818
    """ngspice found no operating point, or one that is not finite."""


class NgspiceTruncated(SpiceError):  # noqa: N818
    """The results are missing or end too early."""
