import { Backoff, sleep, type BackoffOptions } from "./backoff.ts";
import type { Acks } from "./acks.ts";
import type { Event, Holdline, MessagePage, Receipt, Snapshot } from "./client.ts";
import { readMessages, readPage, readStream, type Taken, type Target } from "./connection.ts";
import { Places } from "./places.ts";
import { PassingError, ProblemError, SilenceError } from "./problem.ts";

export interface FollowOptions {
  /** The conversation to follow; without one the inbox: all of the user's conversations over one connection. */
  conversation?: string;
  /** Where to go on: a cursor that an earlier item had. */
  cursor?: string;
  /** With a cursor: up to which seq each conversation is complete, so that a gap shows from the first event on. */
  positions?: Iterable<readonly [conversation: string, seq: number]>;
  /** Without a cursor: what comes after now, behind a snapshot, or everything there is. Default `now`. */
  from?: "now" | "start";
  /** `auto` streams, and polls for a while where a stream does not get through. Default `auto`. */
  transport?: "auto" | "stream" | "poll";
  /** Ends the following: the iteration throws the signal's reason. */
  signal?: AbortSignal;
  /** Told `delivered` of all events that were taken from a stream. (A poll tells it by its cursor.) */
  acks?: Acks;
  /** Told when the connection changes. */
  onState?: (state: State) => void;
  timing?: Timing;
}

/** Times in milliseconds. */
export interface Timing {
  /** How long a stream may take to say its first heartbeat before it is given up for polls. Default 5,000. */
  hello?: number;
  /** How long a stream may be silent; the server's heartbeats come every 15,000. Default 40,000. */
  silence?: number;
  /** How long polls wait at the server, in whole seconds' worth. Default 25,000, at most 50,000. */
  wait?: number;
  /** How long to poll before a stream is tried again; doubles with each time in vain, up to an hour. Default 60,000. */
  streamAgain?: number;
  backoff?: BackoffOptions;
}

/** What the connection does. */
export type State =
  | { state: "connected"; transport: "stream" | "poll" }
  | { state: "reconnecting"; error: unknown; after: number };

/** What following gives, in the order in which to apply it. */
export type Item =
  /** Of an inbox's first connect: what to draw a screen from. */
  | { kind: "snapshot"; snapshot: Snapshot; cursor: string | undefined }
  /** Of a conversation's first connect: its latest messages as they are now. */
  | { kind: "messages"; messages: MessagePage; conversation: string; cursor: string }
  /** The next event of its conversation. A `cursor`, where there is one, covers this and all before: keep it. */
  | { kind: "event"; event: Event; cursor: string | undefined }
  /** How far a member has received and read. Only the latest counts. */
  | { kind: "receipt"; receipt: Receipt }
  /** These events cannot be had any more, since the user is no longer a member. */
  | { kind: "missing"; conversation: string; from: number; through: number }
  /** The server's log is another one: forget every cursor and event of it. What is there now follows. */
  | { kind: "reset" };

const maxStreamAgain = 3_600_000;

/** How many answers of something on the way are taken for an accident. */
const maxForeign = 3;

/**
 * Follows a conversation, or the whole inbox: `for await (const item of follow(holdline)) …`.
 *
 * Every event comes once, in the order of its conversation, without a gap, whatever happens to connections, proxies and
 * servers; a gap that shows is filled from the log first. It reads only as fast as the items are taken: who is slow is
 * cut off by the server at some time, and goes on where they were. Throws {@link ProblemError} when it cannot go on: not
 * a member any more, the session has ended.
 */
export function follow(holdline: Holdline, options: FollowOptions = {}): Follower {
  return new Follower(holdline, options);
}

/** One following; to be iterated once. */
export class Follower implements AsyncIterable<Item> {
  readonly #holdline: Holdline;
  readonly #options: FollowOptions;
  readonly #timing: Required<Timing>;
  readonly #places = new Places();
  readonly #backoff: Backoff;
  #cursor: string | undefined;
  #retry: number | undefined; // what the server asks between two connections
  #pollUntil = 0; // by performance.now(), which no clock change moves
  #streamAgain: number;
  #foreign = 0; // answers in place of a stream, one after the other, that were not the server's

  constructor(holdline: Holdline, options: FollowOptions) {
    const { hello = 5000, silence = 40_000, wait = 25_000, streamAgain = 60_000, backoff = {} } = options.timing ?? {};
    this.#holdline = holdline;
    this.#options = options;
    this.#timing = { hello, silence, wait, streamAgain, backoff };
    this.#cursor = options.cursor;
    this.#backoff = new Backoff(backoff);
    this.#streamAgain = streamAgain;
    for (const [conversation, seq] of options.positions ?? []) {
      this.#places.know(conversation, seq);
    }
  }

  /** The latest cursor: behind everything that the iteration has given. */
  get cursor(): string | undefined {
    return this.#cursor;
  }

  /** The seq up to which everything of a conversation was given; undefined before its first event. */
  completeTo(conversation: string): number | undefined {
    return this.#places.completeTo(conversation);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Item, void, undefined> {
    const { signal } = this.#options;
    for (;;) {
      signal?.throwIfAborted();
      let wait = 0;
      try {
        yield* this.#begin();
        yield* this.#streams() ? this.#stream() : this.#poll();
        wait = this.#backoff.failed(this.#retry);
      } catch (error) {
        signal?.throwIfAborted();
        if (error instanceof ProblemError) {
          if (error.code !== "cursor_reset") {
            throw error;
          }
          this.#cursor = undefined;
          this.#places.clear();
          yield { kind: "reset" };
          wait = this.#backoff.failed();
        } else {
          wait = this.#backoff.failed(error instanceof PassingError ? error.retryAfter ?? this.#retry : this.#retry);
          this.#options.onState?.({ state: "reconnecting", error, after: wait });
        }
      }
      this.#retry = undefined;
      await sleep(wait, signal);
    }
  }

