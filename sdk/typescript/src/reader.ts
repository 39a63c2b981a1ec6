import { Backoff, sleep } from "./backoff.ts";
import type { Event, Holdline } from "./client.ts";
import { readMessages, readPage, type Taken, type Target } from "./connection.ts";
import type { FollowOptions, Item, State, Timing } from "./follow.ts";
import { Places } from "./places.ts";
import { PassingError, ProblemError } from "./problem.ts";

/** What an application was given, and how it is given what comes next: once, in order, without a gap. */
export class Reader {
  readonly holdline: Holdline;
  readonly options: FollowOptions;
  readonly timing: Required<Timing>;
  readonly places = new Places();
  /** Behind everything that was given and taken. */
  cursor: string | undefined;

  constructor(holdline: Holdline, options: FollowOptions) {
    const { hello = 5000, silence = 40_000, wait = 25_000, streamAgain = 60_000, backoff = {} } = options.timing ?? {};
    this.holdline = holdline;
    this.options = options;
    this.timing = { hello, silence, wait, streamAgain, backoff };
    this.cursor = options.cursor;
    for (const [conversation, seq] of options.positions ?? []) {
      this.places.know(conversation, seq);
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

  /** A conversation's first connect; an inbox's answer begins with a snapshot by itself. */
  async *begin(): AsyncGenerator<Item, void, undefined> {
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
        return;
    }
  }

  /** What is to be said of a failure: nothing of one that passes, a reset of a cursor that is refused; else it is thrown. */
  *failed(error: unknown): Generator<Item, void, undefined> {
    this.options.signal?.throwIfAborted();
    if (!(error instanceof ProblemError)) {
      return;
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
      this.options.acks?.delivered(event.conversation_id, event.through_seq ?? event.seq);
    }
    if (step.kind !== "seen") {
      // The cursor moves once the item is taken: who stops before gets it once more.
      yield { kind: "event", event, cursor };
    }
    this.cursor = cursor ?? this.cursor;
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
      for (const { event } of page.items.filter((item) => item.kind === "event")) {
        if (event.seq > through || places.step(event).kind !== "next") {
          continue;
        }
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
