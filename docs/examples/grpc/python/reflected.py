"""Clients for a gRPC server that describes itself: no .proto files, no generated code.

Needs the packages grpcio and protobuf (Debian: python3-grpcio). It asks the server's reflection
service (grpc.reflection.v1) for the descriptions of a service and builds the calls from them.
"""

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory


def _message_class(descriptor):
    """The class of a message; protobuf has changed its name for this in version 4.22."""
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory().GetPrototype(descriptor)


def _reflection_messages():
    """The few fields of the reflection service that are needed here."""
    file = descriptor_pb2.FileDescriptorProto(
        name="reflection_subset.proto", package="subset", syntax="proto3"
    )
    text, octets, message = 9, 12, 11
    for name, fields in {
        "Request": [("file_by_filename", 3, text, 1, ""), ("file_containing_symbol", 4, text, 1, "")],
        "Files": [("file_descriptor_proto", 1, octets, 3, "")],
        "Response": [("file_descriptor_response", 4, message, 1, ".subset.Files")],
    }.items():
        described = file.message_type.add(name=name)
        for field, number, kind, label, type_name in fields:
            described.field.add(
                name=field, number=number, type=kind, label=label, type_name=type_name or None
            )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return tuple(
        _message_class(pool.FindMessageTypeByName(f"subset.{name}"))
        for name in ("Request", "Response")
    )


class Server:
    """A connection to a server, with one client for each of its services."""

    def __init__(self, socket):
        # The default authority of a Unix socket is its path, which HTTP/2 does not allow.
        self.channel = grpc.insecure_channel(
            f"unix:{socket}", options=[("grpc.default_authority", "localhost")]
        )
        self._pool = descriptor_pool.DescriptorPool()
        self._known = set()
        request, response = _reflection_messages()
        self._request = request
        self._ask = self.channel.stream_stream(
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            request_serializer=request.SerializeToString,
            response_deserializer=response.FromString,
        )

    def service(self, name):
        """A client of the service `name`: one attribute for each of its methods."""
        self._learn(self._request(file_containing_symbol=name))
        return Service(self.channel, self._pool.FindServiceByName(name))

    def _learn(self, question):
        """Adds the files that answer `question`, and first what they import."""
        for answer in self._ask(iter([question])):
            for encoded in answer.file_descriptor_response.file_descriptor_proto:
                file = descriptor_pb2.FileDescriptorProto.FromString(encoded)
                if file.name in self._known:
                    continue
                self._known.add(file.name)
                for imported in file.dependency:
                    if imported not in self._known:
                        self._learn(self._request(file_by_filename=imported))
                self._pool.Add(file)


class Service:
    """Calls by name: `service.Start({...})`, with the request as a dict or keyword arguments."""

    def __init__(self, channel, descriptor):
        for method in descriptor.methods:
            request = _message_class(method.input_type)
            response = _message_class(method.output_type)
            kind = channel.unary_stream if method.server_streaming else channel.unary_unary
            call = kind(
                f"/{descriptor.full_name}/{method.name}",
                request_serializer=request.SerializeToString,
                response_deserializer=response.FromString,
            )
            setattr(self, method.name, _filled_in(call, request))


def _filled_in(call, request):
    return lambda timeout=None, **fields: call(request(**fields), timeout=timeout)
