import { Alone } from "./alone.ts";
import type { Acks } from "./acks.ts";
import type { BackoffOptions } from "./backoff.ts";
import type { Event, Holdline, MessagePage, Receipt, Snapshot } from "./client.ts";
import { meansHere, sharedName, type Means } from "./means.ts";
import { Reader } from "./reader.ts";
import { Shared } from "./shared.ts";

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
  /**
   * The pages of one origin that follow the same share one connection: one of them holds it and hands on what comes,
   * and when it goes another does. `true` shares among those with the same token; a string among those that give the same, which
   * must be of one user only. Where the browser cannot do it (it takes Web Locks, BroadcastChannel and a secure
   * context) each follows alone.
   */
  share?: boolean | string;
  /** Ends the following, and its connection, at once: the iteration throws the signal's reason in place of the next item. */
  signal?: AbortSignal;
  /** Told `delivered` of all events that were taken from a stream. (A poll tells it by its cursor.) */
  acks?: Acks;
  /** Told when the connection changes. An error that it throws is reported as one that nobody has caught, and changes nothing here. */
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

/**
 * Follows a conversation, or the whole inbox: `for await (const item of follow(holdline)) …`.
 *
 * Every event comes once, in the order of its conversation, without a gap, whatever happens to connections, proxies and
 * servers; a gap that shows is filled from the log first. It reads only as fast as the items are taken: who is slow is
 * cut off by the server at some time, and goes on where they were. Throws {@link ProblemError} when it cannot go on: not
 * a member any more, the session has ended; and {@link MalformedError} at what cannot be read however often it is asked for.
 */
export function follow(holdline: Holdline, options: FollowOptions = {}): Follower {
  return new Follower(holdline, options);
}

/** One following; to be iterated once. */
export class Follower implements AsyncIterable<Item> {
  readonly #reader: Reader;
  readonly #means: Means | undefined;

  /** The means of sharing are the browser's own. */
  constructor(holdline: Holdline, options: FollowOptions, means: Means | undefined = meansHere()) {
    this.#reader = new Reader(holdline, options);
    this.#means = means;
  }

  /** The latest cursor: behind everything that the iteration has given. */
  get cursor(): string | undefined {
    return this.#reader.cursor;
  }

  /** The seq up to which everything of a conversation was given; undefined before its first event. */
  completeTo(conversation: string): number | undefined {
    return this.#reader.places.completeTo(conversation);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Item, void, undefined> {
    const reader = this.#reader;
    const means = this.#means;
    const { share, conversation } = reader.options;
    const name = share && means ? await sharedName(means, reader.holdline, share, conversation) : undefined;
    yield* means && name !== undefined ? new Shared(reader, means, name).items() : new Alone(reader).items();
  }
}
