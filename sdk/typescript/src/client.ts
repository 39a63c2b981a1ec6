import createClient, { type Client } from "openapi-fetch";

import type { components, paths } from "./schema.gen.ts";

export type Event = components["schemas"]["Event"];
export type Conversation = components["schemas"]["Conversation"];
export type Receipt = components["schemas"]["InboxReceipt"];
export type MessagePage = components["schemas"]["MessagePage"];
export type Snapshot = components["schemas"]["InboxSnapshot"];

/** The answers that `api` gives types to; lines of text are asked for by `request`. */
type Media = "application/json" | "application/problem+json";

/** Where the server is, and who asks. */
export interface ConnectOptions {
  /** The server's address without `/v1`, for example `https://chat.example.org`. */
  server: string;
  /** A token of `POST /v1/sessions` or `POST /v1/users`; without one only those two are of use. */
  token?: string;
  /** What makes requests in place of the global `fetch`. */
  fetch?: typeof globalThis.fetch;
}

/** A server and who asks it: `api` has every call of the contract, with its types. */
export interface Holdline {
  readonly api: Client<paths, Media>;
  /** Asks for a path of the server, with the token. Any status is an answer. */
  request(path: string, init?: RequestInit): Promise<Response>;
}

/** Where a client asks, and as whom. */
export interface Identity {
  server: string;
  token: string | undefined;
}

const identities = new WeakMap<Holdline, Identity>();

/** Of a client that {@link connect} has made. */
export function identity(holdline: Holdline): Identity | undefined {
  return identities.get(holdline);
}

/** Makes a client. It opens no connection. */
export function connect({ server, token, fetch = globalThis.fetch }: ConnectOptions): Holdline {
  const base = server.replace(/\/+$/, "");
  const authorization = token === undefined ? {} : { Authorization: `Bearer ${token}` };
  const holdline: Holdline = {
    api: createClient<paths, Media>({ baseUrl: base, headers: authorization, fetch: (request) => fetch(request) }),
    request: (path, init = {}) =>
      fetch(base + path, { ...init, cache: "no-store", headers: { ...authorization, ...(init.headers as Record<string, string>) } }),
  };
  identities.set(holdline, { server: base, token });
  return holdline;
}
