import { link, within } from "./abort.ts";
import type { Event, Holdline, MessagePage, Receipt, Snapshot } from "./client.ts";
import { FrameParser, type Frame } from "./eventstream.ts";
import { UnreadableError, type Malformed } from "./malformed.ts";
import { lastSeq } from "./places.ts";
import { mediaType, PassingError, ProblemError, readAnswer, refuse, SilenceError, type Problem } from "./problem.ts";
import { isEvent, isHeartbeat, isMessagePage, isObject, isPage, isProblem, isReceipt, isSnapshot, type Check, type Page as Answer } from "./shape.ts";

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
  /** `head` is the last seq of the conversation that is followed; undefined where it is not told. */
  | { kind: "heartbeat"; head: number | undefined }
  /** An event that cannot be read; `place` has no more than its place, and is undefined where not even that can be. */
  | { kind: "unreadable"; place: Event | undefined; error: UnreadableError; cursor: string | undefined }
  /** Something that is no entry of a log, of a kind that is not known here. */
  | { kind: "unknown"; cursor: string | undefined };

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
  const page = await read<Answer>(target, path(target, false, more), wait + pollGrace, isPage);
  if (!Array.isArray(page?.events) || typeof page.cursor !== "string") {
    throw new PassingError("an answer that is not a page");
  }
  const items: Taken[] = [];
  const { events, receipts = [], snapshot, cursor } = page;
  if (snapshot) {
    // That cursor covers the page's events too: who kept it with the snapshot and stopped there would never get them.
    items.push({ kind: "snapshot", snapshot: shownWith(snapshot, receipts), cursor: events.length === 0 ? cursor : undefined });
  }
  for (const receipt of receipts) {
    items.push({ kind: "receipt", receipt });
  }
  events.forEach((event, n) => {
    const taken = takeEvent(event, undefined);
    // The page's cursor covers all of it: it belongs to the last event.
    items.push({ ...taken, cursor: n === events.length - 1 ? cursor : behind(target, taken, cursor) });
  });
  return { items, cursor, more: page.more === true };
}

/**
 * A snapshot with the receipts of its page in it, since the cursor that is given with it covers them: who keeps the two and stops there has
 * them. They are not older.
 */
function shownWith(snapshot: Snapshot, receipts: Receipt[]): Snapshot {
  const whose = ({ conversation_id, user_id }: Receipt) => `${conversation_id} ${user_id}`;
  const shown = [...(snapshot.receipts ?? []), ...receipts];
  return { ...snapshot, conversations: snapshot.conversations ?? [], receipts: [...new Map(shown.map((receipt) => [whose(receipt), receipt])).values()] };
}

/** The cursor behind an event of the one conversation that is followed, made of one of the same log; an inbox's only the server can make. */
function behind({ conversation }: Target, taken: Taken, of: string): string | undefined {
  const epoch = of.indexOf("-");
  return conversation !== undefined && epoch >= 0 && taken.kind === "event" ? `${lastSeq(taken.event)}${of.slice(epoch)}` : undefined;
}

/** The seq of a conversation's cursor, SEQ-EPOCH or a bare seq; undefined of any other. */
export function seqOf(cursor: string): number | undefined {
  const digits = /^(\d{1,15})(-|$)/.exec(cursor)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** Reads the latest messages of a conversation, and the cursor behind them. */
export async function readMessages(target: Target): Promise<MessagePage> {
  const page = await read<MessagePage>(target, `/v1/conversations/${encodeURIComponent(target.conversation!)}/messages`, pollGrace, isMessagePage);
  if (!Array.isArray(page?.messages) || typeof page.cursor !== "string") {
    throw new PassingError("an answer that is not a page");
  }
  return page;
}

async function read<T>({ holdline, signal }: Target, path: string, ms: number, check: Check<T>): Promise<T | null> {
  const answer = await within(ms, signal, async (signal) => readAnswer<unknown>(await holdline.request(path, { headers: { Accept: "application/json" }, signal })));
  return answer === null ? null : checked("answer", check, answer);
}

/** A value that is what its check says; throws {@link UnreadableError} if it is not. */
function checked<T>(what: Malformed, check: Check<T>, value: unknown): T {
  const wrong = check(value);
  if (wrong) {
    throw new UnreadableError(what, new Error(`it ${wrong}`));
  }
  return value as T;
}

export interface StreamTiming {
  hello: number;
  silence: number;
  onRetry: (ms: number) => void;
}

/** The longest frame that is read, in characters; a page ends at about 1 Mi, an inbox's first snapshot at some more. */
const maxFrame = 64 << 20;

/**
 * Reads one stream to its end. Only whole events are given; silence for longer than said throws {@link SilenceError}, and what cannot be
 * read and is no event {@link UnreadableError}.
 */
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
        yield takeFrame(frame);
      }
      if (parser.unfinished > maxFrame) {
        throw new UnreadableError("frame", new Error("it is longer than any that the server sends"));
      }
    }
  } finally {
    unlink();
    giveUp.abort();
  }
}

function takeFrame({ event, data, id }: Frame): Taken {
  switch (event) {
    case "heartbeat":
      return { kind: "heartbeat", head: checked("heartbeat", isHeartbeat, parsed("heartbeat", data)).last_seq };
    case "snapshot":
      return { kind: "snapshot", snapshot: shownWith(checked("snapshot", isSnapshot, parsed("snapshot", data)), []), cursor: id };
    case "receipt":
      return { kind: "receipt", receipt: checked("receipt", isReceipt, parsed("receipt", data)) };
    case "reset":
    case "end": {
      const problem = checked("ending", isProblem, parsed("ending", data)) as Problem;
      if (!problem.code) {
        throw new UnreadableError("ending", new Error("it has no code"));
      }
      throw event === "reset" ? new ProblemError(problem) : ending(problem);
    }
  }
  if (data === "") {
    return { kind: "unknown", cursor: id };
  }
  const value = parsed("event", data);
  return isObject(value) && value.seq === undefined ? { kind: "unknown", cursor: id } : takeEvent(value, id);
}

function parsed(what: Malformed, data: string): unknown {
  try {
    return JSON.parse(data);
  } catch (cause) {
    throw new UnreadableError(what, cause);
  }
}

/** Reads an event, or of one that cannot be read its place, as far as that can be. */
function takeEvent(value: unknown, cursor: string | undefined): Extract<Taken, { kind: "event" | "unreadable" }> {
  const wrong = isEvent(value);
  const { conversation_id, seq, through_seq } = (isObject(value) ? value : {}) as Partial<Event>;
  const conversation = typeof conversation_id === "string" && conversation_id !== "" ? conversation_id : undefined;
  const first = Number.isSafeInteger(seq) && seq! > 0 ? seq : undefined;
  const placed = conversation !== undefined && first !== undefined;
  if (placed && !wrong) {
    return { kind: "event", event: value as Event, cursor };
  }
  const last = first === undefined ? undefined : Math.max(first, Number.isSafeInteger(through_seq) ? through_seq! : 0);
  const place = placed ? { conversation_id: conversation, seq: first, through_seq: last!, type: "" } : undefined;
  const cause = new Error(wrong ? `it ${wrong}` : "it has no conversation or no seq");
  return { kind: "unreadable", place, error: new UnreadableError("event", cause, conversation, last), cursor };
}

/** Why a stream has ended; when it may be come back to its `retry` says when. */
function ending(problem: Problem): Error {
  const error = new ProblemError(problem);
  return problem.code === "rate_limited" || problem.status >= 500 ? new PassingError(error.message) : error;
}
