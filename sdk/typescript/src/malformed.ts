/** What it is that cannot be read: a part of a stream, a frame of it without an end, or a whole answer. */
export type Malformed = "event" | "receipt" | "snapshot" | "heartbeat" | "ending" | "frame" | "answer";

/**
 * How often in a row the same that cannot be read is asked for before following ends. In the seconds that this takes, what was garbled for a
 * moment comes right.
 */
export const malformedTries = 5;

/** What is known of it, beside the cursor. */
export interface MalformedPlace {
  what: Malformed;
  conversation: string | undefined;
  seq: number | undefined;
}

/**
 * Following has ended at something that it cannot read: a field of a type that the contract does not give it, for instance, of a server
 * that is newer than this package, or behind a proxy that garbles. The same came each time it was asked for. Nothing was skipped: all before
 * it has been given, and nothing behind it.
 *
 * An application that has to go on follows again from its last cursor, with `conversation` at `seq` among its `positions`; the event is
 * passed over then, unread. Without a `seq`, only a newer package or a mended way helps.
 */
export class MalformedError extends Error {
  readonly what: Malformed;
  /** The event's own, as far as it can be read. */
  readonly conversation: string | undefined;
  /** The event's own, as far as it can be read; of a `hidden` one the last seq that it stands for. */
  readonly seq: number | undefined;
  /** Where it was asked for: it comes after that. Undefined for the beginning. */
  readonly cursor: string | undefined;

  /** `cause` is what is wrong with it. */
  constructor({ what, conversation, seq }: MalformedPlace, cursor: string | undefined, cause: unknown) {
    const which = conversation === undefined || seq === undefined ? what : `${what} ${JSON.stringify(conversation)} seq ${seq}`;
    const where = cursor === undefined ? "at the beginning" : `after the cursor ${JSON.stringify(cursor)}`;
    super(`a malformed ${which}, ${where}, cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.name = "MalformedError";
    this.what = what;
    this.conversation = conversation;
    this.seq = seq;
    this.cursor = cursor;
  }
}

/** Says that two tell of the same that cannot be read. */
export function same(a: MalformedError, b: MalformedError | undefined): boolean {
  return a.what === b?.what && a.conversation === b.conversation && a.seq === b.seq && a.cursor === b.cursor;
}

/** Why a connection is given up at something that cannot be read. The reader knows the cursor. */
export class UnreadableError extends Error {
  readonly place: MalformedPlace;

  constructor(what: Malformed, cause: unknown, conversation?: string, seq?: number) {
    super(`a malformed ${what}`, { cause });
    this.name = "UnreadableError";
    this.place = { what, conversation, seq };
  }
}
