// An agent that answers a question with one tool, built with Vercel's AI SDK and traced by its telemetry:
// node app.mjs SESSION
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import { generateText, stepCountIs, tool } from "ai";
import { z } from "zod";

const session = process.argv[2];
const provider = new NodeTracerProvider({
  resource: resourceFromAttributes({ "service.name": "lamps-vercel", "service.version": "7" }),
  spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
});
provider.register();

const model = createOpenAICompatible({ name: "fake", baseURL: process.env.FAKE_OPENAI, apiKey: "none" });
await generateText({
  model: model("m-1"),
  system: "You know every lamp.",
  prompt: "Where is the blue lamp?",
  tools: {
    find_room: tool({
      description: "Finds the room of a lamp.",
      inputSchema: z.object({ lamp: z.string() }),
      execute: async () => ({ room: "kitchen" }),
    }),
  },
  stopWhen: stepCountIs(3),
  experimental_telemetry: {
    isEnabled: true,
    functionId: "answer",
    metadata: { sessionId: session, userId: "ann", environment: "test" },
  },
});
await provider.forceFlush();
await provider.shutdown();
