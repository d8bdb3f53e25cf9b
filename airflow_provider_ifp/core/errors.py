"""The one tree of errors.

A message says what is wrong, which one and where, what was expected against what was found, and what to do
next.

    IfpError
    |-- PolicyError              a policy file, its keys and values
    |-- DatasetError             a dataset: missing, empty, lacks a column, unreadable
    |   |-- DatasetUnreachableError  the database or store that holds it does not answer
    |   |-- EmptyWindowError     it has no row in the window that was asked for
    |   |-- DamagedFileError     one of its files cannot be read
    |   `-- PredictionLogError   the prediction log
    |-- ModelError               a model that cannot be saved, loaded, or answers what it must not
    |-- DigestMismatchError      stored bytes are not those that were registered
    |-- SourceCodeError          git does not have a commit, cannot check it out, or is not there
    |-- TrainingError            training failed; nothing was registered
    |   |-- EntrypointError      the training function cannot be found or imported
    |   |-- LossNotFiniteError   a metric became NaN or infinite (exit code 65: no retry helps)
    |   `-- PreemptedError       the trainer asks to be started again (exit code 75)
    |-- ReproductionError        what made a version is not on record, or not to be had any more
    |-- PromotionRefusedError    the lifecycle's rules do not allow this move
    |-- RequestError             a request to the model's server that cannot be read
    |   `-- SignatureError       one that can, and has not what the model takes
    |-- ServiceError             a server that was started beside us does not start, answer, or stay up
    `-- RegistryError            the registry said no
        |-- RegistryUnreachableError
        |-- RegistryDeniedError  wrong credentials, or this user may not do that
        |-- VersionNotFoundError
        |-- LedgerBrokenError    an event is missing, or was changed after it was written
        `-- LedgerConflictError  another writer took this event number; look again and decide again
"""


class IfpError(Exception):
    """Whatever this provider raises on purpose."""


class PolicyError(IfpError):
    """A policy is wrong; the message names file, line and key."""


class DatasetError(IfpError):
    """A dataset is missing, empty, unreadable, or lacks a column."""


class DatasetUnreachableError(DatasetError):
    """The database or store that holds a dataset does not answer; a retry may help."""


class EmptyWindowError(DatasetError):
    """A dataset that can be read has no row in the window that was asked for."""


class DamagedFileError(DatasetError):
    """A file of a dataset cannot be read: truncated, overwritten, or gone."""


class PredictionLogError(DatasetError):
    """The prediction log is missing, empty where rows are needed, or unreadable."""


class ModelError(IfpError):
    """A model cannot be saved or loaded, or answers what it must not."""


class DigestMismatchError(IfpError):
    """The stored bytes are not those that were registered."""


class SourceCodeError(IfpError):
    """Git does not have a commit, cannot check it out, or is not there at all."""


class TrainingError(IfpError):
    """Training failed; nothing was registered."""


class EntrypointError(TrainingError):
    """The training function cannot be found or imported."""


class LossNotFiniteError(TrainingError):
    """A logged metric is NaN or infinite; the same training would end so again."""


class PreemptedError(TrainingError):
    """The trainer was preempted and asks to be started again."""


class ReproductionError(IfpError):
    """What made a version is not on record, or not to be had any more."""


class PromotionRefusedError(IfpError):
    """The lifecycle's rules do not allow this move."""


class RequestError(IfpError):
    """A request to the model's server cannot be read."""


class SignatureError(RequestError):
    """A request's columns are not those that the model takes; the message names the column."""


class ServiceError(IfpError):
    """A server that was started beside us does not start, answer, or stay up."""


class RegistryError(IfpError):
    """The registry refused or failed a call."""


class RegistryUnreachableError(RegistryError):
    """The registry does not answer."""


class RegistryDeniedError(RegistryError):
    """The registry refuses the credentials, or does not let this user do that."""


class VersionNotFoundError(RegistryError):
    """There is no such model version, or no version at that stage."""


class LedgerBrokenError(RegistryError):
    """An event of a promotion ledger is missing, or was changed after it was written."""


class LedgerConflictError(RegistryError):
    """Another writer took this event number; read the ledger again and decide again."""
