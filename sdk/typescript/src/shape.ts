import type { components } from "./schema.gen.ts";
import type { Conversation, Event, MessagePage, Receipt, Snapshot } from "./client.ts";
import type { Problem } from "./problem.ts";

/**
 * Says what is wrong with a value that is to be a `T`; undefined when nothing is. What is absent is not wrong, and neither is what the
 * contract does not know: a newer server may leave out the one and add the other.
 */
export interface Check<T> {
  (value: unknown): string | undefined;
  /** There is none: it keeps the compiler from taking the check of one type for that of another. */
  readonly of?: T;
}

type Fields<T> = { readonly [K in keyof T]-?: Check<NonNullable<T[K]>> };

const text: Check<string> = (value) => (typeof value === "string" ? undefined : "is no string");
const flag: Check<boolean> = (value) => (typeof value === "boolean" ? undefined : "is neither true nor false");
const whole: Check<number> = (value) => (Number.isSafeInteger(value) ? undefined : "is no whole number");
const anything: Check<unknown> = () => undefined;

const date = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;
const time: Check<string> = (value) => (typeof value === "string" && date.test(value) && !Number.isNaN(Date.parse(value)) ? undefined : `is no time but ${shown(value)}`);

function list<T>(check: Check<T>): Check<T[]> {
  return (value) => {
    if (!Array.isArray(value)) {
      return "is no list";
    }
    for (const [n, item] of value.entries()) {
      const wrong = check(item);
      if (wrong) {
        return `[${n}] ${wrong}`;
      }
    }
    return undefined;
  };
}

/** A null is as if the field were absent, and is made so. */
function object<T>(fields: Fields<T>): Check<T> {
  const checks = Object.entries(fields) as [string, Check<unknown>][];
  return (value) => {
    if (!isObject(value)) {
      return "is no object";
    }
    for (const [name, check] of checks) {
      if (value[name] === null) {
        delete value[name];
      }
      const wrong = value[name] === undefined ? undefined : check(value[name]);
      if (wrong) {
        return `${name}${wrong.startsWith("[") ? "" : " "}${wrong}`;
      }
    }
    return undefined;
  };
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function shown(value: unknown): string {
  return JSON.stringify(value).slice(0, 100);
}

export const isEvent = object<Event>({
  conversation_id: text, seq: whole, through_seq: whole, type: text, sender_id: text, client_id: text, text, reply_to: whole, accepted_at: time,
  truncated: flag, user_id: text, action: text, role: text, title: text, kind: text, members: list(text),
});

export const isReceipt = object<Receipt>({
  conversation_id: text, user_id: text, delivered_seq: whole, read_seq: whole, delivered_at: time, read_at: time,
});

const isConversation = object<Conversation>({
  id: text, kind: text, title: text, history: text, created_at: time, creator_id: text, role: text, first_seq: whole, last_seq: whole,
  delivered_seq: whole, read_seq: whole, unread: whole, last_message: isEvent,
});

export const isSnapshot = object<Snapshot>({ conversations: list(isConversation), receipts: list(isReceipt), more: flag, next: text });

export const isMessagePage = object<MessagePage>({
  messages: list(
    object<components["schemas"]["Message"]>({
      conversation_id: text, seq: whole, type: text, sender_id: text, client_id: text, text, reply_to: whole, accepted_at: time, truncated: flag, state_seq: whole,
    }),
  ),
  cursor: text, more: flag, first_seq: whole, last_seq: whole,
});

/** What a poll brings, of one conversation or of the inbox. Its events are looked at one by one. */
export interface Page {
  events: unknown[];
  receipts?: Receipt[];
  snapshot?: Snapshot;
  cursor: string;
  more: boolean;
}

export const isPage = object<Page>({ events: list(anything), receipts: list(isReceipt), snapshot: isSnapshot, cursor: text, more: flag });

export const isHeartbeat = object<{ last_seq?: number }>({ last_seq: whole });

export const isProblem = object<Pick<Problem, "code" | "status" | "title" | "detail" | "field">>({ code: text, status: whole, title: text, detail: text, field: text });
