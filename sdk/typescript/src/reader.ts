import { Backoff, sleep } from "./backoff.ts";
import type { Event, Holdline } from "./client.ts";
import { readMessages, readPage, seqOf, type Page, type Taken, type Target } from "./connection.ts";
import type { FollowOptions, Item, State, Timing } from "./follow.ts";
import { MalformedError, malformedTries, same, UnreadableError, type MalformedPlace } from "./malformed.ts";
import { lastSeq, Places } from "./places.ts";
import { PassingError, ProblemError } from "./problem.ts";

/** What was said of a failure: the error to tell of, and how often in a row it was this one, if that counts. */
export interface Failure {
  error: unknown;
  times?: number;
}

/** What an application was given, and how it is given what comes next: once, in order, without a gap. */
export class Reader {
  readonly holdline: Holdline;
  readonly options: FollowOptions;
  readonly timing: Required<Timing>;
  readonly places = new Places();
  /** Behind everything that was given and taken. */
  cursor: string | undefined;
  #behind = 0; // the head that this connection's last heartbeat told, if it was above the place
  #bad: MalformedError | undefined;
  #badTimes = 0; // how often in a row #bad came

  constructor(holdline: Holdline, options: FollowOptions) {
    const { hello = 5000, silence = 40_000, wait = 25_000, streamAgain = 60_000, backoff = {} } = options.timing ?? {};
    this.holdline = holdline;
    this.options = options;
    this.timing = { hello, silence, wait, streamAgain, backoff };
    this.cursor = options.cursor;
    for (const [conversation, seq] of options.positions ?? []) {
      this.places.know(conversation, seq);
    }
    const seq = this.cursor === undefined ? undefined : seqOf(this.cursor);
    if (options.conversation !== undefined && seq !== undefined) {
      this.places.know(options.conversation, seq);
    }
  }

  target(): Target {
    const { conversation, from, signal } = this.options;
    return { holdline: this.holdline, conversation, cursor: this.cursor, from: this.cursor === undefined ? from : undefined, signal };
  }

  /** Tells the application of the connection's state. What goes wrong there is the application's own, and reported as such. */
  tell(state: State): void {
    try {
      this.options.onState?.(state);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  /** Begins a connection. A conversation's first needs an answer before it; an inbox's begins with a snapshot by itself. */
  async *begin(): AsyncGenerator<Item, void, undefined> {
    this.#behind = 0;
    const { conversation, from } = this.options;
    if (conversation === undefined || from === "start" || this.cursor !== undefined) {
      return;
    }
    const messages = await readMessages(this.target());
    this.places.know(conversation, messages.last_seq);
    yield { kind: "messages", messages, conversation, cursor: messages.cursor };
    this.cursor = messages.cursor;
  }

  /** Gives what a connection gave. `acked` says that somebody has to tell that it was delivered. */
  async *take(taken: Taken, acked: boolean): AsyncGenerator<Item, void, undefined> {
    this.#goesOn();
    switch (taken.kind) {
      case "event":
        yield* this.#takeEvent(taken.event, taken.cursor, acked);
        return;
      case "snapshot":
        if (this.options.from !== "start") {
          for (const { id, last_seq } of taken.snapshot.conversations) {
            this.places.know(id, last_seq); // what it shows is not given again
          }
        }
        yield taken;
        this.cursor = taken.cursor ?? this.cursor;
        return;
      case "receipt":
        yield taken;
        return;
      case "heartbeat":
        yield* this.#takeHead(taken.head ?? 0, acked);
        return;
      case "unreadable":
        yield* this.#takeUnreadable(taken);
        this.cursor = taken.cursor ?? this.cursor;
        return;
      case "unknown":
        this.cursor = taken.cursor ?? this.cursor;
        return;
    }
  }

  /** Says that all of a page was taken. */
  took({ cursor }: Page): void {
    this.cursor = cursor;
    this.#bad = undefined; // what could not be read here can be
  }

  /**
   * What is to be said of a failure: nothing of one that passes, a reset of a cursor that is refused; else it is thrown. So is what cannot
   * be read, in the end.
   */
  *failed(error: unknown): Generator<Item, Failure, undefined> {
    this.options.signal?.throwIfAborted();
    if (error instanceof UnreadableError) {
      return this.#again(this.malformed(error.place, error.cause));
    }
    if (error instanceof MalformedError) {
      throw error;
    }
    if (!(error instanceof ProblemError)) {
      return { error };
    }
    const { code, status, field = "" } = error.problem;
    // Whatever is wrong with a cursor, coming back with it is of no use.
    const refused = status === 400 && this.cursor !== undefined && ["cursor", "after"].includes(field);
    if (code !== "cursor_reset" && !refused) {
      throw error;
    }
    this.cursor = undefined;
    this.places.clear();
    yield { kind: "reset" };
    return { error };
  }

  /** Of something that cannot be read, where this reader is. */
  malformed(place: MalformedPlace, cause: unknown): MalformedError {
    return new MalformedError(place, this.cursor, cause);
  }

  /** Says that something that cannot be read was given already. */
  isPast({ conversation, seq }: MalformedPlace): boolean {
    return conversation !== undefined && seq !== undefined && seq <= (this.places.completeTo(conversation) ?? 0);
  }

  /** Counts how often in a row the same could not be read, and throws it when that is often enough. */
  #again(bad: MalformedError): Failure {
    if (!same(bad, this.#bad)) {
      this.#bad = bad;
      this.#badTimes = 0;
    }
    if (++this.#badTimes === malformedTries) {
      throw bad;
    }
    return { error: bad, times: this.#badTimes };
  }

  /** After the signal nothing counts as given. */
  #goesOn(): void {
    this.options.signal?.throwIfAborted();
  }

  async *#takeEvent(event: Event, cursor: string | undefined, acked: boolean): AsyncGenerator<Item, void, undefined> {
    let step = this.places.step(event);
    if (step.kind === "gap") {
      yield* this.#reach(event.conversation_id, step.through);
      step = this.places.step(event);
    }
    this.#goesOn();
    this.places.took(event);
    if (acked) {
      this.options.acks?.delivered(event.conversation_id, lastSeq(event));
    }
    if (step.kind !== "seen") {
      // The cursor moves once the item is taken: who stops before gets it once more.
      yield { kind: "event", event, cursor };
    }
    this.cursor = cursor ?? this.cursor;
  }

  /** Throws it, after what comes before it was given, unless all that it stands for was given already. */
  async *#takeUnreadable({ place, error }: Extract<Taken, { kind: "unreadable" }>): AsyncGenerator<Item, void, undefined> {
    if (place && this.places.step(place).kind === "gap") {
      yield* this.#reach(place.conversation_id, place.seq - 1);
    }
    if (!place || this.places.step(place).kind !== "seen") {
      throw error;
    }
  }

