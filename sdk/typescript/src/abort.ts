/**
 * Makes a call with a signal that is aborted with `outer`, or after a time in milliseconds with a `TimeoutError`. The timer and the
 * listener are gone with the call. (AbortSignal.any and AbortSignal.timeout would do, in browsers of 2024.)
 */
export async function within<T>(ms: number, outer: AbortSignal | undefined, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const both = new AbortController();
  const unlink = link(outer, both);
  const timer = setTimeout(() => both.abort(new DOMException(`no answer within ${ms} ms`, "TimeoutError")), ms);
  try {
    both.signal.throwIfAborted();
    return await call(both.signal);
  } finally {
    clearTimeout(timer);
    unlink();
  }
}

/** Aborts a controller with a signal, until what is returned is called. */
export function link(outer: AbortSignal | undefined, inner: AbortController): () => void {
  const abort = () => inner.abort(outer!.reason);
  if (outer?.aborted) {
    abort();
  }
  outer?.addEventListener("abort", abort);
  return () => outer?.removeEventListener("abort", abort);
}
