"""An agent that answers a question with one tool, traced as its arguments say: app.py INSTRUMENTATION ENCODING SESSION"""

import json
import os
import sys

from openai import OpenAI
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "find_room",
            "description": "Finds the room of a lamp.",
            "parameters": {"type": "object", "properties": {"lamp": {"type": "string"}}},
        },
    }
]


def instrument(name, encoding):
    if encoding == "json":
        from opentelemetry.exporter.otlp.json.http.trace_exporter import OTLPSpanExporter
    else:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    provider = TracerProvider(resource=Resource.create({"service.name": f"lamps-{name}", "service.version": "7"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    if name == "openinference":
        from openinference.instrumentation.openai import OpenAIInstrumentor
    else:
        from opentelemetry.instrumentation.openai import OpenAIInstrumentor
    OpenAIInstrumentor().instrument(tracer_provider=provider)
    return provider


def answer(client, tracer, session):
    """Calls the model, the tool that it asks for, and the model again."""
    messages = [
        {"role": "system", "content": "You know every lamp."},
        {"role": "user", "content": "Where is the blue lamp?"},
    ]
    attributes = {
        "openinference.span.kind": "AGENT",
        "session.id": session,
        "user.id": "ann",
        "deployment.environment.name": "test",
        "input.value": messages[1]["content"],
    }
    with tracer.start_as_current_span("answer", attributes=attributes) as span:
        while True:
            reply = client.chat.completions.create(model="m-1", messages=messages, tools=TOOLS).choices[0].message
            if not reply.tool_calls:
                span.set_attribute("output.value", reply.content)
                return
            [call] = reply.tool_calls
            messages.append(
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"id": call.id, "type": "function", "function": call.function.model_dump()}],
                }
            )
            attributes = {
                "openinference.span.kind": "TOOL",
                "tool.name": call.function.name,
                "input.value": call.function.arguments,
                "output.value": json.dumps({"room": "kitchen"}),
            }
            with tracer.start_as_current_span(call.function.name, attributes=attributes):
                pass
            messages.append({"role": "tool", "tool_call_id": call.id, "content": json.dumps({"room": "kitchen"})})


def main(name, encoding, session):
    provider = instrument(name, encoding)
    client = OpenAI(base_url=os.environ["FAKE_OPENAI"], api_key="none", max_retries=0)
    answer(client, trace.get_tracer("lamps"), session)
    if not provider.force_flush():
        sys.exit("the spans could not be sent")


main(*sys.argv[1:])
