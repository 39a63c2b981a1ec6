// Reads the stream at a URL, with a token in the header Authorization if one is
// given, and writes what the EventSource says as lines of JSON. Ends with its
// standard input.
import {EventSource} from 'eventsource'
import {watch} from './watch.mjs'

const [url, token] = process.argv.slice(2)
const options = token && {
  fetch: (input, init) => fetch(input, {...init, headers: {...init.headers, Authorization: `Bearer ${token}`}}),
}
const source = watch(new EventSource(url, options), (said) => process.stdout.write(JSON.stringify(said) + '\n'))
process.stdin.on('end', () => source.close()).resume()
