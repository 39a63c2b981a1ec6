import type { Taken } from "./connection.ts";
import type { MalformedPlace } from "./malformed.ts";

/** How many items, and how many characters of text in them, wait for an application before it has to go and fetch them itself. */
export const maxWaiting = 1000;
export const maxText = 1 << 20;

/** What a leader could not read however often it asked for it, and what is wrong with it. */
export interface ToldMalformed extends MalformedPlace {
  why: string;
}

/**
 * What a tab is fed from the moment on at which it was welcomed. It ends when nobody feeds it any more, or when more than
 * {@link maxWaiting} items or {@link maxText} characters wait: these are dropped then.
 */
export class Feed {
  /** Who feeds it. */
  readonly leader: string;
  /** How far the leader was in each conversation when the feed began. */
  readonly places: ReadonlyMap<string, number>;
  #waiting: Taken[] = [];
  #text = 0; // characters of what waits
  #over = false;
  #malformed: ToldMalformed | undefined;
  #wake: (() => void) | undefined;

  constructor(leader: string, places: ReadonlyMap<string, number>) {
    this.leader = leader;
    this.places = places;
  }

  get over(): boolean {
    return this.#over;
  }

  /** What the leader could not read, behind all that waits. */
  get malformed(): ToldMalformed | undefined {
    return this.#malformed;
  }

  push(taken: Taken): void {
    if (this.#over || this.#malformed) {
      return;
    }
    this.#text += textOf(taken);
    if (this.#waiting.length === maxWaiting || this.#text > maxText) {
      this.end();
    } else {
      this.#waiting.push(taken);
      this.#wake?.();
    }
  }

  /** Ends the feed behind what waits, which is kept. */
  endAt(malformed: ToldMalformed): void {
    if (!this.#over) {
      this.#malformed ??= malformed;
      this.#wake?.();
    }
  }

  /** Ends the feed at once, unless something that cannot be read has ended it. */
  end(): void {
    if (this.#malformed) {
      return;
    }
    this.#over = true;
    this.#waiting = [];
    this.#wake?.();
  }

  /** The next item, as soon as there is one; undefined when the feed is over. */
  async next(signal: AbortSignal | undefined): Promise<Taken | undefined> {
    while (this.#waiting.length === 0 && !this.#over) {
      if (this.#malformed) {
        this.#over = true;
        return undefined;
      }
      await this.#more(signal);
    }
    const taken = this.#waiting.shift();
    this.#text -= taken ? textOf(taken) : 0;
    return taken;
  }

  async #more(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    const woken = new Promise<void>((resolve) => (this.#wake = resolve));
    signal?.addEventListener("abort", this.#wake!, { once: true });
    await woken;
    signal?.removeEventListener("abort", this.#wake!);
    this.#wake = undefined;
    signal?.throwIfAborted();
  }
}

function textOf(taken: Taken): number {
  return taken.kind === "event" ? (taken.event.text?.length ?? 0) : 0;
}
