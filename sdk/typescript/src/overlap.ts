import type { Receipt } from "./client.ts";
import type { Taken } from "./connection.ts";
import { lastSeq } from "./places.ts";

/**
 * How long, in milliseconds, a leader is taken for one that is still to be told what a page has shown, where its places do not tell: its
 * cursor may cover it.
 */
const longest = 5000;

/**
 * What this tab's own pages have given that the leader may only be told later. Until the leader has caught up with it
 * its cursors cover less than was given here, and its receipts may be older.
 */
export class Overlap {
  readonly #events = new Map<string, number>();
  readonly #certain = new Set<string>(); // conversations of which the leader is still to be told
  readonly #receipts = new Map<string, Receipt>();
  #until = 0;

  note(taken: Taken): void {
    if (taken.kind === "event") {
      this.#noteSeq(taken.event.conversation_id, lastSeq(taken.event));
    } else if (taken.kind === "snapshot") {
      taken.snapshot.conversations.forEach(({ id, last_seq }) => this.#noteSeq(id, last_seq));
    } else if (taken.kind === "receipt") {
      this.#receipts.set(whose(taken.receipt), taken.receipt);
    }
  }

  /** From here on items come from a leader that was at these places. */
  settle(places: ReadonlyMap<string, number>): void {
    for (const [conversation, seq] of this.#events) {
      const place = places.get(conversation);
      if (place !== undefined && seq <= place) {
        this.#events.delete(conversation);
      } else if (place !== undefined) {
        this.#certain.add(conversation);
      }
    }
    this.#until = performance.now() + longest;
  }

  /** An item as it is to be taken: without a cursor that covers too little; undefined for a receipt that has been passed. */
  without(taken: Taken): Taken | undefined {
    if (this.#events.size + this.#receipts.size > 0 && performance.now() > this.#until) {
      [...this.#events.keys()].filter((conversation) => !this.#certain.has(conversation)).forEach((conversation) => this.#events.delete(conversation));
      this.#receipts.clear();
    }
    if (taken.kind === "receipt") {
      const known = this.#receipts.get(whose(taken.receipt));
      return known && older(taken.receipt, known) ? undefined : taken;
    }
    if (taken.kind !== "event" || this.#events.size === 0) {
      return taken;
    }
    const { conversation_id } = taken.event;
    if (lastSeq(taken.event) >= (this.#events.get(conversation_id) ?? 0)) {
      this.#events.delete(conversation_id);
    }
    return this.#events.size === 0 ? taken : { ...taken, cursor: undefined };
  }

  #noteSeq(conversation: string, seq: number): void {
    this.#events.set(conversation, Math.max(seq, this.#events.get(conversation) ?? 0));
  }
}

function whose({ conversation_id, user_id }: Receipt): string {
  return `${conversation_id} ${user_id}`;
}

function older(a: Receipt, b: Receipt): boolean {
  return a.delivered_seq <= b.delivered_seq && a.read_seq <= b.read_seq && (a.delivered_seq < b.delivered_seq || a.read_seq < b.read_seq);
}
