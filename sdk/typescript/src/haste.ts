import { Backoff, type BackoffOptions } from "./backoff.ts";
import { readPage, type Page, type Target } from "./connection.ts";

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

  /** Asks for one page, which may be held back for `wait`, and says how long to pause before the next; in milliseconds. */
  async poll(target: Target, wait: number): Promise<{ page: Page; pause: number }> {
    const since = performance.now();
    const page = await readPage(target, wait);
    return { page, pause: this.#pause(page, wait, performance.now() - since) };
  }

  #pause(page: Page, wait: number, took: number): number {
    if (page.items.length > 0 || page.more || wait < 1000 || took > wait / 2) {
      this.#hasty = 0;
      this.#backoff.succeeded();
      return 0;
    }
    return this.#hasty++ === 0 ? 0 : this.#backoff.failed();
  }
}