  /**
   * Compares a conversation's head with what has come. One that was ahead at one heartbeat already, and still is at the next, is of events
   * that got lost: they are fetched.
   */
  async *#takeHead(head: number, acked: boolean): AsyncGenerator<Item, void, undefined> {
    if (this.#bad?.what === "heartbeat") {
      this.#bad = undefined;
    }
    const { conversation, acks } = this.options;
    if (conversation === undefined || head === 0 || this.places.completeTo(conversation) === undefined) {
      return;
    }
    if (this.#behind > this.places.completeTo(conversation)!) {
      yield* this.#reach(conversation, this.#behind);
      this.#goesOn();
      if (acked) {
        acks?.delivered(conversation, this.places.completeTo(conversation)!);
      }
    }
    this.#behind = head > this.places.completeTo(conversation)! ? head : 0;
  }

  /** Gives what the log holds behind the place of a conversation that is known, up to a seq, and tells what it does not hold. */
  async *#reach(conversation: string, through: number): AsyncGenerator<Item, void, undefined> {
    yield* this.fill(conversation, through);
    const complete = this.places.completeTo(conversation)!;
    if (complete < through) {
      this.places.know(conversation, through);
      yield { kind: "missing", conversation, from: complete + 1, through };
    }
  }

  /** Gives what the log holds behind the place of a conversation that is known, up to a seq. */
  async *fill(conversation: string, through: number): AsyncGenerator<Item, void, undefined> {
    const { signal } = this.options;
    const backoff = new Backoff(this.timing.backoff);
    const { places } = this;
    for (let complete = places.completeTo(conversation)!; complete < through; complete = places.completeTo(conversation)!) {
      let page;
      try {
        page = await readPage({ holdline: this.holdline, conversation, cursor: String(complete), from: undefined, signal }, 0);
      } catch (error) {
        if (error instanceof UnreadableError) {
          throw error;
        }
        if (error instanceof ProblemError) {
          if (error.problem.status === 404) {
            return; // what cannot be had is told
          }
          // The connection will tell whether it is the end; the cursor is still before the gap.
          throw new PassingError("what is missing cannot be fetched", undefined, error);
        }
        await sleep(backoff.failed(error instanceof PassingError ? error.retryAfter : undefined), signal);
        continue;
      }
      for (const item of page.items) {
        if (item.kind === "unreadable") {
          if (!item.place || (item.place.seq <= through && places.step(item.place).kind === "next")) {
            throw item.error;
          }
        }
        if (item.kind !== "event" || item.event.seq > through || places.step(item.event).kind !== "next") {
          continue;
        }
        const { event } = item;
        this.#goesOn();
        places.took(event);
        yield { kind: "event", event, cursor: undefined };
      }
      if (places.completeTo(conversation) === complete) {
        return;
      }
    }
  }
}
