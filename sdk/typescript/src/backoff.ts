/** How long to wait between attempts, in milliseconds. */
export interface BackoffOptions {
  /** The longest wait after the first failure; it doubles with each further one. Default 1,000. */
  first?: number;
  /** The longest wait of all. Default 30,000. */
  most?: number;
  /** The longest that the server may ask for. Default 600,000. */
  mostAsked?: number;
}

/**
 * Waits that grow with each failure and are jittered over their upper half, so that clients
 * that lost a server together do not come back together.
 */
export class Backoff {
  readonly #first: number;
  readonly #most: number;
  readonly #mostAsked: number;
  #failures = 0;

  constructor({ first = 1000, most = 30_000, mostAsked = 600_000 }: BackoffOptions = {}) {
    this.#first = first;
    this.#most = most;
    this.#mostAsked = mostAsked;
  }

  /** Forgets the failures. */
  succeeded(): void {
    this.#failures = 0;
  }

  /** How long to wait now, on top of what the server has asked for; `times` is how often it has failed, if not since it succeeded. */
  failed(asked = 0, times?: number): number {
    this.#failures = times === undefined ? this.#failures : times - 1;
    const longest = Math.min(this.#most, this.#first * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 30);
    return Math.min(asked, this.#mostAsked) + longest * (0.5 + Math.random() / 2);
  }
}

/** Resolves after a time, or rejects with the signal's reason. Counts time as setTimeout does, whatever the clock is set to. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const stop = () => {
      clearTimeout(timer);
      reject(signal!.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
