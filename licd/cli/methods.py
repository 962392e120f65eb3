"""The operators' methods by name: which messages they take and give. Read from the services' own descriptors."""

from functools import cache
from typing import Final

from google.protobuf.descriptor import FileDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from licd.v1 import (
    allegation_service_pb2,
    approval_service_pb2,
    case_service_pb2,
    condition_service_pb2,
    customer_service_pb2,
    deployment_service_pb2,
    diligence_service_pb2,
    key_service_pb2,
    lease_service_pb2,
    licence_service_pb2,
    log_service_pb2,
    overlay_service_pb2,
    policy_service_pb2,
    signal_service_pb2,
    status_service_pb2,
)

_FILES: Final[tuple[FileDescriptor, ...]] = (
    allegation_service_pb2.DESCRIPTOR,
    approval_service_pb2.DESCRIPTOR,
    case_service_pb2.DESCRIPTOR,
    condition_service_pb2.DESCRIPTOR,
    customer_service_pb2.DESCRIPTOR,
    deployment_service_pb2.DESCRIPTOR,
    diligence_service_pb2.DESCRIPTOR,
    key_service_pb2.DESCRIPTOR,
    lease_service_pb2.DESCRIPTOR,
    licence_service_pb2.DESCRIPTOR,
    log_service_pb2.DESCRIPTOR,
    overlay_service_pb2.DESCRIPTOR,
    policy_service_pb2.DESCRIPTOR,
    signal_service_pb2.DESCRIPTOR,
    status_service_pb2.DESCRIPTOR,
)


@cache
def _methods() -> dict[str, MethodDescriptor]:
    services = [service for file in _FILES for service in file.services_by_name.values()]
    return {f"/{one.full_name}/{method.name}": method for one in services for method in one.methods}


def path_of(request: Message) -> str:
    """The method that takes this request, as in `/licd.v1.LicenceService/ReinstateLicence`."""
    wanted = request.DESCRIPTOR.full_name
    return next(path for path, method in _methods().items() if method.input_type.full_name == wanted)


def request_type(path: str) -> type[Message] | None:
    """The message that a method takes; None when there is no such method."""
    method = _methods().get(path)
    return GetMessageClass(method.input_type) if method else None


def response_type(path: str) -> type[Message] | None:
    """The message that a method answers with; None when there is no such method."""
    method = _methods().get(path)
    return GetMessageClass(method.output_type) if method else None
