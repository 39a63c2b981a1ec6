import { sleep } from "./backoff.ts";
import type { State } from "./follow.ts";
import { Feed } from "./feed.ts";
import type { Channel, Means } from "./means.ts";
import { PassingError } from "./problem.ts";
import { Pump, type Message, type ToldState } from "./pump.ts";
import type { Reader } from "./reader.ts";
import { newClientId } from "./send.ts";

/** How often a leader is asked in vain whether it lives before the connection is taken from it. */
const patience = 2;

/** For how many looks the timers of a leader may have stood still: browsers slow them down to one in a minute, no further. */
const slowest = 9;

/** How long the lock is kept when what cannot be read has been told, in milliseconds. */
const hearing = 500;

/**
 * One tab's part among those that share a connection: it listens to the leader, waits for the lock that makes it the
 * leader itself, and looks whether there is one.
 */
export class Tabs {
  readonly #tab = newClientId();
  readonly #means: Means;
  readonly #name: string;
  readonly #reader: Reader;
  #channel: Channel | undefined; // undefined while the page stands still, or when it is over
  #looking: ReturnType<typeof setInterval> | undefined;
  #unwatch: (() => void) | undefined;
  #still: Promise<void> = Promise.resolve(); // until the page goes on, or it is over
  #goesOn: (() => void) | undefined;
  #feed: Feed | undefined;
  #wanted = false; // to be welcomed
  #welcomed: (() => void) | undefined;
  #queue: AbortController | undefined; // of whoever waits for the lock, or has it
  #pump: Pump | undefined;
  #heard = false; // anything of a leader, since the last look
  #unanswered = 0;
  #looked = 0; // when, by performance.now()

  constructor(means: Means, name: string, reader: Reader) {
    this.#means = means;
    this.#name = name;
    this.#reader = reader;
  }

  open(): void {
    this.#unwatch = this.#means.watch(() => this.#stand(), () => this.#enter());
    this.#enter();
  }

  close(): void {
    this.#unwatch?.();
    this.#leave();
    this.#goesOn?.();
  }

  /** Resolves when the page does not stand still: one that is to be gone back to should have no request open. */
  awake(): Promise<void> {
    return this.#still;
  }

  /** What this tab is fed from, unless that is over. */
  get feed(): Feed | undefined {
    return this.#feed?.over ? undefined : this.#feed;
  }

  /** Asks for a feed, if there is none. */
  join(): void {
    this.#wanted = this.feed === undefined;
    if (this.#wanted) {
      this.#post({ kind: "join", tab: this.#tab });
    }
  }

  /** Resolves when there is a feed, or after a time. */
  async welcomed(ms: number): Promise<void> {
    if (this.feed || !this.#channel) {
      return;
    }
    const { signal } = this.#reader.options;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => this.#welcomed?.(), ms);
      this.#welcomed = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", this.#welcomed!);
        this.#welcomed = undefined;
        resolve();
      };
      signal?.addEventListener("abort", this.#welcomed);
    });
  }

  /** From here on this tab can lead. */
  ready(): void {
    if (this.#channel && !this.#queue) {
      this.#lead(false);
    }
  }

  #stand(): void {
    if (this.#channel) {
      this.#still = new Promise((resolve) => (this.#goesOn = resolve));
      this.#leave();
    }
  }

  #enter(): void {
    if (this.#channel) {
      return;
    }
    this.#goesOn?.();
    this.#channel = this.#means.channel(this.#name);
    this.#channel.onmessage = ({ data }: MessageEvent<Message>) => this.#hear(data);
    this.#heard = true;
    this.#looked = performance.now();
    this.#looking = setInterval(() => this.#look(), this.#means.look * (0.75 + Math.random() / 2));
    this.join();
  }

  #leave(): void {
    clearInterval(this.#looking);
    this.#stopLeading();
    this.#feed?.end();
    this.#channel?.close();
    this.#channel = undefined;
    this.#welcomed?.();
  }

  #post(message: Message): void {
    this.#channel?.postMessage(message);
  }

  #hear(message: Message): void {
    if (!("leader" in message)) {
      return;
    }
    const ours = this.feed?.leader === message.leader;
    if (ours || !this.feed) {
      this.#heard = true;
    }
    switch (message.kind) {
      case "welcome":
        if (message.tab === this.#tab && this.#wanted) {
          this.#wanted = false;
          this.#feed = new Feed(message.leader, message.places);
          this.#tell(message.state);
          this.#welcomed?.();
        }
        return;
      case "item":
        if (ours) {
          this.feed?.push(message.taken);
        }
        return;
      case "state":
        if (ours) {
          this.#tell(message.state);
        }
        return;
      case "malformed":
        if (ours) {
          this.#feed?.endAt(message.malformed);
          this.#stopLeading();
        }
        return;
      case "lead":
        this.#feed?.end();
        if (this.#wanted) {
          this.join();
        }
        return;
      case "over":
        if (ours) {
          this.#feed?.end();
        }
    }
  }

  #tell(state: ToldState | undefined): void {
    const told: State | undefined = state?.state === "reconnecting" ? { ...state, error: new PassingError(state.error) } : state;
    if (told) {
      this.#reader.tell(told);
    }
  }

  #look(): void {
    this.#looked = performance.now();
    if (this.#heard || this.feed?.malformed) {
      this.#heard = false;
      this.#unanswered = 0;
      return;
    }
    if (this.#unanswered++ < patience) {
      this.#post({ kind: "ping" });
      return;
    }
    // Whoever has the lock does not answer, and neither it nor the browser gives it up.
    this.#feed?.end();
    this.#unanswered = 0;
    if (this.#queue) {
      this.#stopLeading();
      this.#lead(true);
    }
  }

  /** False in a page or a worker that is frozen and was not told: some browsers go on giving it messages, but nothing from the network. */
  #works(): boolean {
    return performance.now() - this.#looked < slowest * this.#means.look;
  }

  /** Waits for the lock, or takes it from whoever has it, and leads as long as it is held. */
  #lead(steal: boolean): void {
    const queue = new AbortController();
    this.#queue = queue;
    let pump: Pump | undefined;
    const held = this.#means.locks.request(this.#name, steal ? { steal } : { signal: queue.signal }, async () => {
      if (queue.signal.aborted) {
        return;
      }
      pump = this.#pump = new Pump(this.#means.channel(this.#name), this.#reader, () => this.#works());
      const handedOver = new Promise<void>((resolve) => queue.signal.addEventListener("abort", () => resolve()));
      await Promise.race([pump.run(), handedOver]);
      if (pump.malformed) {
        await sleep(hearing); // whoever is the next for the lock is to hear first that there is nothing to lead to
      }
    });
    const over = () => {
      pump?.stop();
      if (this.#queue === queue) {
        this.#queue = undefined;
      }
    };
    held.then(over, over); // rejected: no longer wanted, or taken by another tab
  }

  #stopLeading(): void {
    this.#pump?.stop();
    this.#pump = undefined;
    this.#queue?.abort();
    this.#queue = undefined;
  }
}
