/** One event of a stream. */
export interface Frame {
  event: string;
  data: string;
  /** Undefined when the block had none. */
  id: string | undefined;
}

/**
 * Takes an event stream apart (WHATWG HTML section 9.2.6). Only a blank line makes an event: what is cut before it is
 * dropped, its id too. Differently from a browser an `id` belongs to its own event alone, and lines end at LF, CRLF or CR.
 */
export class FrameParser {
  /** The last `retry` field, in milliseconds. */
  retry: number | undefined;
  #rest = "";
  #skipLF = false;
  #event = "";
  #data: string[] = [];
  #id: string | undefined;
  #begun = false;
  #size = 0; // of the lines of the event that is not whole

  /** How many characters there are of an event that is not whole. */
  get unfinished(): number {
    return this.#size + this.#rest.length;
  }

  /** Takes the next piece of text and returns the events that it has made whole. */
  push(text: string): Frame[] {
    const frames: Frame[] = [];
    if (text === "") {
      return frames;
    }
    if (!this.#begun) {
      this.#begun = true;
      text = text.replace(/^\uFEFF/, "");
    }
    if (this.#skipLF) {
      this.#skipLF = false;
      text = text.replace(/^\n/, "");
    }
    this.#skipLF = text.endsWith("\r");
    // Only what is new is looked through: a line of megabytes may come in a thousand pieces.
    const lines = text.split(/\r\n|\n|\r/);
    lines[0] = this.#rest + lines[0];
    this.#rest = lines.pop()!;
    for (const line of lines) {
      const frame = this.#line(line);
      if (frame) {
        frames.push(frame);
      }
    }
    return frames;
  }

  #line(line: string): Frame | undefined {
    if (line === "") {
      const frame = { event: this.#event || "message", data: this.#data.join("\n"), id: this.#id };
      const whole = this.#data.length > 0;
      this.#event = "";
      this.#data = [];
      this.#id = undefined;
      this.#size = 0;
      return whole ? frame : undefined;
    }
    this.#size += line.length;
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    switch (name) {
      case "event":
        this.#event = value;
        break;
      case "data":
        this.#data.push(value);
        break;
      case "id":
        if (!value.includes("\0")) {
          this.#id = value;
        }
        break;
      case "retry":
        if (/^\d{1,9}$/.test(value)) {
          this.retry = Number(value);
        }
        break;
    }
    return undefined;
  }
}
