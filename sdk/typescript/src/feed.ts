import type { Taken } from "./connection.ts";

/** How many items, and how many characters of text in them, wait for an application before it has to go and fetch them itself. */
export const maxWaiting = 1000;
export const maxText = 1 << 20;

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
  #wake: (() => void) | undefined;

  constructor(leader: string, places: ReadonlyMap<string, number>) {
    this.leader = leader;
    this.places = places;
  }

  get over(): boolean {
    return this.#over;
  }

  push(taken: Taken): void {
    if (this.#over) {
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

  end(): void {
    this.#over = true;
    this.#waiting = [];
    this.#wake?.();
  }

  /** The next item, as soon as there is one; undefined when the feed is over. */
  async next(signal: AbortSignal | undefined): Promise<Taken | undefined> {
    while (this.#waiting.length === 0 && !this.#over) {
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
