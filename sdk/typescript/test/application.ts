import { Follower, type Event, type FollowOptions, type Holdline, type State } from "../src/index.ts";
import type { Means } from "../src/means.ts";

/** Keeps what it is given, as one with a screen would. */
export class Application {
  readonly seen = new Map<string, Event[]>();
  readonly began = new Map<string, number>();
  readonly complete = new Map<string, number>();
  readonly wrong: string[] = [];
  cursor: string | undefined;
  resets = 0;
  ended: unknown;
  state: State | undefined;
  transport: string | undefined;

  #stop: AbortController | undefined;
  #done: Promise<void> | undefined;
  #gate: Promise<void> | undefined;
  #open: (() => void) | undefined;

  /** Follows, with `means` as a page that shares. */
  follow(holdline: Holdline, options: FollowOptions, means?: Means): void {
    const stop = new AbortController();
    this.#stop = stop;
    const all: FollowOptions = {
      ...options,
      ...(this.cursor === undefined ? {} : { cursor: this.cursor }),
      positions: [...this.complete],
      signal: stop.signal,
      onState: (state) => {
        this.state = state;
        if (state.state === "connected") {
          this.transport = state.transport;
        }
      },
    };
    const follower = means ? new Follower(holdline, { ...all, share: true }, means) : new Follower(holdline, all);
    this.#done = (async () => {
      try {
        for await (const item of follower) {
          await this.#gate;
          switch (item.kind) {
            case "reset":
              this.resets++;
              this.cursor = undefined;
              this.seen.clear();
              this.began.clear();
              this.complete.clear();
              break;
            case "snapshot":
              if (options.from !== "start") {
                item.snapshot.conversations.forEach((c) => this.#begin(c.id, c.last_seq));
              }
              break;
            case "messages":
              this.#begin(item.conversation, item.messages.last_seq);
              break;
            case "event": {
              const { event } = item;
              this.seen.set(event.conversation_id, [...(this.seen.get(event.conversation_id) ?? []), event]);
              this.complete.set(event.conversation_id, event.through_seq ?? event.seq);
              break;
            }
            case "missing":
              this.wrong.push(`${item.from} to ${item.through} are missing`);
              break;
          }
          if ("cursor" in item && item.cursor !== undefined) {
            this.cursor = item.cursor;
          }
        }
      } catch (error) {
        if (!stop.signal.aborted) {
          this.ended = error;
        }
      }
    })();
  }

  /** Stops following, and waits for the end of it. */
  async leave(): Promise<void> {
    this.release();
    this.#stop?.abort();
    await this.#done;
  }

  /** Takes nothing from here on, in the middle of whatever it was given. */
  hold(): void {
    this.#gate = new Promise((resolve) => (this.#open = resolve));
  }

  release(): void {
    this.#open?.();
    this.#gate = undefined;
  }

  #begin(conversation: string, seq: number): void {
    if (!this.seen.has(conversation)) {
      this.began.set(conversation, seq);
      this.complete.set(conversation, seq);
    }
  }
}
