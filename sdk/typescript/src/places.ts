import type { Event } from "./client.ts";

/** The last seq that an event stands for. */
export function lastSeq({ seq, through_seq }: Event): number {
  return Math.max(seq, through_seq ?? 0);
}

/** What an event means for the place that a reader has reached in its conversation. */
export type Step =
  | { kind: "next" } // or the first of a conversation that was not known
  | { kind: "seen" } // a repeat
  | { kind: "gap"; from: number; through: number }; // these are missing before it

/**
 * How far each conversation is complete. A log has no gaps (a `hidden` event stands for a stretch), so an event whose seq
 * is not the next one is a repeat, or shows that something is missing.
 */
export class Places {
  readonly #complete = new Map<string, number>();

  /** The seq up to which everything of a conversation was given; undefined before its first event. */
  completeTo(conversation: string): number | undefined {
    return this.#complete.get(conversation);
  }

  /** Each conversation that is known, with the seq up to which it is complete. */
  entries(): Iterable<[conversation: string, seq: number]> {
    return this.#complete;
  }

  /** Says that a conversation is known up to a seq; never moves back. */
  know(conversation: string, seq: number): void {
    this.#complete.set(conversation, Math.max(seq, this.#complete.get(conversation) ?? 0));
  }

  /** What an event is, which {@link Places.took} then has to confirm. */
  step(event: Event): Step {
    const complete = this.#complete.get(event.conversation_id);
    if (complete === undefined || event.seq === complete + 1) {
      return { kind: "next" };
    }
    // A hidden stretch may begin where this reader knows more already.
    if (event.seq <= complete) {
      return lastSeq(event) <= complete ? { kind: "seen" } : { kind: "next" };
    }
    return { kind: "gap", from: complete + 1, through: event.seq - 1 };
  }

  took(event: Event): void {
    this.know(event.conversation_id, lastSeq(event));
  }

  clear(): void {
    this.#complete.clear();
  }
}
