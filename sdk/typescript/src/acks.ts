import { within } from "./abort.ts";
import { Backoff, sleep, type BackoffOptions } from "./backoff.ts";
import type { Holdline } from "./client.ts";
import { PassingError, ProblemError, refuse } from "./problem.ts";

type Marks = Map<string, number>;

/** The largest number of conversations that one call may name in each part. */
const maxMarks = 1000;

/** In milliseconds. */
const longestCall = 20_000;

export interface AcksOptions {
  /** The shortest time between two calls, in milliseconds. Default 1,000: the server writes no more often. */
  every?: number;
  backoff?: BackoffOptions;
  /** Told of marks that the server refused, for example beyond the end of a log. They are dropped. */
  onRefused?: (error: ProblemError) => void;
}

/**
 * Gathers what was delivered and read, and tells the server at most once in `every`: only the furthest place of
 * each conversation counts. {@link Acks.close} tells the rest.
 */
export class Acks {
  readonly #holdline: Holdline;
  readonly #every: number;
  readonly #backoff: Backoff;
  readonly #onRefused: (error: ProblemError) => void;
  #delivered: Marks = new Map();
  #read: Marks = new Map();
  #running: Promise<void> | undefined;
  #closing = new AbortController();

  constructor(holdline: Holdline, { every = 1000, backoff, onRefused = () => undefined }: AcksOptions = {}) {
    this.#holdline = holdline;
    this.#every = every;
    this.#backoff = new Backoff(backoff);
    this.#onRefused = onRefused;
  }

  /** Everything of a conversation up to a seq has arrived here. */
  delivered(conversation: string, seq: number): void {
    this.#mark(this.#delivered, conversation, seq);
  }

  /** Somebody has read everything of a conversation up to a seq. */
  read(conversation: string, seq: number): void {
    this.#mark(this.#read, conversation, seq);
  }

  /** Tells what is left. Rejects when that fails: then nothing is lost but the marks. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
    while (this.#delivered.size + this.#read.size > 0) {
      await this.#post();
    }
  }

  #mark(marks: Marks, conversation: string, seq: number): void {
    if (this.#closing.signal.aborted) {
      return;
    }
    marks.set(conversation, Math.max(seq, marks.get(conversation) ?? 0));
    this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    try {
      let wait = this.#every;
      for (;;) {
        await sleep(wait, signal);
        if (this.#delivered.size + this.#read.size === 0) {
          break;
        }
        try {
          await this.#post();
          this.#backoff.succeeded();
          wait = this.#every;
        } catch (error) {
          wait = Math.max(this.#every, this.#backoff.failed(error instanceof PassingError ? error.retryAfter : undefined));
        }
      }
    } catch {
      // Closing: what is left goes at once.
    }
    this.#running = undefined;
  }

  async #post(): Promise<void> {
    const delivered = take(this.#delivered);
    const read = take(this.#read);
    try {
      await this.#tell(delivered, read);
    } catch (error) {
      giveBack(this.#delivered, delivered);
      giveBack(this.#read, read);
      throw error;
    }
  }

  /** The server takes all of a call or nothing: one that it refuses is halved until what is at fault stands alone. */
  async #tell(delivered: Marks, read: Marks): Promise<void> {
    try {
      await within(longestCall, undefined, (signal) => this.#call(delivered, read, signal));
    } catch (error) {
      if (!(error instanceof ProblemError)) {
        throw error;
      }
      if (delivered.size + read.size === 1 || ![400, 409].includes(error.problem.status)) {
        this.#onRefused(error);
        return;
      }
      await this.#tell(part(delivered, 0), part(read, 1));
      await this.#tell(part(delivered, 1), part(read, 0));
    }
  }

  async #call(delivered: Marks, read: Marks, signal: AbortSignal): Promise<void> {
    const response = await this.#holdline.request("/v1/acks", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ delivered: Object.fromEntries(delivered), read: Object.fromEntries(read) }),
      signal,
    });
    if (response.status !== 204) {
      refuse(response, await response.json().catch(() => undefined));
    }
  }
}

/** Every second mark. */
function part(marks: Marks, odd: 0 | 1): Marks {
  return new Map([...marks].filter((_, n) => n % 2 === odd));
}

function take(marks: Marks): Marks {
  const taken: Marks = new Map();
  for (const [conversation, seq] of marks) {
    if (taken.size === maxMarks) {
      break;
    }
    taken.set(conversation, seq);
    marks.delete(conversation);
  }
  return taken;
}

function giveBack(marks: Marks, taken: Marks): void {
  for (const [conversation, seq] of taken) {
    marks.set(conversation, Math.max(seq, marks.get(conversation) ?? 0));
  }
}
