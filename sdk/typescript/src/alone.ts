import { Backoff, sleep } from "./backoff.ts";
import { readStream } from "./connection.ts";
import type { Item } from "./follow.ts";
import { Haste } from "./haste.ts";
import { UnreadableError } from "./malformed.ts";
import { PassingError, ProblemError, SilenceError } from "./problem.ts";
import type { Reader } from "./reader.ts";

const maxStreamAgain = 3_600_000;

/** How many answers of something on the way, or that it has garbled, are taken for an accident. */
const maxForeign = 3;

/** Reads over a connection of its own: a stream, or polls where a stream does not get through. */
export class Alone {
  readonly #reader: Reader;
  readonly #backoff: Backoff;
  #retry: number | undefined; // what the server asks between two connections
  #pollUntil = 0; // by performance.now(), which no clock change moves
  #streamAgain: number;
  #foreign = 0; // streams, one after the other, in place of which, or of whose beginning, came what is not the server's
  #pausedUntil = 0; // by performance.now()
  #goOn: (() => void) | undefined;

  constructor(reader: Reader) {
    this.#reader = reader;
    this.#backoff = new Backoff(reader.timing.backoff);
    this.#streamAgain = reader.timing.streamAgain;
  }

  async *items(): AsyncGenerator<Item, void, undefined> {
    const { signal } = this.#reader.options;
    for (;;) {
      signal?.throwIfAborted();
      let wait = 0;
      try {
        yield* this.#reader.begin();
        yield* this.#streams() ? this.#stream() : this.#poll();
        wait = this.#backoff.failed(this.#retry);
      } catch (caught) {
        const { error, times } = yield* this.#reader.failed(caught);
        if (error instanceof ProblemError) {
          wait = this.#backoff.failed();
        } else {
          wait = this.#backoff.failed(error instanceof PassingError ? error.retryAfter ?? this.#retry : this.#retry, times);
          this.#reader.tell({ state: "reconnecting", error, after: wait });
        }
      }
      this.#retry = undefined;
      await this.#pause(wait);
    }
  }

  /** Ends a pause that should be over: a page that nobody looks at has slow timers. */
  nudge(): void {
    if (performance.now() >= this.#pausedUntil) {
      this.#goOn?.();
    }
  }

  async #pause(ms: number): Promise<void> {
    this.#pausedUntil = performance.now() + ms;
    const nudged = new Promise<void>((resolve) => (this.#goOn = resolve));
    await Promise.race([sleep(ms, this.#reader.options.signal), nudged]);
    this.#goOn = undefined;
  }

  #streams(): boolean {
    const { transport = "auto" } = this.#reader.options;
    return transport === "stream" || (transport === "auto" && performance.now() >= this.#pollUntil);
  }

  /** No longer than until a stream is to be tried again. */
  #pollWait(): number {
    const { wait } = this.#reader.timing;
    return this.#reader.options.transport === "poll" ? wait : Math.min(wait, Math.max(1000, this.#pollUntil - performance.now()));
  }

  async *#stream(): AsyncGenerator<Item, void, undefined> {
    const { hello, silence, streamAgain } = this.#reader.timing;
    let greeted = false;
    const stream = readStream(this.#reader.target(), { hello, silence, onRetry: (ms) => (this.#retry = ms) });
    try {
      for await (const taken of stream) {
        if (!greeted && taken.kind !== "unreadable") {
          greeted = true;
          this.#streamAgain = streamAgain;
          this.#reader.tell({ state: "connected", transport: "stream" });
        }
        this.#backoff.succeeded(); // also by a heartbeat: a quiet conversation is no failure
        yield* this.#reader.take(taken, true);
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
    const foreign = error instanceof UnreadableError || (error instanceof PassingError && error.foreign);
    this.#foreign = foreign ? this.#foreign + 1 : 0;
    if (error instanceof SilenceError || this.#foreign >= maxForeign) {
      this.#foreign = 0;
      this.#pollUntil = performance.now() + this.#streamAgain;
      this.#streamAgain = Math.min(2 * this.#streamAgain, maxStreamAgain);
    }
  }

  async *#poll(): AsyncGenerator<Item, void, undefined> {
    const reader = this.#reader;
    const haste = new Haste(reader.timing.backoff);
    let told = false;
    while (!this.#streams()) {
      // The first answer shows that polls get through: it is not waited for.
      const wait = told ? this.#pollWait() : 0;
      const { page, pause } = await haste.poll(reader.target(), wait);
      this.#backoff.succeeded();
      if (!told) {
        told = true;
        reader.tell({ state: "connected", transport: "poll" });
      }
      for (const taken of page.items) {
        yield* reader.take(taken, false);
      }
      reader.took(page);
      if (pause > 0) {
        await this.#pause(pause);
      }
    }
  }
}
