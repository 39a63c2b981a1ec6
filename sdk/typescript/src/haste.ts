import { Backoff, type BackoffOptions } from "./backoff.ts";
import type { Page } from "./connection.ts";

/**
 * Slows polls down whose empty answers come much sooner than was asked for: of a server that goes down, or of something in between.
 * The first in a row is asked after at once.
 */
export class Haste {
  readonly #backoff: Backoff;
  #hasty = 0;

  constructor(backoff: BackoffOptions) {
    this.#backoff = new Backoff(backoff);
  }

  /** How long to wait before the next poll, when this one was to be held for `wait` and took `took`; all in milliseconds. */
  after(page: Page, wait: number, took: number): number {
    if (page.items.length > 0 || page.more || wait < 1000 || took > wait / 2) {
      this.#hasty = 0;
      this.#backoff.succeeded();
      return 0;
    }
    return this.#hasty++ === 0 ? 0 : this.#backoff.failed();
  }
}
