"""Decodes exports of OTLP, in base64 on standard input, with OpenTelemetry's own messages, to JSON."""

import base64
import json
import sys

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

exports = [ExportTraceServiceRequest.FromString(base64.b64decode(body)) for body in json.load(sys.stdin)]
json.dump([MessageToDict(export) for export in exports], sys.stdout)
