// Reads one stream many times over at once: BASE/cut/N/PATH for each N from 0
// to LAST. Writes what each reader got as a line of JSON.
import {EventSource} from 'eventsource'
import {readCut} from './watch.mjs'

const [base, path, last, count] = process.argv.slice(2)
let next = 0

function start() {
  if (next > Number(last)) return
  const cut = next++
  readCut(new EventSource(`${base}/cut/${cut}${path}`), Number(count), (events) => {
    process.stdout.write(JSON.stringify({cut, events}) + '\n')
    start()
  })
}

// Most of them wait most of the time, for the moment to come back.
for (let atOnce = 0; atOnce < 250; atOnce++) start()
