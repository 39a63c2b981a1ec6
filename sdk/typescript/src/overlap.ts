import type { Receipt } from "./client.ts";
import type { Taken } from "./connection.ts";

/** How long it may take, in milliseconds, until a leader is told what a page has shown. */
const longest = 5000;

/**
 * What this tab's own pages have given that the leader may only be told later. Until the leader has caught up with it
 * its cursors cover less than was given here, and its receipts may be older.
 */
export class Overlap {
  readonly #events = new Map<string, number>();
  readonly #receipts = new Map<string, Receipt>();
  #until = 0;

  note(taken: Taken): void {
    if (taken.kind === "event") {
      const { conversation_id, seq, through_seq } = taken.event;
      this.#events.set(conversation_id, Math.max(through_seq ?? seq, this.#events.get(conversation_id) ?? 0));
    } else if (taken.kind === "receipt") {
      this.#receipts.set(whose(taken.receipt), taken.receipt);
    }
  }

  /** From here on items come from a leader that was at these places. */
  settle(places: ReadonlyMap<string, number>): void {
    for (const [conversation, seq] of this.#events) {
      if (seq <= (places.get(conversation) ?? 0)) {
        this.#events.delete(conversation);
      }
    }
    this.#until = performance.now() + longest;
  }

  /** An item as it is to be taken: without a cursor that covers too little; undefined for a receipt that has been passed. */
  without(taken: Taken): Taken | undefined {
    if (this.#events.size + this.#receipts.size > 0 && performance.now() > this.#until) {
      this.#events.clear();
      this.#receipts.clear();
    }
    if (taken.kind === "receipt") {
      const known = this.#receipts.get(whose(taken.receipt));
      return known && older(taken.receipt, known) ? undefined : taken;
    }
    if (taken.kind !== "event" || this.#events.size === 0) {
      return taken;
    }
    const { conversation_id, seq, through_seq } = taken.event;
    if ((through_seq ?? seq) >= (this.#events.get(conversation_id) ?? 0)) {
      this.#events.delete(conversation_id);
    }
    return this.#events.size === 0 ? taken : { ...taken, cursor: undefined };
  }
}

function whose({ conversation_id, user_id }: Receipt): string {
  return `${conversation_id} ${user_id}`;
}

function older(a: Receipt, b: Receipt): boolean {
  return a.delivered_seq <= b.delivered_seq && a.read_seq <= b.read_seq && (a.delivered_seq < b.delivered_seq || a.read_seq < b.read_seq);
}