  #streams(): boolean {
    const { transport = "auto" } = this.#options;
    return transport === "stream" || (transport === "auto" && performance.now() >= this.#pollUntil);
  }

  /** No longer than until a stream is to be tried again. */
  #pollWait(): number {
    const { wait } = this.#timing;
    return this.#options.transport === "poll" ? wait : Math.min(wait, Math.max(1000, this.#pollUntil - performance.now()));
  }

  #target(): Target {
    const { conversation, from } = this.#options;
    return {
      holdline: this.#holdline,
      conversation,
      cursor: this.#cursor,
      from: this.#cursor === undefined ? from : undefined,
      signal: this.#options.signal,
    };
  }

  /** A conversation's first connect; an inbox's answer begins with a snapshot by itself. */
  async *#begin(): AsyncGenerator<Item, void, undefined> {
    const { conversation, from } = this.#options;
    if (conversation === undefined || from === "start" || this.#cursor !== undefined) {
      return;
    }
    const messages = await readMessages(this.#target());
    this.#places.know(conversation, messages.last_seq);
    yield { kind: "messages", messages, conversation, cursor: messages.cursor };
    this.#cursor = messages.cursor;
  }

  async *#stream(): AsyncGenerator<Item, void, undefined> {
    const { hello, silence } = this.#timing;
    let greeted = false;
    const stream = readStream(this.#target(), { hello, silence, onRetry: (ms) => (this.#retry = ms) });
    try {
      for await (const taken of stream) {
        if (!greeted) {
          greeted = true;
          this.#streamAgain = this.#timing.streamAgain;
          this.#options.onState?.({ state: "connected", transport: "stream" });
        }
        if (taken.kind === "heartbeat") {
          continue;
        }
        this.#backoff.succeeded();
        yield* this.#take(taken, true);
      }
    } catch (error) {
      if (!greeted) {
        this.#streamFailed(error);
      }
      throw error;
    }
  }

  /** Polls for a while when it is the way, not the server, that lets no stream through. */
  #streamFailed(error: unknown): void {
    this.#foreign = error instanceof PassingError && error.foreign ? this.#foreign + 1 : 0;
    if (error instanceof SilenceError || this.#foreign >= maxForeign) {
      this.#foreign = 0;
      this.#pollUntil = performance.now() + this.#streamAgain;
      this.#streamAgain = Math.min(2 * this.#streamAgain, maxStreamAgain);
    }
  }

  async *#poll(): AsyncGenerator<Item, void, undefined> {
    let told = false;
    while (!this.#streams()) {
      // The first answer shows that polls get through: it is not waited for.
      const page = await readPage(this.#target(), told ? this.#pollWait() : 0);
      this.#backoff.succeeded();
      if (!told) {
        told = true;
        this.#options.onState?.({ state: "connected", transport: "poll" });
      }
      for (const taken of page.items) {
        yield* this.#take(taken, false);
      }
      this.#cursor = page.cursor;
    }
  }

  async *#take(taken: Taken, streamed: boolean): AsyncGenerator<Item, void, undefined> {
    switch (taken.kind) {
      case "event":
        yield* this.#takeEvent(taken.event, taken.cursor, streamed);
        return;
      case "snapshot":
        if (this.#options.from !== "start") {
          for (const { id, last_seq } of taken.snapshot.conversations) {
            this.#places.know(id, last_seq); // what it shows is not given again
          }
        }
        yield taken;
        this.#cursor = taken.cursor ?? this.#cursor;
        return;
      case "receipt":
        yield taken;
        return;
      case "heartbeat":
        return;
    }
  }

  async *#takeEvent(event: Event, cursor: string | undefined, streamed: boolean): AsyncGenerator<Item, void, undefined> {
    let step = this.#places.step(event);
    if (step.kind === "gap") {
      yield* this.#fill(event.conversation_id, step.through);
      step = this.#places.step(event);
      if (step.kind === "gap") {
        yield { kind: "missing", conversation: event.conversation_id, from: step.from, through: step.through };
      }
    }
    this.#places.took(event);
    if (streamed) {
      this.#options.acks?.delivered(event.conversation_id, event.through_seq ?? event.seq);
    }
    if (step.kind !== "seen") {
      // The cursor moves once the item is taken: who stops before gets it once more.
      yield { kind: "event", event, cursor };
    }
    this.#cursor = cursor ?? this.#cursor;
  }

  /** Gives what the log holds behind the place of a conversation, up to a seq. */
  async *#fill(conversation: string, through: number): AsyncGenerator<Item, void, undefined> {
    const { signal } = this.#options;
    const backoff = new Backoff(this.#timing.backoff);
    for (let complete = this.completeTo(conversation)!; complete < through; complete = this.completeTo(conversation)!) {
      let page;
      try {
        page = await readPage({ holdline: this.#holdline, conversation, cursor: String(complete), from: undefined, signal }, 0);
      } catch (error) {
        if (error instanceof ProblemError) {
          return; // what cannot be had is told
        }
        await sleep(backoff.failed(error instanceof PassingError ? error.retryAfter : undefined), signal);
        continue;
      }
      for (const { event } of page.items.filter((item) => item.kind === "event")) {
        if (event.seq > through || this.#places.step(event).kind !== "next") {
          continue;
        }
        this.#places.took(event);
        yield { kind: "event", event, cursor: undefined };
      }
      if (this.completeTo(conversation) === complete) {
        return;
      }
    }
  }
}
