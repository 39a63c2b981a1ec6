import { link, within } from "./abort.ts";
import type { components } from "./schema.gen.ts";
import type { Event, Holdline, MessagePage, Receipt, Snapshot } from "./client.ts";
import { FrameParser, type Frame } from "./eventstream.ts";
import { mediaType, PassingError, ProblemError, readAnswer, refuse, SilenceError, type Problem } from "./problem.ts";

/** What is read, and from where on. */
export interface Target {
  holdline: Holdline;
  conversation: string | undefined; // undefined: the inbox
  cursor: string | undefined;
  from: "now" | "start" | undefined;
  signal: AbortSignal | undefined;
}

/** What a connection gives. */
export type Taken =
  | { kind: "snapshot"; snapshot: Snapshot; cursor: string | undefined }
  | { kind: "event"; event: Event; cursor: string | undefined }
  | { kind: "receipt"; receipt: Receipt }
  | { kind: "heartbeat" };

export interface Page {
  items: Taken[];
  cursor: string;
  more: boolean;
}

function path({ conversation, cursor, from }: Target, stream: boolean, more: Record<string, string> = {}): string {
  const query = new URLSearchParams(more);
  if (cursor !== undefined) {
    query.set(conversation === undefined ? "cursor" : "after", cursor);
  } else if (from !== undefined && conversation === undefined) {
    query.set("from", from);
  }
  const place =
    conversation === undefined
      ? stream ? "/v1/inbox/stream" : "/v1/inbox"
      : `/v1/conversations/${encodeURIComponent(conversation)}/${stream ? "stream" : "events"}`;
  return `${query}` === "" ? place : `${place}?${query}`;
}

/** How much longer than its wait a poll may take, in milliseconds, before it is given up. */
const pollGrace = 15_000;

/** Asks for one page, which the server may hold back for `wait` milliseconds. */
export async function readPage(target: Target, wait: number): Promise<Page> {
  const more: Record<string, string> = { limit: "200" };
  if (wait >= 1000 && target.cursor !== undefined) {
    more.wait = String(Math.floor(wait / 1000));
  }
  type Answer = components["schemas"]["EventPage"] & Partial<components["schemas"]["InboxPage"]>;
  const page = await read<Answer>(target, path(target, false, more), wait + pollGrace);
  if (!Array.isArray(page.events) || typeof page.cursor !== "string") {
    throw new PassingError("an answer that is not a page");
  }
  const items: Taken[] = [];
  if (page.snapshot) {
    // That cursor covers the page's events too: who kept it with the snapshot and stopped there would never get them.
    items.push({ kind: "snapshot", snapshot: page.snapshot, cursor: page.events.length === 0 ? page.cursor : undefined });
  }
  for (const receipt of page.receipts ?? []) {
    items.push({ kind: "receipt", receipt });
  }
  page.events.forEach((event, n) => {
    // The page's cursor covers all of it: it belongs to the last event.
    items.push({ kind: "event", event, cursor: n === page.events.length - 1 ? page.cursor : undefined });
  });
  return { items, cursor: page.cursor, more: page.more === true };
}

/** Reads the latest messages of a conversation, and the cursor behind them. */
export async function readMessages(target: Target): Promise<MessagePage> {
  const page = await read<MessagePage>(target, `/v1/conversations/${encodeURIComponent(target.conversation!)}/messages`, pollGrace);
  if (!Array.isArray(page.messages) || typeof page.cursor !== "string") {
    throw new PassingError("an answer that is not a page");
  }
  return page;
}

function read<T>({ holdline, signal }: Target, path: string, ms: number): Promise<T> {
  return within(ms, signal, async (signal) => readAnswer<T>(await holdline.request(path, { headers: { Accept: "application/json" }, signal })));
}

export interface StreamTiming {
  hello: number;
  silence: number;
  onRetry: (ms: number) => void;
}

/** Reads one stream to its end. Only whole events are given; silence for longer than said throws {@link SilenceError}. */
export async function* readStream(target: Target, { hello, silence, onRetry }: StreamTiming): AsyncGenerator<Taken, void, undefined> {
  const giveUp = new AbortController();
  const unlink = link(target.signal, giveUp);
  const { signal } = giveUp;
  // Only the waiting is timed, not what the application does between two events.
  const timed = async <T>(what: Promise<T>, ms: number): Promise<T> => {
    const timer = setTimeout(() => giveUp.abort(new SilenceError(`nothing came for ${ms} ms`)), ms);
    try {
      return await what;
    } catch (error) {
      throw signal.aborted ? signal.reason : error;
    } finally {
      clearTimeout(timer);
    }
  };
  try {
    const response = await timed(
      target.holdline.request(path(target, true), { headers: { Accept: "text/event-stream" }, signal }),
      hello,
    );
    if (response.status !== 200 || mediaType(response) !== "text/event-stream" || !response.body) {
      const body = await timed(response.json().catch(() => undefined), hello);
      refuse(response, body);
    }
    const parser = new FrameParser();
    const decoder = new TextDecoder();
    const reader = response.body.getReader();
    for (let limit = hello; ; ) {
      const { done, value } = await timed(reader.read(), limit);
      if (done) {
        return;
      }
      for (const frame of parser.push(decoder.decode(value, { stream: true }))) {
        limit = silence;
        if (parser.retry !== undefined) {
          onRetry(parser.retry);
        }
        const taken = takeFrame(frame);
        if (taken) {
          yield taken;
        }
      }
    }
  } finally {
    unlink();
    giveUp.abort();
  }
}

function takeFrame({ event, data, id }: Frame): Taken | undefined {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch (cause) {
    throw new PassingError("a stream that is not the server's", undefined, cause);
  }
  switch (event) {
    case "heartbeat":
      return { kind: "heartbeat" };
    case "snapshot":
      return { kind: "snapshot", snapshot: value as Snapshot, cursor: id };
    case "receipt":
      return { kind: "receipt", receipt: value as Receipt };
    case "reset":
      throw new ProblemError(value as Problem);
    case "end":
      throw ending(value as Problem);
  }
  const e = value as Event;
  return typeof e.conversation_id === "string" && typeof e.seq === "number" ? { kind: "event", event: e, cursor: id } : undefined;
}

/** Why a stream has ended; when it may be come back to its `retry` says when. */
function ending(problem: Problem): Error {
  const error = new ProblemError(problem);
  return problem.code === "rate_limited" || problem.status >= 500 ? new PassingError(error.message) : error;
}
