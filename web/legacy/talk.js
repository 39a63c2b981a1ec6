// Conversations: what is known of them, and the one that is open.

var me = null;
var convs = {};
var open = null;
// What is written and not sent, by the conversation.
var drafts = {};
var blurred = false;
var acks = {};
var acking = 0;
var conversations = 'v1/conversations';

// put takes a conversation as the server tells it.
function put(c) {
  var k = convs[c.id] || (convs[c.id] = {id: c.id}), last = c.last_message || {}, early = k.early;
  // Events may have told more already.
  if (c.last_seq < k.last) return k;
  k.kind = c.kind;
  k.title = c.title;
  k.role = c.role;
  k.last = c.last_seq;
  k.read = c.read_seq;
  k.unread = c.unread;
  k.at = last.accepted_at || c.created_at;
  k.preview = last.text || '';
  k.marks = k.marks || {};
  k.list = k.list || [];
  k.early = null;
  if (c.creator_id != me.id) k.partner = c.creator_id;
  // What came while it was being asked for.
  each(early, take);
  return k;
}

function pathOf(id, rest) {
  return conversations + '/' + id + rest;
}

function people(k) {
  if (k.counting) return;
  k.counting = true;
  ask(k == open, 'GET', pathOf(k.id, '/members?limit=1000'), null, function (status, body, retry) {
    k.counting = false;
    if (passes(status)) wait(function () { people(k); }, 3, retry);
    if (status != 200) return;
    k.people = body.more ? 0 : body.members.length;
    each(body.members, function (m) {
      know(m.user);
      if (k.kind == 'direct' && m.user.id != me.id) k.partner = m.user.id;
    });
    paint(k);
    ticks();
  });
}

// refresh asks for a conversation anew: one that is not known yet, or whose unread
// messages have to be counted again.
function refresh(id) {
  var k = convs[id];
  if (!k) k = convs[id] = {id: id, early: []};
  if (k.asked) return;
  k.asked = true;
  ask(false, 'GET', pathOf(id, ''), null, function (status, body, retry) {
    k.asked = false;
    if (convs[id] != k) return;
    if (status == 200) put(body);
    else if (status == 404) gone(k);
    else wait(function () { if (convs[id] == k) refresh(id); }, 3, retry);
    arrange();
  });
}

// take takes an event of a log. What the snapshot or an earlier answer has
// told is not counted again.
function take(e) {
  var k = convs[e.conversation_id], i, c;
  if (!k) {
    if (e.type != 'created') return refresh(e.conversation_id);
    c = {id: e.conversation_id, kind: e.kind, title: e.title || '', last_seq: e.seq, read_seq: 0, unread: 0, created_at: e.accepted_at, creator_id: e.sender_id, role: e.sender_id == me.id ? 'owner' : 'member'};
    k = put(c);
    k.people = e.members ? e.members.length : 0;
    return;
  }
  if (k.early) return k.early.push(e);
  if (e.seq <= k.last) {
    // The conversation may have been asked for anew in between: the log lacks it then.
    if (k.list.length && e.seq > k.list[0].seq) insert(k, e);
    return;
  }
  c = k.read >= k.last;
  k.last = e.through_seq || e.seq;
  if (e.accepted_at) k.at = e.accepted_at;
  if (e.type == 'message') {
    k.preview = e.text;
    if (e.sender_id != me.id) {
      k.unread++;
    } else {
      settle(e.client_id);
      if (c) k.read = k.last;
    }
  } else if (e.type == 'title') {
    k.title = e.title || '';
  } else if (e.type == 'member') {
    i = e.action == 'added' ? 1 : e.action == 'role' ? 0 : -1;
    if (k.people) k.people += i;
    if (e.user_id == me.id) {
      if (i < 0) return gone(k);
      k.role = e.role;
    }
  }
  insert(k, e);
  // The oldest go, except where somebody may be reading them.
  while (k.list.length > 200 && (k != open || pinned)) {
    e = k.list.shift();
    k.more = true;
    if (k == open) {
      drop(e.row);
      show('older', true);
    }
  }
}

// gone forgets a conversation that we are no longer in.
function gone(k) {
  delete convs[k.id];
  if (k == open) {
    closeTalk();
    state('You are no longer in that conversation.');
  }
}

