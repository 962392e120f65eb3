"""A licd for the operator's tool alone: real gRPC on loopback, the generated services, scripted answers."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message
from grpc_status import rpc_status

from licd.core.errors import LicdError
from licd.v1 import (
    allegation_service_pb2,
    allegation_service_pb2_grpc,
    approval_service_pb2,
    approval_service_pb2_grpc,
    case_service_pb2,
    case_service_pb2_grpc,
    condition_service_pb2,
    condition_service_pb2_grpc,
    customer_service_pb2,
    customer_service_pb2_grpc,
    deployment_service_pb2,
    deployment_service_pb2_grpc,
    diligence_service_pb2,
    diligence_service_pb2_grpc,
    key_service_pb2,
    key_service_pb2_grpc,
    lease_service_pb2,
    lease_service_pb2_grpc,
    licence_service_pb2,
    licence_service_pb2_grpc,
    log_service_pb2,
    log_service_pb2_grpc,
    overlay_service_pb2,
    overlay_service_pb2_grpc,
    policy_service_pb2,
    policy_service_pb2_grpc,
    signal_service_pb2,
    signal_service_pb2_grpc,
    status_service_pb2,
    status_service_pb2_grpc,
)
from licd.wire.errors import to_status

SERVICES: list[tuple[Any, Callable[..., None]]] = [
    (allegation_service_pb2, allegation_service_pb2_grpc.add_AllegationServiceServicer_to_server),
    (approval_service_pb2, approval_service_pb2_grpc.add_ApprovalServiceServicer_to_server),
    (condition_service_pb2, condition_service_pb2_grpc.add_ConditionServiceServicer_to_server),
    (case_service_pb2, case_service_pb2_grpc.add_CaseServiceServicer_to_server),
    (customer_service_pb2, customer_service_pb2_grpc.add_CustomerServiceServicer_to_server),
    (deployment_service_pb2, deployment_service_pb2_grpc.add_DeploymentServiceServicer_to_server),
    (diligence_service_pb2, diligence_service_pb2_grpc.add_DiligenceServiceServicer_to_server),
    (key_service_pb2, key_service_pb2_grpc.add_KeyServiceServicer_to_server),
    (lease_service_pb2, lease_service_pb2_grpc.add_LeaseServiceServicer_to_server),
    (licence_service_pb2, licence_service_pb2_grpc.add_LicenceServiceServicer_to_server),
    (log_service_pb2, log_service_pb2_grpc.add_LogServiceServicer_to_server),
    (overlay_service_pb2, overlay_service_pb2_grpc.add_OverlayServiceServicer_to_server),
    (policy_service_pb2, policy_service_pb2_grpc.add_PolicyServiceServicer_to_server),
    (signal_service_pb2, signal_service_pb2_grpc.add_SignalServiceServicer_to_server),
    (status_service_pb2, status_service_pb2_grpc.add_StatusServiceServicer_to_server),
]

M = TypeVar("M", bound=Message)
Answer = Message | LicdError | grpc.StatusCode | Callable[[Any], Message | LicdError]


class FakeLicd:
    """Answers what a test has scripted, by the method's name, and remembers every request."""

    def __init__(self) -> None:
        self.requests: list[Message] = []
        self._answers: dict[str, Any] = {}
        self._server = grpc.server(ThreadPoolExecutor(max_workers=4))
        for module, add in SERVICES:
            [service] = module.DESCRIPTOR.services_by_name.values()
            add(SimpleNamespace(**{method.name: self._handler(method) for method in service.methods}), self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def on(self, method: str, *answers: Answer) -> None:
        """Scripts the answers of one method; the last one is given again and again."""
        self._answers[method] = list(answers)

    def on_stream(self, method: str, *answers: Message) -> None:
        """Scripts the stream of one method."""
        self._answers[method] = list(answers)

    def asked(self, kind: type[M]) -> M:
        """The one request of this kind that came."""
        [found] = [request for request in self.requests if isinstance(request, kind)]
        return found

    def names(self) -> list[str]:
        """Every request that came, by its message's name."""
        return [type(request).__name__ for request in self.requests]

    def stop(self) -> None:
        self._server.stop(None).wait()

    def _handler(self, method: Any) -> Callable[[Any, Any], Any]:
        def unary(request: Message, context: Any) -> Message:
            self.requests.append(request)
            answers: list[Any] = self._answers.get(method.name, [])
            if not answers:
                context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{method.name} is not scripted")
            answer: Any = answers.pop(0) if len(answers) > 1 else answers[0]
            found: Any = answer(request) if callable(answer) and not isinstance(answer, Message) else answer
            if isinstance(found, grpc.StatusCode):
                context.abort(found, "scripted")
            if isinstance(found, LicdError):
                context.abort_with_status(rpc_status.to_status(to_status(found)))
            return found  # type: ignore[no-any-return]  # as scripted

        def streaming(request: Message, context: Any) -> Iterator[Message]:
            self.requests.append(request)
            yield from self._answers[method.name]

        return streaming if method.server_streaming else unary
