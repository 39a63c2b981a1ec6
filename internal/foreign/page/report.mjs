// Tells the test, which serves this page, what happens: one report at a time,
// so that they arrive in order.

let last = Promise.resolve()

export function report(what) {
  last = last.then(() => fetch('/report', {method: 'POST', body: JSON.stringify(what)}))
  return last
}

addEventListener('error', (event) => report({kind: 'fault', data: event.message}))
addEventListener('unhandledrejection', (event) => report({kind: 'fault', data: String(event.reason)}))

// given is what the test has put into the page's address.
export const given = Object.fromEntries(new URLSearchParams(location.search))