// mark takes a member's watermarks; they never go back.
function mark(r) {
  var k = convs[r.conversation_id], m;
  if (!k || !k.marks) return;
  if (r.user_id == me.id) {
    if (r.read_seq <= k.read) return;
    k.read = r.read_seq;
    if (k.read >= k.last) k.unread = 0;
    else if (k.unread) refresh(k.id);
    return;
  }
  m = k.marks[r.user_id] || (k.marks[r.user_id] = {delivered: 0, read: 0});
  m.delivered = Math.max(m.delivered, r.delivered_seq);
  m.read = Math.max(m.read, r.read_seq);
}

function ticks() {
  if (open) each(open.list, function (m) { if (m.tick) tick(open, m); });
}

// insert puts an event into its place, once a page of history is asked for: live
// ones may come before it. One that is there already stays as it is.
function insert(k, m) {
  var i = k.list.length, end = pinned;
  if (k.loaded == null) return;
  while (i && k.list[i - 1].seq > m.seq) i--;
  if (i && k.list[i - 1].seq == m.seq) return;
  k.list.splice(i, 0, m);
  if (k != open) return;
  m.row = rowOf(m);
  rows.insertBefore(m.row, i + 1 < k.list.length ? k.list[i + 1].row : firstUnsent());
  if (m.tick) tick(k, m);
  if (end) toEnd();
}

// load gets a page of history: the newest, or what is before the oldest there is.
// It is the log's, which tells what happened to a group too.
function load(k) {
  var before = k.list.length ? k.list[0].seq : 9e15, first = !k.loaded;
  k.loaded = !first;
  ask(true, 'GET', pathOf(k.id, '/events?limit=30&before=' + before), null, function (status, body, retry) {
    var height = log.scrollHeight, top = log.scrollTop;
    if (convs[k.id] != k) return;
    if (status != 200) {
      problem(status, body);
      if (first) wait(function () { if (k == open && !k.loaded) load(k); }, 2, retry);
      return;
    }
    k.loaded = true;
    // What it was to join has gone meanwhile, or is there already.
    if (!first && k.list[0].seq != before) return;
    quiet();
    k.more = body.more;
    each(body.events, function (e) {
      settle(e.client_id);
      insert(k, e);
    });
    if (k == open) {
      each(k.list, cite);
      show('older', k.more);
      if (!first) log.scrollTop = top + log.scrollHeight - height;
      else toEnd();
      seen();
    }
  });
}

// putBy keeps what is written in the conversation that is open.
function putBy() {
  if (open) drafts[open.id] = field.value;
}

// openTalk shows a conversation; still, where it is drawn anew under somebody's hands.
function openTalk(id, still) {
  var k = convs[id], before = open;
  if (!k || !k.list) return;
  putBy();
  open = k;
  if (!still && before != k) {
    quiet();
    show('adding', false);
    if (before) paint(before);
    field.value = drafts[id] || '';
  }
  doc.body.className = 'open';
  show('talk', true);
  show('older', k.loaded && k.more);
  if (location.hash != '#c=' + id) location.hash = 'c=' + id;
  clear(rows);
  each(k.list, function (m) { rows.appendChild(m.row = rowOf(m)); });
  showUnsent(k);
  paint(k);
  ticks();
  fit();
  toEnd();
  if (!k.loaded) load(k);
  if (!k.people) people(k);
  if (!still) field.focus();
  seen();
}

function closeTalk() {
  var k = open;
  putBy();
  open = null;
  doc.body.className = '';
  show('talk', false);
  if (k) {
    paint(k);
    attempt(function () { k.link.focus(); });
  }
  if (location.hash.length > 1) location.hash = '';
}

// seen marks as read what is open, before the reader's eyes, and at its end.
function seen() {
  var k = open;
  if (!k || !k.loaded || blurred || doc.hidden || k.read >= k.last || !atEnd()) return;
  k.read = k.last;
  k.unread = 0;
  acks[k.id] = k.read;
  arrange();
  if (!acking) acking = setTimeout(acknowledge, 500);
}

function acknowledge() {
  var sent = acks, failures = 0;
  acks = {};
  acking = -1;
  function again() {
    ask(false, 'POST', 'v1/acks', {read: sent}, function (status, body, retry) {
      var id;
      if (passes(status)) return wait(again, ++failures, retry);
      acking = 0;
      for (id in acks) if (has(acks, id)) acking = acking || setTimeout(acknowledge, 500);
    });
  }
  again();
}
