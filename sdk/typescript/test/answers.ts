import { connect, type Holdline } from "../src/index.ts";

/** A client whose requests are answered by a function, which is told how many came before; what was asked is kept. */
export function answeredBy(answer: (url: URL, init: RequestInit, n: number) => Response): { holdline: Holdline; asked: URL[] } {
  const asked: URL[] = [];
  const holdline = connect({
    server: "http://server",
    fetch: async (input, init) => {
      await new Promise(setImmediate); // an answer never comes at once
      init?.signal?.throwIfAborted();
      const url = new URL(String(input));
      asked.push(url);
      return answer(url, init!, asked.length - 1);
    },
  });
  return { holdline, asked };
}

/** An answer whose body is JSON, or should be. */
export function jsonText(body: string): Response {
  return new Response(body, { headers: { "Content-Type": "application/json" } });
}

export function json(body: unknown): Response {
  return jsonText(JSON.stringify(body));
}

export function problem(status: number, code: string, field?: string): Response {
  return new Response(JSON.stringify({ title: code, status, code, field }), { status, headers: { "Content-Type": "application/problem+json" } });
}

/** One event of a stream, of data that are text or become JSON. */
export function frame(event: string, data: unknown, id?: string): string {
  return `event: ${event}\ndata: ${typeof data === "string" ? data : JSON.stringify(data)}\n${id === undefined ? "" : `id: ${id}\n`}\n`;
}

/** A stream that stays open behind what it gives, until its request is given up. */
export function openStream(signal: AbortSignal, frames: string): Response {
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => {
      controller.enqueue(new TextEncoder().encode(frames));
      signal.addEventListener("abort", () => controller.error(signal.reason));
    },
  });
  return stream(body);
}

/** A stream that ends behind what it gives, or is as its body makes it. */
export function stream(body: BodyInit): Response {
  return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
}
