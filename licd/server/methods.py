"""Every RPC of the daemon, read off the protocol: where it is served, and how its code is called."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from licd.server.caller import Listener
from licd.v1 import (
    allegation_service_pb2,
    approval_service_pb2,
    case_service_pb2,
    condition_service_pb2,
    customer_service_pb2,
    deployment_service_pb2,
    diligence_service_pb2,
    enrolment_service_pb2,
    key_service_pb2,
    lease_service_pb2,
    licence_service_pb2,
    log_service_pb2,
    overlay_service_pb2,
    policy_service_pb2,
    session_service_pb2,
    signal_service_pb2,
    status_service_pb2,
)

SERVED: Final[dict[Listener, tuple[ServiceDescriptor, ...]]] = {
    Listener.ENROLMENT: (enrolment_service_pb2.DESCRIPTOR.services_by_name["EnrolmentService"],),
    Listener.CUSTOMER: (session_service_pb2.DESCRIPTOR.services_by_name["SessionService"],),
    Listener.OPERATOR: (
        allegation_service_pb2.DESCRIPTOR.services_by_name["AllegationService"],
        approval_service_pb2.DESCRIPTOR.services_by_name["ApprovalService"],
        condition_service_pb2.DESCRIPTOR.services_by_name["ConditionService"],
        case_service_pb2.DESCRIPTOR.services_by_name["CaseService"],
        customer_service_pb2.DESCRIPTOR.services_by_name["CustomerService"],
        deployment_service_pb2.DESCRIPTOR.services_by_name["DeploymentService"],
        diligence_service_pb2.DESCRIPTOR.services_by_name["DiligenceService"],
        key_service_pb2.DESCRIPTOR.services_by_name["KeyService"],
        lease_service_pb2.DESCRIPTOR.services_by_name["LeaseService"],
        licence_service_pb2.DESCRIPTOR.services_by_name["LicenceService"],
        log_service_pb2.DESCRIPTOR.services_by_name["LogService"],
        overlay_service_pb2.DESCRIPTOR.services_by_name["OverlayService"],
        policy_service_pb2.DESCRIPTOR.services_by_name["PolicyService"],
        signal_service_pb2.DESCRIPTOR.services_by_name["SignalService"],
        status_service_pb2.DESCRIPTOR.services_by_name["StatusService"],
    ),
}


@dataclass(frozen=True, slots=True)
class Method:
    """One RPC. verb is Service.Method; attribute is the name of the function that serves it."""

    path: str
    verb: str
    service: str
    attribute: str
    listener: Listener
    request: type[Message]
    response: type[Message]
    takes_stream: bool
    gives_stream: bool


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _method(descriptor: MethodDescriptor, listener: Listener) -> Method:
    service = descriptor.containing_service
    return Method(
        path=f"/{service.full_name}/{descriptor.name}",
        verb=f"{service.name}.{descriptor.name}",
        service=service.name,
        attribute=_snake(descriptor.name),
        listener=listener,
        request=GetMessageClass(descriptor.input_type),
        response=GetMessageClass(descriptor.output_type),
        takes_stream=descriptor.client_streaming,
        gives_stream=descriptor.server_streaming,
    )


METHODS: Final[dict[str, Method]] = {
    method.path: method
    for listener, services in SERVED.items()
    for service in services
    for method in (_method(each, listener) for each in service.methods)
}
