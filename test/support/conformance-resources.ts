import type { Server } from "@modelcontextprotocol/sdk/server/index.js";
import {
  ListResourceTemplatesRequestSchema,
  ListResourcesRequestSchema,
  McpError,
  ReadResourceRequestSchema,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { PNG } from "./conformance-media.ts";

const RESOURCE_NOT_FOUND = -32_002;

const resources = [
  {
    uri: "test://static-text",
    name: "static-text",
    description: "A text that never changes.",
    mimeType: "text/plain",
    body: { text: "This is the content of the static text resource." },
  },
  {
    uri: "test://static-binary",
    name: "static-binary",
    description: "An image that never changes.",
    mimeType: "image/png",
    body: { blob: PNG },
  },
  {
    uri: "test://watched-resource",
    name: "watched-resource",
    description: "A text that clients may watch. It never changes either, so there is nothing to tell them.",
    mimeType: "text/plain",
    body: { text: "Watched." },
  },
];

const template = /^test:\/\/template\/([^/]+)\/data$/;

/** Registers the resources that the conformance suite lists, reads and subscribes to. */
export function serveResources(server: Server): void {
  server.setRequestHandler(ListResourcesRequestSchema, () => ({
    resources: resources.map(({ uri, name, description, mimeType }) => ({ uri, name, description, mimeType })),
  }));
  server.setRequestHandler(ListResourceTemplatesRequestSchema, () => ({
    resourceTemplates: [
      {
        uriTemplate: "test://template/{id}/data",
        name: "template",
        description: "The data of an id.",
        mimeType: "application/json",
      },
    ],
  }));
  server.setRequestHandler(ReadResourceRequestSchema, ({ params }) => ({ contents: [read(params.uri)] }));
  server.setRequestHandler(SubscribeRequestSchema, ({ params }) => (read(params.uri), {}));
  server.setRequestHandler(UnsubscribeRequestSchema, ({ params }) => (read(params.uri), {}));
}

function read(uri: string) {
  const id = template.exec(uri)?.[1];
  if (id !== undefined) {
    const text = JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` });
    return { uri, mimeType: "application/json", text };
  }
  const resource = resources.find((resource) => resource.uri === uri);
  if (!resource) throw new McpError(RESOURCE_NOT_FOUND, `there is no resource ${uri}`, { uri });
  return { uri, mimeType: resource.mimeType, ...resource.body };
}
