// The one connection: everything that happens comes by the inbox, which is asked
// again and again with the cursor of its last answer (docs/inbox.md).

var cursor = '';
var failures = 0;
var stopPoll = null;
var pollTimer = 0;

function apply(page) {
  if (page.snapshot) restart(page.snapshot);
  each(page.events, take);
  each(page.receipts, mark);
  ticks();
  arrange();
  seen();
}

// restart draws everything from a snapshot. What was known of the logs is void:
// after a restore a seq can be another message.
function restart(snapshot) {
  var was = open && open.id;
  putBy();
  convs = {};
  open = null;
  add(snapshot);
  if (was && convs[was]) openTalk(was, true);
  else if (was) closeTalk();
  openHash();
}

function add(page) {
  each(page.conversations, put);
  each(page.receipts, mark);
  if (page.more) rest(page.next);
}

function rest(after) {
  var then = convs;
  ask(false, 'GET', conversations + '?limit=1000&after=' + after, null, function (status, body, retry) {
    if (then != convs) return;
    if (status != 200) return wait(function () { if (then == convs) rest(after); }, 3, retry);
    // What has come by itself meanwhile is newer.
    for (var i = body.conversations.length; i--;) if (convs[body.conversations[i].id]) body.conversations.splice(i, 1);
    add(body);
    arrange();
  });
}

// connect gets a snapshot and a cursor behind it, then calls done.
function connect(done) {
  var who = me;
  call('GET', 'v1/inbox', null, function (status, body, retry) {
    if (me != who) return;
    if (status == 401) return signedOut();
    if (status != 200) {
      lost(status, body);
      return wait(function () { connect(done); }, ++failures, retry);
    }
    found();
    cursor = body.cursor;
    apply(body);
    done(body);
  });
}

function lost(status, body) {
  state(status && status < 500 ? body.detail || 'The server refuses.' : 'No connection. Trying again\u2026');
}

// found takes back what lost has said, and nothing else that somebody has to read.
// What other tabs were closed with meanwhile is sent by this one.
function found() {
  if (failures) {
    state('');
    if (me) openOutbox();
  }
  failures = 0;
}

// Without localStorage tabs cannot share, and a browser may have two connections
// in all: one that nobody looks at asks now and then in place of holding the line.
function idle() {
  return !local && (blurred || doc.hidden);
}

function poll() {
  var resting = idle();
  clearTimeout(pollTimer);
  pollTimer = 0;
  if (stopPoll || !me || !leading) return;
  stopPoll = call('GET', 'v1/inbox?cursor=' + cursor + (resting ? '' : '&wait=25'), null, function (status, body, retry) {
    stopPoll = null;
    if (!me) return;
    if (status == 200) {
      found();
      if (body.events.length || body.receipts.length) {
        // As it is: to apply it puts elements to its events.
        publish(body);
        apply(body);
      }
      // Only now: who stops in between gets it once more.
      cursor = body.cursor;
      return resting && !body.more ? later(15) : poll();
    }
    if (status == 401) return signedOut();
    // A restored database, or a cursor that is none: begin again.
    if (status == 410 || status == 400) {
      syncing = [];
      return connect(function (page) {
        syncing = null;
        publish(page);
        later(status == 410 ? 0 : 5);
      });
    }
    lost(status, body);
    pollTimer = wait(poll, ++failures, retry);
  }, resting ? 30 : 45);
}

function later(seconds) {
  if (!pollTimer) pollTimer = setTimeout(poll, 1000 * seconds * (0.9 + Math.random() / 5));
}

function hangUp() {
  if (stopPoll) stopPoll();
  stopPoll = null;
  clearTimeout(pollTimer);
  pollTimer = 0;
  // Whoever goes on tells how that goes.
  found();
}
