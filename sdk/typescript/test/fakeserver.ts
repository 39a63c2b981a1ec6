import { connect, type Event, type Holdline, type Receipt } from "../src/index.ts";
import { frame, json, problem, stream } from "./answers.ts";

const { any } = AbortSignal; // the pages may have to do without it

/** Stands for a server: an inbox whose cursor says how many events it covers, so that a test can hold it against what was given. */
export class FakeServer {
  events: Event[] = [];
  epoch = 1;
  ended = false;
  /** How many of the events streams give: their way may be slow. */
  streamsTo = Infinity;
  /** So many of the latest events are not known yet where polls are answered. */
  pollsLag = 0;
  receipts: Receipt[] = [];
  /** As what events come over streams, and in answers: something on the way may garble them. */
  onStreams: (event: Event) => unknown = (event) => event;
  inAnswers: (event: Event) => unknown = (event) => event;
  /** What is in a heartbeat. */
  heartbeat: unknown = {};
  /** How many streams are open, were open at once, and have been opened. */
  open = 0;
  most = 0;
  opened = 0;
  polls = 0;
  /** How many events streams have given. */
  streamed = 0;
  #wakers = new Set<() => void>();
  #cut = new AbortController();

  /** A client with a connection of its own; `polled` is told of its polls. */
  client(polled: () => void = () => undefined, token = "t"): Holdline {
    return connect({ server: "http://server", token, fetch: (input, init) => this.#answer(new URL(String(input)), init?.signal ?? undefined, polled) });
  }

  say(conversation: string, text = ""): Event {
    const seq = 1 + this.events.filter((e) => e.conversation_id === conversation).length;
    const event: Event = { conversation_id: conversation, seq, type: "message", text };
    this.events.push(event);
    this.wake();
    return event;
  }

  wake(): void {
    [...this.#wakers].forEach((wake) => wake());
  }

  /** Breaks every stream. */
  cut(): void {
    this.#cut.abort();
    this.#cut = new AbortController();
  }

  /** The log of another database. */
  restore(): void {
    this.epoch++;
    this.events = [];
    this.cut();
  }

  endSession(): void {
    this.ended = true;
    this.cut();
  }

  /** How many events a cursor covers. */
  covered(cursor: string): number {
    return Number(cursor.split("-")[1]);
  }

  #heads(): { id: string; last_seq: number }[] {
    const heads = new Map(this.events.map((e) => [e.conversation_id, e.seq]));
    return [...heads].map(([id, last_seq]) => ({ id, last_seq }));
  }

  async #answer(url: URL, signal: AbortSignal | undefined, polled: () => void): Promise<Response> {
    signal?.throwIfAborted();
    if (this.ended) {
      return problem(401, "unauthorized");
    }
    const cursor = url.searchParams.get("cursor");
    if (cursor && Number(cursor.split("-")[0]) !== this.epoch) {
      return problem(410, "cursor_reset");
    }
    const log = /^\/v1\/conversations\/(\w+)\/events$/.exec(url.pathname);
    if (log) {
      const after = Number(url.searchParams.get("after"));
      const events = this.events.filter((e) => e.conversation_id === log[1] && e.seq > after);
      return json({ events: events.map(this.inAnswers), cursor: String(events.at(-1)?.seq ?? after), more: false });
    }
    if (url.pathname === "/v1/inbox/stream") {
      return this.#stream(cursor, signal!);
    }
    this.polls++;
    polled();
    return this.#poll(cursor, Number(url.searchParams.get("wait")), signal);
  }

  async #poll(cursor: string | null, wait: number, signal: AbortSignal | undefined): Promise<Response> {
    const known = () => this.events.length - this.pollsLag;
    if (cursor === null) {
      return json({ events: [], receipts: [], cursor: `${this.epoch}-${this.events.length}`, more: false, snapshot: this.#snapshot() });
    }
    const from = this.covered(cursor);
    if (wait > 0 && known() <= from) {
      await this.#news(signal, wait * 1000);
    }
    const to = Math.max(from, Math.min(known(), from + 200));
    return json({ events: this.events.slice(from, to).map(this.inAnswers), receipts: this.receipts, cursor: `${this.epoch}-${to}`, more: to < known() });
  }

  #news(signal: AbortSignal | undefined, ms: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => wake(), ms);
      const wake = () => {
        clearTimeout(timer);
        this.#wakers.delete(wake);
        signal?.aborted ? reject(signal.reason) : resolve();
      };
      this.#wakers.add(wake);
      signal?.addEventListener("abort", wake);
    });
  }

  #snapshot(): object {
    return { conversations: this.#heads(), receipts: [], more: false };
  }

  #stream(cursor: string | null, signal: AbortSignal): Response {
    const over = any.call(AbortSignal, [signal, this.#cut.signal]);
    const encoder = new TextEncoder();
    let at = cursor === null ? this.events.length : this.covered(cursor);
    this.opened++;
    this.most = Math.max(this.most, ++this.open);
    over.addEventListener("abort", () => this.open--, { once: true });
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        const write = (event: string, data: unknown, id?: string) => controller.enqueue(encoder.encode(frame(event, JSON.stringify(data), id)));
        const give = () => {
          if (over.aborted) {
            return;
          }
          if (this.streamsTo === Infinity) {
            this.receipts.forEach((receipt) => write("receipt", receipt));
          }
          while (at < Math.min(this.streamsTo, this.events.length)) {
            const event = this.events[at++]!;
            this.streamed++;
            write(event.type, this.onStreams(event), `${this.epoch}-${at}`);
          }
        };
        write("heartbeat", this.heartbeat);
        if (cursor === null) {
          write("snapshot", this.#snapshot(), `${this.epoch}-${at}`);
        }
        give();
        this.#wakers.add(give);
        over.addEventListener("abort", () => {
          this.#wakers.delete(give);
          controller.error(new TypeError("the connection broke"));
        });
      },
    });
    return stream(body);
  }
}
