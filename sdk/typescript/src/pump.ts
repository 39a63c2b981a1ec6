import { Alone } from "./alone.ts";
import type { Taken } from "./connection.ts";
import type { ToldMalformed } from "./feed.ts";
import type { FollowOptions, Item, State } from "./follow.ts";
import { MalformedError } from "./malformed.ts";
import type { Channel } from "./means.ts";
import { Reader } from "./reader.ts";
import { newClientId } from "./send.ts";

/** What tabs and their leader tell each other. */
export type Message =
  /** A tab asks to be welcomed. */
  | { kind: "join"; tab: string }
  /** A tab has heard nothing for a while. */
  | { kind: "ping" }
  /** A leader lives, and does its work. */
  | { kind: "here"; leader: string }
  /** What comes from here on begins behind these places. */
  | { kind: "welcome"; leader: string; tab: string; places: Map<string, number>; state: ToldState | undefined }
  | { kind: "item"; leader: string; taken: Taken }
  | { kind: "state"; leader: string; state: ToldState }
  /** A leader begins, or begins anew: everybody catches up and joins again. */
  | { kind: "lead"; leader: string }
  /** A leader ends, since it cannot read what comes next. Nobody leads in its place: the same would come. */
  | { kind: "malformed"; leader: string; malformed: ToldMalformed }
  /** A leader ends. */
  | { kind: "over"; leader: string };

/** A {@link State} whose error has become its text: not every error can be sent. */
export type ToldState = Extract<State, { state: "connected" }> | { state: "reconnecting"; error: string; after: number };

/**
 * Reads the connection for all tabs that share it. It reads as fast as things come, and keeps nothing: whoever is not there, or
 * falls behind, fetches what was missed by themselves.
 */
export class Pump {
  readonly #leader = newClientId();
  readonly #channel: Channel;
  readonly #stopped = new AbortController();
  readonly #reader: Reader;
  readonly #alone: Alone;
  readonly #works: () => boolean;
  #state: ToldState | undefined;
  #malformed = false;

  /** Begins where a tab is. Only while it `works` it answers. */
  constructor(channel: Channel, from: Reader, works: () => boolean) {
    const { conversation, transport, acks, timing } = from.options;
    const options: FollowOptions = { positions: from.places.entries(), signal: this.#stopped.signal, onState: (state) => this.#tell(state) };
    this.#reader = new Reader(from.holdline, {
      ...options,
      ...(conversation === undefined ? {} : { conversation }),
      ...(from.cursor === undefined ? {} : { cursor: from.cursor }),
      ...(transport === undefined ? {} : { transport }),
      ...(acks === undefined ? {} : { acks }),
      ...(timing === undefined ? {} : { timing }),
    });
    this.#alone = new Alone(this.#reader);
    this.#works = works;
    this.#channel = channel;
    this.#channel.onmessage = ({ data }: MessageEvent<Message>) => this.#answer(data);
  }

  /** Reads until it is stopped, or the server refuses: each tab will see that for itself. What cannot be read is told. */
  async run(): Promise<void> {
    this.#post({ kind: "lead", leader: this.#leader });
    try {
      for await (const item of this.#alone.items()) {
        this.#hand(item);
      }
    } catch (error) {
      if (error instanceof MalformedError) {
        this.#malformed = true;
        const { what, conversation, seq, cause } = error;
        const why = cause instanceof Error ? cause.message : String(cause);
        this.#post({ kind: "malformed", leader: this.#leader, malformed: { what, conversation, seq, why } });
      }
      this.stop();
    }
  }

  /** It has ended at something that cannot be read. */
  get malformed(): boolean {
    return this.#malformed;
  }

  /** Hands over, at once: the page may have no time left. */
  stop(): void {
    if (!this.#stopped.signal.aborted) {
      this.#post({ kind: "over", leader: this.#leader });
      this.#stopped.abort();
      this.#channel.close();
    }
  }

  #post(message: Message): void {
    if (!this.#stopped.signal.aborted) {
      this.#channel.postMessage(message);
    }
  }

  #answer(message: Message): void {
    if (!this.#works()) {
      return;
    }
    switch (message.kind) {
      case "join": {
        // Between a reset and what follows it there is no place to begin at.
        const places = new Map(this.#reader.places.entries());
        this.#post(
          this.#reader.cursor === undefined
            ? { kind: "here", leader: this.#leader }
            : { kind: "welcome", leader: this.#leader, tab: message.tab, places, state: this.#state },
        );
        return;
      }
      case "ping":
        this.#alone.nudge();
        this.#post({ kind: "here", leader: this.#leader });
    }
  }

  #tell(state: State): void {
    this.#state = state.state === "connected" ? state : { ...state, error: String(state.error) };
    this.#post({ kind: "state", leader: this.#leader, state: this.#state });
  }

  #hand(item: Item): void {
    switch (item.kind) {
      case "event":
      case "receipt":
        this.#post({ kind: "item", leader: this.#leader, taken: item });
        return;
      case "missing":
        return; // each tab asks for itself
      case "reset":
      case "snapshot":
      case "messages":
        // Each begins in its own way.
        this.#post({ kind: "lead", leader: this.#leader });
    }
  }
}
