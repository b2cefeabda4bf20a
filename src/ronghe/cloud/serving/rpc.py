"""Open Inference Protocol v2 over gRPC: the service inference.GRPCInferenceService."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc
import numpy as np

from ronghe.cloud.serving import answering, open_inference_pb2, tensors
from ronghe.cloud.serving.answering import Answering
from ronghe.cloud.serving.refusal import GRPC, Refusal, bad
from ronghe.cloud.serving.tensors import Array

log = logging.getLogger(__name__)

pb: Any = open_inference_pb2  # its names are made when it is imported
SERVICE: Final = "inference.GRPCInferenceService"
_CONTENTS: Final = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


def server(service: Answering, largest: int) -> Any:
    """A grpc.aio server without a port. `largest`: bytes of a request."""
    made = grpc.aio.server(
        options=[("grpc.max_receive_message_length", largest), ("grpc.max_send_message_length", -1), ("grpc.so_reuseport", 0)]
    )
    made.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, _Methods(service).handlers()),))
    return made


class _Methods:
    def __init__(self, service: Answering) -> None:
        self._service = service

    def handlers(self) -> dict[str, Any]:
        """By name of the method."""
        return {
            name: grpc.unary_unary_rpc_method_handler(
                _refusing(method),
                request_deserializer=getattr(pb, f"{name}Request").FromString,
                response_serializer=getattr(pb, f"{name}Response").SerializeToString,
            )
            for name, method in {
                "ServerLive": self._live,
                "ServerReady": self._ready,
                "ModelReady": self._model_ready,
                "ServerMetadata": self._metadata,
                "ModelMetadata": self._model_metadata,
                "ModelInfer": self._infer,
            }.items()
        }

    async def _live(self, request: Any, context: Any) -> Any:
        return pb.ServerLiveResponse(live=True)

    async def _ready(self, request: Any, context: Any) -> Any:
        return pb.ServerReadyResponse(ready=True)

    async def _metadata(self, request: Any, context: Any) -> Any:
        return pb.ServerMetadataResponse(name=answering.NAME, version=answering.VERSION, extensions=answering.EXTENSIONS)

    async def _model_ready(self, request: Any, context: Any) -> Any:
        try:
            self._service.describe(_authorization(context), request.name, request.version)
        except Refusal as e:
            if e.status != 404:
                raise
            return pb.ModelReadyResponse(ready=False)
        return pb.ModelReadyResponse(ready=True)

    async def _model_metadata(self, request: Any, context: Any) -> Any:
        model = self._service.describe(_authorization(context), request.name, request.version)
        served = model.lane.model
        context.set_trailing_metadata((("ronghe-hash", model.package_hash), ("ronghe-kind", model.kind)))

        def tensor(t: tensors.Tensor) -> Any:
            return pb.ModelMetadataResponse.TensorMetadata(name=t.name, datatype=t.datatype, shape=t.shape)

        return pb.ModelMetadataResponse(
            name=model.name,
            versions=self._service.shelf.versions(model.name),
            platform=served.platform,
            inputs=[tensor(t) for t in served.inputs],
            outputs=[tensor(t) for t in served.outputs],
        )

    async def _infer(self, request: Any, context: Any) -> Any:
        grant, model = self._service.open(_authorization(context), request.model_name, request.model_version)
        try:
            feed = _parse(request)
        except BaseException:
            self._service.unread(grant, model)
            raise
        answered = await self._service.infer(grant, model, feed, [o.name for o in request.outputs], context.time_remaining())
        context.set_trailing_metadata((("ronghe-compute-ms", f"{answered.took / 1e6:.3f}"),))
        answer = pb.ModelInferResponse(model_name=model.name, model_version=model.version, id=request.id)
        for name, array in answered.outputs.items():
            answer.outputs.add(name=name, datatype=tensors.DATATYPE[array.dtype], shape=array.shape)
            answer.raw_output_contents.append(bytes(tensors.to_raw(array)))
        return answer


def _refusing(method: Callable[[Any, Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[Any]]:
    """With the gRPC status of a refusal, and no other error's words."""

    async def call(request: Any, context: Any) -> Any:
        try:
            return await method(request, context)
        except Refusal as e:
            if e.after:
                context.set_trailing_metadata((("retry-after", str(e.after)),))
            code, words = GRPC[e.status], e.words
        except Exception as e:  # never with the data in it
            log.error("a request failed: %s", type(e).__name__)
            code, words = "INTERNAL", "the request failed / 请求处理失败"
        await context.abort(getattr(grpc.StatusCode, code), words)

    return call


def _authorization(context: Any) -> str:
    return next((v for k, v in context.invocation_metadata() if k == "authorization" and isinstance(v, str)), "")


def _parse(request: Any) -> dict[str, Array]:
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise bad("raw_input_contents has another number of inputs", "raw_input_contents 与输入数量不符")
    feed: dict[str, Array] = {}
    for i, given in enumerate(request.inputs):
        shape = list(given.shape)
        if any(d < 0 for d in shape) or len(shape) > 32 or given.name in feed:
            raise bad(f"{given.name}: {shape} is not a shape, or it is given twice", f"{given.name}：{shape} 不是形状，或重复给出")
        if raw:
            feed[given.name] = tensors.from_raw(given.name, given.datatype, shape, memoryview(raw[i]))
        else:
            feed[given.name] = _contents(given, shape)
    return feed


def _contents(given: Any, shape: list[int]) -> Array:
    kind = tensors.dtype(given.name, given.datatype)
    if given.datatype not in _CONTENTS:
        raise bad(f"{given.name}: {given.datatype} goes into raw_input_contents", f"{given.name}：{given.datatype} 须用 raw_input_contents")
    data = getattr(given.contents, _CONTENTS[given.datatype])
    try:
        array = tensors.strings(list(data)) if kind.kind == "O" else np.array(data, kind)
        return array.reshape(shape)
    except (ValueError, OverflowError) as e:
        raise bad(f"{given.name}: its data does not fill the shape {shape}", f"{given.name}：数据与形状 {shape} 不符") from e
