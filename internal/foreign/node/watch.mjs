// What an EventSource says, told to report as plain objects. The same for the
// one of npm and for a browser's.

const types = ['created', 'message', 'member', 'title', 'hidden', 'heartbeat', 'reset', 'end']

export function watch(source, report) {
  source.addEventListener('open', () => report({kind: 'open'}))
  source.addEventListener('error', () => report({kind: 'error', closed: source.readyState === 2}))
  for (const type of types) {
    source.addEventListener(type, (event) => {
      report({kind: 'event', type: event.type, data: event.data, id: event.lastEventId, text: JSON.parse(event.data).text})
      if (type === 'reset' || type === 'end') {
        source.close()
        report({kind: 'closed'})
      }
    })
  }
  // Without a name of their own events go to onmessage alone.
  source.onmessage = (event) => {
    if (event.type !== 'message') report({kind: 'fault', data: `onmessage got a ${event.type}`})
  }
  return source
}

// readCut reads until it has count events and then a heartbeat, and says what
// it got.
export function readCut(source, count, done) {
  const events = []
  let over = false // what has arrived already is still told after close()
  const end = () => {
    source.close()
    if (!over) done(events)
    over = true
  }
  for (const type of types) {
    source.addEventListener(type, (event) => {
      if (type !== 'heartbeat') events.push({type, data: event.data, id: event.lastEventId})
      if (type === 'heartbeat' && events.length >= count || type === 'reset' || type === 'end') end()
    })
  }
  source.addEventListener('error', () => {
    if (source.readyState === 2) end()
  })
}
